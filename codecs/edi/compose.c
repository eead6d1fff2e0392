#include "codecs/edi/compose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LEAST 1024u

void compose_deinit(struct compose *compose) {
    free(compose->bytes);
    *compose = (struct compose){0};
}

void compose_clear(struct compose *compose) {
    compose->length = 0;
    compose->failed = false;
}

static bool room_for(struct compose *compose, size_t n) {
    size_t size = compose->size > 0 ? compose->size : SIZE_LEAST;
    if (compose->failed || compose->length + n > COMPOSE_MAX) {
        compose->failed = true;
        return false;
    }
    while (size < compose->length + n)
        size *= 2;
    if (size == compose->size)
        return true;
    char *bytes = realloc(compose->bytes, size);
    if (!bytes) {
        compose->failed = true;
        return false;
    }
    compose->bytes = bytes;
    compose->size = size;
    return true;
}

static void put(struct compose *compose, const char *bytes, size_t n) {
    if (n == 0 || !room_for(compose, n))
        return;
    memcpy(compose->bytes + compose->length, bytes, n);
    compose->length += n;
}

void compose_format(struct compose *compose, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof text)
        compose->failed = true;
    else
        put(compose, text, (size_t)n);
}

void compose_all(struct compose *compose, const struct compose *other) {
    compose->failed |= other->failed;
    put(compose, other->bytes, other->length);
}

/* One character of UTF-8 as one of ISO 8859-1, which UNOC is; a blank for what that does not have. */
static char latin_1(struct value value, uint32_t *i) {
    uint8_t lead = value.bytes[*i];
    char c = ' ';
    if ((lead == 0xc2 || lead == 0xc3) && *i + 1 < value.length)
        c = (char)((lead & 3) << 6 | (value.bytes[*i + 1] & 0x3f));
    while (*i + 1 < value.length && (value.bytes[*i + 1] & 0xc0) == 0x80)
        ++*i;
    return c;
}

void compose_edifact(struct compose *compose, struct value value, bool composite) {
    for (uint32_t i = 0; i < value.length; i++) {
        char c = (char)value.bytes[i];
        if (value.bytes[i] >= 0x80)
            c = latin_1(value, &i);
        else if (c < ' ' || c == 0x7f)
            c = ' ';
        if (c == '+' || c == '\'' || c == '?' || (c == ':' && !composite))
            put(compose, "?", 1);
        put(compose, &c, 1);
    }
}

void compose_x12(struct compose *compose, struct value value) {
    for (uint32_t i = 0; i < value.length; i++) {
        char c = (char)value.bytes[i];
        if (value.bytes[i] >= 0x80)
            (void)latin_1(value, &i);
        if (value.bytes[i] < ' ' || value.bytes[i] >= 0x7f || strchr("*>~^", c))
            c = ' ';
        put(compose, &c, 1);
    }
}
