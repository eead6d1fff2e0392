/* Seeds through the whole router. What is promised to clients is judged on every byte that they are sent. */
#include "tests/unit/core/shard/sim.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#ifdef LEAKS_WATCHED
#define SEEDS 150u
#else
#define SEEDS 300u
#endif
#define STEPS 1200u

static uint64_t number_of(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* How it ends: at rest, at rest and then stopped, or stopped in the middle. */
static void ends(struct sim_world *world) {
    uint32_t how = sim_below(world, 3);
    if (how < 2)
        sim_settle(world);
    if (how > 0)
        sim_stop(world);
}

/* What the seeds have led to that is rare: a sweep without it would judge nothing of it. */
static struct { uint64_t landed, skipped, verdicts, lasts, held, stretches, expired; } met;

static void met_add(struct sim_world *world) {
    met.verdicts += world->verdicts;
    met.lasts += world->lasts;
    met.expired += world->expired;
    for (uint32_t i = 0; i < world->setup.workers; i++) {
        const struct worker_stats *stats = &sim_worker(world, i)->stats;
        met.landed += counter_get(&stats->events_landed);
        met.held += counter_get(&stats->held_back);
        met.stretches += counter_get(&stats->history_requests);
        met.skipped += counter_get(&stats->landing_skipped_bytes);
    }
}

static uint64_t run(uint64_t seed, bool loud) {
    struct sim_setup setup = sim_setup_of(seed);
    struct sim_world *world = sim_world_new(&setup);
    world->loud = loud;
    sim_chaos(world, STEPS);
    ends(world);
    uint64_t diary = world->diary;
    met_add(world);
    sim_world_end(world);
    return diary;
}

/* A CI run has its time; RH_SIM_SEEDS=100000 has yours. */
Test(sim_sweep, keeps_every_promise_for_every_seed, .timeout = 36000) {
    uint64_t one = number_of("RH_SIM_SEED", 0);
    uint64_t from = one != 0 ? one : number_of("RH_SIM_FROM", 1);
    uint64_t seeds = one != 0 ? 1 : number_of("RH_SIM_SEEDS", SEEDS);
    for (uint64_t seed = from; seed < from + seeds; seed++)
        (void)run(seed, one != 0);
    cr_assert(one != 0 || (met.landed > 1000 && met.skipped > 1000 && met.verdicts > 1000),
              "%lu events landed, %lu bytes skipped, %lu verdicts", (unsigned long)met.landed,
              (unsigned long)met.skipped, (unsigned long)met.verdicts);
    cr_assert(one != 0 || seeds < SEEDS || (met.lasts > 500 && met.held > 100),
              "%lu last events, %lu times held back", (unsigned long)met.lasts, (unsigned long)met.held);
    cr_assert(one != 0 || seeds < SEEDS || (met.stretches > 500 && met.expired > 4),
              "%lu stretches from behind rings, %lu times one was gone there", (unsigned long)met.stretches,
              (unsigned long)met.expired);
    LEAKS_NONE();
}

Test(sim_sweep, does_the_same_for_the_same_seed) {
    for (uint64_t seed = 1; seed <= 8; seed++)
        cr_assert_eq(run(seed, false), run(seed, false), "seed %lu", seed);
    cr_assert_neq(run(1, false), run(2, false));
}
