/* A rate, on a clock that the test moves. */
#include "core/cli/rate.h"

#include <criterion/criterion.h>
#include <limits.h>

/* How many go within `span`, for somebody who looks every `look` nanoseconds. */
static uint64_t spend_for(struct rate *rate, uint64_t *now, uint64_t span, uint64_t look) {
    uint64_t count = 0;
    for (uint64_t end = *now + span; *now < end; *now += look)
        for (; rate->due_ns <= *now; count++)
            rate_spend(rate, *now);
    return count;
}

Test(rate, is_kept_over_time_however_seldom_one_looks) {
    static const uint64_t looks[] = {1000, 999983, NS_PER_MS, 40 * NS_PER_MS};
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        struct rate rate;
        uint64_t now = 12345;
        rate_init(&rate, 3000.0, now);
        uint64_t count = spend_for(&rate, &now, 10 * NS_PER_S, looks[i]);
        cr_assert(count >= 29870 && count <= 30001, "%zu at %zu", (size_t)count, (size_t)looks[i]);
    }
}

Test(rate, does_not_lose_parts_of_a_nanosecond) {
    struct rate rate;
    uint64_t now = 0;
    rate_init(&rate, 3e8, now); /* 3.33 ns each */
    uint64_t count = spend_for(&rate, &now, NS_PER_MS, 1000);
    cr_assert(count >= 299700 && count <= 300001, "%zu", (size_t)count);
}

Test(rate, does_not_make_a_burst_of_a_pause) {
    struct rate rate;
    uint64_t now = 7 * NS_PER_S;
    rate_init(&rate, 100.0, now);
    (void)spend_for(&rate, &now, NS_PER_S, NS_PER_MS);
    now += 3600 * NS_PER_S;
    uint64_t count = spend_for(&rate, &now, NS_PER_S, NS_PER_MS);
    cr_assert(count >= 100 && count <= 106, "%zu: one second, and 50 ms to catch up", (size_t)count);
}

Test(rate, takes_the_slowest_and_none_at_all) {
    struct rate rate;
    rate_init(&rate, 1e-300, 5);
    cr_assert(rate.due_ns == 5);
    rate_spend(&rate, 5);
    cr_assert(rate.due_ns > 1000000000 * NS_PER_S);
    rate_init(&rate, 0, 5);
    for (unsigned i = 0; i < 100; i++)
        rate_spend(&rate, 5);
    cr_assert(rate.due_ns == 5);
}

/* What has become due since somebody looked is not waited for. */
Test(rate, says_how_long_the_next_one_waits) {
    struct rate rate;
    uint64_t now = 5 * NS_PER_S;
    rate_init(&rate, 1000.0, now);
    cr_assert_eq(rate_wait_ms(&rate, now), 0);
    rate_spend(&rate, now);
    cr_assert_eq(rate_wait_ms(&rate, now), 1);
    cr_assert_eq(rate_wait_ms(&rate, now + 1), 1, "not too early");
    cr_assert_eq(rate_wait_ms(&rate, now + NS_PER_MS - 1), 1);
    cr_assert_eq(rate_wait_ms(&rate, now + NS_PER_MS), 0);
    cr_assert_eq(rate_wait_ms(&rate, now + 3600 * NS_PER_S), 0);
    rate_init(&rate, 1e-9, now);
    rate_spend(&rate, now);
    cr_assert_eq(rate_wait_ms(&rate, now), INT_MAX);
}
