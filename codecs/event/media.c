#include "codecs/event/media.h"

#include <string.h>
#include <strings.h>

/* The length of "type/subtype" alone: before parameters and the blanks in front of them. */
static size_t essence(const char *type, size_t n) {
    const char *semicolon = memchr(type, ';', n);
    if (semicolon)
        n = (size_t)(semicolon - type);
    while (n > 0 && (type[n - 1] == ' ' || type[n - 1] == '\t'))
        --n;
    return n;
}

static bool ends_with(const char *text, size_t n, const char *suffix) {
    size_t m = strlen(suffix);
    return n > m && strncasecmp(text + n - m, suffix, m) == 0;
}

bool media_json(const char *type, size_t n) {
    if (n == 0)
        return false;
    n = essence(type, n);
    return ends_with(type, n, "/json") || (memchr(type, '/', n) && ends_with(type, n, "+json"));
}

bool media_text(const char *type, size_t n) {
    return n > 5 && strncasecmp(type, "text/", 5) == 0;
}
