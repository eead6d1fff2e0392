#include "codecs/event/parts.h"

bool part_entry_read(const uint8_t *p, const uint8_t *end, struct field *name, struct field *value) {
    struct field field;
    name->data = value->data = NULL;
    while (p < end) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number > ENTRY_VALUE)
            continue;
        struct field *slot = field.number == ENTRY_NAME ? name : value;
        if (field.type != FIELD_BYTES || slot->data)
            return false;
        *slot = field;
    }
    return name->data && value->data;
}

bool part_time_read(const uint8_t *p, const uint8_t *end, uint64_t value[3]) {
    struct field field;
    uint32_t seen = 0;
    while (p < end) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number > TIME_NANOS)
            continue;
        if (field.type != FIELD_VARINT || (seen & 1u << field.number))
            return false;
        seen |= 1u << field.number;
        value[field.number] = field.value;
    }
    return true;
}
