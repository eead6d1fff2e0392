/* published.h: numbers that say how much of something is there.
 *
 * Whoever has seen the number finds all that was written before it was set.
 * Owner: the writing thread; one at a time, handed over by something else that orders. Readers: any thread.
 * Edge PUBLISHED: published_set is a release store, published_get an acquire load.
 *
 * Nothing blocks, nothing fails. What needs no order is in counter.h. */
#pragma once

#include <stdint.h>

struct published {
    uint64_t value;
};

static inline void published_set(struct published *published, uint64_t value) {
    __atomic_store_n(&published->value, value, __ATOMIC_RELEASE); /* PUBLISHED */
}
static inline uint64_t published_get(const struct published *published) {
    return __atomic_load_n(&published->value, __ATOMIC_ACQUIRE); /* PUBLISHED */
}
