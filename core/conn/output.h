/* output.h: what a connection still has to send: one ordered list of slices of logs and private bytes.
 * Owner: one connection; the worker's thread. Slices come from the worker's pool, private items from the
 * heap. A slice borrows ring memory: the worker's gate stands at or below its first record until it is sent
 * or dropped. Private bytes are owned. Nothing blocks. Sending is: output_gather, the system call,
 * output_sent with what was taken. Adding fails with -ENOBUFS (pool empty) or -ENOMEM; then nothing was
 * added. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "ring/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define OUTPUT_PRIVATE UINT16_MAX
/* A slice of log i may also lie in a copy of its records: then it is of view OUTPUT_COPY + i. */
#define OUTPUT_COPY  LOGS_MAX
#define OUTPUT_VIEWS (2 * LOGS_MAX)

#define OUTPUT_ENDED   1u /* subscriptions have ended with this frame */
#define OUTPUT_CARRIED 2u /* it is, or belongs to, a delivered event, and no reply */

struct output_item {
    struct output_item *next;
    uint64_t first;  /* slice: position of its first record not wholly sent, or of one before it; private:
                        OUTPUT_ENDED and OUTPUT_CARRIED */
    uint64_t offset; /* slice: where in the log the next byte to send is */
    uint32_t length; /* bytes still to send */
    uint16_t log;    /* index of the log, or of its copy, or OUTPUT_PRIVATE */
    uint16_t position_at; /* private: where in the item a Position begins that goes on to its end; 0 = none,
                             or begun */
};
static_assert(sizeof(struct output_item) == 32, "two items a cache line");

/* One per worker. */
struct output_pool {
    struct output_item *items; /* owns */
    struct output_item *spare;
    uint32_t used;
    uint32_t used_most;
};
int output_pool_init(struct output_pool *pool, uint32_t items) MUST_USE;
void output_pool_deinit(struct output_pool *pool);

struct output {
    struct output_item *first;
    struct output_item *last;
    uint64_t bytes;          /* of all items */
    uint32_t slices;         /* how many items are slices */
    uint32_t private_length; /* unsent private bytes */
    uint32_t rest;           /* how many of them, in front, are the rest of a begun record and no replies */
    uint32_t carried;        /* how many of them are delivered events and what belongs to them */
    uint32_t private_begin;
    uint32_t private_capacity;
    uint8_t *private_bytes; /* owns; the private items' bytes in their order */
};

/* Adds a run of records of one log: `length` contiguous bytes at `offset`, the first record at position
 * `first`. Grows the last item when it continues it. */
int output_slice(struct output *output, struct output_pool *pool, uint16_t log, uint64_t first,
                 uint64_t offset, uint32_t length) MUST_USE;
/* Room for a private frame of `length` bytes, which the caller fills at once. `position_at`: see output_item.
 * NULL = no memory. */
uint8_t *output_private(struct output *output, uint32_t length, uint16_t position_at) MUST_USE;
/* The same for a delivered event, which counts as no reply. */
uint8_t *output_carried(struct output *output, uint32_t length) MUST_USE;
/* Bytes of replies that are not sent: what a client must read for us to read from it. */
static inline uint32_t output_replies(const struct output *output) {
    return output->private_length - output->rest - output->carried;
}

/* Copied slices of one turn. */
struct staging {
    uint8_t *bytes; /* owns, STAGING_BYTES */
    uint32_t used;
    uint32_t used_most;
};
/* Fills at most SEND_IOV_MAX pieces with at most SEND_BYTES_MAX bytes from the front of the list; what is
 * smaller than SEND_COPY_MAX is copied together. `views` by index. Returns the pieces, 0 when staging has no
 * room (flush, reset, try again) or nothing is there. */
uint32_t output_gather(const struct output *output, const struct log_view *const *views,
                       struct staging *staging, struct iovec iov[SEND_IOV_MAX]);
/* `bytes` were taken by the kernel. */
void output_sent(struct output *output, struct output_pool *pool, uint64_t bytes);

/* The lowest position of `log` that unsent slices still need, or UINT64_MAX. Brings the first slice's `first`
 * up to date. Under the gate. */
uint64_t output_lowest(struct output *output, const struct log_view *view, uint16_t index);
/* Lowers a packed Position in a private frame: to next[i] for every log i that stands higher. */
typedef void output_mend(uint8_t *packed, size_t length, const uint64_t *next);
/* The last frame says that a subscription has ended: slices in front of it may be of no use behind it. */
void output_ended(struct output *output);
bool output_has_ended(const struct output *output); /* ... and such a frame is not sent yet */
struct output_retreat {
    const struct log_view *const *views; /* OUTPUT_VIEWS, by index */
    uint32_t count;                      /* of the logs */
    output_mend *mend;
    const uint64_t *ended; /* per log: below it nothing is due behind the last output_ended; may be NULL */
    uint64_t *next;        /* per log: in: the live end; out: where the connection goes on */
};
/* Takes all slices out of the list. The rest of a record that is sent in part becomes private bytes, at the
 * front. For every log that had slices, next[log] is lowered to the first position whose record was not
 * begun, and so is each Position in a private frame that had slices of that log in front of it; behind the
 * last output_ended not below `ended`. Under the gate. -ENOMEM: the rest could not be kept. */
int output_retreat(struct output *output, struct output_pool *pool,
                   const struct output_retreat *how) MUST_USE;
void output_deinit(struct output *output, struct output_pool *pool);
