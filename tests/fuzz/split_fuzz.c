/* fuzz: json_split_feed, json_split_end */
// check: runs=200000 max_len=512 timeout=5

/* A byte that says how long parts are, another for the largest value, and a file: at once and in parts the
 * same values, each of them as it stands there; behind what is wrong nothing. */
#include "core/bridge/json_split.h"

#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    const uint8_t *data;
    size_t size;
    uint64_t hash, end; /* of the last value */
    bool wrong;
};

static void mix(struct seen *seen, uint64_t value) {
    seen->hash = (seen->hash ^ value) * UINT64_C(0x100000001b3);
}

static void on_value(void *context, const char *text, size_t length, uint64_t offset) {
    struct seen *seen = context;
    CHECK(!seen->wrong && length > 0 && offset >= seen->end && offset + length <= seen->size);
    CHECK(memcmp(seen->data + offset, text, length) == 0);
    seen->end = offset + length;
    mix(seen, offset);
    mix(seen, length);
}

static void on_wrong(void *context, const char *sentence, uint64_t offset) {
    struct seen *seen = context;
    CHECK(!seen->wrong && offset <= seen->size);
    seen->wrong = true;
    mix(seen, offset);
    mix(seen, (uint8_t)sentence[0]);
}

static uint64_t split_parts(const uint8_t *data, size_t size, size_t part, size_t value_max) {
    struct seen seen = {.data = data, .size = size, .hash = UINT64_C(0xcbf29ce484222325)};
    struct json_split split = {
        .value_max = value_max, .context = &seen, .value = on_value, .wrong = on_wrong};
    for (size_t at = 0, length; at < size; at += length) {
        length = part < size - at ? part : size - at;
        uint8_t *alone = malloc(length);
        CHECK(alone);
        memcpy(alone, data + at, length);
        CHECK(json_split_feed(&split, alone, length) == 0);
        free(alone);
    }
    CHECK(json_split_end(&split) == 0);
    return seen.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    uint64_t whole = split_parts(data + 2, size - 2, SIZE_MAX, data[1] + 1u);
    CHECK(split_parts(data + 2, size - 2, data[0] / 8 + 1u, data[1] + 1u) == whole);
    return 0;
}
