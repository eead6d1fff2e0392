#include "core/bridge/remake.h"

#include "codecs/erp/arena.h"
#include "codecs/erp/event.h"
#include "codecs/erp/json.h"
#include "codecs/erp/model.h"
#include "codecs/event/attributes.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/proto/field.h"
#include "core/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_URL_BASE  "type.googleapis.com/"
#define TYPE_URL_BYTES 128u

static bool no_memory(struct fault *fault) {
    *fault = (struct fault){.code = RH_CODE_INTERNAL, .text = "out of memory"};
    return false;
}

/* ---- an event anew ---- */

static bool field_is(const struct field *field, const char *text) {
    return field->length == strlen(text) && memcmp(field->data, text, field->length) == 0;
}

/* Whether an entry of the attributes speaks of the data. */
static bool entry_of_data(const struct field *entry) {
    struct field name = {0};
    const uint8_t *end = entry->data + entry->length;
    for (const uint8_t *p = entry->data; p != NULL && p < end && name.number != ENTRY_NAME;)
        p = field_read(p, end, &name);
    return name.number == ENTRY_NAME && name.type == FIELD_BYTES &&
           (field_is(&name, "datacontenttype") || field_is(&name, "dataschema"));
}

static void id_add(const struct remake *what, const struct field *id, struct bytes *out) {
    char part[16] = "";
    struct bytes text = {0};
    if (what->part > 1)
        (void)snprintf(part, sizeof part, "/%u", (unsigned)what->part);
    bytes_add(&text, id->data, id->length);
    bytes_text(&text, part);
    bytes_field(out, EVENT_ID, text.data, text.length);
    out->failed |= text.failed;
    bytes_free(&text);
}

static void field_keep(const struct remake *what, const struct field *field, const uint8_t *from,
                       const uint8_t *to, struct bytes *out) {
    bool anew = what->contenttype != NULL;
    bool data = field->number >= EVENT_BINARY && field->number <= EVENT_PROTO;
    if (anew && (data || (field->number == EVENT_ATTRIBUTE && entry_of_data(field))))
        return;
    if (field->number == EVENT_ID)
        id_add(what, field, out);
    else if (field->number == EVENT_TYPE && what->type != NULL)
        bytes_field(out, EVENT_TYPE, what->type, strlen(what->type));
    else
        bytes_add(out, from, (size_t)(to - from));
}

static void more_add(const struct remake *what, struct bytes *out) {
    struct attribute had;
    for (size_t i = 0; i < what->more_count; i++) {
        const struct remake_text *text = &what->more[i];
        size_t n = text->value != NULL ? strlen(text->value) : 0;
        if (n > 0 && utf8_clean((const uint8_t *)text->value, n) &&
            !attribute_find(what->event, what->length, text->name, &had))
            compose_attribute(out, text->name, VALUE_STRING, text->value, n);
    }
}

static void data_add(const struct remake *what, struct bytes *out) {
    if (what->contenttype == NULL)
        return;
    compose_attribute(out, "datacontenttype", VALUE_STRING, what->contenttype, strlen(what->contenttype));
    if (what->dataschema != NULL)
        compose_attribute(out, "dataschema", VALUE_URI, what->dataschema, strlen(what->dataschema));
    if (what->kind != EVENT_PROTO) {
        bytes_field(out, what->kind, what->data, what->data_length);
        return;
    }
    struct bytes any = {0};
    bytes_field(&any, ANY_TYPE_URL, what->dataschema, strlen(what->dataschema));
    bytes_field(&any, ANY_VALUE, what->data, what->data_length);
    bytes_field(out, EVENT_PROTO, any.data, any.length);
    out->failed |= any.failed;
    bytes_free(&any);
}

bool remake(const struct remake *what, uint8_t **event, size_t *length, struct fault *fault) {
    struct bytes out = {0};
    struct field field;
    const uint8_t *p = what->event, *end = p + what->length;
    while (p < end) {
        const uint8_t *from = p;
        p = field_read(p, end, &field);
        if (p == NULL) {
            bytes_free(&out);
            *fault = (struct fault){.code = RH_CODE_INVALID, .text = "this is no event"};
            return false;
        }
        field_keep(what, &field, from, p, &out);
    }
    more_add(what, &out);
    data_add(what, &out);
    return compose_done(&out, event, length, fault);
}

/* ---- what a mapping sees ---- */

bool remake_input(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                  const struct bytes *json, struct bytes *out, struct fault *fault) {
    uint8_t *made = NULL;
    if (json != NULL) {
        struct remake what = {.event = event,
                              .length = length,
                              .contenttype = "application/json",
                              .kind = EVENT_TEXT,
                              .data = json->data,
                              .data_length = json->length};
        if (!remake(&what, &made, &length, fault))
            return false;
        event = made;
    }
    char *text;
    size_t text_length;
    bool good = event_to_json(event, length, &text, &text_length, fault);
    free(made);
    if (!good)
        return false;
    bytes_text(out, "{\"topic\":");
    json_string_add(out, topic, topic_length);
    bytes_text(out, ",");
    bytes_add(out, text + 1, text_length - 1); /* behind its brace */
    free(text);
    return !out->failed || no_memory(fault);
}

/* ---- canonical messages ---- */

static const ProtobufCMessageDescriptor *message_named(const uint8_t *url, size_t length) {
    const size_t base = strlen(TYPE_URL_BASE);
    if (length <= base || memcmp(url, TYPE_URL_BASE, base) != 0)
        return NULL;
    const char *name = (const char *)url + base, *dot = memrchr(name, '.', length - base);
    const ProtobufCMessageDescriptor *message =
        dot != NULL ? model_event(dot + 1, (size_t)((const char *)url + length - dot - 1)) : NULL;
    bool right = message != NULL && strlen(message->name) == length - base &&
                 memcmp(message->name, name, length - base) == 0;
    return right ? message : NULL;
}

/* Of JSON: what it would be in protobuf. */
static ProtobufCMessage *message_of_json(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                                         size_t length) {
    char error[ERP_JSON_ERROR_BYTES];
    struct arena arena = {0};
    ProtobufCMessage *made = NULL;
    const ProtobufCMessage *message = erp_json_read(descriptor, (const char *)data, length, &arena, error);
    size_t size = message != NULL ? protobuf_c_message_get_packed_size(message) : 0;
    uint8_t *bytes = message != NULL ? malloc(size + 1) : NULL;
    if (bytes != NULL) {
        (void)protobuf_c_message_pack(message, bytes);
        made = protobuf_c_message_unpack(descriptor, NULL, size, bytes);
    }
    free(bytes);
    arena_free(&arena);
    return made;
}

ProtobufCMessage *remake_message(const uint8_t *event, size_t length) {
    struct attribute schema;
    const uint8_t *data;
    size_t n;
    uint32_t kind;
    if (!attribute_find(event, length, "dataschema", &schema) || schema.data == NULL ||
        !event_data(event, length, &data, &n, &kind))
        return NULL;
    const ProtobufCMessageDescriptor *descriptor = message_named(schema.data, schema.length);
    if (descriptor != NULL && kind == EVENT_TEXT)
        return message_of_json(descriptor, data, n);
    return descriptor != NULL ? protobuf_c_message_unpack(descriptor, NULL, n, data) : NULL;
}

bool remake_canonical(struct remake what, const ProtobufCMessage *message, uint8_t **event, size_t *length,
                      struct fault *fault) {
    char url[TYPE_URL_BYTES], type[TYPE_URL_BYTES];
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL)
        return no_memory(fault);
    (void)protobuf_c_message_pack(message, bytes);
    (void)snprintf(url, sizeof url, TYPE_URL_BASE "%s", message->descriptor->name);
    (void)snprintf(type, sizeof type, "%s.v1", erp_type(message));
    if (what.type == NULL)
        what.type = type;
    what.contenttype = "application/protobuf";
    what.dataschema = url;
    what.kind = EVENT_PROTO;
    what.data = bytes;
    what.data_length = size;
    bool good = remake(&what, event, length, fault);
    free(bytes);
    return good;
}
