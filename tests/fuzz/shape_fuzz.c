/* fuzz: wire_shape_learn, wire_shape_fits */
// check: runs=500000 max_len=1024 timeout=5

/* A frame, and behind it pairs of bytes that change it: where, and by what. What fits the shape of the frame
 * as it was must be an event for the scan, too, and both must make the same of it. */
#include "codecs/wire/shape.h"

#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 700u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool scanned(const uint8_t *p, size_t n, struct wire_frame *frame, struct wire_event *event) {
    struct fault fault;
    return wire_next(p, n, FRAME_MAX, frame, &fault) == WIRE_OK && frame->kind == WIRE_EVENT &&
           wire_event_scan(frame, event, &fault);
}

static void record_check(const struct wire_event *glanced, const struct wire_event *event) {
    uint32_t size = wire_record_size(event->topic_length, event->event_length);
    uint8_t *taken = malloc(size);
    uint8_t *composed = malloc(size);
    CHECK(taken && composed);
    CHECK(wire_record_write(taken, 7, glanced) == wire_record_write(composed, 7, event));
    CHECK(memcmp(taken, composed, size) == 0);
    free(taken);
    free(composed);
}

static void fit_check(struct wire_shape *shape, const uint8_t *p, size_t n) {
    struct wire_event glanced;
    struct wire_event event;
    struct wire_frame frame;
    size_t size;
    if (!wire_shape_fits(shape, p, n, &glanced, &size))
        return;
    CHECK(scanned(p, n, &frame, &event) && frame.size == size);
    CHECK(glanced.topic == event.topic && glanced.topic_length == event.topic_length);
    CHECK(glanced.event == event.event && glanced.event_length == event.event_length);
    CHECK(glanced.record == event.record && glanced.expiring == event.expiring);
    event.record = NULL; /* composed anew it must be the same */
    record_check(&glanced, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wire_shape shape = {0};
    struct wire_frame frame;
    struct wire_event event;
    if (size == 0 || !scanned(data, size, &frame, &event))
        return 0;
    wire_shape_learn(&shape, &frame, &event);
    CHECK((event.known == WIRE_TOPIC_LEARNT) == (shape.reach > 0));
    size_t n = frame.size > shape.reach ? frame.size : shape.reach;
    uint8_t *changed = calloc(1, n); /* alone in memory: a look beyond it shows */
    CHECK(changed);
    memcpy(changed, data, frame.size);
    fit_check(&shape, changed, n);
    CHECK(shape.reach == 0 || shape.hits == 1); /* it fits itself */
    for (size_t i = frame.size; i + 1 < size; i += 2)
        changed[data[i] % n] ^= data[i + 1];
    fit_check(&shape, changed, n);
    free(changed);
    return 0;
}
