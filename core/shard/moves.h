/* moves.h: what the workers of a router do when slots move between them: their part in a change, and the
 * order in which the logs of a slot are read from then on. See moving.c, cuts.c and change.c. Owner: the
 * worker that is given; cuts are of the shards, written by the thread of a change, kept for ever. Thread: the
 * worker's, but for what says otherwise. Private to core/shard. Nothing blocks. Only keeper_renew can fail,
 * for want of memory, and is called again then. */
#pragma once

#include "core/shard/worker.h"

/* Of one bit for each slot. */
static inline bool slots_have(const uint64_t *slots, uint32_t slot) {
    return (slots[slot / 64] >> slot % 64 & 1u) != 0;
}

/* The slots that one change moves from one log to another: their events lie in `from` below `close`, and from
 * `open` on in `to`. Positions of other events are of no meaning here. Written once, then kept for ever. */
struct cut {
    uint64_t close, open;
    uint64_t slots[SLOT_COUNT / 64]; /* one bit each */
    uint16_t epoch;                  /* of what comes behind it; the same for all cuts of a change */
    uint8_t from, to;                /* indexes */
};

/* change.c */
int changes_create(struct shards *shards) MUST_USE; /* -ENOMEM */
void changes_close(struct shards *shards);          /* one that goes on is waited for; there are no more */
void changes_destroy(struct shards *shards);
/* Between the two no worker is made. */
void changes_lock(const struct shards *shards);
void changes_unlock(const struct shards *shards);

/* moving.c: a worker's part in a change */
/* A step begins; change_turn ends it, in this turn or a later one. */
void change_take(struct worker *worker, struct change *change, enum change_step step, uint64_t number);
/* Behind what the turn has published. */
void change_turn(struct worker *worker);
/* What a worker that is made has to know of what has moved so far. */
void moving_make(struct worker *worker);
void moving_attach(struct worker *worker); /* to all logs */
/* One of these patterns may begin in the past: all logs that its slot has been in are read again, so that
 * what is gone there is told. */
void moving_recall(struct worker *worker, const uint8_t *patterns, uint32_t count);
/* Old logs of slots that have nothing of them any more are read no more; once per housekeeping tick. */
void moving_housekeeping(struct worker *worker);
/* Whether events of such a topic wait for their slot to be where it is to be. */
static inline bool moving_holds(const struct worker *worker, const struct topic_learnt *topic) {
    if (LIKELY(worker->moving == NULL))
        return false;
    uint32_t slot = topic_slot(topic->hash);
    return topic->moves && slots_have(worker->moving, slot);
}

/* cuts.c: where slots have moved from one log to another */
static inline const struct cut *cut_at(const struct shards *shards, uint32_t i) {
    return &shards->cuts[i / CUTS_OF_CHUNK][i % CUTS_OF_CHUNK];
}
static inline bool cut_has(const struct cut *cut, uint32_t slot) {
    return slots_have(cut->slots, slot);
}
/* The live cursors pass where the cuts close that are new since the last call, so that they may pass where
 * they open. Behind a look at what is visible, and before that is walked. */
void cuts_meet(struct worker *worker);
static inline void cuts_look(struct worker *worker) {
    if (UNLIKELY(published_get(&worker->shards->cuts_count) != worker->cuts_seen))
        cuts_meet(worker);
}
/* Who reads `logs` and stands in them at `at` must not go beyond this position of `log` before he has gone on
 * in another one; UINT64_MAX: he may. Of what the worker has met. */
uint64_t cuts_bound(const struct worker *worker, uint32_t log, uint64_t logs, const uint64_t *at);
/* The epoch of what comes to a slot now, as far as anybody can know. */
uint16_t cuts_epoch(const struct shards *shards, uint32_t slot);
/* Where who wants a slot from `sequence` on, which is of this run, begins in a memory log: 0 = it has nothing
 * of that from before now. */
uint64_t cuts_start(const struct shards *shards, uint32_t slot, uint64_t sequence, uint32_t log);
/* The log that `sequence` is of. */
uint32_t cuts_log(const struct shards *shards, uint32_t slot, uint64_t sequence);
/* Where a subscription that wants all that is kept begins in a log: below its oldest record where a slot that
 * it reads came in of which the log before has still something, so that the hole between the two is told. */
uint64_t cuts_oldest(const struct worker *worker, const struct subscription *sub, uint32_t log);
/* Whether a slot came in at that very position of a log. */
bool cuts_open_at(const struct worker *worker, uint32_t log, uint64_t position);
void cuts_housekeeping(struct worker *worker);

/* known.c: what a home knows of these slots goes where they go */
struct known_carried;
/* Of a memory log; put in front of *out, which the caller frees. False: no memory. */
bool known_carry(const struct home *home, const uint64_t *slots, struct known_carried **out) MUST_USE;
void known_take_over(const struct home *home, const struct known_carried *carried,
                     const struct slot_place *places);
void known_carried_free(struct known_carried *carried); /* NULL is allowed */

/* keeper_moves.c */
/* Its queues may get events from other logs now, as subscriptions do. False: no memory, to be called again.
 */
bool keeper_renew(struct worker *worker) MUST_USE;
/* Live cursors are about to pass where this one opens: a queue that is behind in the other log waits there.
 */
void keeper_cut(struct worker *worker, const struct cut *cut);
/* Whether a queue with members has not come so far. */
bool keeper_waits(const struct worker *worker, const struct cut *cut);
/* Whether no queue here needs an old log of a slot any more. */
bool keeper_left(const struct worker *worker, uint32_t slot, uint32_t log);
/* Where a queue must wait in a log until it has gone on in another one, as a laggard does; UINT64_MAX:
 * nowhere. */
uint64_t keeper_bound(const struct worker *worker, const struct kept *kept, uint32_t log);
