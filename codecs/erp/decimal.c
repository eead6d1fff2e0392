#include "codecs/erp/decimal.h"

#include <string.h>

static const int64_t powers[DECIMAL_DIGITS_MAX + 1] = {1,
                                                       10,
                                                       100,
                                                       1000,
                                                       10000,
                                                       100000,
                                                       1000000,
                                                       10000000,
                                                       100000000,
                                                       1000000000,
                                                       10000000000,
                                                       100000000000,
                                                       1000000000000,
                                                       10000000000000,
                                                       100000000000000,
                                                       1000000000000000,
                                                       10000000000000000,
                                                       100000000000000000,
                                                       1000000000000000000};

/* Takes sign and blanks off both ends. */
static bool signs_take(const uint8_t **text, size_t *n, struct decimal_style style, bool *negative) {
    const uint8_t *p = *text, *end = p + *n;
    while (p < end && *p == ' ')
        p++;
    while (end > p && end[-1] == ' ')
        end--;
    *negative = p < end && *p == '-';
    if (*negative || (style.plus && p < end && *p == '+'))
        p++;
    else if (style.minus_behind && end > p && end[-1] == '-') {
        *negative = true;
        end--;
    }
    *text = p;
    *n = (size_t)(end - p);
    return p < end;
}

enum decimal_result decimal_read(const uint8_t *text, size_t n, struct decimal_style style,
                                 struct decimal *out) {
    bool negative, marked = false, lead = false, some = false;
    uint32_t digits = 0, scale = 0;
    uint64_t value = 0;
    if (!signs_take(&text, &n, style, &negative))
        return DECIMAL_BAD;
    for (size_t i = 0; i < n; i++) {
        uint8_t digit = (uint8_t)(text[i] - '0');
        if (digit > 9) {
            if (text[i] != (uint8_t)style.mark || marked)
                return DECIMAL_BAD;
            marked = true;
            continue;
        }
        some = true;
        lead |= !marked;
        scale += marked;
        digits += value || digit;
        if (digits <= DECIMAL_DIGITS_MAX)
            value = value * 10 + digit;
    }
    if (!some)
        return DECIMAL_BAD;
    scale += marked ? 0 : style.implied;
    if (digits > DECIMAL_DIGITS_MAX || scale > DECIMAL_DIGITS_MAX)
        return DECIMAL_LONG;
    *out = (struct decimal){negative ? -(int64_t)value : (int64_t)value, scale};
    return lead ? DECIMAL_OK : DECIMAL_BARE;
}

size_t decimal_write(struct decimal decimal, char out[DECIMAL_TEXT_BYTES]) {
    char digits[DECIMAL_TEXT_BYTES];
    uint32_t n = 0;
    uint64_t value = decimal.unscaled < 0 ? -(uint64_t)decimal.unscaled : (uint64_t)decimal.unscaled;
    for (; value || n <= decimal.scale; value /= 10)
        digits[n++] = (char)('0' + value % 10);
    char *p = out;
    if (decimal.unscaled < 0)
        *p++ = '-';
    while (n > decimal.scale)
        *p++ = digits[--n];
    if (n)
        *p++ = '.';
    while (n)
        *p++ = digits[--n];
    *p = 0;
    return (size_t)(p - out);
}

bool decimal_add(struct decimal a, struct decimal b, struct decimal *sum) {
    uint32_t scale = a.scale > b.scale ? a.scale : b.scale;
    __int128 value = (__int128)a.unscaled * powers[scale - a.scale];
    value += (__int128)b.unscaled * powers[scale - b.scale];
    if (value > INT64_MAX || value < INT64_MIN + 1)
        return false;
    *sum = (struct decimal){(int64_t)value, scale};
    return true;
}

struct decimal decimal_negate(struct decimal decimal) {
    return (struct decimal){-decimal.unscaled, decimal.scale};
}

int decimal_compare(struct decimal a, struct decimal b) {
    uint32_t scale = a.scale > b.scale ? a.scale : b.scale;
    __int128 left = (__int128)a.unscaled * powers[scale - a.scale];
    __int128 right = (__int128)b.unscaled * powers[scale - b.scale];
    return left < right ? -1 : left > right;
}
