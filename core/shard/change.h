/* change.h: another map of slots, or another number of shards, while traffic flows.
 * Owner: whoever calls; one change at a time. Any thread but a worker. Nothing blocks: a thread of the change
 * does the work, the workers take part in their turns, and `done` is told.
 * Only the publishers to slots that move wait meanwhile, for a few turns; connections stay where they are.
 * Fails with negative errno before anything is changed; what has begun ends well, but for a stop of the
 * router. See docs/decisions/0028-moving-slots.md. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct shards;

struct shards_change {
    uint32_t count; /* of shards, from 1 on: 0 to count - 1 get slots and new connections. With a journal at
                       most LOGS_MAX less its disk logs */
    const uint8_t *slots; /* SLOT_COUNT: slot -> shard, below `count`; copied */
    const uint16_t *cpus; /* one per shard to pin it to, or NULL: none is pinned; copied */
};

/* `why`: one static sentence when error is not 0. Once, on the change's own thread; it may not call
 * shards_change itself. */
typedef void shards_change_done(void *user, int error, const char *why);

/* Begins to make it so. 0: `done` will be told. -EBUSY: another change goes on; -EINVAL: the map names a
 * shard that is not there, or the number can not be; -ESHUTDOWN: the router stops; -ENOMEM; -EOVERFLOW: so
 * many changes were made since the start (or, with a journal, ever) that a sequence can not say one more. */
int shards_change(struct shards *shards, const struct shards_change *change, shards_change_done *done,
                  void *user) MUST_USE;

/* What goes on, and what all changes so far have done. Any thread. */
struct shards_change_progress {
    bool going_on;
    uint32_t slots_moved, slots_total; /* of the one that goes on, or of the last one */
    uint64_t changes, slots;           /* since the start: ended well, and moved by them */
    uint64_t last_ns;                  /* how long the last one took, with making shards, */
    uint64_t held_ns;                  /* ... and how long of it publishers to its slots waited at most */
};
void shards_change_progress(const struct shards *shards, struct shards_change_progress *out);

/* How it is now. Any thread. */
uint32_t shards_active(const struct shards *shards);            /* shards that get slots and connections */
void shards_slots(const struct shards *shards, uint8_t *slots); /* SLOT_COUNT: slot -> shard */
