#include "core/shard/filters.h"

#include "codecs/proto/field.h"
#include "core/base/heap.h"
#include "core/base/topic.h"
#include "core/shard/worker.h"

#include <string.h>

#define SAID_RECORDS   64u /* one bit each */
#define SAID_BLOCKS    (FILTER_SAID / SAID_RECORDS)
#define SAID_LOG_SHIFT 48u /* positions have so many bits */
#define BUCKETS_FIRST  16u
static_assert(FILTER_SAID == CATCHUP_RECORDS_MAX, "what one laggard was told holds for the next one");

struct filter_said {
    uint64_t block; /* log and position / SAID_RECORDS, plus one; 0 = of none */
    uint64_t asked, passed;
};

/* ---- each once ---- */

static struct shared_filter **bucket_of(const struct filters *filters, uint64_t hash) {
    return &filters->buckets[hash & (filters->capacity - 1)];
}

static bool filters_room(struct filters *filters) {
    if (filters->count < filters->capacity)
        return true;
    struct filters grown = {.capacity = filters->capacity == 0 ? BUCKETS_FIRST : 2 * filters->capacity,
                            .count = filters->count};
    grown.buckets = heap_take(grown.capacity * sizeof(struct shared_filter *));
    if (grown.buckets == NULL)
        return false;
    for (uint32_t i = 0; i < filters->capacity; i++) {
        struct shared_filter *next;
        for (struct shared_filter *shared = filters->buckets[i]; shared != NULL; shared = next) {
            struct shared_filter **bucket = bucket_of(&grown, shared->hash);
            next = shared->next;
            shared->next = *bucket;
            *bucket = shared;
        }
    }
    heap_give(filters->buckets);
    *filters = grown;
    return true;
}

static bool same(const struct filter *a, const struct filter *b) {
    size_t a_length, b_length;
    const uint8_t *a_bytes = filter_packed(a, &a_length), *b_bytes = filter_packed(b, &b_length);
    return a_length == b_length && memcmp(a_bytes, b_bytes, a_length) == 0;
}

static struct shared_filter *find(const struct filters *filters, uint64_t hash, const struct filter *filter) {
    if (filters->capacity == 0)
        return NULL;
    for (struct shared_filter *shared = *bucket_of(filters, hash); shared != NULL; shared = shared->next)
        if (shared->hash == hash && same(shared->filter, filter))
            return shared;
    return NULL;
}

struct shared_filter *filters_hold(struct worker *worker, struct filter *made) {
    struct filters *filters = &worker->filters;
    size_t length;
    const uint8_t *packed = filter_packed(made, &length);
    uint64_t hash = topic_hash(packed, length, worker->shards->table_seed);
    struct shared_filter *shared = find(filters, hash, made);
    if (shared != NULL) {
        filter_free(made);
        shared->holders++;
        if (shared->said == NULL)
            shared->said = heap_take(SAID_BLOCKS * sizeof *shared->said);
        return shared;
    }
    shared = filters_room(filters) ? heap_take_packed(sizeof *shared) : NULL;
    if (shared == NULL) {
        filter_free(made);
        return NULL;
    }
    struct shared_filter **bucket = bucket_of(filters, hash);
    *shared = (struct shared_filter){.next = *bucket, .filter = made, .hash = hash, .holders = 1};
    *bucket = shared;
    filters->count++;
    return shared;
}

void filters_let_go(struct worker *worker, struct shared_filter *shared) {
    if (shared == NULL || --shared->holders > 0)
        return;
    struct shared_filter **at = bucket_of(&worker->filters, shared->hash);
    while (*at != shared)
        at = &(*at)->next;
    *at = shared->next;
    worker->filters.count--;
    filter_free(shared->filter);
    heap_give(shared->said);
    heap_give(shared);
}

void filters_deinit(struct worker *worker) {
    CHECK(worker->filters.count == 0);
    heap_give(worker->filters.buckets);
    worker->filters = (struct filters){0};
}

/* ---- asked once ---- */

const uint8_t *record_event(const struct log_view *view, const struct log_entry *entry, uint32_t *length) {
    const uint8_t *record = log_view_bytes(view, entry->offset), *end = record + entry->length;
    const uint8_t *tag = record + log_flags_topic_at(entry->flags) + log_flags_topic_length(entry->flags);
    size_t n;
    const uint8_t *event = length_read(tag + 1, end, &n); /* what a record ends with */
    CHECK_HOT(event != NULL && event + n == end);
    *length = (uint32_t)n;
    return event;
}

static bool evaluate(struct worker *worker, const struct shared_filter *shared, const struct log_view *view,
                     uint64_t position) {
    uint32_t length;
    const uint8_t *event = record_event(view, log_view_entry(view, position), &length);
    counter_add(&worker->stats.filter_evaluations, 1);
    return filter_passes(shared->filter, event, length);
}

static bool passes(struct worker *worker, struct shared_filter *shared, uint32_t log,
                   const struct log_view *view, uint64_t position) {
    if (shared->said == NULL)
        return evaluate(worker, shared, view, position);
    struct filter_said *said = &shared->said[position / SAID_RECORDS % SAID_BLOCKS];
    uint64_t block = ((uint64_t)log << SAID_LOG_SHIFT | position / SAID_RECORDS) + 1;
    uint64_t bit = UINT64_C(1) << position % SAID_RECORDS;
    if (said->block != block)
        *said = (struct filter_said){.block = block};
    if ((said->asked & bit) == 0) {
        said->asked |= bit;
        if (evaluate(worker, shared, view, position))
            said->passed |= bit;
    }
    return (said->passed & bit) != 0;
}

bool filters_pass(struct worker *worker, struct shared_filter *shared, uint32_t log,
                  const struct log_view *view, uint64_t position) {
    bool pass = passes(worker, shared, log, view, position);
    if (!pass)
        counter_add(&worker->stats.events_filtered, 1);
    return pass;
}
