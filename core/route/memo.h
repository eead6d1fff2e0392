/* memo.h: which set a combination of patterns has, so that a thousand topics which match the same patterns
 * merge them once.
 * Owner: one route table; one thread.
 * Direct-mapped; a combination is compared pointer by pointer. It counts nothing: memo_forget is called
 * before any of its pointers may become invalid or mean something else.
 * Nothing blocks.
 * Nothing fails: what it does not know is merged again. */
#pragma once

#include "core/base/limits.h"
#include "core/route/route.h"

struct memo_slot {
    uint64_t epoch;
    struct route *route;
    uint64_t count;
    const void *patterns[ROUTE_MEMO_PATTERNS];
};

struct memo {
    uint64_t epoch; /* slots of another one are empty; from 1 */
    struct memo_slot slots[ROUTE_MEMO_SLOTS];
};

static inline void memo_forget(struct memo *memo) {
    memo->epoch++;
}

/* The slot for this combination of 1..ROUTE_MEMO_PATTERNS patterns; *known says whether its route is the
 * answer. If not, the caller may fill it with memo_learn. */
struct memo_slot *memo_find(struct memo *memo, void *const *patterns, uint32_t count, bool *known);
void memo_learn(struct memo *memo, struct memo_slot *slot, void *const *patterns, uint32_t count,
                struct route *route);
