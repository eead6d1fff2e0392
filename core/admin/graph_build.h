/* graph_build.h: the routing graph of what has been asked: who feeds which topics, and who takes them.
 * Owner: the caller. Any one thread.
 * Pure but for the heap; all that goes in and comes out is JSON, as the endpoints have it.
 * Nothing blocks. Bounded: `limit` nodes of each kind, GRAPH_EDGES_MAX edges; `truncated` says that there is
 * more. Fails by NULL: no memory. */
#pragma once

#include "core/base/check.h"

#include <jansson.h>
#include <stdint.h>

#define GRAPH_EDGES_MAX 10000u

/* All borrowed. What could not be asked is NULL. */
struct graph_facts {
    const json_t *topics;        /* of /v1/topics */
    const json_t *subscriptions; /* of /v1/subscriptions */
    const json_t *queues;        /* of /v1/queues */
    const json_t *feeds;         /* of feeds_told */
    const json_t *takers;        /* of admin_takers.routing */
};

/* {"nodes": [{"id", "kind", "name", "rate_per_s", "waiting", "connections"}], "edges": [{"from", "to",
 * "kind", "pattern", "filtered", "rule", "events", "rate_per_s"}], "events_looked_at", "truncated",
 * "complete"}. */
json_t *graph_build(const struct graph_facts *facts, uint32_t limit) MUST_USE;
