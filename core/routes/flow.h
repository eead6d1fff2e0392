/* flow.h: the rules of one file at work: a bridge whose queue, route.NAME, takes events from the router and
 * which publishes what the rules make of them.
 * Owner: one thread, which makes it, runs the base and frees it; the counters any thread may read.
 * Blocks while the rules' process starts. An event is acknowledged when all that came of it is settled, so
 * after a crash it comes again, and makes the same ids.
 * Fails by answers: an event that a rule fails on is refused, and becomes a dead letter of the queue. */
#pragma once

#include "core/base/check.h"
#include "core/routes/ruleset.h"
#include "ring/counter.h"

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct flow;

struct flow_options {
    struct event_base *base;
    const char *server; /* "HOST:PORT" of the router's native listener */
    bool journal;       /* the router has one: the queue is durable, what is published counts on disk */
};

struct flow_counters {
    struct counter received;    /* events taken from the queue */
    struct counter published;   /* events that came of them, settled */
    struct counter quarantined; /* ... of these: to quarantine */
    struct counter merged;      /* groups that were merged */
    struct counter refused;     /* events that became dead letters */
    struct counter retried;     /* events that are to come again */
};

/* The set is borrowed. NULL: *why. */
struct flow *flow_new(const struct ruleset *set, const struct flow_options *options, char *why,
                      size_t why_bytes) MUST_USE;
/* What is not answered comes again, to whoever joins the queue next. NULL is allowed. */
void flow_free(struct flow *flow);
const struct flow_counters *flow_counters(const struct flow *flow);
