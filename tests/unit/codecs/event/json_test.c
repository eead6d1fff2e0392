#include "codecs/event/json.h"

#include "codecs/event/check.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORE "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

/* JSON -> event -> JSON. The text, to be freed, or NULL with the fault. */
static char *through(const char *json, size_t n, struct fault *fault) {
    uint8_t *event;
    char *text = NULL;
    size_t event_length, text_length;
    uint8_t *alone = golden_alone((const uint8_t *)json, n);
    bool good = event_from_json((const char *)alone, n, &event, &event_length, fault);
    free(alone);
    if (!good)
        return NULL;
    uint8_t *event_alone = golden_alone(event, event_length);
    cr_assert(event_check(event_alone, event_length, fault));
    cr_assert(event_to_json(event_alone, event_length, &text, &text_length, fault));
    text = realloc(text, text_length + 1);
    text[text_length] = 0;
    cr_assert(strlen(text) == text_length && !strchr(text, '\n'));
    free(event_alone);
    free(event);
    return text;
}

static void expect_json(const char *in, const char *out) {
    struct fault fault = {0};
    char *text = through(in, strlen(in), &fault);
    cr_assert(text, "%s: %s", in, fault.text ? fault.text : "");
    cr_expect_str_eq(text, out);
    free(text);
}

static void expect_same(const char *json) {
    expect_json(json, json);
}

static void expect_bad(const char *json, const char *field) {
    struct fault fault = {0};
    char *text = through(json, strlen(json), &fault);
    cr_expect_null(text, "%s", json);
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, field), "%s", json);
    free(text);
}

/* A golden event as JSON. */
static void expect_golden(const char *hex, const char *json) {
    uint8_t bytes[512];
    char *text;
    size_t length, n = golden_hex(hex, bytes, sizeof bytes);
    struct fault fault = {0};
    uint8_t *alone = golden_alone(bytes, n);
    cr_assert(event_to_json(alone, n, &text, &length, &fault), "%s", fault.text ? fault.text : "");
    cr_expect(length == strlen(json) && memcmp(text, json, length) == 0, "%.*s", (int)length, text);
    free(alone);
    free(text);
}

#define GOLDEN_JSON                                                                                          \
    "{\"specversion\":\"1.0\",\"id\":\"A-1\",\"source\":\"/erp/plant-7\","                                   \
    "\"type\":\"com.example.despatchadvice.created\",\"count\":-7,\"dataschema\":\"https://example.com/s\"," \
    "\"digest\":\"AP8=\",\"flag\":true,\"ref\":\"../x\",\"subject\":\"L\xc3\xa4ger\","                       \
    "\"time\":\"2026-02-28T09:30:00.250Z\""
/* datacontenttype = application/x+json */
#define JSON_TYPE "2a27 0a0f 64617461636f6e74656e7474797065 1214 1a12 6170706c69636174696f6e2f782b6a736f6e"

Test(event_to_json, writes_golden_events_with_all_seven_types) {
    expect_golden(GOLDEN_HEAD, GOLDEN_JSON "}");
    expect_golden(GOLDEN_HEAD GOLDEN_BINARY, GOLDEN_JSON ",\"data_base64\":\"AAH/\"}");
    expect_golden(GOLDEN_HEAD GOLDEN_TEXT, GOLDEN_JSON ",\"data\":\"{\\\"a\\\": 1.10}\"}");
    expect_golden(GOLDEN_HEAD GOLDEN_PROTO,
                  GOLDEN_JSON ",\"datacontenttype\":\"application/protobuf\",\"data_base64\":\"CAE=\"}");
    expect_golden(GOLDEN_SMALL GOLDEN_PROTO,
                  "{" CORE ",\"datacontenttype\":\"application/protobuf\",\"dataschema\":"
                  "\"type.googleapis.com/a.B\",\"data_base64\":\"CAE=\"}");
    LEAKS_NONE();
}

Test(event_to_json, writes_json_text_as_the_value_it_is) {
    expect_golden(GOLDEN_SMALL JSON_TYPE GOLDEN_TEXT,
                  "{" CORE ",\"datacontenttype\":\"application/x+json\",\"data\":{\"a\":1.10}}");
}

Test(event_to_json, leaves_repeated_members_of_the_data_to_the_reader) {
    expect_golden(GOLDEN_SMALL JSON_TYPE "3a0d 7b2261223a312c2261223a327d",
                  "{" CORE ",\"datacontenttype\":\"application/x+json\",\"data\":{\"a\":1,\"a\":2}}");
}

Test(event_to_json, writes_text_that_only_claims_to_be_json_as_bytes) {
    expect_golden(GOLDEN_SMALL JSON_TYPE "3a02 7b7b",
                  "{" CORE ",\"datacontenttype\":\"application/x+json\",\"data_base64\":\"e3s=\"}");
    expect_golden(GOLDEN_SMALL JSON_TYPE "3a00",
                  "{" CORE ",\"datacontenttype\":\"application/x+json\",\"data_base64\":\"\"}");
}

Test(event_to_json, passes_over_unknown_fields) {
    expect_golden("4801" GOLDEN_SMALL "2a0b 1801 0a0161 1204 4801 1005 4a0161", "{" CORE ",\"a\":5}");
}

Test(event_to_json, refuses_what_is_no_event) {
    static const uint8_t bytes[] = {0x0a, 0x05, 'x'};
    char *text;
    size_t length;
    struct fault fault;
    cr_expect_not(event_to_json(bytes, sizeof bytes, &text, &length, &fault));
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, "event"));
}

Test(event_from_json, keeps_data_exactly_as_it_was_written) {
    static const char *const values[] = {"1",
                                         "-0",
                                         "0.10",
                                         "1e5",
                                         "1E+05",
                                         "123456789012345678901234567890.0000000000000000000000000001",
                                         "9007199254740993",
                                         "18446744073709551616",
                                         "true",
                                         "null",
                                         "\"\"",
                                         "\"a \\\" \\\\ b\"",
                                         "\"\\u0000\\ud83d\\ude00\"",
                                         "\"\\\\\"",
                                         "{}",
                                         "[]",
                                         "[[],{},[{\"a\":[]}]]",
                                         "{\"a\":{\"b\":[1,2.50,\"}]\"]},\"c\":-1}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        char json[512];
        snprintf(json, sizeof json, "{" CORE ",\"datacontenttype\":\"application/json\",\"data\":%s}",
                 values[i]);
        expect_same(json);
        snprintf(json, sizeof json,
                 "{" CORE ",\"datacontenttype\":\"application/json; charset=utf-8\",\"data\":%s}", values[i]);
        expect_same(json);
    }
    LEAKS_NONE();
}

Test(event_from_json, brings_data_on_one_line) {
    expect_json(" { \"data\" : {\r\n\t\"a b\" : [ 1 , 2.50 ,\n \" x  y \" ] } ,\n" CORE " } \n",
                "{" CORE ",\"datacontenttype\":\"application/json\",\"data\":{\"a b\":[1,2.50,\" x  y \"]}}");
    expect_json("{" CORE ",\"data\":\t1\n}",
                "{" CORE ",\"datacontenttype\":\"application/json\",\"data\":1}");
}

Test(event_from_json, takes_members_in_any_order_and_with_escapes_in_their_names) {
    expect_json(
        "{\"type\":\"t\",\"da\\u0074a\":[1],\"source\":\"/s\",\"n\":1,\"id\":\"1\",\"specversion\":\"1.0\"}",
        "{" CORE ",\"datacontenttype\":\"application/json\",\"n\":1,\"data\":[1]}");
}

Test(event_from_json, follows_the_content_type) {
    expect_same("{" CORE ",\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\\u0000c\"}");
    expect_same("{" CORE ",\"datacontenttype\":\"application/xml\",\"data\":\"<a/>\"}");
    expect_same("{" CORE ",\"datacontenttype\":\"application/json\",\"data\":\"text stays a string\"}");
    expect_same("{" CORE ",\"datacontenttype\":\"Text/JSON\",\"data\":1}");
    expect_same("{" CORE ",\"datacontenttype\":\"image/svg+json ;x=y\",\"data\":{}}");
    expect_bad("{" CORE ",\"datacontenttype\":\"text/plain\",\"data\":{}}", "data");
    expect_bad("{" CORE ",\"datacontenttype\":\"text/plain\",\"data\":1}", "data");
    expect_bad("{" CORE ",\"datacontenttype\":\"application/jsonx\",\"data\":1}", "data");
    expect_bad("{" CORE ",\"datacontenttype\":\"json\",\"data\":1}", "data");
    expect_bad("{" CORE ",\"datacontenttype\":\"\",\"data\":1}", "data");
    expect_bad("{" CORE ",\"datacontenttype\":1,\"data\":1}", "event");
    expect_json("{" CORE ",\"datacontenttype\":null,\"data\":1}",
                "{" CORE ",\"datacontenttype\":\"application/json\",\"data\":1}");
    expect_same("{" CORE "}");
}

Test(event_from_json, takes_data_or_data_base64) {
    expect_same("{" CORE ",\"data_base64\":\"\"}");
    expect_same("{" CORE ",\"data_base64\":\"AAH/\"}");
    expect_same("{" CORE ",\"datacontenttype\":\"application/json\",\"data_base64\":\"e30=\"}");
    expect_json("{" CORE ",\"data_base64\":null}", "{" CORE "}");
    expect_bad("{" CORE ",\"data_base64\":\"AAH/\",\"data\":1}", "data");
    expect_bad("{" CORE ",\"data_base64\":\"AAH\"}", "data_base64");
    expect_bad("{" CORE ",\"data_base64\":\"AA H\"}", "data_base64");
    expect_bad("{" CORE ",\"data_base64\":\"A===\"}", "data_base64");
    expect_bad("{" CORE ",\"data_base64\":5}", "event");
}

Test(event_from_json, knows_the_types_of_attributes) {
    expect_same("{" CORE
                ",\"a\":true,\"b\":false,\"c\":0,\"d\":2147483647,\"e\":-2147483648,\"f\":\"x\",\"g\":\"\"}");
    expect_json("{" CORE ",\"a\":null}", "{" CORE "}");
    expect_bad("{" CORE ",\"a\":2147483648}", "attributes");
    expect_bad("{" CORE ",\"a\":-2147483649}", "attributes");
    expect_bad("{" CORE ",\"a\":123456789012345678901}", "attributes");
    expect_bad("{" CORE ",\"a\":1.0}", "attributes");
    expect_bad("{" CORE ",\"a\":1e2}", "attributes");
    expect_bad("{" CORE ",\"a\":{}}", "attributes");
    expect_bad("{" CORE ",\"a\":[]}", "attributes");
    expect_bad("{" CORE ",\"subject\":1}", "attributes");
    expect_bad("{" CORE ",\"dataschema\":true}", "attributes");
    expect_bad("{" CORE ",\"time\":1}", "attributes");
}

Test(event_from_json, gives_time_and_dataschema_their_types) {
    static const char json[] = "{" CORE ",\"time\":\"1970-01-01T00:00:01Z\",\"dataschema\":\"x:y\"}";
    uint8_t expected[128], *event;
    size_t n = golden_hex(GOLDEN_SMALL "2a0c 0a04 74696d65 1204 3a02 0801"
                                       "2a13 0a0a 64617461736368656d61 1205 2a03 783a79",
                          expected, sizeof expected);
    size_t length;
    struct fault fault;
    cr_assert(event_from_json(json, strlen(json), &event, &length, &fault));
    cr_assert_eq(length, n);
    cr_assert_arr_eq(event, expected, n);
    free(event);
    expect_json("{" CORE ",\"time\":\"2026-02-28T10:30:00.5+01:00\"}",
                "{" CORE ",\"time\":\"2026-02-28T09:30:00.500Z\"}");
    expect_json("{" CORE ",\"time\":\"1970-01-01T00:00:00Z\"}",
                "{" CORE ",\"time\":\"1970-01-01T00:00:00Z\"}");
    expect_bad("{" CORE ",\"time\":\"2026-02-28\"}", "time");
    expect_bad("{" CORE ",\"time\":\"\"}", "time");
}

Test(event_from_json, wants_the_required_attributes) {
    expect_bad("{}", "id");
    expect_bad("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"}", "type");
    expect_bad("{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", "source");
    expect_bad("{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", "id");
    expect_bad("{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion");
    expect_bad("{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "specversion");
    expect_bad("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}", "id");
    expect_bad("{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\",\"type\":\"t\"}", "id");
    expect_bad("{\"specversion\":\"1.0\",\"id\":7,\"source\":\"/s\",\"type\":\"t\"}", "event");
    expect_bad("{\"specversion\":\"1.0\",\"id\":\"\\u0001\",\"source\":\"/s\",\"type\":\"t\"}", "id");
    expect_bad("{\"specversion\":\"1.0\",\"id\":\"a\\u0000b\",\"source\":\"/s\",\"type\":\"t\"}", "id");
}

Test(event_from_json, refuses_names_that_are_no_attribute_names) {
    expect_bad("{" CORE ",\"A\":1}", "attributes");
    expect_bad("{" CORE ",\"a_b\":1}", "attributes");
    expect_bad("{" CORE ",\"\":1}", "attributes");
    expect_bad("{" CORE ",\"\xc3\xa4\":1}", "attributes");
}

Test(event_from_json, refuses_what_is_not_one_json_object) {
    static const char *const bad[] = {"",
                                      " ",
                                      "[]",
                                      "1",
                                      "\"x\"",
                                      "null",
                                      "{",
                                      "{" CORE,
                                      "{" CORE "}}",
                                      "{" CORE "} x",
                                      "{" CORE ",}",
                                      "{" CORE ",\"data\":01}",
                                      "{" CORE ",\"data\":+1}",
                                      "{" CORE ",\"data\":.5}",
                                      "{" CORE ",\"data\":NaN}",
                                      "{" CORE ",\"data\":'a'}",
                                      "{" CORE ",\"data\":[1,]}",
                                      "{" CORE ",\"data\":\"\xff\"}",
                                      "{" CORE ",\"data\":\"a\nb\"}",
                                      "{" CORE ",\"data\":\"\\ud800\"}",
                                      "{" CORE ",\"data\":\"\\x\"}",
                                      "{" CORE "}{" CORE "}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        expect_bad(bad[i], NULL);
}

Test(event_from_json, refuses_repeated_members_at_any_depth) {
    expect_bad("{" CORE ",\"id\":\"2\"}", NULL);
    expect_bad("{" CORE ",\"a\":1,\"a\":2}", NULL);
    expect_bad("{" CORE ",\"data\":{\"x\":[{\"a\":1,\"\\u0061\":2}]}}", NULL);
}

Test(event_from_json, bounds_the_depth) {
    size_t depth = 1900, head = strlen("{" CORE ",\"data\":");
    for (int deeper = 0; deeper < 2; ++deeper, depth = 100000) {
        char *json = malloc(head + 2 * depth + 2);
        memcpy(json, "{" CORE ",\"data\":", head);
        memset(json + head, '[', depth);
        memset(json + head + depth, ']', depth);
        json[head + 2 * depth] = '}';
        json[head + 2 * depth + 1] = 0;
        struct fault fault;
        char *text = through(json, strlen(json), &fault);
        cr_expect_eq(text != NULL, !deeper);
        cr_expect(text || strstr(fault.text, "nested"));
        free(text);
        free(json);
    }
}

Test(event_from_json, refuses_every_truncation_and_survives_every_corrupt_byte) {
    static const char json[] = "{" CORE ",\"time\":\"2026-02-28T10:30:00.5+01:00\",\"flag\":true,\"n\":-12,"
                               "\"data\":{\"a\":[1.50,\"\\u00e4\\\"\",null,{}],\"b\":\"\xc3\xa4\"}}";
    char copy[sizeof json];
    struct fault fault;
    unsigned accepted = 0;
    for (size_t cut = 0; cut < sizeof json - 1; ++cut)
        cr_assert_null(through(json, cut, &fault));
    for (size_t at = 0; at < sizeof json - 1; ++at)
        for (unsigned byte = 1; byte < 256; byte += 3) {
            memcpy(copy, json, sizeof json);
            copy[at] = (char)byte;
            char *text = through(copy, sizeof json - 1, &fault);
            accepted += text != NULL;
            if (text) {
                char *again = through(text, strlen(text), &fault);
                cr_assert(again && strcmp(again, text) == 0, "%s", text);
                free(again);
            }
            free(text);
        }
    cr_assert(accepted > 100);
    LEAKS_NONE();
}

/* Events as they came from real systems; tests/data/SOURCES.md says which of them break the standard. */
Test(event_from_json, judges_documents_of_real_systems) {
    static const struct {
        const char *path, *field;
    } cases[] = {
        {"tests/data/json-events/sapevents__s4-businesspartner-changed.json", NULL},
        {"tests/data/json-events/sapevents__s4-marketingcampaign-completed.json", "source"}, /* is empty */
        {"tests/data/json-events/sapevents__vehicle-created-sample.json", "time"}, /* has a blank for the T */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        size_t n;
        struct fault fault = {0};
        uint8_t *json = golden_file(cases[i].path, &n);
        char *text = through((const char *)json, n, &fault);
        if (cases[i].field)
            cr_expect(!text && golden_fault(&fault, RH_CODE_INVALID, cases[i].field), "%s", cases[i].path);
        else
            cr_expect(text && strstr(text, ",\"data\":{\"BusinessPartner\":\"1000667\"}}"), "%s", text);
        free(text);
        free(json);
    }
}

static unsigned allocations_left;

static void *allocate_some(size_t n) {
    return allocations_left && allocations_left-- ? malloc(n) : NULL;
}

/* Every allocation of the JSON library fails once; nothing is lost, and in the end it works. */
Test(event_from_json, survives_running_out_of_memory) {
    static const char json[] = "{" CORE ",\"datacontenttype\":\"text/plain\",\"n\":5,\"data\":\"x\"}";
    json_set_alloc_funcs(allocate_some, free);
    bool good = false;
    unsigned failed = 0;
    for (; !good; ++failed) {
        uint8_t *event;
        char *text;
        size_t length, text_length;
        struct fault fault = {0};
        allocations_left = failed;
        if (!event_from_json(json, sizeof json - 1, &event, &length, &fault)) {
            cr_assert(fault.text);
            continue;
        }
        good = event_to_json(event, length, &text, &text_length, &fault);
        if (good)
            free(text);
        else
            cr_assert_eq(fault.code, RH_CODE_INTERNAL);
        free(event);
    }
    cr_assert(failed > 20);
    json_set_alloc_funcs(malloc, free);
    LEAKS_NONE();
}

/* ---- event_build ---- */

static void expect_built(const struct event_parts *parts, const char *json) {
    uint8_t *event;
    char *text;
    size_t length, text_length;
    struct fault fault = {0};
    cr_assert(event_build(parts, &event, &length, &fault), "%s", fault.text ? fault.text : "");
    cr_assert(event_to_json(event, length, &text, &text_length, &fault));
    cr_expect(text_length == strlen(json) && memcmp(text, json, text_length) == 0, "%.*s", (int)text_length,
              text);
    free(text);
    free(event);
}

Test(event_build, chooses_the_data_arm_by_content_type_and_bytes) {
    struct event_parts parts = {.id = "1", .source = "/s", .type = "t"};
    expect_built(&parts, "{" CORE "}");
    parts.data = (const uint8_t *)"{\"a\": 1.0}";
    parts.data_length = 10;
    expect_built(&parts, "{" CORE ",\"data_base64\":\"eyJhIjogMS4wfQ==\"}");
    parts.contenttype = "application/json";
    expect_built(&parts, "{" CORE ",\"datacontenttype\":\"application/json\",\"data\":{\"a\":1.0}}");
    parts.contenttype = "text/plain; charset=utf-8";
    expect_built(&parts, "{" CORE
                         ",\"datacontenttype\":\"text/plain; charset=utf-8\",\"data\":\"{\\\"a\\\": 1.0}\"}");
    parts.binary = true;
    expect_built(&parts,
                 "{" CORE
                 ",\"datacontenttype\":\"text/plain; charset=utf-8\",\"data_base64\":\"eyJhIjogMS4wfQ==\"}");
    parts.binary = false;
    parts.contenttype = "application/edifact";
    expect_built(&parts,
                 "{" CORE
                 ",\"datacontenttype\":\"application/edifact\",\"data_base64\":\"eyJhIjogMS4wfQ==\"}");
    parts.contenttype = "text/plain";
    parts.data = (const uint8_t *)"L\xe4ger";
    parts.data_length = 5;
    expect_built(&parts, "{" CORE ",\"datacontenttype\":\"text/plain\",\"data_base64\":\"TORnZXI=\"}");
    parts.data_length = 0;
    expect_built(&parts, "{" CORE ",\"datacontenttype\":\"text/plain\",\"data\":\"\"}");
    LEAKS_NONE();
}

Test(event_build, sets_subject_and_time) {
    struct event_parts parts = {
        .id = "1", .source = "/s", .type = "t", .subject = "x", .time_ns = UINT64_C(1772271000250000001)};
    expect_built(&parts, "{" CORE ",\"time\":\"2026-02-28T09:30:00.250000001Z\",\"subject\":\"x\"}");
}

Test(event_build, refuses_what_event_check_refuses) {
    struct event_parts parts = {.id = "", .source = "/s", .type = "t"};
    uint8_t *event;
    size_t length;
    struct fault fault;
    cr_expect_not(event_build(&parts, &event, &length, &fault));
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, "event.id"));
    parts.id = "1";
    parts.source = "a\nb";
    cr_expect_not(event_build(&parts, &event, &length, &fault));
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, "event.source"));
    LEAKS_NONE();
}

/* ---- event_data ---- */

static void expect_data(const char *hex, uint32_t kind, const char *data_hex) {
    uint8_t bytes[512], expected[64];
    const uint8_t *data = NULL;
    size_t length = 0, n = golden_hex(hex, bytes, sizeof bytes);
    size_t expected_n = golden_hex(data_hex, expected, sizeof expected);
    uint32_t found = 0;
    uint8_t *alone = golden_alone(bytes, n);
    cr_expect_eq(event_data(alone, n, &data, &length, &found), kind != 0, "%s", hex);
    cr_expect(found == kind && length == expected_n, "%s", hex);
    cr_expect(kind == 0 || memcmp(data, expected, length) == 0, "%s", hex);
    free(alone);
}

Test(event_data, finds_each_data_arm) {
    expect_data(GOLDEN_HEAD, 0, "");
    expect_data(GOLDEN_HEAD GOLDEN_BINARY, 6, "0001ff");
    expect_data(GOLDEN_HEAD GOLDEN_TEXT, 7, "7b2261223a20312e31307d");
    expect_data(GOLDEN_HEAD GOLDEN_PROTO, 8, "0801");
    expect_data(GOLDEN_TEXT GOLDEN_HEAD, 7, "7b2261223a20312e31307d");
    expect_data(GOLDEN_SMALL "3200", 6, "");
    expect_data(GOLDEN_SMALL "4200", 8, "");
    expect_data(GOLDEN_SMALL "4204 0a0278 79", 8, "");
}

Test(event_data, is_none_in_bytes_that_are_no_event) {
    expect_data("0a05", 0, "");
    expect_data(GOLDEN_SMALL "0b0c" GOLDEN_TEXT, 0, "");
}
