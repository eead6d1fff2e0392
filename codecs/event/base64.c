#include "codecs/event/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const uint8_t *data, size_t n, char *out) {
    size_t i = 0;
    for (; i + 3 <= n; i += 3, out += 4) {
        uint32_t bits = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        out[0] = digits[bits >> 18];
        out[1] = digits[bits >> 12 & 63];
        out[2] = digits[bits >> 6 & 63];
        out[3] = digits[bits & 63];
    }
    if (i == n)
        return;
    uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < n ? (uint32_t)data[i + 1] << 8 : 0);
    out[0] = digits[bits >> 18];
    out[1] = digits[bits >> 12 & 63];
    out[2] = i + 1 < n ? digits[bits >> 6 & 63] : '=';
    out[3] = '=';
}

static int digit_value(char digit) {
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if (digit == '+')
        return 62;
    return digit == '/' ? 63 : -1;
}

/* Four characters, of which the last `pad` are '='. */
static bool quad_decode(const char *text, unsigned pad, uint8_t *out) {
    uint32_t bits = 0;
    for (unsigned i = 0; i < 4; ++i) {
        int value = i < 4 - pad ? digit_value(text[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    for (unsigned i = 0; i < 3 - pad; ++i)
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    return (bits & ((UINT32_C(1) << (8 * pad)) - 1)) == 0;
}

bool base64_decode(const char *text, size_t n, uint8_t *out, size_t *length) {
    if (n % 4 != 0)
        return false;
    *length = 0;
    for (size_t i = 0; i < n; i += 4) {
        bool last = i + 4 == n;
        unsigned pad = last && text[i + 3] == '=' ? 1 + (text[i + 2] == '=') : 0;
        if (!quad_decode(text + i, pad, out + *length))
            return false;
        *length += 3 - pad;
    }
    return true;
}
