/* find_behind.h: an event by its source and id in the journal: what lies there below given positions.
 * Owner: the admin plane, whose thread starts, asks and ends it.
 * It has a thread of its own, at a lower priority, with a reader of its own: neither a worker nor who reads
 * the journal for them waits for it. The newest is looked at first: stretches from the end of each log, one
 * log behind the other, each twice as long as the one before it.
 * Blocks: the end, until the thread has seen that it is to end.
 * Fails by telling what was searched. */
#pragma once

#include "core/admin/find_record.h"
#include "core/base/limits.h"
#include "core/journal/journal.h"

struct find_behind;

struct find_behind_options {
    struct journal *journal;          /* borrowed, as what is wanted is */
    const struct find_wanted *wanted; /* changed by nobody meanwhile */
    uint32_t logs;                    /* of the journal */
    const uint64_t *below;            /* for each: only what lies below this position; copied */
    uint32_t events;                  /* that may still be found */
    uint64_t until_ns;                /* of the monotonic clock */
};

/* What was searched of one log. */
struct find_range {
    uint64_t from;    /* all between this position and `below` */
    uint64_t oldest;  /* the lowest that is kept */
    uint64_t time_ns; /* when that at `from` was received; 0 = nothing was searched */
    bool unread;      /* the journal could not be read there */
};

/* NULL: no memory, or no thread. */
struct find_behind *find_behind_start(const struct find_behind_options *options) MUST_USE;
/* Whether it has ended; then the rest may be asked. */
bool find_behind_over(struct find_behind *behind);
json_t *find_behind_events(const struct find_behind *behind); /* borrowed; a list */
struct find_range find_behind_range(const struct find_behind *behind, uint32_t log);
uint64_t find_behind_records(const struct find_behind *behind); /* that were looked at */
void find_behind_end(struct find_behind *behind);               /* NULL is allowed */
