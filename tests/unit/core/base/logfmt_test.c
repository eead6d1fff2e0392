#include "core/base/logfmt.h"

#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *quoted(const char *text, size_t n, size_t room) {
    static char out[64];
    memset(out, 'Z', sizeof out);
    const char *result = logfmt_quote(out, room, text, n);
    cr_assert(result == out && strlen(out) < room);
    cr_assert_eq(out[room], 'Z');
    return out;
}

Test(logfmt_quote, escapes_what_would_break_a_line) {
    cr_expect_str_eq(quoted("", 0, 20), "\"\"");
    cr_expect_str_eq(quoted("a b", 3, 20), "\"a b\"");
    cr_expect_str_eq(quoted("a\"b\\", 4, 20), "\"a\\\"b\\\\\"");
    cr_expect_str_eq(quoted("a\nb", 3, 20), "\"a\\x0ab\"");
    cr_expect_str_eq(quoted("\0\xff", 2, 20), "\"\\x00\\xff\"");
}

Test(logfmt_quote, leaves_the_letters_of_all_languages_as_they_are) {
    cr_expect_str_eq(quoted("\u00fc\u20ac\U0001f682", 9, 20), "\"\u00fc\u20ac\U0001f682\"");
    cr_expect_str_eq(quoted("\u00fc", 1, 20), "\"\\xc3\"", "half a character");
    cr_expect_str_eq(quoted("\xc2\x9b", 2, 20), "\"\\xc2\\x9b\"", "the control sequence introducer");
    cr_expect_str_eq(quoted("\u202e", 3, 20), "\"\\xe2\\x80\\xae\"", "right to left");
    cr_expect_str_eq(quoted("\u2028", 3, 20), "\"\\xe2\\x80\\xa8\"", "a line separator");
    cr_expect_str_eq(quoted("\xed\xa0\x80", 3, 20), "\"\\xed\\xa0\\x80\"", "a surrogate");
}

Test(logfmt_quote, cuts_what_does_not_fit) {
    static const char text[] = "\n\n\n\n\n\n\n\nabcdefghijklmnopqrst";
    for (size_t room = 8; room < 63; ++room)
        for (size_t n = 0; n < sizeof text; ++n) {
            const char *out = quoted(text, n, room);
            size_t length = strlen(out);
            cr_assert(out[0] == '"' && out[length - 1] == '"');
        }
    cr_expect_str_eq(quoted("abcdefghijkl", 12, 12), "\"abc...\"");
    cr_expect_str_eq(quoted("abc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc", 15, 14), "\"abc\u00fc...\"");
}

Test(logfmt_allowed, lets_ten_lines_a_second_pass_and_counts_the_rest) {
    struct logfmt_limit limit = {0};
    uint64_t now = 5 * NS_PER_S;
    uint32_t suppressed = 99;
    for (unsigned line = 0; line < 10; ++line)
        cr_assert(logfmt_allowed(&limit, now + line, &suppressed) && suppressed == 0);
    for (unsigned line = 0; line < 7; ++line)
        cr_assert_not(logfmt_allowed(&limit, now + 100, &suppressed));
    cr_assert(logfmt_allowed(&limit, now + NS_PER_S, &suppressed));
    cr_assert_eq(suppressed, 7);
    cr_assert(logfmt_allowed(&limit, now + NS_PER_S, &suppressed));
    cr_assert_eq(suppressed, 0);
}

/* What one call writes to standard error. */
static const char *written(enum logfmt_level level, const char *text) {
    static char line[2048];
    int ends[2], kept = dup(STDERR_FILENO);
    cr_assert(kept >= 0 && pipe(ends) == 0);
    dup2(ends[1], STDERR_FILENO);
    logfmt(level, "a thing happened", "topic=%s", text);
    dup2(kept, STDERR_FILENO);
    close(ends[1]);
    close(kept);
    ssize_t n = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    line[n > 0 ? n : 0] = 0;
    return line;
}

Test(logfmt, writes_one_line_of_keys_and_values) {
    const char *line = written(LOGFMT_WARN, "a.b");
    cr_expect(strncmp(line, "time=2", 6) == 0, "%s", line);
    cr_expect_str_eq(strstr(line, " level="), " level=warn msg=\"a thing happened\" topic=a.b\n");
}

Test(logfmt, leaves_out_what_is_below_the_level) {
    cr_expect_str_empty(written(LOGFMT_DEBUG, "x"));
    logfmt_level_set(LOGFMT_DEBUG);
    cr_expect_not(written(LOGFMT_DEBUG, "x")[0] == 0);
    logfmt_level_set(LOGFMT_ERROR);
    cr_expect_str_empty(written(LOGFMT_WARN, "x"));
}

Test(logfmt, cuts_a_long_line_and_still_ends_it) {
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    const char *line = written(LOGFMT_INFO, text);
    size_t n = strlen(line);
    cr_expect(n > 500 && n <= 1024 && line[n - 1] == '\n' && !memchr(line, '\n', n - 1));
}

/* A worker that waited here would hold all its clients. */
Test(logfmt, does_not_wait_for_a_pipe_that_nobody_reads_and_tells_how_many_lines_were_lost, .timeout = 20) {
    static char text[1 << 16];
    int ends[2], kept = dup(STDERR_FILENO);
    cr_assert(kept >= 0 && pipe(ends) == 0);
    cr_assert(fcntl(ends[1], F_SETPIPE_SZ, 8192) > 0);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 5000; i++)
        logfmt(LOGFMT_WARN, "a thing happened", "number=%d", i);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    logfmt(LOGFMT_WARN, "again", "number=%d", 5000);
    logfmt(LOGFMT_WARN, "again", "number=%d", 5001);
    cr_assert(n > 0);
    text[n] = 0;
    int written_lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        written_lines++;
    cr_assert(text[n - 1] == '\n' && written_lines > 1 && written_lines < 5000);
    n = read(ends[0], text, sizeof text - 1);
    dup2(kept, STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    close(kept);
    text[n > 0 ? n : 0] = 0;
    char wanted[100];
    snprintf(wanted, sizeof wanted, "msg=\"again\" lost=%d number=5000\n", 5000 - written_lines);
    cr_expect(strstr(text, wanted) && strstr(text, "msg=\"again\" number=5001\n"), "wanted %s, got %s",
              wanted, text);
}

/* ---- JSON ---- */

static const char *json_of(const char *line) {
    static char out[4096];
    uint64_t length = logfmt_json(out, sizeof out - 1, line, strlen(line));
    out[length] = 0;
    return out;
}

Test(logfmt_json, is_the_same_line_as_an_object) {
    cr_expect_str_eq(
        json_of("time=2026-11-27T06:12:15.185Z level=warn msg=\"a thing happened\" code=7 client=\"b c\""),
        "{\"time\":\"2026-11-27T06:12:15.185Z\",\"level\":\"warn\",\"msg\":\"a thing happened\","
        "\"code\":7,\"client\":\"b c\"}");
    cr_expect_str_eq(json_of(""), "{}");
    cr_expect_str_eq(json_of(" a=1  b=2 "), "{\"a\":1,\"b\":2}");
    cr_expect_str_eq(json_of("alone a= b"), "{\"alone\":\"\",\"a\":\"\",\"b\":\"\"}");
}

Test(logfmt_json, numbers_are_those_that_every_reader_holds) {
    cr_expect_str_eq(json_of("a=0 b=-7 c=007 d=-0 e=1.5 f=- g=1e3"),
                     "{\"a\":0,\"b\":-7,\"c\":\"007\",\"d\":\"-0\",\"e\":\"1.5\",\"f\":\"-\",\"g\":\"1e3\"}");
    cr_expect_str_eq(json_of("a=999999999999999 b=9007199254740993 c=\"5\""),
                     "{\"a\":999999999999999,\"b\":\"9007199254740993\",\"c\":\"5\"}");
}

Test(logfmt_json, what_was_escaped_is_the_text_that_was_meant) {
    cr_expect_str_eq(json_of("a=\"x\\\"y\\\\z\""), "{\"a\":\"x\\\"y\\\\z\"}");
    cr_expect_str_eq(json_of("a=\"\\x0a\\x00\""), "{\"a\":\"\\u000a\\u0000\"}");
    cr_expect_str_eq(json_of("a=\"\\xff\""), "{\"a\":\"\\\\xff\"}", "no UTF-8 is told as such");
    cr_expect_str_eq(json_of("a=\"\\xe2\\x80\\xae\""), "{\"a\":\"\\u202e\"}", "right to left");
    cr_expect_str_eq(json_of("a=\"\u00fc\u20ac\U0001f682\""), "{\"a\":\"\u00fc\u20ac\U0001f682\"}");
    cr_expect_str_eq(json_of("a=\"\U0001ffff\""), "{\"a\":\"\\\\U0001ffff\"}", "a noncharacter");
    char nul[64];
    cr_expect(logfmt_json(nul, sizeof nul, "\0=1", 3) > 0, "a byte 0 is a byte as others are");
    cr_expect_str_eq(json_of("a=\"cut \\x0"), "{\"a\":\"cut \\\\x0\"}");
    cr_expect_str_eq(json_of("a=x\"y b=\"z\"w c=1"), "{\"a\":\"x\\\"y\",\"b\":\"z\",\"w\":\"\",\"c\":1}");
}

/* Jansson, who did not write it, reads each. */
static void is_json(const char *text, uint64_t length, uint32_t round) {
    json_error_t error;
    json_t *read = json_loadb(text, length, JSON_ALLOW_NUL, &error);
    cr_assert(json_is_object(read), "round %u: %s: %.*s", round, error.text, (int)length, text);
    json_decref(read);
}

Test(logfmt_json, is_valid_whatever_the_bytes_are_and_wherever_it_is_cut) {
    static const char likely[] = "ab =\"\\x0f12\n\t\x7f\xc3\xbc\xe2\x80\xae\xff";
    char line[1024], out[4096];
    srandom(20261128);
    for (uint32_t round = 0; round < 20000; round++) {
        uint64_t length = (uint64_t)random() % (round % 100 == 0 ? sizeof line : 40);
        uint64_t room = round % 3 == 0 ? 64 + (uint64_t)random() % 64 : sizeof out;
        for (uint64_t i = 0; i < length; i++) {
            uint64_t chance = (uint64_t)random();
            line[i] = likely[chance % (sizeof likely - 1)];
            if (round % 2)
                line[i] = (char)(uint8_t)(1 + chance % 255);
        }
        memset(out, 'Z', sizeof out);
        uint64_t used = logfmt_json(out, room, line, length);
        cr_assert(used <= room && (room == sizeof out || out[room] == 'Z'));
        cr_assert_not(memchr(out, '\n', used), "a line is one line");
        is_json(out, used, round);
    }
}

Test(logfmt_json, is_written_when_it_is_asked_for) {
    logfmt_format_set(LOGFMT_JSON);
    const char *line = written(LOGFMT_WARN, "\"two words\" more=\"\x01\"");
    size_t length = strlen(line);
    cr_assert(length > 2 && line[length - 1] == '\n');
    is_json(line, length - 1, 0);
    cr_expect(strstr(line, "\"level\":\"warn\",\"msg\":\"a thing happened\",\"topic\":\"two words\",") !=
                  NULL,
              "%s", line);
    static char text[3000];
    memset(text, 1, sizeof text - 1);
    line = written(LOGFMT_INFO, text);
    length = strlen(line);
    cr_assert(length <= 4096 && line[length - 1] == '\n' && !memchr(line, '\n', length - 1));
    is_json(line, length - 1, 1);
}
