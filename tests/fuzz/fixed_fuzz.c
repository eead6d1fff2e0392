/* fuzz: layouts_add, fixed_feed, fixed_end */
// check: runs=60000 max_len=2048 timeout=5

/* The text of a layout, NUL, a byte that says how long parts are and whether all is tolerated, and a file: at
 * once and in parts the same calls. */
#include "codecs/table/fixed.h"

#include "tests/fuzz/calls_hash.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_parts(struct fixed *fixed, struct calls_hash *calls, const uint8_t *data, size_t size,
                           size_t part) {
    for (size_t at = 0, length; at < size; at += length) {
        length = part < size - at ? part : size - at;
        uint8_t *alone = malloc(length);
        CHECK(alone);
        memcpy(alone, data + at, length);
        fixed_feed(fixed, alone, length);
        free(alone);
    }
    fixed_end(fixed);
    fixed_free(fixed);
    return calls_over(calls);
}

static void layouts_read(const struct layouts *layouts, const uint8_t *data, size_t size) {
    struct calls_hash whole, parts;
    struct profile profile = {0};
    if (data[0] & 1)
        profile_tolerate_all(&profile);
    struct document_sink one = calls_sink(&whole, size - 1), other = calls_sink(&parts, size - 1);
    struct fixed *first = fixed_new(layouts, &profile, &one), *second = fixed_new(layouts, &profile, &other);
    CHECK((first == NULL) == (second == NULL));
    if (first && second) {
        uint64_t hash = read_parts(first, &whole, data + 1, size - 1, SIZE_MAX);
        CHECK(read_parts(second, &parts, data + 1, size - 1, data[0] / 2 + 1u) == hash);
    } else {
        (void)calls_over(&whole);
        (void)calls_over(&parts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = memchr(data, 0, size);
    size_t text = end ? (size_t)(end - data) : size;
    struct layouts layouts = {0};
    struct layout_error error;
    if (layouts_add(&layouts, (const char *)data, text, &error) == 0 && text + 2 <= size)
        layouts_read(&layouts, data + text + 1, size - text - 1);
    layouts_free(&layouts);
    return 0;
}
