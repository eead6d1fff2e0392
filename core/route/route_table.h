/* route_table.h: what a route table is made of; for route.c and for tests that look inside.
 * Owner: one worker; one thread.
 * A topic's answer comes from `remembered`; behind it, from `patterns` through `scratch`, `memo` and `sets`.
 * Nothing blocks.
 * See route.h for what fails. */
#pragma once

#include "core/route/memo.h"
#include "core/route/patterns.h"
#include "core/route/remembered.h"
#include "core/route/route.h"
#include "core/route/scratch.h"
#include "core/route/sets.h"

struct route_table {
    struct remembered remembered;
    struct sets sets;
    struct scratch scratch;
    uint64_t pairs; /* (pattern, member), each once */
    uint64_t pairs_max;
    uint64_t matches;
    uint64_t catch_ups;
    uint64_t unkept; /* answers from the reserve */
    struct patterns patterns;
    struct memo memo;
};

/* Every invariant of every part, and that the counts of references add up. For tests. */
void route_check(const struct route_table *table);
