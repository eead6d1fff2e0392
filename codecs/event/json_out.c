#include "codecs/event/json.h"

#include "codecs/event/base64.h"
#include "codecs/event/bytes.h"
#include "codecs/event/check.h"
#include "codecs/event/fields.h"
#include "codecs/event/json_text.h"
#include "codecs/event/media.h"
#include "codecs/event/rfc3339.h"
#include "codecs/proto/field.h"

#include <stdio.h>
#include <string.h>

/* A slice of the event; data NULL = absent. */
struct part {
    const char *data;
    size_t length;
};

/* What has to be known before the first byte is written. */
struct overview {
    struct part required[EVENT_TYPE + 1];
    struct part contenttype, dataschema;
    struct field data; /* number 0 = none */
};

static struct part part_of(const struct field *field) {
    return (struct part){(const char *)field->data, field->length};
}

static bool part_is(struct part part, const char *text) {
    return part.length == strlen(text) && memcmp(part.data, text, part.length) == 0;
}

/* The first known field of a message that has been checked, number 0 if there is none. */
static struct field arm_find(const struct field *message, uint32_t number_max) {
    struct field field;
    const uint8_t *end = message->data + message->length;
    for (const uint8_t *p = message->data; p < end;) {
        p = field_read(p, end, &field);
        if (field.number <= number_max)
            return field;
    }
    return (struct field){0};
}

/* The fields 1 and 2 of a message that has been checked: an entry of the map, a Timestamp, an Any. */
static void pair_read(const struct field *message, struct field pair[3]) {
    struct field field;
    const uint8_t *end = message->data + message->length;
    memset(pair, 0, 3 * sizeof *pair);
    for (const uint8_t *p = message->data; p < end;) {
        p = field_read(p, end, &field);
        if (field.number <= 2)
            pair[field.number] = field;
    }
}

static void overview_attribute(struct overview *overview, const struct field *entry) {
    struct field pair[3];
    pair_read(entry, pair);
    struct part name = part_of(&pair[ENTRY_NAME]);
    struct field arm = arm_find(&pair[ENTRY_VALUE], VALUE_TIME);
    if (part_is(name, "dataschema"))
        overview->dataschema = part_of(&arm);
    bool text = arm.number == VALUE_STRING || arm.number == VALUE_URI || arm.number == VALUE_URI_REF;
    if (text && part_is(name, "datacontenttype"))
        overview->contenttype = part_of(&arm);
}

static void overview_read(const uint8_t *event, size_t length, struct overview *overview) {
    struct field field;
    const uint8_t *end = event + length;
    *overview = (struct overview){0};
    for (const uint8_t *p = event; p < end;) {
        p = field_read(p, end, &field);
        if (field.number < EVENT_ATTRIBUTE)
            overview->required[field.number] = part_of(&field);
        else if (field.number == EVENT_ATTRIBUTE)
            overview_attribute(overview, &field);
        else if (field.number <= EVENT_PROTO)
            overview->data = field;
    }
}

/* ---- members ---- */

static void name_add(struct bytes *out, const char *name, size_t n) {
    bytes_add(out, ",\"", 2);
    bytes_add(out, name, n);
    bytes_add(out, "\":", 2);
}

static void base64_add(struct bytes *out, const uint8_t *data, size_t n) {
    bytes_add(out, "\"", 1);
    char *room = (char *)bytes_grow(out, BASE64_LENGTH(n));
    if (room)
        base64_encode(data, n, room);
    bytes_add(out, "\"", 1);
}

static void time_add(struct bytes *out, const struct field *timestamp) {
    struct field pair[3];
    char text[RFC3339_BYTES];
    pair_read(timestamp, pair);
    size_t n = rfc3339_write((int64_t)pair[TIME_SECONDS].value, (uint32_t)pair[TIME_NANOS].value, text);
    json_string_add(out, text, n);
}

static void value_add(struct bytes *out, const struct field *arm) {
    char number[16];
    switch (arm->number) {
    case VALUE_BOOLEAN:
        bytes_text(out, arm->value ? "true" : "false");
        return;
    case VALUE_INTEGER:
        snprintf(number, sizeof number, "%d", (int32_t)(uint32_t)arm->value);
        bytes_text(out, number);
        return;
    case VALUE_BYTES:
        base64_add(out, arm->data, arm->length);
        return;
    case VALUE_TIME:
        time_add(out, arm);
        return;
    default:
        json_string_add(out, (const char *)arm->data, arm->length);
    }
}

static void attributes_add(struct bytes *out, const uint8_t *event, size_t length) {
    struct field field, pair[3];
    const uint8_t *end = event + length;
    for (const uint8_t *p = event; p < end;) {
        p = field_read(p, end, &field);
        if (field.number != EVENT_ATTRIBUTE)
            continue;
        pair_read(&field, pair);
        struct field arm = arm_find(&pair[ENTRY_VALUE], VALUE_TIME);
        name_add(out, (const char *)pair[ENTRY_NAME].data, pair[ENTRY_NAME].length);
        value_add(out, &arm);
    }
}

static void required_add(struct bytes *out, const struct overview *overview) {
    static const char *const names[] = {
        [EVENT_ID] = ",\"id\":", [EVENT_SOURCE] = ",\"source\":", [EVENT_TYPE] = ",\"type\":"};
    bytes_text(out, "{\"specversion\":\"1.0\"");
    for (unsigned number = EVENT_ID; number <= EVENT_TYPE; ++number) {
        if (number == EVENT_SPEC_VERSION)
            continue;
        bytes_text(out, names[number]);
        json_string_add(out, overview->required[number].data, overview->required[number].length);
    }
}

/* A protobuf payload loses its type in JSON, so the attributes tell it where they say nothing else. */
static void proto_add(struct bytes *out, const struct overview *overview) {
    struct field any[3];
    pair_read(&overview->data, any);
    if (!overview->contenttype.data)
        bytes_text(out, ",\"datacontenttype\":\"application/protobuf\"");
    if (!overview->dataschema.data && any[ANY_TYPE_URL].length) {
        bytes_text(out, ",\"dataschema\":");
        json_string_add(out, (const char *)any[ANY_TYPE_URL].data, any[ANY_TYPE_URL].length);
    }
    bytes_text(out, ",\"data_base64\":");
    base64_add(out, any[ANY_VALUE].data, any[ANY_VALUE].length);
}

/* Text that claims to be JSON and is not travels as the bytes it is: a string would be another value. */
static void text_add(struct bytes *out, const struct overview *overview) {
    const char *text = (const char *)overview->data.data;
    size_t n = overview->data.length;
    struct part type = overview->contenttype;
    if (!type.data || !media_json(type.data, type.length)) {
        bytes_text(out, ",\"data\":");
        json_string_add(out, text, n);
    } else if (json_text_fault(text, n, false)) {
        bytes_text(out, ",\"data_base64\":");
        base64_add(out, overview->data.data, n);
    } else {
        bytes_text(out, ",\"data\":");
        json_text_add(out, text, n);
    }
}

static void data_add(struct bytes *out, const struct overview *overview) {
    switch (overview->data.number) {
    case EVENT_BINARY:
        bytes_text(out, ",\"data_base64\":");
        base64_add(out, overview->data.data, overview->data.length);
        return;
    case EVENT_TEXT:
        text_add(out, overview);
        return;
    case EVENT_PROTO:
        proto_add(out, overview);
        return;
    default:
        return;
    }
}

bool event_to_json(const uint8_t *event, size_t length, char **text, size_t *text_length,
                   struct fault *fault) {
    struct overview overview;
    struct bytes out = {0};
    if (!event_check(event, length, fault))
        return false;
    overview_read(event, length, &overview);
    required_add(&out, &overview);
    attributes_add(&out, event, length);
    data_add(&out, &overview);
    bytes_text(&out, "}");
    *text = (char *)bytes_take(&out, text_length);
    if (!*text)
        *fault = (struct fault){.code = RH_CODE_INTERNAL, .text = "out of memory"};
    return *text != NULL;
}
