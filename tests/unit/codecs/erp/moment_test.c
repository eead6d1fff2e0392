#include "codecs/erp/moment.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static enum moment_result read(const char *text, const char *format, struct moment *start,
                               struct moment *end) {
    return moment_read((const uint8_t *)text, strlen(text), format, strlen(format), 0, start, end);
}

static void expect(const char *text, const char *format, const char *written) {
    struct moment start, end;
    char got[MOMENT_TEXT_BYTES] = "bad";
    if (read(text, format, &start, &end) == MOMENT_OK)
        moment_write(start, got);
    cr_expect(strcmp(got, written) == 0, "%s as %s is %s, not %s", text, format, got, written);
}

static void expect_result(const char *text, const char *format, enum moment_result result) {
    struct moment start, end;
    enum moment_result got = read(text, format, &start, &end);
    cr_expect(got == result, "%s as %s is %d, not %d", text, format, got, result);
}

Test(moment, reads_the_formats_of_edifact) {
    expect("20240311", "102", "2024-03-11");
    expect("202609021405", "203", "2026-09-02T14:05:00");
    expect("20260902140559", "204", "2026-09-02T14:05:59");
    expect("240311", "101", "2024-03-11");
    expect("991231", "101", "1999-12-31");
    expect("0609260931", "201", "2006-09-26T09:31:00");
    expect("202609021405+02", "303", "2026-09-02T14:05:00+02:00");
    expect("202609021405UTC", "303", "2026-09-02T14:05:00Z");
    expect("202609021405XYZ", "303", "2026-09-02T14:05:00"); /* no zone is invented */
    expect("202609021405-0330", "205", "2026-09-02T14:05:00-03:30");
    expect("202605", "610", "2026-05-01");
    expect("2026", "602", "2026-01-01");
    expect("202601", "616", "2025-12-29"); /* week 1 of 2026 begins in 2025 */
    expect("24060", "105", "2024-02-29");
    expect("31122026", "4", "2026-12-31");
}

Test(moment, reads_patterns_and_what_it_looks_like) {
    expect("02.09.2026", "DD.MM.CCYY", "2026-09-02");
    expect("09/02/26", "MM/DD/YY", "2026-09-02");
    expect("2026-09-02T14:05", "CCYY-MM-DDTHH:MM", "2026-09-02T14:05:00");
    expect("20260902", "", "2026-09-02");
    expect("260902", "", "2026-09-02");
    expect("202609021405", "", "2026-09-02T14:05:00");
    expect("2026-09-02", "", "2026-09-02");
    expect("2026-09-02Z", "", "2026-09-02Z");
    expect("2026-09-02T14:05:59.250+05:30", "", "2026-09-02T14:05:59+05:30");
    expect("2026-09-02T14:05:59Z", "", "2026-09-02T14:05:59Z");
}

Test(moment, reads_periods_with_and_without_a_hyphen) {
    static const char *const texts[] = {"20260901-20260930", "2026090120260930"};
    for (size_t i = 0; i < 2; i++) {
        struct moment start, end;
        cr_assert(read(texts[i], "718", &start, &end) == MOMENT_OK);
        cr_expect(start.date == 20260901 && end.date == 20260930 && !start.timed);
    }
    struct moment start, end;
    cr_assert(read("202609010800-202609011700", "719", &start, &end) == MOMENT_OK);
    cr_expect(start.time == 80000 && end.time == 170000);
    cr_assert(read("20260901", "102", &start, &end) == MOMENT_OK);
    cr_expect(end.date == start.date);
}

Test(moment, knows_which_days_there_are) {
    expect_result("20240229", "102", MOMENT_OK);
    expect_result("20230229", "102", MOMENT_BAD);
    expect_result("20260431", "102", MOMENT_BAD);
    expect_result("20261301", "102", MOMENT_BAD);
    expect_result("20260100", "102", MOMENT_BAD);
    expect_result("18991231", "102", MOMENT_BAD);
    expect_result("202609022405", "203", MOMENT_BAD);
    expect_result("202609021460", "203", MOMENT_BAD);
    expect_result("25366", "105", MOMENT_BAD);
    expect_result("202654", "616", MOMENT_BAD);
    expect_result("next week", "102", MOMENT_BAD);
    expect_result("2026090", "102", MOMENT_BAD);
    expect_result("202609021", "", MOMENT_BAD);
}

Test(moment, tells_nothing_from_something_and_one_format_from_another) {
    expect_result("00000000", "", MOMENT_EMPTY);
    expect_result("   ", "102", MOMENT_EMPTY);
    expect_result("199910060000", "102", MOMENT_OTHER);
    expect_result("20260902", "203", MOMENT_OTHER);
}

Test(moment, reads_times_and_zones) {
    struct moment moment;
    int32_t zone;
    cr_assert(moment_time_read((const uint8_t *)"1405", 4, &moment));
    cr_expect(moment.time == 140500 && !moment.zoned);
    cr_assert(moment_time_read((const uint8_t *)"14055925", 8, &moment));
    cr_expect(moment.time == 140559);
    cr_assert(moment_time_read((const uint8_t *)"14:05:59.5Z", 11, &moment));
    cr_expect(moment.time == 140559 && moment.zoned && moment.zone == 0);
    static const char *const bad[] = {"", "14", "2405", "1460", "14:5", "1405x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(moment_time_read((const uint8_t *)bad[i], strlen(bad[i]), &moment), "%s", bad[i]);
    cr_assert(moment_zone_read((const uint8_t *)"ES", 2, &zone));
    cr_expect(zone == -300);
    cr_assert(moment_zone_read((const uint8_t *)"+05:30", 6, &zone));
    cr_expect(zone == 330);
    static const char *const none[] = {"ET", "", "+", "+1", "+15", "+05:60", "LT"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_expect_not(moment_zone_read((const uint8_t *)none[i], strlen(none[i]), &zone), "%s", none[i]);
}

Test(moment, counts_seconds_since_1970) {
    struct moment moment = {.date = 20260902, .timed = true, .time = 140500, .zoned = true, .zone = 120};
    cr_expect(moment_seconds(moment) == INT64_C(1788350700), "%" PRId64, moment_seconds(moment));
    cr_expect(moment_seconds((struct moment){.date = 19700101}) == 0);
    cr_expect(moment_seconds((struct moment){.date = 20000301}) == INT64_C(951868800));
}
