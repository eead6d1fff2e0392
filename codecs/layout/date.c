#include "codecs/layout/date.h"

#include <string.h>

bool date_pattern(const char *pattern) {
    size_t length = strlen(pattern), years = 0;
    for (const char *c = pattern; *c; c++)
        years += *c == 'y';
    return length <= DATE_PATTERN_MAX && strspn(pattern, "dmy.-/ ") == length && (years == 2 || years == 4) &&
           strchr(pattern, 'd') && strchr(pattern, 'm');
}

/* A run of one letter: as many digits, or one or two for a single letter. */
static bool run_read(const char **pattern, const uint8_t **text, const uint8_t *end, uint32_t *number) {
    char letter = **pattern;
    uint32_t wanted = 0, got = 0;
    while (**pattern == letter) {
        wanted++;
        *pattern += 1;
    }
    uint32_t most = wanted == 1 ? 2 : wanted;
    for (*number = 0; got < most && *text < end && **text >= '0' && **text <= '9'; got++) {
        *number = *number * 10 + (uint32_t)(**text - '0');
        *text += 1;
    }
    return got >= wanted;
}

static void digits_put(uint8_t *out, uint32_t digits, uint32_t number) {
    for (; digits > 0; digits--) {
        out[digits - 1] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
}

bool date_read(const char *pattern, uint16_t pivot, const uint8_t *text, size_t length, uint8_t out[8]) {
    const uint8_t *end = text + length;
    uint32_t day = 0, month = 0, year = 0;
    bool short_year = strstr(pattern, "yyyy") == NULL;
    while (*pattern) {
        uint32_t *number = *pattern == 'd' ? &day : *pattern == 'm' ? &month : *pattern == 'y' ? &year : NULL;
        if (number == NULL) {
            if (text == end || *text++ != (uint8_t)*pattern++)
                return false;
        } else if (!run_read(&pattern, &text, end, number)) {
            return false;
        }
    }
    if (short_year)
        year += year > pivot ? 1900 : 2000;
    if (text != end || day < 1 || day > 31 || month < 1 || month > 12)
        return false;
    digits_put(out, 4, year);
    digits_put(out + 4, 2, month);
    digits_put(out + 6, 2, day);
    return true;
}
