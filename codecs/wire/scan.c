#include "codecs/wire/scan.h"

#include "codecs/event/check.h"
#include "codecs/proto/field.h"
#include "core/base/limits.h"
#include "core/base/topic.h"

#include <assert.h>
#include <string.h>

/* Fields of roundhouse.v1.Event. */
enum { EVENT_SEQUENCE = 1, EVENT_TOPIC = 2, EVENT_EVENT = 3 };
#define SEQUENCE_TAG   FIELD_TAG(EVENT_SEQUENCE, FIELD_FIXED64)
#define SEQUENCE_BYTES 9u /* tag and value */

static const char malformed_event[] = "the Event is not well-formed protobuf";

static __attribute__((noinline, cold)) bool refuse(struct fault *fault, enum rh_code code, const char *text,
                                                   const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

static enum wire_result bad(struct fault *fault, enum rh_code code, const char *text) {
    refuse(fault, code, text, NULL);
    return WIRE_BAD;
}

/* ---- frames ---- */

/* Reads the prefix: *length is the frame's, *frame where it begins. */
static inline enum wire_result prefix_read(const uint8_t *p, size_t n, uint64_t frame_max,
                                           const uint8_t **frame, uint64_t *length, struct fault *fault) {
    if (UNLIKELY(n == 0))
        return WIRE_INCOMPLETE;
    *frame = varint_read(p, p + n, length);
    if (UNLIKELY(!*frame)) {
        if (n < VARINT_BYTES_MAX)
            return WIRE_INCOMPLETE;
        return bad(fault, RH_CODE_PROTOCOL, "a frame's length is not a varint of at most 10 bytes");
    }
    if (UNLIKELY(*length > frame_max))
        return bad(fault, RH_CODE_TOO_LARGE,
                   "a frame is longer than the limit: 4096 bytes for the first one, then frame_bytes_max "
                   "of Connected");
    return WIRE_OK;
}

enum wire_result wire_length(const uint8_t *p, size_t n, uint64_t frame_max, uint64_t *total,
                             struct fault *fault) {
    const uint8_t *frame;
    uint64_t length;
    enum wire_result result = prefix_read(p, n, frame_max, &frame, &length, fault);
    if (result == WIRE_OK)
        *total = (uint64_t)(frame - p) + length;
    return result;
}

/* Walks the fields of a frame that is not just one Event. */
static enum wire_result body_find(struct wire_frame *out, struct fault *fault) {
    const uint8_t *end = out->frame + out->frame_length;
    struct field field;
    for (const uint8_t *p = out->frame; p < end;) {
        p = field_read(p, end, &field);
        if (!p)
            return bad(fault, RH_CODE_PROTOCOL, "a frame is not a serialized roundhouse.v1.Frame");
        if (field.number > WIRE_KNOWN_LAST) {
            if (field.type == FIELD_BYTES && out->kind == WIRE_EMPTY)
                out->kind = WIRE_UNKNOWN;
            continue;
        }
        if (field.type != FIELD_BYTES)
            return bad(fault, RH_CODE_PROTOCOL, "a frame's body has the wrong wire type");
        if (out->body)
            return bad(fault, RH_CODE_PROTOCOL, "a frame has two bodies");
        out->kind = (enum wire_kind)field.number;
        out->body = field.data;
        out->body_length = field.length;
    }
    return WIRE_OK;
}

enum wire_result wire_next(const uint8_t *p, size_t n, uint64_t frame_max, struct wire_frame *out,
                           struct fault *fault) {
    const uint8_t *frame;
    uint64_t length;
    enum wire_result result = prefix_read(p, n, frame_max, &frame, &length, fault);
    if (UNLIKELY(result != WIRE_OK))
        return result;
    const uint8_t *end = p + n;
    if (length > (uint64_t)(end - frame))
        return WIRE_INCOMPLETE;
    end = frame + length;
    out->start = p;
    out->size = (size_t)(end - p);
    out->frame = frame;
    out->frame_length = (size_t)length;
    if (LIKELY(length > 0 && *frame == FIELD_TAG(WIRE_EVENT, FIELD_BYTES))) {
        const uint8_t *body = length_read(frame + 1, end, &out->body_length);
        if (LIKELY(body && body + out->body_length == end)) {
            out->kind = WIRE_EVENT;
            out->body = body;
            return WIRE_OK;
        }
    }
    out->kind = WIRE_EMPTY;
    out->body = NULL;
    out->body_length = 0;
    return body_find(out, fault);
}

/* ---- events ---- */

/* The field a refusal names; unknown ones are passed over before this is asked. */
static const char *const field_names[] = {
    [EVENT_SEQUENCE] = "sequence", [EVENT_TOPIC] = "topic", [EVENT_EVENT] = "event"};

static bool refuse_known(struct fault *fault, const struct field *field) {
    const char *name = field_names[field->number];
    if (field->number == EVENT_SEQUENCE)
        return refuse(fault, RH_CODE_INVALID, "a sequence may only stand first in an Event, as fixed64",
                      name);
    const char *text = field->type == FIELD_BYTES ? "an Event has two topics or two events"
                                                  : "an Event's topic or event has the wrong wire type";
    return refuse(fault, RH_CODE_INVALID, text, name);
}

/* The fields of an Event in any form. */
static bool event_split(const uint8_t *p, const uint8_t *end, struct field *topic, struct field *event,
                        struct fault *fault) {
    struct field field;
    topic->data = event->data = NULL;
    while (p < end) {
        p = field_read(p, end, &field);
        if (!p)
            return refuse(fault, RH_CODE_INVALID, malformed_event, "event");
        if (field.number > EVENT_EVENT)
            continue;
        struct field *slot = field.number == EVENT_TOPIC ? topic : event;
        if (field.type != FIELD_BYTES || field.number == EVENT_SEQUENCE || slot->data)
            return refuse_known(fault, &field);
        *slot = field;
    }
    if (!topic->data)
        return refuse(fault, RH_CODE_INVALID, "an Event has no topic", "topic");
    return event->data || refuse(fault, RH_CODE_INVALID, "an Event has no event in it", "event");
}

/* The same for the form that libraries write: topic, event, nothing else. False says nothing. */
static inline bool event_split_plain(const uint8_t *p, const uint8_t *end, struct field *topic,
                                     struct field *event) {
    p = field_read(p, end, topic);
    if (!p || topic->number != EVENT_TOPIC || p == end)
        return false;
    p = field_read(p, end, event);
    return p == end && event->number == EVENT_EVENT && topic->type == FIELD_BYTES &&
           event->type == FIELD_BYTES;
}

bool wire_event_scan(const struct wire_frame *frame, struct wire_event *out, struct fault *fault) {
    const uint8_t *p = frame->body;
    const uint8_t *end = p + frame->body_length;
    struct field topic, event;
    bool sequence = frame->body_length >= SEQUENCE_BYTES && *p == SEQUENCE_TAG;
    if (sequence)
        p += SEQUENCE_BYTES;
    if (UNLIKELY(!event_split_plain(p, end, &topic, &event)) && !event_split(p, end, &topic, &event, fault))
        return false;
    out->topic = topic.data;
    out->event = event.data;
    out->topic_length = (uint32_t)topic.length;
    out->event_length = (uint32_t)event.length;
    /* As long as the record and in its order: then every length and tag is in its shortest form, as in it. */
    bool record = sequence && out->topic < out->event &&
                  wire_record_size(out->topic_length, out->event_length) == frame->size;
    out->record = record ? frame->start : NULL;
    out->known = WIRE_TOPIC_ANY;
    return topic_valid(topic.data, topic.length, fault) &&
           event_check_expiring(event.data, event.length, &out->expiring, fault);
}

/* ---- records ---- */

static uint32_t body_size(uint32_t topic_length, uint32_t event_length) {
    return SEQUENCE_BYTES + 1 + varint_size(topic_length) + topic_length + 1 + varint_size(event_length) +
           event_length;
}

uint32_t wire_record_size(uint32_t topic_length, uint32_t event_length) {
    uint32_t body = body_size(topic_length, event_length);
    uint32_t frame = 1 + varint_size(body) + body;
    return varint_size(frame) + frame;
}

/* Where the sequence's value begins: behind two lengths and two tags. */
uint32_t wire_record_sequence_at(const uint8_t *record) {
    uint32_t i = 0;
    while (record[i++] >= 0x80)
        ;
    CHECK_HOT(record[i] == FIELD_TAG(WIRE_EVENT, FIELD_BYTES));
    ++i;
    while (record[i++] >= 0x80)
        ;
    CHECK_HOT(record[i] == SEQUENCE_TAG);
    return i + 1;
}

/* As wire_record_write, for a frame that is the record but for its sequence. */
static uint32_t record_take(uint8_t *out, uint64_t sequence, const struct wire_event *event) {
    memcpy(out, event->record, (size_t)(event->event - event->record) + event->event_length);
    memcpy(out + wire_record_sequence_at(event->record), &sequence, sizeof sequence);
    return (uint32_t)(event->topic - event->record);
}

uint32_t wire_record_write(uint8_t *out, uint64_t sequence, const struct wire_event *event) {
    if (event->record != NULL)
        return record_take(out, sequence, event);
    uint32_t body = body_size(event->topic_length, event->event_length);
    uint8_t *p = varint_write(out, 1 + varint_size(body) + body);
    *p++ = FIELD_TAG(WIRE_EVENT, FIELD_BYTES);
    p = varint_write(p, body);
    *p++ = SEQUENCE_TAG;
    memcpy(p, &sequence, sizeof sequence);
    p += sizeof sequence;
    *p++ = FIELD_TAG(EVENT_TOPIC, FIELD_BYTES);
    p = varint_write(p, event->topic_length);
    uint32_t topic_at = (uint32_t)(p - out);
    memcpy(p, event->topic, event->topic_length);
    p += event->topic_length;
    *p++ = FIELD_TAG(EVENT_EVENT, FIELD_BYTES);
    p = varint_write(p, event->event_length);
    memcpy(p, event->event, event->event_length);
    return topic_at;
}

void wire_record_read(const uint8_t *record, uint32_t length, uint64_t *sequence, struct wire_event *out) {
    const uint8_t *p = record + wire_record_sequence_at(record);
    const uint8_t *end = record + length;
    size_t size;
    memcpy(sequence, p, sizeof *sequence);
    p = length_read(p + sizeof *sequence + 1, end, &size);
    CHECK(p);
    out->topic = p;
    out->topic_length = (uint32_t)size;
    p = length_read(p + size + 1, end, &size);
    CHECK(p && p + size == end);
    out->event = p;
    out->event_length = (uint32_t)size;
}

void wire_record_sequence(uint8_t *record, uint64_t sequence) {
    memcpy(record + wire_record_sequence_at(record), &sequence, sizeof sequence);
}
