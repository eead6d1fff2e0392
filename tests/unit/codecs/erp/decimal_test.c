#include "codecs/erp/decimal.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static const struct decimal_style point = {.mark = '.'};
static const struct decimal_style comma = {.mark = ','};
static const struct decimal_style sap = {.mark = '.', .minus_behind = true};
static const struct decimal_style table = {.mark = ',', .minus_behind = true, .plus = true};
static const struct decimal_style n2 = {.mark = '.', .implied = 2};

static void expect(const char *text, struct decimal_style style, enum decimal_result result, int64_t unscaled,
                   uint32_t scale) {
    struct decimal got = {0};
    enum decimal_result is = decimal_read((const uint8_t *)text, strlen(text), style, &got);
    cr_expect(is == result && got.unscaled == unscaled && got.scale == scale, "%s: %d %" PRId64 " %u", text,
              is, got.unscaled, got.scale);
}

Test(decimal, keeps_the_senders_scale) {
    expect("1.50", point, DECIMAL_OK, 150, 2);
    expect("1.5", point, DECIMAL_OK, 15, 1);
    expect("15", point, DECIMAL_OK, 15, 0);
    expect("-0.010", point, DECIMAL_OK, -10, 3);
    expect("1234,5", comma, DECIMAL_OK, 12345, 1);
    expect("7.", point, DECIMAL_OK, 7, 0);
    expect(" 12 ", point, DECIMAL_OK, 12, 0);
    expect("000000000000000000000012.5", point, DECIMAL_OK, 125, 1);
}

Test(decimal, reads_signs_only_where_the_format_has_them) {
    expect("14.53-", sap, DECIMAL_OK, -1453, 2);
    expect("14.53-", point, DECIMAL_BAD, 0, 0);
    expect("+1,5", table, DECIMAL_OK, 15, 1);
    expect("+1.5", point, DECIMAL_BAD, 0, 0);
    expect("--1", point, DECIMAL_BAD, 0, 0);
    expect("-1-", sap, DECIMAL_BAD, 0, 0);
}

Test(decimal, implies_decimals_where_there_is_no_mark) {
    expect("255438", n2, DECIMAL_OK, 255438, 2);
    expect("5", n2, DECIMAL_OK, 5, 2);
    expect("2554.38", n2, DECIMAL_OK, 255438, 2);
}

Test(decimal, refuses_what_is_no_number) {
    static const char *const bad[] = {"",         " ",   "-",   ".",           "1.2.3",
                                      "1,000.00", "12a", "1e5", "4,01235E+12", "1 2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(bad[i], point, DECIMAL_BAD, 0, 0);
}

Test(decimal, tells_numbers_without_a_leading_digit_and_those_that_are_too_long) {
    expect(".5", point, DECIMAL_BARE, 5, 1);
    expect("-,25", comma, DECIMAL_BARE, -25, 2);
    expect("999999999999999999", point, DECIMAL_OK, 999999999999999999, 0);
    expect("1000000000000000000", point, DECIMAL_LONG, 0, 0);
    expect("0.0000000000000000001", point, DECIMAL_LONG, 0, 0);
}

Test(decimal, is_written_with_its_scale) {
    static const struct {
        struct decimal decimal;
        const char *text;
    } examples[] = {{{150, 2}, "1.50"},
                    {{-5, 2}, "-0.05"},
                    {{0, 0}, "0"},
                    {{0, 3}, "0.000"},
                    {{-7, 0}, "-7"},
                    {{1, 18}, "0.000000000000000001"},
                    {{123456, 3}, "123.456"},
                    {{-999999999999999999, 18}, "-0.999999999999999999"}};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        char text[DECIMAL_TEXT_BYTES];
        size_t n = decimal_write(examples[i].decimal, text);
        cr_expect(n == strlen(text) && strcmp(text, examples[i].text) == 0, "%s is not %s", text,
                  examples[i].text);
    }
}

Test(decimal, adds_and_compares_across_scales) {
    struct decimal sum;
    cr_assert(decimal_add((struct decimal){150, 2}, (struct decimal){5, 3}, &sum));
    cr_expect(sum.unscaled == 1505 && sum.scale == 3);
    cr_expect(decimal_compare((struct decimal){150, 2}, (struct decimal){15, 1}) == 0);
    cr_expect(decimal_compare((struct decimal){-1, 0}, (struct decimal){1, 18}) < 0);
    cr_expect(decimal_compare((struct decimal){2, 0}, (struct decimal){1999, 3}) > 0);
    cr_expect_not(decimal_add((struct decimal){INT64_MAX, 0}, (struct decimal){1, 0}, &sum));
    cr_expect_not(decimal_add((struct decimal){999999999999999999, 0}, (struct decimal){1, 18}, &sum));
    cr_expect(decimal_negate((struct decimal){5, 1}).unscaled == -5);
}
