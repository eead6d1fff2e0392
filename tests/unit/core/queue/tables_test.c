/* The heap of timers and the lookup, each against a plain array. */
#include "core/queue/lookup.h"
#include "core/queue/timers.h"
#include "tests/unit/core/route/random.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

#define ITEMS 200u
#define STEPS 20000u

Test(timers, name_the_item_that_is_due_first_whatever_is_set_moved_and_dropped) {
    struct timers timers = {0};
    struct random random = {.state = 1};
    uint64_t due[ITEMS] = {0}; /* 0 = not in it */
    cr_assert_eq(timers_due(&timers), TIMERS_NEVER);
    cr_assert_eq(timers_reserve(&timers, 10), 0);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t item = (uint32_t)random_below(&random, step < 500 ? 10 : ITEMS);
        if (step == 500)
            cr_assert_eq(timers_reserve(&timers, ITEMS), 0);
        if (random_below(&random, 3))
            timers_set(&timers, item, due[item] = 1 + random_below(&random, 1000));
        else {
            timers_drop(&timers, item);
            due[item] = 0;
        }
        uint64_t first = TIMERS_NEVER;
        for (uint32_t i = 0; i < ITEMS; i++)
            if (due[i] && due[i] < first)
                first = due[i];
        cr_assert_eq(timers_due(&timers), first);
        cr_assert(first == TIMERS_NEVER || due[timers_first(&timers)] == first);
        cr_assert_eq(timers_has(&timers, item), due[item] != 0);
        if (step % 64 == 0)
            timers_check(&timers);
    }
    timers_deinit(&timers);
    LEAKS_NONE();
}

Test(lookup, finds_what_was_put_in_and_forgets_what_was_dropped) {
    struct lookup lookup = {0};
    struct random random = {.state = 2};
    uint32_t values[ITEMS + 1];
    for (uint32_t i = 0; i <= ITEMS; i++)
        values[i] = LOOKUP_NONE;
    cr_assert_eq(lookup_find(&lookup, 1), LOOKUP_NONE);
    lookup_drop(&lookup, 1);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t key = 1 + (uint32_t)random_below(&random, ITEMS);
        if (random_below(&random, 2)) {
            cr_assert_eq(lookup_reserve(&lookup, lookup.count + 1), 0);
            lookup_put(&lookup, key, values[key] = (uint32_t)random_below(&random, 1000));
        } else {
            lookup_drop(&lookup, key);
            values[key] = LOOKUP_NONE;
        }
        for (uint32_t i = 1; i <= ITEMS; i++)
            cr_assert_eq(lookup_find(&lookup, i), values[i]);
        if (step % 64 == 0)
            lookup_check(&lookup);
    }
    lookup_deinit(&lookup);
    LEAKS_NONE();
}
