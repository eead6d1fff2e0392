#include "codecs/document/segment.h"

#include <string.h>

size_t value_text(struct value value, uint8_t release, char *text, size_t size) {
    if (!value.released) {
        size_t n = value.length < size ? value.length : size;
        if (n > 0)
            memcpy(text, value.bytes, n);
        return value.length;
    }
    size_t length = 0;
    for (uint32_t i = 0; i < value.length; i++) {
        if (value.bytes[i] == release && i + 1 < value.length)
            i++;
        if (length < size)
            text[length] = (char)value.bytes[i];
        length++;
    }
    return length;
}

bool value_is(struct value value, const char *text) {
    size_t n = strlen(text);
    return value.length == n && (n == 0 || memcmp(value.bytes, text, n) == 0);
}
