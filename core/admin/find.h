/* find.h: GET /v1/event: an event by its source and id, in what the logs keep.
 * Owner: the admin plane; its thread.
 * It reads each ring as an outside reader does: a stretch of FIND_BYTES at most is copied under a gate, the
 * gate goes IDLE, then the copy is looked at; the newest first. Then, where there is a journal and nothing
 * was found (or all is asked for), that on a thread of its own (find_behind.h), within the same time. Nothing
 * blocks: a stretch at a time, in turn with whatever else is asked. What was searched is told.
 * Fails by 503: too many search at a time, or the router stops. */
#pragma once

#include "core/admin/api.h"

struct finds;

api_handler on_find;
/* Before the logs are gone. Accepts NULL. */
void finds_free(struct finds *finds);
