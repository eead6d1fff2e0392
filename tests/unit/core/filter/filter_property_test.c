/* Filters and events of chance: what is compiled says what a naive reading of the same filter says. */
#include "core/filter/filter.h"

#include "codecs/event/attributes.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS      4000
#define EVENTS_EACH 8

static uint64_t state;
static uint32_t below(uint32_t bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % bound;
}

static const char *const names[] = {"id", "source", "type", "subject", "a", "b", "flag", "number"};
static const char *const texts[] = {"a", "b", "ab", "ba", "aba", "true", "7", "-"};
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- of chance ---- */

static json_t *filter_some(uint32_t depth);

static json_t *list_some(uint32_t depth) {
    json_t *list = json_array();
    for (uint32_t n = 1 + below(3); n > 0; n--)
        json_array_append_new(list, filter_some(depth + 1));
    return list;
}

static json_t *filter_some(uint32_t depth) {
    static const char *const dialects[] = {"exact", "prefix", "suffix", "all", "any", "not"};
    uint32_t dialect = below(depth < 5 ? 6 : 3);
    if (dialect == 5)
        return json_pack("{s:o}", dialects[dialect], filter_some(depth + 1));
    if (dialect >= 3)
        return json_pack("{s:o}", dialects[dialect], list_some(depth));
    json_t *attributes = json_object();
    for (uint32_t n = 1 + below(2); n > 0; n--)
        json_object_set_new(attributes, names[below(COUNT(names))], json_string(texts[below(COUNT(texts))]));
    return json_pack("{s:o}", dialects[dialect], attributes);
}

static void event_some(uint8_t **event, size_t *length) {
    struct bytes made = {0};
    struct fault fault;
    for (uint32_t field = EVENT_ID; field <= EVENT_TYPE; field++) {
        const char *text = field == EVENT_SPEC_VERSION ? "1.0" : texts[below(COUNT(texts))];
        bytes_field(&made, field, text, strlen(text));
    }
    for (uint32_t i = 3; i < 6; i++) {
        const char *text = texts[below(COUNT(texts))];
        if (below(3) > 0)
            compose_attribute(&made, names[i], below(2) ? VALUE_STRING : VALUE_URI, text, strlen(text));
    }
    if (below(2))
        compose_number(&made, "flag", VALUE_BOOLEAN, (int32_t)below(2));
    if (below(2))
        compose_number(&made, "number", VALUE_INTEGER, (int32_t)below(20) - 10);
    cr_assert(compose_done(&made, event, length, &fault), "%s", fault.text);
}

/* ---- naively ---- */

static bool text_is(const char *dialect, const char *text, const char *wanted) {
    size_t n = strlen(text), m = strlen(wanted);
    if (strcmp(dialect, "exact") == 0)
        return strcmp(text, wanted) == 0;
    if (strcmp(dialect, "prefix") == 0)
        return strncmp(text, wanted, m) == 0;
    return n >= m && strcmp(text + n - m, wanted) == 0;
}

static bool attribute_is(const char *dialect, const uint8_t *event, size_t length, const char *name,
                         const char *wanted) {
    struct attribute found;
    char text[64];
    if (!attribute_find(event, length, name, &found))
        return false;
    if (found.data != NULL)
        snprintf(text, sizeof text, "%.*s", (int)found.length, (const char *)found.data);
    else if (found.kind == VALUE_BOOLEAN)
        strcpy(text, found.number ? "true" : "false");
    else
        snprintf(text, sizeof text, "%lld", (long long)found.number);
    return text_is(dialect, text, wanted);
}

static bool naive(json_t *filter, const uint8_t *event, size_t length) {
    const char *dialect = json_object_iter_key(json_object_iter(filter)), *name;
    json_t *value = json_object_iter_value(json_object_iter(filter)), *one;
    size_t i;
    if (strcmp(dialect, "not") == 0)
        return !naive(value, event, length);
    if (json_is_array(value)) {
        uint32_t passed = 0;
        json_array_foreach(value, i, one) passed += naive(one, event, length);
        return strcmp(dialect, "all") == 0 ? passed == json_array_size(value) : passed > 0;
    }
    bool all = true;
    json_object_foreach(value, name, one) all =
        attribute_is(dialect, event, length, name, json_string_value(one)) && all;
    return all;
}

/* ---- the same ---- */

static void events_try(const struct filter *filter, json_t *one, const char *text, uint32_t *passed) {
    for (uint32_t i = 0; i < EVENTS_EACH; i++) {
        uint8_t *event;
        size_t length;
        struct filter_finding finding;
        event_some(&event, &length);
        bool passes = naive(one, event, length);
        cr_assert_eq(filter_passes(filter, event, length), passes, "%s", text);
        filter_explain(filter, event, length, &finding);
        cr_assert_eq(finding.passes, passes, "%s", text);
        *passed += passes;
        free(event);
    }
}

static void filter_try(uint32_t *passed) {
    json_t *one = filter_some(0), *list = json_pack("[O]", one);
    char *text = json_dumps(list, JSON_COMPACT);
    struct filter *filter, *again;
    struct fault fault;
    size_t length;
    cr_assert(filter_from_json(text, strlen(text), &filter, &fault), "%s: %s", text, fault.text);
    events_try(filter, one, text, passed);
    const uint8_t *packed = filter_packed(filter, &length);
    cr_assert(filter_unpack(packed, length, &again, &fault), "%s: %s", text, fault.text);
    char *told = filter_to_json(again);
    json_t *told_list = json_loads(told, 0, NULL);
    cr_assert(json_equal(told_list, list), "%s became %s", text, told);
    events_try(again, one, text, passed);
    json_decref(told_list);
    json_decref(list);
    json_decref(one);
    free(told);
    free(text);
    filter_free(again);
    filter_free(filter);
}

Test(filter_property, what_is_compiled_says_what_a_naive_reading_says) {
    uint32_t passed = 0;
    state = 0x9e3779b97f4a7c15;
    for (uint32_t i = 0; i < ROUNDS; i++)
        filter_try(&passed);
    uint32_t all = 2 * ROUNDS * EVENTS_EACH; /* both answers come often */
    cr_assert(passed > all / 10 && passed < all - all / 10, "%u of %u", passed, all);
    LEAKS_NONE();
}
