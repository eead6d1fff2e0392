/* shown.h: an event as the admin plane shows it, in streams and in what a search finds: JSON with its topic,
 * its sequence and itself, and what a canonical message in it says.
 * Owner: the admin plane's thread; text is appended to the caller's buffer.
 * Nothing blocks; the general heap is used.
 * Fails by bytes.failed. An event that is too large to be shown, or can not be, is null. */
#pragma once

#include "codecs/event/bytes.h"

#include <stddef.h>
#include <stdint.h>

struct shown {
    const char *topic; /* UTF-8 */
    size_t topic_length;
    uint64_t sequence;
    const uint8_t *event; /* serialized */
    size_t event_length;
};

/* The members of an object, without its braces: topic, sequence (a string: many readers of JSON round numbers
 * above 2^53), event, bytes, and `message` where its data is a canonical message. */
void shown_write(struct bytes *out, const struct shown *shown);
