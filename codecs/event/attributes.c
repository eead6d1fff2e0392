#include "codecs/event/attributes.h"

#include "codecs/event/parts.h"
#include "codecs/event/rfc3339.h"
#include "core/base/limits.h"

#include <string.h>

/* ---- values ---- */

static bool stamp_read(const struct field *field, struct attribute *out) {
    uint64_t value[3] = {0};
    const uint8_t *end = field->data + field->length;
    if (!part_time_plain(field->data, end, value) && !part_time_read(field->data, end, value))
        return false;
    out->number = (int64_t)value[TIME_SECONDS];
    out->nanos = (uint32_t)value[TIME_NANOS];
    return true;
}

static bool arm_read(const struct field *field, struct attribute *out) {
    *out = (struct attribute){.kind = field->number};
    if (field->type != (field->number <= VALUE_INTEGER ? FIELD_VARINT : FIELD_BYTES))
        return false;
    switch (field->number) {
    case VALUE_BOOLEAN:
        out->number = field->value != 0;
        return true;
    case VALUE_INTEGER:
        out->number = (int32_t)(uint32_t)field->value; /* negative ones come in 32 or in 64 bits */
        return true;
    case VALUE_TIME:
        return stamp_read(field, out);
    default:
        out->data = field->data;
        out->length = field->length;
        return true;
    }
}

bool attribute_read(const uint8_t *value, size_t length, struct attribute *out) {
    const uint8_t *end = value + length;
    *out = (struct attribute){0};
    for (const uint8_t *p = value; p < end;) {
        struct field field;
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number <= VALUE_TIME)
            return arm_read(&field, out);
    }
    return true;
}

bool attribute_time(const struct attribute *attribute, int64_t *seconds, uint32_t *nanos) {
    if (attribute->kind == VALUE_STRING)
        return rfc3339_read((const char *)attribute->data, attribute->length, seconds, nanos);
    *seconds = attribute->number;
    *nanos = attribute->nanos;
    return attribute->kind == VALUE_TIME;
}

/* ---- by name ---- */

/* The field that a required attribute has of its own; EVENT_ATTRIBUTE = the name is one of the map. */
static uint32_t field_of(const char *name, size_t n) {
    static const struct {
        const char *name;
        uint32_t number;
    } own[] = {{"id", EVENT_ID},
               {"source", EVENT_SOURCE},
               {"type", EVENT_TYPE},
               {"specversion", EVENT_SPEC_VERSION}};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strlen(own[i].name) == n && memcmp(own[i].name, name, n) == 0)
            return own[i].number;
    return EVENT_ATTRIBUTE;
}

/* Whether this entry of the map has the name; if so, its value. */
static bool entry_named(const struct field *entry, const char *name, size_t n, struct field *value) {
    struct field key;
    const uint8_t *end = entry->data + entry->length;
    if (!part_entry_plain(entry->data, entry->length, &key, value) &&
        !part_entry_read(entry->data, end, &key, value))
        return false;
    return key.length == n && memcmp(key.data, name, n) == 0;
}

bool attribute_find(const uint8_t *event, size_t length, const char *name, struct attribute *out) {
    const uint8_t *end = event + length;
    size_t n = strlen(name);
    uint32_t number = field_of(name, n);
    struct field field, value;
    for (const uint8_t *p = event; p < end;) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number != number || field.type != FIELD_BYTES)
            continue;
        if (number == EVENT_ATTRIBUTE) {
            if (entry_named(&field, name, n, &value))
                return attribute_read(value.data, value.length, out);
            continue;
        }
        *out = (struct attribute){.kind = number == EVENT_SOURCE ? VALUE_URI_REF : VALUE_STRING,
                                  .data = field.data,
                                  .length = field.length};
        return true;
    }
    return false;
}

size_t attribute_copy(const uint8_t *event, size_t length, const char *name, uint8_t *out, size_t room) {
    struct attribute found;
    if (!attribute_find(event, length, name, &found) || found.data == NULL || found.kind == VALUE_BYTES)
        return 0;
    size_t taken = found.length < room ? found.length : room;
    while (taken < found.length && taken > 0 && (found.data[taken] & 0xc0u) == 0x80)
        taken--; /* no half character */
    memcpy(out, found.data, taken);
    return taken;
}

bool attribute_expiry(const uint8_t *event, size_t length, uint64_t *ns) {
    struct attribute attribute;
    int64_t seconds;
    uint32_t nanos;
    if (!attribute_find(event, length, ATTRIBUTE_EXPIRY, &attribute) ||
        !attribute_time(&attribute, &seconds, &nanos))
        return false;
    if (seconds < 0)
        *ns = 0;
    else if ((uint64_t)seconds >= UINT64_MAX / NS_PER_S)
        *ns = UINT64_MAX;
    else
        *ns = (uint64_t)seconds * NS_PER_S + nanos;
    return true;
}
