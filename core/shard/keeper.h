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
struct shards;
struct verdict;

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
            bool traced;
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

/* ---- what is kept of them, and what leaves them ---- */

/* states.c: what of queues is in the journal */
/* A durable queue that was just made, or is being removed: its state is written. */
void states_made(struct worker *worker, struct kept *kept);
/* Whether the queue that was made is known to be on disk; a volatile one needs not be. */
bool states_durable(const struct kept *kept);
/* Whether it is on disk that there is no such queue any more. */
bool states_gone(const struct kept *kept);
/* Something has changed that its state says. */
void states_changed(struct worker *worker, struct kept *kept);
/* Writes what is due; behind all that changes queues in a turn. */
void states_turn(struct worker *worker);
uint64_t states_due_ns(const struct worker *worker);
/* Whether a state of this queue can be a record of its log. */
bool states_fit(const struct kept *kept);
bool states_idle(const struct worker *worker); /* nothing is to be written */
/* The index of the log that a queue's state would be in, whose home keeps it. */
uint32_t queue_log_of(const struct worker *worker, struct queue_text name);
/* Before the workers start: the queues that the disk logs have. Negative errno with one sentence. */
int states_recall(const struct shards *shards, char *error) MUST_USE;

/* dead_letters.c */
/* False: not all, there is no room now. */
bool dead_letters_send(struct worker *worker, struct kept *kept) MUST_USE;

/* ---- their members, and replays ---- */

/* memberships.c */
struct fault memberships_subscribe(struct peer *peer, const Roundhouse__V1__Subscribe *subscribe);
/* Ends a queue for good: as memberships_subscribe. */
struct fault memberships_remove(struct peer *peer, const Roundhouse__V1__Unsubscribe *unsubscribe);
/* False: there is no membership of this id. */
bool memberships_unsubscribe(struct peer *peer, uint64_t id);
bool memberships_has(const struct peer *peer, uint64_t id);
/* Of a queue of this name, which must be one that a queue can have. NULL: no memory. */
struct membership *membership_new(struct peer *peer, uint64_t id, struct queue_text name) MUST_USE;
/* It is on its way to the keeper, and the connection waits for what that says. Both are taken over. */
void membership_send(struct peer *peer, struct membership *membership, struct note *note);
void memberships_acked(void *peer, const Roundhouse__V1__Ack *ack);
void memberships_drop_all(struct peer *peer);
void memberships_free(struct peer *peer); /* behind memberships_drop_all */
void memberships_note(struct worker *worker, const struct note *note);
/* What follows in the output of a connection is not of its queues. */
void memberships_context_end(struct peer *peer);
/* Behind all that was delivered in this turn. */
void memberships_turn(struct worker *worker);

/* replayers.c: who asks for replays */
enum session_verdict replayers_replay(void *peer, const Roundhouse__V1__Replay *replay);
/* What a keeper says of a replay; the membership is gone when it is over. */
void replayers_replayed(struct peer *peer, struct membership *membership, const struct note *note);

/* replays.c: what of a queue's past its members get once more */
/* Begins one, or refuses it: its owner is told. */
void replays_begin(struct worker *worker, const struct note *note);
/* A step of the queue's replay, if it has one. True: more in the next turn. */
bool replays_step(struct worker *worker, struct kept *kept);
uint64_t replays_due_ns(const struct kept *kept); /* when it wants a step at the latest; TIMERS_NEVER */
void replays_expired(const struct worker *worker, const struct kept *kept); /* that time has come */
/* Its owner does not want it any more, and is told the last of it. False: it is not its owner. */
bool replays_leave(struct worker *worker, struct kept *kept, uint64_t owner);
/* The queue goes; the owner is told why. */
void replays_drop(struct worker *worker, struct kept *kept);
void replays_free(struct replay *replay); /* NULL is allowed */

/* removals.c */
void removals_note(struct worker *worker, const struct note *note);
void removals_turn(struct worker *worker);
bool removals_news(const struct worker *worker); /* an end is on disk that somebody waits for */

/* keeper.c */
void keeper_fault(struct worker *worker, uint64_t owner, enum note_kind kind, struct fault fault);
/* A delivery goes to its member; `entry` is of the event. */
void keeper_deliver(struct worker *worker, const struct kept *kept, const struct queue_delivery *delivery,
                    const struct log_view *view, const struct log_entry *entry);
/* As it is offered to the queue. */
struct queue_event keeper_event(const struct worker *worker, const struct kept *kept,
                                const struct reader *reader, const struct log_view *view, uint64_t position);
/* Whether the queue, which is attached, gets what lies at a position of a log (by its index). */
bool keeper_wants(struct worker *worker, const struct kept *kept, uint32_t log, const struct log_view *view,
                  uint64_t position);
void keeper_pump(struct worker *worker, struct kept *kept); /* in this turn or the next one */
/* The patterns of a queue, as of a subscription; their number. A mailbox has its name as its only one. */
uint32_t keeper_patterns(const struct kept *kept, uint8_t room[1 + TOPIC_BYTES_MAX],
                         const uint8_t **patterns);
void keeper_init(struct keeper *keeper);
void keeper_deinit(struct worker *worker);
void keeper_note(struct worker *worker, struct note *note);
/* A run for a member of the route table that is a queue. */
void keeper_offer(struct worker *worker, route_member member, uint32_t log, const struct run *run);
/* Leases, pauses, what is to be delivered again, and the queues that are not live. */
void keeper_turn(struct worker *worker);
uint64_t keeper_due_ns(const struct worker *worker); /* when it has something to do; UINT64_MAX = never */
bool keeper_news(const struct worker *worker);       /* a definition is on disk that somebody waits for */
/* A queue that was restored takes the place of the one of its name, or is new; the queue is taken over. NULL:
 * no memory, nothing is taken over. */
struct kept *keeper_restore(struct worker *worker, struct queue *queue);
struct kept *keeper_find(const struct worker *worker, struct queue_text name);
/* All members leave, and are told why. It does nothing by itself any more. */
void keeper_put_out(struct worker *worker, struct kept *kept, const struct fault *why);
void keeper_drop(struct worker *worker, struct kept *kept); /* one without members */
/* Whether an event for a mailbox is not taken, and why. At the mailbox's home. */
bool keeper_refuses(struct worker *worker, const struct wire_event *event, struct verdict *verdict);
/* It is about to be stored, and counts as held from now on. */
void keeper_admit(struct worker *worker, const struct wire_event *event);

/* What lies at a position of a log that a queue reads. LOOK_THERE: `look_end` is to be called. */
enum look { LOOK_THERE, LOOK_LATER, LOOK_GONE };
struct look_at {
    const struct log_view *view;
    struct reader *reader; /* under its gate `past`, or NULL */
    uint64_t first;        /* THERE: above the position where a cut has left a hole. GONE: the lowest kept */
    uint64_t end;          /* behind the last one that is there */
};
enum look look_begin(struct worker *worker, struct reader *reader, uint64_t position, struct look_at *at);
void look_end(struct look_at *at);
