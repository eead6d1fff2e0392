/* fuzz: event_check, event_to_json, event_data */
// check: runs=500000 max_len=1024 timeout=5

/* One serialized CloudEvent. What is accepted is read alike by protobuf-c, becomes JSON, and what that JSON
 * becomes no longer changes. The reverse does not hold: protobuf-c accepts much that is no CloudEvent. */
#include "codecs/event/check.h"

#include "codecs/event/json.h"
#include "core/base/check.h"
#include "io/cloudevents/v1/cloudevents.pb-c.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void library_check(const uint8_t *data, size_t size) {
    Io__Cloudevents__V1__CloudEvent *event = io__cloudevents__v1__cloud_event__unpack(NULL, size, data);
    CHECK(event && *event->id && *event->source && *event->type && strcmp(event->spec_version, "1.0") == 0);
    CHECK(event->n_attributes <= 64);
    for (size_t i = 0; i < event->n_attributes; ++i) {
        CHECK(event->attributes[i]->value && event->attributes[i]->value->attr_case != 0);
        for (size_t k = 0; k < i; ++k)
            CHECK(strcmp(event->attributes[i]->key, event->attributes[k]->key) != 0);
    }
    io__cloudevents__v1__cloud_event__free_unpacked(event, NULL);
}

/* Some events have no way back: a `time` that is a string, JSON text that repeats a member. */
static void json_check(const char *text, size_t length) {
    uint8_t *event;
    char *again;
    size_t event_length, again_length;
    struct fault fault = {0};
    CHECK(!memchr(text, '\n', length));
    json_t *parsed = json_loadb(text, length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    CHECK(json_is_object(parsed));
    json_decref(parsed);
    if (!event_from_json(text, length, &event, &event_length, &fault)) {
        CHECK(fault.text);
        return;
    }
    CHECK(event_to_json(event, event_length, &again, &again_length, &fault));
    free(event);
    CHECK(event_from_json(again, again_length, &event, &event_length, &fault));
    char *third;
    size_t third_length;
    CHECK(event_to_json(event, event_length, &third, &third_length, &fault));
    CHECK(third_length == again_length && memcmp(third, again, third_length) == 0);
    free(event);
    free(again);
    free(third);
}

/* A subscriber asks for the data of whatever a server has sent. */
static void data_check(const uint8_t *data, size_t size) {
    const uint8_t *found;
    size_t length;
    uint32_t kind;
    if (!event_data(data, size, &found, &length, &kind))
        return;
    CHECK(kind >= 6 && kind <= 8);
    CHECK(found >= data && found + length <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault fault = {0};
    char *text;
    size_t length;
    data_check(data, size);
    if (!event_check(data, size, &fault)) {
        CHECK(fault.code == RH_CODE_INVALID && fault.text && strncmp(fault.field, "event", 5) == 0);
        return 0;
    }
    library_check(data, size);
    CHECK(event_to_json(data, size, &text, &length, &fault));
    json_check(text, length);
    free(text);
    return 0;
}
