/* utf8.h: text as bytes: is it UTF-8, and is it free of what nobody can print?
 * Owner: core/base (pure functions). Any thread may call.
 * ASCII is checked eight bytes at a time; a word never reaches beyond the bytes given.
 * Nothing blocks.
 * The answers are yes and no; utf8_next gives 0 for bytes that are not UTF-8. See topic.h for utf8_valid. */
#pragma once

#include "core/base/topic.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of bytes put the first byte lowest");

#define WORD_ONES  UINT64_C(0x0101010101010101)
#define WORD_HIGHS UINT64_C(0x8080808080808080)

static inline uint64_t word_load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* 0 to 7 bytes as a word whose other bytes are 0. */
static inline uint64_t word_load_short(const uint8_t *p, size_t n) {
    if (n >= 4) {
        uint32_t first, last;
        memcpy(&first, p, sizeof first);
        memcpy(&last, p + n - 4, sizeof last);
        return first | (uint64_t)last << (8 * (n - 4));
    }
    if (n == 0)
        return 0;
    return p[0] | (uint64_t)p[n >> 1] << (8 * (n >> 1)) | (uint64_t)p[n - 1] << (8 * (n - 1));
}

/* Marks (0x80) among the bytes of a word if any is below `least`, DEL or not ASCII; no marks if all are
 * clean. Which bytes are marked is only certain for the lowest mark: a byte below `least` borrows from those
 * above it. */
static inline uint64_t word_unclean(uint64_t word, uint8_t least) {
    return ((word - WORD_ONES * least) | (word + WORD_ONES) | word) & WORD_HIGHS;
}

/* As utf8_clean, for bytes that are not all clean ASCII. */
bool utf8_clean_slow(const uint8_t *p, size_t n);

/* Whether `n` bytes are valid UTF-8 without controls (U+0000-001F, U+007F-009F) and noncharacters: a String
 * of CloudEvents. */
static inline bool utf8_clean(const uint8_t *p, size_t n) {
    uint64_t marks;
    if (n >= 8) {
        marks = word_unclean(word_load(p + n - 8), ' ');
        for (size_t i = 0; i + 8 < n; i += 8)
            marks |= word_unclean(word_load(p + i), ' ');
    } else {
        uint64_t blanks = WORD_ONES * ' ' << (8 * n);
        marks = word_unclean(word_load_short(p, n) | blanks, ' ');
    }
    return marks == 0 || utf8_clean_slow(p, n);
}

/* As utf8_valid, at once for ASCII that is not long. */
static inline bool utf8_text(const uint8_t *p, size_t n) {
    uint64_t all;
    if (n > 128)
        return utf8_valid(p, n);
    if (n >= 8) {
        all = word_load(p + n - 8);
        for (size_t i = 0; i + 8 < n; i += 8)
            all |= word_load(p + i);
    } else {
        all = word_load_short(p, n);
    }
    return !(all & WORD_HIGHS) || utf8_valid(p, n);
}

/* The character at p (n > 0): its code point and its size in bytes, 0 if the bytes are not valid UTF-8. */
size_t utf8_next(const uint8_t *p, size_t n, uint32_t *code);

/* U+0000-001F, U+007F-009F, U+FDD0-FDEF and the last two of each plane. */
bool utf8_control_or_nonchar(uint32_t code);

/* Characters that nobody sees, but that turn the text around them about, or break its line. */
bool utf8_unseen(uint32_t code);
