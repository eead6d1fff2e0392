/* fuzz: filter_unpack, filter_from_json, filter_passes, filter_explain */
// check: runs=300000 max_len=1024 timeout=5

/* Two bytes say how long the filter is, little-endian; it is JSON if it begins so, else a serialized
 * roundhouse.v1.Filters. The rest is an event. Whatever is accepted has one form as bytes, comes back from
 * its JSON as itself, and passes the event exactly when its own tree says so. */
#include "core/filter/filter.h"

#include "codecs/event/check.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct filter *a, const struct filter *b) {
    size_t a_length, b_length;
    const uint8_t *a_bytes = filter_packed(a, &a_length), *b_bytes = filter_packed(b, &b_length);
    CHECK(a_length == b_length && memcmp(a_bytes, b_bytes, a_length) == 0);
}

static void again_check(const struct filter *filter) {
    struct filter *again;
    struct fault fault;
    size_t length;
    const uint8_t *packed = filter_packed(filter, &length);
    CHECK(filter_unpack(packed, length, &again, &fault));
    same(filter, again);
    filter_free(again);
    char *json = filter_to_json(filter);
    CHECK(json != NULL && filter_from_json(json, strlen(json), &again, &fault) && again != NULL);
    same(filter, again);
    filter_free(again);
    free(json);
}

static void event_ask(const struct filter *filter, const uint8_t *event, size_t length) {
    struct filter_finding finding;
    bool passes = filter_passes(filter, event, length);
    filter_explain(filter, event, length, &finding);
    CHECK(finding.passes == passes);
    CHECK(strlen(finding.path) < FILTER_PATH_BYTES && strlen(finding.value) < FILTER_SHOWN_BYTES);
    CHECK(finding.attribute != NULL || (finding.wanted == NULL && !finding.has));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct filter *filter = NULL;
    struct fault fault = {0};
    if (size < 2)
        return 0;
    size_t length = data[0] | (size_t)data[1] << 8;
    length = length < size - 2 ? length : size - 2;
    bool json = length > 0 && (data[2] == '[' || data[2] == '{');
    if (json ? !filter_from_json((const char *)data + 2, length, &filter, &fault)
             : !filter_unpack(data + 2, length, &filter, &fault)) {
        CHECK(filter == NULL && fault.code != RH_CODE_NONE && fault.text != NULL);
        return 0;
    }
    if (filter == NULL)
        return 0; /* an empty array */
    again_check(filter);
    event_ask(filter, data + 2 + length, size - 2 - length);
    filter_free(filter);
    return 0;
}
