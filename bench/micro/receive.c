/* How large the buffer of a receive should be: a small one costs a system call for little, a large one leaves
 * the cache before its bytes are looked at. */
#include "bench/micro/bench.h"
#include "bench/micro/data.h"
#include "bench/micro/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WAITING_BYTES (1 * MIB) /* what the publisher has sent when the receiver comes */

/* Whole frames and what is left of one between two receives. */
struct receiver {
    uint8_t *buffer; /* owns; `bytes` and room for the rest of a frame before them */
    uint64_t bytes, kept;
    uint64_t frames;
};
#define KEPT_MAX 512u

/* As a session does: every whole frame is found and checked; the rest is kept for the next receive. */
static void receiver_scan(struct receiver *receiver, const uint8_t *at, const uint8_t *end) {
    for (;;) {
        struct wire_frame frame;
        struct wire_event event;
        struct fault fault;
        enum wire_result found = wire_next(at, (size_t)(end - at), FRAME_BYTES_DEFAULT, &frame, &fault);
        if (found != WIRE_OK)
            break;
        receiver->frames += wire_event_scan(&frame, &event, &fault);
        at += frame.size;
    }
    receiver->kept = (uint64_t)(end - at);
    CHECK(receiver->kept <= KEPT_MAX);
    memcpy(receiver->buffer + KEPT_MAX - receiver->kept, at, receiver->kept);
}

/* Receives and scans until nothing is there; returns the bytes. */
static uint64_t receiver_empty(struct receiver *receiver, int fd) {
    uint64_t all = 0;
    for (;;) {
        uint8_t *into = receiver->buffer + KEPT_MAX;
        ssize_t got = recv(fd, into, receiver->bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return all;
        bench_must(got < 0 ? -errno : 0, "receiving");
        all += (uint64_t)got;
        receiver_scan(receiver, into - receiver->kept, into + got);
    }
}

/* Sends from `frames` at *at, around its end, until the receiver holds WAITING_BYTES or takes no more. */
static uint64_t fill(const struct link *link, const struct data_frames *frames, size_t *at, uint64_t most) {
    uint64_t sent = 0;
    while (sent < most) {
        size_t length = frames->length - *at < most - sent ? frames->length - *at : most - sent;
        ssize_t put = send(link->from, frames->bytes + *at, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN)
            break;
        bench_must(put < 0 ? -errno : 0, "sending");
        sent += (uint64_t)put;
        *at = (*at + (size_t)put) % frames->length;
        if (link_waiting(link) < sent)
            break; /* the window is closed: what is sent now only waits */
    }
    return sent;
}

/* Everything that was sent, and so much more that the last frame is whole. */
static uint64_t finish(struct receiver *receiver, const struct link *link, const struct data_frames *frames,
                       uint64_t *sent, size_t *at) {
    uint64_t received = 0;
    uint64_t until = *sent + (frames->length - *at) % frames->length;
    while (*sent < until) {
        *sent += fill(link, frames, at, until - *sent);
        received += receiver_empty(receiver, link->to);
    }
    return received;
}

static void receive_buffer(struct bench_run *run) {
    struct data_frames frames = data_frames(DATA_TYPICAL, 256 * KIB);
    struct link link = link_open();
    struct receiver receiver = {.bytes = bench_value(run, "buffer_bytes")};
    receiver.buffer = bench_memory(KEPT_MAX + receiver.bytes);
    uint64_t sent = 0;
    uint64_t received = 0;
    size_t at = 0;
    while (bench_more(run)) {
        uint64_t before = receiver.frames;
        while (receiver.frames - before < run->operations) {
            sent += fill(&link, &frames, &at, WAITING_BYTES);
            bench_start(run);
            received += receiver_empty(&receiver, link.to);
            bench_stop(run);
        }
        bench_done(run, receiver.frames - before);
    }
    received += finish(&receiver, &link, &frames, &sent, &at);
    while (received < sent)
        received += receiver_empty(&receiver, link.to);
    bench_bytes(run, (double)frames.length / frames.count);
    bench_equal(run, "events received", receiver.frames, sent / frames.length * frames.count);
    bench_equal(run, "bytes left of a frame", receiver.kept, 0);
    link_close(&link);
    free(receiver.buffer);
    free(frames.bytes);
}

const struct bench bench_receive[] = {
    {.name = "crossover/receive",
     .operation = "receive one event of 128 bytes into a buffer of this size and check it, while more wait",
     .operations_least = 2000,
     .run = receive_buffer,
     .plot_over = "buffer_bytes",
     .limit_name = "RECEIVE_BULK_BYTES",
     .limit = RECEIVE_BULK_BYTES,
     .axes = {{.name = "buffer_bytes",
               .values = {{2, {2048, 65536}},
                          {5, {2048, 8192, 32768, 131072, 262144}},
                          {10, {1024, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 1048576, 2097152}}}}}},
    {0}};
