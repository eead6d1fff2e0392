/* spoke_counters.h: what a spoke has sent out, for metrics: one of it for each spoke.
 * Owner: the spoke; its thread counts, any may read. What it has let in is in counters.h.
 * The list is a macro, so that the page of metrics can not forget one.
 * Nothing blocks.
 * Nothing fails; values wrap at 2^64. */
#pragma once

#include "ring/counter.h"

/* name, kind, help: as the page of metrics has them */
#define SPOKE_COUNTERS(X)                                                                                    \
    X(state, gauge, "0 starting, 1 running, 2 waiting to try again, 3 stopping")                             \
    X(received, counter, "events taken from the spoke's queue")                                              \
    X(delivered, counter, "events that its system has, or that its filter left out")                         \
    X(filtered, counter, "... of these: left out by its filter")                                             \
    X(retried, counter, "deliveries that failed and are tried again")                                        \
    X(refused, counter, "events that became dead letters")                                                   \
    X(lossy, counter, "documents that do not say all of their event: their format has no place for it")      \
    X(in_hand, gauge, "events that are on their way to its system")                                          \
    X(restarts, counter, "times it could not go on, and began anew after a pause")                           \
    X(awaited, gauge, "documents that were sent and are not acknowledged, overdue ones among them")          \
    X(acknowledged, counter, "documents whose awaited acknowledgement has come, in time or not")             \
    X(turned_down, counter, "... of these: rejected by the receiver")                                        \
    X(overdue, counter, "documents whose acknowledgement was overdue")

struct spoke_counters {
#define SPOKE_COUNTER(name, kind, help) struct counter name;
    SPOKE_COUNTERS(SPOKE_COUNTER)
#undef SPOKE_COUNTER
};
