#include "codecs/wire/shape.h"

#include "codecs/event/fields.h"
#include "codecs/proto/field.h"
#include "core/base/topic.h"

#include <string.h>

/* Where the parts of a frame lie, while it is looked at. */
struct layout {
    const uint8_t *sequence; /* NULL = it has none */
    const uint8_t *payload;  /* from here to the end bytes may be anything, or any text */
    bool text;
};

/* Steps over a field of bytes with this number; NULL when something else is there. */
static const uint8_t *step(const uint8_t *p, const uint8_t *end, uint32_t number, const uint8_t **data) {
    size_t length;
    if (p == end || *p != FIELD_TAG(number, FIELD_BYTES))
        return NULL;
    *data = length_read(p + 1, end, &length);
    return *data == NULL ? NULL : *data + length;
}

/* A frame that is one Event and nothing else: perhaps a sequence, the topic, the event. */
static bool frame_plain(const struct wire_frame *frame, const struct wire_event *event,
                        struct layout *layout) {
    enum { SEQUENCE = 1, TOPIC = 2, EVENT = 3, SEQUENCE_BYTES = 9 };
    const uint8_t *end = frame->start + frame->size;
    const uint8_t *p = frame->body;
    const uint8_t *data;
    if (frame->frame[0] != FIELD_TAG(WIRE_EVENT, FIELD_BYTES) || p + frame->body_length != end)
        return false;
    layout->sequence = NULL;
    if (p < end && *p == FIELD_TAG(SEQUENCE, FIELD_FIXED64)) {
        layout->sequence = p + 1;
        p += SEQUENCE_BYTES;
    }
    p = step(p, end, TOPIC, &data);
    if (p == NULL || data != event->topic)
        return false;
    return step(p, end, EVENT, &data) == end && data == event->event;
}

/* The payload of a google.protobuf.Any that is written plainly: type, value. Else it is compared as it is. */
static const uint8_t *any_payload(const uint8_t *any, const uint8_t *end) {
    const uint8_t *data;
    const uint8_t *p = step(any, end, ANY_TYPE_URL, &data);
    return p != NULL && step(p, end, ANY_VALUE, &data) == end ? data : end;
}

/* An event that begins with its id. Where its payload is the last field, it is left out of the comparison. */
static bool event_plain(const struct wire_event *event, struct layout *layout) {
    const uint8_t *end = event->event + event->event_length;
    const uint8_t *p = event->event;
    struct field field;
    if (p[0] != FIELD_TAG(EVENT_ID, FIELD_BYTES) || p[1] >= 0x80)
        return false;
    layout->payload = end;
    layout->text = false;
    for (p = field_read(p, end, &field); p != NULL && p < end;)
        p = field_read(p, end, &field);
    if (p == NULL || field.number < EVENT_BINARY || field.number > EVENT_PROTO)
        return p != NULL;
    layout->payload = field.number == EVENT_PROTO ? any_payload(field.data, end) : field.data;
    layout->text = field.number == EVENT_TEXT;
    return true;
}

static void compared_not(struct wire_shape *shape, uint32_t at, uint32_t length) {
    memset(shape->mask + at, 0, length);
}

static void shape_set(struct wire_shape *shape, const struct wire_frame *frame,
                      const struct wire_event *event, const struct layout *layout) {
    const uint32_t blocks = (uint32_t)sizeof(shape_block);
    uint32_t payload_at = (uint32_t)(layout->payload - frame->start);
    shape->head = (payload_at + blocks - 1) / blocks * blocks;
    shape->size = (uint32_t)frame->size;
    shape->reach = shape->size > shape->head ? shape->size : shape->head;
    shape->topic_at = (uint32_t)(event->topic - frame->start);
    shape->topic_length = event->topic_length;
    shape->event_at = (uint32_t)(event->event - frame->start);
    shape->event_length = event->event_length;
    shape->id_at = shape->event_at + 2;
    shape->id_length = event->event[1];
    shape->text_at = payload_at;
    shape->text_length = layout->text ? shape->size - payload_at : 0;
    shape->record = event->record != NULL;
    shape->expiring = event->expiring;
    memcpy(shape->bytes, frame->start, payload_at);
    memset(shape->mask, 0xff, payload_at);
    compared_not(shape, payload_at, shape->head - payload_at);
    compared_not(shape, shape->id_at, shape->id_length);
    if (layout->sequence != NULL)
        compared_not(shape, (uint32_t)(layout->sequence - frame->start), sizeof(uint64_t));
    memcpy(shape->mask_but_topic, shape->mask, shape->head);
    memset(shape->mask_but_topic + shape->topic_at, 0, shape->topic_length);
    shape->strays = 0;
}

/* How many events go by before the next learning: none, as long as shapes are worth it. */
static void pause_set(struct wire_shape *shape) {
    bool worth = shape->hits >= (uint64_t)SHAPE_HITS_MIN * shape->misses;
    uint32_t longer = 2 * shape->pause_last + 1;
    shape->pause_last = worth || shape->reach == 0 ? 0 : longer < SHAPE_PAUSE_MAX ? longer : SHAPE_PAUSE_MAX;
    shape->pause = shape->pause_last;
}

void wire_shape_learn(struct wire_shape *shape, const struct wire_frame *frame, struct wire_event *event) {
    struct layout layout;
    shape->misses++;
    if (shape->pause > 0) {
        shape->pause--;
        return;
    }
    if (!frame_plain(frame, event, &layout) || !event_plain(event, &layout) ||
        layout.payload - frame->start > (ptrdiff_t)SHAPE_HEAD_MAX)
        return;
    pause_set(shape);
    shape->hits = shape->misses = 0;
    shape_set(shape, frame, event, &layout);
    event->known = WIRE_TOPIC_LEARNT;
}

uint32_t wire_shape_run(struct wire_shape *shape, const uint8_t *p, size_t n, uint32_t most) {
    uint32_t count = 0;
    for (; count < most && n >= shape->reach && shape->reach > 0; count++) {
        if (!shape_is(shape, shape->mask, p))
            break;
        p += shape->size;
        n -= shape->size;
    }
    shape->hits += count;
    return count;
}

/* One topic that comes back is worth knowing; of many in turn any is as good as another. */
bool wire_shape_strays(struct wire_shape *shape, const uint8_t *p, struct wire_event *out) {
    struct fault fault;
    if (!shape_is(shape, shape->mask_but_topic, p) ||
        !topic_valid(p + shape->topic_at, shape->topic_length, &fault))
        return false;
    shape_event(shape, p, out);
    shape->hits++;
    out->known = WIRE_TOPIC_ANY;
    if (++shape->strays < SHAPE_STRAYS_MAX)
        return true;
    memcpy(shape->bytes + shape->topic_at, out->topic, shape->topic_length);
    shape->strays = 0;
    out->known = WIRE_TOPIC_LEARNT;
    return true;
}
