/* flow.h: the rules of one file at work: a bridge whose queue, route.NAME, takes events from the router and
 * which publishes what the rules make of them.
 * Owner: one thread, which makes it, runs the base and frees it; the counters any thread may read.
 * Blocks while the rules' process starts, and at the end, for at most a second, until what was published is
 * settled. An event is acknowledged when all that came of it is settled, so after a crash it comes again, and
 * makes the same ids.
 * Fails by answers: an event that a rule fails on is refused, and becomes a dead letter of the queue. */
#pragma once

#include "core/base/check.h"
#include "core/routes/ruleset.h"
#include "ring/counter.h"

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct flow;

/* name, kind, help: as a page of metrics has them */
#define FLOW_COUNTERS(X)                                                                                     \
    X(received, counter, "events taken from the queue of a file of rules")                                   \
    X(published, counter, "events that came of them, settled")                                               \
    X(quarantined, counter, "... of these: to quarantine")                                                   \
    X(merged, counter, "groups of events that were merged")                                                  \
    X(refused, counter, "events that became dead letters")                                                   \
    X(retried, counter, "events that are to come again")                                                     \
    X(restarts, counter, "times that the process of the rules was started again")

struct flow_counters {
#define FLOW_COUNTER(name, kind, help) struct counter name;
    FLOW_COUNTERS(FLOW_COUNTER)
#undef FLOW_COUNTER
};

struct flow_options {
    struct event_base *base;
    const char *server;   /* "HOST:PORT" of the router's native listener */
    bool journal;         /* the router has one: the queue is durable, what is published counts on disk */
    uint64_t frame_bytes; /* what it takes: limits.frame; 0: the default */
    struct flow_counters *counters; /* borrowed; they go on from what they are */
};

/* The set is borrowed. NULL: *why. */
struct flow *flow_new(const struct ruleset *set, const struct flow_options *options, char *why,
                      size_t why_bytes) MUST_USE;
/* What is not answered comes again, to whoever joins the queue next. NULL is allowed. */
void flow_free(struct flow *flow);
