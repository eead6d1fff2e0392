/* graph.h: GET /v1/graph: which sources feed which topics, and which subscribers, queues, mailboxes, spokes
 * and rules take them.
 * Owner: the admin plane; its thread.
 * Asks the workers for topics, subscriptions and queues, one after the other, then reads the newest records
 * of the logs for their sources, a stretch each millisecond. Nothing blocks.
 * Fails by 503: too many are made at a time, or the router stops. */
#pragma once

#include "core/admin/api.h"

struct graphs;

api_handler on_graph;
/* Before the logs are gone. Accepts NULL. */
void graphs_free(struct graphs *graphs);
