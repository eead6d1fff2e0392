/* plan.h: a better map of slots: which shard should have which, by what they carry.
 * Owner: the caller. A pure function; any thread.
 * It lowers the load of the busiest shard, and moves as few slots as it can: each move takes the slot that
 * brings the busiest and the idlest shard nearest to each other, until no shard is PLAN_TOLERANCE_PERCENT
 * above the mean, or no single move helps.
 * Nothing blocks.
 * Nothing fails. */
#pragma once

#include "core/base/limits.h"

#include <stdint.h>

/* Fewer moves are worth more than the last percent. */
#define PLAN_TOLERANCE_PERCENT 5u

struct plan_ask {
    uint32_t shards;      /* there are to be so many, 1 to SHARDS_MAX */
    const uint8_t *slots; /* SLOT_COUNT: slot -> shard as it is; those of shards that go have to move */
    const double *load;   /* SLOT_COUNT: what each slot carries, in any unit; never negative */
    const double *fixed;  /* SHARDS_MAX: what a shard carries besides, in the same unit; NULL = nothing */
};

struct plan {
    uint8_t slots[SLOT_COUNT];
    uint32_t moved;       /* slots that change their shard */
    double before, after; /* load of the busiest shard, in means over all; 1 = even, 0 = no load */
    double load_before[SHARDS_MAX], load_after[SHARDS_MAX]; /* of each shard */
};

void plan_make(struct plan *plan, const struct plan_ask *ask);
