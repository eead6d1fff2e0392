#include "codecs/edi/isa.h"

#include <string.h>

#define VERSION_LEAST      200u
#define VERSION_REPETITION 402u /* since then ISA11 is the repetition separator */
#define VERSION_BEYOND     900u

static bool alnum(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool isa_separates(uint8_t c) {
    return c != ' ' && c < 0x80 && !alnum(c);
}

/* The position of the last separator; 0: there are not so many. */
static uint32_t cut(const uint8_t *bytes, uint32_t n, struct isa *isa) {
    static const uint8_t widths[ISA_ELEMENTS + 1] = {3, 2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1};
    uint32_t from = 0;
    for (uint32_t i = 0; i < ISA_ELEMENTS; i++) {
        const uint8_t *next = from < n ? memchr(bytes + from, bytes[3], n - from) : NULL;
        if (!next)
            return 0;
        uint32_t width = (uint32_t)(next - bytes) - from;
        isa->values[i] = (struct value){.bytes = bytes + from, .length = width};
        isa->wrong_widths |= (uint32_t)(width != widths[i]) << i;
        from += width + 1;
    }
    return from - 1;
}

/* ISA16 and the terminator, or the terminator only. */
static void ending(const uint8_t *bytes, uint32_t at, struct isa *isa) {
    uint8_t component = bytes[at], terminator = bytes[at + 1];
    bool line = terminator == '\n' || terminator == '\r';
    isa->component_missing = component == '\n' || component == '\r' || (component == '~' && line);
    isa->separators.terminator = isa->component_missing ? component : terminator;
    isa->separators.component = isa->component_missing ? 0 : component;
    isa->length = at + (isa->component_missing ? 1 : 2);
    isa->values[ISA_ELEMENTS] = (struct value){.bytes = bytes + at, .length = isa->component_missing ? 0 : 1};
}

static unsigned number(struct value value) {
    unsigned sum = 0;
    for (uint32_t i = 0; i < value.length && i < 5; i++)
        sum = value.bytes[i] >= '0' && value.bytes[i] <= '9' ? sum * 10 + (value.bytes[i] - 48u)
                                                             : VERSION_BEYOND;
    return value.length == 5 ? sum : 0;
}

static void judge(struct isa *isa) {
    struct separators *s = &isa->separators;
    unsigned version = number(isa->values[12]);
    uint8_t repetition = isa->values[11].length == 1 ? isa->values[11].bytes[0] : 0;
    isa->version_known = version >= VERSION_LEAST && version < VERSION_BEYOND;
    if (version >= VERSION_REPETITION && isa->version_known && isa_separates(repetition) && repetition != 0 &&
        repetition != s->element && repetition != s->terminator && repetition != s->component)
        s->repetition = repetition;
    if (s->component &&
        (!isa_separates(s->component) || s->component == s->element || s->component == s->terminator)) {
        isa->separators_wrong = true;
        s->component = 0;
    }
}

enum isa_result isa_read(const uint8_t *bytes, uint32_t n, bool last, struct isa *isa) {
    *isa = (struct isa){0};
    if (n < 4)
        return last || memcmp(bytes, "ISA", n) != 0 ? ISA_NONE : ISA_MORE;
    if (memcmp(bytes, "ISA", 3) != 0 || !isa_separates(bytes[3]))
        return ISA_NONE;
    if (n < ISA_MAX && !last)
        return ISA_MORE;
    if (n > ISA_MAX)
        n = ISA_MAX;
    uint32_t at = cut(bytes, n, isa);
    isa->separators.element = bytes[3];
    if (at == 0 || at + 2 >= n)
        return ISA_NONE;
    ending(bytes, at + 1, isa);
    judge(isa);
    return isa_separates(isa->separators.terminator) && isa->separators.terminator != isa->separators.element
               ? ISA_FOUND
               : ISA_NONE;
}
