/* What a worker has of the past of its disk logs: a few stretches that were asked for, and that laggards read
 * from as they do from a ring.
 *
 * A stretch is asked for when a laggard that can read stands where none is, and the one after it when it is
 * read. One that no laggard can go on in makes room for another one; laggards ask in turn. So a worker holds
 * HISTORY_STRETCHES of them at most, whatever the number of laggards. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

static int room_make(struct history_request *request, uint64_t bytes) {
    if (request->entries == NULL)
        request->entries = malloc(HISTORY_RECORDS * sizeof *request->entries);
    if (bytes > request->frames_room) {
        free(request->frames);
        request->frames = malloc(bytes);
        request->frames_room = request->frames == NULL ? 0 : bytes;
    }
    return request->entries == NULL || request->frames == NULL ? -ENOMEM : 0;
}

void history_begin(struct history_request *request) {
    request->first = request->end = request->from;
    request->bytes = 0;
    request->result = 0;
}

bool history_add(struct history_request *request, uint64_t position, const struct log_entry *entry,
                 const uint8_t *bytes) {
    uint32_t count = (uint32_t)(request->end - request->first);
    if (count == 0) {
        uint64_t most = entry->length > request->bytes_max ? entry->length : request->bytes_max;
        request->result = room_make(request, most + 1);
        request->first = position;
    } else if (count == HISTORY_RECORDS || request->bytes + entry->length > request->bytes_max) {
        return false;
    }
    if (request->result != 0)
        return false;
    struct log_entry *copy = &request->entries[position % HISTORY_RECORDS];
    *copy = *entry;
    copy->offset = request->bytes;
    if (entry->length > 0)
        memcpy(request->frames + request->bytes, bytes, entry->length);
    request->bytes += entry->length;
    request->end = position + 1;
    return true;
}

int history_fill(struct history_request *request, uint64_t first, const struct log_entry *entries,
                 uint32_t count, const uint8_t *frames) {
    CHECK(count > 0);
    history_begin(request);
    for (uint32_t i = 0; i < count; i++)
        if (!history_add(request, first + i, &entries[i], frames + entries[i].offset))
            break;
    return request->result;
}

void history_free(struct history_request *request) {
    free(request->entries);
    free(request->frames);
    request->entries = NULL;
    request->frames = NULL;
    request->frames_room = 0;
}

/* ---- stretches ---- */

static bool answered(struct history_request *request) {
    struct worker *worker = request->owner;
    const struct behind *behind = LIST_OF(request, const struct behind, request);
    struct mpsc_command command = {.kind = COMMAND_HISTORY, .small = (uint32_t)(behind - worker->behind)};
    if (mpsc_push(worker->mailbox, &command) != RING_OK)
        return false;
    wake_signal(&worker->wake);
    return true;
}

#define SEARCHES_END (HISTORY_STRETCHES + HISTORY_SEARCHES)
#define PLACES       (SEARCHES_END + HISTORY_QUEUES)

int history_make(struct worker *worker) {
    const struct shards_config *config = &worker->shards->config;
    if (config->history == NULL)
        return 0;
    worker->behind = calloc(PLACES, sizeof *worker->behind);
    if (worker->behind == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < PLACES; i++)
        worker->behind[i].request = (struct history_request){.owner = worker, .answered = answered};
    return intern_create(&worker->behind_names, LOG_NUMBER_BEHIND, config->topics,
                         worker->shards->table_seed + LOG_NUMBER_BEHIND);
}

void history_destroy(struct worker *worker) {
    for (uint32_t i = 0; worker->behind != NULL && i < PLACES; i++)
        history_free(&worker->behind[i].request);
    free(worker->behind);
    intern_destroy(worker->behind_names);
}

/* Nobody lags: what is here is of no use. */
void history_housekeeping(struct worker *worker) {
    if (worker->behind == NULL || !list_empty(&worker->lagging))
        return;
    for (uint32_t i = 0; i < HISTORY_STRETCHES; i++) {
        struct behind *behind = &worker->behind[i];
        if (behind->state == BEHIND_ASKED)
            continue;
        behind->state = BEHIND_FREE;
        history_free(&behind->request);
    }
}

uint64_t log_kept(const struct worker *worker, uint32_t log) {
    uint64_t oldest = log_oldest(worker->readers[log].log);
    if (!history_has(worker, log))
        return oldest;
    const struct history *history = worker->shards->config.history;
    uint64_t kept = history->oldest(history->user, log - worker->shards->config.count);
    return kept < oldest ? kept : oldest;
}

struct behind *history_at(const struct worker *worker, uint32_t log, uint64_t position) {
    for (uint32_t i = 0; i < HISTORY_STRETCHES; i++) {
        struct behind *behind = &worker->behind[i];
        const struct history_request *request = &behind->request;
        if (behind->state == BEHIND_FREE || behind->log != log || position < request->from)
            continue;
        if (position == request->from || (behind->state == BEHIND_THERE && position < request->end))
            return behind;
    }
    return NULL;
}

void history_ask(struct worker *worker, struct behind *behind, uint32_t log, enum history_kind kind,
                 uint64_t from, uint32_t bytes_max) {
    const struct history *history = worker->shards->config.history;
    struct history_request *request = &behind->request;
    if (request->frames_room > HISTORY_BYTES + 1) /* a record that was longer */
        history_free(request);
    request->kind = kind;
    request->disk = log - worker->shards->config.count;
    request->from = request->first = request->end = from;
    request->bytes_max = bytes_max;
    request->bytes = 0;
    behind->log = (uint16_t)log;
    behind->state = BEHIND_ASKED;
    behind->used = counter_get(&worker->stats.turns);
    counter_add(&worker->stats.history_requests, 1);
    history->ask(history->user, request);
}

/* The ids are this worker's own, and no log's: routes are remembered by them as for others. */
static void topics_name(struct worker *worker, struct history_request *request) {
    const uint8_t *last = NULL;
    uint32_t last_length = 0;
    uint64_t id = 0;
    for (uint64_t position = request->first; position < request->end; position++) {
        struct log_entry *entry = &request->entries[position % HISTORY_RECORDS];
        if (!log_flags_event(entry->flags))
            continue;
        const uint8_t *name = request->frames + entry->offset + log_flags_topic_at(entry->flags);
        uint32_t length = log_flags_topic_length(entry->flags);
        if (last == NULL || length != last_length || memcmp(name, last, length) != 0)
            id = intern_id(worker->behind_names, name, length,
                           topic_hash(name, length, worker->shards->config.slot_seed));
        last = name;
        last_length = length;
        entry->topic = id;
    }
}

void history_came(struct worker *worker, uint32_t index) {
    struct behind *behind = &worker->behind[index];
    struct history_request *request = &behind->request;
    CHECK(behind->state == BEHIND_ASKED);
    behind->state = request->result == 0 ? BEHIND_THERE : BEHIND_REFUSED;
    if (index >= HISTORY_STRETCHES && index < SEARCHES_END && behind->search == NULL)
        behind->state = BEHIND_FREE;
    behind->used = counter_get(&worker->stats.turns);
    if (request->result != 0 || request->kind != HISTORY_READ)
        return;
    counter_add(&worker->stats.history_bytes, request->bytes);
    topics_name(worker, request);
    behind->view = (struct log_view){.index = request->entries,
                                     .data = request->frames,
                                     .index_mask = HISTORY_RECORDS - 1,
                                     .data_mask = UINT64_MAX,
                                     .end = request->end};
}

/* ---- searches ---- */

struct behind *history_search(struct worker *worker, struct search *search) {
    for (uint32_t i = HISTORY_STRETCHES; i < SEARCHES_END; i++) {
        struct behind *stretch = &worker->behind[i];
        if (stretch->state != BEHIND_FREE || stretch->search != NULL)
            continue;
        stretch->search = search;
        return stretch;
    }
    return NULL;
}

void history_search_end(struct behind *stretch) {
    if (stretch == NULL)
        return;
    ((struct worker *)stretch->request.owner)->worked = true; /* another search may wait for the place */
    stretch->search = NULL;
    if (stretch->state == BEHIND_ASKED)
        return; /* free when it comes */
    stretch->state = BEHIND_FREE;
    history_free(&stretch->request);
}

/* ---- queues ---- */

static bool stretch_has(const struct behind *behind, uint32_t log, uint64_t position) {
    const struct history_request *request = &behind->request;
    return behind->state != BEHIND_FREE && behind->log == log && position >= request->from &&
           (position == request->from || (behind->state == BEHIND_THERE && position < request->end));
}

/* One that came in this turn, or was read in it, is left to who asked for it. */
static bool place_spare(const struct worker *worker, const struct behind *behind) {
    return behind->state == BEHIND_FREE ||
           (behind->state != BEHIND_ASKED && behind->used + 1 < counter_get(&worker->stats.turns));
}

struct behind *history_queue(struct worker *worker, uint32_t log, uint64_t position) {
    struct behind *spare = NULL;
    for (uint32_t i = SEARCHES_END; i < PLACES; i++) {
        struct behind *behind = &worker->behind[i];
        if (stretch_has(behind, log, position)) {
            behind->used = counter_get(&worker->stats.turns);
            return behind->state == BEHIND_ASKED ? NULL : behind;
        }
        if (place_spare(worker, behind) && (spare == NULL || behind->used < spare->used))
            spare = behind;
    }
    if (spare != NULL)
        history_ask(worker, spare, log, HISTORY_READ, position, HISTORY_BYTES);
    return NULL;
}
