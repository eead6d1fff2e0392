/* fuzz: attribute_find, attribute_read, attribute_expiry */
// check: runs=500000 max_len=1024 timeout=5

/* One serialized CloudEvent. In any bytes a search stays within them; in an event that is accepted it finds
 * what protobuf-c finds, and an expirytime is there exactly when the check has said so. */
#include "codecs/event/attributes.h"

#include "codecs/event/check.h"
#include "core/base/check.h"
#include "io/cloudevents/v1/cloudevents.pb-c.h"

#include <string.h>

typedef Io__Cloudevents__V1__CloudEvent library_event;
typedef Io__Cloudevents__V1__CloudEvent__CloudEventAttributeValue library_value;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In bytes of any kind. */
static void search_check(const uint8_t *data, size_t size) {
    static const char *const names[] = {"id",      "source",       "specversion",   "type",           "time",
                                        "subject", "partitionkey", "correlationid", ATTRIBUTE_EXPIRY, "a"};
    struct attribute found;
    uint64_t ns;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (attribute_find(data, size, names[i], &found) && found.data != NULL)
            CHECK(found.data >= data && found.data + found.length <= data + size);
    (void)attribute_expiry(data, size, &ns);
}

static void text_check(const struct attribute *found, const char *text) {
    CHECK(found->length == strlen(text) && memcmp(found->data, text, found->length) == 0);
}

static void value_check(const struct attribute *found, const library_value *value) {
    CHECK(found->kind == (uint32_t)value->attr_case);
    switch (found->kind) {
    case VALUE_BOOLEAN:
        CHECK(found->number == value->ce_boolean);
        break;
    case VALUE_INTEGER:
        CHECK(found->number == value->ce_integer);
        break;
    case VALUE_BYTES:
        CHECK(found->length == value->ce_bytes.len);
        CHECK(found->length == 0 || memcmp(found->data, value->ce_bytes.data, found->length) == 0);
        break;
    case VALUE_TIME:
        CHECK(found->number == value->ce_timestamp->seconds);
        CHECK(found->nanos == (uint32_t)value->ce_timestamp->nanos);
        break;
    default:                                           /* the arms of texts share their place */
        if (strlen(value->ce_string) == found->length) /* a text may have a zero byte in it */
            text_check(found, value->ce_string);
    }
}

static void required_check(const uint8_t *data, size_t size, const char *name, const char *text) {
    struct attribute found;
    CHECK(attribute_find(data, size, name, &found));
    text_check(&found, text);
}

static void library_check(const uint8_t *data, size_t size, bool expiring) {
    library_event *event = io__cloudevents__v1__cloud_event__unpack(NULL, size, data);
    bool expires = false;
    CHECK(event);
    required_check(data, size, "id", event->id);
    required_check(data, size, "source", event->source);
    required_check(data, size, "specversion", event->spec_version);
    required_check(data, size, "type", event->type);
    for (size_t i = 0; i < event->n_attributes; ++i) {
        struct attribute found;
        CHECK(attribute_find(data, size, event->attributes[i]->key, &found));
        value_check(&found, event->attributes[i]->value);
        expires |= strcmp(event->attributes[i]->key, ATTRIBUTE_EXPIRY) == 0;
    }
    uint64_t ns;
    CHECK(expires == expiring && attribute_expiry(data, size, &ns) == expiring);
    io__cloudevents__v1__cloud_event__free_unpacked(event, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fault fault = {0};
    bool expiring;
    search_check(data, size);
    if (event_check_expiring(data, size, &expiring, &fault))
        library_check(data, size, expiring);
    return 0;
}
