/* explain.h: where an event would go, and what matched nobody, over HTTP.
 * Owner: the admin plane; its thread. Handlers of api.h, for its table.
 * POST /v1/explain takes an event as CloudEvents JSON, with its topic as ?topic=, or as a line of `sub`:
 * {"topic": ..., "event": {...}}. Nothing is delivered. GET /v1/unmatched lists the samples of all shards.
 * Nothing blocks: the workers are asked by a survey.
 * What is no event is answered 400 or 422, with what is wrong with it. */
#pragma once

#include "core/admin/api.h"

api_handler on_explain, on_unmatched;
