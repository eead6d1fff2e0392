/* api_table.c: what the router offers over HTTP beside the pages of pages.c. */
#include "core/admin/api.h"
#include "core/admin/config.h"
#include "core/admin/explain.h"
#include "core/admin/find.h"
#include "core/admin/graph.h"
#include "core/admin/openapi.h"
#include "core/admin/slots.h"
#include "core/admin/streams.h"
#include "core/admin/surveys.h"
#include "core/admin/trace.h"

const struct api_endpoint api_table[] = {
    {"GET", "/v1/router", on_router, "which version runs, since when, and how it reaches the network", "", 0},
    {"GET", "/v1/shards", on_shards, "what each shard has and does", "", 0},
    {"GET", "/v1/slots", slots_run, "which shard has each slot, and how many records came there", "", 0},
    {"GET", "/v1/queues", on_queues, "queues and mailboxes, the one with most to do first", "limit", 0},
    {"GET", "/v1/graph", on_graph, "which sources feed which topics, and who takes them", "limit", 0},
    {"GET", "/v1/connections", on_connections, "who is connected, the furthest behind first", "limit", 0},
    {"GET", "/v1/subscriptions", on_subscriptions, "what is subscribed to, the furthest behind first",
     "limit", 0},
    {"GET", "/v1/laggards", on_laggards, "who is slow, and who was within the last hour, the worst first",
     "limit", 0},
    {"GET", "/v1/config", config_show_run, "the config that runs: keys, values, where they are from", "", 0},
    {"POST", "/v1/config", config_want_run, "another config, as YAML: what changes, and its application",
     CONFIG_WANT_QUERY, API_BODY},
    {"POST", "/v1/explain", on_explain, "who would get an event, and who would not, and why", "topic limit",
     API_BODY},
    {"GET", "/v1/trace", on_trace, "the next events of a pattern on their way, as they go it",
     "topic count timeout_ms trace", 0},
    {"GET", "/v1/unmatched", on_unmatched, "events that matched nobody, the last ones first", "limit", 0},
    {"GET", "/v1/events", streams_open, "events as they come, as server-sent events", "match from filter", 0},
    {"GET", "/v1/topics", on_topics, "topics by their rate, with what the logs have of them",
     "match limit sort", 0},
    {"GET", "/v1/event", on_find, "an event by its source and id, in what is kept", "source id all seconds",
     0},
    {"GET", "/v1/openapi.json", on_openapi, "all of this, described (OpenAPI 3.1)", "", 0},
    {0},
};
