#include "core/base/topic.h"

#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool topic(const char *text, struct fault *fault) {
    return topic_valid((const uint8_t *)text, strlen(text), fault);
}

static bool pattern(const char *text, struct fault *fault) {
    return pattern_valid((const uint8_t *)text, strlen(text), fault);
}

static bool matches(const char *p, const char *t) {
    struct fault fault;
    cr_assert(pattern(p, &fault), "%s", p);
    return pattern_matches((const uint8_t *)p, strlen(p), (const uint8_t *)t, strlen(t));
}

/* `count` tokens of one letter. */
static void tokens(char *out, size_t count) {
    for (size_t i = 0; i < count; ++i)
        memcpy(out + 2 * i, "a.", 2);
    out[2 * count - 1] = 0;
}

Test(topic, takes_what_the_grammar_allows) {
    static const char *const good[] = {"a",
                                       "erp.despatchadvice.created",
                                       "raw.edifact.desadv",
                                       "a.b",
                                       "0",
                                       "-",
                                       "_",
                                       "a.@b",
                                       "a.$b",
                                       "@mailbox",
                                       "@m-1",
                                       "Läger.öffnen",
                                       "日本.語",
                                       "😀.a",
                                       "a$",
                                       "~!\"#%&'()",
                                       "12345678",
                                       "1234567.",
                                       "abcdefg.abcdefgh"};
    struct fault fault;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; ++i) {
        bool taken = topic(good[i], &fault);
        bool expected = good[i][strlen(good[i]) - 1] != '.';
        cr_expect(taken == expected, "%s", good[i]);
    }
}

Test(topic, refuses_with_the_reason) {
    static const struct {
        const char *text, *reason;
        enum rh_code code;
    } bad[] = {
        {"", "empty", RH_CODE_INVALID},
        {".", "empty token", RH_CODE_INVALID},
        {".a", "empty token", RH_CODE_INVALID},
        {"a.", "empty token", RH_CODE_INVALID},
        {"a..b", "empty token", RH_CODE_INVALID},
        {"abcdefg..b", "empty token", RH_CODE_INVALID},
        {"abcdefgh..b", "empty token", RH_CODE_INVALID},
        {"a b", "blank", RH_CODE_INVALID},
        {"a\tb", "blank", RH_CODE_INVALID},
        {"a\x7f", "blank", RH_CODE_INVALID},
        {"a\xc2\x85", "blank", RH_CODE_INVALID},
        {"a\xc2\xa0", "blank", RH_CODE_INVALID},
        {"a\xe2\x80\x8a", "blank", RH_CODE_INVALID},
        {"a\xe2\x80\xa8", "blank", RH_CODE_INVALID},
        {"a\xe2\x80\xa9", "blank", RH_CODE_INVALID},
        {"a\xe2\x80\xaf", "blank", RH_CODE_INVALID},
        {"a\xe2\x81\x9f", "blank", RH_CODE_INVALID},
        {"a\xe3\x80\x80", "blank", RH_CODE_INVALID},
        {"a\xef\xbf\xbe", "noncharacter", RH_CODE_INVALID},
        {"a\xef\xb7\x90", "noncharacter", RH_CODE_INVALID},
        {"a\xff", "UTF-8", RH_CODE_INVALID},
        {"a\xc0\xae", "UTF-8", RH_CODE_INVALID},
        {"\xc3", "UTF-8", RH_CODE_INVALID},
        {"*", "'*'", RH_CODE_INVALID},
        {"a.>", "'>'", RH_CODE_INVALID},
        {"a*", "'*'", RH_CODE_INVALID},
        {"a>b.c", "'>'", RH_CODE_INVALID},
        {"$sys", "'$'", RH_CODE_INVALID},
        {"@", "mailbox", RH_CODE_INVALID},
        {"@a.b", "mailbox", RH_CODE_INVALID},
    };
    struct fault fault;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        cr_assert_not(topic(bad[i].text, &fault), "%s", bad[i].text);
        cr_expect(fault.code == bad[i].code && strstr(fault.text, bad[i].reason), "%s: %s", bad[i].text,
                  fault.text);
        cr_expect_str_eq(fault.field, "topic");
    }
}

Test(topic, keeps_the_limits_of_bytes_and_tokens) {
    struct fault fault;
    char text[300];
    memset(text, 'a', sizeof text);
    cr_expect(topic_valid((const uint8_t *)text, TOPIC_BYTES_MAX, &fault));
    cr_expect_not(topic_valid((const uint8_t *)text, TOPIC_BYTES_MAX + 1, &fault));
    cr_expect(fault.code == RH_CODE_TOO_LARGE && strstr(fault.text, "255"));
    tokens(text, TOPIC_TOKENS_MAX);
    cr_expect(topic(text, &fault));
    cr_expect(pattern(text, &fault));
    tokens(text, TOPIC_TOKENS_MAX + 1);
    cr_expect_not(topic(text, &fault));
    cr_expect(fault.code == RH_CODE_TOO_LARGE && strstr(fault.text, "16"));
    cr_expect_not(pattern(text, &fault));
    cr_expect(fault.code == RH_CODE_TOO_LARGE);
    tokens(text, 128);
    cr_expect_not(topic(text, &fault));
    cr_expect_eq(fault.code, RH_CODE_TOO_LARGE);
}

/* The grammar for ASCII once more, in the plainest way. */
static bool ascii_topic(const uint8_t *p, size_t n) {
    if (n == 0 || n > TOPIC_BYTES_MAX || p[0] == '$')
        return false;
    size_t dots = 0;
    bool in_token = false;
    for (size_t i = 0; i < n; ++i) {
        if (p[i] == '.') {
            if (!in_token)
                return false;
            ++dots;
        } else if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '*' || p[i] == '>') {
            return false;
        }
        in_token = p[i] != '.';
    }
    return in_token && dots < TOPIC_TOKENS_MAX && !(p[0] == '@' && (n == 1 || dots > 0));
}

static void expect_as_ascii(const uint8_t *p, size_t n) {
    struct fault fault;
    uint8_t *alone = malloc(n ? n : 1);
    memcpy(alone, p, n);
    cr_assert(topic_valid(alone, n, &fault) == ascii_topic(p, n), "%.*s", (int)n, (const char *)p);
    free(alone);
}

Test(topic, decides_words_of_ascii_like_single_bytes) {
    uint8_t text[40];
    for (size_t n = 1; n <= sizeof text; ++n)
        for (size_t at = 0; at < n; ++at)
            for (unsigned byte = 0; byte < 0x80; ++byte) {
                memset(text, 'x', n);
                text[at] = (uint8_t)byte;
                expect_as_ascii(text, n);
            }
}

Test(topic, decides_mixed_ascii_like_single_bytes) {
    static const char letters[] = "aaaaaaaaZ0~...$@*> \x7f\x01";
    uint8_t text[64];
    unsigned seed = 7;
    for (unsigned round = 0; round < 100000; ++round) {
        seed = seed * 1103515245 + 12345;
        size_t n = 1 + (seed >> 16) % sizeof text;
        size_t kinds = round % 2 ? 12 : sizeof letters - 1;
        for (size_t i = 0; i < n; ++i) {
            seed = seed * 1103515245 + 12345;
            text[i] = (uint8_t)letters[(seed >> 16) % kinds];
        }
        expect_as_ascii(text, n);
    }
}

Test(pattern, takes_wildcards_that_are_whole_tokens) {
    static const char *const good[] = {"a",   "*",   ">",      "a.*",  "*.b", "a.*.c",        "a.>",
                                       "*.>", "*.*", "$sys.>", "$sys", "@m",  "raw.*.invoic", "ä.*"};
    static const char *const bad[] = {"a*", "*a",   "a.b*", "**", ">.a",  "a.>.b", ">>",  "a>",
                                      "@*", "@a.*", "@",    "",   "a..*", "*.",    "a b", "a.\xff"};
    struct fault fault;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; ++i)
        cr_expect(pattern(good[i], &fault), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        cr_expect_not(pattern(bad[i], &fault), "%s", bad[i]);
        cr_expect_str_eq(fault.field, "patterns");
        cr_expect(strncmp(fault.text, "pattern", 7) == 0 || strncmp(fault.text, "a pattern", 9) == 0);
    }
}

Test(pattern, tells_whether_it_is_wild) {
    static const char *const wild[] = {"*", ">", "a.*", "*.a", "a.>", "a.*.b"};
    static const char *const literal[] = {"a", "a.b", "$sys", "@m"};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; ++i)
        cr_expect(pattern_wild((const uint8_t *)wild[i], strlen(wild[i])), "%s", wild[i]);
    for (size_t i = 0; i < sizeof literal / sizeof literal[0]; ++i)
        cr_expect_not(pattern_wild((const uint8_t *)literal[i], strlen(literal[i])), "%s", literal[i]);
}

Test(pattern, matches_by_tokens) {
    static const struct {
        const char *pattern, *topic;
        bool expected;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a.b", false},
        {"a.b", "a", false},
        {"a.b", "a.b", true},
        {"a.b", "a.bc", false},
        {"a.bc", "a.b", false},
        {"*", "a", true},
        {"*", "a.b", false},
        {"*.b", "a.b", true},
        {"*.b", "a.c", false},
        {"a.*", "a", false},
        {"a.*", "a.b", true},
        {"a.*", "a.b.c", false},
        {"a.*.c", "a.b.c", true},
        {">", "a", true},
        {">", "a.b.c", true},
        {"a.>", "a", false},
        {"a.>", "a.b", true},
        {"a.>", "a.b.c", true},
        {"a.>", "b.c", false},
        {"*.>", "a", false},
        {"*.>", "a.b", true},
        {">", "$sys", false},
        {"*", "$sys", false},
        {"*.a", "$sys.a", false},
        {"$sys.>", "$sys.a", true},
        {">", "@m", false},
        {"*", "@m", false},
        {"@m", "@m", true},
        {"a.*", "a.@m", true},
        {"ä.*", "ä.ö", true},
        {"raw.*.invoic", "raw.edifact.invoic", true},
        {"raw.*.invoic", "raw.edifact.invoice", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        cr_expect(matches(cases[i].pattern, cases[i].topic) == cases[i].expected, "%s against %s",
                  cases[i].pattern, cases[i].topic);
}

/* XXH3-64 is a published function: the first value is the one that its own test program prints for no input
 * and seed 0. */
Test(topic, hashes_as_the_slot_map_was_made) {
    cr_expect_eq(topic_hash((const uint8_t *)"", 0, 0), UINT64_C(0x2d06800538d394c2));
    uint64_t one = topic_hash((const uint8_t *)"erp.order.created", 17, 1);
    uint64_t two = topic_hash((const uint8_t *)"erp.order.created", 17, 2);
    cr_expect_neq(one, two);
    cr_expect_eq(topic_slot(UINT64_MAX), SLOT_COUNT - 1);
    cr_expect_eq(topic_slot(0), 0);
    cr_expect_eq(topic_slot(UINT64_C(1) << 52), 1);
}

static bool meet(const char *a, const char *b) {
    struct fault fault;
    cr_assert(pattern(a, &fault) && pattern(b, &fault));
    bool found = patterns_meet((const uint8_t *)a, strlen(a), (const uint8_t *)b, strlen(b));
    cr_assert_eq(found, patterns_meet((const uint8_t *)b, strlen(b), (const uint8_t *)a, strlen(a)));
    return found;
}

Test(topic, knows_whether_two_patterns_have_a_topic_in_common) {
    static const struct {
        const char *a, *b;
        bool meet;
    } cases[] = {{"a", "a", true},           {"a", "b", false},      {"a", "a.b", false},
                 {">", "a.b.c", true},       {"a.>", "a", false},    {"a.>", "a.b.c", true},
                 {"a.>", "*.*.c", true},     {"a.>", "b.>", false},  {"*.b", "a.*", true},
                 {"*.b", "a.c", false},      {"*", "*.*", false},    {"a.*.c", "a.>", true},
                 {"a.*.c", "*.b.d", false},  {">", "$dlq.a", false}, {"*.a", "$dlq.a", false},
                 {"$dlq.*", "$dlq.>", true}, {">", "@crm", false},   {"@crm", "@crm", true},
                 {"*", "@crm", false},       {"a.b", "a.bc", false}, {"a.*", "a.b.>", false},
                 {">", "*", true},           {"a.b.>", "*.>", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(meet(cases[i].a, cases[i].b), cases[i].meet, "%s %s", cases[i].a, cases[i].b);
}
