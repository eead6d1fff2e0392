#include "tests/unit/codecs/erp/canonical.h"

#include "codecs/erp/json.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_message(void *context, const struct erp_result *result) {
    struct canonical *canonical = context;
    struct bytes text = {0};
    json_decref(canonical->json);
    canonical->json = NULL;
    canonical->errors += result->errors;
    if (!result->message)
        return;
    erp_json_write(result->message, &text);
    json_error_t error;
    canonical->json = json_loadb((const char *)text.data, text.length, 0, &error);
    cr_assert(canonical->json, "%s: %.*s", error.text, (int)text.length, (const char *)text.data);
    bytes_free(&text);
    (void)json_object_del(json_object_get(canonical->json, "header"), "origin");
    if (canonical->message)
        canonical->message(canonical->context, result);
}

static void on_finding(void *context, const struct finding *finding) {
    struct canonical *canonical = context;
    canonical->findings[finding->code]++;
}

/* Layouts first, then what only XML has. */
static uint32_t idoc_field(void *context, const char *segment, size_t segment_length, const char *field,
                           size_t field_length) {
    uint32_t number = layouts_element(context, segment, segment_length, field, field_length);
    return number ? number : xml_idoc_field(segment, segment_length, field, field_length);
}

static uint32_t idoc_number(void *context, const char *segment, const char *field) {
    return idoc_field(context, segment, strlen(segment), field, strlen(field));
}

void canonical_new(struct canonical *canonical) {
    *canonical = (struct canonical){0};
    struct layout_error error;
    cr_assert(idoc_layouts(&canonical->layouts, &error) == 0);
    const struct map_fields fields[] = {
        {.format = "UBL", .number = xml_field_number},
        {.format = "IDOC", .number = idoc_number, .context = &canonical->layouts}};
    canonical->library = map_library_new(fields, 2);
    cr_assert(canonical->library);
    struct erp_engine_options options = {
        .library = canonical->library, .context = canonical, .message = on_message, .finding = on_finding};
    canonical->engine = erp_engine_new(&options);
    cr_assert(canonical->engine);
    canonical->sink = erp_engine_sink(canonical->engine);
    struct xml_options xml = {.field = idoc_field, .context = &canonical->layouts};
    canonical->reader = xml_open(&canonical->sink, &xml);
    cr_assert(canonical->reader);
}

void canonical_free(struct canonical *canonical) {
    xml_close(canonical->reader);
    erp_engine_free(canonical->engine);
    map_library_free(canonical->library);
    layouts_free(&canonical->layouts);
    json_decref(canonical->json);
}

void canonical_read(struct canonical *canonical, const void *bytes, size_t length) {
    json_decref(canonical->json);
    canonical->json = NULL;
    canonical->errors = 0;
    memset(canonical->findings, 0, sizeof canonical->findings);
    cr_assert(xml_feed(canonical->reader, bytes, length) == 0 && xml_end(canonical->reader) == 0);
    xml_again(canonical->reader);
}

void canonical_read_file(struct canonical *canonical, const char *file) {
    char path[256];
    size_t n;
    (void)snprintf(path, sizeof path, "tests/data/%s", file);
    uint8_t *bytes = golden_file(path, &n);
    canonical_read(canonical, bytes, n);
    free(bytes);
}

/* The value at a path as text; "-": there is none. */
static void value_at(const json_t *json, const char *path, char *out, size_t size) {
    while (*path && json) {
        size_t n = strcspn(path, ".");
        if (n == 1 && *path == '#') {
            (void)snprintf(out, size, "%zu", json_array_size(json));
            return;
        }
        char key[64];
        (void)snprintf(key, sizeof key, "%.*s", (int)n, path);
        json =
            json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10)) : json_object_get(json, key);
        path += n + (path[n] == '.');
    }
    if (json_is_string(json))
        (void)snprintf(out, size, "%s", json_string_value(json));
    else if (json_is_integer(json))
        (void)snprintf(out, size, "%lld", (long long)json_integer_value(json));
    else
        (void)snprintf(out, size, "%s", json_is_true(json) ? "true" : json ? "?" : "-");
}

unsigned canonical_expect(struct canonical *canonical, const char *name) {
    char path[256], line[1024], last[sizeof line] = "";
    unsigned values = 0;
    (void)snprintf(path, sizeof path, "tests/data/canonical/%s", name);
    FILE *file = golden_open(path);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (*line == '#' || strncmp(line, "file\t", 5) == 0)
            continue;
        char *at = strchr(line, '\t'), *value = at ? strchr(at + 1, '\t') : NULL, got[512];
        cr_assert(value, "%s: %s", name, line);
        *at++ = 0;
        *value++ = 0;
        if (strcmp(last, line) != 0) {
            canonical_read_file(canonical, line);
            cr_assert(canonical->json, "%s: no event was made", line);
            (void)snprintf(last, sizeof last, "%s", line);
        }
        value_at(canonical->json, at, got, sizeof got);
        cr_expect_str_eq(got, value, "%s: %s is %s, not %s", line, at, got, value);
        values++;
    }
    (void)fclose(file);
    return values;
}
