/* trace.h: the trace context of W3C, as events carry it: the attributes traceparent and tracestate of the
 * CloudEvents extension for distributed tracing.
 * Owner: pure functions. Any thread may call.
 * The router never makes or changes one: it is passed on as it came, or not at all.
 * Nothing blocks.
 * The answers are yes and no: a text that is no trace context must not become a header. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TRACE_PARENT     "traceparent"
#define TRACE_STATE      "tracestate"
#define TRACE_PARENT_MAX 255u  /* bytes; of version 00 there are 55 */
#define TRACE_STATE_MAX  1024u /* bytes; W3C asks for 512 */

/* VERSION-TRACE-PARENT-FLAGS in lower-case hexadecimal, neither id all zeros; of a version that is not known
 * yet more may follow behind another dash. */
bool trace_parent_valid(const char *text, size_t length);
/* Printable ASCII, a blank neither in front nor at the end. */
bool trace_state_valid(const char *text, size_t length);
