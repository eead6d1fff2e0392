/* fuzz: event_from_json, event_to_json */
// check: runs=500000 max_len=1024 timeout=5

/* One CloudEvent as JSON. What is accepted passes event_check, comes out on one line, and that line comes
 * back as itself. */
#include "codecs/event/json.h"

#include "codecs/event/check.h"
#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The event, or NULL; its JSON in *text. */
static uint8_t *through(const char *json, size_t n, size_t *event_length, char **text, size_t *length) {
    uint8_t *event;
    struct fault fault = {0};
    if (!event_from_json(json, n, &event, event_length, &fault)) {
        CHECK(fault.code == RH_CODE_INVALID && fault.text);
        return NULL;
    }
    CHECK(event_check(event, *event_length, &fault));
    CHECK(event_to_json(event, *event_length, text, length, &fault));
    CHECK(!memchr(*text, '\n', *length));
    return event;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *first, *second;
    size_t first_length, second_length, event_length, again_length;
    uint8_t *event = through((const char *)data, size, &event_length, &first, &first_length);
    if (!event)
        return 0;
    uint8_t *again = through(first, first_length, &again_length, &second, &second_length);
    CHECK(again && second_length == first_length && memcmp(first, second, first_length) == 0);
    CHECK(again_length <= event_length); /* white space in the data is all that can go */
    free(again);
    free(second);
    free(event);
    free(first);
    return 0;
}
