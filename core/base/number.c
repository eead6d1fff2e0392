#include "core/base/number.h"

#include <string.h>

size_t number_read(const char *text, size_t length, uint64_t *number) {
    uint64_t n = 0;
    size_t i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
            return 0;
    if (i > 0)
        *number = n;
    return i;
}

bool numbers_read(const char *text, uint64_t *first, uint64_t *second) {
    uint64_t a, b;
    size_t length = strlen(text);
    size_t used = number_read(text, length, &a);
    if (used == 0 || text[used] != ' ' || number_read(text + used + 1, length - used - 1, &b) == 0)
        return false;
    *first = a;
    *second = b;
    return true;
}
