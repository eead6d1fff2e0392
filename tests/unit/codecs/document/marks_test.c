/* The body that compares 64 bytes at a time, and the one that compares each, against the definition. */
#include "codecs/document/marks.h"

/* The portable body, which no x86-64 builds otherwise. */
#undef __SSE2__
#define marks_find marks_find_portable
uint32_t marks_find_portable(const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to,
                             uint32_t *positions, bool *odd);
#include "codecs/document/marks.c"
#undef marks_find
uint32_t marks_find(const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to,
                    uint32_t *positions, bool *odd);

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 1000u

static uint64_t state = 88172645463325252u;

static uint32_t by_chance(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state % below);
}

static bool is_one_of(const struct marks_set *set, uint8_t byte) {
    return memchr(set->bytes, byte, MARKS_EACH) != NULL;
}

static bool strange(const struct marks_set *set, uint8_t byte) {
    if (is_one_of(set, byte))
        return false;
    if (set->level_a && (byte > 'Z' || byte == '#' || byte == '$' || byte == '@'))
        return true;
    return byte < ' ' || byte >= 0x7f;
}

typedef uint32_t find(const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to,
                      uint32_t *positions, bool *odd);

/* What must be found, and what must be called odd: all but CR before a mark, which may be. */
static void check(find *body, const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to) {
    uint32_t found[BYTES + 64], count = 0;
    bool must = false, may = false, odd;
    uint32_t n = body(set, bytes, from, to, found, &odd);
    for (uint32_t i = from; i < to; i++) {
        if (is_one_of(set, bytes[i])) {
            cr_assert(count < n && found[count] == i, "at %u of %u to %u", i, from, to);
            count++;
        }
        may |= strange(set, bytes[i]);
        must |=
            strange(set, bytes[i]) && !(bytes[i] == '\r' && i + 1 < BYTES && is_one_of(set, bytes[i + 1]));
    }
    cr_assert_eq(n, count);
    cr_assert(odd ? may : !must, "%u to %u", from, to);
}

static void check_all(const char *alphabet, size_t letters, bool level_a) {
    static uint8_t bytes[BYTES + MARKS_SLACK];
    struct marks_set set = {.bytes = "\n'+:*?", .level_a = level_a};
    for (int lap = 0; lap < 300; lap++) {
        for (uint32_t i = 0; i < BYTES; i++)
            bytes[i] = (uint8_t)alphabet[by_chance((uint32_t)letters)];
        uint32_t from = by_chance(BYTES), to = from + by_chance(BYTES - from + 1);
        check(marks_find, &set, bytes, from, to);
        check(marks_find_portable, &set, bytes, from, to);
    }
}

Test(marks, are_those_that_are_there) {
    static const char edi[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789    ''''++++::::??**\n\n";
    static const char lines[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'+:\r\n\r\n\r\r";
    static const char mixed[] = "ABCabcxyz#$@[]_~'+:\xfc\x80\xff\x7f\x01";
    check_all(edi, sizeof edi - 1, false);
    check_all(edi, sizeof edi - 1, true);
    check_all(lines, sizeof lines - 1, false);
    check_all(mixed, sizeof mixed - 1, false);
    check_all(mixed, sizeof mixed - 1, true);
}

Test(marks, every_byte_is_odd_or_not) {
    static uint8_t bytes[BYTES + MARKS_SLACK];
    struct marks_set set = {.bytes = "\n'+:*?"};
    for (unsigned level_a = 0; level_a < 2; level_a++)
        for (unsigned byte = 0; byte < 256; byte++)
            for (uint32_t at = 0; at < 130; at += 43) {
                memset(bytes, 'A', BYTES);
                bytes[at] = (uint8_t)byte;
                set.level_a = level_a;
                check(marks_find, &set, bytes, 0, 130);
                check(marks_find_portable, &set, bytes, 0, 130);
            }
}

Test(marks, looks_at_nothing_beyond_what_it_is_told) {
    struct marks_set set = {.bytes = "\n'+:*?"};
    uint32_t found[64];
    bool odd;
    for (uint32_t n = 0; n < 70; n++) {
        uint8_t bytes[70 + MARKS_SLACK];
        memset(bytes, '\'', sizeof bytes);
        memset(bytes, 'A', n);
        bytes[n] = 0xff;
        cr_assert_eq(marks_find(&set, bytes, 0, n, found, &odd), 0);
        cr_assert_not(odd);
    }
}
