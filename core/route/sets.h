/* sets.h: the route objects: each set of members exists once (hash-consing), is counted, and is freed late.
 * Owner: one route table; one thread.
 * A route nobody holds any more stays whole, and is found again if the same set is asked for, until
 * sets_release. Nothing blocks; making a set costs its length. sets_make answers NULL without memory or above
 * `bytes_max`. */
#pragma once

#include "core/route/pages.h"
#include "core/route/route.h"

struct held; /* a route and its place among those to be freed */

struct sets {
    struct pages pages; /* hash of the members -> held */
    struct held *empty; /* owns: the set of nobody, always there */
    struct held *limbo; /* owns those with no references: to be freed at the next sets_release */
    uint64_t seed;
    uint64_t bytes; /* of all routes */
    uint64_t bytes_max;
};

int sets_init(struct sets *sets, uint64_t seed, uint64_t bytes_max) MUST_USE;
void sets_deinit(struct sets *sets); /* accepts zeroed memory */

struct route *sets_empty(const struct sets *sets);
/* The set of these members, sorted and each once. It is not counted for the caller: see sets_hold. */
struct route *sets_make(struct sets *sets, const route_member *members, uint32_t count) MUST_USE;
void sets_hold(struct route *route);
void sets_let_go(struct sets *sets, struct route *route); /* accepts NULL */
/* Frees what nobody holds. Every pointer that is not counted is invalid afterwards. */
void sets_release(struct sets *sets);
/* All references together; for tests, as is sets_check. */
uint64_t sets_references(const struct sets *sets);
void sets_check(const struct sets *sets);
