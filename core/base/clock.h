/* clock.h: the two clocks, in nanoseconds.
 * Owner: core/base. Any thread may call.
 * clock_mono_ns never goes back and measures waits; clock_wall_ns is the time of day for records and people.
 * Nothing blocks (both are vDSO reads).
 * They can not fail on Linux; a failure is a CHECK. */
#pragma once

#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void);
