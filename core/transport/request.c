#include "core/transport/request.h"

#include "codecs/event/attributes.h"
#include "codecs/event/base64.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "codecs/event/parts.h"
#include "codecs/event/rfc3339.h"
#include "codecs/event/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT(text) (text), sizeof(text) - 1

/* ---- headers ---- */

static void header_begin(struct request *request) {
    CHECK(request->count < REQUEST_HEADERS_MAX);
    request->begin[request->count++] = (uint32_t)request->text.length;
}

static void header_end(struct request *request) {
    bytes_add(&request->text, "", 1);
}

static void header_add(struct request *request, const char *name, const void *value, size_t length) {
    header_begin(request);
    bytes_text(&request->text, name);
    bytes_add(&request->text, TEXT(": "));
    bytes_add(&request->text, value, length);
    header_end(request);
}

/* A header as it is written. */
static void header_line(struct request *request, const char *line) {
    header_begin(request);
    bytes_text(&request->text, line);
    header_end(request);
}

static bool as_it_is(uint8_t byte, bool raw) {
    if (raw)
        return byte >= 0x20 && byte != 0x7f;
    return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '%';
}

/* What the binding has percent-encoded: blanks, `"`, `%` and all that is not printable ASCII. */
static void value_add(struct bytes *text, const uint8_t *value, size_t length, bool raw) {
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *out = bytes_grow(text, 3 * length);
    if (!out)
        return;
    uint8_t *p = out;
    for (size_t i = 0; i < length; i++) {
        if (LIKELY(as_it_is(value[i], raw))) {
            *p++ = value[i];
            continue;
        }
        *p++ = '%';
        *p++ = (uint8_t)digits[value[i] >> 4];
        *p++ = (uint8_t)digits[value[i] & 15];
    }
    text->length -= 3 * length - (size_t)(p - out);
}

/* ---- binary mode ---- */

struct binary {
    struct request *request;
    const struct request_terms *terms;
    struct attribute type; /* datacontenttype, kind 0: none */
    struct field data;     /* number 0: none */
    struct field type_url; /* of proto_data; number 0: none */
    bool schema;           /* it has a dataschema */
};

static void attribute_text(struct binary *binary, const struct attribute *attribute) {
    struct bytes *text = &binary->request->text;
    char number[RFC3339_BYTES];
    switch (attribute->kind) {
    case VALUE_BOOLEAN:
        bytes_text(text, attribute->number ? "true" : "false");
        return;
    case VALUE_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)attribute->number);
        bytes_text(text, number);
        return;
    case VALUE_TIME:
        bytes_add(text, number, rfc3339_write(attribute->number, attribute->nanos, number));
        return;
    case VALUE_BYTES: {
        uint8_t *out = bytes_grow(text, BASE64_LENGTH(attribute->length));
        if (out)
            base64_encode(attribute->data, attribute->length, (char *)out);
        return;
    }
    default:
        value_add(text, attribute->data, attribute->length, binary->terms->raw_attributes);
    }
}

static void attribute_header(struct binary *binary, const void *name, size_t length,
                             const struct attribute *attribute) {
    struct request *request = binary->request;
    header_begin(request);
    bytes_add(&request->text, TEXT("ce-"));
    bytes_add(&request->text, name, length);
    bytes_add(&request->text, TEXT(": "));
    size_t before = request->text.length;
    attribute_text(binary, attribute);
    if (request->text.length == before && !request->text.failed) { /* so libcurl wants an empty one */
        request->text.length -= 2;
        bytes_add(&request->text, TEXT(";"));
    }
    header_end(request);
}

static bool named(const struct field *name, const char *text, size_t length) {
    return name->length == length && memcmp(name->data, text, length) == 0;
}

static bool entry_take(struct binary *binary, const struct field *entry) {
    struct field name, value;
    struct attribute attribute;
    if (!part_entry_plain(entry->data, entry->length, &name, &value) &&
        !part_entry_read(entry->data, entry->data + entry->length, &name, &value))
        return false;
    if (!attribute_read(value.data, value.length, &attribute) || attribute.kind == 0)
        return false;
    if (named(&name, TEXT("datacontenttype"))) {
        binary->type = attribute;
        return attribute.data != NULL;
    }
    binary->schema |= named(&name, TEXT("dataschema"));
    if (binary->terms->mode == WEBHOOK_BINARY)
        attribute_header(binary, name.data, name.length, &attribute);
    return true;
}

/* An Any: its value is the data, and its URL says what it is. */
static bool any_take(struct binary *binary, const struct field *any) {
    struct field field;
    binary->data = (struct field){.number = EVENT_PROTO, .data = any->data};
    for (const uint8_t *p = any->data, *end = any->data + any->length; p < end;) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.type != FIELD_BYTES)
            continue;
        if (field.number == ANY_TYPE_URL)
            binary->type_url = field;
        if (field.number == ANY_VALUE) {
            binary->data.data = field.data;
            binary->data.length = field.length;
        }
    }
    return true;
}

static bool field_take(struct binary *binary, const struct field *field) {
    static const char *const names[] = {[EVENT_ID] = "id",
                                        [EVENT_SOURCE] = "source",
                                        [EVENT_SPEC_VERSION] = "specversion",
                                        [EVENT_TYPE] = "type"};
    struct attribute attribute = {.kind = VALUE_STRING, .data = field->data, .length = field->length};
    switch (field->number) {
    case EVENT_ID:
    case EVENT_SOURCE:
    case EVENT_SPEC_VERSION:
    case EVENT_TYPE:
        if (binary->terms->mode == WEBHOOK_BINARY || field->number == EVENT_ID)
            attribute_header(binary, names[field->number], strlen(names[field->number]), &attribute);
        return true;
    case EVENT_ATTRIBUTE:
        return entry_take(binary, field);
    case EVENT_PROTO:
        return any_take(binary, field);
    case EVENT_BINARY:
    case EVENT_TEXT:
        binary->data = *field;
    }
    return true;
}

static bool type_printable(const struct attribute *type) {
    for (size_t i = 0; i < type->length; i++)
        if (type->data[i] < 0x20 || type->data[i] > 0x7e)
            return false;
    return true;
}

/* The Content-Type, which is the datacontenttype; where the event has none, what the JSON format takes it
 * for. */
static const char *type_header(struct binary *binary) {
    struct request *request = binary->request;
    const struct field *data = &binary->data;
    if (binary->terms->own_type)
        return NULL;
    if (binary->type.kind) {
        if (!type_printable(&binary->type))
            return "the event's datacontenttype can not be a header: it is not ASCII";
        header_add(request, "Content-Type", binary->type.data, binary->type.length);
    } else if (data->number == EVENT_PROTO) {
        header_line(request, "Content-Type: application/protobuf");
    } else if (data->number == EVENT_TEXT &&
               !json_text_fault((const char *)data->data, data->length, false)) {
        header_line(request, "Content-Type: application/json");
    } else {
        header_line(request, "Content-Type:"); /* none, instead of the one that libcurl would choose */
    }
    return NULL;
}

/* Binary mode, and plain mode, which leaves out all attributes but the id. */
static const char *binary_make(struct request *request, const struct request_terms *terms,
                               const uint8_t *event, size_t length) {
    struct binary binary = {.request = request, .terms = terms};
    uint32_t entries = 0;
    struct field field;
    for (const uint8_t *p = event, *end = event + length; p < end;) {
        p = field_read(p, end, &field);
        if (!p)
            return "the event is malformed";
        if (field.type != FIELD_BYTES)
            continue;
        entries += field.number == EVENT_ATTRIBUTE;
        if (entries > EVENT_ATTRIBUTES_MAX || !field_take(&binary, &field))
            return "the event has an attribute that can not be read";
    }
    if (binary.type_url.number && !binary.schema && terms->mode == WEBHOOK_BINARY) {
        const struct attribute url = {
            .kind = VALUE_URI, .data = binary.type_url.data, .length = binary.type_url.length};
        attribute_header(&binary, TEXT("dataschema"), &url);
    }
    request->body = binary.data.data;
    request->body_length = binary.data.length;
    return type_header(&binary);
}

static const char *structured_make(struct request *request, const struct request_terms *terms,
                                   const uint8_t *event, size_t length) {
    struct fault fault;
    if (!event_to_json(event, length, &request->json, &request->body_length, &fault)) {
        request->json = NULL;
        return fault.text;
    }
    request->body = (const uint8_t *)request->json;
    if (!terms->own_type)
        header_line(request, "Content-Type: application/cloudevents+json");
    return NULL;
}

/* ---- what is added to all of them ---- */

static void token_add(struct request *request, const struct secret *token) {
    header_begin(request);
    bytes_add(&request->text, TEXT("Authorization: Bearer "));
    bytes_add(&request->text, token->text, token->length);
    header_end(request);
}

static bool has_fixed(const struct request_terms *terms, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < terms->headers_count; i++)
        if (strncasecmp(terms->headers[i], name, length) == 0 && terms->headers[i][length] == ':')
            return true;
    return false;
}

/* The trace context as HTTP has it, in each mode: whoever is asked goes on with the trace of the event. */
static void trace_headers(struct request *request, const struct request_terms *terms, const uint8_t *event,
                          size_t length) {
    struct attribute parent, state;
    if (!attribute_find(event, length, TRACE_PARENT, &parent) || parent.data == NULL ||
        !trace_parent_valid((const char *)parent.data, parent.length) || has_fixed(terms, TRACE_PARENT))
        return;
    header_add(request, TRACE_PARENT, parent.data, parent.length);
    if (attribute_find(event, length, TRACE_STATE, &state) && state.data != NULL &&
        trace_state_valid((const char *)state.data, state.length) && !has_fixed(terms, TRACE_STATE))
        header_add(request, TRACE_STATE, state.data, state.length);
}

static void sign(struct request *request, const struct request_terms *terms, uint64_t wall_ns) {
    char text[sizeof "sha256=" - 1 + SIGNATURE_HEX_BYTES] = "sha256=";
    char prefix[32] = "";
    int n = 0;
    if (terms->timestamp_header) {
        n = snprintf(prefix, sizeof prefix, "%llu.", (unsigned long long)(wall_ns / NS_PER_S));
        header_add(request, terms->timestamp_header, prefix, (size_t)n - 1);
    }
    signer_sign(terms->signer, prefix, (size_t)n, request->body, request->body_length,
                text + sizeof "sha256=" - 1);
    header_add(request, terms->signature_header, text, sizeof text - 1);
}

/* The texts do not move any more: the list is put together. */
static bool close_list(struct request *request) {
    if (request->text.failed) {
        request_free(request);
        request->why = "no memory";
        request->no_memory = true;
        return false;
    }
    for (uint32_t i = 0; i < request->count; i++) {
        request->headers[i].data = (char *)request->text.data + request->begin[i];
        request->headers[i].next = i + 1 < request->count ? &request->headers[i + 1] : NULL;
    }
    return true;
}

static void begin(struct request *request, const struct request_terms *terms) {
    free(request->json);
    request->json = NULL;
    request->body = NULL;
    request->body_length = 0;
    request->count = 0;
    request->no_memory = false;
    request->text.length = 0;
    if (request->text.capacity > WEBHOOK_KEPT_BYTES)
        bytes_free(&request->text);
    header_line(request, "Expect:"); /* or libcurl asks first before it sends a body of more than 1 MiB */
    for (size_t i = 0; i < terms->headers_count; i++)
        header_line(request, terms->headers[i]);
    if (terms->origin)
        header_add(request, "WebHook-Request-Origin", terms->origin, strlen(terms->origin));
    if (terms->token)
        token_add(request, terms->token);
}

bool request_make(struct request *request, const struct request_terms *terms, const uint8_t *event,
                  size_t length, uint64_t wall_ns) {
    begin(request, terms);
    request->why = terms->mode == WEBHOOK_STRUCTURED ? structured_make(request, terms, event, length)
                                                     : binary_make(request, terms, event, length);
    if (request->why)
        return false;
    if (!request->body)
        request->body = (const uint8_t *)"";
    trace_headers(request, terms, event, length);
    if (terms->signer)
        sign(request, terms, wall_ns);
    return close_list(request);
}

bool request_ask(struct request *request, const struct request_terms *terms, uint32_t rate) {
    char number[16];
    begin(request, terms);
    if (rate)
        header_add(request, "WebHook-Request-Rate", number,
                   (size_t)snprintf(number, sizeof number, "%u", rate));
    return close_list(request);
}

void request_free(struct request *request) {
    bytes_free(&request->text);
    free(request->json);
    request->json = NULL;
}

/* ---- fixed headers ---- */

bool header_name(const char *name, size_t length) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == '\0' || !strchr(marks, c)))
            return false;
    }
    return length > 0;
}

/* What HTTP, libcurl or the binding writes itself. */
static bool taken(const char *name, size_t length) {
    static const char *const names[] = {"Host",       "Content-Length", "Transfer-Encoding",
                                        "Connection", "Expect",         "TE",
                                        "Trailer",    "Upgrade",        "WebHook-Request-Origin"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
            return true;
    return length >= 3 && strncasecmp(name, "ce-", 3) == 0;
}

const char *header_fault(const char *header) {
    const char *colon = strchr(header, ':');
    if (!colon || !header_name(header, (size_t)(colon - header)))
        return "a header is written as `Name: value`";
    if (taken(header, (size_t)(colon - header)))
        return "this header is written by the webhook itself";
    if (colon[1] == '\0' || strspn(colon + 1, " ") == strlen(colon + 1))
        return "a header has a value";
    for (const char *p = colon + 1; *p; p++)
        if ((uint8_t)*p < 0x20 || (uint8_t)*p > 0x7e)
            return "a header's value is printable ASCII";
    return NULL;
}
