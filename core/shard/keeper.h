/* keeper.h: queues in a router: who keeps them, who is a member, and what the two tell each other.
 * Owner: the worker that holds the structs; its thread. Private to core/shard.
 * A queue is kept by one worker, its keeper: the home of the topic $queue.NAME, or of the mailbox. Its
 * members are connections of any worker. All that goes between them is notes, also within one worker. Nothing
 * blocks. A note that finds the other's mailbox full waits here, in order. Without memory a member is
 * refused, or put out; an event stays with its queue. */
#pragma once

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/queue/queue.h"
#include "core/queue/timers.h"
#include "core/queue/lookup.h"
#include "core/route/route.h"
#include "core/session/session.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct peer;
struct replay;
struct shared_filter;
struct run;
struct reader;
struct home;
struct wire_event;

/* ---- notes (talk.c) ---- */

enum note_kind {
    /* to the keeper */
    NOTE_JOIN,
    NOTE_LEAVE,
    NOTE_REPLAY, /* `bytes` are the queue's name and the filter */
    NOTE_ACK,
    NOTE_REMOVE, /* `bytes` is the name of a queue; the owner is of no member */
    /* to the member */
    NOTE_JOINED,
    NOTE_REFUSED, /* the join, or the removal */
    NOTE_REMOVED,
    NOTE_ANSWER,  /* what is wrong with an Ack */
    NOTE_DELIVER, /* `bytes` is the frame */
    NOTE_EXPIRED,
    NOTE_OUT, /* another connection has taken the queue over, or it can not go on */
    NOTE_GAP,
    NOTE_REPLAYED,
};
#define NOTE_TO_KEEPER(kind) ((kind) <= NOTE_REMOVE)

/* What a replay is to be. */
struct replay_order {
    uint64_t value;   /* of the start: a sequence, or nanoseconds of the wall clock */
    uint64_t to_ns;   /* 0 = no end but where the queue stands */
    uint64_t each_ns; /* between two events, by its rate; 0 = no limit */
    uint8_t start;    /* enum start_kind: OLDEST, SEQUENCE or TIME */
    uint8_t name;     /* bytes of the queue's name, which the filter follows */
    bool refuse;      /* what is gone refuses it */
    bool wait;        /* for a member */
};

#define REPLAY_NO_QUEUE "there is no queue or mailbox of this name: its first member makes it"

struct note {
    struct note *next;
    uint64_t owner; /* of the membership */
    enum note_kind kind;
    uint32_t length; /* of `bytes` */
    union {
        struct {
            struct queue_terms terms;
            void *texts; /* owns */
            uint32_t window;
            bool take_over;
            bool oldest; /* one that is made begins with what is there */
        } join;
        struct {
            uint64_t delivery;
            uint64_t after_ns;
            uint32_t kind; /* `bytes` is the reason */
        } ack;
        struct {
            uint64_t delivery;
            uint64_t lease_ns;
            uint32_t attempt;
            bool replay;
        } deliver;
        struct {
            uint64_t from, to; /* the first and the last position */
            uint32_t log;      /* index */
        } gap;
        struct replay_order replay;
        struct session_replayed replayed; /* its id is the membership's */
        struct fault fault;
        uint64_t delivery; /* of EXPIRED */
        bool take_over;    /* of REMOVE */
    } as;
    uint8_t bytes[];
};

struct talk {
    struct note *first[SHARDS_MAX]; /* owns; by the worker they go to */
    struct note *last[SHARDS_MAX];
};

/* NULL = no memory. */
struct note *note_new(enum note_kind kind, uint64_t owner, const uint8_t *bytes, uint32_t length) MUST_USE;
void talk_send(struct worker *worker, uint32_t to, struct note *note); /* takes it over; accepts NULL */
/* What was sent to this worker's own. */
void talk_own(struct worker *worker);
/* Hands over what was sent to others; once a turn, in front of the sends. */
void talk_flush(struct worker *worker);
void talk_take(struct worker *worker, struct note *notes); /* notes that came by the mailbox */
void talk_free(struct note *notes);
void talk_deinit(struct worker *worker);

/* ---- members: at the worker of the connection (memberships.c) ---- */

/* Also of who waits for the end of a queue, of which it is no member. */
struct membership {
    struct list node; /* in memberships->all */
    uint64_t id;      /* of the subscription */
    uint64_t owner;   /* shard + 1:8 | peer's member:24 | number:32 */
    uint32_t keeper;  /* shard */
    bool joined;      /* Subscribed has been told */
    bool replay;      /* none: who has asked for a replay is addressed in the same way */
    uint8_t name_length;
    uint8_t name[]; /* of the queue */
};

/* What the Context in force at the end of a connection's output says. */
struct context_told {
    uint64_t subscription; /* 0 = there is none */
    uint64_t delivery;     /* the next one */
    uint64_t lease_ns;
    uint32_t attempt;
    bool replay;
};

struct peer;
/* What a connection has that is, or was, in a queue. */
struct memberships {
    struct peer *peer;
    struct list all;
    struct list telling; /* events of a queue were put into its output in this turn */
    struct context_told told;
};

static inline uint32_t owner_shard(uint64_t owner) {
    return (uint32_t)(owner >> 56) - 1;
}

/* ---- queues: at their keeper (keeper.c) ---- */

/* Where an event of the router itself went (ingress.c). */
struct own_placed {
    uint64_t until;
    uint16_t by; /* as in ack_run */
    bool disk;   /* ... and its topic is on disk */
};

struct kept {
    struct list pumping; /* has something to be delivered, or stands behind a live end */
    struct list removing;
    struct list waiting; /* has patterns and no members */
    uint64_t remover;    /* who waits for its end; 0 = it goes on */
    struct list saving;  /* durable: its state is to be written, */
    uint64_t save_ns;    /* ... then */
    uint64_t stated;     /* durable: behind its first state in that log; 0 = it is not written yet */
    uint64_t state_at;   /* durable: position of its last state, */
    uint64_t
        state_safe;    /* ... and of the last one that is known to be on disk; 0 = any of before the start */
    struct home *home; /* durable: of the log that has its state; else NULL */
    struct queue *queue;   /* owns */
    uint64_t logs;         /* one bit for each log where it can match */
    uint64_t live;         /* ... and where it has seen all up to the reader's cursor */
    uint32_t slot;         /* in keeper->slots */
    uint32_t only;         /* the slot of the only topic that it can match, or SLOT_COUNT */
    route_member member;   /* while it is attached */
    bool attached;         /* has members: its patterns are in the route table */
    bool recount;          /* a mailbox of which some was lost: what it holds is counted when it is live */
    bool owes;             /* `owed` has been given out, and its bytes are still looked for */
    bool burying;          /* the oldest dead letter has been sent, and is settled as `letter` says */
    struct replay *replay; /* owns; NULL = none goes on */
    struct shared_filter *filter; /* counted; NULL: whatever matches a pattern is for it */
    struct queue_delivery owed;
    struct own_placed letter;
};

struct keeper {
    struct kept **slots; /* owns; NULL = free */
    uint32_t capacity, count;
    struct lookup names;  /* -> slot */
    struct lookup owners; /* of its members -> slot */
    struct timers timers; /* of slots */
    struct list pumping;
    struct list waiting;              /* queues with patterns and without members */
    struct list removing;             /* durable ones whose end is not on disk yet */
    struct list urgent, saving;       /* states to be written: now, and in the order of their times */
    struct note *joining;             /* owns; joins of queues that are not on disk yet, oldest first */
    uint64_t segments[DISK_LOGS_MAX]; /* of disk logs, as last seen */
    uint64_t segments_ns;             /* when that is to be looked at again, */
    uint64_t keep_ns;                 /* ... and when the journal is told again what it must keep */
    uint32_t durable;                 /* how many of the queues are */
    uint32_t replays;                 /* how many have one */
    struct kept **of_member;          /* owns; by route_member, NULL = a peer's */
    uint32_t of_member_capacity;
};
