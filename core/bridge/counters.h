/* counters.h: what a spoke has let in, for metrics: one of it for each spoke.
 * Owner: whoever makes the spoke; it outlives what counts into it, and is zeroed before.
 * Thread: the bridge's counts, any may read.
 * Nothing blocks.
 * Nothing fails; values wrap at 2^64. */
#pragma once

#include "ring/counter.h"

struct inbound_counters {
    struct counter documents; /* that have ended */
    struct counter published; /* events that the router has settled */
    struct counter refused;   /* messages: they broke rules, had no map, or their mapping failed */
    struct counter unknown;   /* events whose fate is not known */
    struct counter tolerated; /* findings: rules that were broken, as the partner may */
    struct counter acknowledgements;
};
