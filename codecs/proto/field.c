#include "codecs/proto/field.h"

#include <string.h>

const uint8_t *varint_read_long(const uint8_t *p, const uint8_t *end, uint64_t *value) {
    uint64_t sum = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return NULL;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return p;
        }
    }
    return NULL;
}

const uint8_t *length_read_long(const uint8_t *p, const uint8_t *end, size_t *length) {
    uint64_t value;
    const uint8_t *data = varint_read(p, end, &value);
    if (!data || value > (uint64_t)(end - data) || data - p > (ptrdiff_t)FIELD_HEAD_MAX)
        return NULL;
    *length = (size_t)value;
    return data;
}

static const uint8_t *fixed_read(const uint8_t *p, const uint8_t *end, size_t size, uint64_t *value) {
    if ((size_t)(end - p) < size)
        return NULL;
    *value = 0;
    memcpy(value, p, size);
    return p + size;
}

const uint8_t *field_read_any(const uint8_t *p, const uint8_t *end, struct field *out) {
    uint64_t tag;
    const uint8_t *behind = varint_read(p, end, &tag);
    if (!behind || behind - p > (ptrdiff_t)FIELD_HEAD_MAX || tag > UINT32_MAX || tag < 8)
        return NULL;
    out->number = (uint32_t)(tag >> 3);
    out->type = (uint32_t)(tag & 7);
    switch (out->type) {
    case FIELD_VARINT:
        return varint_read(behind, end, &out->value);
    case FIELD_FIXED64:
        return fixed_read(behind, end, 8, &out->value);
    case FIELD_FIXED32:
        return fixed_read(behind, end, 4, &out->value);
    case FIELD_BYTES:
        out->data = length_read(behind, end, &out->length);
        return out->data ? out->data + out->length : NULL;
    default:
        return NULL;
    }
}
