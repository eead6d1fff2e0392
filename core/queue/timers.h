/* timers.h: which of many is due first: a binary heap of (due, item), where each item is in it at most once.
 * Owner: whoever holds it. One thread; it reads no clock.
 * Items are small dense numbers, `due` is any growing number: a time, an order.
 * Nothing blocks. Setting and dropping cost the logarithm of how many are in it, and allocate nothing.
 * timers_reserve fails with -ENOMEM and has changed nothing then; nothing else fails. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMERS_NEVER UINT64_MAX /* what timers_due answers when nothing is in it */

struct timer {
    uint64_t due;
    uint32_t item;
};

struct timers {
    struct timer *heap; /* owns; no child is due before its parent */
    uint32_t *places;   /* owns; by item: where it is in the heap, plus one; 0 = nowhere */
    uint32_t count;
    uint32_t capacity; /* items there may be */
};

void timers_deinit(struct timers *timers); /* accepts zeroed memory */
/* Makes room for the items 0 to `items` - 1. */
int timers_reserve(struct timers *timers, uint32_t items) MUST_USE;
/* Puts the item in, or moves it. It must be below what was reserved. */
void timers_set(struct timers *timers, uint32_t item, uint64_t due);
void timers_drop(struct timers *timers, uint32_t item); /* one that is not in it stays out */
static inline bool timers_has(const struct timers *timers, uint32_t item) {
    return item < timers->capacity && timers->places[item];
}
static inline uint64_t timers_due(const struct timers *timers) {
    return timers->count ? timers->heap[0].due : TIMERS_NEVER;
}
/* The item that is due first. There must be one. */
static inline uint32_t timers_first(const struct timers *timers) {
    CHECK(timers->count);
    return timers->heap[0].item;
}
void timers_check(const struct timers *timers);
