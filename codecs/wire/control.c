#include "codecs/wire/control.h"

#include "codecs/proto/field.h"
#include "core/base/limits.h"
#include "core/base/topic.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

static_assert((int)RH_CODE_NONE == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNSPECIFIED, "wire codes");
static_assert((int)RH_CODE_PROTOCOL == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_PROTOCOL, "wire codes");
static_assert((int)RH_CODE_INVALID == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_INVALID, "wire codes");
static_assert((int)RH_CODE_TOO_LARGE == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_TOO_LARGE, "wire codes");
static_assert((int)RH_CODE_EXHAUSTED == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_EXHAUSTED, "wire codes");
static_assert((int)RH_CODE_UNAVAILABLE == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE,
              "wire codes");
static_assert((int)RH_CODE_TIMEOUT == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_TIMEOUT, "wire codes");
static_assert((int)RH_CODE_SLOW_CONSUMER == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_SLOW_CONSUMER,
              "wire codes");
static_assert((int)RH_CODE_UNSUPPORTED == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNSUPPORTED,
              "wire codes");
static_assert((int)RH_CODE_INTERNAL == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_INTERNAL, "wire codes");
static_assert((int)RH_CODE_NOT_ALLOWED == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_NOT_ALLOWED,
              "wire codes");
static_assert((int)RH_CODE_DEADLINE == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_DEADLINE, "wire codes");
static_assert((int)RH_CODE_UNKNOWN_OUTCOME == (int)ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNKNOWN_OUTCOME,
              "wire codes");
static_assert((int)WIRE_EVENT == (int)ROUNDHOUSE__V1__FRAME__BODY_EVENT &&
                  (int)WIRE_LEASE_EXPIRED == (int)ROUNDHOUSE__V1__FRAME__BODY_LEASE_EXPIRED &&
                  (int)WIRE_REPLAYED == (int)ROUNDHOUSE__V1__FRAME__BODY_REPLAYED,
              "frame kinds are field numbers");

static bool refuse(struct fault *fault, enum rh_code code, const char *text, const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

/* ---- control frames ---- */

static const ProtobufCFieldDescriptor *known_field(const ProtobufCMessageDescriptor *message,
                                                   uint32_t number) {
    return protobuf_c_message_descriptor_get_field(message, number);
}

/* How an Error names the fields that may be to blame: protobuf-c knows the fields' names, not the messages'
 * in this form. */
static const struct {
    const ProtobufCMessageDescriptor *message;
    uint32_t number;
    const char *name;
} fields[] = {
    {&roundhouse__v1__connect__descriptor, 2, "connect.client"},
    {&roundhouse__v1__connect__descriptor, 4, "connect.features"},
    {&roundhouse__v1__connected__descriptor, 10, "connected.features"},
    {&roundhouse__v1__connected__descriptor, 11, "connected.server"},
    {&roundhouse__v1__subscribe__descriptor, 2, "subscribe.patterns"},
    {&roundhouse__v1__subscribe__descriptor, 8, "subscribe.filters"},
    {&roundhouse__v1__filters__descriptor, 1, "subscribe.filters"},
    {&roundhouse__v1__filter__descriptor, 4, "subscribe.filters"},
    {&roundhouse__v1__filter__descriptor, 5, "subscribe.filters"},
    {&roundhouse__v1__filter__descriptor, 6, "subscribe.filters"},
    {&roundhouse__v1__filter__attributes__descriptor, 1, "subscribe.filters"},
    {&roundhouse__v1__filter__attributes__values_entry__descriptor, 1, "subscribe.filters"},
    {&roundhouse__v1__filter__attributes__values_entry__descriptor, 2, "subscribe.filters"},
    {&roundhouse__v1__queue__descriptor, 1, "subscribe.queue.name"},
    {&roundhouse__v1__queue__descriptor, 10, "subscribe.queue.dead_letter"},
    {&roundhouse__v1__queue__descriptor, 11, "subscribe.queue.key"},
    {&roundhouse__v1__unsubscribe__descriptor, 2, "unsubscribe.remove"},
    {&roundhouse__v1__ack__descriptor, 5, "ack.reason"},
    {&roundhouse__v1__replay__descriptor, 2, "replay.queue"},
    {&roundhouse__v1__replay__descriptor, 5, "replay.filter"},
    {&roundhouse__v1__error__descriptor, 2, "error.text"},
    {&roundhouse__v1__error__descriptor, 3, "error.field"},
    {&roundhouse__v1__goodbye__descriptor, 1, "goodbye.reason"},
};

static const char *field_name(const ProtobufCMessageDescriptor *message, uint32_t number) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].message == message && fields[i].number == number)
            return fields[i].name;
    return NULL;
}

/* What protobuf-c leaves to us: it does not look at UTF-8, cuts a string at a zero byte, and takes any number
 * of things. */
static bool string_check(const struct field *field, const char *name, struct fault *fault) {
    if (!utf8_valid(field->data, field->length))
        return refuse(fault, RH_CODE_INVALID, "a string is not valid UTF-8", name);
    if (field->length && memchr(field->data, 0, field->length))
        return refuse(fault, RH_CODE_INVALID, "a string has a zero byte in it", name);
    return true;
}

/* How much of what there is, so that a small frame can not unpack into a lot of memory: fields that are
 * unknown and strings of lists in one message, messages of lists in the whole frame, since these have such
 * lists again. */
struct tally {
    uint32_t strings;
    uint32_t unknown;
    uint32_t *messages;
};

static bool tally_check(struct tally *tally, const ProtobufCMessageDescriptor *message,
                        const ProtobufCFieldDescriptor *known, struct fault *fault) {
    if (!known && ++tally->unknown > CONTROL_UNKNOWN_MAX)
        return refuse(fault, RH_CODE_TOO_LARGE, "a frame has more than 64 unknown fields in one message",
                      NULL);
    if (!known)
        return true;
    if (known->label != PROTOBUF_C_LABEL_REPEATED ||
        (known->type != PROTOBUF_C_TYPE_STRING && known->type != PROTOBUF_C_TYPE_MESSAGE))
        return true;
    uint32_t *count = known->type == PROTOBUF_C_TYPE_STRING ? &tally->strings : tally->messages;
    if (++*count <= CONTROL_LIST_MAX)
        return true;
    return refuse(fault, RH_CODE_TOO_LARGE, "a list in a frame has more than 16384 elements",
                  field_name(message, known->id));
}
static_assert(CONTROL_UNKNOWN_MAX == 64 && CONTROL_LIST_MAX == 16384, "the texts name the limits");

/* How deep, and how much so far. */
struct walk {
    uint32_t depth;
    uint32_t messages;
};

/* Walks a message by its descriptor; filters are the part of the schema that recurses. */
static bool message_walk(struct walk *walk, const ProtobufCMessageDescriptor *message, const uint8_t *p,
                         size_t n, struct fault *fault) {
    const uint8_t *end = p + n;
    struct tally tally = {.messages = &walk->messages};
    struct field field;
    while (p < end) {
        p = field_read(p, end, &field);
        if (!p)
            return refuse(fault, RH_CODE_PROTOCOL, "a frame is not well-formed protobuf", NULL);
        const ProtobufCFieldDescriptor *known = known_field(message, field.number);
        if (!tally_check(&tally, message, known, fault))
            return false;
        if (!known || field.type != FIELD_BYTES)
            continue;
        if (known->type == PROTOBUF_C_TYPE_STRING &&
            !string_check(&field, field_name(message, field.number), fault))
            return false;
        if (known->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (++walk->depth > CONTROL_DEPTH_MAX)
            return refuse(fault, RH_CODE_TOO_LARGE,
                          "messages in a frame stand in one another more than 64 deep",
                          field_name(message, field.number));
        if (!message_walk(walk, known->descriptor, field.data, field.length, fault))
            return false;
        walk->depth--;
    }
    return true;
}
static_assert(CONTROL_DEPTH_MAX == 64, "the text names the limit");

bool control_message_check(const ProtobufCMessageDescriptor *message, const uint8_t *p, size_t n,
                           struct fault *fault) {
    return message_walk(&(struct walk){0}, message, p, n, fault);
}

Roundhouse__V1__Frame *control_unpack(const struct wire_frame *frame, struct fault *fault) {
    if (!control_message_check(&roundhouse__v1__frame__descriptor, frame->frame, frame->frame_length, fault))
        return NULL;
    Roundhouse__V1__Frame *unpacked = roundhouse__v1__frame__unpack(NULL, frame->frame_length, frame->frame);
    if (!unpacked)
        refuse(fault, RH_CODE_PROTOCOL, "a frame is not a serialized roundhouse.v1.Frame", NULL);
    return unpacked;
}

void control_free(Roundhouse__V1__Frame *frame) {
    roundhouse__v1__frame__free_unpacked(frame, NULL);
}

size_t control_size(const Roundhouse__V1__Frame *frame) {
    size_t length = roundhouse__v1__frame__get_packed_size(frame);
    return varint_size(length) + length;
}

size_t control_pack(const Roundhouse__V1__Frame *frame, uint8_t *out) {
    uint8_t *p = varint_write(out, roundhouse__v1__frame__get_packed_size(frame));
    return (size_t)(p - out) + roundhouse__v1__frame__pack(frame, p);
}

/* ---- positions: version, instance, count, (number, next) for each log, undone, checksum ---- */

#define POSITION_VERSION   2u
#define POSITION_UNDONE    3u /* the version of one with undone bits; others have no place for them */
#define POSITION_HEAD      (1u + 16u)
#define POSITION_LOG_BYTES (2u + 8u)
#define POSITION_SUM_BYTES 4u
static_assert(POSITION_HEAD + 1 + POSITION_LOGS_MAX * POSITION_LOG_BYTES + sizeof(uint64_t) +
                      POSITION_SUM_BYTES <=
                  POSITION_BYTES_MAX,
              "the largest Position fits");
static_assert(POSITION_LOGS_MAX <= 64, "one bit for each log, and the count is a varint of one byte");

static uint32_t position_sum(const uint8_t *p, size_t n) {
    return (uint32_t)XXH3_64bits(p, n);
}

/* So many bytes whatever the values, little-endian: so position_lower can mend a packed Position in its
 * place.
 */
static uint8_t *log_write(uint8_t *p, const struct position_log *log) {
    memcpy(p, &log->number, sizeof log->number);
    memcpy(p + sizeof log->number, &log->next, sizeof log->next);
    return p + POSITION_LOG_BYTES;
}

size_t position_pack(const struct position *position, uint8_t out[POSITION_BYTES_MAX]) {
    CHECK(position->count <= POSITION_LOGS_MAX);
    uint8_t *p = out;
    *p++ = position->undone != 0 ? POSITION_UNDONE : POSITION_VERSION;
    memcpy(p, position->instance, sizeof position->instance);
    p = varint_write(p + sizeof position->instance, position->count);
    for (uint32_t i = 0; i < position->count; ++i)
        p = log_write(p, &position->logs[i]);
    if (position->undone != 0) {
        memcpy(p, &position->undone, sizeof position->undone);
        p += sizeof position->undone;
    }
    uint32_t sum = position_sum(out, (size_t)(p - out));
    memcpy(p, &sum, sizeof sum);
    return (size_t)(p - out) + sizeof sum;
}

static bool logs_read(const uint8_t *p, const uint8_t *end, bool undone, struct position *out) {
    out->count = *p++;
    out->undone = 0;
    if (out->count > POSITION_LOGS_MAX ||
        (size_t)(end - p) != out->count * POSITION_LOG_BYTES + (undone ? sizeof out->undone : 0))
        return false;
    for (uint32_t i = 0; i < out->count; i++, p += POSITION_LOG_BYTES) {
        struct position_log *log = &out->logs[i];
        memcpy(&log->number, p, sizeof log->number);
        memcpy(&log->next, p + sizeof log->number, sizeof log->next);
        if (i > 0 && log->number <= out->logs[i - 1].number)
            return false;
    }
    if (undone)
        memcpy(&out->undone, p, sizeof out->undone);
    return (out->undone != 0) == undone;
}

bool position_unpack(const uint8_t *p, size_t n, struct position *out, struct fault *fault) {
    uint32_t sum;
    bool good = n > POSITION_HEAD + POSITION_SUM_BYTES && n <= POSITION_BYTES_MAX &&
                (p[0] == POSITION_VERSION || p[0] == POSITION_UNDONE);
    if (good) {
        const uint8_t *end = p + n - POSITION_SUM_BYTES;
        memcpy(&sum, end, sizeof sum);
        memcpy(out->instance, p + 1, sizeof out->instance);
        good = sum == position_sum(p, n - POSITION_SUM_BYTES) &&
               logs_read(p + POSITION_HEAD, end, p[0] == POSITION_UNDONE, out);
    }
    return good ||
           refuse(fault, RH_CODE_INVALID, "not a Position: send back one that this server gave, as it is",
                  "subscribe.position");
}

void position_lower(uint8_t *packed, size_t n, const uint64_t *next) {
    struct position position;
    struct fault fault;
    uint8_t again[POSITION_BYTES_MAX];
    CHECK(position_unpack(packed, n, &position, &fault));
    for (uint32_t i = 0; i < position.count; i++) {
        uint64_t stands = position.logs[i].next;
        if (next[i] < sequence_position(stands))
            position.logs[i].next = sequence_make(sequence_epoch(stands), next[i]);
    }
    CHECK(position_pack(&position, again) == n);
    memcpy(packed, again, n);
}
