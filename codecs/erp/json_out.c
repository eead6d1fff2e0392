#include "codecs/erp/json.h"

#include "codecs/erp/decimal.h"
#include "codecs/erp/moment.h"
#include "codecs/event/base64.h"
#include "codecs/event/json_text.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void string_add(struct bytes *out, const char *text) {
    json_string_add(out, text, strlen(text));
}

/* A field's name in lowerCamelCase, quoted. */
static void name_add(struct bytes *out, const char *name) {
    bytes_add(out, "\"", 1);
    for (bool upper = false; *name; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        char c = upper && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        bytes_add(out, &c, 1);
        upper = false;
    }
    bytes_add(out, "\":", 2);
}

static void decimal_add_text(struct bytes *out, const Roundhouse__Erp__V1__Decimal *decimal) {
    char text[DECIMAL_TEXT_BYTES];
    if (*decimal->text) {
        string_add(out, decimal->text);
        return;
    }
    uint32_t scale = decimal->scale < DECIMAL_DIGITS_MAX ? decimal->scale : DECIMAL_DIGITS_MAX;
    decimal_write((struct decimal){decimal->unscaled, scale}, text);
    string_add(out, text);
}

static void moment_add(struct bytes *out, const Roundhouse__Erp__V1__Moment *moment) {
    char text[MOMENT_TEXT_BYTES];
    struct moment plain = {.date = moment->date,
                           .timed = moment->clock_case == ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME,
                           .zoned = moment->zone_case == ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN};
    plain.time = plain.timed ? moment->time : 0;
    plain.zone = plain.zoned ? moment->utc_offset_min : 0;
    moment_write(plain, text);
    string_add(out, text);
}

static void binary_add(struct bytes *out, const ProtobufCBinaryData *data) {
    bytes_add(out, "\"", 1);
    uint8_t *room = bytes_grow(out, BASE64_LENGTH(data->len));
    if (room)
        base64_encode(data->data, data->len, (char *)room);
    bytes_add(out, "\"", 1);
}

/* One value of the field, at `at`. 64-bit numbers are strings, as JSON's are doubles. */
static void value_add(struct bytes *out, const ProtobufCFieldDescriptor *field, const void *at) {
    char number[32];
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        string_add(out, *(const char *const *)at);
        return;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(const ProtobufCMessage *const *)at;
        if (message->descriptor == &roundhouse__erp__v1__decimal__descriptor)
            decimal_add_text(out, (const void *)message);
        else if (message->descriptor == &roundhouse__erp__v1__moment__descriptor)
            moment_add(out, (const void *)message);
        else
            erp_json_write(message, out);
        return;
    }
    case PROTOBUF_C_TYPE_BYTES:
        binary_add(out, at);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        bytes_text(out, *(const protobuf_c_boolean *)at ? "true" : "false");
        return;
    case PROTOBUF_C_TYPE_UINT32:
        snprintf(number, sizeof number, "%" PRIu32, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        snprintf(number, sizeof number, "\"%" PRIu64 "\"", *(const uint64_t *)at);
        break;
    default:
        /* No document has fields of other types: json_test.c holds erp.proto to it. */
        snprintf(number, sizeof number, "null");
        break;
    }
    bytes_text(out, number);
}

static bool is_set(const ProtobufCFieldDescriptor *field, const void *at) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return **(const char *const *)at != 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(const void *const *)at != NULL;
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len > 0;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)at;
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)at != 0;
    default:
        return *(const uint32_t *)at != 0;
    }
}

static size_t value_size(const ProtobufCFieldDescriptor *field) {
    return field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
}

static void list_add(struct bytes *out, const ProtobufCFieldDescriptor *field, const char *list,
                     size_t count) {
    bytes_add(out, "[", 1);
    for (size_t i = 0; i < count; i++) {
        if (i)
            bytes_add(out, ",", 1);
        value_add(out, field, list + i * value_size(field));
    }
    bytes_add(out, "]", 1);
}

void erp_json_write(const ProtobufCMessage *message, struct bytes *out) {
    const char *base = (const char *)message;
    bool some = false;
    bytes_add(out, "{", 1);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *at = base + field->offset;
        bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
        size_t count = list ? *(const size_t *)(const void *)(base + field->quantifier_offset) : 0;
        if (list ? count == 0 : !is_set(field, at))
            continue;
        if (some)
            bytes_add(out, ",", 1);
        some = true;
        name_add(out, field->name);
        if (list)
            list_add(out, field, *(const char *const *)(const void *)at, count);
        else
            value_add(out, field, at);
    }
    bytes_add(out, "}", 1);
}
