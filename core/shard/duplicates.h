/* duplicates.h: which events of a log came lately, so that one that comes again is not stored again.
 * Owner: the home worker of the log; its thread. One such memory for each rule that asks for it.
 * An event is known by a hash of 128 bits over its topic, source and id; the events themselves are not kept.
 * Two different ones are taken for the same with a chance of N / 2^128 for each event, where N are
 * remembered: with a hundred million remembered and a million a second about once in 10^17 years. Nothing
 * blocks. Two probes of a table for each event; all memory is had when it is made: 32 bytes for each event,
 * and 8 to 16 of index. duplicates_create fails with -ENOMEM; nothing else fails: the oldest is forgotten for
 * the newest. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

struct duplicates;

struct duplicates_key {
    uint64_t low, high;
};

struct duplicates_name {
    const uint8_t *topic, *source, *id;
    size_t topic_length, source_length, id_length;
};

/* The same for the same three texts; `seed` is the process's own, so that nobody can look for collisions. */
struct duplicates_key duplicates_key(const struct duplicates_name *name, uint64_t seed);

/* Remembers the last `count` events, each for `window_ns`. */
int duplicates_create(struct duplicates **out, uint64_t window_ns, uint32_t count) MUST_USE;
void duplicates_destroy(struct duplicates *duplicates); /* NULL is allowed */

/* The sequence of the event with that key, when it is known at that time; else 0. Times are those of the wall
 * clock, in nanoseconds; one that is set back makes the window longer. */
uint64_t duplicates_find(const struct duplicates *duplicates, struct duplicates_key key, uint64_t now_ns);

/* An event was stored. One that is known already stays known as the first. Also for what was stored before
 * this memory was made: then in the order of the log. */
void duplicates_add(struct duplicates *duplicates, struct duplicates_key key, uint64_t sequence,
                    uint64_t time_ns);

/* All that is remembered, the oldest first. */
struct duplicates_known {
    struct duplicates_key key;
    uint64_t sequence;
    uint64_t time_ns;
};
const struct duplicates_known *duplicates_at(const struct duplicates *duplicates,
                                             uint64_t i);       /* below _held */
uint64_t duplicates_held(const struct duplicates *duplicates);  /* events in it now */
uint64_t duplicates_bytes(const struct duplicates *duplicates); /* memory held */
/* CHECKs its invariants; for tests. */
void duplicates_check(const struct duplicates *duplicates);
