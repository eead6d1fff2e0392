#include "core/base/utf8.h"

#include "core/base/topic.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Table 3-7 of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences": bytes of the sequence at p, 0 if
 * there is none. */
static size_t table_3_7(const uint8_t *p, size_t n) {
    static const uint8_t rows[][9] = {
        /* size, then low and high for each byte */
        {1, 0x00, 0x7f},
        {2, 0xc2, 0xdf, 0x80, 0xbf},
        {3, 0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf},
        {3, 0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf},
        {3, 0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf},
        {3, 0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; ++row) {
        size_t size = rows[row][0], i = 0;
        while (i < size && i < n && p[i] >= rows[row][1 + 2 * i] && p[i] <= rows[row][2 + 2 * i])
            ++i;
        if (i == size)
            return size;
    }
    return 0;
}

static bool table_valid(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t size = table_3_7(p + i, n - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

static size_t encode(uint32_t code, uint8_t out[4]) {
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(leads[size] | code);
    return size;
}

Test(utf8, agrees_with_the_standards_table_on_all_short_sequences) {
    uint8_t p[4];
    for (uint32_t bits = 0; bits < 1u << 24; ++bits) {
        p[0] = (uint8_t)(bits >> 16);
        p[1] = (uint8_t)(bits >> 8);
        p[2] = (uint8_t)bits;
        if (p[0] < 0x80 && p[1] < 0x80)
            continue; /* adds nothing over the two bytes behind */
        if (utf8_valid(p, 3) != table_valid(p, 3))
            cr_assert_fail("%02x %02x %02x", p[0], p[1], p[2]);
    }
}

Test(utf8, agrees_with_the_standards_table_on_four_bytes) {
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    uint8_t p[4];
    for (unsigned lead = 0xe0; lead <= 0xff; ++lead)
        for (unsigned second = 0; second <= 0xff; ++second)
            for (size_t i = 0; i < sizeof edges * sizeof edges; ++i) {
                p[0] = (uint8_t)lead;
                p[1] = (uint8_t)second;
                p[2] = edges[i / sizeof edges];
                p[3] = edges[i % sizeof edges];
                for (size_t n = 0; n <= 4; ++n)
                    cr_assert(utf8_valid(p, n) == table_valid(p, n), "%02x %02x %02x %02x", p[0], p[1], p[2],
                              p[3]);
            }
}

Test(utf8, reads_every_character_and_no_surrogate) {
    uint8_t p[4];
    uint32_t back;
    for (uint32_t code = 0; code < 0x110000; ++code) {
        size_t size = encode(code, p);
        bool surrogate = code >= 0xd800 && code < 0xe000;
        cr_assert_eq(utf8_next(p, size, &back), surrogate ? 0 : size, "U+%04X", code);
        cr_assert(surrogate || back == code, "U+%04X", code);
        cr_assert(size == 1 || utf8_next(p, size - 1, &back) == 0, "U+%04X cut", code);
    }
}

Test(utf8, finds_a_bad_byte_wherever_it_stands) {
    uint8_t p[140];
    for (size_t n = 1; n <= sizeof p; ++n)
        for (size_t at = 0; at < n; ++at) {
            memset(p, 'a', n);
            uint8_t *alone = malloc(n);
            memcpy(alone, p, n);
            cr_assert(utf8_valid(alone, n) && utf8_clean(alone, n) && utf8_text(alone, n));
            alone[at] = 0x80;
            cr_assert_not(utf8_valid(alone, n));
            cr_assert_not(utf8_text(alone, n));
            cr_assert_not(utf8_clean(alone, n));
            alone[at] = 0x1f;
            cr_assert(utf8_valid(alone, n));
            cr_assert_not(utf8_clean(alone, n));
            free(alone);
        }
}

Test(utf8, takes_text_of_all_widths_at_every_offset) {
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";
    uint8_t p[128];
    for (size_t before = 0; before < 40; ++before)
        for (size_t behind = 0; behind < 40; ++behind) {
            memset(p, 'x', sizeof p);
            memcpy(p + before, text, sizeof text - 1);
            size_t n = before + sizeof text - 1 + behind;
            cr_assert(utf8_valid(p, n) && utf8_clean(p, n));
            p[before + 2] = 'x'; /* the second byte of the umlaut */
            cr_assert_not(utf8_valid(p, n));
        }
}

Test(utf8, knows_controls_and_noncharacters) {
    uint8_t p[4];
    for (uint32_t code = 0; code < 0x110000; ++code) {
        if (code >= 0xd800 && code < 0xe000)
            continue;
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        bool nonchar = (code >= 0xfdd0 && code <= 0xfdef) || code % 0x10000 >= 0xfffe;
        size_t size = encode(code, p);
        cr_assert(utf8_clean(p, size) == !(control || nonchar), "U+%04X", code);
    }
    cr_assert(utf8_clean(p, 0));
}
