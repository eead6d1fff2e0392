#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned nibble(char digit) {
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, digit);
    cr_assert(at && digit, "not a hex digit: %c", digit);
    return (unsigned)(at - digits);
}

size_t golden_hex(const char *hex, uint8_t *out, size_t out_size) {
    size_t n = 0;
    while (*hex) {
        if (*hex == ' ') {
            ++hex;
            continue;
        }
        cr_assert(n < out_size);
        unsigned high = nibble(hex[0]);
        out[n++] = (uint8_t)(high << 4 | nibble(hex[1]));
        hex += 2;
    }
    return n;
}

uint8_t *golden_alone(const uint8_t *data, size_t n) {
    uint8_t *alone = malloc(n ? n : 1);
    cr_assert(alone);
    if (n)
        memcpy(alone, data, n);
    return alone;
}

void golden_path(const char *path, char *full, size_t size) {
    static const char here[] = "tests/unit/codecs/golden.c";
    int root = (int)(strlen(__FILE__) - strlen(here));
    snprintf(full, size, "%.*s%s", root, __FILE__, path);
}

FILE *golden_open(const char *path) {
    char full[1024];
    golden_path(path, full, sizeof full);
    FILE *file = fopen(full, "rb");
    cr_assert(file, "%s", full);
    return file;
}

uint8_t *golden_file(const char *path, size_t *n) {
    FILE *file = golden_open(path);
    size_t room = 1 << 20;
    uint8_t *content = malloc(room);
    *n = fread(content, 1, room, file);
    cr_assert(*n > 0 && *n < room);
    fclose(file);
    return content;
}

bool golden_fault(const struct fault *fault, enum rh_code code, const char *field) {
    bool named = field ? fault->field && strcmp(fault->field, field) == 0 : !fault->field;
    bool good = fault->code == code && named && fault->text && strlen(fault->text) > 10;
    if (!good)
        fprintf(stderr, "fault is %s \"%s\", field %s\n", rh_code_name(fault->code),
                fault->text ? fault->text : "(none)", fault->field ? fault->field : "(none)");
    return good;
}
