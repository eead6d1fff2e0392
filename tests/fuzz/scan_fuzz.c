/* fuzz: wire_next, wire_event_scan */
// check: runs=500000 max_len=1024 timeout=5

/* A received stream, frame by frame. What is accepted is the same in its canonical form, and protobuf-c reads
 * it alike. */
#include "codecs/wire/scan.h"

#include "core/base/check.h"
#include "core/base/topic.h"
#include "roundhouse/v1/wire.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 700u /* below the longest input, so that TOO_LARGE is met */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length) {
    return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/* The record that the log would keep, scanned and read again. */
static void record_check(const struct wire_event *event) {
    struct wire_frame frame;
    struct wire_event scanned, read;
    struct fault fault;
    uint64_t sequence;
    uint32_t size = wire_record_size(event->topic_length, event->event_length);
    uint8_t *record = malloc(size);
    CHECK(record);
    struct wire_event composed = *event;
    composed.record = NULL;
    uint32_t topic_at = wire_record_write(record, 7, &composed);
    if (event->record != NULL) { /* as it is, but for the sequence */
        uint8_t *taken = malloc(size);
        CHECK(taken && wire_record_write(taken, 7, event) == topic_at && memcmp(taken, record, size) == 0);
        free(taken);
    }
    CHECK(wire_next(record, size, size, &frame, &fault) == WIRE_OK && frame.kind == WIRE_EVENT &&
          frame.size == size);
    CHECK(wire_event_scan(&frame, &scanned, &fault));
    wire_record_read(record, size, &sequence, &read);
    CHECK(sequence == 7 && read.topic == record + topic_at && read.topic == scanned.topic);
    CHECK(same(read.topic, read.topic_length, event->topic, event->topic_length));
    CHECK(same(read.event, read.event_length, event->event, event->event_length));
    CHECK(read.event == scanned.event && read.event_length == scanned.event_length);
    free(record);
}

/* What a client's library makes of the frame is what was routed. */
static void library_check(const struct wire_frame *frame, const struct wire_event *event) {
    Roundhouse__V1__Frame *unpacked = roundhouse__v1__frame__unpack(NULL, frame->frame_length, frame->frame);
    CHECK(unpacked && unpacked->body_case == ROUNDHOUSE__V1__FRAME__BODY_EVENT);
    const Roundhouse__V1__Event *inner = unpacked->event;
    CHECK(same((const uint8_t *)inner->topic, strlen(inner->topic), event->topic, event->topic_length));
    CHECK(same(inner->event.data, inner->event.len, event->event, event->event_length));
    roundhouse__v1__frame__free_unpacked(unpacked, NULL);
}

static void frame_check(const struct wire_frame *frame, size_t n) {
    struct wire_frame again;
    struct wire_event event;
    struct fault fault = {0};
    uint64_t total;
    CHECK(frame->size <= n && frame->frame + frame->frame_length == frame->start + frame->size);
    CHECK(frame->frame_length <= FRAME_MAX);
    CHECK(wire_length(frame->start, n, FRAME_MAX, &total, &fault) == WIRE_OK && total == frame->size);
    CHECK(wire_next(frame->start, frame->size - 1, FRAME_MAX, &again, &fault) == WIRE_INCOMPLETE);
    CHECK((frame->body != NULL) == (frame->kind != WIRE_EMPTY && frame->kind != WIRE_UNKNOWN));
    if (frame->kind != WIRE_EVENT)
        return;
    if (!wire_event_scan(frame, &event, &fault)) {
        CHECK(fault.code != RH_CODE_NONE && fault.text && fault.field);
        return;
    }
    CHECK(topic_valid(event.topic, event.topic_length, &fault));
    record_check(&event);
    library_check(frame, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wire_frame frame;
    struct fault fault = {0};
    while (size > 0) {
        enum wire_result result = wire_next(data, size, FRAME_MAX, &frame, &fault);
        CHECK(result != WIRE_BAD || (fault.text && !fault.field));
        if (result != WIRE_OK)
            break;
        frame_check(&frame, size);
        data += frame.size;
        size -= frame.size;
    }
    return 0;
}
