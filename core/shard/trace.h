/* trace.h: follows the next events of a pattern: received, appended, on disk, routed, sent to whom.
 * Owner: whoever begins it (the admin plane), until trace_destroy. All calls are for its one thread; what the
 * workers write into it is in traces.h.
 * Nothing blocks. A router that nobody traces pays one predictable branch for each event or train of events,
 * run and send, and for each delivery of a queue and its acknowledgement; a trace follows at most `count`
 * events of each shard's logs, TRACE_FOLLOWS_MAX sends and TRACE_DELIVERIES_MAX deliveries of each shard.
 * Beginning fails with negative errno. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct shards;
struct trace;

#define TRACE_TEXT_BYTES 200u

/* What became of an event for the subscriptions of one worker, or of all. Times are of the wall clock. */
struct trace_fate {
    uint64_t connections; /* it was put on its way to them at once; of these: */
    uint64_t sent;        /* ... it has been taken by their sockets, */
    uint64_t behind;      /* ... they have fallen behind meanwhile, */
    uint64_t lost;        /* ... they were closed, */
    uint64_t unfollowed;  /* ... there were too many to be followed. The others still have it before them */
    uint64_t lagging;     /* connections that were behind already: it comes to them later */
    uint64_t queues;      /* queues that it was offered to, or that come to it later; of these: */
    uint64_t settled;     /* ... a member has done with it, or refused it */
    uint64_t untold;      /* deliveries to members that there was no room to follow */
    uint64_t filtered;    /* subscribers and queues whose filters turn it away */
    uint64_t expired;     /* connections that do not get it: its time was over */
    uint64_t routed_ns;   /* when it was passed over; of all: first. 0 = not yet */
    uint64_t first_ns, last_ns; /* when the first and the last socket took it; 0 = none has */
};

/* An event that was traced, as it stands. Texts that are longer are cut. */
struct trace_seen {
    char topic[TOPIC_BYTES_MAX + 1];
    char source[TRACE_TEXT_BYTES + 1];
    char id[TRACE_TEXT_BYTES + 1];
    char type[TRACE_TEXT_BYTES + 1];
    uint64_t sequence;
    uint32_t log;   /* its number */
    uint32_t shard; /* home of the log */
    uint32_t slot;
    uint32_t bytes; /* of the record */
    bool disk;
    uint64_t received_ns; /* by the worker of its publisher, */
    uint64_t appended_ns; /* ... to its log, at home */
    uint64_t synced_ns;   /* on disk; 0 = not yet, or it is in memory */
    struct trace_fate fate;
    bool over; /* nothing more will come of it: all who read its log have passed it, their sends have ended,
                  and every queue has it settled */
};

enum trace_outcome {
    TRACE_HELD, /* the member has it, and its lease goes on */
    TRACE_DONE,
    TRACE_RETRIED, /* it is to come again */
    TRACE_REFUSED, /* it becomes a dead letter */
    TRACE_LEASE_ENDED,
    TRACE_LEFT /* the member has gone: others get it */
};

/* One delivery of a traced event to a member of a queue. */
struct trace_given {
    char queue[QUEUE_NAME_BYTES_MAX + 1];
    bool known; /* the member's worker has put it into its output; else nothing of the member is */
    uint32_t shard, serial; /* the member's connection */
    char client[CLIENT_NAME_BYTES_MAX + 1];
    uint32_t attempt;
    uint32_t extended; /* times that its lease was */
    uint64_t lease_ns;
    uint64_t given_ns; /* by the queue's keeper; times of the wall clock */
    uint64_t sent_ns;  /* its socket took it; 0 = not yet, or it was not seen */
    uint64_t ended_ns; /* when the outcome was known; 0 = HELD */
    enum trace_outcome outcome;
};

/* `count` (TRACE_EVENTS_MAX at most) events on topics that the pattern matches, which is valid. -ENOMEM,
 * -EINVAL. */
int trace_begin(struct trace **out, const struct shards *shards, const char *pattern,
                uint32_t count) MUST_USE;
/* Tells workers whose mailbox was full, and takes up what has come: to be called now and then, also behind
 * trace_end. How many events there are, the oldest first; no more than were asked for. */
uint32_t trace_serve(struct trace *trace);
void trace_read(const struct trace *trace, uint32_t number, struct trace_seen *out);
/* The next delivery of that event, from `*at` on, which begins with 0 and moves on. False: there is none. */
bool trace_delivery(const struct trace *trace, uint32_t number, uint32_t *at, struct trace_given *out);
/* No worker is to go on with it. */
void trace_end(struct trace *trace);
/* Whether no worker knows of it any more: then it can be freed. */
bool trace_gone(const struct trace *trace);
/* When it is gone, or no worker runs any more. NULL is allowed. */
void trace_destroy(struct trace *trace);
