/* filters.h: the filters of a worker's subscriptions and queues: each exists once, and is asked once.
 * Owner: one worker; its thread. Private to core/shard.
 * Subscribers with equal filters share one, by the bytes of filter_packed. What is shared remembers what it
 * has said of the last FILTER_SAID records, so that a record costs one evaluation and not one per subscriber:
 * a position of a log is for ever one and the same event. Nothing blocks.
 * filters_hold fails without memory; that what is said can not be remembered costs time only. */
#pragma once

#include "core/filter/filter.h"
#include "ring/log.h"

#define FILTER_SAID 4096u /* records: as many as a step of catch-up routes */

struct worker;
struct filter_said; /* of 64 records in a row */

struct shared_filter {
    struct shared_filter *next; /* owns; of the same bucket */
    struct filter *filter;      /* owns */
    struct filter_said *said;   /* owns; NULL: it has one holder, or there was no memory */
    uint64_t hash;
    uint32_t holders;
};

struct filters {
    struct shared_filter **buckets; /* owns */
    uint32_t capacity, count;
};

/* The one that is like `made`, which is taken over. NULL: no memory. */
struct shared_filter *filters_hold(struct worker *worker, struct filter *made) MUST_USE;
void filters_let_go(struct worker *worker, struct shared_filter *shared); /* accepts NULL */
void filters_deinit(struct worker *worker);                               /* when nobody holds one */

/* Whether the event at a position of a log (by its index) passes; `view` is of the ring, or of a copy. */
bool filters_pass(struct worker *worker, struct shared_filter *shared, uint32_t log,
                  const struct log_view *view, uint64_t position);
/* The event in a record. */
const uint8_t *record_event(const struct log_view *view, const struct log_entry *entry, uint32_t *length);
