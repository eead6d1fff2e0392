/* log.h: the broadcast ring of one shard: one writer, many cursors, nothing copied per reader.
 * Owner: the shard that creates it; its home worker is the only writer. Readers have one gate each.
 * log_writer_* are for the home worker, log_reader_* for the thread that holds the gate, the rest for anyone.
 * Nothing blocks: a full ring is the answer RING_FULL, and the caller decides what waits.
 * Fails only in log_create (negative errno); everything else is total on valid arguments (CHECK).
 *
 * The algorithm, its states and its named edges are at the top of log.c. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "ring/counter.h"
#include "ring/ring.h"
#include "ring/wake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;

/* 32 bytes, dense: consumers read these and never touch the payload. Positions are indexes of entries, from
 * 1, never reused. */
struct log_entry {
    uint64_t offset; /* of the record's first byte, from the log's beginning; log_bytes_at folds it */
    uint32_t length; /* bytes of the record, a whole frame with its length prefix */
    uint32_t flags;  /* log_flags() */
    uint64_t topic;  /* id given by the writer: log number in the top 16 bits; 0 in markers */
    uint64_t time;   /* wall clock when received, nanoseconds */
};

/* 5..15 are reserved; readers skip types that they do not know. */
enum log_type {
    LOG_EVENT = 0,
    LOG_CLOSE = 1,
    LOG_OPEN = 2,
    LOG_STATE = 3,          /* of a queue, by its keeper; delivered to nobody */
    LOG_EVENT_EXPIRING = 4, /* an event whose time may be over: who delivers it looks */
};

/* flags = type:4 | slot:12 | where the topic's bytes begin in the record:8 | their length:8 */
static inline uint32_t log_flags(enum log_type type, uint32_t slot, uint32_t topic_at,
                                 uint32_t topic_length) {
    return (uint32_t)type | slot << 4 | topic_at << 16 | topic_length << 24;
}
static inline enum log_type log_flags_type(uint32_t flags) {
    return (enum log_type)(flags & 15u);
}
static inline bool log_flags_event(uint32_t flags) {
    return log_flags_type(flags) == LOG_EVENT || log_flags_type(flags) == LOG_EVENT_EXPIRING;
}
static inline uint32_t log_flags_slot(uint32_t flags) {
    return flags >> 4 & 0xfffu;
}
static inline uint32_t log_flags_topic_at(uint32_t flags) {
    return flags >> 16 & 0xffu;
}
static inline uint32_t log_flags_topic_length(uint32_t flags) {
    return flags >> 24;
}

struct log_config {
    uint16_t number;     /* of the log, for ever; not a shard number */
    uint64_t data_bytes; /* power of two, at least a page, at most LOG_DATA_MAX */
    uint64_t records;    /* index entries, power of two, at least LOG_CLAIM_STEPS */
    uint64_t grace_ns;   /* how long, in all, the writer holds back for laggards */
    uint64_t first;      /* position of its first record, below 2^48; 0 = 1 */
    bool prefault;       /* touch all pages now; benches and small tests say false */
    bool journalled;     /* `visible` is moved by log_visible_set, not by publishing */
    struct wake *writer; /* wakes the home worker when space was wanted; may be NULL (tests) */
};

int log_create(struct log **out,
               const struct log_config *config) MUST_USE; /* -ENOMEM, -EINVAL, -errno of memfd/mmap */
void log_destroy(struct log *log);                        /* no reader may be left; NULL is allowed */

uint16_t log_number(const struct log *log);
uint64_t log_data_bytes(const struct log *log);
uint64_t log_records(const struct log *log);
/* The longest record: 1/LOG_FRAMES_MIN of the data, which the largest frame of a publisher may be, and what a
 * record has more than that frame: the sequence. */
static inline uint64_t log_record_max(const struct log *log) {
    return log_data_bytes(log) / LOG_FRAMES_MIN + FRAME_OVERHEAD_MAX;
}

/* ---- writer: the home worker ---- */

/* Another budget of grace; what is left of it grows or shrinks with it. */
void log_writer_grace(struct log *log, uint64_t grace_ns);
/* Room for one record of `length` bytes (contiguous, thanks to the mirror), valid until the next log_writer_*
 * call. RING_FULL: a hard gate, or a laggard for whom the grace budget still lasts, holds the space. The
 * caller publishes, parks what it was doing, and tries again after its wake, or at *retry_ns (mono clock; 0 =
 * only the wake tells). `now_ns` = clock_mono_ns of this turn. *retry_ns is written only with RING_FULL.
 * length must be <= log_record_max(). Between claims (1/64 of a ring) it reads no gate. */
enum ring_result log_writer_reserve(struct log *log, uint32_t length, uint64_t now_ns, uint8_t **out,
                                    uint64_t *retry_ns);
/* Whether the space that the last reserve was refused for has stayed where it was. A worker with something
 * parked for space asks this when it looks again after wake_announce: false means that a gate or floor has
 * moved since (also one of its own), so it tries again. */
bool log_writer_waits(const struct log *log);
/* Position that the next committed record will have (its sequence is made of it). */
uint64_t log_writer_next(const struct log *log);
/* Contiguous free bytes from the next record's place on, at most *size of them (at most a sixteenth of the
 * ring), for bytes that may become records where they lie. NULL: none can be had now. They stay the caller's
 * until records are written there. */
uint8_t *log_writer_ahead(struct log *log, size_t *size, uint64_t now_ns);
/* Whether a byte that lies in the ring is the first one of the next record, by either of its addresses. */
static inline bool log_writer_is_next(const struct log *log, const uint8_t *byte);
/* Offset of the next record. */
static inline uint64_t log_writer_offset(const struct log *log);
/* Leaves out the bytes below `offset`, which log_writer_ahead gave: no record lies there, also none that was
 * reserved and not committed. */
void log_writer_skip(struct log *log, uint64_t offset);
/* A record of `length` bytes is about to be copied in: see log.c. */
void log_writer_warm(const struct log *log, uint32_t length);
/* Adds the entry for the bytes written at the last reserve (length <= the reserved one; once per reserve).
 * Not visible before log_writer_publish. Publishes by itself when 1/8 of the ring is unpublished. */
void log_writer_commit(struct log *log, uint32_t length, uint32_t flags, uint64_t topic, uint64_t time_ns);
/* Behind a reserve: how many records of `length` bytes, this one included, the entries claimed and the batch
 * have room for. At least 1. */
uint64_t log_writer_train_most(const struct log *log, uint32_t length);
/* As log_writer_commit for `count` records of `length` bytes each, of one topic, that lie one behind the
 * other in their place, in bytes that log_writer_ahead gave, behind a reserve for the first; no more than
 * log_writer_train_most. Writes into each its sequence: `sequence` and what follows. */
struct log_train {
    uint32_t count;
    uint32_t length;
    uint32_t flags;
    uint32_t sequence_at; /* in a record */
    uint64_t sequence;    /* of the first */
    uint64_t topic;
    uint64_t time_ns;
};
void log_writer_train(struct log *log, const struct log_train *train);
/* One release store of `produced` (and `visible`, unless the log is journalled) for all committed; true if
 * there was something new since the last call (also what commit published by itself): then the caller wakes
 * its readers. */
bool log_writer_publish(struct log *log);
/* Whether commit has published by itself what log_writer_publish has not told yet. A caller that asks after
 * each commit, and then calls it, wakes its readers for each batch. */
static inline bool log_writer_news(const struct log *log);
/* For metrics: read by anyone, written by the home worker. */
struct log_counters {
    struct counter claims;         /* space taken over from old records, in steps */
    struct counter refused_gate;   /* claims refused because a gate stood in the way */
    struct counter refused_grace;  /* claims refused because a laggard did, and the budget lasted */
    struct counter passed_laggard; /* claims that overtook at least one laggard */
    struct counter batches;        /* times `produced` moved */
    struct counter records;        /* committed */
    struct counter bytes;          /* committed */
};
const struct log_counters *log_counters(const struct log *log);
/* CHECKs the invariants of the writer's state. Home worker only; for tests and debug builds. */
void log_check(const struct log *log);

/* ---- any thread ---- */

/* Positions < produced are published (acquire edge: LOG_PUBLISH). */
static inline uint64_t log_produced(const struct log *log);
/* No reader but the journal passes this; never above produced. */
static inline uint64_t log_visible(const struct log *log);
/* A journalled log: positions below `position` are durable, and what lies from there on is not overwritten.
 * Never down, never above produced; one thread, which wakes the readers (release edge: LOG_VISIBLE). */
void log_visible_set(struct log *log, uint64_t position);
/* Lowest position whose entry and bytes both survive; moves only up. A hint but for positions under the
 * caller's gate. */
uint64_t log_oldest(const struct log *log);
/* Highest published position of that slot; one below the first that the log can have = none. Never behind a
 * `produced` read before this call, but perhaps ahead of it: so read `produced` first. */
uint64_t log_slot_last(const struct log *log, uint32_t slot);
/* How many records of that slot were committed since the log was made. Any thread. */
uint64_t log_slot_records(const struct log *log, uint32_t slot);

/* ---- readers: one gate per thread ---- */

/* Takes a gate, IDLE. Negative -EAGAIN when LOG_READERS_MAX are in use. Any thread; the gate then belongs to
 * the caller's thread. */
int log_reader_attach(struct log *log) MUST_USE;
void log_reader_detach(struct log *log, int gate);
/* The oldest position this thread may still touch. Raising (never from IDLE, never down: CHECK): a release
 * store; what lies below is given up. Then one full fence to look whether the writer wants space, so raise
 * once per turn or claim step, not per record. Raising to where the gate stands costs nothing. */
void log_reader_raise(struct log *log, int gate, uint64_t position);
/* Lowering, or leaving IDLE: store, full fence, load `oldest`; false when `position` is already overtaken,
 * and then the gate is IDLE. From a gate at or below `position` it is a raise, and true.
 * Positions up to `produced` are allowed (attach at the live end never fails unless the ring laps within the
 * call; then it returns false too). */
bool log_reader_lower(struct log *log, int gate, uint64_t position) MUST_USE;
void log_reader_idle(struct log *log, int gate);
uint64_t log_reader_gate(const struct log *log, int gate); /* LOG_IDLE or the position */
#define LOG_IDLE UINT64_MAX
/* The soft floor of this thread: its lowest laggard's position, or LOG_IDLE. The writer spends its grace
 * before it passes one. */
void log_reader_laggard(struct log *log, int gate, uint64_t position);

/* Under the caller's gate only, for published positions. Pointers are valid while the gate stands at or below
 * `position`. */
static inline const struct log_entry *log_entry_at(const struct log *log, uint64_t position);
/* The byte at an entry's `offset`; contiguous for any slice up to data_bytes. */
static inline const uint8_t *log_bytes_at(const struct log *log, uint64_t offset);

/* What is to be known of a log to find records in it: of a ring, or of a copy of some of its records. */
struct log_view {
    const struct log_entry *index;
    const uint8_t *data;
    uint64_t index_mask;
    uint64_t data_mask;
    const struct log *log; /* NULL: a copy, which ends */
    uint64_t end;          /* ... in front of this position */
};
/* Of a ring, for as long as it lives; what it shows is under a gate as ever. */
static inline struct log_view log_view_of(const struct log *log);
static inline const struct log_entry *log_view_entry(const struct log_view *view, uint64_t position);
static inline const uint8_t *log_view_bytes(const struct log_view *view, uint64_t offset);
static inline uint64_t log_view_end(const struct log_view *view); /* behind what is published */

/* ---- inline part: fields are private to log.c, visible only for the inline functions below ---- */

/* What the home worker tells of a slot. */
struct log_slot {
    uint64_t last; /* position of its last record */
    struct counter records;
};

/* One reader thread's words: two lines, so that the adjacent line's prefetch does not couple two readers. */
struct log_gate {
    uint64_t position __attribute__((aligned(128))); /* LOG_IDLE or the oldest position that it may touch */
    uint64_t floor;                                  /* LOG_IDLE or its lowest laggard */
    uint32_t used;                                   /* 1 while attached */
};

struct log {
    /* written once */
    struct log_entry *index; /* owns */
    uint8_t *data;           /* owns, mirrored */
    uint64_t index_mask;
    uint64_t data_mask;
    uint64_t grace_ns;
    struct wake *wake; /* borrows until destroyed; may be NULL */
    uint16_t number;
    bool journalled;
    /* written by the home worker once per batch; `visible` of a journalled log by the journal's thread */
    uint64_t produced __attribute__((aligned(64)));
    uint64_t visible;
    /* written by the home worker once per claim */
    uint64_t oldest __attribute__((aligned(64)));
    /* home worker only */
    uint64_t next __attribute__((aligned(64))); /* position of the next record */
    uint64_t data_next;                         /* its offset */
    uint64_t data_claimed;                      /* offsets below may be written */
    uint64_t records_claimed;                   /* entries of positions below may be written */
    uint64_t data_published;                    /* offset behind the last published record */
    uint32_t reserved;
    bool reserving;
    bool news;                 /* published by commit, not yet told by log_writer_publish */
    bool grace_holding;        /* a laggard holds the writer back */
    uint64_t grace_left_ns;    /* of the budget */
    uint64_t grace_counted_ns; /* the budget is right as of this time */
    /* written by the home worker, read for metrics */
    struct log_counters counters __attribute__((aligned(64)));
    /* set by the home worker, taken by readers */
    struct wanted wanted __attribute__((aligned(64)));
    /* each written by its reader */
    struct log_gate gates[LOG_READERS_MAX];
    /* written by the home worker */
    struct log_slot slots[SLOT_COUNT] __attribute__((aligned(64)));
};
static_assert(sizeof(struct log_entry) == 32, "two entries a cache line");
static_assert(sizeof(struct log_gate) == 128, "a gate has two lines of its own");
static_assert(offsetof(struct log, produced) % 64 == 0, "readers poll this line");
static_assert(offsetof(struct log, oldest) % 64 == 0, "not on the line that readers poll");
static_assert(offsetof(struct log, next) % 64 == 0, "the writer's own line");
static_assert(offsetof(struct log, wanted) % 64 == 0, "readers load this at every raise");

static inline uint64_t log_writer_offset(const struct log *log) {
    return log->data_next;
}
static inline bool log_writer_is_next(const struct log *log, const uint8_t *byte) {
    uint64_t at = (uint64_t)((uintptr_t)byte - (uintptr_t)log->data);
    return at <= 2 * log->data_mask && ((at ^ log->data_next) & log->data_mask) == 0;
}
static inline bool log_writer_news(const struct log *log) {
    return log->news;
}
static inline uint64_t log_produced(const struct log *log) {
    return __atomic_load_n(&log->produced, __ATOMIC_ACQUIRE); /* LOG_PUBLISH */
}
static inline uint64_t log_visible(const struct log *log) {
    return __atomic_load_n(&log->visible, __ATOMIC_ACQUIRE); /* LOG_PUBLISH, LOG_VISIBLE */
}
static inline const struct log_entry *log_entry_at(const struct log *log, uint64_t position) {
    return &log->index[position & log->index_mask];
}
static inline const uint8_t *log_bytes_at(const struct log *log, uint64_t offset) {
    return log->data + (offset & log->data_mask);
}
static inline struct log_view log_view_of(const struct log *log) {
    return (struct log_view){.index = log->index,
                             .data = log->data,
                             .index_mask = log->index_mask,
                             .data_mask = log->data_mask,
                             .log = log};
}
static inline const struct log_entry *log_view_entry(const struct log_view *view, uint64_t position) {
    return &view->index[position & view->index_mask];
}
static inline const uint8_t *log_view_bytes(const struct log_view *view, uint64_t offset) {
    return view->data + (offset & view->data_mask);
}
static inline uint64_t log_view_end(const struct log_view *view) {
    return view->log != NULL ? log_produced(view->log) : view->end;
}
