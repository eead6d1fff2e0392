#include "codecs/event/trace.h"

#include <string.h>

#define PARENT_LEAST 55u

/* Lower-case digits, and not all of them zeros unless `zeros`. */
static bool hex(const char *text, size_t length, bool zeros) {
    bool other = zeros;
    for (size_t i = 0; i < length; i++) {
        bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!digit)
            return false;
        other |= text[i] != '0';
    }
    return other;
}

static bool printable(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

bool trace_parent_valid(const char *text, size_t length) {
    if (length < PARENT_LEAST || length > TRACE_PARENT_MAX)
        return false;
    bool first = memcmp(text, "00", 2) == 0;
    if (first ? length != PARENT_LEAST : length > PARENT_LEAST && text[PARENT_LEAST] != '-')
        return false;
    return hex(text, 2, true) && memcmp(text, "ff", 2) != 0 && text[2] == '-' && hex(text + 3, 32, false) &&
           text[35] == '-' && hex(text + 36, 16, false) && text[52] == '-' && hex(text + 53, 2, true) &&
           printable(text, length);
}

bool trace_state_valid(const char *text, size_t length) {
    return length > 0 && length <= TRACE_STATE_MAX && printable(text, length) && text[0] != ' ' &&
           text[length - 1] != ' ';
}
