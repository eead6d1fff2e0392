/* find.h: GET /v1/event: an event by its source and id, in what the logs keep in memory.
 * Owner: the admin plane; its thread.
 * It reads each log as an outside reader does: a stretch of FIND_BYTES at most is copied under a gate, the
 * gate goes IDLE, then the copy is looked at; the newest first, and not for longer than FIND_NS_MAX. Nothing
 * blocks: a stretch at a time, in turn with whatever else is asked. Fails by 503: too many search at a time.
 * What is only on disk is not found. */
#pragma once

#include "core/admin/api.h"

struct finds;

api_handler on_find;
/* Before the logs are gone. Accepts NULL. */
void finds_free(struct finds *finds);
