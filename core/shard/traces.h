/* traces.h: what workers write into a trace, and where in the turn they do.
 * Owner: each part of a trace belongs to its worker, but for the counters, which anyone may read; a worker
 * knows a trace from COMMAND_TRACE until COMMAND_UNTRACE, which it answers.
 * Private to core/shard; the worker's thread. Nothing blocks, nothing allocates.
 * An event is in its part before it is published, so whoever sees its position finds it there. None is taken
 * before all workers know of the trace.
 * Fails by following less, which is counted. */
#pragma once

#include "core/base/list.h"
#include "core/queue/queue.h"
#include "core/shard/trace.h"
#include "ring/counter.h"
#include "ring/published.h"

struct worker;
struct peer;
struct home;
struct kept;
struct forward;
struct run;
struct route;

struct trace_mark { /* written by one worker */
    struct counter connections, sent, behind, lost, unfollowed, lagging, queues, filtered, expired;
    struct counter settled, untold; /* of queues */
    struct counter routed_ns, first_ns, last_ns;
    struct counter behind_it; /* 1: the worker began to read the log behind it, and will not pass it */
};

struct trace_event {
    struct counter log; /* index */
    struct counter position;
    struct counter synced_ns;
    /* written before `found` counts it */
    uint64_t sequence, received_ns, appended_ns;
    uint32_t bytes;
    uint16_t slot;
    uint8_t topic_length, source_length, id_length, type_length;
    uint8_t topic[TOPIC_BYTES_MAX];
    uint8_t source[TRACE_TEXT_BYTES];
    uint8_t id[TRACE_TEXT_BYTES];
    uint8_t type[TRACE_TEXT_BYTES];
    struct trace_mark *marks; /* borrows: by worker */
};

/* A delivery, as the keeper of its queue knows it. */
struct trace_delivery {
    struct published outcome; /* behind ended_ns */
    struct counter ended_ns, extended;
    /* written before `delivered` counts it */
    const struct trace_event *event; /* borrows */
    uint64_t owner, delivery, lease_ns, given_ns;
    uint32_t attempt;
    char queue[QUEUE_NAME_BYTES_MAX + 1];
};

/* The same, as the worker of the member knows it: also of what other traces follow. */
struct trace_handed {
    struct counter sent_ns;
    /* written before `handed` counts it */
    uint64_t owner, delivery;
    uint32_t serial;
    char client[CLIENT_NAME_BYTES_MAX + 1];
};

/* A send that is not over. */
struct trace_follow {
    struct peer *peer; /* borrows until it is closed */
    struct trace_mark *mark;
    struct trace_handed *handed; /* instead of a mark: of a queue */
    uint64_t left;               /* bytes up to the event's end */
};

/* Of one worker. */
struct trace_part {
    struct published found;       /* events of logs of this worker */
    struct published known;       /* 1: this worker follows what is found */
    struct trace_event *events;   /* owns; trace->count */
    uint32_t unsynced;            /* of them */
    struct trace_follow *follows; /* owns; TRACE_FOLLOWS_MAX */
    uint32_t follows_count;
    struct published delivered;
    struct trace_delivery *deliveries; /* owns; TRACE_DELIVERIES_MAX */
    struct published handed;
    struct trace_handed *hands; /* owns; TRACE_DELIVERIES_MAX */
} __attribute__((aligned(64)));

struct trace_slot {          /* where a worker has a trace */
    struct trace *trace;     /* NULL = free */
    struct trace_part *part; /* its own */
    bool all_know;           /* all workers follow what is found */
};

struct traces {
    struct trace_slot slots[TRACES_MAX];
    uint32_t count; /* in use; 0 = nobody traces */
};

void trace_take(struct worker *worker, struct trace *trace); /* COMMAND_TRACE */
void trace_drop(struct worker *worker, struct trace *trace); /* COMMAND_UNTRACE */
/* Before the record at the log's next position is committed, or forward->count records in a row. */
void trace_append(struct worker *worker, struct home *home, const struct forward *forward);
/* The worker reads a log from its cursor on, and will not pass what lies before. */
void trace_attached(struct worker *worker, uint32_t log);
/* Once a turn: what has become durable. */
void trace_turn(struct worker *worker);
/* A run is passed over, before it is given to its subscribers. Whether a traced event is in it. */
bool trace_pass(struct worker *worker, uint32_t log, const struct route *route, const struct run *run);
/* ... and it has been given to them. */
void trace_routed(struct worker *worker, uint32_t log, const struct run *run);
/* The run is the last thing in the peer's output. */
void trace_given(struct worker *worker, const struct peer *peer, uint32_t log, const struct run *run);
/* So many bytes of its output are gone. */
void trace_sent(struct worker *worker, const struct peer *peer, uint64_t bytes);
/* Its slices are taken out of its output: it has fallen behind, or is closed. */
void trace_lost(struct worker *worker, const struct peer *peer, bool closed);

/* ---- queues: at the keeper, and at the worker of the member ---- */

/* The queue has given an event to a member; of any event. True: the member's worker is to tell, too. */
bool trace_delivered(struct worker *worker, const struct kept *kept, const struct queue_delivery *delivery);
/* What the member says of it was taken. */
void trace_acked(struct worker *worker, const struct queue_ack *ack);
/* It ended otherwise; delivery 0: all that the member holds. */
void trace_ended(struct worker *worker, uint64_t owner, uint64_t delivery, enum trace_outcome outcome);
/* It is the last thing in the output of the member's connection. */
void trace_handed(struct peer *peer, uint64_t owner, uint64_t delivery);
