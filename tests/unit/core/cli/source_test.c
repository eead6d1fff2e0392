/* Where the events of `pub` come from: the same event many times, or one a line. */
#include "core/cli/source.h"
#include "codecs/event/check.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GOOD "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/\",\"type\":\"t\"}"

static void source_open(struct source *source, const char *text, const char *topic) {
    int file = memfd_create("source", MFD_CLOEXEC);
    size_t length = strlen(text);
    cr_assert(file >= 0 && write(file, text, length) == (ssize_t)length && lseek(file, 0, SEEK_SET) == 0);
    *source = (struct source){.kind = topic != NULL ? SOURCE_LINES_TOPIC : SOURCE_LINES, .topic = topic};
    lines_init(&source->lines, file, 1 << 20);
}

static void source_close(struct source *source) {
    (void)close(source->lines.file);
    source_deinit(source);
}

static void expect_event(struct source *source, const char *topic) {
    struct source_item item;
    struct fault fault;
    enum source_result result = source_next(source, &item);
    cr_assert(result == SOURCE_EVENT, "%d: %s", (int)result, source->why);
    cr_assert(item.topic_length == strlen(topic) && memcmp(item.topic, topic, item.topic_length) == 0);
    cr_assert(event_check(item.event, item.event_length, &fault));
}

static void expect(struct source *source, enum source_result wanted) {
    struct source_item item;
    cr_assert(source_next(source, &item) == wanted);
}

Test(source, gives_the_event_of_each_line_on_its_topic) {
    struct source source;
    source_open(&source,
                "{\"topic\":\"a.b\",\"event\":" GOOD "}\n"
                " { \"event\" : " GOOD " , \"sequence\" : \"77\" , \"topic\" : \"c\" } \r\n"
                "{\"topic\":\"l\\u00e4ger\",\"event\":" GOOD "}",
                NULL);
    expect_event(&source, "a.b");
    expect_event(&source, "c");
    expect_event(&source, "l\u00e4ger");
    expect(&source, SOURCE_END);
    cr_assert(source.made == 3);
    source_close(&source);
    LEAKS_NONE();
}

Test(source, gives_bare_events_on_the_topic_given) {
    struct source source;
    source_open(&source, GOOD "\n\n" GOOD "\n", "given.topic");
    expect_event(&source, "given.topic");
    expect(&source, SOURCE_BLANK);
    expect_event(&source, "given.topic");
    expect(&source, SOURCE_END);
    source_close(&source);
    LEAKS_NONE();
}

Test(source, says_what_is_wrong_with_a_line_and_goes_on_with_the_next) {
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"noise", "well-formed"},
        {"[]", "a line is a JSON object"},
        {"{}", "\"topic\" is missing"},
        {"{\"topic\":5,\"event\":" GOOD "}", "\"topic\" is missing, or is not a string"},
        {"{\"topic\":\"a\\u0000b\",\"event\":" GOOD "}", "\"topic\" is missing, or is not a string"},
        {"{\"topic\":\"\",\"event\":" GOOD "}", "topic is missing or empty"},
        {"{\"topic\":\"a.*\",\"event\":" GOOD "}", "an event goes to exactly one topic"},
        {"{\"topic\":\"$a\",\"event\":" GOOD "}", "the router's own"},
        {"{\"topic\":\"a\"}", "\"event\" is missing"},
        {"{\"topic\":\"a\",\"topic\":\"b\",\"event\":" GOOD "}", "twice"},
        {"{\"topic\":\"a\",\"event\":{}}", "is missing"},
        {"{\"topic\":\"a\",\"event\":[]}", "an event is a JSON object"},
        {GOOD, "is this a bare event without TOPIC?"},
        {"{\"topic\":\"\xff\",\"event\":" GOOD "}", "not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct source source;
        char text[512];
        (void)snprintf(text, sizeof text, "%s\n{\"topic\":\"good\",\"event\":%s}\n", bad[i].line, GOOD);
        source_open(&source, text, NULL);
        expect(&source, SOURCE_BAD);
        cr_assert(strstr(source.why, bad[i].why) != NULL, "%s: %s", bad[i].line, source.why);
        expect_event(&source, "good");
        source_close(&source);
    }
    LEAKS_NONE();
}

Test(source, passes_over_a_byte_order_mark_in_front_only) {
    struct source source;
    source_open(&source, "\xef\xbb\xbf" GOOD "\n\xef\xbb\xbf" GOOD "\n", "a");
    expect_event(&source, "a");
    expect(&source, SOURCE_BAD);
    expect(&source, SOURCE_END);
    source_close(&source);
    source_open(&source, "\xef\xbb\xbf\n \t \n", "a");
    expect(&source, SOURCE_BLANK);
    expect(&source, SOURCE_BLANK);
    expect(&source, SOURCE_END);
    source_close(&source);
}

Test(source, says_when_a_line_is_too_long) {
    struct source source;
    static char text[300000];
    memset(text, 'x', sizeof text - 1);
    source_open(&source, text, "a");
    source.lines.line_max = 100000;
    expect(&source, SOURCE_FAILED);
    cr_assert(strstr(source.why, "too long") != NULL);
    source_close(&source);
}

Test(source, numbers_the_ids_of_many_events_of_the_same_parts) {
    struct source source = {
        .kind = SOURCE_PARTS,
        .topic = "a",
        .count = 3,
        .parts = {.id = "x", .source = "/", .type = "t", .data = (const uint8_t *)"data", .data_length = 4}};
    static const char *const ids[] = {"\x0a\x03x-1", "\x0a\x03x-2", "\x0a\x03x-3"};
    struct source_item item;
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(source_next(&source, &item) == SOURCE_EVENT);
        cr_assert(memcmp(item.event, ids[i], 5) == 0);
    }
    expect(&source, SOURCE_END);
    source.made = 0;
    source.count = 1;
    cr_assert(source_next(&source, &item) == SOURCE_EVENT && memcmp(item.event, "\x0a\x01x", 3) == 0);
    source.made = 0;
    source.parts.type = "";
    expect(&source, SOURCE_BAD);
    cr_assert(strcmp(source.why, "the event has no type (event.type)") == 0);
    source_deinit(&source);
    LEAKS_NONE();
}
