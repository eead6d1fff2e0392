/* Power loss at every operation that the journal makes, with many choices of what of the unsynced survives;
 * then again while the journal recovers. After each the promises of life.h are checked. */
#include "core/base/logfmt.h"
#include "tests/unit/core/journal/life.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define STEPS 40u

static void quiet(void) {
    logfmt_level_set(
        (enum logfmt_level)(LOGFMT_ERROR + 1)); /* every crash says that the journal has failed */
}

/* How a sweep's disk behaves. */
struct kind {
    bool no_direct, short_writes;
    uint64_t retain_bytes;
};

static struct life *kind_life(const struct kind *kind, uint64_t seed) {
    struct life *life = life_make(seed);
    life->retain_bytes = kind->retain_bytes;
    if (kind->no_direct)
        sim_no_direct(life->sim);
    sim_short_writes(life->sim, kind->short_writes);
    return life;
}

/* Crashes again and again while it recovers, each time a bit later; then it must come up, live, and end well.
 */
static void recover_with_crashes(struct life *life, uint32_t crashes) {
    for (uint32_t i = 0; i < crashes; i++) {
        sim_crash_at(life->sim, sim_operations(life->sim) + 1 + sim_random(life->sim, 12));
        (void)life_live(life, 2, false);
        sim_reboot(life->sim, (enum sim_fate)sim_random(life->sim, SIM_FATES));
    }
    life_check(life);
    cr_assert(life_live(life, 3, true), "%s: it does not live on", life->where);
    sim_reboot(life->sim, SIM_NONE);
    life_check(life);
}

/* One life that ends at operation k, and what comes then. False when the life ended before. */
static bool crash_at(const struct kind *kind, uint64_t seed, uint64_t k, enum sim_fate fate,
                     uint32_t crashes) {
    struct life *life = kind_life(kind, seed);
    (void)snprintf(life->where, sizeof life->where, "seed %lu, operation %lu, fate %d, crashes %u",
                   (unsigned long)seed, (unsigned long)k, (int)fate, crashes);
    sim_crash_at(life->sim, k);
    (void)life_live(life, STEPS, true);
    bool crashed = sim_crashed(life->sim);
    sim_reboot(life->sim, fate);
    recover_with_crashes(life, crashes);
    life_free(life);
    return crashed;
}

static void sweep(const struct kind *kind, uint64_t seed, uint32_t step) {
    quiet();
    for (int fate = 0; fate < SIM_FATES; fate++) {
        uint64_t k = 1 + (uint64_t)fate % step;
        while (crash_at(kind, seed, k, (enum sim_fate)fate, (uint32_t)(k % 4)))
            k += step;
        cr_assert_gt(k, 60, "the sweep was too short: %lu", (unsigned long)k);
    }
    LEAKS_NONE();
}

Test(crash, at_every_operation_leaves_what_was_acknowledged) {
    sweep(&(struct kind){0}, 1, 1);
}

Test(crash, at_every_operation_where_writes_are_cached_and_then_synced) {
    sweep(&(struct kind){.no_direct = true}, 2, 1);
}

Test(crash, while_old_segments_are_trimmed) {
    sweep(&(struct kind){.retain_bytes = 3 * LIFE_SEGMENT}, 3, 2);
}

Test(crash, where_writes_are_short_and_interrupted) {
    sweep(&(struct kind){.short_writes = true}, 4, 3);
    sweep(&(struct kind){.short_writes = true, .no_direct = true}, 5, 3);
}

/* Other orders of records, seals and rolls. */
Test(crash, at_random_places_of_many_lives) {
    quiet();
    for (uint64_t seed = 100; seed < 400; seed++) {
        struct kind kind = {.no_direct = seed % 3 == 0,
                            .short_writes = seed % 5 == 0,
                            .retain_bytes = seed % 4 == 0 ? 3 * LIFE_SEGMENT : 0};
        (void)crash_at(&kind, seed, 1 + seed * 7 % 150, (enum sim_fate)(seed % SIM_FATES), 5);
    }
    LEAKS_NONE();
}
