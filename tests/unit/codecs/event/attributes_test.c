#include "codecs/event/attributes.h"

#include "codecs/event/check.h"
#include "codecs/event/json.h"
#include "core/base/limits.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Made by `protoc --encode=io.cloudevents.v1.CloudEvent`: a request, with its expirytime as a timestamp and
 * as a text with an offset; both are 1772271000.25. */
#define REQUEST_HEAD                                                                                         \
    "0a04522d3137 12042f63726d 1a03312e30 220174 2a160a0d636f7272656c6174696f6e696412051a03632d39"
#define EXPIRES_STAMP "2a1b0a0a65787069727974696d65120d3a0b0898eb8acd061080e59a77"
#define EXPIRES_TEXT                                                                                         \
    "2a2c0a0a65787069727974696d65121e1a1c323032362d30322d32385431303a33303a30302e32352b30313a3030"
#define REQUEST_TAIL                                                                                         \
    "2a160a0c706172746974696f6e6b657912061a0434373131 2a340a077265706c79746f12291a27"                        \
    "40696e626f782e3030313132323333343435353636373738383939616162626363646465656666"

struct bytes {
    uint8_t data[1024];
    size_t n;
};

static struct bytes event_of(const char *hex) {
    struct bytes bytes;
    bytes.n = golden_hex(hex, bytes.data, sizeof bytes.data);
    return bytes;
}

static void expect_text(const uint8_t *event, size_t n, const char *name, uint32_t kind, const char *text) {
    struct attribute found;
    cr_assert(attribute_find(event, n, name, &found), "%s", name);
    cr_expect(found.kind == kind, "%s is of kind %u", name, found.kind);
    cr_expect(found.length == strlen(text) && memcmp(found.data, text, found.length) == 0, "%s is %.*s", name,
              (int)found.length, (const char *)found.data);
}

static void expect_number(const struct bytes *event, const char *name, uint32_t kind, int64_t number) {
    struct attribute found;
    cr_assert(attribute_find(event->data, event->n, name, &found), "%s", name);
    cr_expect(found.kind == kind && found.number == number && found.data == NULL, "%s", name);
}

Test(attributes, finds_what_the_golden_event_has_with_its_type) {
    struct bytes event = event_of(GOLDEN_HEAD GOLDEN_TEXT);
    struct attribute found;
    expect_text(event.data, event.n, "id", VALUE_STRING, "A-1");
    expect_text(event.data, event.n, "source", VALUE_URI_REF, "/erp/plant-7");
    expect_text(event.data, event.n, "specversion", VALUE_STRING, "1.0");
    expect_text(event.data, event.n, "type", VALUE_STRING, "com.example.despatchadvice.created");
    expect_text(event.data, event.n, "subject", VALUE_STRING, "L\xc3\xa4ger");
    expect_text(event.data, event.n, "dataschema", VALUE_URI, "https://example.com/s");
    expect_text(event.data, event.n, "ref", VALUE_URI_REF, "../x");
    expect_number(&event, "count", VALUE_INTEGER, -7);
    expect_number(&event, "flag", VALUE_BOOLEAN, 1);
    expect_number(&event, "time", VALUE_TIME, 1772271000);
    cr_assert(attribute_find(event.data, event.n, "time", &found) && found.nanos == 250000000);
    cr_assert(attribute_find(event.data, event.n, "digest", &found));
    cr_expect(found.kind == VALUE_BYTES && found.length == 2 && memcmp(found.data, "\x00\xff", 2) == 0);
}

Test(attributes, does_not_find_what_is_not_there) {
    struct bytes event = event_of(GOLDEN_HEAD GOLDEN_TEXT);
    struct attribute found;
    uint64_t ns;
    static const char *const names[] = {"expirytime", "partitionkey", "sub", "subjects",
                                        "",           "data",         "ID",  "tim"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_not(attribute_find(event.data, event.n, names[i], &found), "%s", names[i]);
    cr_expect_not(attribute_expiry(event.data, event.n, &ns));
    cr_expect_not(attribute_find(event.data, 0, "id", &found));
}

Test(attributes, finds_what_a_request_carries) {
    struct bytes event = event_of(REQUEST_HEAD EXPIRES_STAMP REQUEST_TAIL);
    expect_text(event.data, event.n, "correlationid", VALUE_STRING, "c-9");
    expect_text(event.data, event.n, "partitionkey", VALUE_STRING, "4711");
    expect_text(event.data, event.n, "replyto", VALUE_STRING, "@inbox.00112233445566778899aabbccddeeff");
    expect_number(&event, "expirytime", VALUE_TIME, 1772271000);
    cr_expect_not(attribute_find(event.data, event.n, "subject", &(struct attribute){0}));
}

Test(attributes, reads_entries_in_any_form) {
    struct bytes event = event_of(GOLDEN_SMALL "2a08 1203 1a0178 0a0161"           /* the value first */
                                               "2a0c 0a0162 1801 1205 420178 0801" /* unknown fields */
                                               "2a0b 0a0163 1206 108080808008");   /* -2^31 in 32 bits */
    expect_text(event.data, event.n, "a", VALUE_STRING, "x");
    expect_number(&event, "b", VALUE_BOOLEAN, 1);
    expect_number(&event, "c", VALUE_INTEGER, INT32_MIN);
}

static uint64_t expiry_of(const char *hex) {
    struct bytes event = event_of(hex);
    struct fault fault = {0};
    bool expiring = false;
    uint64_t ns = 1;
    cr_assert(event_check_expiring(event.data, event.n, &expiring, &fault), "%s",
              fault.text ? fault.text : "");
    cr_expect(expiring);
    cr_assert(attribute_expiry(event.data, event.n, &ns));
    return ns;
}

Test(attributes, an_expirytime_is_a_timestamp_or_a_text) {
    const uint64_t ns = UINT64_C(1772271000) * NS_PER_S + 250 * NS_PER_MS;
    cr_expect(expiry_of(REQUEST_HEAD EXPIRES_STAMP REQUEST_TAIL) == ns);
    cr_expect(expiry_of(REQUEST_HEAD EXPIRES_TEXT REQUEST_TAIL) == ns);
    cr_expect(expiry_of(EXPIRES_TEXT GOLDEN_SMALL) == ns);
}

#define EXPIRY(length, value_length, value)                                                                  \
    GOLDEN_SMALL "2a" length "0a0a65787069727974696d65 12" value_length value

Test(attributes, an_expirytime_outside_64_bits_of_nanoseconds_is_the_nearest) {
    cr_expect(expiry_of(EXPIRY("10", "02", "3a00")) == 0);                        /* 1970 */
    cr_expect(expiry_of(EXPIRY("1b", "0d", "3a0b 08ffffffffffffffffff01")) == 0); /* 1 s before */
    cr_expect(expiry_of(EXPIRY("16", "08", "3a06 0888f48bdc44")) == UINT64_C(18446744072) * NS_PER_S);
    cr_expect(expiry_of(EXPIRY("16", "08", "3a06 0889f48bdc44")) == UINT64_MAX);
    cr_expect(expiry_of(EXPIRY("16", "08", "3a06 0898eb8acd06")) == UINT64_C(1772271000) * NS_PER_S);
}

Test(attributes, refuses_an_expirytime_that_is_no_time_and_names_it) {
    static const char *const bad[] = {
        EXPIRY("11", "03", "1a0178"),                /* "x" */
        EXPIRY("10", "02", "1a00"),                  /* "" */
        EXPIRY("18", "0a", "1a08 3230323630323238"), /* "20260228" */
        EXPIRY("10", "02", "107f"),                  /* an integer */
        EXPIRY("10", "02", "0801"),                  /* a boolean */
        EXPIRY("11", "03", "2201ff"),                /* bytes */
        EXPIRY("11", "03", "2a0178"),                /* a URI */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bytes event = event_of(bad[i]);
        struct fault fault = {0};
        bool expiring;
        cr_expect_not(event_check_expiring(event.data, event.n, &expiring, &fault), "%s", bad[i]);
        cr_expect(golden_fault(&fault, RH_CODE_INVALID, "event.attributes.expirytime"), "%s", bad[i]);
    }
}

Test(attributes, an_event_without_expirytime_does_not_expire) {
    struct bytes event = event_of(GOLDEN_HEAD GOLDEN_TEXT);
    struct fault fault = {0};
    bool expiring = true;
    cr_assert(event_check_expiring(event.data, event.n, &expiring, &fault));
    cr_expect_not(expiring);
}

/* Every cut, each alone in memory. An attribute is found when all of it is there, and as itself. */
Test(attributes, survives_truncation_at_every_length) {
    struct bytes event = event_of(REQUEST_HEAD EXPIRES_STAMP REQUEST_TAIL);
    static const char *const names[] = {"id",         "source",       "type",   "correlationid",
                                        "expirytime", "partitionkey", "replyto"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct attribute whole, found;
        size_t least = event.n;
        cr_assert(attribute_find(event.data, event.n, names[i], &whole));
        for (size_t n = event.n; n-- > 0;) {
            uint8_t *alone = golden_alone(event.data, n);
            if (attribute_find(alone, n, names[i], &found)) {
                cr_expect(least == n + 1, "%s is found in %zu bytes, and not in %zu", names[i], n, least);
                cr_expect(found.kind == whole.kind && found.number == whole.number &&
                          found.length == whole.length);
                least = n;
            }
            free(alone);
        }
        cr_expect(least > 5 && attribute_find(event.data, least, names[i], &found), "%s", names[i]);
    }
}

Test(attributes, finds_the_attributes_of_a_real_system) {
    size_t n, length;
    uint8_t *event;
    struct fault fault = {0};
    struct attribute found;
    uint8_t *json = golden_file("tests/data/json-events/sapevents__s4-businesspartner-changed.json", &n);
    cr_assert(event_from_json((const char *)json, n, &event, &length, &fault));
    expect_text(event, length, "id", VALUE_STRING, "194780e0-b5db-1ede-b58a-4550178dff9e");
    expect_text(event, length, "source", VALUE_URI_REF, "/default/sap.s4.beh/244572008");
    expect_text(event, length, "type", VALUE_STRING,
                "sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1");
    expect_text(event, length, "datacontenttype", VALUE_STRING, "application/json");
    cr_assert(attribute_find(event, length, "time", &found));
    cr_expect(found.kind == VALUE_TIME && found.number == 1708915986);
    free(event);
    free(json);
}

Test(attributes, copies_the_beginning_of_a_text_in_whole_characters) {
    struct bytes event = event_of(GOLDEN_HEAD GOLDEN_TEXT);
    uint8_t out[16] = "................";
    cr_expect_eq(attribute_copy(event.data, event.n, "subject", out, sizeof out), 6);
    cr_expect(memcmp(out, "L\xc3\xa4ger.", 7) == 0);
    for (size_t room = 0; room <= 6; room++) {
        size_t taken = attribute_copy(event.data, event.n, "subject", out, room);
        cr_expect_eq(taken, room == 2 ? 1 : room, "%zu bytes of room: %zu", room, taken);
    }
    cr_expect_eq(attribute_copy(event.data, event.n, "count", out, sizeof out), 0, "a number");
    cr_expect_eq(attribute_copy(event.data, event.n, "nothing", out, sizeof out), 0);
}
