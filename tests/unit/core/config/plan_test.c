/* A better map of slots: it is even, and moves little. */
#include "core/config/plan.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint8_t slots[SLOT_COUNT];
static double load[SLOT_COUNT], fixed[SHARDS_MAX];
static struct plan plan;

static void make(uint32_t shards) {
    plan_make(&plan, &(struct plan_ask){.shards = shards, .slots = slots, .load = load, .fixed = fixed});
    uint32_t moved = 0;
    double sums[SHARDS_MAX] = {0};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        cr_assert_lt(plan.slots[slot], shards, "slot %u", slot);
        moved += plan.slots[slot] != slots[slot];
        sums[plan.slots[slot]] += load[slot];
    }
    cr_assert_eq(moved, plan.moved);
    for (uint32_t shard = 0; shard < shards; shard++)
        cr_assert_float_eq(sums[shard] + fixed[shard], plan.load_after[shard], 1e-6 * (1 + sums[shard]));
}

static void split(uint32_t shards) {
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots[slot] = (uint8_t)(slot * shards / SLOT_COUNT);
}

static uint32_t count_of(uint32_t shard) {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        count += plan.slots[slot] == shard;
    return count;
}

static uint32_t ranges(void) {
    uint32_t count = 1;
    for (uint32_t slot = 1; slot < SLOT_COUNT; slot++)
        count += plan.slots[slot] != plan.slots[slot - 1];
    return count;
}

Test(plan, without_load_slots_are_spread) {
    split(1);
    make(2);
    cr_expect(count_of(1) >= 1945 && count_of(1) <= 2048, "%u", count_of(1));
    cr_expect_eq(plan.moved, count_of(1));
    cr_expect_eq(ranges(), 2, "what moves is one range");
    cr_expect(plan.before == 0 && plan.after == 0);
}

Test(plan, what_is_even_stays) {
    split(4);
    make(4);
    cr_expect_eq(plan.moved, 0);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        load[slot] = 100;
    make(4);
    cr_expect_eq(plan.moved, 0);
    cr_expect_float_eq(plan.after, 1, 1e-9);
}

Test(plan, two_busy_slots_of_one_shard_are_moved_apart_by_one_move) {
    split(2);
    load[7] = load[9] = 1000;
    make(2);
    cr_expect(plan.slots[7] != plan.slots[9]);
    cr_expect_float_eq(plan.before, 2, 1e-9);
    cr_expect_float_eq(plan.after, 1, 1e-9);
    cr_expect_eq(plan.moved, 1);
}

Test(plan, one_busy_slot_can_not_be_split) {
    split(2);
    load[7] = 1000;
    make(2);
    cr_expect_eq(plan.slots[7], 0);
    cr_expect_float_eq(plan.after, 2, 1e-9);
    cr_expect_eq(count_of(0) + count_of(1), SLOT_COUNT);
}

Test(plan, a_new_shard_gets_its_share) {
    split(3);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        load[slot] = 1 + slot % 5;
    make(4);
    cr_expect_lt(plan.after, 1.06);
    cr_expect_gt(plan.before, 1.3);
    cr_expect_lt(plan.moved, SLOT_COUNT / 4 + 1);
}

Test(plan, shards_that_go_have_nothing_left) {
    split(4);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        load[slot] = 1 + slot % 7;
    make(2);
    cr_expect_lt(plan.after, 1.06);
    cr_expect_leq(plan.moved, SLOT_COUNT / 2 + 100);
    make(1);
    cr_expect_eq(count_of(0), SLOT_COUNT);
}

Test(plan, what_a_shard_carries_besides_counts) {
    split(2);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        load[slot] = 1;
    fixed[0] = 4096;
    make(2);
    cr_expect_lt(count_of(0), 300, "it has as much to do already as all slots are: %u", count_of(0));
    cr_expect_lt(plan.after, 1.06);
}

/* Whatever is asked: it is never worse than before, and what can be even is. */
Test(plan, never_makes_it_worse) {
    srand(4711);
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t before = 1 + (uint32_t)rand() % 8, after = 1 + (uint32_t)rand() % 8;
        double heaviest = 0, total = 0;
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
            slots[slot] = (uint8_t)((uint32_t)rand() % before);
            load[slot] = rand() % 3 != 0 ? 0 : rand() % (rand() % 100 == 0 ? 100000 : 100);
            total += load[slot];
            heaviest = load[slot] > heaviest ? load[slot] : heaviest;
        }
        for (uint32_t shard = 0; shard < SHARDS_MAX; shard++)
            fixed[shard] = 0;
        make(after);
        if (after >= before)
            cr_expect_leq(plan.after, plan.before * 1.02 + 1e-9, "round %u", round);
        double bound = 1.07 + heaviest * after / total;
        cr_expect_leq(plan.after, bound, "round %u: %f, %f", round, plan.after, bound);
    }
    LEAKS_NONE();
}
