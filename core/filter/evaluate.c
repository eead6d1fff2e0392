#include "core/filter/program.h"

#include "codecs/event/base64.h"
#include "codecs/event/parts.h"
#include "codecs/event/rfc3339.h"

#include <stdio.h>
#include <string.h>

/* ---- the values ---- */

/* The name, among those that are none of the event's own fields, that an entry of the map has; if it is one,
 * its value, too. */
static uint32_t entry_name(const struct filter *filter, const struct field *entry, struct field *value) {
    struct field key;
    const uint8_t *end = entry->data + entry->length;
    if (!part_entry_plain(entry->data, entry->length, &key, value) &&
        !part_entry_read(entry->data, end, &key, value))
        return FILTER_NO_NAME;
    for (uint32_t i = filter->others; i < filter->name_count; i++) {
        const struct filter_text *name = &filter->names[i].text;
        if (name->n == key.length && memcmp(name->p, key.data, key.length) == 0)
            return i;
    }
    return FILTER_NO_NAME;
}

uint32_t filter_values(const struct filter *filter, const uint8_t *event, size_t length,
                       struct attribute values[FILTER_ATTRIBUTES_MAX]) {
    const uint8_t *end = event + length;
    uint32_t has = 0, left = filter->name_count;
    struct field field, value;
    for (const uint8_t *p = event; left > 0 && p != NULL && p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL || field.type != FIELD_BYTES)
            continue;
        uint32_t name = FILTER_NO_NAME;
        if (field.number < FILTER_OWN_FIELDS) {
            name = filter->own[field.number];
            if (name != FILTER_NO_NAME)
                values[name] =
                    (struct attribute){.kind = VALUE_STRING, .data = field.data, .length = field.length};
        } else if (field.number == EVENT_ATTRIBUTE && filter->others < filter->name_count) {
            name = entry_name(filter, &field, &value);
            if (name != FILTER_NO_NAME &&
                (!attribute_read(value.data, value.length, &values[name]) || values[name].kind == 0))
                name = FILTER_NO_NAME;
        }
        if (name == FILTER_NO_NAME)
            continue;
        has |= UINT32_C(1) << name;
        left--;
    }
    return has;
}

size_t filter_canonical(const struct attribute *value, char out[FILTER_CANONICAL_BYTES]) {
    static_assert(RFC3339_BYTES <= FILTER_CANONICAL_BYTES, "a time fits");
    if (value->kind == VALUE_TIME)
        return rfc3339_write(value->number, value->nanos, out);
    if (value->kind == VALUE_BOOLEAN)
        return (size_t)snprintf(out, FILTER_CANONICAL_BYTES, "%s", value->number != 0 ? "true" : "false");
    return (size_t)snprintf(out, FILTER_CANONICAL_BYTES, "%d", (int)value->number);
}

/* ---- comparisons ---- */

/* Where in a text of so many bytes the comparison begins; false: it has not enough, or too many. */
static bool test_place(const struct filter_test *test, size_t length, size_t *at) {
    *at = test->dialect == FILTER_SUFFIX ? length - test->text.n : 0;
    return test->dialect == FILTER_EXACT ? length == test->text.n : length >= test->text.n;
}

static bool text_holds(const struct filter_test *test, const uint8_t *text, size_t length) {
    size_t at;
    return test_place(test, length, &at) && memcmp(text + at, test->text.p, test->text.n) == 0;
}

#define ENCODED_CHARS 64u
#define ENCODED_BYTES (ENCODED_CHARS / 4 * 3)

/* As if the bytes were written in base64, of which only the part that is compared is made. */
static bool bytes_hold(const struct filter_test *test, const uint8_t *bytes, size_t length) {
    char encoded[ENCODED_CHARS];
    size_t at, done = 0;
    if (!test_place(test, BASE64_LENGTH(length), &at))
        return false;
    while (done < test->text.n) {
        size_t group = (at + done) / ENCODED_CHARS, from = (at + done) % ENCODED_CHARS;
        size_t begin = group * ENCODED_BYTES;
        size_t some = length - begin < ENCODED_BYTES ? length - begin : ENCODED_BYTES;
        base64_encode(bytes + begin, some, encoded);
        size_t n = BASE64_LENGTH(some) - from;
        n = n < test->text.n - done ? n : test->text.n - done;
        if (memcmp(encoded + from, test->text.p + done, n) != 0)
            return false;
        done += n;
    }
    return true;
}

bool filter_test_holds(const struct filter_test *test, uint32_t has, const struct attribute *values) {
    const struct attribute *value = &values[test->name];
    char canonical[FILTER_CANONICAL_BYTES];
    if ((has >> test->name & 1u) == 0)
        return false;
    if (value->kind == VALUE_BYTES)
        return bytes_hold(test, value->data, value->length);
    if (value->data != NULL)
        return text_holds(test, value->data, value->length);
    size_t length = filter_canonical(value, canonical);
    return text_holds(test, (const uint8_t *)canonical, length);
}

bool filter_passes(const struct filter *filter, const uint8_t *event, size_t length) {
    struct attribute values[FILTER_ATTRIBUTES_MAX];
    uint32_t has = filter_values(filter, event, length, values);
    uint16_t at = 0;
    while (at < FILTER_STOP) {
        const struct filter_test *test = &filter->tests[at];
        at = filter_test_holds(test, has, values) ? test->yes : test->no;
    }
    return at == FILTER_PASS;
}
