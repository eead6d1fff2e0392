/* Interchanges that are right, with one thing changed in each: a count, a reference, a separator, a whole
 * segment. What is changed must be found, and nothing that is not there. */
#include "tests/unit/codecs/edi/feed.h"

#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two messages in two groups each. */
static const char edifact[] = "UNB+UNOC:3+S:14+R:14+260901:0605+IREF7'"
                              "UNG+ORDERS+A+B+260901:0605+GREF8+UN+D:96A'"
                              "UNH+MREF1+ORDERS:D:96A:UN'BGM+220+X'UNS+S'UNT+4+MREF1'"
                              "UNH+MREF2+ORDERS:D:96A:UN'BGM+220+X'UNS+S'CNT+2:0'UNT+5+MREF2'"
                              "UNE+2+GREF8'"
                              "UNG+INVOIC+A+B+260901:0605+GREF9+UN+D:96A'"
                              "UNH+MREF3+INVOIC:D:96A:UN'BGM+380+X'UNT+3+MREF3'"
                              "UNE+1+GREF9'"
                              "UNZ+2+IREF7'";

static const char x12[] = "ISA*00*          *00*          *ZZ*SENDER         *01*RECEIVER       "
                          "*260901*0605*U*00401*100000007*0*P*>~"
                          "GS*PO*A*B*20260901*0605*38*X*004010~"
                          "ST*850*2001~BEG*00*SA*P~CTT*0~SE*4*2001~"
                          "ST*850*2002~BEG*00*SA*P~SE*3*2002~"
                          "GE*2*38~"
                          "GS*IN*A*B*20260901*0605*39*X*004010~"
                          "ST*810*2001~BIG*20260901*I~SE*3*2001~"
                          "GE*1*39~"
                          "IEA*2*100000007~";

struct place_of {
    const char *tag;
    unsigned occurrence; /* of the tag, from 0 */
    unsigned element;
    enum finding_code code;
};

/* The n-th segment with this tag; `separator` stands behind tags, `terminator` before them. */
static const char *segment_at(const char *text, const char *tag, unsigned occurrence, char separator,
                              char terminator) {
    for (const char *p = text; (p = strstr(p, tag)); p++)
        if ((p == text || p[-1] == terminator) && p[strlen(tag)] == separator && occurrence-- == 0)
            return p;
    cr_assert_fail("there is no such %s", tag);
    return NULL;
}

static size_t element_at(const char *segment, unsigned element, char separator) {
    const char *p = segment;
    for (unsigned i = 0; i < element; i++)
        p = strchr(p, separator) + 1;
    return (size_t)(p - segment);
}

/* One byte of the text is another one: this and nothing else is found, there. */
static void changed(enum feed_format format, const char *text, size_t at, char byte, enum finding_code code) {
    char *copy = strdup(text);
    cr_assert(copy);
    cr_assert_neq(copy[at], byte);
    copy[at] = byte;
    struct trace *trace = feed_text(format, NULL, copy);
    cr_assert(trace->count == 1 && trace->findings[0].code == code, "%s\n%s", copy, trace->text);
    cr_assert(trace->findings[0].place.offset <= at &&
                  at < trace->findings[0].place.offset + trace->findings[0].place.length,
              "%s\n%s", copy, trace->text);
    cr_assert_eq(trace->refused[0] + trace->refused[1] + trace->refused[2], 1);
    feed_free(trace);
    free(copy);
}

static void all_changed(enum feed_format format, const char *text, const struct place_of *places,
                        size_t count, char separator, char terminator) {
    struct trace *trace = feed_text(format, NULL, text);
    cr_assert_eq(trace->count, 0, "%s", trace->text);
    feed_free(trace);
    for (size_t i = 0; i < count; i++) {
        const char *segment = segment_at(text, places[i].tag, places[i].occurrence, separator, terminator);
        size_t at = (size_t)(segment - text) + element_at(segment, places[i].element, separator);
        size_t n = strcspn(text + at, "+':*~>");
        for (size_t j = 0; j < n; j++)
            for (char byte = '0'; byte <= '9'; byte++)
                if (text[at + j] != byte && !(j == 0 && n > 1 && byte == '0'))
                    changed(format, text, at + j, byte, places[i].code);
    }
}

Test(mutation, every_count_and_reference_of_edifact_is_looked_at) {
    static const struct place_of places[] = {
        {"UNT", 0, 1, FINDING_EDIFACT_COUNT_DIFFERS}, {"UNT", 0, 2, FINDING_EDIFACT_REFERENCE_DIFFERS},
        {"UNT", 1, 1, FINDING_EDIFACT_COUNT_DIFFERS}, {"UNT", 1, 2, FINDING_EDIFACT_REFERENCE_DIFFERS},
        {"UNT", 2, 1, FINDING_EDIFACT_COUNT_DIFFERS}, {"UNT", 2, 2, FINDING_EDIFACT_REFERENCE_DIFFERS},
        {"UNE", 0, 1, FINDING_EDIFACT_COUNT_DIFFERS}, {"UNE", 0, 2, FINDING_EDIFACT_REFERENCE_DIFFERS},
        {"UNE", 1, 1, FINDING_EDIFACT_COUNT_DIFFERS}, {"UNE", 1, 2, FINDING_EDIFACT_REFERENCE_DIFFERS},
        {"UNZ", 0, 1, FINDING_EDIFACT_COUNT_DIFFERS}, {"UNZ", 0, 2, FINDING_EDIFACT_REFERENCE_DIFFERS},
    };
    all_changed(FEED_EDIFACT, edifact, places, sizeof places / sizeof places[0], '+', '\'');
}

Test(mutation, every_count_and_control_number_of_x12_is_looked_at) {
    static const struct place_of places[] = {
        {"SE", 0, 1, FINDING_X12_SET_COUNT_DIFFERS},
        {"SE", 0, 2, FINDING_X12_SET_REFERENCE_DIFFERS},
        {"SE", 1, 1, FINDING_X12_SET_COUNT_DIFFERS},
        {"SE", 1, 2, FINDING_X12_SET_REFERENCE_DIFFERS},
        {"SE", 2, 1, FINDING_X12_SET_COUNT_DIFFERS},
        {"SE", 2, 2, FINDING_X12_SET_REFERENCE_DIFFERS},
        {"GE", 0, 1, FINDING_X12_GROUP_COUNT_DIFFERS},
        {"GE", 0, 2, FINDING_X12_GROUP_REFERENCE_DIFFERS},
        {"GE", 1, 1, FINDING_X12_GROUP_COUNT_DIFFERS},
        {"GE", 1, 2, FINDING_X12_GROUP_REFERENCE_DIFFERS},
        {"IEA", 0, 1, FINDING_X12_INTERCHANGE_COUNT_DIFFERS},
        {"IEA", 0, 2, FINDING_X12_INTERCHANGE_REFERENCE_DIFFERS},
    };
    all_changed(FEED_X12, x12, places, sizeof places / sizeof places[0], '*', '~');
}

/* ---- segments that go, come twice, or change places ---- */

/* The text without the segment in [from, to), or with it twice. */
static char *without(const char *text, size_t from, size_t to, unsigned times) {
    size_t n = strlen(text);
    char *out = malloc(2 * n + 1);
    char *p = out;
    cr_assert(out);
    memcpy(p, text, from);
    p += from;
    for (unsigned i = 0; i < times; i++, p += to - from)
        memcpy(p, text + from, to - from);
    memcpy(p, text + to, n - to + 1);
    return out;
}

static void segments_changed(enum feed_format format, const char *text, char terminator, unsigned times) {
    size_t n = strlen(text);
    for (size_t from = 0, to; from < n; from = to) {
        to = (size_t)(strchr(text + from, terminator) - text) + 1;
        char *other = without(text, from, to, times);
        struct trace *trace = feed_text(format, NULL, other);
        cr_assert_gt(trace->count, 0, "nobody has noticed: %s", other);
        cr_assert_lt(trace->count, 14, "%s\n%s", other, trace->text);
        feed_free(trace);
        free(other);
    }
}

Test(mutation, a_segment_that_is_lost_or_comes_twice_is_noticed) {
    segments_changed(FEED_EDIFACT, edifact, '\'', 0);
    segments_changed(FEED_EDIFACT, edifact, '\'', 2);
    segments_changed(FEED_X12, x12, '~', 0);
    segments_changed(FEED_X12, x12, '~', 2);
}

/* ---- separators ---- */

/* What a terminator is for is counted; what other separators are for, in service segments, is there or not.
 */
static void terminators_changed(enum feed_format format, const char *text, char terminator, char byte) {
    for (const char *p = text; (p = strchr(p, terminator)); p++) {
        char *other = strdup(text);
        cr_assert(other);
        other[p - text] = byte;
        struct trace *trace = feed_text(format, NULL, other);
        cr_assert_gt(trace->count, 0, "nobody has noticed: %s", other);
        feed_free(trace);
        free(other);
    }
}

Test(mutation, a_terminator_that_is_lost_is_noticed) {
    terminators_changed(FEED_EDIFACT, edifact, '\'', 'x');
    terminators_changed(FEED_EDIFACT, edifact, '\'', '+');
    terminators_changed(FEED_EDIFACT, edifact, '\'', '?');
    terminators_changed(FEED_EDIFACT, edifact, '\'', '\n');
    terminators_changed(FEED_X12, x12, '~', 'x');
    terminators_changed(FEED_X12, x12, '~', '*');
    terminators_changed(FEED_X12, x12, '~', '\n');
}

/* Any byte may become any other one: whatever comes of it, scopes end and nothing crashes. A strict reader
 * that finds nothing has read the same number of segments, or the damage is in a text. */
static void any_byte(enum feed_format format, const char *text, const char *bytes) {
    size_t n = strlen(text);
    struct trace *right = feed_text(format, NULL, text);
    for (size_t at = 0; at < n; at++)
        for (const char *byte = bytes; *byte; byte++) {
            char *other = strdup(text);
            cr_assert(other);
            other[at] = *byte;
            struct trace *trace = feed_text(format, NULL, other);
            if (trace->count == 0)
                cr_assert_eq(trace->segments, right->segments, "%s\n%s", other, trace->text);
            feed_free(trace);
            free(other);
        }
    feed_free(right);
}

Test(mutation, no_separator_at_a_wrong_place_goes_unnoticed_when_it_adds_or_takes_a_segment, .timeout = 60) {
    any_byte(FEED_EDIFACT, edifact, "'+:?");
    any_byte(FEED_X12, x12, "~*>");
}

/* ---- cut off ---- */

Test(mutation, a_file_that_is_cut_off_anywhere_is_noticed) {
    for (size_t n = 1; n < sizeof edifact - 1; n++) {
        struct trace *trace = feed_whole(FEED_EDIFACT, NULL, (const uint8_t *)edifact, n);
        cr_assert_gt(trace->count, 0, "%zu", n);
        feed_free(trace);
    }
    for (size_t n = 1; n < sizeof x12 - 1; n++) {
        struct trace *trace = feed_whole(FEED_X12, NULL, (const uint8_t *)x12, n);
        cr_assert_gt(trace->count, 0, "%zu", n);
        feed_free(trace);
    }
}
