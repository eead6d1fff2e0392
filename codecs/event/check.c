#include "codecs/event/check.h"

#include "codecs/event/attributes.h"
#include "codecs/event/fields.h"
#include "codecs/event/parts.h"
#include "codecs/event/rfc3339.h"
#include "codecs/proto/field.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/base/utf8.h"

#include <string.h>

#define REQUIRED_MASK (1u << EVENT_ID | 1u << EVENT_SOURCE | 1u << EVENT_SPEC_VERSION | 1u << EVENT_TYPE)

static const struct required {
    const char *field, *missing, *twice, *bad;
} required[] = {
    [EVENT_ID] = {"event.id", "the event has no id", "the event has two ids",
                  "the event's id is not valid UTF-8, or has a control character in it"},
    [EVENT_SOURCE] = {"event.source", "the event has no source", "the event has two sources",
                      "the event's source is not valid UTF-8, or has a control character in it"},
    [EVENT_SPEC_VERSION] = {"event.spec_version", "the event has no spec_version",
                            "the event has two spec_versions", "the event's spec_version is not \"1.0\""},
    [EVENT_TYPE] = {"event.type", "the event has no type", "the event has two types",
                    "the event's type is not valid UTF-8, or has a control character in it"},
};

static const char malformed_event[] = "event is not a serialized io.cloudevents.v1.CloudEvent";
static const char malformed_attributes[] = "the event's attributes are not well-formed protobuf";
static const char malformed_any[] = "the event's proto_data is not a well-formed google.protobuf.Any";
static const char attributes_field[] = "event.attributes";
static const char data_field[] = "event.data";
static const char expiry_field[] = "event.attributes.expirytime";

/* One event in progress. */
struct check {
    struct fault *fault;
    uint32_t seen;   /* a bit for each field number */
    uint32_t names;  /* attributes so far */
    uint64_t shapes; /* a bit for what each name looks like: a new shape is surely a new name */
    bool expiring;   /* it has an expirytime */
    const uint8_t *name[EVENT_ATTRIBUTES_MAX];
    uint32_t name_length[EVENT_ATTRIBUTES_MAX];
};

static __attribute__((noinline, cold)) bool refuse(struct fault *fault, const char *text, const char *field) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .text = text, .field = field};
    return false;
}

static bool refuse_attribute(struct check *check, const char *text) {
    return refuse(check->fault, text, attributes_field);
}

/* ---- attributes ---- */

/* Marks (0x80) at the ASCII bytes of a word that lie in [low, high]. */
static inline uint64_t word_within(uint64_t word, uint8_t low, uint8_t high) {
    uint64_t from_low = word + WORD_ONES * (0x80u - low);
    uint64_t above_high = word + WORD_ONES * (0x7fu - high);
    return from_low & ~above_high & WORD_HIGHS;
}

static inline bool word_of_name(uint64_t word) {
    return !(word & WORD_HIGHS) && (word_within(word, 'a', 'z') | word_within(word, '0', '9')) == WORD_HIGHS;
}

/* Whether a name is [a-z0-9]+. *shape gets six bits that equal names have in common. */
static inline bool name_plain(const uint8_t *name, size_t n, uint64_t *shape) {
    bool plain;
    uint64_t mix;
    if (n < 8) {
        mix = word_load_short(name, n);
        plain = n > 0 && word_of_name(mix | WORD_ONES * '0' << (8 * n));
    } else {
        uint64_t last = word_load(name + n - 8);
        plain = word_of_name(last);
        for (size_t i = 0; i + 8 < n; i += 8)
            plain &= word_of_name(word_load(name + i));
        mix = last ^ word_load(name) << 1;
    }
    *shape = (mix + n) * UINT64_C(0x9e3779b97f4a7c15) >> 58;
    return plain;
}

/* The required attributes have fields of their own, and JSON gives the payload the name "data". */
static inline bool name_reserved(const uint8_t *name, size_t n) {
    switch (n) {
    case 2:
        return memcmp(name, "id", 2) == 0;
    case 4:
        return memcmp(name, "data", 4) == 0 || memcmp(name, "type", 4) == 0;
    case 6:
        return memcmp(name, "source", 6) == 0;
    case 11:
        return memcmp(name, "specversion", 11) == 0;
    default:
        return false;
    }
}

static bool name_seen(const struct check *check, const uint8_t *name, size_t n) {
    for (uint32_t i = 0; i < check->names; ++i)
        if (check->name_length[i] == n && memcmp(check->name[i], name, n) == 0)
            return true;
    return false;
}

static inline bool name_check(struct check *check, const uint8_t *name, size_t n) {
    uint64_t shape;
    if (!name_plain(name, n, &shape))
        return refuse_attribute(check, "an attribute's name is not made of a-z and 0-9");
    if (name_reserved(name, n))
        return refuse_attribute(
            check, "an attribute is named id, source, specversion, type or data: these have fields "
                   "of their own");
    uint64_t bit = UINT64_C(1) << shape;
    if ((check->shapes & bit) && name_seen(check, name, n))
        return refuse_attribute(check, "an attribute occurs twice");
    if (check->names == EVENT_ATTRIBUTES_MAX)
        return refuse_attribute(check, "the event has more than 64 attributes");
    check->shapes |= bit;
    check->name[check->names] = name;
    check->name_length[check->names++] = (uint32_t)n;
    return true;
}
static_assert(EVENT_ATTRIBUTES_MAX == 64, "the text names the limit");

/* What RFC 3339 can write. */
static bool time_valid(const uint8_t *p, const uint8_t *end) {
    uint64_t value[3] = {0};
    if (!part_time_plain(p, end, value) && !part_time_read(p, end, value))
        return false;
    int64_t seconds = (int64_t)value[TIME_SECONDS];
    return seconds >= RFC3339_SECONDS_MIN && seconds <= RFC3339_SECONDS_MAX && value[TIME_NANOS] < NS_PER_S;
}

/* Some encoders write a negative int32 with 32 bits, most with 64. */
static bool int32_valid(uint64_t value) {
    return value <= UINT32_MAX || (int64_t)value == (int32_t)value;
}

/* NULL, or what is wrong with one arm of an attribute value. */
static inline const char *arm_fault(const struct field *arm) {
    uint32_t type = arm->number <= VALUE_INTEGER ? FIELD_VARINT : FIELD_BYTES;
    if (arm->type != type)
        return malformed_attributes;
    switch (arm->number) {
    case VALUE_INTEGER:
        return int32_valid(arm->value) ? NULL : "an integer attribute does not fit into 32 bits";
    case VALUE_STRING:
    case VALUE_URI:
    case VALUE_URI_REF:
        return utf8_text(arm->data, arm->length) ? NULL : "an attribute's text is not valid UTF-8";
    case VALUE_TIME:
        return time_valid(arm->data, arm->data + arm->length)
                   ? NULL
                   : "a timestamp attribute is malformed, or outside the years 1 to 9999";
    default: /* VALUE_BOOLEAN and VALUE_BYTES take any value */
        return NULL;
    }
}

static bool value_check(struct check *check, const uint8_t *p, const uint8_t *end) {
    uint32_t arms = 0;
    while (p < end) {
        struct field field;
        p = field_read(p, end, &field);
        if (!p)
            return refuse_attribute(check, malformed_attributes);
        if (field.number > VALUE_TIME)
            continue;
        const char *text = arm_fault(&field);
        if (text)
            return refuse_attribute(check, text);
        ++arms;
    }
    return arms == 1 ||
           refuse_attribute(check, "an attribute has no value, one of a type unknown here, or two");
}

/* True for one string that is surely right. False says nothing. */
static inline bool value_plain(const uint8_t *p, size_t n) {
    return n >= 2 && p[0] == FIELD_TAG(VALUE_STRING, FIELD_BYTES) && p[1] < 0x80 && p[1] == n - 2 &&
           utf8_text(p + 2, n - 2);
}

static inline bool name_expires(const struct field *name) {
    return name->length == sizeof ATTRIBUTE_EXPIRY - 1 &&
           memcmp(name->data, ATTRIBUTE_EXPIRY, name->length) == 0;
}

/* The value of an expirytime, which is right as a value. The router itself reads it, so it must be a time. */
static bool expiry_check(struct check *check, const struct field *value) {
    struct attribute attribute;
    int64_t seconds;
    uint32_t nanos;
    check->expiring = true;
    return (attribute_read(value->data, value->length, &attribute) &&
            attribute_time(&attribute, &seconds, &nanos)) ||
           refuse(check->fault,
                  "the event's expirytime is neither a timestamp nor a text in RFC 3339 such as "
                  "2026-02-28T09:30:00Z",
                  expiry_field);
}

static inline bool attribute_check(struct check *check, const uint8_t *p, size_t n) {
    struct field name, value;
    if (UNLIKELY(!part_entry_plain(p, n, &name, &value)) && !part_entry_read(p, p + n, &name, &value))
        return refuse_attribute(check, "an attribute is malformed: not one name and one value");
    return name_check(check, name.data, name.length) &&
           (value_plain(value.data, value.length) ||
            value_check(check, value.data, value.data + value.length)) &&
           (LIKELY(!name_expires(&name)) || expiry_check(check, &value));
}

/* ---- data ---- */

/* A google.protobuf.Any; what is packed in it stays unread. */
static bool any_valid(const uint8_t *p, const uint8_t *end) {
    struct field field;
    uint32_t seen = 0;
    while (p < end) {
        p = field_read(p, end, &field);
        if (!p)
            return false;
        if (field.number > 2)
            continue;
        if (field.type != FIELD_BYTES || (seen & 1u << field.number))
            return false;
        if (field.number == 1 && !utf8_valid(field.data, field.length))
            return false;
        seen |= 1u << field.number;
    }
    return true;
}

static inline bool data_check(struct check *check, const struct field *field) {
    if (field->number == EVENT_TEXT && !utf8_text(field->data, field->length))
        return refuse(check->fault, "the event's text_data is not valid UTF-8", data_field);
    if (field->number == EVENT_PROTO && !any_valid(field->data, field->data + field->length))
        return refuse(check->fault, malformed_any, data_field);
    return true;
}

/* ---- the event ---- */

static inline bool required_check(struct check *check, const struct field *field) {
    const struct required *texts = &required[field->number];
    if (check->seen & 1u << field->number)
        return refuse(check->fault, texts->twice, texts->field);
    if (field->length == 0)
        return refuse(check->fault, texts->missing, texts->field);
    bool good = field->number == EVENT_SPEC_VERSION ? field->length == 3 && memcmp(field->data, "1.0", 3) == 0
                                                    : utf8_clean(field->data, field->length);
    return good || refuse(check->fault, texts->bad, texts->field);
}

static inline bool field_check(struct check *check, const struct field *field) {
    if (field->number > EVENT_PROTO)
        return true;
    if (field->type != FIELD_BYTES)
        return refuse(check->fault, malformed_event, "event");
    if (field->number == EVENT_ATTRIBUTE)
        return attribute_check(check, field->data, field->length);
    if (field->number < EVENT_ATTRIBUTE && !required_check(check, field))
        return false;
    if (field->number > EVENT_ATTRIBUTE && (check->seen >> EVENT_BINARY) != 0)
        return refuse(check->fault, "the event has data twice", data_field);
    check->seen |= 1u << field->number;
    return field->number < EVENT_BINARY || data_check(check, field);
}

static bool refuse_missing(struct check *check) {
    for (uint32_t number = EVENT_ID; number <= EVENT_TYPE; ++number)
        if (!(check->seen & 1u << number))
            return refuse(check->fault, required[number].missing, required[number].field);
    return true;
}

/* A text that is surely right as a required attribute: gives the place behind it. NULL says nothing. */
static inline const uint8_t *required_text(const uint8_t *p, const uint8_t *end, uint32_t number) {
    if (end - p < 3 || p[0] != FIELD_TAG(number, FIELD_BYTES) || p[1] == 0 || p[1] >= 0x80 ||
        p[1] > end - p - 2)
        return NULL;
    return utf8_clean(p + 2, p[1]) ? p + 2 + p[1] : NULL;
}

/* The required attributes in the form that libraries write: first and in order. NULL says nothing. */
static inline const uint8_t *required_plain(const uint8_t *p, const uint8_t *end) {
    static const uint8_t version[] = {FIELD_TAG(EVENT_SPEC_VERSION, FIELD_BYTES), 3, '1', '.', '0'};
    p = required_text(p, end, EVENT_ID);
    if (p)
        p = required_text(p, end, EVENT_SOURCE);
    if (!p || end - p < (ptrdiff_t)sizeof version || memcmp(p, version, sizeof version) != 0)
        return NULL;
    return required_text(p + sizeof version, end, EVENT_TYPE);
}

bool event_check_expiring(const uint8_t *event, size_t length, bool *expiring, struct fault *fault) {
    struct check check; /* the arrays are filled as far as they are read */
    const uint8_t *end = event + length;
    const uint8_t *behind = required_plain(event, end);
    check.fault = fault;
    check.seen = behind ? REQUIRED_MASK : 0;
    check.names = 0;
    check.shapes = 0;
    check.expiring = false;
    for (const uint8_t *p = behind ? behind : event; p < end;) {
        struct field field;
        p = field_read(p, end, &field);
        if (!p)
            return refuse(fault, malformed_event, "event");
        if (!field_check(&check, &field))
            return false;
    }
    *expiring = check.expiring;
    return (check.seen & REQUIRED_MASK) == REQUIRED_MASK || refuse_missing(&check);
}
