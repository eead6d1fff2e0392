#include "codecs/event/compose.h"

#include "codecs/event/check.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "codecs/event/media.h"
#include "codecs/proto/field.h"
#include "core/base/limits.h"
#include "core/base/topic.h"

#include <string.h>

/* The entry around a value that is ready. */
static void entry_add(struct bytes *event, const char *name, const struct bytes *value) {
    struct bytes entry = {0};
    bytes_field(&entry, ENTRY_NAME, name, strlen(name));
    bytes_field(&entry, ENTRY_VALUE, value->data, value->length);
    bytes_field(event, EVENT_ATTRIBUTE, entry.data, entry.length);
    event->failed |= entry.failed || value->failed;
    bytes_free(&entry);
}

static void varint_add(struct bytes *message, uint32_t number, uint64_t value) {
    uint8_t field[1 + VARINT_BYTES_MAX];
    field[0] = FIELD_TAG(number, FIELD_VARINT);
    bytes_add(message, field, (size_t)(varint_write(field + 1, value) - field));
}

void compose_attribute(struct bytes *event, const char *name, uint32_t arm, const void *data, size_t n) {
    struct bytes value = {0};
    bytes_field(&value, arm, data, n);
    entry_add(event, name, &value);
    bytes_free(&value);
}

void compose_number(struct bytes *event, const char *name, uint32_t arm, int32_t number) {
    struct bytes value = {0};
    varint_add(&value, arm, (uint64_t)(int64_t)number);
    entry_add(event, name, &value);
    bytes_free(&value);
}

void compose_time(struct bytes *event, const char *name, int64_t seconds, uint32_t nanos) {
    struct bytes time = {0};
    if (seconds)
        varint_add(&time, TIME_SECONDS, (uint64_t)seconds);
    if (nanos)
        varint_add(&time, TIME_NANOS, nanos);
    event->failed |= time.failed;
    compose_attribute(event, name, VALUE_TIME, time.data, time.length);
    bytes_free(&time);
}

bool compose_done(struct bytes *event, uint8_t **out, size_t *length, struct fault *fault) {
    bool good = !event->failed;
    if (!good)
        *fault = (struct fault){.code = RH_CODE_INTERNAL, .text = "out of memory"};
    else
        good = event_check(event->data, event->length, fault);
    if (good)
        *out = bytes_take(event, length);
    else
        bytes_free(event);
    return good;
}

/* Whether the data of an event goes out as text. */
static bool wants_text(const struct event_parts *parts) {
    if (parts->binary || !parts->contenttype)
        return false;
    size_t n = strlen(parts->contenttype);
    return (media_json(parts->contenttype, n) || media_text(parts->contenttype, n)) &&
           utf8_valid(parts->data, parts->data_length);
}

bool event_build(const struct event_parts *parts, uint8_t **event, size_t *event_length,
                 struct fault *fault) {
    struct bytes out = {0};
    bytes_field(&out, EVENT_ID, parts->id, strlen(parts->id));
    bytes_field(&out, EVENT_SOURCE, parts->source, strlen(parts->source));
    bytes_field(&out, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&out, EVENT_TYPE, parts->type, strlen(parts->type));
    if (parts->time_ns)
        compose_time(&out, "time", (int64_t)(parts->time_ns / NS_PER_S),
                     (uint32_t)(parts->time_ns % NS_PER_S));
    if (parts->contenttype)
        compose_attribute(&out, "datacontenttype", VALUE_STRING, parts->contenttype,
                          strlen(parts->contenttype));
    if (parts->subject)
        compose_attribute(&out, "subject", VALUE_STRING, parts->subject, strlen(parts->subject));
    if (parts->data)
        bytes_field(&out, wants_text(parts) ? EVENT_TEXT : EVENT_BINARY, parts->data, parts->data_length);
    return compose_done(&out, event, event_length, fault);
}

/* The value of a google.protobuf.Any; an Any without one has an empty value. */
static bool any_open(struct field *any) {
    struct field field;
    const uint8_t *end = any->data + any->length;
    any->length = 0;
    for (const uint8_t *p = any->data; p < end;) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number == ANY_VALUE && field.type == FIELD_BYTES) {
            any->data = field.data;
            any->length = field.length;
        }
    }
    return true;
}

bool event_data(const uint8_t *event, size_t length, const uint8_t **data, size_t *data_length,
                uint32_t *kind) {
    struct field field;
    for (const uint8_t *p = event, *end = event + length; p < end;) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number < EVENT_BINARY || field.number > EVENT_PROTO || field.type != FIELD_BYTES)
            continue;
        *kind = field.number;
        if (field.number == EVENT_PROTO && !any_open(&field))
            return false;
        *data = field.data;
        *data_length = field.length;
        return true;
    }
    return false;
}
