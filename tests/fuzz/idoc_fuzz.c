/* fuzz: idoc_feed, idoc_end */
// check: runs=60000 max_len=4096 timeout=5

/* A file of flat IDocs, at once and in parts: the same calls. The first byte says which profile, the second
 * how long the parts are. */
#include "codecs/idoc/idoc.h"

#include "tests/fuzz/calls_hash.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct layouts layouts;

static uint64_t read_parts(const struct profile *profile, const uint8_t *data, size_t size, size_t part) {
    struct calls_hash calls;
    struct document_sink sink = calls_sink(&calls, size);
    struct idoc *idoc = idoc_new(&layouts, profile, &sink);
    CHECK(idoc);
    for (size_t at = 0, length; at < size; at += length) {
        length = part < size - at ? part : size - at;
        uint8_t *alone = malloc(length);
        CHECK(alone);
        memcpy(alone, data + at, length);
        idoc_feed(idoc, alone, length);
        free(alone);
    }
    idoc_end(idoc);
    idoc_free(idoc);
    return calls_over(&calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct layout_error error;
    struct profile profile = {0};
    if (layouts.count == 0)
        CHECK(idoc_layouts(&layouts, &error) == 0);
    if (size < 2)
        return 0;
    if (data[0] & 1)
        profile_tolerate_all(&profile);
    profile.charset = data[0] & 2 ? "windows-1252" : NULL;
    profile.segments_max = data[0] & 4 ? 3 : 0;
    uint64_t whole = read_parts(&profile, data + 2, size - 2, SIZE_MAX);
    CHECK(read_parts(&profile, data + 2, size - 2, data[1] + 1u) == whole);
    return 0;
}
