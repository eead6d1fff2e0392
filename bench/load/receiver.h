/* receiver.h: a subscriber: compares the first deliveries byte for byte, then counts bytes without copying.
 * Owner: the mode that runs (max, paced, replay). One thread.
 * Counting is recv with MSG_TRUNC: the kernel drops the bytes and tells how many they were.
 * Nothing blocks, but for receiver_settle, which runs when nothing is measured.
 * A byte that is not as planned, a lost or repeated event, or a closed connection ends the program. */
#pragma once

#include "bench/load/net.h"
#include "bench/load/plan.h"

struct receiver {
    int fd;
    uint32_t number;
    const struct plan *plan;
    uint64_t bytes;          /* of deliveries received; noise that was recognised is not among them */
    uint64_t compare_left;   /* deliveries still to be compared; then only counted */
    uint64_t compared_bytes; /* in all */
    uint32_t *counts;        /* owns; while comparing: deliveries on each topic so far */
    uint8_t *hold;           /* owns; the beginning of a delivery whose end has not come yet */
    size_t hold_length;
    bool noise_seen;
};

/* One receive takes at most so much. The buffer is shared by all, and empty between two calls. */
#define RECEIVER_BUFFER_BYTES (4u << 20)

void receiver_open(struct receiver *receiver, const struct plan *plan, uint32_t number);

/* As receiver_open, but with a connection that has not subscribed to anything. */
void receiver_connect(struct receiver *receiver, const struct plan *plan, uint32_t number);
/* Subscribes it to everything from the oldest event on, and takes the server's answer, behind which
 * deliveries come. Waits for it. */
void receiver_begin(struct receiver *receiver);

/* Takes what is there. */
void receiver_read(struct receiver *receiver);

/* Behind the last delivery: asks the server, whose answer must be all that comes. With the relay, which can
 * not be asked, nothing more may come for a while. Returns with exactly `expected` bytes. */
void receiver_settle(struct receiver *receiver, uint64_t expected);

/* The deliveries that come next are compared, `frames` of them at most, when each publisher has sent
 * `sent[publisher]` frames so far and all of them have arrived. */
void receiver_compare(struct receiver *receiver, const uint64_t *sent, uint64_t frames);

/* One receive, for a caller that looks at the bytes itself; with `drop` they are not copied. 0 = nothing
 * there. */
size_t receiver_take(struct receiver *receiver, uint8_t *buffer, size_t room, bool drop);
