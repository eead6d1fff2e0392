/* What came of a golden pair, held against what is expected. */
#include "core/spoke/expect.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <string.h>

static char why[300];

static bool json(const char *wanted, const char *got) {
    why[0] = '\0';
    return expect_json(wanted, strlen(wanted), got, strlen(got), why, sizeof why);
}

static bool text(const char *wanted, const char *got) {
    return expect_text(wanted, strlen(wanted), got, strlen(got), why, sizeof why);
}

Test(expect, objects_may_have_more_than_is_expected_lists_may_not) {
    cr_expect(json("{\"a\": 1}", "{\"b\": 2, \"a\": 1}"));
    cr_expect(
        json("{\"a\": {\"b\": [1, {\"c\": \"x\"}]}}", "{\"a\": {\"b\": [1, {\"c\": \"x\", \"d\": null}]}}"));
    cr_expect(!json("{\"a\": 1, \"b\": 2}", "{\"a\": 1}"));
    cr_expect_str_eq(why, "$[0].b is missing, not 2");
    cr_expect(!json("{\"a\": [1, 2]}", "{\"a\": [1]}"));
    cr_expect_str_eq(why, "$[0].a has 1 items, not 2");
    cr_expect(!json("{\"a\": {\"b\": [1, {\"c\": \"x\"}]}}", "{\"a\": {\"b\": [1, {\"c\": \"y\"}]}}"));
    cr_expect_str_eq(why, "$[0].a.b[1].c is \"y\", not \"x\"");
    LEAKS_NONE();
}

Test(expect, values_are_of_one_kind) {
    cr_expect(json("1", "1.0"));
    cr_expect(!json("\"1\"", "1"));
    cr_expect(!json("{}", "[]"));
    cr_expect(!json("null", "false"));
    cr_expect(json("null", "null"));
}

Test(expect, several_values_are_a_list) {
    cr_expect(json("[1, 2]", "1\n2\n"));
    cr_expect(json("{\"a\":1}{\"a\":2}", " {\"a\":1}\n\n{\"a\":2}\n"));
    cr_expect(json("[]", ""));
    cr_expect(!json("[1, 2]", "1\n"));
    cr_expect_str_eq(why, "$ has 1 items, not 2");
    cr_expect(json("[[1]]", "[[1]]"));
    LEAKS_NONE();
}

Test(expect, what_is_not_json_is_told_of_whom) {
    cr_expect(!json("{\"a\": }", "{}"));
    cr_expect(strncmp(why, "the expectation is not JSON: line 1:", 36) == 0, "%s", why);
    cr_expect(!json("{}", "UNB+UNOC"));
    cr_expect(strncmp(why, "what came is not JSON: line 1:", 30) == 0, "%s", why);
    LEAKS_NONE();
}

Test(expect, text_is_compared_byte_by_byte_but_for_its_last_line_end) {
    cr_expect(text("a\nb\n", "a\nb"));
    cr_expect(text("a", "a\r\n"));
    cr_expect(!text("a\nb", "a\nc"));
    cr_expect_str_eq(why, "what came differs at byte 2, line 2: \"c\", not \"b\"");
    cr_expect(!text("ab", "a"));
    cr_expect(!text("", "a"));
}
