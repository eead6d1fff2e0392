/* What of queues outlives the router: records of type LOG_STATE in the disk log of the queue's name.
 *
 * A queue that is made is written at once, and nobody is told of it before that is on disk. What changes it
 * later is written together, QUEUE_SAVE_NS behind the first change: what was done in the meantime is done
 * again after a crash, nothing is lost. When the journal begins a new segment all that have their states in
 * that log are written again, and those that read it, so that no state says of a log that it is further
 * behind than it is. The journal is told from where on the states on disk lie, and gives up nothing of that:
 * the last state of each is always there, however late it is written again.
 *
 * A record is a frame as of an event: its topic is the mailbox or $queue.NAME; its event are the 8 bytes of
 * how many events a mailbox held when it was written, little-endian, and queue_save. The events of a mailbox
 * that come behind it in the same log are held, too. Of a queue that was removed there are the 8 bytes only:
 * nothing that lies in front of it counts any more. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX          "$queue."
#define PREFIX_BYTES    (sizeof PREFIX - 1)
#define HELD_BYTES      8u
#define SEGMENT_LOOK_NS (10u * NS_PER_MS)
#define KEEP_TELL_NS    (100u * NS_PER_MS)
#define RETRY_NS        NS_PER_MS /* the log had no room */
static_assert(PREFIX_BYTES + QUEUE_NAME_BYTES_MAX <= TOPIC_BYTES_MAX, "a queue's name is a part of a topic");

/* ---- where ---- */

static uint32_t topic_of(struct queue_text name, uint8_t topic[TOPIC_BYTES_MAX]) {
    uint32_t at = name.n > 0 && name.p[0] == '@' ? 0 : PREFIX_BYTES;
    memcpy(topic, PREFIX, at);
    memcpy(topic + at, name.p, name.n);
    return at + name.n;
}

uint32_t queue_log_of(const struct worker *worker, struct queue_text name) {
    const struct shards *shards = worker->shards;
    uint8_t topic[TOPIC_BYTES_MAX];
    uint32_t length = topic_of(name, topic);
    uint64_t hash = topic_hash(topic, length, shards->config.slot_seed);
    if (topic[0] == '@')
        return topic_place(worker, topic, length, hash).log;
    return shards->config.disk_logs > 0 ? shards->disk_slots[topic_slot(hash)]
                                        : shards->slots[topic_slot(hash)];
}

/* ---- writing ---- */

/* What a state may have of a record. */
static uint64_t state_room(const struct kept *kept) {
    uint64_t most = log_record_max(kept->home->log);
    uint64_t frame = wire_record_size(TOPIC_BYTES_MAX, (uint32_t)most) - most + HELD_BYTES;
    uint64_t room = most > frame ? most - frame : 0;
    return room < QUEUE_STATE_BYTES_MAX ? room : QUEUE_STATE_BYTES_MAX;
}

bool states_fit(const struct kept *kept) {
    size_t least = queue_save_least(kept->queue) + (size_t)LOGS_MAX * 64;
    return least <= state_room(kept);
}

/* Whether a queue that can only get one topic has nothing to come in the log of that below `end`, which was
 * read first. */
static bool nothing_came(const struct kept *kept, const struct reader *reader) {
    uint64_t cursor = queue_cursor(kept->queue, log_number(reader->log));
    if (terms_mailbox(queue_terms(kept->queue)))
        return queue_held(kept->queue) == 0;
    return kept->only != SLOT_COUNT && log_slot_last(reader->log, kept->only) < cursor;
}

/* Where it is live it has seen all that the reader has routed; and also where there was nothing for it, so
 * that nothing is missed when the journal gives that up. */
static void passed_note(const struct worker *worker, const struct kept *kept) {
    for (uint64_t left = kept->logs; left != 0; left &= left - 1) {
        const struct reader *reader = &worker->readers[__builtin_ctzll(left)];
        uint64_t end = delivery_live_end(reader);
        if ((kept->live >> reader->index & 1u) != 0 || nothing_came(kept, reader))
            queue_pass(kept->queue, log_number(reader->log), end);
    }
}

static bool state_append(struct worker *worker, const struct kept *kept, uint8_t *bytes, uint64_t room) {
    uint8_t topic[TOPIC_BYTES_MAX];
    uint64_t held = queue_held(kept->queue);
    struct wire_event state = {
        .topic = topic, .topic_length = topic_of(queue_terms(kept->queue)->name, topic), .event = bytes};
    for (uint32_t i = 0; i < HELD_BYTES; i++)
        bytes[i] = (uint8_t)(held >> (8 * i));
    state.event_length = HELD_BYTES;
    if (kept->remover == 0)
        state.event_length += (uint32_t)queue_save(kept->queue, bytes + HELD_BYTES, room);
    return ingress_state(worker, kept->home, &state);
}

/* The position of its last state that is on disk. */
static uint64_t state_safe(struct kept *kept) {
    if (log_visible(kept->home->log) > kept->state_at)
        kept->state_safe = kept->state_at;
    return kept->state_safe;
}

/* False: not now. */
static bool state_write(struct worker *worker, struct kept *kept) {
    uint64_t at = log_writer_next(kept->home->log);
    if (kept->remover == 0)
        passed_note(worker, kept);
    (void)state_safe(kept);
    uint64_t room = state_room(kept), bound = queue_save_bound(kept->queue);
    uint8_t *bytes = malloc(HELD_BYTES + (bound < room ? bound : room));
    bool written = bytes != NULL && state_append(worker, kept, bytes, bound < room ? bound : room);
    free(bytes);
    if (written)
        kept->state_at = at;
    if (written && kept->stated == 0)
        kept->stated = log_writer_next(kept->home->log);
    return written;
}

static void soon(struct worker *worker, struct kept *kept) {
    list_remove(&kept->saving);
    list_add(&worker->keeper.urgent, &kept->saving);
}

void states_made(struct worker *worker, struct kept *kept) {
    kept->stated = 0;
    if (!state_write(worker, kept))
        soon(worker, kept);
}

bool states_durable(const struct kept *kept) {
    return kept->home == NULL ||
           (kept->remover == 0 && kept->stated != 0 && log_visible(kept->home->log) >= kept->stated);
}

bool states_gone(const struct kept *kept) {
    return kept->remover != 0 && kept->stated != 0 && log_visible(kept->home->log) >= kept->stated;
}

void states_changed(struct worker *worker, struct kept *kept) {
    if (kept->home == NULL || list_in(&kept->saving))
        return;
    kept->save_ns = worker->now_ns + QUEUE_SAVE_NS;
    list_add(&worker->keeper.saving, &kept->saving);
}

/* ---- in the turn ---- */

/* One bit for each disk log whose segment is another one than before. */
static uint64_t segments_new(struct worker *worker) {
    const struct shards_config *config = &worker->shards->config;
    struct keeper *keeper = &worker->keeper;
    uint64_t found = 0;
    if (config->segment == NULL || worker->now_ns < keeper->segments_ns)
        return 0;
    keeper->segments_ns = worker->now_ns + SEGMENT_LOOK_NS;
    for (uint32_t i = 0; i < config->disk_logs; i++) {
        uint64_t segment = config->segment(config->recall_user, i);
        if (segment != keeper->segments[i])
            found |= UINT64_C(1) << (config->count + i);
        keeper->segments[i] = segment;
    }
    return found;
}

static void segments_look(struct worker *worker) {
    struct keeper *keeper = &worker->keeper;
    uint64_t logs = segments_new(worker);
    for (uint32_t i = 0; logs != 0 && i < keeper->capacity; i++) {
        struct kept *kept = keeper->slots[i];
        if (kept == NULL || kept->home == NULL || kept->remover != 0)
            continue;
        if ((logs >> kept->home->index & 1u) != 0 || (kept->attached && (kept->logs & logs) != 0))
            soon(worker, kept);
    }
}

static bool due(const struct worker *worker, const struct kept *kept) {
    return worker->draining || kept->save_ns <= worker->now_ns;
}

static struct kept *next_due(const struct worker *worker) {
    const struct keeper *keeper = &worker->keeper;
    if (!list_empty(&keeper->urgent))
        return LIST_OF(keeper->urgent.next, struct kept, saving);
    if (list_empty(&keeper->saving))
        return NULL;
    struct kept *kept = LIST_OF(keeper->saving.next, struct kept, saving);
    return due(worker, kept) ? kept : NULL;
}

/* The journal may give up what lies in front of the states of all queues of a log. One that was made, or
 * written anew, meanwhile has its state behind what was told. */
static void keep_tell(struct worker *worker) {
    const struct shards_config *config = &worker->shards->config;
    struct keeper *keeper = &worker->keeper;
    uint64_t from[LOGS_MAX];
    if (config->keep == NULL || worker->now_ns < keeper->keep_ns)
        return;
    keeper->keep_ns = worker->now_ns + KEEP_TELL_NS;
    for (uint32_t i = 0; i < worker->homes_count; i++)
        from[worker->homes[i].index] = log_visible(worker->homes[i].log);
    for (uint32_t i = 0; keeper->durable > 0 && i < keeper->capacity; i++) {
        struct kept *kept = keeper->slots[i];
        if (kept != NULL && kept->home != NULL && state_safe(kept) < from[kept->home->index])
            from[kept->home->index] = kept->state_safe;
    }
    for (uint32_t i = 0; i < worker->homes_count; i++)
        if (log_is_disk(worker->shards, worker->homes[i].index))
            config->keep(config->recall_user, worker->homes[i].index - config->count,
                         from[worker->homes[i].index]);
}

void states_turn(struct worker *worker) {
    struct kept *kept;
    keep_tell(worker);
    if (worker->keeper.durable == 0)
        return;
    segments_look(worker);
    for (uint32_t i = 0; i < QUEUE_SAVES_MAX && (kept = next_due(worker)) != NULL; i++) {
        if (!state_write(worker, kept)) {
            kept->save_ns = worker->now_ns + RETRY_NS;
            soon(worker, kept);
            return;
        }
        list_remove(&kept->saving);
    }
}

uint64_t states_due_ns(const struct worker *worker) {
    const struct keeper *keeper = &worker->keeper;
    if (!list_empty(&keeper->urgent))
        return worker->now_ns + RETRY_NS;
    return list_empty(&keeper->saving) ? UINT64_MAX
                                       : LIST_OF(keeper->saving.next, struct kept, saving)->save_ns;
}

bool states_idle(const struct worker *worker) {
    return counter_get(&worker->shards->journal_failed) != 0 ||
           (list_empty(&worker->keeper.urgent) && list_empty(&worker->keeper.saving));
}

/* ---- after a start ---- */

struct recalling {
    struct worker *worker;
    char *error;
    uint32_t log;
    int result;
};

static bool bad(struct recalling *recalling, const struct wire_event *state, int result, const char *why) {
    recalling->result = result;
    snprintf(recalling->error, 200, "the state of the queue %.*s in the journal can not be used: %s",
             (int)state->topic_length, (const char *)state->topic, why);
    return false;
}

/* The queue of that topic was removed. */
static bool end_take(struct recalling *recalling, const struct wire_event *state) {
    uint32_t at = state->topic[0] == '@' ? 0 : PREFIX_BYTES;
    struct queue_text name = {state->topic + at, state->topic_length > at ? state->topic_length - at : 0};
    struct kept *kept = keeper_find(recalling->worker, name);
    if (kept != NULL)
        keeper_drop(recalling->worker, kept);
    return true;
}

static bool state_take(struct recalling *recalling, const struct wire_event *state) {
    struct fault fault;
    struct queue *queue;
    uint64_t held = 0;
    if (state->event_length < HELD_BYTES)
        return bad(recalling, state, -EBADMSG, "it ends too early");
    if (state->event_length == HELD_BYTES)
        return end_take(recalling, state);
    for (uint32_t i = 0; i < HELD_BYTES; i++)
        held |= (uint64_t)state->event[i] << (8 * i);
    int result = queue_restore(&queue, state->event + HELD_BYTES, state->event_length - HELD_BYTES, &fault);
    if (result != 0)
        return bad(recalling, state, result, result == -EBADMSG ? fault.text : "there is no memory");
    if (queue_log_of(recalling->worker, queue_terms(queue)->name) != recalling->log) {
        queue_destroy(queue);
        return bad(recalling, state, -EBADMSG, "it is in the log of other queues");
    }
    if (keeper_restore(recalling->worker, queue) == NULL)
        return bad(recalling, state, -ENOMEM, "there is no room for so many queues");
    queue_hold(queue, held);
    return true;
}

/* An event that is behind the state of its mailbox is one more that it holds. */
static void event_take(const struct recalling *recalling, const struct wire_event *event) {
    const struct kept *kept =
        keeper_find(recalling->worker, (struct queue_text){event->topic, event->topic_length});
    if (kept != NULL)
        queue_hold(kept->queue, queue_held(kept->queue) + 1);
}

static bool recall_take(void *context, const uint8_t *record, uint32_t length, bool state) {
    struct recalling *recalling = context;
    struct wire_event event;
    uint64_t sequence;
    wire_record_read(record, length, &sequence, &event);
    if (state)
        return state_take(recalling, &event);
    event_take(recalling, &event);
    return true;
}

int states_recall(const struct shards *shards, char *error) {
    const struct shards_config *config = &shards->config;
    for (uint32_t log = config->count;
         config->recall_queues != NULL && log < config->count + config->disk_logs; log++) {
        struct recalling recalling = {
            .worker = shards->workers[log_home(shards, log)], .error = error, .log = log};
        int result = config->recall_queues(config->recall_user, log - config->count, recall_take, &recalling);
        if (recalling.result != 0)
            return recalling.result;
        if (result != 0) {
            snprintf(error, 200, "the queues of disk log %u can not be read from the journal: %s",
                     log - config->count, strerror(-result));
            return result;
        }
    }
    return 0;
}
