#include "codecs/erp/loss.h"

#include "codecs/erp/decimal.h"
#include "codecs/erp/json.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 256u

struct comparing {
    erp_loss_told told; /* NULL: only whether anything is lost */
    void *context;
    uint32_t lost;
};

static const char *text_of(const json_t *value, char number[32]) {
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        (void)snprintf(number, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        (void)snprintf(number, 32, "%s", json_is_true(value) ? "true" : "");
    return number;
}

static bool same_number(const char *a, const char *b) {
    struct decimal x, y;
    const struct decimal_style style = {.mark = '.'};
    return decimal_read((const uint8_t *)a, strlen(a), style, &x) == DECIMAL_OK &&
           decimal_read((const uint8_t *)b, strlen(b), style, &y) == DECIMAL_OK && decimal_compare(x, y) == 0;
}

/* A value that has no fields in JSON. */
static bool is_leaf(const ProtobufCFieldDescriptor *field) {
    return field->type != PROTOBUF_C_TYPE_MESSAGE ||
           field->descriptor == &roundhouse__erp__v1__decimal__descriptor ||
           field->descriptor == &roundhouse__erp__v1__moment__descriptor;
}

static void leaf_compare(struct comparing *comparing, const ProtobufCFieldDescriptor *field, const char *path,
                         const json_t *was, const json_t *is) {
    char numbers[2][32];
    const char *before = text_of(was, numbers[0]), *after = text_of(is, numbers[1]);
    bool decimal = field->type == PROTOBUF_C_TYPE_MESSAGE &&
                   field->descriptor == &roundhouse__erp__v1__decimal__descriptor;
    if (strcmp(before, after) == 0 || (decimal && same_number(before, after)))
        return;
    comparing->lost++;
    if (comparing->told)
        comparing->told(comparing->context, path, before, after);
}

static void message_compare(struct comparing *comparing, const ProtobufCMessageDescriptor *type,
                            const char *path, const json_t *was, const json_t *is);

/* Entries that stand for themselves, wherever in their list they are. */
static bool is_set(const ProtobufCFieldDescriptor *field) {
    return field->type == PROTOBUF_C_TYPE_MESSAGE &&
           (field->descriptor == &roundhouse__erp__v1__identifier__descriptor ||
            field->descriptor == &roundhouse__erp__v1__reference__descriptor ||
            field->descriptor == &roundhouse__erp__v1__text__descriptor);
}

/* The entry of the other list that has all that this one has, or the one that stands at the same place. */
static const json_t *partner(const ProtobufCFieldDescriptor *field, const json_t *entry, const json_t *list,
                             size_t place) {
    for (size_t i = 0; is_set(field) && i < json_array_size(list); i++) {
        struct comparing quiet = {0};
        message_compare(&quiet, field->descriptor, "", entry, json_array_get(list, i));
        if (quiet.lost == 0)
            return json_array_get(list, i);
    }
    return json_array_get(list, place);
}

static void value_compare(struct comparing *comparing, const ProtobufCFieldDescriptor *field,
                          const char *path, const json_t *was, const json_t *is) {
    if (is_leaf(field))
        leaf_compare(comparing, field, path, was, is);
    else
        message_compare(comparing, field->descriptor, path, was, is);
}

/* In lowerCamelCase. */
static void name_of(const ProtobufCFieldDescriptor *field, char name[64]) {
    size_t n = 0;
    for (const char *c = field->name; *c && n < 63; c++)
        name[n++] = *c == '_' && c[1] ? (char)(*++c - 'a' + 'A') : *c;
    name[n] = 0;
}

static bool same_at(const json_t *was, const json_t *is, const char *name) {
    const json_t *value = json_object_get(was, name);
    return value && json_equal(value, json_object_get(is, name));
}

/* What is as the sender wrote it, and told in our words beside it. */
static bool is_passed_over(const ProtobufCMessageDescriptor *type, const char *name, const json_t *was,
                           const json_t *is) {
    return (type == &roundhouse__erp__v1__header__descriptor && strcmp(name, "origin") == 0) ||
           (strcmp(name, "sourceUnit") == 0 && same_at(was, is, "unit")) ||
           (strcmp(name, "agency") == 0 && same_at(was, is, "scheme"));
}

static void message_compare(struct comparing *comparing, const ProtobufCMessageDescriptor *type,
                            const char *path, const json_t *was, const json_t *is) {
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        char name[64], inner[PATH_BYTES];
        name_of(field, name);
        const json_t *before = json_object_get(was, name), *after = json_object_get(is, name);
        if (!before || is_passed_over(type, name, was, is))
            continue;
        (void)snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", name);
        if (field->label != PROTOBUF_C_LABEL_REPEATED)
            value_compare(comparing, field, inner, before, after);
        for (size_t k = 0; k < json_array_size(before); k++) {
            const json_t *entry = json_array_get(before, k);
            (void)snprintf(inner, sizeof inner, "%s%s%s[%zu]", path, *path ? "." : "", name, k);
            value_compare(comparing, field, inner, entry, partner(field, entry, after, k));
        }
    }
}

static json_t *json_of(const ProtobufCMessage *message) {
    struct bytes text = {0};
    erp_json_write(message, &text);
    json_t *json =
        text.failed ? NULL : json_loadb((const char *)text.data, text.length, JSON_ALLOW_NUL, NULL);
    bytes_free(&text);
    return json;
}

bool erp_loss(const ProtobufCMessage *was, const ProtobufCMessage *is, erp_loss_told told, void *context) {
    struct comparing comparing = {.told = told, .context = context};
    json_t *before = json_of(was), *after = is ? json_of(is) : json_object();
    bool done = before && after;
    if (done)
        message_compare(&comparing, was->descriptor, "", before, after);
    json_decref(before);
    json_decref(after);
    return done;
}
