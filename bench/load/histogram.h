/* histogram.h: how long deliveries took, log-linear: 64 buckets for each doubling, so 1.6 % at most.
 * Owner: the paced mode. One thread.
 * Two arrays of 20 KiB; adding costs an increment.
 * Nothing blocks.
 * A time beyond the last bucket counts in the last; the maximum is kept exactly. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_STEPS   64u
#define HISTOGRAM_BUCKETS (40u * HISTOGRAM_STEPS)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t ns, uint64_t times);

/* The least time of a bucket. */
uint64_t histogram_lower(uint32_t bucket);

/* The time that `share` (0 to 1) of all do not exceed: the end of its bucket, at most the maximum. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
