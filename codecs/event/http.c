#include "codecs/event/http.h"

#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/event/media.h"
#include "codecs/event/rfc3339.h"
#include "core/base/limits.h"
#include "core/base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct fault *fault, const char *text, const char *field) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .text = text, .field = field};
    return false;
}

/* ---- the Content-Type ---- */

static bool begins(const char *text, const char *prefix) {
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* What follows a prefix is the format, then perhaps parameters. */
static bool format_is(const char *rest, const char *format) {
    size_t n = strlen(format);
    return strncasecmp(rest, format, n) == 0 && (rest[n] == 0 || strchr("; \t", rest[n]) != NULL);
}

enum http_mode http_mode_of(const char *content_type) {
    static const char one[] = "application/cloudevents", batch[] = "application/cloudevents-batch";
    if (content_type == NULL || !begins(content_type, one))
        return HTTP_BINARY;
    bool many = begins(content_type, batch);
    const char *rest = content_type + (many ? sizeof batch : sizeof one) - 1;
    if (format_is(rest, "+json"))
        return many ? HTTP_BATCH_JSON : HTTP_JSON;
    if (format_is(rest, "+protobuf"))
        return many ? HTTP_BATCH_PROTOBUF : HTTP_PROTOBUF;
    return HTTP_UNKNOWN;
}

static const char *blanks_pass(const char *p) {
    return p + strspn(p, " \t");
}

/* Behind a parameter's value, which may be quoted and then hold a semicolon. */
static const char *value_pass(const char *p) {
    if (*p == '"') {
        for (p++; *p != 0 && *p != '"'; p++)
            if (*p == '\\' && p[1] != 0)
                p++;
    }
    return p + strcspn(p, ";");
}

bool http_charset_utf8(const char *content_type) {
    static const char name[] = "charset=";
    const char *p = content_type == NULL ? "" : content_type + strcspn(content_type, ";");
    while (*p == ';') {
        p = blanks_pass(p + 1);
        if (!begins(p, name)) {
            p = value_pass(p + strcspn(p, "=;") + (p[strcspn(p, "=;")] == '='));
            continue;
        }
        const char *value = p + sizeof name - 1;
        value += *value == '"';
        size_t n = strcspn(value, "\"; \t");
        return (n == 5 && begins(value, "utf-8")) || (n == 4 && begins(value, "utf8")) ||
               (n == 8 && begins(value, "us-ascii"));
    }
    return true;
}

/* ---- values ---- */

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Without the quotes and backslashes of a quoted string, in place; its new end, or NULL. */
static char *unquote(char *text, size_t n) {
    char *out = text;
    for (size_t i = 1; i < n; i++) {
        if (text[i] == '"')
            return i + 1 == n ? out : NULL;
        if (text[i] == '\\' && ++i == n)
            return NULL;
        *out++ = text[i];
    }
    return NULL;
}

/* One round, in place; the new end, or NULL. */
static char *percent_decode(char *text, const char *end) {
    char *out = text;
    for (const char *p = text; p < end; p++) {
        if (*p != '%') {
            *out++ = *p;
            continue;
        }
        int high = end - p > 2 ? digit_of(p[1]) : -1, low = end - p > 2 ? digit_of(p[2]) : -1;
        if (high < 0 || low < 0)
            return NULL;
        *out++ = (char)(high << 4 | low);
        p += 2;
    }
    return out;
}

static const char *decode(const char *value, bool quoted, uint8_t **text, size_t *length) {
    size_t n = strlen(value);
    char *copy = strdup(value);
    *text = (uint8_t *)copy;
    if (copy == NULL)
        return "out of memory";
    const char *wrong = NULL;
    char *end = copy + n;
    if (quoted && *copy == '"') {
        end = unquote(copy, n);
        wrong = end == NULL ? "a value that begins with a quote ends with the next one" : NULL;
    }
    if (wrong == NULL) {
        end = percent_decode(copy, end);
        wrong = end == NULL ? "a percent sign stands before two hex digits; itself it is %25" : NULL;
    }
    *length = end == NULL ? 0 : (size_t)(end - copy);
    if (wrong == NULL && !utf8_clean(*text, *length))
        wrong = "the value is not UTF-8 when it is percent-decoded, or has a control character in it";
    if (wrong != NULL) {
        free(copy);
        *text = NULL;
    }
    return wrong;
}

const char *http_value_decode(const char *value, uint8_t **text, size_t *length) {
    return decode(value, true, text, length);
}

const char *http_percent_decode(const char *value, uint8_t **text, size_t *length) {
    return decode(value, false, text, length);
}

void http_value_encode(struct bytes *out, const char *text, size_t n) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        const char coded[] = {'%', digits[c >> 4], digits[c & 15]};
        if (c > ' ' && c < 0x7f && c != '"' && c != '%')
            bytes_add(out, &c, 1);
        else
            bytes_add(out, coded, sizeof coded);
    }
}

/* ---- binary mode ---- */

#define PREFIX "ce-"

/* The headers that are attributes. */
struct reading {
    struct fault *fault;
    const struct http_header *required[EVENT_TYPE + 1]; /* by field number */
    const struct http_header *others[EVENT_ATTRIBUTES_MAX];
    size_t others_count;
    const char *contenttype; /* NULL: none */
};

static const char *const required_names[] = {[EVENT_ID] = "ce-id",
                                             [EVENT_SOURCE] = "ce-source",
                                             [EVENT_SPEC_VERSION] = "ce-specversion",
                                             [EVENT_TYPE] = "ce-type"};

static bool name_plain(const char *name) {
    size_t n = 0;
    while ((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= 'A' && name[n] <= 'Z') ||
           (name[n] >= '0' && name[n] <= '9'))
        n++;
    return n > 0 && name[n] == 0;
}

static bool other_take(struct reading *reading, const struct http_header *header) {
    if (!name_plain(header->name + sizeof PREFIX - 1))
        return refuse(reading->fault, "the name of an attribute is made of letters and digits", header->name);
    if (strcasecmp(header->name, "ce-data") == 0)
        return refuse(reading->fault, "data is the body, and no attribute may have that name", header->name);
    for (size_t i = 0; i < reading->others_count; i++)
        if (strcasecmp(reading->others[i]->name, header->name) == 0)
            return refuse(reading->fault, "an attribute comes twice", header->name);
    if (reading->others_count == EVENT_ATTRIBUTES_MAX)
        return refuse(reading->fault, "the event has more than 64 attributes", header->name);
    reading->others[reading->others_count++] = header;
    return true;
}
static_assert(EVENT_ATTRIBUTES_MAX == 64, "the text names the limit");

static bool header_take(struct reading *reading, const struct http_header *header) {
    if (strcasecmp(header->name, "content-type") == 0) {
        if (reading->contenttype != NULL)
            return refuse(reading->fault, "Content-Type comes twice", header->name);
        reading->contenttype = header->value;
        return true;
    }
    if (!begins(header->name, PREFIX))
        return true;
    if (strcasecmp(header->name, "ce-datacontenttype") == 0)
        return refuse(reading->fault, "datacontenttype is the Content-Type, and has no header of its own",
                      header->name);
    for (unsigned number = EVENT_ID; number <= EVENT_TYPE; number++) {
        if (strcasecmp(header->name, required_names[number]) != 0)
            continue;
        if (reading->required[number] != NULL)
            return refuse(reading->fault, "an attribute comes twice", header->name);
        reading->required[number] = header;
        return true;
    }
    return other_take(reading, header);
}

static bool required_write(struct reading *reading, struct bytes *out) {
    for (unsigned number = EVENT_ID; number <= EVENT_TYPE; number++) {
        const struct http_header *header = reading->required[number];
        uint8_t *text;
        size_t length;
        if (header == NULL || *header->value == 0)
            return refuse(reading->fault,
                          "an event has the headers ce-id, ce-source, ce-specversion and ce-type",
                          required_names[number]);
        const char *wrong = http_value_decode(header->value, &text, &length);
        if (wrong != NULL)
            return refuse(reading->fault, wrong, required_names[number]);
        bool good = number != EVENT_SPEC_VERSION || (length == 3 && memcmp(text, "1.0", 3) == 0);
        bytes_field(out, number, text, length);
        free(text);
        if (!good)
            return refuse(reading->fault, "specversion 1.0 is the only one that is known",
                          required_names[number]);
        if (length == 0)
            return refuse(reading->fault, "the value is empty", required_names[number]);
    }
    return true;
}

static bool other_write(struct reading *reading, const struct http_header *header, struct bytes *out) {
    char name[128];
    uint8_t *text;
    size_t length, n = strlen(header->name) - (sizeof PREFIX - 1);
    if (n >= sizeof name)
        return refuse(reading->fault, "the name of an attribute has at most 127 characters", header->name);
    for (size_t i = 0; i <= n; i++) {
        char c = header->name[sizeof PREFIX - 1 + i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    const char *wrong = http_value_decode(header->value, &text, &length);
    if (wrong != NULL)
        return refuse(reading->fault, wrong, header->name);
    int64_t seconds;
    uint32_t nanos;
    bool good = true;
    if (strcmp(name, "time") != 0)
        compose_attribute(out, name, strcmp(name, "dataschema") == 0 ? VALUE_URI : VALUE_STRING, text,
                          length);
    else if (rfc3339_read((const char *)text, length, &seconds, &nanos))
        compose_time(out, name, seconds, nanos);
    else
        good = refuse(reading->fault, "time is not a timestamp such as 2026-02-28T09:30:00Z", header->name);
    free(text);
    return good;
}

static void data_write(const struct reading *reading, const uint8_t *body, size_t length, struct bytes *out) {
    const char *type = reading->contenttype;
    size_t n = type == NULL ? 0 : strlen(type);
    if (length == 0)
        return;
    bool text =
        (media_json(type, n) || media_text(type, n)) && http_charset_utf8(type) && utf8_valid(body, length);
    bytes_field(out, text ? EVENT_TEXT : EVENT_BINARY, body, length);
}

/* What event_check still has against the finished event. */
static void fault_rename(struct fault *fault) {
    if (fault->field != NULL && strcmp(fault->field, "event.attributes.expirytime") == 0)
        fault->field = "ce-expirytime";
    else if (fault->code == RH_CODE_INVALID)
        fault->field = "headers";
}

bool event_from_http(const struct http_header *headers, size_t count, const uint8_t *body, size_t length,
                     uint8_t **event, size_t *event_length, struct fault *fault) {
    struct reading reading = {.fault = fault};
    struct bytes out = {0};
    bool good = true;
    for (size_t i = 0; good && i < count; i++)
        good = header_take(&reading, &headers[i]);
    good = good && required_write(&reading, &out);
    if (good && reading.contenttype != NULL) {
        size_t n = strlen(reading.contenttype);
        good = utf8_clean((const uint8_t *)reading.contenttype, n) ||
               refuse(fault, "the Content-Type is not plain text", "content-type");
        compose_attribute(&out, "datacontenttype", VALUE_STRING, reading.contenttype, n);
    }
    for (size_t i = 0; good && i < reading.others_count; i++)
        good = other_write(&reading, reading.others[i], &out);
    if (!good) {
        bytes_free(&out);
        return false;
    }
    data_write(&reading, body, length, &out);
    good = compose_done(&out, event, event_length, fault);
    if (!good)
        fault_rename(fault);
    return good;
}
