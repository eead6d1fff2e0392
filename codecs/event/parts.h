/* parts.h: the messages inside a CloudEvent, read in place: an attribute's entry, a timestamp.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * Each comes twice: in the form that libraries write, inlined, where false says nothing; and in any form.
 * Nothing blocks, nothing allocates.
 * Malformed is false; they never look at end or beyond. */
#pragma once

#include "codecs/event/fields.h"
#include "codecs/proto/field.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One entry of the attributes' map in any form: a name and a value, each once. */
bool part_entry_read(const uint8_t *p, const uint8_t *end, struct field *name, struct field *value);

/* The same for the form that libraries write: the name, the value, nothing else, all short. */
static inline bool part_entry_plain(const uint8_t *p, size_t n, struct field *name, struct field *value) {
    if (n < 4 || n >= 0x80 || p[0] != FIELD_TAG(ENTRY_NAME, FIELD_BYTES) || p[1] > n - 4)
        return false;
    name->data = p + 2;
    name->length = p[1];
    const uint8_t *rest = name->data + name->length;
    value->data = rest + 2;
    value->length = n - 4 - name->length;
    return rest[0] == FIELD_TAG(ENTRY_VALUE, FIELD_BYTES) && rest[1] == value->length;
}

/* The numbers of a google.protobuf.Timestamp in any form, by their field numbers; zeroed by the caller. */
bool part_time_read(const uint8_t *p, const uint8_t *end, uint64_t value[3]);

/* The same for the form that libraries write: seconds, then perhaps nanos. What it has read when it says
 * false, part_time_read reads again. */
static inline bool part_time_plain(const uint8_t *p, const uint8_t *end, uint64_t value[3]) {
    if (p == end || *p != FIELD_TAG(TIME_SECONDS, FIELD_VARINT))
        return false;
    p = varint_read_long(p + 1, end, &value[TIME_SECONDS]);
    if (p && p < end && *p == FIELD_TAG(TIME_NANOS, FIELD_VARINT))
        p = varint_read_long(p + 1, end, &value[TIME_NANOS]);
    return p == end;
}
