#include "codecs/event/json.h"

#include "codecs/event/base64.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/event/json_text.h"
#include "codecs/event/media.h"
#include "codecs/event/rfc3339.h"

#include <jansson.h>
#include <string.h>

/* Where each part is kept until all members are known: the order of members in JSON is anybody's. */
struct reading {
    struct fault *fault;
    json_t *required[EVENT_TYPE + 1]; /* owns; by field number */
    json_t *contenttype;              /* owns; NULL = none */
    struct bytes attributes;
    struct json_member data; /* key NULL = none */
    json_t *base64;          /* owns */
};

static bool refuse(struct fault *fault, const char *text, const char *field) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .text = text, .field = field};
    return false;
}

/* ---- members ---- */

static bool attribute_text(struct reading *reading, const char *name, const json_t *value) {
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    if (strcmp(name, "time") == 0) {
        int64_t seconds;
        uint32_t nanos;
        if (!rfc3339_read(text, n, &seconds, &nanos))
            return refuse(reading->fault, "time is not a timestamp such as 2026-02-28T09:30:00Z", "time");
        compose_time(&reading->attributes, name, seconds, nanos);
        return true;
    }
    bool uri = strcmp(name, "dataschema") == 0;
    compose_attribute(&reading->attributes, name, uri ? VALUE_URI : VALUE_STRING, text, n);
    return true;
}

/* `value` is NULL for what jansson can not hold: an integer of more than 64 bits. */
static bool attribute_read(struct reading *reading, const char *name, const json_t *value) {
    bool core = strcmp(name, "time") == 0 || strcmp(name, "dataschema") == 0 || strcmp(name, "subject") == 0;
    if (json_is_null(value))
        return true;
    if (json_is_string(value))
        return attribute_text(reading, name, value);
    if (core)
        return refuse(reading->fault, "time, dataschema and subject are strings", "attributes");
    if (json_is_boolean(value)) {
        compose_number(&reading->attributes, name, VALUE_BOOLEAN, json_is_true(value));
        return true;
    }
    json_int_t number = json_integer_value(value);
    if (!value || (json_is_integer(value) && (number < INT32_MIN || number > INT32_MAX)))
        return refuse(reading->fault, "an integer attribute does not fit into 32 bits", "attributes");
    if (!json_is_integer(value))
        return refuse(reading->fault, "an attribute is a string, true, false or an integer", "attributes");
    compose_number(&reading->attributes, name, VALUE_INTEGER, (int32_t)number);
    return true;
}

/* The place of a member that is not simply an attribute of the map, or NULL. */
static json_t **slot_of(struct reading *reading, const char *name) {
    static const char *const names[] = {[EVENT_ID] = "id",
                                        [EVENT_SOURCE] = "source",
                                        [EVENT_SPEC_VERSION] = "specversion",
                                        [EVENT_TYPE] = "type"};
    for (unsigned number = EVENT_ID; number <= EVENT_TYPE; ++number)
        if (strcmp(name, names[number]) == 0)
            return &reading->required[number];
    if (strcmp(name, "datacontenttype") == 0)
        return &reading->contenttype;
    return strcmp(name, "data_base64") == 0 ? &reading->base64 : NULL;
}

/* Parses one value that is known to be JSON; NULL for an integer of more than 64 bits. */
static json_t *value_parse(const char *text, size_t n) {
    return json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static bool member_read(struct reading *reading, const char *name, const struct json_member *member) {
    if (strcmp(name, "data") == 0) {
        reading->data = *member;
        return true;
    }
    json_t *value = value_parse(member->value, member->value_length);
    json_t **slot = slot_of(reading, name);
    if (!slot) {
        bool good = attribute_read(reading, name, value);
        json_decref(value);
        return good;
    }
    if (json_is_null(value)) {
        json_decref(value);
        return true;
    }
    *slot = value;
    if (json_is_string(value))
        return true;
    return refuse(reading->fault,
                  "id, source, specversion, type, datacontenttype and data_base64 are strings", "event");
}

static bool members_read(struct reading *reading, const char *text, const char *end) {
    struct json_member member;
    bool good = true;
    while (good && json_member_next(&text, end, &member)) {
        json_t *name = value_parse(member.key, member.key_length);
        if (!name)
            return refuse(reading->fault, "out of memory", NULL);
        good = member_read(reading, json_string_value(name), &member);
        json_decref(name);
    }
    return good;
}

/* ---- the event ---- */

static bool head_write(struct reading *reading, struct bytes *out) {
    static const struct {
        const char *text, *field;
    } missing[] = {[EVENT_ID] = {"id is missing", "id"},
                   [EVENT_SOURCE] = {"source is missing", "source"},
                   [EVENT_SPEC_VERSION] = {"specversion is missing", "specversion"},
                   [EVENT_TYPE] = {"type is missing", "type"}};
    for (unsigned number = EVENT_ID; number <= EVENT_TYPE; ++number) {
        const json_t *value = reading->required[number];
        if (!value)
            return refuse(reading->fault, missing[number].text, missing[number].field);
        bytes_field(out, number, json_string_value(value), json_string_length(value));
    }
    const json_t *type = reading->contenttype;
    if (type)
        compose_attribute(out, "datacontenttype", VALUE_STRING, json_string_value(type),
                          json_string_length(type));
    else if (reading->data.key)
        compose_attribute(out, "datacontenttype", VALUE_STRING, "application/json",
                          strlen("application/json"));
    bytes_add(out, reading->attributes.data, reading->attributes.length);
    out->failed |= reading->attributes.failed;
    return true;
}

static bool base64_write(struct reading *reading, struct bytes *out) {
    const char *text = json_string_value(reading->base64);
    size_t n = json_string_length(reading->base64), length = 0;
    struct bytes data = {0};
    uint8_t *room = bytes_grow(&data, BASE64_DECODED_MAX(n) + 1); /* + 1: never nothing */
    bool good = room && base64_decode(text, n, room, &length);
    if (good)
        bytes_field(out, EVENT_BINARY, room, length);
    bytes_free(&data);
    return good || refuse(reading->fault, "data_base64 is not base64 with padding", "data_base64");
}

static bool data_write(struct reading *reading, struct bytes *out) {
    const struct json_member *data = &reading->data;
    if (data->key && reading->base64)
        return refuse(reading->fault, "data and data_base64 exclude each other", "data");
    if (reading->base64)
        return base64_write(reading, out);
    if (!data->key)
        return true;
    const json_t *type = reading->contenttype;
    if (!type || media_json(json_string_value(type), json_string_length(type))) {
        bytes_field(out, EVENT_TEXT, data->value, data->value_length);
        return true;
    }
    if (*data->value != '"')
        return refuse(reading->fault, "data of a type that is not JSON is a string, or comes in data_base64",
                      "data");
    json_t *string = value_parse(data->value, data->value_length);
    if (string)
        bytes_field(out, EVENT_TEXT, json_string_value(string), json_string_length(string));
    else
        out->failed = true;
    json_decref(string);
    return true;
}

/* What event_check says of the finished event, with the names that JSON has for the fields. */
static void fault_rename(struct fault *fault) {
    static const char prefix[] = "event.";
    if (!fault->field || strncmp(fault->field, prefix, sizeof prefix - 1) != 0)
        return;
    fault->field += sizeof prefix - 1;
    if (strcmp(fault->field, "spec_version") == 0)
        fault->field = "specversion";
}

static bool event_write(struct reading *reading, uint8_t **event, size_t *event_length) {
    struct bytes out = {0};
    if (!head_write(reading, &out) || !data_write(reading, &out)) {
        bytes_free(&out);
        return false;
    }
    bool good = compose_done(&out, event, event_length, reading->fault);
    if (!good)
        fault_rename(reading->fault);
    return good;
}

bool event_from_json(const char *text, size_t length, uint8_t **event, size_t *event_length,
                     struct fault *fault) {
    struct reading reading = {.fault = fault};
    const char *wrong = json_text_fault(text, length, true);
    if (wrong)
        return refuse(fault, wrong, NULL);
    const char *end = text + length;
    const char *begin = json_text_begin(text, end);
    if (*begin != '{')
        return refuse(fault, "an event is a JSON object", NULL);
    bool good = members_read(&reading, begin, end) && event_write(&reading, event, event_length);
    for (unsigned number = EVENT_ID; number <= EVENT_TYPE; ++number)
        json_decref(reading.required[number]);
    json_decref(reading.contenttype);
    json_decref(reading.base64);
    bytes_free(&reading.attributes);
    return good;
}
