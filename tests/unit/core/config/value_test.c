#include "core/config/value.h"

#include "core/config/config.h"

#include <criterion/criterion.h>
#include <string.h>

static void size_is(const char *text, uint64_t bytes) {
    uint64_t got = 0;
    cr_expect(config_size_parse(text, strlen(text), &got) && got == bytes, "%s is %llu", text,
              (unsigned long long)got);
}

static void time_is(const char *text, uint64_t ns) {
    uint64_t got = 0;
    cr_expect(config_time_parse(text, strlen(text), &got) && got == ns, "%s is %llu", text,
              (unsigned long long)got);
}

Test(config_value, reads_sizes_with_their_unit) {
    size_is("0", 0);
    size_is("0B", 0);
    size_is("1B", 1);
    size_is("64KiB", 64 * KIB);
    size_is("64MiB", 64 * MIB);
    size_is("3GiB", 3 * GIB);
    size_is("18446744073709551615B", UINT64_MAX);
    size_is("17179869183GiB", UINT64_C(17179869183) << 30);
}

static const char *const never_numbers[] = {
    "",     "1",      "64MB",   "1x",       "64 MiB", " 1MiB", "1MiB ", "-1",   "-1MiB", "+1MiB",  "1e3",
    "0x10", "0x1MiB", "1.5GiB", "1,5MiB",   "1mib",   "1MIB",  "1Mi",   "MiB",  "1MiBs", "01MiB",  "00",
    "1_0B", "1K",     "1M",     "infinity", "auto",   "1MiB1", "one B", "1\tB", "B1",    "1KiBKiB"};

Test(config_value, refuses_everything_else_as_a_size) {
    uint64_t got = 0;
    for (size_t i = 0; i < sizeof never_numbers / sizeof never_numbers[0]; i++)
        cr_expect(!config_size_parse(never_numbers[i], strlen(never_numbers[i]), &got), "%s is %llu",
                  never_numbers[i], (unsigned long long)got);
    cr_expect(!config_size_parse("1MiB\0", 5, &got));
    cr_expect(!config_size_parse("18446744073709551616B", 21, &got));
    cr_expect(!config_size_parse("17179869184GiB", 14, &got));
    cr_expect(!config_size_parse("99999999999999999999999B", 24, &got));
}

Test(config_value, reads_times_with_their_unit) {
    time_is("0", 0);
    time_is("1us", 1000);
    time_is("200ms", 200 * NS_PER_MS);
    time_is("10s", 10 * NS_PER_S);
    time_is("5m", 300 * NS_PER_S);
    time_is("24h", 86400 * NS_PER_S);
}

Test(config_value, refuses_everything_else_as_a_time) {
    static const char *const wrong[] = {"1",   "200", "1ns",  "1sec", "1 s",   "1min", "1d", "1.5s",
                                        "-1s", "+1s", "1e3s", "0x1s", "1s1ms", "S",    "1S", "01s"};
    uint64_t got = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect(!config_time_parse(wrong[i], strlen(wrong[i]), &got), "%s is %llu", wrong[i],
                  (unsigned long long)got);
    cr_expect(!config_time_parse("5124095577h", 11, &got));
}

Test(config_value, reads_counts_with_and_without_suffix) {
    uint64_t got = 0;
    cr_expect(config_count_parse("10000", 5, true, &got) && got == 10000);
    cr_expect(config_count_parse("1Mi", 3, true, &got) && got == MIB);
    cr_expect(config_count_parse("64Ki", 4, true, &got) && got == 64 * KIB);
    cr_expect(config_count_parse("0", 1, false, &got) && got == 0);
    static const char *const wrong[] = {"",     "1M",  "1MiB", "-1", "1e3", "0x10",
                                        "1 Ki", "1.0", "01",   "Ki", "+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect(!config_count_parse(wrong[i], strlen(wrong[i]), true, &got), "%s", wrong[i]);
    cr_expect(!config_count_parse("1Ki", 3, false, &got));
}

/* What is written back is read as the same number. */
Test(config_value, writes_numbers_back_in_the_largest_unit) {
    char text[CONFIG_VALUE_BYTES];
    cr_expect_str_eq(config_size_text(text, 0), "0");
    cr_expect_str_eq(config_size_text(text, 66560), "65KiB");
    cr_expect_str_eq(config_size_text(text, 1025), "1025B");
    cr_expect_str_eq(config_size_text(text, 64 * MIB), "64MiB");
    cr_expect_str_eq(config_time_text(text, 200 * NS_PER_MS), "200ms");
    cr_expect_str_eq(config_time_text(text, 90 * NS_PER_S), "90s");
    cr_expect_str_eq(config_time_text(text, 3600 * NS_PER_S), "1h");
    cr_expect_str_eq(config_count_text(text, 10000), "10000");
    cr_expect_str_eq(config_count_text(text, MIB), "1Mi");
    for (uint64_t n = 1; n != 0; n *= 2) {
        uint64_t back = 0;
        config_size_text(text, n);
        cr_expect(config_size_parse(text, strlen(text), &back) && back == n, "%s", text);
    }
}

static bool address(const char *text, struct config_address *out) {
    return config_address_parse(text, strlen(text), out);
}

Test(config_value, reads_numeric_addresses_and_knows_loopback) {
    static const struct {
        const char *text;
        bool loopback;
        uint16_t port;
    } right[] = {
        {"127.0.0.1:4470", true, 4470},   {"127.255.0.9:1", true, 1}, {"0.0.0.0:0", false, 0},
        {"10.1.2.3:65535", false, 65535}, {"[::1]:4470", true, 4470}, {"[::]:1", false, 1},
        {"[fe80::1]:80", false, 80},      {"128.0.0.1:1", false, 1},  {"[::ffff:127.0.0.1]:1", false, 1}};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct config_address got;
        cr_expect(address(right[i].text, &got), "%s", right[i].text);
        cr_expect(got.port == right[i].port && config_address_loopback(&got) == right[i].loopback, "%s",
                  right[i].text);
    }
}

Test(config_value, refuses_names_and_half_addresses) {
    static const char *const wrong[] = {"",
                                        ":",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        ":4470",
                                        "localhost:4470",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:04",
                                        "127.0.0.1:4 ",
                                        "::1:4470",
                                        "[::1]",
                                        "[::1]4470",
                                        "[]:1",
                                        "[127.0.0.1]:1",
                                        "127.1:1",
                                        "1.2.3.4.5:1",
                                        "[::1%lo]:1",
                                        "256.0.0.1:1",
                                        "*:1",
                                        "[::1:1",
                                        " 127.0.0.1:1",
                                        "127.0.0.1:1:1"};
    struct config_address got;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect(!address(wrong[i], &got), "%s", wrong[i]);
    cr_expect(!config_address_parse("127.0.0.1\0:1", 12, &got));
}
