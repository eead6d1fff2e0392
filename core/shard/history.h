/* history.h: how a worker gets records of a disk log that are no longer in its ring: it asks, and goes on.
 * Owner: a request is its worker's; whoever answers has it from `ask` to `answered`, and touches it then
 * only. Threads: ask and oldest are called on workers' threads; a request is filled by the answerer's.
 * Nothing blocks a worker: it is told by a command in its mailbox. Who answers may wait for the disk.
 * Fails by the request's `result`. A request that nobody wants any more is answered all the same. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "ring/log.h"

#include <stdbool.h>
#include <stdint.h>

enum history_kind {
    HISTORY_READ,  /* records from a position on */
    HISTORY_SINCE, /* the position of the first record that was received at a time or later; no records */
};

struct history_request {
    /* what is asked for */
    enum history_kind kind;
    uint32_t disk;      /* index of the disk log */
    uint32_t bytes_max; /* of frames; one record is given in any case */
    uint64_t from;      /* a position, or nanoseconds of the wall clock */
    /* the answer */
    int result;      /* 0, -ENODATA (nothing yet), -ERANGE (no longer kept), or what went wrong */
    uint64_t first;  /* READ: of the records given; above `from` where a hole was left by a cut. SINCE: it */
    uint64_t end;    /* behind the last of them */
    uint64_t oldest; /* the lowest position kept when it was answered */
    uint64_t bytes;  /* of frames */
    /* owns: HISTORY_RECORDS entries, that of position p at p % HISTORY_RECORDS; offsets are from `frames` */
    struct log_entry *entries;
    uint8_t *frames; /* owns */
    uint64_t frames_room;
    /* how the worker is told: false = its mailbox is full, try again */
    bool (*answered)(struct history_request *request);
    void *owner;
    struct history_request *next; /* the answerer's */
};

/* Copies the record that is behind those that are there already, for the first one from history_begin on.
 * True: it has it; false: it has no room for it, or result is -ENOMEM. */
void history_begin(struct history_request *request);
bool history_add(struct history_request *request, uint64_t position, const struct log_entry *entry,
                 const uint8_t *bytes);
/* The same for a row of records; `first` is the position of the first one, whose bytes are at frames +
 * entries[0].offset, and so on without a hole. 0 or -ENOMEM; at least one record. */
int history_fill(struct history_request *request, uint64_t first, const struct log_entry *entries,
                 uint32_t count, const uint8_t *frames) MUST_USE;
void history_free(struct history_request *request); /* what it owns */

/* Who answers. */
struct history {
    void *user;
    void (*ask)(void *user, struct history_request *request);
    uint64_t (*oldest)(void *user, uint32_t disk); /* the lowest position kept; a hint, it moves up */
};
