/* route.h: one worker's view of who wants what: topic id -> the set of its local subscribers.
 * Owner: one worker; one thread. Pure data: it knows no log, no connection, no protocol.
 * Topics with the same set share one route object. Tables are bounded and may forget; a forgotten route is
 * matched again. Nothing blocks. route_of costs one probe when the topic is known; matching a new topic costs
 * its depth in the wildcard trie. Subscribing fails with -ENOMEM or -ENOSPC (limit); nothing else fails (an
 * allocation that route_of can not have makes it answer an uncached route from a reserve, never a wrong one).
 */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A subscriber, as the worker numbers its connections: small and dense (they index bitmaps or arrays). */
typedef uint32_t route_member;

/* Sorted, each member once. Shared and counted inside the table; borrowed by the caller until the next
 * route_* call that changes subscriptions (subscribe, unsubscribe, end_generation). Two topics with the same
 * set have the same pointer within one generation. A set that can not be kept, without memory or above
 * ROUTE_SETS_BYTES_MAX, comes from a reserve of two: it differs from the answer before, and stays whole until
 * the next call of route_of but one. */
struct route {
    uint64_t private_hash;
    uint32_t references;
    uint32_t count;
    route_member members[];
};

struct route_table;

struct route_config {
    uint32_t topics;        /* remembered topic ids at most */
    uint32_t subscriptions; /* (pattern, member) pairs at most */
    uint64_t seed;          /* of the tables, per process */
};

int route_create(struct route_table **out, const struct route_config *config) MUST_USE;
void route_destroy(struct route_table *table);

/* Another number of pairs at most; those that are there stay. */
void route_limit(struct route_table *table, uint32_t subscriptions);
/* Adds or removes one (pattern, member); counted, so that two subscriptions of one connection may hold the
 * same pattern. Patterns are valid (pattern_valid). They take effect at once for route_of, and belong to the
 * generation that route_end_generation closes: all changes of one turn are one generation. Removing what is
 * not there is a CHECK. Refused subscriptions change nothing. */
int route_subscribe(struct route_table *table, const uint8_t *pattern, uint32_t length,
                    route_member member) MUST_USE;
void route_unsubscribe(struct route_table *table, const uint8_t *pattern, uint32_t length,
                       route_member member);
/* Frees the sets that nobody uses any more. To be called once a turn, also in a turn without changes, when no
 * route is in the caller's hands: forgetting topics leaves sets behind that only this can free. */
void route_end_generation(struct route_table *table);

/* The subscribers of a topic. `id` is the writer's, never 0; `name` (length bytes) is read only when the id
 * is not remembered or is behind. Never NULL; a route without members has count 0. A remembered route that is
 * behind tests only the patterns changed since (the last ROUTE_CHANGES_KEPT); if one of them concerns the
 * topic, or more have changed, it is matched again. A literal change touches one entry and leaves all others
 * as right as they were. */
const struct route *route_of(struct route_table *table, uint64_t id, const uint8_t *name, uint32_t length);

/* Whether any pattern here matches a topic. Costs a match, and remembers nothing. */
bool route_wanted(struct route_table *table, const uint8_t *name, uint32_t length);
/* Calls `visit` for each pattern that matches a topic, the literal first, with its members (sorted, each
 * once), which it must not change. The same costs. */
typedef void route_visit(void *context, const uint8_t *pattern, uint32_t length, const route_member *members,
                         uint32_t count);
void route_matches(struct route_table *table, const uint8_t *name, uint32_t length, route_visit *visit,
                   void *context);

struct route_counts {
    uint64_t patterns;  /* (pattern, member) pairs */
    uint64_t routes;    /* distinct route objects, the empty one and those not yet freed included */
    uint64_t topics;    /* topic ids remembered */
    uint64_t evicted;   /* topic ids forgotten */
    uint64_t matches;   /* full matches in the trie */
    uint64_t catch_ups; /* stale routes found right by the change log */
};
void route_counts(const struct route_table *table, struct route_counts *out);
