/* bridge/trace.h: the trace context that came beside an event, as headers of HTTP, becomes attributes of it.
 * Owner: whoever has it inside. Zeroed is none.
 * Any thread may call.
 * Nothing blocks; the general heap is used.
 * Fails by leaving the event as it is. */
#pragma once

#include "codecs/event/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace {
    char parent[TRACE_PARENT_MAX + 1];
    char state[TRACE_STATE_MAX + 1]; /* "": none */
};

/* Texts of headers, NULL: none. False, and zeroed, when there is no valid traceparent; a tracestate that is
 * not valid is left out. */
bool trace_set(struct trace *trace, const char *parent, const char *state);

/* *out is an event with the attributes, freed by the caller. False: nothing was made, `event` is used as it
 * is: there is no trace, the event has a traceparent of its own, or there is no room for it. */
bool trace_add(const struct trace *trace, const uint8_t *event, size_t length, uint8_t **out,
               size_t *out_length);
