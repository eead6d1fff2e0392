#include "core/cli/json_in.h"

#include "codecs/erp/json.h"
#include "codecs/erp/model.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "core/bridge/json_split.h"
#include "core/bridge/remake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JSON_VALUE_MAX ((size_t)256 << 20) /* bytes of one value */

struct json_in {
    struct json_in_options options;
    struct json_split split;
    struct arena arena; /* of the message that is told */
    bool failed;
};

static void refuse(struct json_in *in, enum finding_code code, uint64_t offset, const char *found) {
    const struct finding finding = {
        .code = code,
        .severity = FINDING_ERROR,
        .place = {.offset = offset},
        .scope = DOCUMENT_MESSAGE,
        .found = {.bytes = (const uint8_t *)found, .length = (uint32_t)strlen(found)}};
    in->options.finding(in->options.context, &finding);
}

/* ---- messages ---- */

/* Every message has a header, and in it an origin: what is read of one that has none is that it was JSON. */
static Roundhouse__Erp__V1__Header *header_of(struct json_in *in, ProtobufCMessage *message) {
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "header");
    Roundhouse__Erp__V1__Header **header = (void *)((char *)message + field->offset);
    Roundhouse__Erp__V1__Origin *origin;
    if (*header == NULL && (*header = arena_take(&in->arena, sizeof **header)) != NULL)
        roundhouse__erp__v1__header__init(*header);
    if (*header == NULL || (*header)->origin != NULL)
        return *header;
    if ((origin = arena_take(&in->arena, sizeof *origin)) == NULL)
        return NULL;
    roundhouse__erp__v1__origin__init(origin);
    origin->format = arena_text(&in->arena, "JSON", 4);
    (*header)->origin = origin;
    return origin->format != NULL ? *header : NULL;
}

static void *in_arena(void *allocator, size_t size) {
    return arena_take(allocator, size);
}

static void nothing_freed(void *allocator, void *data) {
    (void)allocator;
    (void)data;
}

/* The same in the arena, where it can get what it lacks. NULL: no memory. */
static ProtobufCMessage *arena_copy(struct json_in *in, const ProtobufCMessage *message) {
    ProtobufCAllocator allocator = {.alloc = in_arena, .free = nothing_freed, .allocator_data = &in->arena};
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_take(&in->arena, n + 1);
    if (bytes == NULL)
        return NULL;
    (void)protobuf_c_message_pack(message, bytes);
    return protobuf_c_message_unpack(message->descriptor, &allocator, n, bytes);
}

static struct value text_value(const char *text) {
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
}

static void tell(struct json_in *in, ProtobufCMessage *message) {
    const Roundhouse__Erp__V1__Header *header = header_of(in, message);
    if (header == NULL) {
        in->failed = true;
        return;
    }
    const struct document_head head = {.format = text_value(header->origin->format),
                                       .name = text_value(header->origin->message_type),
                                       .message_ref = text_value(header->origin->message_ref)};
    const struct erp_result result = {.head = &head, .message = message, .header = header};
    in->options.message(in->options.context, &result);
}

/* ---- which message it is ---- */

static bool member_find(const char *text, size_t length, const char *name, struct json_member *found) {
    const char *at = json_text_begin(text, text + length);
    size_t n = strlen(name);
    if (at == text + length || *at != '{')
        return false;
    while (json_member_next(&at, text + length, found))
        if (found->key_length == n + 2 && memcmp(found->key + 1, name, n) == 0)
            return true;
    return false;
}

/* A string as it stands there, without its quotes: names have nothing to be escaped. */
static void member_text(const char *text, size_t length, const char *name, char out[64]) {
    struct json_member member;
    out[0] = '\0';
    if (member_find(text, length, name, &member) && member.value_length >= 2 && *member.value == '"' &&
        member.value_length - 2 < 64) {
        memcpy(out, member.value + 1, member.value_length - 2);
        out[member.value_length - 2] = '\0';
    }
}

static const ProtobufCMessageDescriptor *by_origin(const struct json_in *in, const char *text,
                                                   size_t length) {
    struct json_member header, origin;
    struct map_error error;
    char format[64], type[64];
    if (!member_find(text, length, "header", &header) ||
        !member_find(header.value, header.value_length, "origin", &origin))
        return NULL;
    member_text(origin.value, origin.value_length, "format", format);
    member_text(origin.value, origin.value_length, "messageType", type);
    const struct map *map = map_find(in->options.maps, format, type, "", &error);
    const char *event = map != NULL ? map_event(map) : "";
    return model_event(event, strlen(event));
}

static void canonical(struct json_in *in, const char *text, size_t length, const char *schema,
                      uint64_t offset) {
    char error[ERP_JSON_ERROR_BYTES];
    const char *dot = strrchr(schema, '.');
    const char *kind = dot != NULL ? dot + 1 : in->options.kind != NULL ? in->options.kind : "";
    const ProtobufCMessageDescriptor *type = model_event(kind, strlen(kind));
    if (type == NULL)
        type = by_origin(in, text, length);
    if (type == NULL) {
        refuse(in, FINDING_JSON_MESSAGE, offset, "");
        return;
    }
    ProtobufCMessage *message = erp_json_read(type, text, length, &in->arena, error);
    if (message != NULL)
        tell(in, message);
    else
        refuse(in, FINDING_JSON_MESSAGE, offset, error);
}

/* ---- values ---- */

static void value_tell(const struct json_in *in, const uint8_t *event, size_t event_length, uint64_t offset) {
    const struct json_in_value value = {.event = event, .event_length = event_length, .offset = offset};
    if (in->options.value != NULL)
        in->options.value(in->options.context, &value);
}

/* Data in protobuf, or in JSON. */
static void event_read(struct json_in *in, const char *text, size_t length, uint64_t offset) {
    struct fault fault;
    struct json_member data;
    uint8_t *event;
    size_t event_length;
    char schema[64];
    if (!event_from_json(text, length, &event, &event_length, &fault)) {
        refuse(in, FINDING_JSON_EVENT, offset, fault.text);
        return;
    }
    value_tell(in, event, event_length, offset);
    ProtobufCMessage *message = remake_message(event, event_length);
    free(event);
    member_text(text, length, "dataschema", schema);
    if (message != NULL) {
        ProtobufCMessage *copy = arena_copy(in, message);
        protobuf_c_message_free_unpacked(message, NULL);
        in->failed |= copy == NULL;
        if (copy != NULL)
            tell(in, copy);
    } else if (member_find(text, length, "data", &data) && *data.value == '{') {
        canonical(in, data.value, data.value_length, schema, offset);
    } else {
        refuse(in, FINDING_JSON_MESSAGE, offset, "");
    }
}

static void on_value(void *context, const char *text, size_t length, uint64_t offset) {
    struct json_in *in = context;
    struct json_member event;
    const char *wrong = json_text_fault(text, length, false);
    arena_reset(&in->arena);
    if (wrong != NULL)
        refuse(in, FINDING_JSON_TEXT, offset, wrong);
    else if (member_find(text, length, "specversion", &event))
        event_read(in, text, length, offset);
    else if (member_find(text, length, "event", &event)) /* a line of `convert --to events` */
        event_read(in, event.value, event.value_length, offset);
    else {
        value_tell(in, NULL, 0, offset);
        canonical(in, text, length, "", offset);
    }
}

static void on_wrong(void *context, const char *sentence, uint64_t offset) {
    refuse(context, FINDING_JSON_TEXT, offset, sentence);
}

struct json_in *json_in_new(const struct json_in_options *options) {
    struct json_in *in = calloc(1, sizeof *in);
    if (in == NULL)
        return NULL;
    in->options = *options;
    in->split =
        (struct json_split){.value_max = JSON_VALUE_MAX, .context = in, .value = on_value, .wrong = on_wrong};
    return in;
}

void json_in_free(struct json_in *in) {
    if (in == NULL)
        return;
    json_split_deinit(&in->split);
    arena_free(&in->arena);
    free(in);
}

int json_in_feed(struct json_in *in, const uint8_t *bytes, size_t length) {
    int result = json_split_feed(&in->split, bytes, length);
    return in->failed ? -ENOMEM : result;
}

int json_in_end(struct json_in *in) {
    int result = json_split_end(&in->split);
    return in->failed ? -ENOMEM : result;
}
