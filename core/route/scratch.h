/* scratch.h: the room that matching a topic needs, taken while subscribing, so that matching itself never
 * allocates.
 * Owner: one route table; one thread.
 * `found` holds the patterns of one match; two arrays merge their members; two routes in reserve answer
 * when a set can not be kept.
 * Nothing blocks; merging n members of k patterns costs n log k.
 * scratch_grow fails with -ENOMEM and leaves what there was. */
#pragma once

#include "core/route/patterns.h"

struct scratch {
    void **found;             /* owns; struct pattern *, room for all patterns */
    uint32_t *ends;           /* owns; where the run of each found pattern ends while merging */
    route_member *merged[2];  /* owns; room for all (pattern, member) pairs */
    struct route *reserve[2]; /* owns; room for all pairs */
    size_t found_capacity;
    size_t ends_capacity;
    size_t merged_capacity[2];
    size_t reserve_capacity[2];
    uint32_t reserve_next;
};

int scratch_grow(struct scratch *scratch, uint64_t patterns, uint64_t pairs) MUST_USE;
void scratch_deinit(struct scratch *scratch); /* accepts zeroed memory */

/* The members of the first `count` found patterns (at least 1), sorted and each once; borrowed until the next
 * merge. */
const route_member *scratch_merge(struct scratch *scratch, uint32_t count, uint32_t *members);
/* A route with these members that lasts until the next but one. */
const struct route *scratch_reserve(struct scratch *scratch, const route_member *members, uint32_t count);
