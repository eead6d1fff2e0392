/* shape.h: the shape of the last event of a publisher, so that the next one of the same shape is known at a
 * glance. Owner: one worker; its thread. Consecutive events of a publisher mostly differ in id and payload
 * only: bytes that are the same, in the same places, as in an event that was checked need no second check.
 * Nothing blocks, nothing allocates.
 * "Does not fit" is no error: wire_next and wire_event_scan decide then. */
#pragma once

#include "codecs/wire/scan.h"
#include "core/base/check.h"
#include "core/base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHAPE_HEAD_MAX 512u /* bytes in front of the payload: frame, topic, attributes */
#define SHAPE_HITS_MIN                                                                                       \
    4u /* a shape was worth learning if it fitted so often for each time that it did not                     \
        */
#define SHAPE_STRAYS_MAX                                                                                     \
    16u /* events of other topics in a row, of the shape in all else, until the next topic is learnt */
#define SHAPE_PAUSE_MAX 255u /* events that go by before another is learnt, after shapes that were not */

typedef uint64_t shape_block __attribute__((vector_size(16)));

/* Fields are private to shape.c and the inline function below. Zeroed memory is a shape that nothing fits. */
struct wire_shape {
    uint32_t reach; /* bytes that must have been received: the frame, and the last block compared; 0 = none */
    uint32_t head;  /* bytes compared, whole blocks */
    uint32_t size;  /* of the frame */
    uint32_t topic_at, topic_length;
    uint32_t event_at, event_length;
    uint32_t id_at, id_length;
    uint32_t text_at, text_length; /* of a payload that has to be UTF-8; length 0 = it may be anything */
    bool record;                   /* such a frame is a record of the log, but for the sequence */
    bool expiring;                 /* such an event has an expirytime: it lies in what is compared */
    uint32_t hits;                 /* how often it has fitted */
    uint32_t misses;               /* how often an event came that it did not fit */
    uint32_t pause, pause_last;    /* events to go by before it is learnt anew */
    uint32_t strays;               /* events of another topic since one of its own */
    uint8_t bytes[SHAPE_HEAD_MAX];
    uint8_t mask[SHAPE_HEAD_MAX];           /* 0 where bytes may differ: sequence, id, payload */
    uint8_t mask_but_topic[SHAPE_HEAD_MAX]; /* the topic, too */
};

static inline shape_block shape_block_at(const uint8_t *p) {
    shape_block block;
    memcpy(&block, p, sizeof block);
    return block;
}

/* Whether the `reach` bytes at p begin with a frame of this shape, which then is a valid event. */
static inline bool shape_is(const struct wire_shape *shape, const uint8_t *mask, const uint8_t *p) {
    shape_block differ = {0, 0};
    for (uint32_t i = 0; i < shape->head; i += (uint32_t)sizeof differ)
        differ |= (shape_block_at(p + i) ^ shape_block_at(shape->bytes + i)) & shape_block_at(mask + i);
    if ((differ[0] | differ[1]) != 0 || !utf8_clean(p + shape->id_at, shape->id_length))
        return false;
    return shape->text_length == 0 || utf8_text(p + shape->text_at, shape->text_length);
}

static inline void shape_event(const struct wire_shape *shape, const uint8_t *p, struct wire_event *out) {
    *out = (struct wire_event){.topic = p + shape->topic_at,
                               .event = p + shape->event_at,
                               .topic_length = shape->topic_length,
                               .event_length = shape->event_length,
                               .record = shape->record ? p : NULL,
                               .known = WIRE_TOPIC_AGAIN,
                               .expiring = shape->expiring};
}

/* The rest of wire_shape_fits: of this shape but for a topic of the same length. */
bool wire_shape_strays(struct wire_shape *shape, const uint8_t *p, struct wire_event *out);

/* Whether the `n` bytes at p begin with a frame of this shape, perhaps of another topic: *out is what
 * wire_event_scan would make of it, and *size what to advance by. */
static inline bool wire_shape_fits(struct wire_shape *shape, const uint8_t *p, size_t n,
                                   struct wire_event *out, size_t *size) {
    if (n < shape->reach || shape->reach == 0)
        return false;
    *size = shape->size;
    if (!shape_is(shape, shape->mask, p))
        return wire_shape_strays(shape, p, out);
    shape_event(shape, p, out);
    shape->hits++;
    shape->strays = 0;
    return true;
}

/* How many frames of this shape, one behind the other, the `n` bytes at p begin with; counted up to `most`.
 * Their events have the topic of the first one. */
uint32_t wire_shape_run(struct wire_shape *shape, const uint8_t *p, size_t n, uint32_t most);

/* An event that wire_event_scan has accepted: perhaps the next ones are like it. Marks it as the one that was
 * learnt. A shape that has not fitted since it was learnt makes room ever more slowly, so that a publisher
 * whose events are all different pays little. */
void wire_shape_learn(struct wire_shape *shape, const struct wire_frame *frame, struct wire_event *event);
