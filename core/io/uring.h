/* uring.h: the inside of the io_uring body: ring, pool, queues, connections. Fields are private to the uring
 * files of core/io.
 * Owner: the worker thread that called io_enable; creation may be elsewhere.
 * uring_ring.c enters the kernel and brings completions in, uring_receive.c receives, io_uring.c is the
 * contract.
 * Nothing blocks but uring_enter, for at most its wait.
 * A ring that is broken (a fatal errno of enter) says so from every io_turn on. */
#pragma once

#include "core/io/uring_compat.h" /* first: see there */

#include "core/base/limits.h"
#include "core/io/body.h"
#include "core/io/sent.h"

#define URING_SQ_ENTRIES 1024u /* submitted at once; a fuller turn submits in between: 64 KiB */
#define URING_CQ_ENTRIES                                                                                     \
    4096u /* twice what a turn handles, twice again: 64 KiB; beyond it the kernel keeps a list */
#define URING_BULK_IDLE_MS   1000u /* a bulk connection that was idle so long is light again */
#define URING_BULK_SMALL_RUN 64u   /* ... or that received less than a light buffer so many times in a row */
#define URING_LIGHT_FULL_RUN                                                                                 \
    2u /* a light connection that fills its buffer so many times in a row turns bulk */
#define URING_LOOK_NS                                                                                        \
    NS_PER_S /* a light connection that fell silent is looked at after this, and within twice */
#define URING_HARVEST_ROUNDS 64u /* overflowed completions are fetched at most so often in a row */
#define URING_GROUP          0u  /* the only group of provided buffers */

enum uring_kind { /* bits 24 to 31 of user_data, between index and generation */
                  URING_RECEIVE = 1,
                  URING_POLL_IN,
                  URING_WRITABLE,
                  URING_SEND,
                  URING_ACCEPT,
                  URING_BELL,
                  URING_CANCEL = 0x10 /* with the kind of what is cancelled */
};

enum uring_flag {
    URING_F_LISTENER = 1 << 0,
    URING_F_PAUSED = 1 << 1,
    URING_F_END_HELD = 1 << 2, /* the end came while paused or behind held bytes; told after them */
    URING_F_ENDED = 1 << 3,    /* `ended` has been told */
    URING_F_CLOSING = 1 << 4,
    URING_F_ABORT = 1 << 5,
    URING_F_BULK = 1 << 6,
    URING_F_STARVED = 1 << 7,    /* in the list of those that found no buffer */
    URING_F_HELD = 1 << 8,       /* in the list of those resumed with held bytes or a held end */
    URING_F_CANCELLING = 1 << 9, /* a cancel of the receive is on its way */
    URING_F_BACKOFF = 1 << 10,   /* a listener waits for descriptors */
    URING_F_AGAIN = 1 << 11,     /* has been armed before, so the next time is a re-arm */
    URING_F_NONEMPTY = 1 << 12,  /* the last receive left bytes in the socket */
    URING_F_FED = 1 << 13,       /* a multishot has brought bytes since the last look */
    URING_F_SILENT = 1 << 14,    /* ... before the last look, and none since */
    /* In flight; all must be clear before the descriptor is closed. */
    URING_F_RECEIVE = 1 << 16,
    URING_F_POLL_IN = 1 << 17,
    URING_F_WRITABLE = 1 << 18,
    URING_F_ACCEPT = 1 << 19,
    URING_F_SEND = 1 << 20
};
#define URING_F_IN_FLIGHT                                                                                    \
    (URING_F_RECEIVE | URING_F_POLL_IN | URING_F_WRITABLE | URING_F_ACCEPT | URING_F_SEND)

/* Bytes that came between a pause and its taking effect. */
struct uring_held {
    uint32_t length;
    uint32_t consumed;
    uint32_t capacity;
    uint8_t bytes[];
};

struct uring_conn {
    struct io_slot slot;
    void *user;
    struct uring_held *held; /* owns */
    int fd;
    uint32_t flags;
    uint32_t list_next; /* of the one list it is in, by index */
    uint32_t list_prev;
    uint32_t send_bytes; /* offered by the send in flight */
    uint32_t bulk_ms;    /* time of the last bulk receive */
    int32_t end_error;
    uint32_t run; /* full light receives, or small bulk receives, in a row */
};
static_assert(sizeof(struct uring_conn) <= 128, "ten thousand idle connections cost about a mebibyte");

struct uring_list { /* doubly linked by index, first in first out */
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

struct uring_done { /* a completion that was taken out of the completion queue */
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

typedef int (*uring_enter_fn)(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *arg,
                              size_t size);

struct uring {
    struct io io;
    struct io_uring ring;
    uring_enter_fn enter; /* io_uring_enter2, except where a test injects errors */
    int broken;           /* the fatal errno, negative */
    bool ring_made;
    bool oneshot;
    struct io_table table;
    /* Provided buffers. */
    struct io_uring_buf_ring *pool; /* owns (mmap), pool_entries entries */
    uint8_t *pool_bytes;            /* owns (mmap), pool_count buffers of RECEIVE_LIGHT_BYTES */
    uint32_t pool_count;
    uint32_t pool_entries;   /* power of two */
    uint32_t pool_used;      /* named by completions that we hold */
    uint8_t *hot;            /* owns; RECEIVE_BULK_BYTES */
    struct msghdr *messages; /* owns; one per submission entry, read by the kernel only while it submits */
    /* Completions taken in and not handled yet. */
    struct uring_done *done; /* owns */
    uint32_t done_mask;
    uint32_t done_produced;
    uint32_t done_consumed;
    /* Sends. */
    struct io_sent_list sent;
    uint32_t sends_open; /* queued or submitted, result not taken in */
    /* Connections that wait for something of ours. */
    struct uring_list starved;
    struct uring_list held;
    uint32_t backoff_count;
    uint64_t backoff_until_ns;
    bool looking; /* some connection is fed or silent */
    uint64_t look_ns;
    uint64_t look_every_ns; /* URING_LOOK_NS; tests look sooner */
    uint64_t now_ns;        /* of this turn; 0 = not read yet */
};

static inline struct uring *uring_of(struct io *io) {
    return (struct uring *)io;
}
static inline uint64_t uring_data(const struct io_slot *slot, uint32_t kind) {
    return io_slot_handle(slot) | (uint64_t)kind << IO_TABLE_INDEX_BITS;
}
static inline uint32_t uring_kind_of(uint64_t user_data) {
    return (uint32_t)user_data >> IO_TABLE_INDEX_BITS;
}
static inline uint32_t uring_done_count(const struct uring *uring) {
    return uring->done_produced - uring->done_consumed;
}

/* --- uring_ring.c --- */
int uring_ring_init(struct uring *uring, const struct io_config *config, const char **step) MUST_USE;
void uring_ring_deinit(struct uring *uring); /* zeroed memory is accepted */
int uring_ring_enable(struct uring *uring) MUST_USE;
/* An empty submission entry; submits when there is none left. Never NULL. */
struct io_uring_sqe *uring_entry(struct uring *uring);
/* Submits what is queued and runs the kernel's deferred work; waits for one completion for at most wait_ns.
 * Interruptions and shortages are not errors: what was not submitted stays queued. */
int uring_enter(struct uring *uring, uint64_t wait_ns) MUST_USE;
/* Whether the kernel has taken all entries, and with them the bytes of all sends: these do not wait. */
bool uring_submitted(const struct uring *uring);
/* Whether an enter would find something to do. */
bool uring_enter_due(const struct uring *uring);
/* Takes completions out of the queue, also overflowed ones: sends' to `sent`, others' to `done` while it has
 * room. */
void uring_harvest(struct uring *uring);
void uring_cancel(struct uring *uring, const struct uring_conn *conn, enum uring_kind kind);
uint8_t *uring_pool_buffer(const struct uring *uring, uint32_t done_flags);
void uring_pool_return(struct uring *uring, uint32_t done_flags);
uint64_t uring_now_ns(struct uring *uring);
/* A test's way to inject what the kernel may say. */
void uring_enter_replace(struct io *io, uring_enter_fn enter);

/* --- uring_receive.c --- */
/* Begins to receive, or does so again, unless something stands against it. */
void uring_receive_arm(struct uring *uring, struct uring_conn *conn);
/* Both handle a completion whose connection lives. They may end in `closed`. */
void uring_receive_done(struct uring *uring, struct uring_conn *conn, const struct uring_done *done);
void uring_poll_in_done(struct uring *uring, struct uring_conn *conn, const struct uring_done *done);
void uring_receive_pause(struct uring *uring, struct uring_conn *conn);
void uring_receive_resume(struct uring *uring, struct uring_conn *conn);
/* Arms those that found no buffer, once half the pool is back. */
void uring_starved_arm(struct uring *uring);
/* Tells held bytes and ends to at most `budget` of those that were resumed; returns to how many. */
uint32_t uring_held_tell(struct uring *uring, uint32_t budget);
/* Looks at connections that fell silent, when it is time. */
void uring_look(struct uring *uring);
/* Takes the connection out of its list and frees what is held. */
void uring_receive_forget(struct uring *uring, struct uring_conn *conn);

/* --- io_uring.c --- */
/* Closes a closing connection's descriptor when nothing is in flight any more; then `conn` is gone. */
void uring_close_finish(struct uring *uring, struct uring_conn *conn);
