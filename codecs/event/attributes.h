/* attributes.h: finds one attribute of an event by its name, in the serialized bytes.
 * Owner: pure functions over the caller's bytes; what they give borrows those. Any thread may call.
 * For events that event_check has accepted; any other bytes are safe too, but what is found may be nonsense.
 * Nothing blocks, nothing is unpacked or allocated: one walk over the fields, up to the attribute.
 * "It has none" is false. */
#pragma once

#include "codecs/event/fields.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attribute {
    uint32_t kind;       /* VALUE_... of fields.h; 0 = of a type unknown here */
    uint32_t nanos;      /* VALUE_TIME */
    int64_t number;      /* VALUE_BOOLEAN: 0 or 1; VALUE_INTEGER; VALUE_TIME: seconds since 1970 */
    const uint8_t *data; /* of VALUE_STRING, VALUE_BYTES, VALUE_URI, VALUE_URI_REF; else NULL */
    size_t length;
};

/* The attribute of a name as CloudEvents spells it, such as "id", "specversion", "subject", "partitionkey".
 * Of the required ones, source is a VALUE_URI_REF, and the others are VALUE_STRING. */
bool attribute_find(const uint8_t *event, size_t length, const char *name, struct attribute *out);
/* The beginning of an attribute that is text, in whole characters, at most `room` bytes of it; how many. 0:
 * it has none, or that is no text. */
size_t attribute_copy(const uint8_t *event, size_t length, const char *name, uint8_t *out, size_t room);

/* Reads a serialized CloudEventAttributeValue. False: it is malformed. */
bool attribute_read(const uint8_t *value, size_t length, struct attribute *out);

/* The point in time that an attribute is: a timestamp, or a text in RFC 3339. */
bool attribute_time(const struct attribute *attribute, int64_t *seconds, uint32_t *nanos);

/* When an event expires by its own expirytime, in nanoseconds since 1970: 0 for a time before that,
 * UINT64_MAX for one beyond what 64 bits hold (the year 2554). */
bool attribute_expiry(const uint8_t *event, size_t length, uint64_t *ns);

#define ATTRIBUTE_EXPIRY "expirytime"
