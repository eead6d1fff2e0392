/* seen.h: which events came since the last Position, so that those which come again after a reconnect are
 * told apart. Owner: one rh_client; its thread. Per topic the last sequence is remembered: a topic is
 * delivered in order and its sequences grow, so after resuming, an event is a repetition exactly when its
 * sequence is not above the remembered one. A Position covers everything before it, and what is covered is
 * forgotten. Nothing blocks; memory grows on use to SEEN_TOPICS_MAX topics (2 MiB). Fails by being unsure:
 * with more topics than that, or without memory, a repetition may pass; it is then marked. */
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
    uint64_t sequence;
    uint32_t generation; /* when it was written; 0 = never */
    bool carried;        /* from an earlier connection, and not passed since */
};

struct seen {
    struct seen_entry *entries; /* owns; NULL until the first event */
    uint64_t seed;
    uint32_t capacity;   /* a power of two */
    uint32_t used;       /* entries that are not empty, those of older generations included */
    uint32_t generation; /* rises with each Position; never 0 */
    bool overflowed;     /* an event of this generation could not be noted */
    bool unsure;         /* an event of an earlier connection was not noted, and may come again */
};

void seen_init(struct seen *seen, uint64_t seed);
void seen_deinit(struct seen *seen); /* takes zeroed memory, too */

/* Notes an event that came, and says whether it came before the last reconnect. */
enum seen_verdict seen_note(struct seen *seen, const uint8_t *topic, size_t length, uint64_t sequence);
/* A Position came: all events so far lie before it. */
void seen_cover(struct seen *seen);
/* The connection is gone: what was noted and is not covered may come again. */
void seen_carry(struct seen *seen);
/* Nothing unsure is left over from before the reconnect. */
void seen_settle(struct seen *seen);
/* Another run of the server: sequences begin anew. */
void seen_reset(struct seen *seen);
