#include "codecs/document/charset.h"

#include "core/base/topic.h"

#include <criterion/criterion.h>
#include <iconv.h>
#include <string.h>

static bool named(struct charset *charset, const char *name) {
    return charset_named(charset, (const uint8_t *)name, strlen(name));
}

static size_t bad(struct charset *charset, const char *text) {
    return charset_bad(charset, (const uint8_t *)text, strlen(text));
}

static const char *utf8(struct charset *charset, const char *text) {
    static uint8_t out[256];
    size_t n = charset_utf8(charset, (const uint8_t *)text, strlen(text), out);
    cr_assert(n < sizeof out && n <= 3 * strlen(text) && utf8_valid(out, n));
    out[n] = '\0';
    return (const char *)out;
}

Test(charset, is_known_by_the_names_of_edifact_and_of_iconv) {
    static const char *const known[] = {"UNOA",     "UNOB",       "UNOC",         "UNOD",  "UNOE", "UNOF",
                                        "UNOG",     "UNOH",       "UNOI",         "UNOJ",  "UNOK", "UNOL",
                                        "UNOW",     "UNOX",       "UNOY",         "UTF-8", "unoc", "utf-8",
                                        "US-ASCII", "ISO-8859-1", "WINDOWS-1252", "KOI8-R"};
    static const char *const unknown[] = {
        "",          "UNOZ",   "XXXX",
        "IATB",      "UTF-16", "SHIFT_JIS",
        "EBCDIC-US", "IBM037", "A name that is much longer than any charset has"};
    struct charset charset = {0};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_assert(named(&charset, known[i]), "%s", known[i]);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_assert_not(named(&charset, unknown[i]), "%s", unknown[i]);
        cr_assert_eq(charset.kind, CHARSET_ASCII);
    }
}

/* Each byte of each charset as iconv has it, but for control characters. */
Test(charset, of_one_byte_is_what_iconv_says) {
    static const char *const pairs[][2] = {
        {"UNOC", "ISO-8859-1"},  {"UNOD", "ISO-8859-2"},          {"UNOE", "ISO-8859-5"},
        {"UNOF", "ISO-8859-7"},  {"UNOG", "ISO-8859-3"},          {"UNOH", "ISO-8859-4"},
        {"UNOI", "ISO-8859-6"},  {"UNOJ", "ISO-8859-8"},          {"UNOK", "ISO-8859-9"},
        {"UNOL", "ISO-8859-15"}, {"WINDOWS-1252", "WINDOWS-1252"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct charset charset = {0};
        cr_assert(named(&charset, pairs[i][0]));
        iconv_t cd = iconv_open("UTF-8", pairs[i][1]);
        for (unsigned byte = 0xa0; byte < 0x100; byte++) {
            char in[2] = {(char)byte, '\0'}, out[8] = "";
            char *from = in, *to = out;
            size_t left = 1, room = sizeof out;
            (void)iconv(cd, NULL, NULL, NULL, NULL);
            bool there = iconv(cd, &from, &left, &to, &room) == 0;
            cr_assert_eq(bad(&charset, in) == 1, there, "%s %02x", pairs[i][0], byte);
            if (there)
                cr_assert_str_eq(utf8(&charset, in), out, "%s %02x", pairs[i][0], byte);
        }
        (void)iconv_close(cd);
    }
}

Test(charset, says_which_byte_is_the_first_that_it_does_not_have) {
    struct charset charset = {0};
    cr_assert(named(&charset, "UNOC"));
    cr_assert_eq(bad(&charset, "Stra\xdf"
                               "e"),
                 6);
    cr_assert_eq(bad(&charset, "ab\x85\x86"), 2);
    cr_assert_eq(bad(&charset, "ab\x1b"), 2);
    cr_assert_eq(bad(&charset, "ab\r\n"), 4);
    cr_assert_eq(bad(&charset, "a\x7f"), 1);
    cr_assert_eq(charset_bad(&charset, (const uint8_t *)"a\0b", 3), 1);
    cr_assert(named(&charset, "UNOB"));
    cr_assert_eq(bad(&charset, "abc\xc3\xa4"), 3);
    cr_assert(named(&charset, "UNOY"));
    cr_assert_eq(bad(&charset, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), 9);
    cr_assert_eq(bad(&charset, "\xc3\xa4\xe2\x82"), 2);
    cr_assert_eq(bad(&charset, "\xc0\x80"), 0);
    cr_assert_eq(bad(&charset, "\xed\xa0\x80"), 0);
}

Test(charset, reads_what_violates_it_as_utf8_or_else_as_windows_1252) {
    struct charset charset = {0};
    cr_assert(named(&charset, "UNOA"));
    cr_assert_str_eq(utf8(&charset, "\xe4\xb8\xad\xe6\x96\x87"), "\xe4\xb8\xad\xe6\x96\x87");
    cr_assert_str_eq(utf8(&charset, "\xfc\x80"), "\xc3\xbc\xe2\x82\xac");
    cr_assert_str_eq(utf8(&charset, "\x81"), "\xef\xbf\xbd");
    cr_assert(named(&charset, "UNOC"));
    cr_assert_str_eq(utf8(&charset, "\xfc\x96"), "\xc3\xbc\xe2\x80\x93");
    cr_assert(named(&charset, "UNOY"));
    cr_assert_str_eq(utf8(&charset, "\xfc"), "\xc3\xbc");
}

Test(charset, knows_what_level_a_has) {
    const char *all = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/='+:?!\"%&*;<>";
    cr_assert_eq(charset_beyond_level_a((const uint8_t *)all, strlen(all)), strlen(all));
    for (unsigned c = 0x21; c < 0x7f; c++) {
        uint8_t byte = (uint8_t)c;
        cr_assert_eq(charset_beyond_level_a(&byte, 1) == 1, strchr(all, (int)c) != NULL, "%c", (int)c);
    }
    cr_assert_eq(charset_beyond_level_a((const uint8_t *)"\xfc\n", 2), 2); /* another matter */
}
