/* trace.h: GET /v1/trace: the next events of a pattern, followed on their way, told as they go it.
 * Owner: the admin plane, which frees them; its thread. A handler of api.h, for its table.
 * ?topic=PATTERN&count=N&timeout_ms=T begins a trace; the answer comes with the first events that have gone
 * their way, or when there is nothing to wait for any more, and names the trace. ?trace=ID asks for those
 * that come next, until an answer says "over". A trace that nobody asks about for TRACE_LAPSE_NS ends by
 * itself. Nothing blocks: a timer looks at the traces, while there are some. More than TRACES_MAX at once are
 * answered 503. */
#pragma once

#include "core/admin/api.h"

struct admin_traces;

api_handler on_trace;

/* No worker runs any more. NULL is allowed. */
void admin_traces_free(struct admin_traces *traces);
