#include "codecs/erp/json.h"

#include "codecs/erp/decimal.h"
#include "codecs/erp/moment.h"
#include "codecs/event/base64.h"
#include "core/base/number.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define JSON_DEPTH_MAX 32u

/* What is being read. */
struct reading {
    struct arena *arena;
    char *error;
    uint32_t depth;
};

static bool refuse(struct reading *reading, const char *what, const char *name) {
    snprintf(reading->error, ERP_JSON_ERROR_BYTES, "%s: `%.60s`", what, name);
    return false;
}

static bool no_memory(struct reading *reading) {
    snprintf(reading->error, ERP_JSON_ERROR_BYTES, "out of memory");
    return false;
}

static void *message_make(struct reading *reading, const ProtobufCMessageDescriptor *descriptor) {
    ProtobufCMessage *message = arena_take(reading->arena, descriptor->sizeof_message);
    if (message)
        descriptor->message_init(message);
    else
        no_memory(reading);
    return message;
}

/* A field by its name in the .proto or in lowerCamelCase. */
static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessageDescriptor *descriptor,
                                                   const char *name) {
    char plain[64];
    size_t n = 0;
    for (; *name && n + 2 < sizeof plain; name++) {
        if (*name >= 'A' && *name <= 'Z')
            plain[n++] = '_';
        plain[n++] = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
    }
    plain[n] = 0;
    return *name ? NULL : protobuf_c_message_descriptor_get_field_by_name(descriptor, plain);
}

static ProtobufCMessage *object_read(struct reading *reading, const ProtobufCMessageDescriptor *descriptor,
                                     const json_t *json);

static void *decimal_from(struct reading *reading, const json_t *json, const char *name) {
    struct decimal number = {0};
    const char *text = json_string_value(json);
    struct decimal_style style = {.mark = '.'};
    if (!text) {
        refuse(reading, "a decimal is a string", name);
        return NULL;
    }
    size_t n = json_string_length(json);
    enum decimal_result result = decimal_read((const uint8_t *)text, n, style, &number);
    Roundhouse__Erp__V1__Decimal *decimal = NULL;
    if (result == DECIMAL_BAD)
        refuse(reading, "this is no decimal", name);
    else
        decimal = message_make(reading, &roundhouse__erp__v1__decimal__descriptor);
    if (!decimal)
        return NULL;
    decimal->unscaled = number.unscaled;
    decimal->scale = number.scale;
    char *copy = result == DECIMAL_LONG ? arena_text(reading->arena, text, n) : NULL;
    decimal->text = copy ? copy : decimal->text;
    return decimal;
}

static void *moment_from(struct reading *reading, const json_t *json, const char *name) {
    struct moment start;
    const char *text = json_string_value(json);
    if (!text || !moment_text_read(text, json_string_length(json), &start)) {
        refuse(reading, "this is no moment", name);
        return NULL;
    }
    Roundhouse__Erp__V1__Moment *moment = message_make(reading, &roundhouse__erp__v1__moment__descriptor);
    if (!moment)
        return NULL;
    moment->date = start.date;
    if (start.timed) {
        moment->clock_case = ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME;
        moment->time = start.time;
    }
    if (start.zoned) {
        moment->zone_case = ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN;
        moment->utc_offset_min = start.zone;
    }
    return moment;
}

static bool message_read(struct reading *reading, const ProtobufCFieldDescriptor *field, const json_t *json,
                         void *at) {
    void *made;
    if (field->descriptor == &roundhouse__erp__v1__decimal__descriptor)
        made = decimal_from(reading, json, field->name);
    else if (field->descriptor == &roundhouse__erp__v1__moment__descriptor)
        made = moment_from(reading, json, field->name);
    else
        made = object_read(reading, field->descriptor, json);
    if (made)
        *(void **)at = made;
    return made != NULL;
}

static bool binary_read(struct reading *reading, const ProtobufCFieldDescriptor *field, const json_t *json,
                        ProtobufCBinaryData *to) {
    const char *text = json_string_value(json);
    size_t n = json_string_length(json);
    uint8_t *data = arena_take(reading->arena, BASE64_DECODED_MAX(n) + 1);
    if (!data)
        return no_memory(reading);
    if (!text || !base64_decode(text, n, data, &to->len))
        return refuse(reading, "this is no base64", field->name);
    to->data = data;
    return true;
}

/* A number, or a string of its digits. */
static bool number_from(struct reading *reading, const ProtobufCFieldDescriptor *field, const json_t *json,
                        uint64_t most, uint64_t *out) {
    size_t n = json_string_length(json);
    if (json_is_integer(json) && json_integer_value(json) >= 0)
        *out = (uint64_t)json_integer_value(json);
    else if (!json_is_string(json) || n == 0 || number_read(json_string_value(json), n, out) != n)
        return refuse(reading, "this is no whole number", field->name);
    return *out <= most || refuse(reading, "the number is too large", field->name);
}

static bool value_from(struct reading *reading, const ProtobufCFieldDescriptor *field, const json_t *json,
                       void *at) {
    uint64_t number;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_read(reading, field, json, at);
    case PROTOBUF_C_TYPE_BYTES:
        return binary_read(reading, field, json, at);
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = json_string_value(json);
        char *copy = text ? arena_text(reading->arena, text, json_string_length(json)) : NULL;
        if (!text)
            return refuse(reading, "this is no string", field->name);
        *(char **)at = copy;
        return copy || no_memory(reading);
    }
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = json_is_true(json);
        return json_is_boolean(json) || refuse(reading, "this is neither true nor false", field->name);
    case PROTOBUF_C_TYPE_UINT64:
        if (!number_from(reading, field, json, UINT64_MAX, &number))
            return false;
        *(uint64_t *)at = number;
        return true;
    default:
        if (!number_from(reading, field, json, UINT32_MAX, &number))
            return false;
        *(uint32_t *)at = (uint32_t)number;
        return true;
    }
}

static bool list_from(struct reading *reading, const ProtobufCFieldDescriptor *field, const json_t *json,
                      ProtobufCMessage *message) {
    size_t count = json_array_size(json);
    if (!json_is_array(json))
        return refuse(reading, "this is no list", field->name);
    if (!count)
        return true;
    void **list = arena_take(reading->arena, count * sizeof *list);
    if (!list)
        return no_memory(reading);
    for (size_t i = 0; i < count; i++)
        if (!value_from(reading, field, json_array_get(json, i), &list[i]))
            return false;
    *(void ***)(void *)((char *)message + field->offset) = list;
    *(size_t *)(void *)((char *)message + field->quantifier_offset) = count;
    return true;
}

static ProtobufCMessage *object_read(struct reading *reading, const ProtobufCMessageDescriptor *descriptor,
                                     const json_t *json) {
    if (!json_is_object(json) || ++reading->depth > JSON_DEPTH_MAX) {
        refuse(reading, "this is no object", descriptor->short_name);
        return NULL;
    }
    ProtobufCMessage *message = message_make(reading, descriptor);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value) {
        if (!message)
            break;
        const ProtobufCFieldDescriptor *field = field_named(descriptor, key);
        bool good = field || refuse(reading, "there is no such field", key);
        if (good && !json_is_null(value))
            good = field->label == PROTOBUF_C_LABEL_REPEATED
                       ? list_from(reading, field, value, message)
                       : value_from(reading, field, value, (char *)message + field->offset);
        if (!good)
            message = NULL;
    }
    reading->depth--;
    return message;
}

ProtobufCMessage *erp_json_read(const ProtobufCMessageDescriptor *descriptor, const char *text, size_t length,
                                struct arena *arena, char error[ERP_JSON_ERROR_BYTES]) {
    json_error_t fault;
    struct reading reading = {.arena = arena, .error = error};
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &fault);
    if (!json) {
        snprintf(error, ERP_JSON_ERROR_BYTES, "line %d: %.100s", fault.line, fault.text);
        return NULL;
    }
    ProtobufCMessage *message = object_read(&reading, descriptor, json);
    json_decref(json);
    return message;
}
