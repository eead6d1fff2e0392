/* lookup.h: a small table from a number to a number: open addressing, nothing is kept of what is gone.
 * Owner: whoever holds it. One thread.
 * Keys are never 0; who lets strangers choose them hashes them with a seed.
 * Nothing is allocated before the first reserve. Nothing blocks.
 * lookup_reserve fails with -ENOMEM and has changed nothing then; nothing else fails. */
#pragma once

#include "core/base/check.h"

#include <stdint.h>

#define LOOKUP_NONE UINT32_MAX /* no value; may not be put in */

struct lookup {
    uint64_t *keys;   /* owns: `capacity` keys, 0 = free, then as many values */
    uint32_t *values; /* in the same block */
    uint32_t count;
    uint32_t capacity; /* 0 or a power of two, at least twice what was reserved */
};

void lookup_deinit(struct lookup *lookup); /* accepts zeroed memory */
/* Makes room for so many keys in all. */
int lookup_reserve(struct lookup *lookup, uint32_t count) MUST_USE;
/* The value, or LOOKUP_NONE. */
uint32_t lookup_find(const struct lookup *lookup, uint64_t key);
/* Puts the key in, or changes its value. There must be room. */
void lookup_put(struct lookup *lookup, uint64_t key, uint32_t value);
void lookup_drop(struct lookup *lookup, uint64_t key); /* one that is not there is none to drop */
void lookup_check(const struct lookup *lookup);
