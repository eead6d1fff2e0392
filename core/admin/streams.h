/* streams.h: events of a pattern as server-sent events: GET /v1/events.
 * Each stream is a client of the router as any other is, so the data path knows nothing of it: what its
 * reader does not take the router keeps for it in the ring, or tells as a Gap. Owner: the admin plane; all of
 * it belongs to its thread. Nothing blocks. A stream holds ADMIN_STREAM_BYTES_MAX and what one receive gives,
 * ADMIN_STREAMS_MAX of them are open; all of them together are given ADMIN_EVENTS_PER_S. A stream that can
 * not go on ends with an `error` or an `end`; the next one is answered 503. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>

struct admin;
struct api_call;
struct streams;

struct streams *streams_new(struct admin *admin) MUST_USE; /* NULL: no memory */
/* Tells all of them that the router stops. True: a reader may still have to take that. */
bool streams_end(struct streams *streams);
/* After evhttp has been freed. Accepts NULL. */
void streams_free(struct streams *streams);

void streams_open(struct admin *admin, struct api_call *call);
