#include "bench/load/histogram.h"

#include <math.h>

#define STEP_BITS 6u /* log2 of HISTOGRAM_STEPS */

/* Below 128 a bucket for each nanosecond; above, the six bits behind the first one. */
static uint32_t bucket_of(uint64_t ns) {
    if (ns < 2 * HISTOGRAM_STEPS)
        return (uint32_t)ns;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(ns);
    uint32_t step = (uint32_t)(ns >> (top - STEP_BITS)) - HISTOGRAM_STEPS;
    uint32_t bucket = (top - STEP_BITS + 1) * HISTOGRAM_STEPS + step;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns, uint64_t times) {
    histogram->counts[bucket_of(ns)] += times;
    histogram->count += times;
    if (ns > histogram->max)
        histogram->max = ns;
}

uint64_t histogram_lower(uint32_t bucket) {
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count), seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen >= wanted && seen > 0) {
            uint64_t end = histogram_lower(bucket + 1) - 1;
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
