#include "codecs/table/cobol.h"

#include <stdbool.h>
#include <string.h>

/* Digits of a number, from the first one; what they are worth is decided when they are written. */
struct digits {
    uint8_t digit[64];
    uint32_t count;
    bool minus;
};

static size_t digits_text(const struct digits *digits, uint32_t scale, char decimal, uint8_t *out) {
    uint32_t count = digits->count, first = 0;
    size_t n = 0;
    while (first < count && digits->digit[first] == 0)
        first++;
    if (digits->minus && first < count)
        out[n++] = '-';
    if (count - first <= scale)
        out[n++] = '0';
    for (uint32_t i = first; i + scale < count; i++)
        out[n++] = (uint8_t)('0' + digits->digit[i]);
    if (scale == 0)
        return n;
    out[n++] = (uint8_t)decimal;
    for (uint32_t i = scale; i > 0; i--)
        out[n++] = (uint8_t)('0' + (i <= count ? digits->digit[count - i] : 0));
    return n;
}

/* ---- zoned ---- */

/* A digit with a sign over it; false: it is none. Without a sign it is plus. */
static bool overpunch_ascii(uint8_t byte, uint8_t *digit, bool *minus) {
    *minus = (byte >= 'J' && byte <= 'R') || byte == '}' || (byte >= 'p' && byte <= 'y');
    if (byte >= '0' && byte <= '9')
        *digit = byte - '0';
    else if (byte == '{' || byte == '}')
        *digit = 0;
    else if (byte >= 'A' && byte <= 'I')
        *digit = (uint8_t)(byte - 'A' + 1);
    else if (byte >= 'J' && byte <= 'R')
        *digit = (uint8_t)(byte - 'J' + 1);
    else if (byte >= 'p' && byte <= 'y')
        *digit = byte - 'p';
    else
        return false;
    return true;
}

static bool sign_half(uint8_t half, bool *minus) {
    *minus = half == 0xD || half == 0xB;
    return half >= 0xA;
}

static bool overpunch_ebcdic(uint8_t byte, uint8_t *digit, bool *minus) {
    *digit = byte & 0xF;
    return *digit <= 9 && sign_half(byte >> 4, minus);
}

static bool sign_separate(uint8_t byte, bool ebcdic, bool *minus) {
    *minus = byte == (ebcdic ? 0x60 : '-');
    return *minus || byte == (ebcdic ? 0x4E : '+') || byte == (ebcdic ? 0x40 : ' ');
}

static bool zoned_read(const struct layout_field *field, const uint8_t *bytes, struct digits *digits) {
    bool ebcdic = codepage_ebcdic(field->codepage);
    uint32_t length = field->length, at = 0, last = length;
    uint32_t sign = field->sign_leading ? 0 : length - 1;
    if (field->is_signed && field->sign_separate) {
        if (length < 2 || !sign_separate(bytes[sign], ebcdic, &digits->minus))
            return false;
        at += field->sign_leading;
        last -= !field->sign_leading;
    }
    bool over = field->is_signed && !field->sign_separate;
    for (; at < last; at++) {
        uint8_t digit = ebcdic ? bytes[at] - 0xF0 : bytes[at] - '0';
        if (over && at == sign) {
            bool known = ebcdic ? overpunch_ebcdic(bytes[at], &digit, &digits->minus)
                                : overpunch_ascii(bytes[at], &digit, &digits->minus);
            if (!known)
                return false;
        }
        if (digit > 9)
            return false;
        digits->digit[digits->count++] = digit;
    }
    return true;
}

/* ---- packed and binary ---- */

static bool packed_read(const struct layout_field *field, const uint8_t *bytes, struct digits *digits) {
    for (uint32_t i = 0; i < field->length; i++) {
        uint8_t high = bytes[i] >> 4, low = bytes[i] & 0xF;
        bool last = i + 1 == field->length;
        if (high > 9 || (!last && low > 9) || (last && !sign_half(low, &digits->minus)))
            return false;
        digits->digit[digits->count++] = high;
        if (!last)
            digits->digit[digits->count++] = low;
    }
    return true;
}

static bool binary_read(const struct layout_field *field, const uint8_t *bytes, struct digits *digits) {
    uint64_t number = 0;
    uint32_t length = field->length;
    if (length == 0 || length > sizeof number)
        return false;
    for (uint32_t i = 0; i < length; i++)
        number = number << 8 | bytes[field->little_endian ? length - 1 - i : i];
    uint64_t sign = UINT64_C(1) << (8 * length - 1);
    if (field->is_signed && (number & sign)) {
        digits->minus = true;
        number = (sign - 1 - (number & (sign - 1))) + 1;
    }
    uint8_t backwards[20];
    do
        backwards[digits->count++] = (uint8_t)(number % 10);
    while ((number /= 10) > 0);
    for (uint32_t i = 0; i < digits->count; i++)
        digits->digit[i] = backwards[digits->count - 1 - i];
    return true;
}

size_t cobol_text(const struct layout_field *field, const uint8_t *bytes, char decimal, uint8_t *out) {
    struct digits digits;
    digits.count = 0;
    digits.minus = false;
    bool read = field->type == LAYOUT_PACKED   ? packed_read(field, bytes, &digits)
                : field->type == LAYOUT_BINARY ? binary_read(field, bytes, &digits)
                                               : zoned_read(field, bytes, &digits);
    if (!read || (digits.minus && !field->is_signed))
        return 0;
    return digits_text(&digits, field->scale, decimal, out);
}
