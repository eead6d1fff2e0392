#include "core/cli/rate.h"

#include <limits.h>

#define RATE_STEP_NS_MAX 1e18 /* 31 years */

void rate_init(struct rate *rate, double per_second, uint64_t now_ns) {
    double step = per_second > 0 ? (double)NS_PER_S / per_second : 0;
    *rate = (struct rate){.step_ns = step < RATE_STEP_NS_MAX ? step : RATE_STEP_NS_MAX, .due_ns = now_ns};
}

int rate_wait_ms(const struct rate *rate, uint64_t now_ns) {
    if (rate->due_ns <= now_ns)
        return 0;
    uint64_t ms = (rate->due_ns - now_ns - 1) / NS_PER_MS + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

void rate_spend(struct rate *rate, uint64_t now_ns) {
    if (rate->due_ns + RATE_CATCH_UP_NS < now_ns) {
        rate->due_ns = now_ns - RATE_CATCH_UP_NS;
        rate->fraction = 0;
    }
    rate->fraction += rate->step_ns;
    uint64_t whole = (uint64_t)rate->fraction;
    rate->due_ns += whole;
    rate->fraction -= (double)whole;
}
