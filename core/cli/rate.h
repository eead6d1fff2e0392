/* rate.h: not more than so many a second, also after a pause.
 * Owner: the command; its thread.
 * Whoever is late may catch up for at most RATE_CATCH_UP_NS: enough for a sleep that was too long, and not
 * enough to make a burst of an hour without input.
 * Nothing blocks: the caller waits.
 * Nothing fails. */
#pragma once

#include "core/base/limits.h"

#include <stdint.h>

#define RATE_CATCH_UP_NS (50 * NS_PER_MS)

struct rate {
    double step_ns;  /* between two; 0 = no limit */
    double fraction; /* of a nanosecond, that due_ns is too early */
    uint64_t due_ns; /* when the next one may go */
};

void rate_init(struct rate *rate, double per_second, uint64_t now_ns); /* per_second 0 = no limit */
/* How long to wait for the next one: 0 = it is due. Milliseconds, rounded up, at most INT_MAX. */
int rate_wait_ms(const struct rate *rate, uint64_t now_ns);
/* One has gone. */
void rate_spend(struct rate *rate, uint64_t now_ns);
