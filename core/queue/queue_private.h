/* queue_private.h: what the files of core/queue share: the queue, its members and its outstanding events.
 * Owner: the queue; private to core/queue. One thread.
 * A queue that nobody is a member of, and of which nothing is outstanding, is little more than its terms and
 * its cursors: there may be very many.
 * Outstanding events are entries of one array, which grows; they name each other by index, so that growing
 * moves nothing but memory. Nothing blocks. Room in every table is made when an entry is made: what happens
 * to it later can not fail. */
#pragma once

#include "core/base/list.h"
#include "core/queue/lookup.h"
#include "core/queue/queue.h"
#include "core/queue/timers.h"

#include <stddef.h>

#define NO_ENTRY UINT32_MAX

enum entry_state {
    ENTRY_FREE,
    ENTRY_PARKED, /* behind another with its key */
    ENTRY_READY,  /* to be delivered as soon as somebody has credit: in `ready` */
    ENTRY_PAUSED, /* has failed: in `timers` until it is ready */
    ENTRY_OUT,    /* held by a member: in `timers` until its lease ends */
    ENTRY_DEAD,   /* to be buried: in the list of the dead */
};

struct entry {
    uint64_t position;
    uint64_t key;   /* as offered, salted for a replay; 0 = none */
    uint64_t order; /* of the offers; replayed ones come after all others */
    uint64_t time_ns;
    uint64_t first_ns, last_ns; /* of its deliveries; 0 = none yet */
    uint64_t delivery;
    uint64_t serial; /* of the member that had it last; 0 = none */
    uint8_t *reason; /* owns; of a dead one, its length in reason_bytes */
    uint32_t log;
    uint32_t size;
    uint32_t member;             /* who holds it */
    uint32_t attempt;            /* deliveries so far */
    uint32_t log_prev, log_next; /* in the order of positions; a free entry: log_next is the next free one */
    uint32_t member_prev, member_next; /* in the order of deliveries; the dead use member_next */
    uint32_t key_next, key_last;       /* those parked behind it; key_last is the head's only */
    uint16_t reason_bytes;
    uint32_t replay_of; /* of a replayed one: which replay */
    uint8_t state;
    bool replay;
    bool refused;
};

/* Holes of the state that was restored: outstanding then, not offered again yet. */
struct hole_run {
    uint64_t from;
    uint64_t count;
    uint64_t first_ns, last_ns;
    uint32_t attempt;
};

struct queue_log {
    uint32_t log;
    uint32_t first, last; /* outstanding, in the order of positions */
    uint32_t run_count;   /* of `runs` */
    uint32_t run_at;      /* those before it have been offered */
    uint64_t cursor;
    uint64_t restored_to;  /* below it events are looked up in the runs; the cursor had come so far */
    struct hole_run *runs; /* owns; NULL when the cursor has passed them */
};

struct member {
    struct list willing; /* has credit: in queue->willing, the next to get something in front */
    uint64_t owner;
    uint64_t serial; /* never used twice */
    uint64_t next_delivery;
    uint64_t bytes;  /* held */
    uint32_t number; /* in queue->members */
    uint32_t window;
    uint32_t out;         /* held */
    uint32_t replays;     /* of these */
    uint32_t first, last; /* held, in the order of deliveries */
};

/* What a queue needs while it has members or outstanding events. */
struct queue_work {
    struct list willing;
    struct member **members; /* owns; by number, NULL = free */
    uint32_t members_capacity, member_count;
    struct lookup owners;  /* -> number of the member */
    struct entry *entries; /* owns */
    uint32_t entries_capacity, entries_used, entries_free;
    uint32_t outstanding, parked, dead_count;
    uint32_t replays, replays_parked; /* of these */
    uint32_t replay_number;           /* of the replay that goes on */
    struct queue_replay replay;       /* what has become of its events */
    struct timers timers;             /* of entries: leases and pauses */
    struct timers ready;              /* of entries, by order */
    struct lookup deliveries;         /* member and delivery -> entry */
    struct lookup keys;               /* -> first entry with it */
    uint32_t dead_first, dead_last;
    uint64_t next_order, next_serial;
};

/* What all queues that need none of that have instead, in any thread: it is never written. */
extern struct queue_work queue_idle;

struct queue {
    struct queue_work *work; /* owns, unless it is queue_idle */
    struct queue_log *logs;  /* owns; ascending */
    uint32_t log_count;
    uint64_t held;
    struct queue_totals totals;
    struct queue_terms terms;
    uint8_t texts[]; /* of the terms */
};

/* queue.c */
/* Before there is a first member; -ENOMEM. */
int queue_wake(struct queue *queue) MUST_USE;

/* members.c */
struct member *member_of(const struct queue *queue, uint64_t owner); /* or NULL */
/* Whether it is in the list of the willing, and where, after its credit has changed. */
void member_willing(struct queue *queue, struct member *member);
/* Who gets an event: if another one has credit, not the member that had it last. NULL = nobody has credit. */
struct member *member_choose(const struct queue *queue, bool replay, uint64_t not_serial);

/* entries.c */
/* A new entry at the end of its log and key, parked or ready. NO_ENTRY without memory, or when there are too
 * many. */
uint32_t entry_make(struct queue *queue, const struct queue_event *event) MUST_USE;
uint64_t
event_key(const struct queue_event *event); /* live and replayed events keep their order separately */
/* The entry is done: what is parked behind it is ready now. */
void entry_done(struct queue *queue, uint32_t entry);
void entry_ready(struct queue *queue, uint32_t entry);
/* Gives it to the member. */
void entry_give(struct queue *queue, uint32_t entry, struct member *member, struct queue_time now,
                struct queue_delivery *delivery);
/* Takes it from the member that holds it; the caller says what becomes of it. */
void entry_take_back(struct queue *queue, uint32_t entry);
/* A delivery of it, which is still out, has failed: it comes again after the pause, or is dead. */
void entry_failed(struct queue *queue, uint32_t entry, uint64_t pause_ns, struct queue_time now,
                  struct queue_text reason);
void entry_dies(struct queue *queue, uint32_t entry, struct queue_text reason, bool refused);
/* It is replayed, and its replay has ended. */
bool entry_left_over(const struct queue *queue, const struct entry *entry);
/* The counts of the replay that a replayed entry belongs to; NULL: it has ended, or the entry is live. */
struct queue_replay *entry_replay(struct queue *queue, uint32_t entry);
/* Its entry, or NO_ENTRY. */
uint32_t entry_of(const struct queue *queue, const struct member *member, uint64_t delivery);

/* logs.c */
struct queue_log *log_of(const struct queue *queue, uint32_t log); /* or NULL */
/* What the restored state says of the position: NULL = done; else the run it is in. The cursor is at it. */
const struct hole_run *log_hole(struct queue_log *log, uint64_t position);
void log_cursor(struct queue_log *log, uint64_t position);
uint64_t log_floor(const struct queue *queue, const struct queue_log *log);
