/* members.h: who holds one pattern, and how often: two sorted arrays side by side, or one member alone.
 * Owner: the pattern; one thread.
 * The numbers lie in a row, so that a set is made from them by copying.
 * Nothing blocks. Adding and dropping move at most the numbers above.
 * Adding fails with -ENOMEM (nothing has changed) or -ENOSPC (the same pattern 2^32 times). */
#pragma once

#include "core/base/check.h"
#include "core/route/route.h"

struct members {
    union {
        route_member *numbers; /* owns: `capacity` numbers, then as many times; ascending */
        struct {
            route_member number;
            uint32_t times;
        } alone; /* capacity 0: the only one, as of most patterns */
    };
    uint32_t count;
    uint32_t capacity;
};

static inline const route_member *members_numbers(const struct members *members) {
    return members->capacity == 0 ? &members->alone.number : members->numbers;
}
void members_deinit(struct members *members); /* accepts zeroed memory */
bool members_has(const struct members *members, route_member member);
/* 1 when the member is new, 0 when it held the pattern already and is counted once more. */
int members_add(struct members *members, route_member member) MUST_USE;
/* Whether the member is gone, or only counted once less. It must be there. */
bool members_drop(struct members *members, route_member member);
void members_check(const struct members *members);
