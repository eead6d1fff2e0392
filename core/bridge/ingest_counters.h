/* ingest_counters.h: what HTTP in has answered, for metrics: one of it for the process.
 * Owner: whoever starts HTTP in; it outlives that, and is zeroed before.
 * Thread: that of HTTP in counts, any may read.
 * The list is a macro, so that the page of metrics can not forget one. Nothing blocks.
 * Nothing fails; values wrap at 2^64. */
#pragma once

#include "ring/counter.h"

/* name, kind, help: as the page of metrics has them */
#define INGEST_COUNTERS(X)                                                                                   \
    X(accepted, counter, "requests answered with 2xx: all that came of them is settled")                     \
    X(refused, counter, "requests answered with 4xx: the sender is told what is wrong")                      \
    X(unavailable, counter, "requests answered with 5xx: not settled, the sender has to come again")         \
    X(connections, gauge, "connections now")                                                                 \
    X(timeouts, counter, "connections cut because they took too long")

struct ingest_counters {
#define INGEST_COUNTER(name, kind, help) struct counter name;
    INGEST_COUNTERS(INGEST_COUNTER)
#undef INGEST_COUNTER
};
