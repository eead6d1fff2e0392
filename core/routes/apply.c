#include "core/routes/apply.h"

#include "codecs/erp/event.h"
#include "codecs/erp/json.h"
#include "codecs/erp/model.h"
#include "codecs/event/attributes.h"
#include "codecs/event/compose.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/event/media.h"
#include "codecs/event/parts.h"
#include "core/base/topic.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_BYTES      256
#define ATTRIBUTE_HOPS  "routehops"
#define ATTRIBUTE_CAUSE "causationid"

static bool fail(char *why, size_t why_bytes, const char *text) {
    (void)snprintf(why, why_bytes, "%s", text);
    return false;
}

/* ---- an event's data as JSON ---- */

/* The canonical message that a type URL names: .../roundhouse.erp.v1.Order. NULL: none. */
static const ProtobufCMessageDescriptor *canonical(const uint8_t *url, size_t length) {
    static const char package[] = "/roundhouse.erp.v1.";
    const uint8_t *at = length > 0 ? memmem(url, length, package, sizeof package - 1) : NULL;
    if (at == NULL)
        return NULL;
    at += sizeof package - 1;
    return model_event((const char *)at, (size_t)(url + length - at));
}

static bool message_text(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
                         struct bytes *out, char *why, size_t why_bytes) {
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, length, data);
    if (message == NULL)
        return fail(why, why_bytes, "its data is not the message that it says");
    erp_json_write(message, out);
    protobuf_c_message_free_unpacked(message, NULL);
    return true;
}

static bool proto_add(const struct field *any, struct bytes *out, char *why, size_t why_bytes) {
    struct field field, url = {0}, value = {.data = any->data};
    for (const uint8_t *p = any->data, *end = p + any->length; p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return fail(why, why_bytes, "it is no event");
        if (field.number == ANY_TYPE_URL)
            url = field;
        if (field.number == ANY_VALUE)
            value = field;
    }
    const ProtobufCMessageDescriptor *descriptor = canonical(url.data, url.length);
    if (descriptor != NULL)
        return message_text(descriptor, value.data, value.length, out, why, why_bytes);
    bytes_text(out, "null");
    return true;
}

/* A canonical message that came over JSON or HTTP: its bytes are binary data, and the schema says what it is.
 */
static const ProtobufCMessageDescriptor *schema_of(const uint8_t *event, size_t length,
                                                   const struct attribute *type) {
    static const char protobuf[] = "application/protobuf";
    struct attribute schema;
    if (type->length != sizeof protobuf - 1 || memcmp(type->data, protobuf, type->length) != 0 ||
        !attribute_find(event, length, "dataschema", &schema))
        return NULL;
    return canonical(schema.data, schema.length);
}

static bool text_add(const uint8_t *event, size_t length, const struct field *data, struct bytes *out,
                     char *why, size_t why_bytes) {
    struct attribute type;
    bool typed = attribute_find(event, length, "datacontenttype", &type);
    const ProtobufCMessageDescriptor *descriptor =
        typed && data->number == EVENT_BINARY ? schema_of(event, length, &type) : NULL;
    if (descriptor != NULL)
        return message_text(descriptor, data->data, data->length, out, why, why_bytes);
    bool json = typed ? media_json((const char *)type.data, type.length) : data->number == EVENT_TEXT;
    const char *fault = json ? json_text_fault((const char *)data->data, data->length, false) : NULL;
    if (json && fault == NULL)
        bytes_add(out, data->data, data->length);
    else if (json && typed)
        return fail(why, why_bytes, "its data says that it is JSON and is not");
    else if (utf8_valid(data->data, data->length))
        json_string_add(out, (const char *)data->data, data->length);
    else
        bytes_text(out, "null");
    return true;
}

bool apply_data(const uint8_t *event, size_t length, struct bytes *out, char *why, size_t why_bytes) {
    struct field field;
    for (const uint8_t *p = event, *end = event + length; p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return fail(why, why_bytes, "it is no event");
        if (field.number == EVENT_PROTO)
            return proto_add(&field, out, why, why_bytes);
        if (field.number == EVENT_TEXT || field.number == EVENT_BINARY)
            return text_add(event, length, &field, out, why, why_bytes);
    }
    bytes_text(out, "null");
    return true;
}

/* ---- the program's input ---- */

/* Some of the attributes may be left out, and the data always is. */
static bool event_copy(const uint8_t *event, size_t length,
                       bool (*leave)(const struct field *name, void *user), void *user, struct bytes *out) {
    struct field field, name, value;
    for (const uint8_t *p = event, *end = event + length, *from; p < end;) {
        from = p;
        p = field_read(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number >= EVENT_BINARY)
            continue;
        if (field.number == EVENT_ATTRIBUTE && leave != NULL) {
            if (!part_entry_read(field.data, field.data + field.length, &name, &value))
                return false;
            if (leave(&name, user))
                continue;
        }
        bytes_add(out, from, (size_t)(p - from));
    }
    return true;
}

static bool attributes_add(const uint8_t *event, size_t length, struct bytes *out, char *why,
                           size_t why_bytes) {
    struct bytes bare = {0};
    struct fault fault = {0};
    char *text = NULL;
    size_t text_length;
    bool right = event_copy(event, length, NULL, NULL, &bare) && !bare.failed &&
                 event_to_json(bare.data, bare.length, &text, &text_length, &fault);
    if (right)
        bytes_add(out, text, text_length);
    free(text);
    bytes_free(&bare);
    return right || fail(why, why_bytes, fault.text != NULL ? fault.text : "it is no event");
}

static bool input_end(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                      const char *into, struct bytes *out, char *why, size_t why_bytes) {
    bytes_text(out, ",\"event\":");
    if (!attributes_add(event, length, out, why, why_bytes))
        return false;
    bytes_text(out, ",\"topic\":");
    json_string_add(out, topic, topic_length);
    bytes_text(out, ",\"into\":");
    bytes_text(out, into);
    bytes_text(out, "}");
    return !out->failed || fail(why, why_bytes, "there is no memory left");
}

bool apply_input(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                 struct bytes *out, char *why, size_t why_bytes) {
    bytes_text(out, "{\"data\":");
    return apply_data(event, length, out, why, why_bytes) &&
           input_end(event, length, topic, topic_length, "null", out, why, why_bytes);
}

bool apply_input_merged(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                        uint32_t rule, const struct bytes *parts, struct bytes *out, char *why,
                        size_t why_bytes) {
    char into[16];
    (void)snprintf(into, sizeof into, "%" PRIu32, rule);
    bytes_text(out, "{\"data\":");
    bytes_add(out, parts->data, parts->length);
    return input_end(event, length, topic, topic_length, into, out, why, why_bytes);
}

/* ---- the program's output ---- */

static char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? strdup(text) : NULL;
}

static bool part_read(const struct ruleset *set, const json_t *from, struct apply_part *part) {
    json_int_t rule = json_integer_value(json_object_get(from, "rule"));
    if (!json_is_object(from) || rule < 0 || rule >= set->rules_count)
        return false;
    *part = (struct apply_part){.rule = (uint32_t)rule,
                                .number = (uint32_t)json_integer_value(json_object_get(from, "part")),
                                .text = text_of(from, "text"),
                                .key = text_of(from, "key")};
    return true;
}

static bool result_fill(const struct ruleset *set, const json_t *from, struct apply_result *result) {
    const json_t *matched = json_object_get(from, "matched"), *out = json_object_get(from, "out");
    for (uint32_t i = 0; i < set->rules_count && i < json_array_size(matched); i++)
        result->matched[i] = json_is_true(json_array_get(matched, i)) ? APPLY_YES : APPLY_NO;
    size_t count = json_array_size(out);
    if (!json_is_array(out) || (count > 0 && (result->parts = calloc(count, sizeof *result->parts)) == NULL))
        return false;
    for (size_t i = 0; i < count; i++, result->count++)
        if (!part_read(set, json_array_get(out, i), &result->parts[i]))
            return false;
    return true;
}

struct apply_result *apply_result_read(const struct ruleset *set, const struct jq_answer *answer) {
    struct apply_result *result = calloc(1, sizeof *result);
    json_t *root =
        answer->count == 1 ? json_loadb(answer->outputs[0].json, answer->outputs[0].length, 0, NULL) : NULL;
    bool right = result != NULL && root != NULL && result_fill(set, root, result);
    json_decref(root);
    if (right)
        return result;
    apply_result_free(result);
    return NULL;
}

void apply_result_free(struct apply_result *result) {
    if (result == NULL)
        return;
    for (size_t i = 0; i < result->count; i++) {
        free(result->parts[i].text);
        free(result->parts[i].key);
    }
    free(result->parts);
    free(result);
}

/* ---- events ---- */

int32_t apply_hops(const uint8_t *event, size_t length) {
    struct attribute hops;
    if (!attribute_find(event, length, ATTRIBUTE_HOPS, &hops) || hops.kind != VALUE_INTEGER ||
        hops.number < 0)
        return 0;
    return hops.number > APPLY_HOPS_MAX ? APPLY_HOPS_MAX : (int32_t)hops.number;
}

static bool name_is(const struct field *name, const char *text) {
    return name->length == strlen(text) && memcmp(name->data, text, name->length) == 0;
}

struct leaving {
    bool data; /* the data is new: what was said about the old one does not hold */
    bool quarantine;
};

static bool leave(const struct field *name, void *user) {
    const struct leaving *leaving = user;
    return name_is(name, ATTRIBUTE_HOPS) || name_is(name, ATTRIBUTE_CAUSE) ||
           (leaving->data && (name_is(name, "datacontenttype") || name_is(name, "dataschema"))) ||
           (leaving->quarantine && (name_is(name, "quarantinereason") || name_is(name, "quarantinerule")));
}

/* All of the cause but its id, its type when there is another one, and what `leave` says. */
static bool required_copy(const struct bytes *from, const char *id, const char *type, struct bytes *out) {
    struct field field;
    for (const uint8_t *p = from->data, *end = p + from->length, *begin; p < end;) {
        begin = p;
        p = field_read(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == EVENT_ID)
            bytes_field(out, EVENT_ID, id, strlen(id));
        else if (field.number == EVENT_TYPE && type != NULL)
            bytes_field(out, EVENT_TYPE, type, strlen(type));
        else
            bytes_add(out, begin, (size_t)(p - begin));
    }
    return true;
}

static void data_copy(const uint8_t *cause, size_t length, struct bytes *out) {
    struct field field;
    for (const uint8_t *p = cause, *end = cause + length, *begin; p != NULL && p < end;) {
        begin = p;
        p = field_read(p, end, &field);
        if (p != NULL && field.number >= EVENT_BINARY)
            bytes_add(out, begin, (size_t)(p - begin));
    }
}

/* Of one part of one rule, on one of its topics: the same cause makes the same ids. */
static char *id_make(const struct rule *rule, const struct apply_part *part, uint32_t target,
                     const struct attribute *cause, const char *given) {
    char *id = NULL, place[32] = "";
    if (rule->targets_count > 1)
        (void)snprintf(place, sizeof place, "/%" PRIu32, target + 1);
    int length = given != NULL ? asprintf(&id, "%s/%" PRIu32 "%s", given, part->number + 1, place)
                               : asprintf(&id, "%.*s/%s/%" PRIu32 "%s", (int)cause->length,
                                          (const char *)cause->data, rule->name, part->number + 1, place);
    return length < 0 ? NULL : id;
}

static void extensions_add(const struct rule *rule, bool quarantine, const uint8_t *cause,
                           size_t cause_length, const struct attribute *cause_id, struct bytes *out) {
    compose_attribute(out, ATTRIBUTE_CAUSE, VALUE_STRING, cause_id->data, cause_id->length);
    compose_number(out, ATTRIBUTE_HOPS, VALUE_INTEGER, apply_hops(cause, cause_length) + 1);
    if (!quarantine)
        return;
    compose_attribute(out, "quarantinereason", VALUE_STRING, rule->quarantine, strlen(rule->quarantine));
    compose_attribute(out, "quarantinerule", VALUE_STRING, rule->name, strlen(rule->name));
}

static void message_add(const ProtobufCMessage *message, struct bytes *out) {
    char url[TYPE_BYTES];
    struct bytes any = {0};
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(size + 1);
    (void)snprintf(url, sizeof url, "type.googleapis.com/%s", message->descriptor->name);
    if (packed != NULL) {
        (void)protobuf_c_message_pack(message, packed);
        bytes_field(&any, ANY_TYPE_URL, url, strlen(url));
        bytes_field(&any, ANY_VALUE, packed, size);
        compose_attribute(out, "datacontenttype", VALUE_STRING, "application/protobuf", 20);
        compose_attribute(out, "dataschema", VALUE_URI, url, strlen(url));
        bytes_field(out, EVENT_PROTO, any.data, any.length);
    }
    out->failed |= packed == NULL || any.failed;
    bytes_free(&any);
    free(packed);
}

/* What an event is made of, beside its cause. */
struct making {
    struct arena arena;
    ProtobufCMessage *message; /* in the arena; NULL: it is none */
    char type[TYPE_BYTES];     /* "": as it was */
};

static bool making_begin(struct making *making, const struct rule *rule, const struct apply_part *part,
                         char *why, size_t why_bytes) {
    char error[ERP_JSON_ERROR_BYTES];
    if (rule->type != NULL)
        (void)snprintf(making->type, sizeof making->type, "%s", rule->type);
    if (rule->message == NULL || part->text == NULL)
        return true;
    making->message = erp_json_read(model_event(rule->message, strlen(rule->message)), part->text,
                                    strlen(part->text), &making->arena, error);
    if (making->message == NULL) {
        (void)snprintf(why, why_bytes, "what rule %s makes is no %s: %s", rule->name, rule->message, error);
        return false;
    }
    if (rule->type == NULL)
        (void)snprintf(making->type, sizeof making->type, "%s.v1", erp_type(making->message));
    return true;
}

static void data_add(const struct making *making, const struct apply_part *part, const uint8_t *cause,
                     size_t cause_length, struct bytes *out) {
    if (making->message != NULL) {
        message_add(making->message, out);
    } else if (part->text != NULL) {
        compose_attribute(out, "datacontenttype", VALUE_STRING, "application/json", 16);
        bytes_field(out, EVENT_TEXT, part->text, strlen(part->text));
    } else {
        data_copy(cause, cause_length, out);
    }
}

uint8_t *apply_event(const struct ruleset *set, const struct apply_part *part, uint32_t target,
                     const uint8_t *cause, size_t cause_length, const char *id, size_t *length, char *why,
                     size_t why_bytes) {
    const struct rule *rule = &set->rules[part->rule];
    struct leaving leaving = {.data = part->text != NULL,
                              .quarantine = rule->quarantine != NULL && target == rule->targets_count - 1};
    struct attribute cause_id = {0};
    struct making making = {0};
    struct bytes bare = {0}, out = {0};
    struct fault fault = {.text = "it is no event"};
    uint8_t *event = NULL;
    if (!making_begin(&making, rule, part, why, why_bytes)) {
        arena_free(&making.arena);
        return NULL;
    }
    bool right = attribute_find(cause, cause_length, "id", &cause_id);
    char *own = right ? id_make(rule, part, target, &cause_id, id) : NULL;
    right = own != NULL && event_copy(cause, cause_length, leave, &leaving, &bare) &&
            required_copy(&bare, own, making.type[0] != '\0' ? making.type : NULL, &out);
    if (right) {
        extensions_add(rule, leaving.quarantine, cause, cause_length, &cause_id, &out);
        data_add(&making, part, cause, cause_length, &out);
        right = compose_done(&out, &event, length, &fault);
    } else {
        bytes_free(&out);
    }
    arena_free(&making.arena);
    bytes_free(&bare);
    free(own);
    if (!right)
        (void)snprintf(why, why_bytes, "what rule %s makes is no event: %s", rule->name, fault.text);
    return right ? event : NULL;
}
