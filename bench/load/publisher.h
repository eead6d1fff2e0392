/* publisher.h: sends one cycle of pre-encoded frames again and again, as far as it may.
 * Owner: the mode that runs. One thread.
 * A send never cares where a frame begins; a goal is always a whole number of frames.
 * Nothing blocks: a socket without room is told by the poller.
 * A closed connection or a refusal by the server ends the program. */
#pragma once

#include "bench/load/net.h"
#include "bench/load/plan.h"

struct publisher {
    int fd;
    uint32_t number;
    const struct plan *plan;
    uint64_t sent;         /* bytes */
    uint64_t goal;         /* bytes: not beyond */
    bool blocked;          /* the socket had no room */
    uint64_t acknowledged; /* events; ACK_NONE: 0 */
    struct buffer answer;  /* owns; the beginning of an answer whose end has not come yet */
};

#define GOAL_NONE UINT64_MAX

void publisher_open(struct publisher *publisher, const struct plan *plan, uint32_t number);

/* One send of at most `most` bytes; returns how many were taken. */
size_t publisher_send(struct publisher *publisher, size_t most);

/* Whole frames sent; a frame in part does not count. */
uint64_t publisher_frames(const struct publisher *publisher);

/* It stops at the next end of a frame, or `frames` behind it. */
void publisher_stop(struct publisher *publisher, uint64_t frames);

/* Takes the server's answers that are there. Without acknowledgements there may be none but what a server
 * sends of itself. */
void publisher_read(struct publisher *publisher);

/* All that was sent is acknowledged; asks the server, whose answer must be all that comes. */
void publisher_settle(struct publisher *publisher);

/* Of the whole frames that were sent, those that are not acknowledged. ACK_NONE: 0. */
uint64_t publisher_owed(const struct publisher *publisher);

static inline bool publisher_done(const struct publisher *publisher) {
    return publisher->sent == publisher->goal;
}
