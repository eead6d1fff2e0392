/* seen.h: which events came since the last Position, so that those which come again after a reconnect are
 * told apart. Owner: one rh_client; its thread. Within a pass, which is a connection up to where the next
 * subscription resumes, the sequences of a topic grow and none is left out: so of each topic the stretch from
 * the first to the last is remembered, that of this pass and that of earlier ones. An event in the latter is
 * a repetition; one below it may never have come, for another subscription may have resumed further back. A
 * Position covers everything before it, and what is covered is forgotten. Nothing blocks; memory grows on use
 * to SEEN_TOPICS_MAX topics (3.5 MiB). Fails by being unsure: with more topics than that, without memory, or
 * with two separate stretches of one topic, a repetition may pass; it is then marked. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEN_TOPICS_MAX 32768u

enum seen_verdict { SEEN_NEW, SEEN_REPEATED, SEEN_UNSURE };

/* Topics are compared by 128 bits of a hash with a random seed. */
struct seen_entry {
    uint64_t low;
    uint64_t high;
    uint64_t had_first, had_last; /* came in earlier passes and may come again; 0 = nothing */
    uint64_t first, last;         /* came in this pass; 0 = nothing */
    uint32_t generation;          /* when it was written; 0 = never */
    bool open;                    /* what comes next follows right behind had_last */
};

struct seen {
    struct seen_entry *entries; /* owns; NULL until the first event */
    uint64_t seed;
    uint32_t capacity;   /* a power of two */
    uint32_t used;       /* entries that are not empty, those of older generations included */
    uint32_t generation; /* rises with each Position; never 0 */
    bool overflowed;     /* an event of this generation could not be noted */
    bool noted;          /* something came in this pass */
    bool unsure;         /* an event of an earlier pass was not noted, and may come again */
};

void seen_init(struct seen *seen, uint64_t seed);
void seen_deinit(struct seen *seen); /* takes zeroed memory, too */

/* Notes an event that came, and says whether it came before the last reconnect. */
enum seen_verdict seen_note(struct seen *seen, const uint8_t *topic, size_t length, uint64_t sequence);
/* A Position came: all events so far lie before it. */
void seen_cover(struct seen *seen);
/* A new pass begins: what was noted and is not covered may come again. `goes_on`: the connection lasts, and
 * goes back for one subscription only; else it is gone. */
void seen_carry(struct seen *seen, bool goes_on);
/* Nothing unsure is left over from before the reconnect. */
void seen_settle(struct seen *seen);
/* Another run of the server: sequences begin anew. */
void seen_reset(struct seen *seen);
