#include "codecs/event/trace.h"

#include <criterion/criterion.h>
#include <string.h>

#define IDS "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"

static bool parent(const char *text) {
    return trace_parent_valid(text, strlen(text));
}

static bool state(const char *text) {
    return trace_state_valid(text, strlen(text));
}

Test(trace, a_traceparent_is_what_w3c_says) {
    cr_expect(parent("00-" IDS "-01"));
    cr_expect(parent("00-" IDS "-ff"));
    cr_expect(parent("cc-" IDS "-01"), "of a version that is not known yet");
    cr_expect(parent("cc-" IDS "-01-what-follows"));
}

Test(trace, what_is_none_is_none) {
    static const char *const wrong[] = {
        "",
        "00",
        IDS,
        "00-" IDS "-01-more",
        "00-" IDS "-1",
        "00-" IDS "-0g",
        "00-" IDS "_01",
        "0-" IDS "-011",
        "ff-" IDS "-01",
        "cc-" IDS "-01x",
        "cc-" IDS "-01-\r\nX: y",
        "0A-" IDS "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_not(parent(wrong[i]), "%s", wrong[i]);
    char text[TRACE_PARENT_MAX + 2];
    memset(text, 'x', sizeof text);
    memcpy(text, "cc-" IDS "-01-", 56);
    cr_expect(trace_parent_valid(text, TRACE_PARENT_MAX));
    cr_expect_not(trace_parent_valid(text, TRACE_PARENT_MAX + 1));
    for (size_t n = 0; n < 55; n++)
        cr_expect_not(trace_parent_valid("00-" IDS "-01", n));
}

Test(trace, a_tracestate_is_printable_and_has_an_end) {
    cr_expect(state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    cr_expect(state("a"));
    cr_expect_not(state(""));
    cr_expect_not(state(" a=b"));
    cr_expect_not(state("a=b "));
    cr_expect_not(state("a=b\r\nX: y"));
    cr_expect_not(state("a=\x7f"));
    cr_expect_not(state("a=\xc3\xbc"));
    char text[TRACE_STATE_MAX + 1];
    memset(text, 'a', sizeof text);
    cr_expect(trace_state_valid(text, TRACE_STATE_MAX));
    cr_expect_not(trace_state_valid(text, TRACE_STATE_MAX + 1));
}
