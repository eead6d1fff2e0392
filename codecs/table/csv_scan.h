/* csv_scan.h: where the marks of a table are in 64 bytes: delimiters, line ends, quotes, and which of them
 * stand inside of quotes, as a bit for each byte (Langdale, Lemire 2019). Owner: csv.c, which inlines it.
 * Thread: any.
 * Nothing blocks, nothing allocates.
 * It can not fail. */
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define CSV_BLOCK 64u

struct csv_masks {
    uint64_t delimiters, newlines, quotes, returns, highs;
};

#if defined(__SSE2__)
static inline uint64_t csv_equal(const __m128i *block, char byte) {
    __m128i all = _mm_set1_epi8(byte);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++)
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(block[i], all)) << 16 * i;
    return mask;
}

static inline void csv_look(const uint8_t *bytes, char delimiter, char newline, char quote,
                            struct csv_masks *masks) {
    __m128i block[4];
    uint64_t highs = 0;
    for (int i = 0; i < 4; i++) {
        block[i] = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i));
        highs |= (uint64_t)(uint32_t)_mm_movemask_epi8(block[i]) << 16 * i;
    }
    *masks = (struct csv_masks){.delimiters = csv_equal(block, delimiter),
                                .newlines = csv_equal(block, newline),
                                .quotes = quote ? csv_equal(block, quote) : 0,
                                .returns = csv_equal(block, '\r'),
                                .highs = highs};
}
#else
static inline void csv_look(const uint8_t *bytes, char delimiter, char newline, char quote,
                            struct csv_masks *masks) {
    *masks = (struct csv_masks){0};
    for (int i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        masks->delimiters |= bytes[i] == (uint8_t)delimiter ? bit : 0;
        masks->newlines |= bytes[i] == (uint8_t)newline ? bit : 0;
        masks->quotes |= quote && bytes[i] == (uint8_t)quote ? bit : 0;
        masks->returns |= bytes[i] == '\r' ? bit : 0;
        masks->highs |= bytes[i] >= 0x80 ? bit : 0;
    }
}
#endif

/* Up to 64 bytes; what is behind them is no mark. */
static inline void csv_look_some(const uint8_t *bytes, uint32_t length, char delimiter, char newline,
                                 char quote, struct csv_masks *masks) {
    if (length == CSV_BLOCK) {
        csv_look(bytes, delimiter, newline, quote, masks);
        return;
    }
    uint8_t padded[CSV_BLOCK] = {0};
    memcpy(padded, bytes, length);
    csv_look(padded, delimiter, newline, quote, masks);
    uint64_t valid = (UINT64_C(1) << length) - 1; /* a mark may be NUL */
    masks->delimiters &= valid;
    masks->newlines &= valid;
    masks->quotes &= valid;
}

/* Bit i: whether the number of bits set up to i is odd. */
static inline uint64_t csv_parity(uint64_t bits) {
    for (int shift = 1; shift < 64; shift *= 2)
        bits ^= bits << shift;
    return bits;
}
