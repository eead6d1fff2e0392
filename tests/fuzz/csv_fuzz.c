/* fuzz: dialect_read, csv_feed, csv_end */
// check: runs=60000 max_len=2048 timeout=5

/* The text of a dialect, NUL, a byte that says how long parts are and whether all is tolerated, and a table:
 * at once and in parts the same calls. */
#include "codecs/table/csv.h"

#include "tests/fuzz/calls_hash.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_parts(const struct dialect *dialect, const struct profile *profile, const uint8_t *data,
                           size_t size, size_t part) {
    struct calls_hash calls;
    struct document_sink sink = calls_sink(&calls, size);
    struct csv *csv = csv_new(dialect, profile, &sink);
    CHECK(csv);
    for (size_t at = 0, length; at < size; at += length) {
        length = part < size - at ? part : size - at;
        uint8_t *alone = malloc(length);
        CHECK(alone);
        memcpy(alone, data + at, length);
        csv_feed(csv, alone, length);
        free(alone);
    }
    csv_end(csv);
    csv_free(csv);
    return calls_over(&calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = memchr(data, 0, size);
    size_t text = end ? (size_t)(end - data) : size;
    struct dialect dialect;
    struct layout_error error;
    struct profile profile = {.segment_max = 256};
    if (dialect_read(&dialect, (const char *)data, text, &error) == 0 && text + 2 <= size) {
        if (data[text + 1] & 1)
            profile_tolerate_all(&profile);
        const uint8_t *table = data + text + 2;
        size_t length = size - text - 2;
        uint64_t whole = read_parts(&dialect, &profile, table, length, SIZE_MAX);
        CHECK(read_parts(&dialect, &profile, table, length, data[text + 1] / 2 + 1u) == whole);
    }
    dialect_free(&dialect);
    return 0;
}
