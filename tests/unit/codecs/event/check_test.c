#include "codecs/event/check.h"

#include "codecs/event/fields.h"
#include "core/base/limits.h"
#include "io/cloudevents/v1/cloudevents.pb-c.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HEAD GOLDEN_SMALL
#define ID   "0a0131"
#define REST "12022f73 1a03312e30 220174"

static bool check_bytes(const uint8_t *bytes, size_t n, struct fault *fault) {
    uint8_t *alone = golden_alone(bytes, n);
    bool good = event_check(alone, n, fault);
    free(alone);
    return good;
}

static bool check(const char *hex, struct fault *fault) {
    uint8_t bytes[1024];
    return check_bytes(bytes, golden_hex(hex, bytes, sizeof bytes), fault);
}

static void expect_good(const char *hex) {
    struct fault fault = {0};
    cr_expect(check(hex, &fault), "%s: %s", hex, fault.text ? fault.text : "");
}

static void expect_bad(const char *hex, const char *field) {
    struct fault fault = {0};
    cr_expect_not(check(hex, &fault), "%s", hex);
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, field), "%s", hex);
}

Test(event_check, takes_golden_events_of_every_data_arm) {
    expect_good(GOLDEN_SMALL);
    expect_good(GOLDEN_HEAD);
    expect_good(GOLDEN_HEAD GOLDEN_BINARY);
    expect_good(GOLDEN_HEAD GOLDEN_TEXT);
    expect_good(GOLDEN_HEAD GOLDEN_PROTO);
    expect_good("220174 1a03312e30 12022f73 0a0131"); /* in any order */
    expect_good(GOLDEN_TEXT GOLDEN_HEAD);
    expect_good("8a00 8100 31" REST); /* longer tag and length than needed */
}

Test(event_check, wants_each_required_attribute_once_and_not_empty) {
    expect_bad(REST, "event.id");
    expect_bad("0a00" REST, "event.id");
    expect_bad(ID ID REST, "event.id");
    expect_bad(ID "1a03312e30 220174", "event.source");
    expect_bad(ID "1200 1a03312e30 220174", "event.source");
    expect_bad(ID "12022f73" REST, "event.source");
    expect_bad(ID "12022f73 220174", "event.spec_version");
    expect_bad(HEAD "1a03312e30", "event.spec_version");
    expect_bad(ID "12022f73 1a03312e30", "event.type");
    expect_bad(ID "12022f73 1a03312e30 2200", "event.type");
    expect_bad(HEAD "220174", "event.type");
}

Test(event_check, takes_specversion_1_0_only) {
    expect_bad(ID "12022f73 1a03302e33 220174", "event.spec_version");
    expect_bad(ID "12022f73 1a03312e31 220174", "event.spec_version");
    expect_bad(ID "12022f73 1a0131 220174", "event.spec_version");
    expect_bad(ID "12022f73 1a04312e3030 220174", "event.spec_version");
    expect_bad(ID "12022f73 1a00 220174", "event.spec_version");
}

Test(event_check, wants_clean_text_in_required_attributes) {
    expect_good("0a03 e282ac" REST);
    expect_bad("0a01 0a" REST, "event.id");
    expect_bad("0a01 7f" REST, "event.id");
    expect_bad("0a02 c285" REST, "event.id");
    expect_bad("0a01 ff" REST, "event.id");
    expect_bad("0a03 efbfbf" REST, "event.id");
    expect_bad("0a01 00" REST, "event.id");
    expect_bad(ID "1202 2f0d 1a03312e30 220174", "event.source");
    expect_bad(ID "12022f73 1a03312e30 2202 c328", "event.type");
}

Test(event_check, knows_the_seven_types_of_attributes) {
    expect_good(HEAD "2a07 0a0161 1202 0800");
    expect_good(HEAD "2a07 0a0161 1202 0801");
    expect_good(HEAD "2a07 0a0161 1202 107f");
    expect_good(HEAD "2a0b 0a0161 1206 10ffffffff07");                    /* 2147483647 */
    expect_good(HEAD "2a10 0a0161 120b 1080808080f8ffffffff01");          /* -2147483648 */
    expect_good(HEAD "2a0b 0a0161 1206 108080808008");                    /* the same in 32 bits */
    expect_bad(HEAD "2a0b 0a0161 1206 108080808010", "event.attributes"); /* 2^32 */
    expect_bad(HEAD "2a10 0a0161 120b 10ffffffff f7ffffffff01", "event.attributes");
    expect_good(HEAD "2a08 0a0161 1203 1a0178");
    expect_good(HEAD "2a07 0a0161 1202 1a00");
    expect_good(HEAD "2a08 0a0161 1203 2201ff");
    expect_good(HEAD "2a08 0a0161 1203 2a0178");
    expect_good(HEAD "2a08 0a0161 1203 320178");
    expect_good(HEAD "2a07 0a0161 1202 3a00");
    expect_bad(HEAD "2a08 0a0161 1203 1a01ff", "event.attributes");
    expect_bad(HEAD "2a08 0a0161 1203 2a01ff", "event.attributes");
    expect_bad(HEAD "2a08 0a0161 1203 3201ff", "event.attributes");
}

Test(event_check, wants_exactly_one_value_of_the_right_wire_type) {
    expect_bad(HEAD "2a05 0a0161 1200", "event.attributes");           /* none */
    expect_bad(HEAD "2a03 0a0161", "event.attributes");                /* no value message */
    expect_bad(HEAD "2a04 1202 0801", "event.attributes");             /* no name */
    expect_bad(HEAD "2a09 0a0161 1204 0801 0801", "event.attributes"); /* twice */
    expect_bad(HEAD "2a09 0a0161 1204 0801 1001", "event.attributes"); /* two arms */
    expect_bad(HEAD "2a0b 0a0161 1202 0801 1202 0801", "event.attributes");
    expect_bad(HEAD "2a0a 0a0161 0a0162 1202 0801", "event.attributes");
    expect_bad(HEAD "2a07 0801 1203 1a0178", "event.attributes");   /* name of type varint */
    expect_bad(HEAD "2a05 0a0161 1001", "event.attributes");        /* value of type varint */
    expect_bad(HEAD "2a08 0a0161 1203 0a0178", "event.attributes"); /* boolean of type bytes */
    expect_bad(HEAD "2a07 0a0161 1202 1801", "event.attributes");   /* string of type varint */
    expect_bad(HEAD "2a07 0a0161 1202 3801", "event.attributes");   /* timestamp of type varint */
    expect_bad(HEAD "2a08 0a0161 1203 420178", "event.attributes"); /* an arm of the future, and no other */
    expect_good(HEAD "2a0a 0a0161 1205 420178 0801");               /* ... and beside a known one */
    expect_good(HEAD "2a09 0a0161 1801 1202 0801");                 /* an unknown field in the entry */
    expect_bad(HEAD "2a08 0a0161 1203 1a0278", "event.attributes"); /* cut off within */
    expect_bad(HEAD "2a02 0a01", "event.attributes");
    expect_bad(HEAD "2a05 0a02616112", "event.attributes"); /* ends with the value's tag */
    expect_bad(HEAD "2a04 0a016112", "event.attributes");
    expect_bad(HEAD "2a03 0a0161", "event.attributes");
    expect_bad(HEAD "2801", "event");
}

Test(event_check, bounds_timestamps_to_what_rfc_3339_can_write) {
    expect_good(HEAD "2a12 0a0161 120d 3a0b 0880 92b8c398feffffff01"); /* 0001-01-01T00:00:00Z */
    expect_bad(HEAD "2a12 0a0161 120d 3a0b 08ff 91b8c398feffffff01", "event.attributes");
    expect_good(HEAD "2a0d 0a0161 1208 3a06 10ff93ebdc03"); /* 999999999 ns */
    expect_bad(HEAD "2a0d 0a0161 1208 3a06 108094ebdc03", "event.attributes");
    expect_bad(HEAD "2a12 0a0161 120d 3a0b 10ffffffffffffffffff01", "event.attributes"); /* -1 ns */
    expect_bad(HEAD "2a0b 0a0161 1206 3a04 0801 0801", "event.attributes");
    expect_bad(HEAD "2a0a 0a0161 1205 3a03 0a0161", "event.attributes"); /* seconds of type bytes */
    expect_bad(HEAD "2a09 0a0161 1204 3a02 0b0c", "event.attributes");   /* a group */
    expect_good(HEAD "2a09 0a0161 1204 3a02 1801");                      /* an unknown field */
}

Test(event_check, knows_the_last_second_of_the_year_9999) {
    uint8_t bytes[128];
    struct fault fault;
    for (int64_t beyond = 0; beyond < 2; ++beyond) {
        Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        Io__Cloudevents__V1__CloudEvent__CloudEventAttributeValue value =
            IO__CLOUDEVENTS__V1__CLOUD_EVENT__CLOUD_EVENT_ATTRIBUTE_VALUE__INIT;
        size_t n = golden_hex(GOLDEN_SMALL, bytes, sizeof bytes);
        time.seconds = INT64_C(253402300799) + beyond;
        value.attr_case = IO__CLOUDEVENTS__V1__CLOUD_EVENT__CLOUD_EVENT_ATTRIBUTE_VALUE__ATTR_CE_TIMESTAMP;
        value.ce_timestamp = &time;
        size_t size = protobuf_c_message_get_packed_size(&value.base);
        n += golden_hex("2a00 0a0161 1200", bytes + n, sizeof bytes - n);
        bytes[n - 1] = (uint8_t)size;
        bytes[n - 6] = (uint8_t)(5 + size);
        n += protobuf_c_message_pack(&value.base, bytes + n);
        cr_expect_eq(check_bytes(bytes, n, &fault), beyond == 0);
    }
}

Test(event_check, wants_names_of_small_letters_and_digits) {
    expect_good(HEAD "2a08 0a027a39 1202 0801");
    expect_good(HEAD "2a0e 0a08 6162636465666768 1202 0801");
    expect_good(HEAD "2a0f 0a09 616263646566676869 1202 0801");
    expect_bad(HEAD "2a06 0a00 1202 0801", "event.attributes");
    expect_bad(HEAD "2a07 0a0141 1202 0801", "event.attributes");
    expect_bad(HEAD "2a07 0a015f 1202 0801", "event.attributes");
    expect_bad(HEAD "2a08 0a02c3a4 1202 0801", "event.attributes");
    for (unsigned at = 0; at < 20; ++at)
        for (unsigned byte = 0; byte < 256; ++byte) {
            uint8_t bytes[64];
            struct fault fault;
            size_t n = golden_hex(HEAD "2a1a 0a14"
                                       "6161616161616161616161616161616161616161"
                                       "1202 0801",
                                  bytes, sizeof bytes);
            bytes[n - 24 + at] = (uint8_t)byte;
            bool good = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
            cr_assert_eq(check_bytes(bytes, n, &fault), good, "%02x at %u", byte, at);
        }
}

Test(event_check, refuses_names_that_stand_for_something_else) {
    expect_bad(HEAD "2a08 0a02 6964 1202 0801", "event.attributes");                   /* id */
    expect_bad(HEAD "2a0a 0a04 64617461 1202 0801", "event.attributes");               /* data */
    expect_bad(HEAD "2a0a 0a04 74797065 1202 0801", "event.attributes");               /* type */
    expect_bad(HEAD "2a0c 0a06 736f75726365 1202 0801", "event.attributes");           /* source */
    expect_bad(HEAD "2a11 0a0b 7370656376657273696f6e 1202 0801", "event.attributes"); /* specversion */
    expect_good(HEAD "2a0a 0a04 64617462 1202 0801");                                  /* datb */
}

/* An event with `count` attributes named by their number in three digits; *n gets its size. */
static uint8_t *event_with_attributes(unsigned count, unsigned repeat_of, size_t *n) {
    uint8_t *bytes = malloc(64 + count * 16);
    *n = golden_hex(HEAD, bytes, 64);
    for (unsigned i = 0; i < count; ++i) {
        unsigned name = i == count - 1 ? repeat_of : i;
        *n += golden_hex("2a09 0a03 303030 1202 0801", bytes + *n, 16);
        bytes[*n - 7] = (uint8_t)('0' + name / 100);
        bytes[*n - 6] = (uint8_t)('0' + name / 10 % 10);
        bytes[*n - 5] = (uint8_t)('0' + name % 10);
    }
    return bytes;
}

Test(event_check, finds_a_repeated_name_among_any_others) {
    struct fault fault;
    size_t n;
    for (unsigned count = 2; count <= EVENT_ATTRIBUTES_MAX; ++count)
        for (unsigned of = 0; of < count; ++of) {
            uint8_t *bytes = event_with_attributes(count, of, &n);
            bool expected = of == count - 1;
            cr_assert_eq(event_check(bytes, n, &fault), expected, "%u of %u", of, count);
            cr_assert(expected || strstr(fault.text, "twice"));
            free(bytes);
        }
}

Test(event_check, takes_64_attributes_and_no_more) {
    struct fault fault;
    size_t n;
    uint8_t *bytes = event_with_attributes(EVENT_ATTRIBUTES_MAX, EVENT_ATTRIBUTES_MAX - 1, &n);
    cr_expect(event_check(bytes, n, &fault));
    free(bytes);
    bytes = event_with_attributes(EVENT_ATTRIBUTES_MAX + 1, EVENT_ATTRIBUTES_MAX, &n);
    cr_expect_not(event_check(bytes, n, &fault));
    cr_expect(golden_fault(&fault, RH_CODE_INVALID, "event.attributes") && strstr(fault.text, "64"));
    free(bytes);
}

Test(event_check, takes_one_data_arm_that_is_well_formed) {
    expect_good(HEAD "3200");
    expect_good(HEAD "3a00");
    expect_good(HEAD "4200");
    expect_bad(HEAD "3200 3200", "event.data");
    expect_bad(HEAD "320131 3a0131", "event.data");
    expect_bad(HEAD "3a00 4200", "event.data");
    expect_good(HEAD "3201ff");
    expect_bad(HEAD "3a01ff", "event.data");
    expect_good(HEAD "3a0400 c3a4 0a"); /* controls are text, as line ends are */
    expect_bad(HEAD "4201ff", "event.data");
    expect_bad(HEAD "4203 0a01ff", "event.data"); /* a type URL that is no text */
    expect_bad(HEAD "4204 0a00 0a00", "event.data");
    expect_bad(HEAD "4204 1200 1200", "event.data");
    expect_bad(HEAD "4202 0801", "event.data");
    expect_bad(HEAD "4202 1001", "event.data");
    expect_good(HEAD "4202 1801");
    expect_bad(HEAD "3001", "event");
}

Test(event_check, passes_over_unknown_fields_that_are_well_formed) {
    expect_good(HEAD "4801");
    expect_good("4a03ffffff" HEAD);
    expect_good(HEAD "c23e 02 ffff");
    expect_good(HEAD "49 0102030405060708");
    expect_good(HEAD "4d 01020304");
    expect_bad(HEAD "4b 4c", "event");
    expect_bad(HEAD "4a 05 0102", "event");
    expect_bad(HEAD "00", "event");
    expect_bad(HEAD "08 01", "event"); /* id with the wrong type */
}

Test(event_check, refuses_every_truncation_of_the_last_field) {
    static const char *const arms[] = {GOLDEN_BINARY, GOLDEN_TEXT, GOLDEN_PROTO};
    uint8_t bytes[512];
    struct fault fault;
    for (size_t arm = 0; arm < 3; ++arm) {
        size_t head = golden_hex(GOLDEN_HEAD, bytes, sizeof bytes);
        size_t n = head + golden_hex(arms[arm], bytes + head, sizeof bytes - head);
        cr_assert(check_bytes(bytes, head, &fault));
        for (size_t cut = head + 1; cut < n; ++cut) {
            cr_assert_not(check_bytes(bytes, cut, &fault), "%zu", cut);
            cr_assert(golden_fault(&fault, RH_CODE_INVALID, "event"));
        }
        for (size_t cut = 1; cut < head; ++cut)
            check_bytes(bytes, cut, &fault);
    }
}

/* Whether the library that does the unpacking elsewhere can read it too. */
static bool library_reads(const uint8_t *bytes, size_t n) {
    Io__Cloudevents__V1__CloudEvent *event = io__cloudevents__v1__cloud_event__unpack(NULL, n, bytes);
    if (event)
        io__cloudevents__v1__cloud_event__free_unpacked(event, NULL);
    return event != NULL;
}

Test(event_check, survives_every_corrupt_byte_and_accepts_only_what_a_library_reads) {
    static const char *const arms[] = {GOLDEN_BINARY, GOLDEN_TEXT, GOLDEN_PROTO};
    uint8_t bytes[512];
    struct fault fault;
    unsigned accepted = 0;
    for (size_t arm = 0; arm < 3; ++arm) {
        size_t n = golden_hex(GOLDEN_HEAD, bytes, sizeof bytes);
        n += golden_hex(arms[arm], bytes + n, sizeof bytes - n);
        for (size_t at = 0; at < n; ++at)
            for (unsigned flip = 1; flip < 256; ++flip) {
                bytes[at] ^= (uint8_t)flip;
                if (check_bytes(bytes, n, &fault)) {
                    cr_assert(library_reads(bytes, n), "%02x at %zu", bytes[at], at);
                    ++accepted;
                }
                bytes[at] ^= (uint8_t)flip;
            }
    }
    cr_assert(accepted > 1000);
}

Test(event_check, has_the_field_numbers_of_the_proto) {
    const ProtobufCMessageDescriptor *event = &io__cloudevents__v1__cloud_event__descriptor;
    static const struct {
        const char *name;
        unsigned number;
    } fields[] = {
        {"id", EVENT_ID},          {"source", EVENT_SOURCE},        {"spec_version", EVENT_SPEC_VERSION},
        {"type", EVENT_TYPE},      {"attributes", EVENT_ATTRIBUTE}, {"binary_data", EVENT_BINARY},
        {"text_data", EVENT_TEXT}, {"proto_data", EVENT_PROTO}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; ++i) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(event, fields[i].name);
        cr_assert(field && field->id == fields[i].number, "%s", fields[i].name);
    }
    const ProtobufCMessageDescriptor *value =
        &io__cloudevents__v1__cloud_event__cloud_event_attribute_value__descriptor;
    cr_assert_str_eq(protobuf_c_message_descriptor_get_field(value, VALUE_BYTES)->name, "ce_bytes");
    cr_assert_str_eq(protobuf_c_message_descriptor_get_field(value, VALUE_URI_REF)->name, "ce_uri_ref");
    cr_assert_str_eq(protobuf_c_message_descriptor_get_field(value, VALUE_TIME)->name, "ce_timestamp");
}
