#include "core/spoke/expect.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 128u

struct compare {
    char path[PATH_BYTES];
    char *why;
    size_t why_bytes;
};

/* Cut, as a sentence can have it. */
static void told(const struct compare *compare, const json_t *wanted, const json_t *got) {
    char *want = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT);
    char *have = json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT);
    (void)snprintf(compare->why, compare->why_bytes, "%s is %.60s, not %.60s", compare->path,
                   have != NULL ? have : "missing", want != NULL ? want : "that");
    free(want);
    free(have);
}

static bool value_right(struct compare *compare, const json_t *wanted, const json_t *got);

/* The path is longer while `inside` is compared. */
static bool inside_right(struct compare *compare, const char *step, const json_t *wanted, const json_t *got) {
    size_t length = strlen(compare->path);
    (void)snprintf(compare->path + length, PATH_BYTES - length, "%s", step);
    bool right = value_right(compare, wanted, got);
    if (right)
        compare->path[length] = '\0';
    return right;
}

static bool object_right(struct compare *compare, const json_t *wanted, const json_t *got) {
    const char *key;
    json_t *value;
    char step[PATH_BYTES];
    json_object_foreach((json_t *)(void *)(uintptr_t)wanted, key, value) {
        (void)snprintf(step, sizeof step, ".%s", key);
        if (!inside_right(compare, step, value, json_object_get(got, key)))
            return false;
    }
    return true;
}

static bool list_right(struct compare *compare, const json_t *wanted, const json_t *got) {
    char step[32];
    if (json_array_size(wanted) != json_array_size(got)) {
        (void)snprintf(compare->why, compare->why_bytes, "%s has %zu items, not %zu", compare->path,
                       json_array_size(got), json_array_size(wanted));
        return false;
    }
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        (void)snprintf(step, sizeof step, "[%zu]", i);
        if (!inside_right(compare, step, json_array_get(wanted, i), json_array_get(got, i)))
            return false;
    }
    return true;
}

static bool value_right(struct compare *compare, const json_t *wanted, const json_t *got) {
    if (json_is_object(wanted) && json_is_object(got))
        return object_right(compare, wanted, got);
    if (json_is_array(wanted) && json_is_array(got))
        return list_right(compare, wanted, got);
    bool numbers = json_is_number(wanted) && json_is_number(got);
    if (numbers ? json_number_value(wanted) == json_number_value(got) : json_equal(wanted, got))
        return true;
    told(compare, wanted, got);
    return false;
}

/* A list of the values of a text, which may be one already. NULL: *why says what is wrong with it. */
static json_t *values_of(const char *text, size_t length, const char *whose, char *why, size_t why_bytes) {
    json_t *values = json_array();
    json_error_t error;
    size_t at = 0;
    while (values != NULL) {
        at += strspn(text + at, " \t\r\n");
        if (at >= length)
            break;
        json_t *value = json_loadb(text + at, length - at, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &error);
        if (value == NULL) {
            (void)snprintf(why, why_bytes, "%s is not JSON: line %d: %.100s", whose, error.line, error.text);
            json_decref(values);
            return NULL;
        }
        at += (size_t)error.position;
        (void)json_array_append_new(values, value);
    }
    if (json_array_size(values) == 1 && json_is_array(json_array_get(values, 0))) {
        json_t *list = json_incref(json_array_get(values, 0));
        json_decref(values);
        return list;
    }
    return values;
}

bool expect_json(const char *wanted, size_t wanted_length, const char *got, size_t got_length, char *why,
                 size_t why_bytes) {
    struct compare compare = {.path = "$", .why = why, .why_bytes = why_bytes};
    json_t *want = values_of(wanted, wanted_length, "the expectation", why, why_bytes);
    json_t *have = want != NULL ? values_of(got, got_length, "what came", why, why_bytes) : NULL;
    bool right = want != NULL && have != NULL && list_right(&compare, want, have);
    json_decref(want);
    json_decref(have);
    return right;
}

static size_t without_line_end(const char *text, size_t length) {
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    return length;
}

bool expect_text(const char *wanted, size_t wanted_length, const char *got, size_t got_length, char *why,
                 size_t why_bytes) {
    size_t want = without_line_end(wanted, wanted_length), have = without_line_end(got, got_length);
    size_t same = 0, line = 1;
    while (same < want && same < have && wanted[same] == got[same])
        line += wanted[same++] == '\n';
    if (same == want && same == have)
        return true;
    (void)snprintf(why, why_bytes, "what came differs at byte %zu, line %zu: \"%.*s\", not \"%.*s\"", same,
                   line, (int)(have - same < 40 ? have - same : 40), got + same,
                   (int)(want - same < 40 ? want - same : 40), wanted + same);
    return false;
}
