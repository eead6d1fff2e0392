/* event.h: a serialized CloudEvent of exactly the size that is asked for.
 * Owner: bench/load; shares no code with the router, which checks every one of them. One thread.
 * The payload sizes of the suite are the size of this whole event, not of its data.
 * Nothing blocks.
 * A size that no valid event has ends the program. */
#pragma once

#include "bench/load/buffer.h"

#include <stdbool.h>

#define EVENT_BYTES_MIN       16u /* four one-byte attributes and empty data */
#define EVENT_REALISTIC_BYTES 64u /* from here on an event has the attributes of a real one */
#define EVENT_TYPE_REALISTIC  "erp.order.created"
#define STAMP_BYTES           8u
#define STAMP_NONE            SIZE_MAX

/* Appends an event of `size` bytes that no other `number` gives. From 64 bytes up it has the attributes of a
 * real one and differs by its id; below, by what room there is. `text`: its data is text_data, which the
 * router has to check as UTF-8, instead of binary_data. Returns where in the event the first STAMP_BYTES of
 * its data lie, or STAMP_NONE when the data is shorter. */
size_t event_add(struct buffer *out, size_t size, uint64_t number, bool text);
