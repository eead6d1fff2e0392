#include "core/base/clock.h"

#include "core/base/check.h"
#include "core/base/limits.h"

#include <time.h>

static uint64_t clock_read_ns(clockid_t id) {
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_mono_ns(void) {
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void) {
    return clock_read_ns(CLOCK_REALTIME);
}
