#include "codecs/table/number.h"

static bool digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* Digits, with thousands marks or without; how many bytes they take. 0 also for groups of another size. */
static size_t whole_read(const uint8_t *text, size_t length, char thousands, uint8_t *out, size_t *written) {
    size_t i = 0, group = 0;
    bool grouped = false;
    for (; i < length; i++) {
        if (digit(text[i])) {
            out[(*written)++] = text[i];
            group++;
        } else if (thousands && text[i] == (uint8_t)thousands && group > 0 &&
                   (grouped ? group == 3 : group <= 3)) {
            grouped = true;
            group = 0;
        } else {
            break;
        }
    }
    return grouped && group != 3 ? 0 : i;
}

size_t number_clean(const uint8_t *text, size_t length, char decimal, char thousands, uint8_t *out) {
    size_t written = 0, digits;
    bool minus = false;
    if (length > 0 && (text[0] == '-' || text[0] == '+')) {
        minus = text[0] == '-';
        text++;
        length--;
    } else if (length > 0 && (text[length - 1] == '-' || text[length - 1] == '+')) {
        minus = text[length - 1] == '-';
        length--;
    }
    if (minus)
        out[written++] = '-';
    size_t sign = written, at = whole_read(text, length, thousands, out, &written);
    digits = written - sign;
    if (at == 0 && digits > 0)
        return 0;
    if (at < length && text[at] == (uint8_t)decimal) {
        out[written++] = text[at++];
        for (; at < length && digit(text[at]); at++, digits++)
            out[written++] = text[at];
    }
    return at == length && digits > 0 ? written : 0;
}

bool number_ruined(const uint8_t *text, size_t length) {
    size_t i = 0;
    while (i < length && digit(text[i]))
        i++;
    if (i == 0)
        return false;
    if (i < length && (text[i] == ',' || text[i] == '.')) {
        for (i++; i < length && digit(text[i]);)
            i++;
    }
    if (i >= length || (text[i] != 'E' && text[i] != 'e'))
        return false;
    i++;
    if (i < length && (text[i] == '+' || text[i] == '-'))
        i++;
    size_t exponent = i;
    while (i < length && digit(text[i]))
        i++;
    return i == length && i > exponent;
}
