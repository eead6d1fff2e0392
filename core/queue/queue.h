/* queue.h: one queue (durable subscription, group or mailbox): who its members are, which event goes to which
 * of them, and what has become of it. It holds positions, never events.
 * Owner: the keeper; one thread. Pure data: no log, no connection, no clock; times and positions are given.
 * The keeper goes through each log once, offers what matches (queue_offer), passes over what does not
 * (queue_pass), and between offers takes what is to be delivered again (queue_take). queue_due says when to
 * come back for queue_expire.
 * Two things tell what is done: the cursor of each log, and the events below it that are outstanding. All
 * else below the cursor is done, or was never for this queue. The floor is the lowest outstanding position,
 * or the cursor. After queue_restore the cursor stands at the floor again, and queue_offer says of each event
 * that had been done meanwhile that it is.
 * Order: of the events with one key one is out at a time, in the order of their offers; what follows it is
 * parked. What is delivered again goes out before what is new, the oldest first.
 * Nothing blocks. Memory is taken to grow and in queue_join; a step costs at most the logarithm of what is
 * outstanding, but for leaving, DONE_THROUGH and saving, which cost what they touch.
 * Refusals are values of enum queue_answer, each with its text in queue_fault; without memory nothing has
 * changed. */
#pragma once

#include "core/queue/terms.h"

#include <stddef.h>

struct queue;

/* One instant on both clocks: leases and pauses go by the steady one, dead letters tell the time of day. */
struct queue_time {
    uint64_t mono_ns;
    uint64_t wall_ns;
};

enum queue_answer {
    QUEUE_OK,
    QUEUE_NO_MEMORY,
    QUEUE_NO_WINDOW,    /* joining: a window of zero, or above QUEUE_WINDOW_MAX */
    QUEUE_TAKEN,        /* joining: another connection holds it */
    QUEUE_TWICE,        /* joining: this connection is a member already */
    QUEUE_MEMBERS_FULL, /* joining: QUEUE_MEMBERS_MAX */
    QUEUE_STRANGER,     /* acknowledging: not a member, or no longer */
    QUEUE_NEVER,        /* acknowledging: no such delivery to this member yet */
    QUEUE_OVER,         /* acknowledging: acknowledged before, or its lease has ended */
    QUEUE_KIND,         /* acknowledging: an unknown kind */
    QUEUE_PAUSE,        /* acknowledging: RETRY with a pause above QUEUE_BACKOFF_NS_MAX */
    QUEUE_CAPACITY,     /* admitting: the mailbox is full */
    QUEUE_ANSWERS
};
/* What a client is told. Not for QUEUE_OK. */
struct fault queue_fault(enum queue_answer answer);

/* A queue with settled, valid and whole terms, which it copies. */
int queue_create(struct queue **out, const struct queue_terms *terms) MUST_USE;
void queue_destroy(struct queue *queue); /* accepts NULL */
/* Borrowed until queue_destroy. */
const struct queue_terms *queue_terms(const struct queue *queue);
/* Gives back the memory that a queue has grown of which nothing is outstanding; for one that members have
 * left, too. */
void queue_trim(struct queue *queue);

/* ---- members ---- */

/* A new member, named by the number of its owner (not 0), with deliveries from 1. In a queue that is no group
 * the connection that holds it is put out when `take_over` is set: its number is in `*lost` then, else 0. */
enum queue_answer queue_join(struct queue *queue, uint64_t owner, uint32_t window, bool take_over,
                             uint64_t *lost) MUST_USE;
/* What the member held goes to the others at once, in order, and is not counted as a failure. */
void queue_leave(struct queue *queue, uint64_t owner); /* one that is not a member has left already */
uint32_t queue_members(const struct queue *queue);
/* For all of them: places 0 to queue_places - 1, each with an owner or 0. */
uint32_t queue_places(const struct queue *queue);
uint64_t queue_owner(const struct queue *queue, uint32_t place);

/* ---- cursors ---- */

/* Where the queue begins in a log. One that it has a cursor in already keeps it. */
int queue_begin(struct queue *queue, uint32_t log, uint64_t position) MUST_USE;
/* The next position it wants to see, and the lowest that is not done. The queue must have begun in the log.
 */
uint64_t queue_cursor(const struct queue *queue, uint32_t log);
uint64_t queue_floor(const struct queue *queue, uint32_t log);
/* Nothing below `position` is for this queue but what has been offered: a stretch without matches, or a Gap.
 */
void queue_pass(struct queue *queue, uint32_t log, uint64_t position);

/* ---- deliveries ---- */

struct queue_event {
    uint64_t position;
    uint64_t key;     /* hash of the key's value; 0 = none */
    uint64_t time_ns; /* when it was received, on the wall clock */
    uint32_t log;
    uint32_t size; /* bytes */
    bool replay;   /* beside the cursor: it is not part of what has to be done, and not saved */
};

/* Who gets what. */
struct queue_delivery {
    uint64_t owner;
    uint64_t delivery; /* the member's number for it */
    uint64_t position;
    uint32_t log;
    uint32_t attempt; /* 1 = for the first time */
    bool replay;
};

enum queue_offer {
    OFFER_GIVEN,  /* `*delivery` says to whom */
    OFFER_PARKED, /* behind an event with its key */
    OFFER_DONE,   /* it was done before the restart */
    OFFER_WAIT,   /* no credit, or no room to park it: offer it again later. The cursor has not moved */
};
/* Offers the next event of a log, not below its cursor; a replayed one may be anywhere. */
enum queue_offer queue_offer(struct queue *queue, const struct queue_event *event, struct queue_time now,
                             struct queue_delivery *delivery) MUST_USE;
/* The next event that is to be delivered again (or, parked, for the first time), if there is one and credit
 * for it. */
bool queue_take(struct queue *queue, struct queue_time now, struct queue_delivery *delivery) MUST_USE;
/* The event of this delivery is no longer kept anywhere: it is done with, and counted. */
void queue_lost(struct queue *queue, uint64_t owner, uint64_t delivery);
/* Whether the owner still holds what that delivery gave it. */
bool queue_holds(const struct queue *queue, uint64_t owner, uint64_t delivery);

/* ---- replays: events that are given out once more, beside the cursor ---- */

/* What has become of the events of the replay that goes on. */
struct queue_replay {
    uint64_t delivered; /* each counted once, however often it was */
    uint64_t done;
    uint64_t dead; /* refused, or failed too often */
    uint64_t lost;
    uint32_t outstanding;
};
struct queue_replay queue_replay(const struct queue *queue);
/* It is over, and the next one may begin. What waits to be delivered is forgotten; what members hold is
 * theirs until they say what became of it, and does not come again. */
void queue_replay_end(struct queue *queue);
/* Up to where a log was offered already, by this run or the one before; 0 = the queue has not begun in it. */
uint64_t queue_reached(const struct queue *queue, uint32_t log);

/* ---- acknowledgement ---- */

enum queue_ack_kind { /* as roundhouse.v1.Ack.Kind */
                      QUEUE_ACK_DONE,
                      QUEUE_ACK_DONE_THROUGH,
                      QUEUE_ACK_RETRY,
                      QUEUE_ACK_REFUSE,
                      QUEUE_ACK_EXTEND,
};
struct queue_ack {
    uint64_t owner;
    uint64_t delivery;
    uint64_t after_ns; /* of RETRY; 0 = the queue's pause */
    uint32_t kind;
    struct queue_text reason; /* kept with a dead letter */
};
enum queue_answer queue_ack(struct queue *queue, const struct queue_ack *ack, struct queue_time now) MUST_USE;

/* When queue_expire has something to do, on the steady clock; UINT64_MAX = never. */
uint64_t queue_due(const struct queue *queue);
struct queue_expired {
    uint64_t owner;
    uint64_t delivery;
};
/* The next lease that has ended: its owner is to be told, and the event comes again (or is dead). Pauses that
 * are over are dealt with on the way. False when there is none. */
bool queue_expire(struct queue *queue, struct queue_time now, struct queue_expired *expired) MUST_USE;

/* An event that was refused, or has failed too often. */
struct queue_dead {
    uint64_t position;
    uint64_t first_ns; /* of its first and its last delivery, on the wall clock */
    uint64_t last_ns;
    uint32_t log;
    uint32_t attempts;
    bool refused;
    struct queue_text reason; /* borrowed until queue_buried */
};
/* The oldest dead event that is not buried; it is outstanding until then. */
bool queue_dead(const struct queue *queue, struct queue_dead *dead) MUST_USE;
/* That one is in the dead-letter topic: it is done. */
void queue_buried(struct queue *queue);

/* ---- a mailbox's capacity ---- */

/* One more event for the mailbox; QUEUE_CAPACITY when it holds as many as it may. Each that is done makes
 * room. */
enum queue_answer queue_admit(struct queue *queue) MUST_USE;
bool queue_full(const struct queue *queue);
/* What was counted anew: after a restart or a Gap. */
void queue_hold(struct queue *queue, uint64_t held);
uint64_t queue_held(const struct queue *queue);

/* ---- to be seen ---- */

/* Since it was made or restored. */
struct queue_totals {
    uint64_t delivered, done, retried, expired, refused, buried, lost;
};

struct queue_counts {
    uint64_t out;       /* held by members */
    uint64_t parked;    /* behind a key, in a pause, or ready and without credit */
    uint64_t dead;      /* not buried yet */
    uint64_t restored;  /* outstanding at the last restart and not offered again yet */
    uint64_t bytes;     /* of those held by members */
    uint64_t replays;   /* of out, parked and dead: those that are replayed */
    uint64_t held;      /* of a mailbox: what counts against its capacity */
    uint64_t oldest_ns; /* when the oldest outstanding event was received, on the wall clock; 0 = none */
    struct queue_totals totals;
};
struct queue_counts queue_counts(const struct queue *queue);

/* ---- its durable state: version 1 ---- */

/* Bytes that queue_save writes at most when it has all the room it wants, and that it needs in any case. */
size_t queue_save_bound(const struct queue *queue);
size_t queue_save_least(const struct queue *queue);
/* Writes terms, floors, holes and attempts in at most `most` bytes, not less than queue_save_least; the
 * number of bytes. Where the holes do not fit, what lies above the last that does counts as not seen yet. */
size_t queue_save(const struct queue *queue, uint8_t *p, size_t most);
/* The queue that was saved, without members. -ENOMEM, or -EBADMSG with what is wrong with the bytes in
 * `fault`. */
int queue_restore(struct queue **out, const uint8_t *p, size_t n, struct fault *fault) MUST_USE;

/* Right behind queue_restore: the logs below this number, and those from the other one on, are of an earlier
 * run, and their positions mean nothing any more. */
void queue_forget_below(struct queue *queue, uint32_t log);
void queue_forget_from(struct queue *queue, uint32_t log);

void queue_check(const struct queue *queue);
