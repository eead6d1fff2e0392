/* The small text forms that JSON needs: base64, RFC 3339, media types. */
#include "codecs/event/base64.h"
#include "codecs/event/media.h"
#include "codecs/event/rfc3339.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

Test(base64, has_the_vectors_of_rfc_4648) {
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; ++i) {
        char text[16];
        uint8_t back[16];
        size_t n = strlen(vectors[i][0]), length;
        base64_encode((const uint8_t *)vectors[i][0], n, text);
        cr_assert_eq(BASE64_LENGTH(n), strlen(vectors[i][1]));
        cr_assert_eq(memcmp(text, vectors[i][1], BASE64_LENGTH(n)), 0);
        cr_assert(base64_decode(text, BASE64_LENGTH(n), back, &length));
        cr_assert(length == n && memcmp(back, vectors[i][0], n) == 0);
    }
}

Test(base64, comes_back_for_all_bytes_and_lengths) {
    uint8_t data[300], back[400];
    char text[400];
    for (size_t i = 0; i < sizeof data; ++i)
        data[i] = (uint8_t)(i * 89 + i / 256);
    for (size_t n = 0; n <= sizeof data; ++n) {
        size_t length;
        base64_encode(data, n, text);
        cr_assert(base64_decode(text, BASE64_LENGTH(n), back, &length));
        cr_assert(length == n && memcmp(back, data, n) == 0);
    }
}

Test(base64, refuses_what_another_writer_would_not_write) {
    static const char *const bad[] = {
        "A",        "AA",       "AAA",  "AAAAA", "A===", "====",  "=AAA", "A=AA", "AA=A",
        "AA==AAAA", "AAA=AAAA", "AB==", "AAB=",  "AA A", "AAA\n", "AA-A", "AA_A", "AA\xff="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        size_t n = strlen(bad[i]), length;
        char *alone = (char *)golden_alone((const uint8_t *)bad[i], n);
        uint8_t out[8];
        cr_expect_not(base64_decode(alone, n, out, &length), "%s", bad[i]);
        free(alone);
    }
}

static bool reads(const char *text, int64_t *seconds, uint32_t *nanos) {
    char *alone = (char *)golden_alone((const uint8_t *)text, strlen(text));
    bool good = rfc3339_read(alone, strlen(text), seconds, nanos);
    free(alone);
    return good;
}

Test(rfc3339, reads_what_the_standard_allows) {
    static const struct {
        const char *text;
        int64_t seconds;
        uint32_t nanos;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"1970-01-01t00:00:00z", 0, 0},
        {"1969-12-31T23:59:59Z", -1, 0},
        {"2000-02-29T12:00:00Z", 951825600, 0},
        {"0001-01-01T00:00:00Z", RFC3339_SECONDS_MIN, 0},
        {"9999-12-31T23:59:59.999999999Z", RFC3339_SECONDS_MAX, 999999999},
        {"1970-01-01T01:00:00+01:00", 0, 0},
        {"1969-12-31T18:30:00-05:30", 0, 0},
        {"1970-01-01T00:00:00.5-00:00", 0, 500000000},
        {"1970-01-01T00:00:00.1234567899Z", 0, 123456789},
        {"1998-12-31T23:59:60Z", 915148800, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        int64_t seconds;
        uint32_t nanos;
        cr_expect(reads(cases[i].text, &seconds, &nanos), "%s", cases[i].text);
        cr_expect(seconds == cases[i].seconds && nanos == cases[i].nanos, "%s: %ld", cases[i].text,
                  (long)seconds);
    }
}

Test(rfc3339, refuses_what_is_no_time) {
    static const char *const bad[] = {"",
                                      "1970-01-01",
                                      "1970-01-01T00:00:00",
                                      "1970-01-01 00:00:00Z",
                                      "1970-13-01T00:00:00Z",
                                      "1970-00-01T00:00:00Z",
                                      "1970-01-00T00:00:00Z",
                                      "1970-01-32T00:00:00Z",
                                      "1970-04-31T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2001-02-29T00:00:00Z",
                                      "1970-01-01T24:00:00Z",
                                      "1970-01-01T00:60:00Z",
                                      "1970-01-01T00:00:61Z",
                                      "1970-01-01T00:00:00.Z",
                                      "1970-01-01T00:00:00,5Z",
                                      "1970-01-01T00:00:00+24:00",
                                      "1970-01-01T00:00:00+01:60",
                                      "1970-01-01T00:00:00+0100",
                                      "1970-01-01T00:00:00Z ",
                                      " 1970-01-01T00:00:00Z",
                                      "1970-1-01T00:00:00Z",
                                      "0000-01-01T00:00:00Z",
                                      "0001-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:60Z",
                                      "9999-12-31T23:59:59-00:01",
                                      "+970-01-01T00:00:00Z",
                                      "1970-01-01T00:00:00"};
    int64_t seconds;
    uint32_t nanos;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        cr_expect_not(reads(bad[i], &seconds, &nanos), "%s", bad[i]);
}

Test(rfc3339, agrees_with_the_c_library_over_all_years) {
    char text[RFC3339_BYTES], expected[64];
    for (int64_t day = -719162; day <= 2932896; day += 5) {
        int64_t seconds = day * 86400 + (day & 0xffff), back;
        uint32_t nanos;
        time_t clock = seconds;
        struct tm utc;
        gmtime_r(&clock, &utc);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
        size_t n = rfc3339_write(seconds, 0, text);
        cr_assert_eq(n, 20);
        cr_assert_str_eq(text, expected);
        cr_assert(rfc3339_read(text, n, &back, &nanos) && back == seconds && nanos == 0);
    }
}

Test(rfc3339, writes_as_many_digits_as_needed) {
    static const struct {
        uint32_t nanos;
        const char *text;
    } cases[] = {{1, "1970-01-01T00:00:00.000000001Z"},         {1000, "1970-01-01T00:00:00.000001Z"},
                 {1000000, "1970-01-01T00:00:00.001Z"},         {120000000, "1970-01-01T00:00:00.120Z"},
                 {999999999, "1970-01-01T00:00:00.999999999Z"}, {999999000, "1970-01-01T00:00:00.999999Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char text[RFC3339_BYTES];
        cr_expect_eq(rfc3339_write(0, cases[i].nanos, text), strlen(cases[i].text));
        cr_expect_str_eq(text, cases[i].text);
    }
}

Test(media, tells_json_and_text_from_the_rest) {
    static const char *const json[] = {"application/json",
                                       "text/json",
                                       "application/x+json",
                                       "APPLICATION/JSON",
                                       "application/json;charset=utf-8",
                                       "application/cloudevents+json \t; a=b"};
    static const char *const other[] = {"",
                                        "json",
                                        "+json",
                                        "/json",
                                        "application/jsonx",
                                        "application/xjson",
                                        "text/plain",
                                        "a/b;json",
                                        "a/b; x=/json",
                                        ";application/json"};
    for (size_t i = 0; i < sizeof json / sizeof json[0]; ++i)
        cr_expect(media_json(json[i], strlen(json[i])), "%s", json[i]);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; ++i)
        cr_expect_not(media_json(other[i], strlen(other[i])), "%s", other[i]);
    cr_expect(media_text("text/plain", 10) && media_text("TEXT/x", 6));
    cr_expect_not(media_text("text/", 5) || media_text("texts/plain", 11) || media_text("", 0));
}
