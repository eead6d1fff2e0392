/* fuzz: event_from_http, http_mode_of, http_value_decode */
// check: runs=500000 max_len=1024 timeout=5

/* Headers, one a line, an empty line, a body. What is accepted passes event_check; its attributes that are
 * texts come back the same when they are written as headers and read again. */
#include "codecs/event/http.h"

#include "codecs/event/attributes.h"
#include "codecs/event/check.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

#define HEADERS 80u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts the lines in place; gives where the body begins. */
static char *headers_cut(char *p, struct http_header *headers, size_t *count) {
    *count = 0;
    while (*count < HEADERS && *p != 0 && *p != '\n') {
        char *line = p, *end = strchr(p, '\n');
        p = end == NULL ? p + strlen(p) : end + 1;
        if (end != NULL)
            *end = 0;
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        *colon = 0;
        headers[(*count)++] = (struct http_header){line, colon + 1 + (colon[1] == ' ')};
    }
    return *p == '\n' ? p + 1 : p;
}

static void text_check(const uint8_t *event, size_t length, const char *name) {
    struct attribute found;
    struct bytes out = {0};
    uint8_t *decoded;
    size_t n;
    if (!attribute_find(event, length, name, &found) || found.data == NULL)
        return;
    http_value_encode(&out, (const char *)found.data, found.length);
    bytes_add(&out, "", 1);
    CHECK(!out.failed && http_value_decode((const char *)out.data, &decoded, &n) == NULL);
    CHECK(n == found.length && memcmp(decoded, found.data, n) == 0);
    free(decoded);
    bytes_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http_header headers[HEADERS];
    struct fault fault = {0};
    size_t count, length;
    uint8_t *event;
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = 0;
    const char *body = headers_cut(text, headers, &count);
    for (size_t i = 0; i < count; i++) {
        (void)http_mode_of(headers[i].value);
        (void)http_charset_utf8(headers[i].value);
    }
    if (event_from_http(headers, count, (const uint8_t *)body, size - (size_t)(body - text), &event, &length,
                        &fault)) {
        CHECK(event_check(event, length, &fault));
        text_check(event, length, "id");
        text_check(event, length, "subject");
        text_check(event, length, "a");
        free(event);
    } else {
        CHECK(fault.code == RH_CODE_INVALID && fault.text);
    }
    free(text);
    return 0;
}
