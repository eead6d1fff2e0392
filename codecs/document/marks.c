#include "codecs/document/marks.h"

#define BLOCK 64u

#ifdef __SSE2__
#include <emmintrin.h>

struct block {
    uint64_t marks;
    uint64_t odd;
};

struct needles {
    __m128i marks[MARKS_EACH];
    __m128i control, cr, beyond, hash, dollar, at;
    bool level_a;
};

static inline __m128i all(uint8_t byte) {
    return _mm_set1_epi8((char)byte);
}

static inline struct needles needles_of(const struct marks_set *set) {
    struct needles needles = {.control = all(0x1f),
                              .cr = all('\r'),
                              .beyond = all(set->level_a ? 'Z' + 1 : 0x7f),
                              .hash = all('#'),
                              .dollar = all('$'),
                              .at = all('@'),
                              .level_a = set->level_a};
    for (unsigned i = 0; i < MARKS_EACH; i++)
        needles.marks[i] = all(set->bytes[i]);
    return needles;
}

static inline __m128i marks_of(const struct needles *needles, __m128i x) {
    __m128i found = _mm_cmpeq_epi8(x, needles->marks[0]);
    for (unsigned i = 1; i < MARKS_EACH; i++)
        found = _mm_or_si128(found, _mm_cmpeq_epi8(x, needles->marks[i]));
    return found;
}

/* Unsigned comparison by the lesser and the greater of both. */
static inline __m128i odd_of(const struct needles *needles, __m128i x, __m128i marks) {
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, needles->control), x);
    __m128i high = _mm_cmpeq_epi8(_mm_max_epu8(x, needles->beyond), x);
    __m128i odd = _mm_or_si128(control, high);
    if (needles->level_a) {
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, needles->hash));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, needles->dollar));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, needles->at));
    }
    return _mm_andnot_si128(marks, odd);
}

static inline struct block block_of(const struct needles *needles, const uint8_t *bytes) {
    struct block block = {0};
    uint64_t crs = 0;
    for (unsigned i = 0; i < BLOCK / 16; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i));
        __m128i marks = marks_of(needles, x);
        __m128i odd = odd_of(needles, x, marks);
        __m128i cr = _mm_cmpeq_epi8(x, needles->cr);
        block.marks |= (uint64_t)(uint32_t)_mm_movemask_epi8(marks) << 16 * i;
        block.odd |= (uint64_t)(uint32_t)_mm_movemask_epi8(odd) << 16 * i;
        crs |= (uint64_t)(uint32_t)_mm_movemask_epi8(cr) << 16 * i;
    }
    uint64_t next = block.marks >> 1 | (uint64_t)(bytes[BLOCK] == '\n') << 63;
    block.odd &= ~(crs & next); /* CR before LF is no news */
    return block;
}

static inline uint32_t *bits_write(uint64_t bits, uint32_t at, uint32_t *out) {
    for (; bits != 0; bits &= bits - 1)
        *out++ = at + (uint32_t)__builtin_ctzll(bits);
    return out;
}

uint32_t marks_find(const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to,
                    uint32_t *positions, bool *odd) {
    struct needles needles = needles_of(set);
    uint32_t *out = positions;
    uint64_t odds = 0;
    uint32_t at = from;
    for (; to - at >= BLOCK; at += BLOCK) {
        struct block block = block_of(&needles, bytes + at);
        odds |= block.odd;
        out = bits_write(block.marks, at, out);
    }
    if (at < to) {
        uint64_t inside = (UINT64_C(1) << (to - at)) - 1;
        struct block block = block_of(&needles, bytes + at);
        odds |= block.odd & inside;
        out = bits_write(block.marks & inside, at, out);
    }
    *odd = odds != 0;
    return (uint32_t)(out - positions);
}

#else

static bool is_mark(const struct marks_set *set, uint8_t byte) {
    bool found = false;
    for (unsigned i = 0; i < MARKS_EACH; i++)
        found |= byte == set->bytes[i];
    return found;
}

static bool is_odd(const struct marks_set *set, uint8_t byte) {
    if (byte < ' ')
        return true;
    if (set->level_a)
        return byte > 'Z' || byte == '#' || byte == '$' || byte == '@';
    return byte >= 0x7f;
}

uint32_t marks_find(const struct marks_set *set, const uint8_t *bytes, uint32_t from, uint32_t to,
                    uint32_t *positions, bool *odd) {
    uint32_t count = 0;
    *odd = false;
    for (uint32_t i = from; i < to; i++) {
        if (is_mark(set, bytes[i]))
            positions[count++] = i;
        else
            *odd |= is_odd(set, bytes[i]);
    }
    return count;
}

#endif
