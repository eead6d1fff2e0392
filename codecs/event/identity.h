/* identity.h: what makes two CloudEvents the same one: source and id, as one number.
 * Owner: codecs/event. Pure functions over the caller's bytes; any thread may call.
 * The number is the same in every run and on every machine: it is kept in the journal.
 * Nothing blocks, nothing allocates.
 * Bytes that are no event, or lack one of the two, have the number 0; so does no event. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t event_identity(const uint8_t *event, size_t length);
