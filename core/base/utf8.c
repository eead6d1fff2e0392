#include "core/base/utf8.h"

#include "core/base/topic.h"

static bool follows(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

static size_t next_two(const uint8_t *p, size_t n, uint32_t *code) {
    if (n < 2 || p[0] < 0xc2 || !follows(p[1]))
        return 0;
    *code = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    return 2;
}

static size_t next_three(const uint8_t *p, size_t n, uint32_t *code) {
    if (n < 3 || !follows(p[1]) || !follows(p[2]))
        return 0;
    *code = (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return *code >= 0x800 && !surrogate ? 3 : 0;
}

static size_t next_four(const uint8_t *p, size_t n, uint32_t *code) {
    if (n < 4 || !follows(p[1]) || !follows(p[2]) || !follows(p[3]))
        return 0;
    *code = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
            (p[3] & 0x3f);
    return *code >= 0x10000 && *code <= 0x10ffff ? 4 : 0;
}

size_t utf8_next(const uint8_t *p, size_t n, uint32_t *code) {
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    if (p[0] < 0xe0)
        return next_two(p, n, code);
    if (p[0] < 0xf0)
        return next_three(p, n, code);
    return p[0] < 0xf8 ? next_four(p, n, code) : 0;
}

bool utf8_control_or_nonchar(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0xfdd0 && code <= 0xfdef) ||
           (code & 0xfffe) == 0xfffe;
}

/* The bytes at the front of p that are surely ASCII: a multiple of eight, unless all are. */
static size_t ascii_front(const uint8_t *p, size_t n) {
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        uint64_t all =
            word_load(p + i) | word_load(p + i + 8) | word_load(p + i + 16) | word_load(p + i + 24);
        if (all & WORD_HIGHS)
            break;
    }
    for (; i + 8 <= n; i += 8)
        if (word_load(p + i) & WORD_HIGHS)
            return i;
    return word_load_short(p + i, n - i < 8 ? n - i : 0) & WORD_HIGHS ? i : n;
}

bool utf8_valid(const uint8_t *p, size_t n) {
    uint32_t code;
    for (size_t i = ascii_front(p, n); i < n;) {
        size_t size = utf8_next(p + i, n - i, &code);
        if (size == 0)
            return false;
        i += size;
        if (size == 1)
            i += ascii_front(p + i, n - i);
    }
    return true;
}

bool utf8_clean_slow(const uint8_t *p, size_t n) {
    uint32_t code;
    for (size_t i = 0; i < n;) {
        size_t size = utf8_next(p + i, n - i, &code);
        if (size == 0 || utf8_control_or_nonchar(code))
            return false;
        i += size;
    }
    return true;
}

bool utf8_unseen(uint32_t code) {
    return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}
