/* counter.h: numbers that one thread writes and any thread may read, for metrics.
 * Owner: the writing thread; readers see a recent value, never a torn one.
 * Relaxed everywhere: nothing is ordered by a counter, no decision may depend on one.
 * Nothing blocks.
 * Nothing fails; values wrap at 2^64. */
#pragma once

#include <stdint.h>

struct counter {
    uint64_t value;
};

static inline void counter_add(struct counter *counter, uint64_t n) {
    /* relaxed load and store, no lock prefix: there is one writer */
    __atomic_store_n(&counter->value, __atomic_load_n(&counter->value, __ATOMIC_RELAXED) + n,
                     __ATOMIC_RELAXED);
}
static inline void counter_set(struct counter *counter, uint64_t value) {
    __atomic_store_n(&counter->value, value, __ATOMIC_RELAXED);
}
static inline void counter_max(struct counter *counter, uint64_t value) {
    if (value > __atomic_load_n(&counter->value, __ATOMIC_RELAXED))
        __atomic_store_n(&counter->value, value, __ATOMIC_RELAXED);
}
static inline uint64_t counter_get(const struct counter *counter) {
    return __atomic_load_n(&counter->value, __ATOMIC_RELAXED);
}
