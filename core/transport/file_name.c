#include "core/transport/file_name.h"

#include "codecs/event/attributes.h"
#include "codecs/event/media.h"
#include "codecs/event/rfc3339.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VALUE_BYTES_MOST 80u /* of one {...}; fewer, where they do not all fit */
#define HASH_BYTES       16u

/* Those that are not an attribute of the same name have none. */
static const struct {
    const char *name, *attribute;
} variables[] = {{"type", "type"}, {"subject", "subject"}, {"source", "source"},
                 {"id", "id"},     {"time", "time"},       {"seq", "sequence"},
                 {"topic", NULL},  {"hash", NULL},         {"ext", NULL}};

static size_t variable_find(const char *name, size_t length) {
    size_t i = 0;
    while (i < sizeof variables / sizeof *variables &&
           (strlen(variables[i].name) != length || memcmp(variables[i].name, name, length) != 0))
        i++;
    return i;
}

static bool known(size_t variable) {
    return variable < sizeof variables / sizeof *variables;
}

bool file_name_check(const char *template, char *why, size_t why_bytes) {
    if (*template == '\0' || *template == '.') {
        (void)snprintf(why, why_bytes,
                       "file_name: a name that is empty or begins with a dot is never looked "
                       "at by others: write " FILE_NAME_DEFAULT);
        return false;
    }
    if (strlen(template) > FILE_NAME_BYTES / 2) {
        (void)snprintf(why, why_bytes, "file_name: longer than %u bytes", FILE_NAME_BYTES / 2);
        return false;
    }
    for (const char *p = template; *p != '\0'; p++) {
        size_t length = *p == '{' ? strcspn(p + 1, "}") : 0;
        if (*p == '/' || *p == '}' ||
            (*p == '{' && (p[length + 1] != '}' || !known(variable_find(p + 1, length))))) {
            (void)snprintf(why, why_bytes,
                           *p == '/' ? "file_name: a name has no slash: %.60s"
                                     : "file_name: the parts are {type}, {subject}, {source}, {id}, {time}, "
                                       "{topic}, {seq}, {hash} and {ext}; not as in %.60s",
                           p);
            return false;
        }
        p += *p == '{' ? length + 1 : 0;
    }
    return true;
}

/* ---- making ---- */

struct name {
    char *text;
    size_t length;
    size_t most; /* of one value */
    bool cut;
};

static void add(struct name *name, char c) {
    if (name->length < FILE_NAME_BYTES - 1)
        name->text[name->length++] = c;
    else
        name->cut = true;
}

static bool plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("._-+=@,", c) != NULL;
}

/* A value: what a file's name should not have becomes _. */
static void add_value(struct name *name, const char *text, size_t length) {
    for (size_t i = 0; i < length && i < name->most; i++)
        add(name, text[i] != '\0' && plain(text[i]) ? text[i] : '_');
}

static const char *extension(const uint8_t *event, size_t length) {
    static const struct {
        const char *part, *extension;
    } known_types[] = {{"edifact", "edi"}, {"edi-x12", "x12"}, {"edi-consent", "edi"},
                       {"xml", "xml"},     {"csv", "csv"},     {"idoc", "idoc"},
                       {"yaml", "yaml"},   {"pdf", "pdf"},     {"protobuf", "pb"}};
    struct attribute type;
    char text[128];
    if (!attribute_find(event, length, "datacontenttype", &type) || type.data == NULL)
        return "bin";
    const uint8_t *parameters = memchr(type.data, ';', type.length);
    size_t bytes = parameters != NULL ? (size_t)(parameters - type.data) : type.length;
    (void)snprintf(text, sizeof text, "%.*s", (int)(bytes < sizeof text ? bytes : sizeof text - 1),
                   type.data);
    if (media_json((const char *)type.data, type.length))
        return "json";
    for (size_t i = 0; i < sizeof known_types / sizeof *known_types; i++)
        if (strcasestr(text, known_types[i].part) != NULL)
            return known_types[i].extension;
    return media_text((const char *)type.data, type.length) ? "txt" : "bin";
}

/* 20261127T213000Z, with what it has of fractions: no colons, which some systems do not bear. */
static void add_time(struct name *name, int64_t seconds, uint32_t nanos) {
    char text[RFC3339_BYTES];
    size_t length = rfc3339_write(seconds, nanos, text);
    for (size_t i = 0; i < length; i++)
        if (text[i] != ':' && text[i] != '-')
            add(name, text[i]);
}

static void add_attribute(struct name *name, const uint8_t *event, size_t length, const char *which) {
    struct attribute attribute;
    char number[24];
    int64_t seconds;
    uint32_t nanos;
    if (!attribute_find(event, length, which, &attribute)) {
        add_value(name, "none", 4);
    } else if (strcmp(which, "time") == 0 && attribute_time(&attribute, &seconds, &nanos)) {
        add_time(name, seconds, nanos);
    } else if (attribute.data != NULL) {
        add_value(name, (const char *)attribute.data, attribute.length);
    } else {
        (void)snprintf(number, sizeof number, "%" PRId64, attribute.number);
        add_value(name, number, strlen(number));
    }
}

/* What a name is made from. */
struct file_name_event {
    const uint8_t *event;
    size_t length;
    const char *topic;
    size_t topic_length;
    uint64_t hash;
};

static void add_hash(struct name *name, uint64_t hash) {
    char text[HASH_BYTES + 1];
    (void)snprintf(text, sizeof text, "%016" PRIx64, hash);
    for (size_t i = 0; i < HASH_BYTES; i++)
        add(name, text[i]);
}

/* Where -{hash} goes when the template has none: in front of the last dot, or at the end. */
static const char *hash_place(const char *template) {
    if (strstr(template, "{hash}") != NULL)
        return NULL;
    const char *dot = strrchr(template, '.');
    return dot != NULL ? dot : template + strlen(template);
}

static void variable_add(struct name *name, size_t variable, const struct file_name_event *of) {
    if (known(variable) && variables[variable].attribute != NULL)
        add_attribute(name, of->event, of->length, variables[variable].attribute);
    else if (known(variable) && strcmp(variables[variable].name, "topic") == 0)
        add_value(name, of->topic, of->topic_length);
    else if (known(variable) && strcmp(variables[variable].name, "ext") == 0)
        add_value(name, extension(of->event, of->length), strlen(extension(of->event, of->length)));
    else
        add_hash(name, of->hash);
}

static void fill(struct name *name, const char *template, const struct file_name_event *of) {
    const char *here = hash_place(template);
    for (const char *p = template;; p++) {
        if (p == here) {
            add(name, '-');
            add_hash(name, of->hash);
        }
        if (*p == '\0')
            break;
        if (*p != '{') {
            add(name, *p);
            continue;
        }
        size_t length = strcspn(p + 1, "}"), variable = variable_find(p + 1, length);
        p += length + 1;
        variable_add(name, variable, of);
    }
}

/* The hash is never what is cut: two events would have one name, and one of them would be lost. */
void file_name_make(const char *template, const uint8_t *event, size_t event_length, const char *topic,
                    size_t topic_length, uint64_t hash, char out[FILE_NAME_BYTES]) {
    const struct file_name_event of = {event, event_length, topic, topic_length, hash};
    struct name name = {.cut = true};
    for (size_t most = VALUE_BYTES_MOST; name.cut && most > 0; most /= 2) {
        name = (struct name){.text = out, .most = most};
        fill(&name, template, &of);
    }
    if (name.cut) { /* a template of many parts that can not be shorter */
        name.length -= HASH_BYTES + 1;
        add(&name, '-');
        add_hash(&name, hash);
    }
    out[name.length] = '\0';
    if (out[0] == '.')
        out[0] = '_';
}
