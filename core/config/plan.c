#include "core/config/plan.h"

#include "core/base/check.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Slots without load count a little as well, so that they are spread, too: something may come there. */
#define IDLE_SHARE 0.01

struct planning {
    const struct plan_ask *ask;
    struct plan *plan;
    double weight[SLOT_COUNT]; /* load, and the little */
    double sum[SHARDS_MAX];    /* of the weights of a shard's slots, and what is fixed */
};

static double fixed_of(const struct plan_ask *ask, uint32_t shard) {
    return ask->fixed != NULL ? ask->fixed[shard] : 0;
}

static void weights_set(struct planning *planning) {
    const struct plan_ask *ask = planning->ask;
    double total = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        total += ask->load[slot];
    double little = total > 0 ? total * IDLE_SHARE / SLOT_COUNT : 1.0 / SLOT_COUNT;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        planning->weight[slot] = ask->load[slot] + little;
    for (uint32_t shard = 0; shard < ask->shards; shard++)
        planning->sum[shard] = fixed_of(ask, shard);
}

static uint32_t idlest(const struct planning *planning) {
    uint32_t best = 0;
    for (uint32_t shard = 1; shard < planning->ask->shards; shard++)
        if (planning->sum[shard] < planning->sum[best])
            best = shard;
    return best;
}

static uint32_t busiest(const struct planning *planning) {
    uint32_t best = 0;
    for (uint32_t shard = 1; shard < planning->ask->shards; shard++)
        if (planning->sum[shard] > planning->sum[best])
            best = shard;
    return best;
}

static void give(struct planning *planning, uint32_t slot, uint32_t shard) {
    planning->plan->slots[slot] = (uint8_t)shard;
    planning->sum[shard] += planning->weight[slot];
}

/* The heaviest slot that nobody has; SLOT_COUNT = none is left. */
static uint32_t heaviest_free(const struct planning *planning, const bool *has) {
    uint32_t best = SLOT_COUNT;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (!has[slot] && (best == SLOT_COUNT || planning->weight[slot] > planning->weight[best]))
            best = slot;
    return best;
}

/* Slots of shards that go: the heaviest first, each to whoever has least. */
static void homeless_give(struct planning *planning) {
    bool has[SLOT_COUNT];
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        has[slot] = planning->ask->slots[slot] < planning->ask->shards;
        if (has[slot])
            give(planning, slot, planning->ask->slots[slot]);
    }
    for (uint32_t slot; (slot = heaviest_free(planning, has)) < SLOT_COUNT; has[slot] = true)
        give(planning, slot, idlest(planning));
}

/* The slot of `from` whose move brings the two nearest to each other; of equals the last one, so that ranges
 * stay whole. SLOT_COUNT = none helps. */
static uint32_t best_move(const struct planning *planning, uint32_t from, uint32_t to) {
    double gap = planning->sum[from] - planning->sum[to];
    uint32_t best = SLOT_COUNT;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        double weight = planning->weight[slot];
        if (planning->plan->slots[slot] != from || weight >= gap)
            continue;
        if (best == SLOT_COUNT || fabs(weight - gap / 2) <= fabs(planning->weight[best] - gap / 2))
            best = slot;
    }
    return best;
}

static void even_out(struct planning *planning) {
    uint32_t shards = planning->ask->shards;
    double mean = 0;
    for (uint32_t shard = 0; shard < shards; shard++)
        mean += planning->sum[shard] / shards;
    for (uint32_t moves = 0; moves < 4 * SLOT_COUNT; moves++) {
        uint32_t from = busiest(planning), to = idlest(planning);
        if (planning->sum[from] <= mean * (1 + PLAN_TOLERANCE_PERCENT / 100.0))
            return;
        uint32_t slot = best_move(planning, from, to);
        if (slot == SLOT_COUNT)
            return;
        planning->sum[from] -= planning->weight[slot];
        give(planning, slot, to);
    }
}

/* ---- what it comes to ---- */

static double loads_of(const struct plan_ask *ask, const uint8_t *slots, uint32_t shards,
                       double loads[static SHARDS_MAX]) {
    double total = 0, most = 0;
    memset(loads, 0, SHARDS_MAX * sizeof *loads);
    for (uint32_t shard = 0; shard < SHARDS_MAX; shard++)
        loads[shard] = fixed_of(ask, shard);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        loads[slots[slot]] += ask->load[slot];
    for (uint32_t shard = 0; shard < SHARDS_MAX; shard++) {
        total += loads[shard];
        most = loads[shard] > most ? loads[shard] : most;
    }
    return total > 0 ? most * shards / total : 0;
}

void plan_make(struct plan *plan, const struct plan_ask *ask) {
    struct planning planning = {.ask = ask, .plan = plan};
    CHECK(ask->shards >= 1 && ask->shards <= SHARDS_MAX);
    *plan = (struct plan){.moved = 0};
    weights_set(&planning);
    homeless_give(&planning);
    even_out(&planning);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        plan->moved += plan->slots[slot] != ask->slots[slot];
    plan->before = loads_of(ask, ask->slots, ask->shards, plan->load_before);
    plan->after = loads_of(ask, plan->slots, ask->shards, plan->load_after);
}
