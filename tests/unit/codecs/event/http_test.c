#include "codecs/event/http.h"

#include "codecs/event/check.h"
#include "codecs/event/json.h"
#include "codecs/event/json_text.h"
#include "core/base/limits.h"
#include "tests/unit/codecs/golden.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS(...) ((const struct http_header[]){__VA_ARGS__, {NULL, NULL}})
#define FOUR                                                                                                 \
    {"ce-id", "1"}, {"ce-source", "/s"}, {"CE-SpecVersion", "1.0"}, {                                        \
        "ce-type", "t"                                                                                       \
    }
#define CORE "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

static size_t count_of(const struct http_header *headers) {
    size_t count = 0;
    while (headers[count].name != NULL)
        count++;
    return count;
}

static void expect_event(const struct http_header *headers, const char *body, size_t n, const char *json) {
    struct fault fault = {0};
    uint8_t *event, *alone = golden_alone((const uint8_t *)body, n);
    char *text;
    size_t length, text_length;
    bool good = event_from_http(headers, count_of(headers), alone, n, &event, &length, &fault);
    free(alone);
    cr_assert(good, "%s: %s", json, fault.text ? fault.text : "");
    cr_assert(event_check(event, length, &fault));
    cr_assert(event_to_json(event, length, &text, &text_length, &fault));
    cr_expect(text_length == strlen(json) && memcmp(text, json, text_length) == 0, "%.*s", (int)text_length,
              text);
    free(text);
    free(event);
}

static void expect_bad(const struct http_header *headers, const char *field) {
    struct fault fault = {0};
    uint8_t *event;
    size_t length;
    bool good = event_from_http(headers, count_of(headers), NULL, 0, &event, &length, &fault);
    cr_assert_not(good, "%s", field);
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, field), "%s", field);
}

Test(event_from_http, makes_an_event_of_headers_and_a_body) {
    expect_event(HEADERS(FOUR), "", 0, "{" CORE "}");
    expect_event(HEADERS({"Host", "x"}, FOUR, {"Content-Type", "application/json; charset=UTF-8"}),
                 "{\"a\": 1.10}", 11,
                 "{" CORE ",\"datacontenttype\":\"application/json; charset=UTF-8\",\"data\":{\"a\":1.10}}");
    expect_event(HEADERS(FOUR, {"content-type", "text/plain"}), "L\xc3\xa4ger", 6,
                 "{" CORE ",\"datacontenttype\":\"text/plain\",\"data\":\"L\xc3\xa4ger\"}");
    expect_event(HEADERS(FOUR, {"Content-Type", "application/octet-stream"}), "\0\1\xff", 3,
                 "{" CORE ",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"AAH/\"}");
    expect_event(HEADERS(FOUR), "abc", 3, "{" CORE ",\"data_base64\":\"YWJj\"}");
    LEAKS_NONE();
}

Test(event_from_http, takes_text_in_another_charset_as_bytes) {
    expect_event(HEADERS(FOUR, {"Content-Type", "text/plain; charset=iso-8859-1"}), "abc", 3,
                 "{" CORE
                 ",\"datacontenttype\":\"text/plain; charset=iso-8859-1\",\"data_base64\":\"YWJj\"}");
    expect_event(HEADERS(FOUR, {"Content-Type", "text/plain"}), "\xe4", 1,
                 "{" CORE ",\"datacontenttype\":\"text/plain\",\"data_base64\":\"5A==\"}");
}

Test(event_from_http, gives_core_attributes_their_types_and_decodes_values) {
    expect_event(HEADERS(FOUR, {"ce-time", "2026-02-28T10:30:00.25+01:00"},
                         {"ce-subject", "L%C3%a4ger%20%22A%22"}, {"ce-dataschema", "https://example.com/s"},
                         {"ce-Flag", "true"}),
                 "", 0,
                 "{" CORE ",\"time\":\"2026-02-28T09:30:00.250Z\",\"subject\":\"L\xc3\xa4ger \\\"A\\\"\","
                 "\"dataschema\":\"https://example.com/s\",\"flag\":\"true\"}");
    LEAKS_NONE();
}

Test(event_from_http, names_the_header_that_is_wrong) {
    expect_bad(HEADERS({"ce-source", "/s"}, {"ce-specversion", "1.0"}, {"ce-type", "t"}), "ce-id");
    expect_bad(HEADERS({"ce-id", "1"}, {"ce-specversion", "1.0"}, {"ce-type", "t"}), "ce-source");
    expect_bad(HEADERS({"ce-id", "1"}, {"ce-source", "/s"}, {"ce-type", "t"}), "ce-specversion");
    expect_bad(HEADERS({"ce-id", "1"}, {"ce-source", "/s"}, {"ce-specversion", "1.0"}), "ce-type");
    expect_bad(HEADERS({"ce-id", ""}, {"ce-source", "/s"}, {"ce-specversion", "1.0"}, {"ce-type", "t"}),
               "ce-id");
    expect_bad(HEADERS({"ce-id", "\"\""}, {"ce-source", "/s"}, {"ce-specversion", "1.0"}, {"ce-type", "t"}),
               "ce-id");
    expect_bad(HEADERS({"ce-id", "1"}, {"ce-source", "/s"}, {"ce-specversion", "0.3"}, {"ce-type", "t"}),
               "ce-specversion");
    expect_bad(HEADERS(FOUR, {"ce-ID", "2"}), "ce-ID");
    expect_bad(HEADERS(FOUR, {"ce-a", "1"}, {"CE-A", "2"}), "CE-A");
    expect_bad(HEADERS(FOUR, {"ce-a-b", "1"}), "ce-a-b");
    expect_bad(HEADERS(FOUR, {"ce-", "1"}), "ce-");
    expect_bad(HEADERS(FOUR, {"ce-data", "1"}), "ce-data");
    expect_bad(HEADERS(FOUR, {"ce-datacontenttype", "text/plain"}), "ce-datacontenttype");
    expect_bad(HEADERS(FOUR, {"Content-Type", "a/b"}, {"content-type", "a/b"}), "content-type");
    expect_bad(HEADERS(FOUR, {"ce-time", "yesterday"}), "ce-time");
    expect_bad(HEADERS(FOUR, {"ce-expirytime", "soon"}), "ce-expirytime");
    expect_bad(HEADERS(FOUR, {"ce-a", "%C0%A0"}), "ce-a");
    expect_bad(HEADERS(FOUR, {"ce-a", "100%"}), "ce-a");
    expect_bad(HEADERS(FOUR, {"ce-a", "%4"}), "ce-a");
    expect_bad(HEADERS(FOUR, {"ce-a", "%0A"}), "ce-a");
    expect_bad(HEADERS(FOUR, {"ce-a", "\"a"}), "ce-a");
    expect_bad(HEADERS(FOUR, {"ce-a", "\"a\" b"}), "ce-a");
    LEAKS_NONE();
}

Test(event_from_http, bounds_the_number_of_attributes) {
    struct http_header headers[5 + EVENT_ATTRIBUTES_MAX + 1] = {FOUR};
    char names[EVENT_ATTRIBUTES_MAX + 1][16];
    uint8_t *event;
    size_t length;
    struct fault fault = {0};
    for (size_t i = 0; i <= EVENT_ATTRIBUTES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "ce-a%zu", i);
        headers[4 + i] = (struct http_header){names[i], "v"};
    }
    cr_assert(event_from_http(headers, 4 + EVENT_ATTRIBUTES_MAX, NULL, 0, &event, &length, &fault));
    free(event);
    cr_assert_not(event_from_http(headers, 5 + EVENT_ATTRIBUTES_MAX, NULL, 0, &event, &length, &fault));
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, "ce-a64"));
}

Test(http_mode_of, tests_the_batch_first_and_takes_any_case) {
    static const struct {
        const char *type;
        enum http_mode mode;
    } types[] = {{NULL, HTTP_BINARY},
                 {"application/json", HTTP_BINARY},
                 {"application/cloudevents+json", HTTP_JSON},
                 {"Application/CloudEvents+JSON; charset=utf-8", HTTP_JSON},
                 {"application/cloudevents+protobuf", HTTP_PROTOBUF},
                 {"application/cloudevents-batch+json", HTTP_BATCH_JSON},
                 {"application/CLOUDEVENTS-BATCH+json ;charset=utf-8", HTTP_BATCH_JSON},
                 {"application/cloudevents-batch+protobuf", HTTP_BATCH_PROTOBUF},
                 {"application/cloudevents", HTTP_UNKNOWN},
                 {"application/cloudevents-batch", HTTP_UNKNOWN},
                 {"application/cloudevents+avro", HTTP_UNKNOWN},
                 {"application/cloudevents+jsonx", HTTP_UNKNOWN}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        cr_expect_eq(http_mode_of(types[i].type), types[i].mode, "%s",
                     types[i].type ? types[i].type : "none");
}

Test(http_charset_utf8, finds_the_charset_among_parameters) {
    static const char *const good[] = {"a/b",
                                       "a/b;charset=utf-8",
                                       "a/b; x=\"a;charset=latin1\"; charset=\"UTF-8\"",
                                       "a/b; charset=us-ascii",
                                       "a/b;",
                                       "a/b; x",
                                       "a/b; x=\"\\\"",
                                       "a/b; ;x="};
    static const char *const bad[] = {"a/b; charset=utf-16", "a/b;CHARSET=\"latin1\"",
                                      "a/b; x=y;charset=", "a/b; charset=utf-8x"};
    cr_expect(http_charset_utf8(NULL));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(http_charset_utf8(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(http_charset_utf8(bad[i]), "%s", bad[i]);
}

static void expect_value(const char *value, const char *text) {
    uint8_t *decoded;
    size_t length;
    const char *wrong = http_value_decode(value, &decoded, &length);
    cr_assert_null(wrong, "%s: %s", value, wrong);
    cr_expect(length == strlen(text) && memcmp(decoded, text, length) == 0, "%s", value);
    free(decoded);
}

Test(http_value_decode, undoes_quotes_first_and_then_one_round_of_percent_signs) {
    expect_value("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_value("%2525", "%25");
    expect_value("%41%62", "Ab");
    expect_value("\"a\\\"b\\\\%20c\"", "a\"b\\ c");
    expect_value("a b", "a b");
    expect_value("a\"b", "a\"b");
    expect_value("L\xc3\xa4ger", "L\xc3\xa4ger");
}

Test(http_value_encode, writes_what_is_decoded_to_the_same) {
    char text[4];
    for (uint32_t c = 1; c < 0x3000; c++) {
        struct bytes out = {0};
        uint8_t *decoded;
        size_t length, n = c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
        text[0] = (char)(n == 1 ? c : n == 2 ? 0xc0 | c >> 6 : 0xe0 | c >> 12);
        text[1] = (char)(n == 2 ? 0x80 | (c & 63) : 0x80 | (c >> 6 & 63));
        text[2] = (char)(0x80 | (c & 63));
        http_value_encode(&out, text, n);
        bytes_add(&out, "", 1);
        for (const char *p = (const char *)out.data; *p != 0; p++)
            cr_assert(*p > ' ' && *p < 0x7f && *p != '"');
        const char *wrong = http_value_decode((const char *)out.data, &decoded, &length);
        if (wrong == NULL) {
            cr_assert(length == n && memcmp(decoded, text, n) == 0, "U+%04X", c);
            free(decoded);
        } else {
            cr_assert(c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0xd800 && c < 0xe000), "U+%04X", c);
        }
        bytes_free(&out);
    }
    LEAKS_NONE();
}

static void expect_elements(const char *array, const char *joined, bool whole) {
    const char *at = array, *end = array + strlen(array), *value;
    char text[128] = "";
    size_t length;
    while (json_element_next(&at, end, &value, &length)) {
        strncat(text, value, length);
        strcat(text, "|");
    }
    cr_expect_str_eq(text, joined);
    cr_expect_eq(at < end && *at == ']' && json_text_begin(at + 1, end) == end, whole, "%s", array);
}

Test(json_element_next, gives_each_value_of_an_array_as_it_is_written) {
    expect_elements("[]", "", true);
    expect_elements("[ ] ", "", true);
    expect_elements("[1.10, {\"a\":[1,2],\"b\":\"]\"} ,\"x,\\\"\", null ]",
                    "1.10|{\"a\":[1,2],\"b\":\"]\"}|\"x,\\\"\"|null|", true);
    expect_elements("[1,]", "1|", false);
    expect_elements("[,1]", "", false);
    expect_elements("[1", "1|", false);
    expect_elements("[{\"a\":1", "{\"a\":1|", false);
    expect_elements("[1] 2", "1|", false);
    expect_elements("{}", "", false);
    expect_elements("", "", false);
}
