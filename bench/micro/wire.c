/* What every received event passes through: its frame is found, it is checked, its record is written. */
#include "codecs/wire/scan.h"

#include "bench/micro/bench.h"
#include "bench/micro/data.h"
#include "codecs/event/check.h"

#include <stdlib.h>

#define FRAMES_BYTES (128 * KIB) /* what lies in the cache after a receive */

/* One frame after the other, as a session does it. Returns how many bytes of events were found. */
static uint64_t scan(const struct data_frames *frames, uint64_t count) {
    const uint8_t *at = frames->bytes;
    const uint8_t *end = frames->bytes + frames->length;
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct wire_frame frame;
        struct wire_event event;
        struct fault fault;
        if (wire_next(at, (size_t)(end - at), FRAME_BYTES_DEFAULT, &frame, &fault) != WIRE_OK ||
            frame.kind != WIRE_EVENT || !wire_event_scan(&frame, &event, &fault))
            return 0;
        bytes += event.event_length;
        at += frame.size;
        if (at == end)
            at = frames->bytes;
    }
    return bytes;
}

static enum data_shape shape_of(const struct bench_run *run) {
    return (enum data_shape)bench_value(run, "shape");
}

static void wire_scan(struct bench_run *run) {
    struct data_frames frames = data_frames(shape_of(run), FRAMES_BYTES);
    while (bench_more(run)) {
        uint64_t rounds = bench_whole(run, frames.count);
        bench_start(run);
        uint64_t bytes = scan(&frames, run->operations);
        bench_stop(run);
        bench_equal(run, "bytes of events found", bytes, rounds * frames.events_length);
    }
    bench_bytes(run, (double)frames.length / frames.count);
    free(frames.bytes);
}

/* ---- the parts of it ---- */

/* The events of some frames, for benches that begin behind the scan. */
struct events {
    struct data_frames frames;
    struct wire_event *events;
};

static struct events events_of(enum data_shape shape) {
    struct events events = {.frames = data_frames(shape, FRAMES_BYTES)};
    const uint8_t *at = events.frames.bytes;
    events.events = bench_memory(events.frames.count * sizeof *events.events);
    for (uint32_t i = 0; i < events.frames.count; i++) {
        struct wire_frame frame;
        struct fault fault;
        CHECK(wire_next(at, FRAME_BYTES_DEFAULT, FRAME_BYTES_DEFAULT, &frame, &fault) == WIRE_OK);
        CHECK(wire_event_scan(&frame, &events.events[i], &fault));
        at += frame.size;
    }
    return events;
}

static void events_free(struct events *events) {
    free(events->frames.bytes);
    free(events->events);
}

static void wire_next_bench(struct bench_run *run) {
    struct data_frames frames = data_frames(shape_of(run), FRAMES_BYTES);
    while (bench_more(run)) {
        const uint8_t *at = frames.bytes;
        const uint8_t *end = frames.bytes + frames.length;
        uint64_t bytes = 0;
        uint64_t rounds = bench_whole(run, frames.count);
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            struct wire_frame frame;
            struct fault fault;
            CHECK(wire_next(at, (size_t)(end - at), FRAME_BYTES_DEFAULT, &frame, &fault) == WIRE_OK);
            bytes += frame.size;
            at = at + frame.size == end ? frames.bytes : at + frame.size;
        }
        bench_stop(run);
        bench_equal(run, "bytes of frames", bytes, rounds * frames.length);
    }
    bench_bytes(run, (double)frames.length / frames.count);
    free(frames.bytes);
}

static void event_check_bench(struct bench_run *run) {
    struct events events = events_of(shape_of(run));
    uint32_t count = events.frames.count;
    uint32_t at = 0;
    while (bench_more(run)) {
        struct fault fault;
        uint64_t good = 0;
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++, at = at + 1 == count ? 0 : at + 1)
            good += event_check(events.events[at].event, events.events[at].event_length, &fault);
        bench_stop(run);
        bench_equal(run, "events accepted", good, run->operations);
    }
    struct fault fault;
    bench_equal(run, "events accepted without their last byte",
                event_check(events.events[0].event, events.events[0].event_length - 1, &fault), 0);
    bench_bytes(run, (double)events.frames.events_length / count);
    events_free(&events);
}

static void wire_write(struct bench_run *run) {
    struct events events = events_of(shape_of(run));
    uint32_t count = events.frames.count;
    uint8_t *out = bench_memory(events.frames.length);
    while (bench_more(run)) {
        uint64_t topics_at = 0;
        uint8_t *to = out;
        bench_whole(run, count);
        bench_start(run);
        for (uint64_t i = 0; i < run->operations;) {
            to = out;
            for (uint32_t j = 0; j < count; j++) {
                const struct wire_event *event = &events.events[j];
                topics_at += wire_record_write(to, ++i, event);
                to += wire_record_size(event->topic_length, event->event_length);
            }
        }
        bench_stop(run);
        bench_equal(run, "bytes of all records", (uint64_t)(to - out), events.frames.length);
        bench_equal(run, "topics at the record's begin", topics_at < run->operations, 0);
        uint64_t sequence;
        struct wire_event last;
        uint32_t size = wire_record_size(events.events[0].topic_length, events.events[0].event_length);
        wire_record_read(out, size, &sequence, &last);
        bench_equal(run, "the sequence of a record", sequence, run->operations - count + 1);
        bench_equal(run, "the length of its event", last.event_length, events.events[0].event_length);
    }
    bench_bytes(run, (double)events.frames.length / count);
    free(out);
    events_free(&events);
}

#define ALL_SHAPES                                                                                           \
    {                                                                                                        \
        .name = "shape", .words = data_shapes, .values = { {7, {0, 1, 2, 3, 4, 5, 6}} }                      \
    }

const struct bench bench_wire[] = {
    {.name = "wire/scan",
     .operation = "find one published event in received bytes and check all of it",
     .operations_least = 500,
     .run = wire_scan,
     .axes = {ALL_SHAPES}},
    {.name = "wire/next",
     .operation = "find the end of one frame",
     .operations_least = 500,
     .run = wire_next_bench,
     .axes = {ALL_SHAPES}},
    {.name = "wire/write",
     .operation = "write the record of one event",
     .operations_least = 500,
     .run = wire_write,
     .axes = {ALL_SHAPES}},
    {.name = "event/check",
     .operation = "check that one event is a CloudEvent",
     .operations_least = 500,
     .run = event_check_bench,
     .axes = {ALL_SHAPES}},
    {0}};
