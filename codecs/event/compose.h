/* compose.h: the parts of a serialized CloudEvent, as event_build and event_from_json put it together.
 * Owner: the caller's buffer. One thread at a time for one buffer.
 * Never the hot path: the buffer grows on the general heap.
 * Nothing blocks.
 * Running out of memory stays in the buffer until compose_done tells it. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One attribute of the map. `arm` is VALUE_STRING, VALUE_URI, ...: those that are bytes on the wire. */
void compose_attribute(struct bytes *event, const char *name, uint32_t arm, const void *data, size_t n);
/* VALUE_BOOLEAN or VALUE_INTEGER. */
void compose_number(struct bytes *event, const char *name, uint32_t arm, int32_t value);
void compose_time(struct bytes *event, const char *name, int64_t seconds, uint32_t nanos);

/* Hands the event over if event_check accepts it, else frees it and fills the fault. */
bool compose_done(struct bytes *event, uint8_t **out, size_t *length, struct fault *fault);
