/* field.h: the protobuf wire format, read and written field by field, in place.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * Readers take [p, end) and give the place behind what they read; they never look at end or beyond.
 * Nothing blocks, nothing allocates.
 * Malformed is NULL: cut off, a varint above 64 bits, a tag or length over 5 bytes, number 0, a group. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

#define VARINT_BYTES_MAX 10u
#define FIELD_HEAD_MAX   5u /* bytes of a tag or a length: what the strictest protobuf libraries accept */

enum field_type { FIELD_VARINT = 0, FIELD_FIXED64 = 1, FIELD_BYTES = 2, FIELD_FIXED32 = 5 };

/* The byte that opens field `number` (1..15) of a type. */
#define FIELD_TAG(number, type) ((uint8_t)((number) << 3 | (type)))

struct field {
    uint32_t number;
    uint32_t type;       /* enum field_type */
    uint64_t value;      /* FIELD_VARINT, FIELD_FIXED64, FIELD_FIXED32 */
    const uint8_t *data; /* FIELD_BYTES; borrows the bytes that were read */
    size_t length;       /* FIELD_BYTES */
};

/* As varint_read, for any length. */
const uint8_t *varint_read_long(const uint8_t *p, const uint8_t *end, uint64_t *value);

/* One varint; at once if it has one or two bytes. Longer forms than needed are taken, up to 10 bytes. */
static inline const uint8_t *varint_read(const uint8_t *p, const uint8_t *end, uint64_t *value) {
    if (LIKELY(p < end && p[0] < 0x80)) {
        *value = p[0];
        return p + 1;
    }
    if (LIKELY(end - p >= 2 && p[1] < 0x80)) {
        *value = (uint64_t)p[1] << 7 | (p[0] & 0x7f);
        return p + 2;
    }
    return varint_read_long(p, end, value);
}

/* As length_read, for any length. */
const uint8_t *length_read_long(const uint8_t *p, const uint8_t *end, size_t *length);

/* The length of a FIELD_BYTES field, all of whose bytes lie before end. Gives where they begin. */
static inline const uint8_t *length_read(const uint8_t *p, const uint8_t *end, size_t *length) {
    if (LIKELY(p < end && p[0] < 0x80 && p[0] < end - p)) {
        *length = p[0];
        return p + 1;
    }
    return length_read_long(p, end, length);
}

/* As field_read, for any field. */
const uint8_t *field_read_any(const uint8_t *p, const uint8_t *end, struct field *out);

/* One field, tag and all; at once if it is what nearly all are: bytes with a number of 1 to 15. */
static inline const uint8_t *field_read(const uint8_t *p, const uint8_t *end, struct field *out) {
    if (UNLIKELY(p == end || (p[0] & 0x87) != FIELD_BYTES || p[0] < 8))
        return field_read_any(p, end, out);
    out->number = p[0] >> 3;
    out->type = FIELD_BYTES;
    out->data = length_read(p + 1, end, &out->length);
    return LIKELY(out->data != NULL) ? out->data + out->length : NULL;
}

/* Bytes of the shortest varint. */
static inline uint32_t varint_size(uint64_t value) {
    return (uint32_t)(70 - __builtin_clzll(value | 1)) / 7;
}

/* Writes the shortest varint; gives the place behind it. */
static inline uint8_t *varint_write(uint8_t *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}
