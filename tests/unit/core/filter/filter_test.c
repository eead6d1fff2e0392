/* What passes a filter, what a filter may be, and what is told about it. */
#include "core/filter/filter.h"

#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/wire/control.h"
#include "core/base/heap.h"
#include "core/base/limits.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct event {
    uint8_t *bytes;
    size_t length;
};

static void required_add(struct bytes *to, const char *type) {
    static const char id[] = "A234-1234-1234", source[] = "https://github.com/cloudevents/spec/pull";
    bytes_field(to, EVENT_ID, id, sizeof id - 1);
    bytes_field(to, EVENT_SOURCE, source, sizeof source - 1);
    bytes_field(to, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(to, EVENT_TYPE, type, strlen(type));
}

static struct event event_done(struct bytes *made) {
    struct event event;
    struct fault fault;
    cr_assert(compose_done(made, &event.bytes, &event.length, &fault), "%s", fault.text);
    return event;
}

/* The example of the specification of CloudEvents, with an attribute of each type beside it. */
static struct event event_example(void) {
    static const uint8_t bytes[] = {0, 1, 2, 0xfe, 0xff};
    struct bytes made = {0};
    required_add(&made, "com.github.pull_request.opened");
    compose_attribute(&made, "subject", VALUE_STRING, "123", 3);
    compose_time(&made, "time", 1522949491, 0);
    compose_attribute(&made, "comexampleextension1", VALUE_STRING, "value", 5);
    compose_number(&made, "comexampleothervalue", VALUE_INTEGER, 5);
    compose_number(&made, "negative", VALUE_INTEGER, -42);
    compose_number(&made, "yes", VALUE_BOOLEAN, 1);
    compose_number(&made, "no", VALUE_BOOLEAN, 0);
    compose_time(&made, "precise", 1522949491, 250000000);
    compose_attribute(&made, "dataschema", VALUE_URI, "urn:example:schema", 18);
    compose_attribute(&made, "ref", VALUE_URI_REF, "/a/b", 4);
    compose_attribute(&made, "binary", VALUE_BYTES, bytes, sizeof bytes);
    compose_attribute(&made, "nothing", VALUE_BYTES, bytes, 0);
    compose_attribute(&made, "datacontenttype", VALUE_STRING, "text/xml", 8);
    bytes_field(&made, EVENT_TEXT, "<much wow=\"xml\"/>", 17);
    return event_done(&made);
}

static struct filter *filter_of(const char *json) {
    struct filter *filter;
    struct fault fault = {0};
    cr_assert(filter_from_json(json, strlen(json), &filter, &fault), "%s: %s", json, fault.text);
    return filter;
}

static void expect(const struct event *event, const char *json, bool passes) {
    struct filter *filter = filter_of(json);
    struct filter_finding finding;
    cr_expect_eq(filter_passes(filter, event->bytes, event->length), passes, "%s", json);
    filter_explain(filter, event->bytes, event->length, &finding);
    cr_expect_eq(finding.passes, passes, "%s", json);
    filter_free(filter);
}

/* ---- what passes ---- */

/* The filters of the specification's own text, and events that its examples speak of. */
Test(filter, does_what_the_examples_of_the_specification_say) {
    static const struct {
        const char *json;
        const char *type, *subject;
        bool passes;
    } cases[] = {
        {"[{\"exact\":{\"type\":\"com.github.push\",\"subject\":\"https://github.com/cloudevents/spec\"}}]",
         "com.github.push", "https://github.com/cloudevents/spec", true},
        {"[{\"exact\":{\"type\":\"com.github.push\",\"subject\":\"https://github.com/cloudevents/spec\"}}]",
         "com.github.push", "https://github.com/cloudevents/spec/", false},
        {"[{\"exact\":{\"type\":\"com.github.push\",\"subject\":\"https://github.com/cloudevents/spec\"}}]",
         "com.github.Push", "https://github.com/cloudevents/spec", false},
        {"[{\"exact\":{\"type\":\"com.github.push\",\"subject\":\"https://github.com/cloudevents/spec\"}}]",
         "com.github.push", NULL, false},
        {"[{\"prefix\":{\"type\":\"com.github.\",\"subject\":\"https://github.com/cloudevents\"}}]",
         "com.github.push", "https://github.com/cloudevents/spec", true},
        {"[{\"prefix\":{\"type\":\"com.github.\",\"subject\":\"https://github.com/cloudevents\"}}]",
         "com.github.", "https://github.com/cloudevents", true},
        {"[{\"prefix\":{\"type\":\"com.github.\",\"subject\":\"https://github.com/cloudevents\"}}]",
         "com.github", "https://github.com/cloudevents", false},
        {"[{\"suffix\":{\"type\":\".created\",\"subject\":\"/cloudevents/spec\"}}]", "com.example.created",
         "https://github.com/cloudevents/spec", true},
        {"[{\"suffix\":{\"type\":\".created\",\"subject\":\"/cloudevents/spec\"}}]", "com.example.create",
         "https://github.com/cloudevents/spec", false},
        {"[{\"all\":[{\"exact\":{\"type\":\"com.github.push\"}},{\"exact\":{\"subject\":\"s\"}}]}]",
         "com.github.push", "s", true},
        {"[{\"all\":[{\"exact\":{\"type\":\"com.github.push\"}},{\"exact\":{\"subject\":\"s\"}}]}]",
         "com.github.push", "t", false},
        {"[{\"any\":[{\"exact\":{\"type\":\"com.github.push\"}},{\"exact\":{\"subject\":\"s\"}}]}]",
         "com.github.push", "t", true},
        {"[{\"any\":[{\"exact\":{\"type\":\"com.github.push\"}},{\"exact\":{\"subject\":\"s\"}}]}]", "other",
         "s", true},
        {"[{\"any\":[{\"exact\":{\"type\":\"com.github.push\"}},{\"exact\":{\"subject\":\"s\"}}]}]", "other",
         "t", false},
        {"[{\"not\":{\"exact\":{\"type\":\"com.github.push\"}}}]", "com.github.push", NULL, false},
        {"[{\"not\":{\"exact\":{\"type\":\"com.github.push\"}}}]", "com.github.pull", NULL, true},
        {"[{\"prefix\":{\"type\":\"com.github.issue\"}}]", "com.github.issue.opened", NULL, true},
        /* several in the array: all of them */
        {"[{\"prefix\":{\"type\":\"com.\"}},{\"suffix\":{\"type\":\".push\"}}]", "com.github.push", NULL,
         true},
        {"[{\"prefix\":{\"type\":\"com.\"}},{\"suffix\":{\"type\":\".push\"}}]", "com.github.pull", NULL,
         false},
        /* what an event has not is not equal to anything, and so it is not so that it is equal */
        {"[{\"not\":{\"exact\":{\"subject\":\"s\"}}}]", "t", NULL, true},
        {"[{\"not\":{\"not\":{\"exact\":{\"subject\":\"s\"}}}}]", "t", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes made = {0};
        required_add(&made, cases[i].type);
        if (cases[i].subject != NULL)
            compose_attribute(&made, "subject", VALUE_STRING, cases[i].subject, strlen(cases[i].subject));
        struct event event = event_done(&made);
        expect(&event, cases[i].json, cases[i].passes);
        free(event.bytes);
    }
    LEAKS_NONE();
}

/* name, canonical form */
static const char *const canonical[][2] = {
    {"id", "A234-1234-1234"},
    {"source", "https://github.com/cloudevents/spec/pull"},
    {"specversion", "1.0"},
    {"type", "com.github.pull_request.opened"},
    {"subject", "123"},
    {"time", "2018-04-05T17:31:31Z"},
    {"precise", "2018-04-05T17:31:31.250Z"},
    {"comexampleextension1", "value"},
    {"comexampleothervalue", "5"},
    {"negative", "-42"},
    {"yes", "true"},
    {"no", "false"},
    {"dataschema", "urn:example:schema"},
    {"ref", "/a/b"},
    {"binary", "AAEC/v8="},
    {"datacontenttype", "text/xml"},
};

static void expect_text(const struct event *event, const char *dialect, const char *name, const char *text,
                        bool passes) {
    char json[1024];
    snprintf(json, sizeof json, "[{\"%s\":{\"%s\":\"%s\"}}]", dialect, name, text);
    expect(event, json, passes);
}

Test(filter, compares_the_canonical_form_of_every_type) {
    struct event event = event_example();
    for (size_t i = 0; i < sizeof canonical / sizeof canonical[0]; i++) {
        const char *name = canonical[i][0], *text = canonical[i][1];
        char longer[128];
        snprintf(longer, sizeof longer, "%s.", text);
        expect_text(&event, "exact", name, text, true);
        expect_text(&event, "exact", name, longer, false);
        if (text[1] != '\0')
            expect_text(&event, "exact", name, text + 1, false);
        expect_text(&event, "prefix", name, longer, false);
        expect_text(&event, "suffix", name, longer, false);
        for (size_t n = 1; n <= strlen(text); n++) {
            char part[128];
            snprintf(part, sizeof part, "%.*s", (int)n, text);
            expect_text(&event, "prefix", name, part, true);
            expect_text(&event, "suffix", name, text + strlen(text) - n, true);
            part[n - 1] ^= 1;
            expect_text(&event, "prefix", name, part, false);
        }
    }
    expect_text(&event, "prefix", "nothing", "A", false);
    free(event.bytes);
}

/* Longer than what is encoded at once: each place where a comparison may begin and end. */
Test(filter, compares_long_bytes_as_base64) {
    uint8_t bytes[151];
    char text[4 * sizeof bytes];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t length = 140; length <= sizeof bytes; length++) {
        struct bytes made = {0};
        required_add(&made, "t");
        compose_attribute(&made, "b", VALUE_BYTES, bytes, length);
        struct event event = event_done(&made);
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t n = 0;
        for (size_t bit = 0; bit < 8 * length; bit += 6) {
            uint32_t two = (uint32_t)bytes[bit / 8] << 8 | (bit / 8 + 1 < length ? bytes[bit / 8 + 1] : 0);
            text[n++] = digits[two >> (10 - bit % 8) & 63];
        }
        while (n % 4 != 0)
            text[n++] = '=';
        text[n] = '\0';
        expect_text(&event, "exact", "b", text, true);
        for (size_t part = 60; part < 70; part++)
            expect_text(&event, "suffix", "b", text + n - part, true);
        text[n - 70] ^= 1;
        expect_text(&event, "exact", "b", text, false);
        expect_text(&event, "suffix", "b", text + n - 69, true);
        expect_text(&event, "suffix", "b", text + n - 70, false);
        text[70] = '\0';
        expect_text(&event, "prefix", "b", text, true);
        free(event.bytes);
    }
}

Test(filter, finds_attributes_behind_the_data_and_in_any_order) {
    struct bytes made = {0};
    bytes_field(&made, EVENT_TYPE, "t", 1);
    bytes_field(&made, EVENT_TEXT, "data", 4);
    compose_attribute(&made, "b", VALUE_STRING, "2", 1);
    bytes_field(&made, EVENT_SOURCE, "/s", 2);
    bytes_field(&made, EVENT_ID, "i", 1);
    compose_attribute(&made, "a", VALUE_STRING, "1", 1);
    bytes_field(&made, EVENT_SPEC_VERSION, "1.0", 3);
    struct event event = event_done(&made);
    expect(&event, "[{\"exact\":{\"a\":\"1\",\"b\":\"2\",\"type\":\"t\",\"id\":\"i\"}}]", true);
    expect(&event, "[{\"exact\":{\"a\":\"2\",\"b\":\"2\",\"type\":\"t\",\"id\":\"i\"}}]", false);
    free(event.bytes);
}

/* ---- what a filter may be ---- */

static void refused(const char *json, enum rh_code code, const char *part_of_text) {
    struct filter *filter = NULL;
    struct fault fault = {0};
    cr_assert_not(filter_from_json(json, strlen(json), &filter, &fault), "%s", json);
    cr_expect(filter == NULL && fault.code == code && strcmp(fault.field, "subscribe.filters") == 0);
    cr_expect(strstr(fault.text, part_of_text) != NULL, "%s: %s", json, fault.text);
}

Test(filter, refuses_what_is_none) {
    refused("", RH_CODE_INVALID, "JSON array");
    refused("x", RH_CODE_INVALID, "JSON array");
    refused("[", RH_CODE_INVALID, "JSON array");
    refused("[1]", RH_CODE_INVALID, "one member");
    refused("[{}]", RH_CODE_INVALID, "one member");
    refused("[{\"exact\":{\"type\":\"a\"},\"prefix\":{\"type\":\"a\"}}]", RH_CODE_INVALID, "one member");
    refused("[{\"exact\":{\"type\":\"a\"},\"exact\":{\"type\":\"b\"}}]", RH_CODE_INVALID, "member twice");
    refused("[{\"sql\":\"TRUE\"}]", RH_CODE_UNSUPPORTED, "others are not known");
    refused("[{\"exact\":[]}]", RH_CODE_INVALID, "an object of attributes");
    refused("[{\"exact\":{}}]", RH_CODE_INVALID, "at least one attribute");
    refused("[{\"all\":[]}]", RH_CODE_INVALID, "at least one filter");
    refused("[{\"any\":[]}]", RH_CODE_INVALID, "at least one filter");
    refused("[{\"any\":{\"exact\":{\"type\":\"a\"}}}]", RH_CODE_INVALID, "an array of filters");
    refused("[{\"not\":[{\"exact\":{\"type\":\"a\"}}]}]", RH_CODE_INVALID, "one member");
    refused("[{\"exact\":{\"type\":\"\"}}]", RH_CODE_INVALID, "not empty");
    refused("[{\"exact\":{\"type\":5}}]", RH_CODE_INVALID, "is a string");
    refused("[{\"exact\":{\"\":\"a\"}}]", RH_CODE_INVALID, "without a name");
    refused("[{\"exact\":{\"Type\":\"a\"}}]", RH_CODE_INVALID, "small letters and digits");
    refused("[{\"exact\":{\"data\":\"a\"}}]", RH_CODE_INVALID, "not looked at");
}

Test(filter, takes_one_alone_and_says_of_none_that_there_is_none) {
    struct event event = event_example();
    struct filter *filter = filter_of("{\"exact\":{\"subject\":\"123\"}}");
    cr_expect(filter_passes(filter, event.bytes, event.length));
    filter_free(filter);
    cr_expect_eq(filter_of(" [ ] "), NULL);
    filter_free(NULL);
    free(event.bytes);
}

/* `count` times `text` between `begin` and `end`, in each of which %u is its number. */
static char *repeated(const char *begin, const char *text, const char *between, const char *end,
                      uint32_t count) {
    size_t room = strlen(begin) + strlen(end) + count * (strlen(text) + strlen(between) + 10) + 1;
    char *all = malloc(room), *p = stpcpy(all, begin);
    for (uint32_t i = 0; i < count; i++) {
        char one[FILTER_BYTES_MAX + 64];
        char *number = strstr(strcpy(one, text), "%u");
        if (number != NULL) {
            char *rest = strdup(number + 2);
            sprintf(number, "%u%s", i, rest);
            free(rest);
        }
        p = stpcpy(stpcpy(p, i == 0 ? "" : between), one);
    }
    strcpy(p, end);
    return all;
}

static void edge(char *fits, char *too_much, const char *part_of_text) {
    struct filter *filter = filter_of(fits);
    filter_free(filter);
    refused(too_much, RH_CODE_TOO_LARGE, part_of_text);
    free(fits);
    free(too_much);
}

Test(filter, refuses_what_is_too_deep) {
    char *begin[2], *all[2];
    for (uint32_t i = 0; i < 2; i++) {
        begin[i] = repeated("[", "{\"not\":", "", "{\"exact\":{\"a\":\"b\"}}", FILTER_DEPTH_MAX - 1 + i);
        all[i] = repeated(begin[i], "}", "", "]", FILTER_DEPTH_MAX - 1 + i);
        free(begin[i]);
    }
    edge(all[0], all[1], "16 deep");
}

Test(filter, refuses_too_many_parts) {
    static const char one[] = "{\"exact\":{\"a\":\"b\"}}";
    edge(repeated("[", one, ",", "]", FILTER_PARTS_MAX), repeated("[", one, ",", "]", FILTER_PARTS_MAX + 1),
         "256 parts");
    edge(repeated("[{\"any\":[", one, ",", "]}]", FILTER_PARTS_MAX - 1),
         repeated("[{\"any\":[", one, ",", "]}]", FILTER_PARTS_MAX), "256 parts");
    edge(repeated("[", "{\"not\":{\"exact\":{\"a\":\"b\"}}}", ",", "]", FILTER_PARTS_MAX / 2),
         repeated("[", "{\"not\":{\"exact\":{\"a\":\"b\"}}}", ",", "]", FILTER_PARTS_MAX / 2 + 1),
         "256 parts");
}

Test(filter, refuses_too_many_attributes) {
    edge(repeated("[{\"exact\":{", "\"a%u\":\"b\"", ",", "}}]", FILTER_ATTRIBUTES_MAX),
         repeated("[{\"exact\":{", "\"a%u\":\"b\"", ",", "}}]", FILTER_ATTRIBUTES_MAX + 1), "32 different");
}

Test(filter, refuses_long_names_and_too_many_bytes) {
    edge(repeated("[{\"exact\":{\"", "a", "", "\":\"b\"}}]", FILTER_NAME_BYTES_MAX),
         repeated("[{\"exact\":{\"", "a", "", "\":\"b\"}}]", FILTER_NAME_BYTES_MAX + 1), "64 bytes");
    edge(repeated("[{\"exact\":{\"a\":\"", "b", "", "\"}}]", FILTER_BYTES_MAX - 1),
         repeated("[{\"exact\":{\"a\":\"", "b", "", "\"}}]", FILTER_BYTES_MAX), "16384 bytes");
}

/* ---- on the wire ---- */

static const char many_shapes[] = "[{\"exact\":{\"subject\":\"123\",\"type\":\"a\"}},{\"any\":[{\"prefix\":{"
                                  "\"type\":\"com.\"}},{\"not\":{\"all\":"
                                  "[{\"suffix\":{\"id\":\"4\"}},{\"exact\":{\"yes\":\"true\"}}]}}]}]";

Test(filter, is_the_same_from_json_from_messages_and_from_its_bytes) {
    struct filter *filter = filter_of(many_shapes), *again, *messages;
    struct fault fault;
    size_t length, length_again;
    const uint8_t *packed = filter_packed(filter, &length);
    cr_assert(filter_unpack(packed, length, &again, &fault), "%s", fault.text);
    const uint8_t *packed_again = filter_packed(again, &length_again);
    cr_expect_arr_eq(packed, packed_again, length);
    cr_expect_eq(length, length_again);
    Roundhouse__V1__Filters *unpacked = roundhouse__v1__filters__unpack(NULL, length, packed);
    cr_assert(filter_compile(unpacked->filters, unpacked->n_filters, &messages, &fault));
    cr_expect_eq(roundhouse__v1__filters__get_packed_size(unpacked), length);
    char *json = filter_to_json(messages);
    cr_expect_str_eq(json, many_shapes);
    free(json);
    roundhouse__v1__filters__free_unpacked(unpacked, NULL);
    filter_free(messages);
    filter_free(again);
    filter_free(filter);
    LEAKS_NONE();
}

Test(filter, has_one_form_whatever_the_order_of_its_attributes) {
    struct filter *one = filter_of("[{\"exact\":{\"b\":\"1\",\"a\":\"2\",\"c\":\"3\"}}]");
    struct filter *other = filter_of("[{\"exact\":{\"c\":\"3\",\"b\":\"1\",\"a\":\"2\"}}]");
    size_t length, length_other;
    const uint8_t *packed = filter_packed(one, &length), *packed_other = filter_packed(other, &length_other);
    cr_expect(length == length_other && memcmp(packed, packed_other, length) == 0);
    filter_free(one);
    filter_free(other);
}

static void bytes_refused(const uint8_t *bytes, size_t length, enum rh_code code, const char *part_of_text) {
    struct filter *filter;
    struct fault fault = {0};
    cr_assert_not(filter_unpack(bytes, length, &filter, &fault));
    cr_expect_eq(fault.code, code);
    cr_expect(strstr(fault.text, part_of_text) != NULL, "%s", fault.text);
}

Test(filter, refuses_bytes_that_are_none) {
    static const uint8_t no_dialect[] = {0x0a, 0x00}, newer[] = {0x0a, 0x02, 0x7a, 0x00},
                         cut[] = {0x0a, 0x05},
                         twice[] = {0x0a, 0x12, 0x0a, 0x10, 0x0a, 0x06, 0x0a, 0x01, 'a',  0x12,
                                    0x01, 'b',  0x0a, 0x06, 0x0a, 0x01, 'a',  0x12, 0x01, 'c'},
                         zero[] = {0x0a, 0x0a, 0x0a, 0x08, 0x0a, 0x06, 0x0a, 0x01, 'a', 0x12, 0x01, 0x00};
    bytes_refused(no_dialect, sizeof no_dialect, RH_CODE_UNSUPPORTED, "others are not known");
    bytes_refused(newer, sizeof newer, RH_CODE_UNSUPPORTED, "others are not known");
    bytes_refused(cut, sizeof cut, RH_CODE_PROTOCOL, "well-formed");
    bytes_refused(twice, sizeof twice, RH_CODE_INVALID, "attribute twice");
    bytes_refused(zero, sizeof zero, RH_CODE_INVALID, "zero byte");
    bytes_refused(NULL, 0, RH_CODE_INVALID, "at least one filter");
}

/* Unpacking recurses: it must not be the frame's size that bounds how deep. */
Test(filter, refuses_what_is_far_too_deep_before_it_is_unpacked) {
    enum { LEVELS = 100000 };
    static uint8_t bytes[5 * LEVELS];
    uint8_t *p = bytes + sizeof bytes;
    for (size_t i = 0; i < LEVELS && p - bytes > 5; i++) {
        size_t inner = (size_t)(bytes + sizeof bytes - p);
        uint32_t n = 0;
        uint8_t length[4];
        do {
            length[n++] = (uint8_t)((inner & 0x7f) | (inner >> 7 ? 0x80 : 0));
            inner >>= 7;
        } while (inner != 0);
        p -= n;
        memcpy(p, length, n);
        *--p = 0x32; /* negation */
    }
    bytes_refused(p, (size_t)(bytes + sizeof bytes - p), RH_CODE_INVALID, "at least one"); /* no list */
    size_t inner = (size_t)(bytes + sizeof bytes - p);
    static uint8_t list[sizeof bytes + 5];
    uint8_t *end = list;
    *end++ = 0x0a;
    for (; inner >= 0x80; inner >>= 7)
        *end++ = (uint8_t)(inner | 0x80);
    *end++ = (uint8_t)inner;
    inner = (size_t)(bytes + sizeof bytes - p);
    memcpy(end, p, inner);
    bytes_refused(list, (size_t)(end - list) + inner, RH_CODE_TOO_LARGE, "64 deep");
}

/* ---- why ---- */

static void explained(const char *json, bool passes, enum filter_dialect dialect, const char *path,
                      const char *attribute, const char *wanted, const char *value) {
    struct event event = event_example();
    struct filter *filter = filter_of(json);
    struct filter_finding finding;
    filter_explain(filter, event.bytes, event.length, &finding);
    cr_expect_eq(finding.passes, passes, "%s", json);
    cr_expect_eq(finding.dialect, dialect, "%s: %s", json, filter_dialect_name(finding.dialect));
    cr_expect_str_eq(finding.path, path, "%s: %s", json, finding.path);
    cr_expect_eq(finding.attribute == NULL, attribute == NULL, "%s", json);
    cr_expect_eq(finding.wanted == NULL, wanted == NULL, "%s", json);
    if (finding.attribute != NULL && attribute != NULL)
        cr_expect_str_eq(finding.attribute, attribute);
    if (finding.wanted != NULL && wanted != NULL)
        cr_expect_str_eq(finding.wanted, wanted);
    cr_expect_eq(finding.has, value != NULL, "%s", json);
    cr_expect_str_eq(finding.value, value == NULL ? "" : value, "%s: %s", json, finding.value);
    filter_free(filter);
    free(event.bytes);
}

Test(filter, says_which_part_of_it_decides) {
    explained("[{\"exact\":{\"subject\":\"4\"}}]", false, FILTER_EXACT, "[0].exact", "subject", "4", "123");
    explained("[{\"exact\":{\"subject\":\"123\"}}]", true, FILTER_EXACT, "[0].exact", "subject", "123",
              "123");
    explained("[{\"exact\":{\"absent\":\"4\"}}]", false, FILTER_EXACT, "[0].exact", "absent", "4", NULL);
    explained("[{\"prefix\":{\"id\":\"A\"}},{\"exact\":{\"time\":\"2018\"}}]", false, FILTER_EXACT,
              "[1].exact", "time", "2018", "2018-04-05T17:31:31Z");
    explained("[{\"prefix\":{\"id\":\"A\",\"type\":\"org\"}}]", false, FILTER_PREFIX, "[0].prefix", "type",
              "org", "com.github.pull_request.opened");
    explained("[{\"not\":{\"exact\":{\"yes\":\"true\"}}}]", false, FILTER_EXACT, "[0].not.exact", "yes",
              "true", "true");
    explained("[{\"any\":[{\"exact\":{\"type\":\"a\"}},{\"exact\":{\"type\":\"b\"}}]}]", false, FILTER_ANY,
              "[0].any", "type", NULL, "com.github.pull_request.opened");
    explained("[{\"any\":[{\"exact\":{\"type\":\"a\"}},{\"exact\":{\"id\":\"b\"}}]}]", false, FILTER_ANY,
              "[0].any", NULL, NULL, NULL);
    explained("[{\"all\":[{\"any\":[{\"exact\":{\"type\":\"a\"}},{\"suffix\":{\"binary\":\"v8=\"}}]}]}]",
              true, FILTER_SUFFIX, "[0].all[0].any[1].suffix", "binary", "v8=", "AAEC/v8=");
    explained("[{\"exact\":{\"subject\":\"123\"}},{\"exact\":{\"yes\":\"true\"}}]", true, FILTER_ALL, "",
              NULL, NULL, NULL);
}

Test(filter, cuts_what_is_long_when_it_explains) {
    char text[600];
    memset(text, 'x', sizeof text);
    memcpy(text + 123, "\xc3\xa9", 2); /* the cut would be within it */
    struct bytes made = {0};
    required_add(&made, "t");
    compose_attribute(&made, "long", VALUE_STRING, text, sizeof text);
    compose_attribute(&made, "bytes", VALUE_BYTES, text, sizeof text);
    struct event event = event_done(&made);
    struct filter_finding finding;
    struct filter *filter = filter_of("[{\"exact\":{\"long\":\"a\"}}]");
    filter_explain(filter, event.bytes, event.length, &finding);
    cr_expect_eq(strlen(finding.value), 126);
    cr_expect_str_eq(finding.value + 120, "xxx...");
    filter_free(filter);
    filter = filter_of("[{\"exact\":{\"bytes\":\"a\"}}]");
    filter_explain(filter, event.bytes, event.length, &finding);
    cr_expect_eq(strlen(finding.value), FILTER_SHOWN_BYTES - 1);
    filter_free(filter);
    static const char level[] = "{\"all\":[{\"prefix\":{\"id\":\"A\"}},{\"prefix\":{\"id\":\"A\"}},";
    char *deep = repeated("[", level, "", "{\"exact\":{\"a\":\"b\"}}", FILTER_DEPTH_MAX - 1);
    char *all = repeated(deep, "]}", "", "]", FILTER_DEPTH_MAX - 1);
    filter = filter_of(all);
    filter_explain(filter, event.bytes, event.length, &finding);
    cr_expect_eq(strncmp(finding.path, "[0].all[2].all[2].all", 21), 0);
    cr_expect_str_eq(finding.path + FILTER_PATH_BYTES - 4, "...");
    cr_expect_str_eq(finding.attribute, "a");
    filter_free(filter);
    free(all);
    free(deep);
    free(event.bytes);
}

/* ---- without memory ---- */

static uint32_t heap_left;
static bool refuse_when_none_is_left(size_t bytes) {
    (void)bytes;
    return heap_left == 0 || heap_left-- == 0;
}

Test(filter, says_so_when_there_is_no_memory) {
    struct filter *filter;
    struct fault fault;
    uint32_t allocations = 0;
    heap_refuse = refuse_when_none_is_left;
    for (;; allocations++) {
        heap_left = allocations;
        if (filter_from_json(many_shapes, strlen(many_shapes), &filter, &fault))
            break;
        cr_assert(filter == NULL && fault.code == RH_CODE_EXHAUSTED);
    }
    heap_refuse = NULL;
    cr_expect_geq(allocations, 3);
    filter_free(filter);
    filter = NULL;
    LEAKS_NONE();
}
