#include "core/route/scratch.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>

#define RESERVE_MEMBERS_MIN 64u

static int scratch_grow_reserve(struct route **reserve, size_t *capacity, uint64_t pairs) {
    if (pairs <= *capacity)
        return 0;
    size_t members = *capacity ? *capacity : RESERVE_MEMBERS_MIN;
    while (members < pairs)
        members *= 2;
    struct route *larger = heap_take_raw(sizeof *larger + members * sizeof(route_member));
    if (!larger)
        return -ENOMEM;
    heap_give(*reserve);
    *reserve = larger;
    *capacity = members;
    return 0;
}

int scratch_grow(struct scratch *scratch, uint64_t patterns, uint64_t pairs) {
    if (heap_grow((void **)&scratch->found, &scratch->found_capacity, patterns, sizeof *scratch->found) ||
        heap_grow((void **)&scratch->ends, &scratch->ends_capacity, patterns, sizeof *scratch->ends))
        return -ENOMEM;
    for (uint32_t i = 0; i < 2; i++)
        if (heap_grow((void **)&scratch->merged[i], &scratch->merged_capacity[i], pairs,
                      sizeof(route_member)) ||
            scratch_grow_reserve(&scratch->reserve[i], &scratch->reserve_capacity[i], pairs))
            return -ENOMEM;
    return 0;
}

void scratch_deinit(struct scratch *scratch) {
    heap_give(scratch->found);
    heap_give(scratch->ends);
    for (uint32_t i = 0; i < 2; i++) {
        heap_give(scratch->merged[i]);
        heap_give(scratch->reserve[i]);
    }
    *scratch = (struct scratch){0};
}

/* Lays the members of the found patterns in a row: one ascending run each. */
static void scratch_gather(struct scratch *scratch, uint32_t count) {
    uint32_t filled = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct pattern *pattern = scratch->found[i];
        const struct members *members = &pattern->members;
        memcpy(scratch->merged[0] + filled, members_numbers(members), members->count * sizeof(route_member));
        filled += members->count;
        scratch->ends[i] = filled;
    }
}

/* Two ascending runs into one without doubles; returns its length. */
static uint32_t merge_two(route_member *to, const route_member *a, const route_member *a_end,
                          const route_member *b, const route_member *b_end) {
    route_member *begin = to;
    while (a < a_end && b < b_end) {
        route_member next = *a < *b ? *a : *b;
        a += *a == next;
        b += *b == next;
        *to++ = next;
    }
    memcpy(to, a, (size_t)(a_end - a) * sizeof *a);
    to += a_end - a;
    memcpy(to, b, (size_t)(b_end - b) * sizeof *b);
    return (uint32_t)(to + (b_end - b) - begin);
}

/* Merges runs two by two, which halves their number (rounded up). A run without a partner merges with an
 * empty one. */
static uint32_t merge_pass(const route_member *from, route_member *to, uint32_t *ends, uint32_t runs) {
    uint32_t begin = 0, filled = 0;
    for (uint32_t i = 0; i < runs; i += 2) {
        uint32_t middle = ends[i], end = i + 1 < runs ? ends[i + 1] : middle;
        filled += merge_two(to + filled, from + begin, from + middle, from + middle, from + end);
        ends[i / 2] = filled;
        begin = end;
    }
    return (runs + 1) / 2;
}

const route_member *scratch_merge(struct scratch *scratch, uint32_t count, uint32_t *members) {
    scratch_gather(scratch, count);
    uint32_t runs = count, from = 0;
    while (runs > 1) {
        runs = merge_pass(scratch->merged[from], scratch->merged[1 - from], scratch->ends, runs);
        from = 1 - from;
    }
    *members = scratch->ends[0];
    return scratch->merged[from];
}

const struct route *scratch_reserve(struct scratch *scratch, const route_member *members, uint32_t count) {
    struct route *route = scratch->reserve[scratch->reserve_next];
    CHECK(count <= scratch->reserve_capacity[scratch->reserve_next]);
    scratch->reserve_next = 1 - scratch->reserve_next;
    *route = (struct route){.count = count};
    memcpy(route->members, members, count * sizeof *members);
    return route;
}
