/* The small parts of core/base: checks, the codes of refusals, the clocks, the limits. */
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(check, aborts_when_it_does_not_hold, .signal = SIGABRT) {
    int one = 1;
    CHECK(one == 2);
}

Test(check, passes_when_it_holds) {
    int one = 1;
    CHECK(one == 1);
    CHECK_HOT(one == 1);
    cr_assert(true);
}

Test(check_hot, is_not_evaluated_where_it_is_off) {
    int calls = 0;
    CHECK_HOT(++calls == 1);
#ifdef RH_CHECK_HOT
    cr_assert_eq(calls, 1);
#else
    cr_assert_eq(calls, 0);
#endif
}

Test(error, has_a_name_for_each_code) {
    cr_expect_str_eq(rh_code_name(RH_CODE_NONE), "none");
    cr_expect_str_eq(rh_code_name(RH_CODE_SLOW_CONSUMER), "slow_consumer");
    cr_expect_str_eq(rh_code_name(RH_CODE_INTERNAL), "internal");
    cr_expect_str_eq(rh_code_name(RH_CODE_UNKNOWN_OUTCOME), "unknown_outcome");
    cr_expect_str_eq(rh_code_name((enum rh_code)(RH_CODE_UNKNOWN_OUTCOME + 1)), "unknown");
    for (unsigned a = RH_CODE_NONE; a <= RH_CODE_UNKNOWN_OUTCOME; ++a)
        for (unsigned b = RH_CODE_NONE; b < a; ++b)
            cr_expect_str_neq(rh_code_name((enum rh_code)a), rh_code_name((enum rh_code)b));
}

Test(clock, does_not_go_back_and_counts_nanoseconds) {
    uint64_t before = clock_mono_ns();
    for (unsigned i = 0; i < 1000; ++i) {
        uint64_t now = clock_mono_ns();
        cr_assert(now >= before);
        before = now;
    }
    cr_assert(clock_wall_ns() > UINT64_C(1577836800) * NS_PER_S); /* 2020 */
}

Test(limits, leave_room_for_the_events_that_cloudevents_wants_forwarded) {
    cr_expect(FRAME_BYTES_MIN >= 64 * KIB + TOPIC_BYTES_MAX + FRAME_OVERHEAD_MAX);
    cr_expect(LOG_FRAMES_MIN * FRAME_BYTES_DEFAULT <= LOG_DATA_DEFAULT);
    cr_expect(CONNECT_BYTES_MAX > CLIENT_NAME_BYTES_MAX);
}
