/* unmatched.h: events that match nobody: how they are found, counted and remembered.
 * Owner: the worker that holds the struct; its thread. Private to core/shard. The argument is in unmatched.c.
 * An event is unmatched when no subscription and no queue of any worker had a pattern for its topic as it was
 * passed over. Filters and lags play no part; topics with `$` and `@` in front are left out.
 * Nothing blocks and nothing allocates. An event that somebody here wants costs nothing, one that nobody here
 * wants a probe of one line. What can not be asked for want of room is counted as not judged. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "ring/counter.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct home;
struct kept;
struct route;
struct run;
struct log_entry;
struct log_view;

/* What others must know of a worker to tell whether somebody may want an event. Written by the worker. */
struct audience {
    struct counter reading; /* one bit for each log where some pattern here can match */
    struct counter waiting; /* queues here that have patterns and no members */
    struct counter changes; /* of either, or of any pattern, so far */
};

#define UNMATCHED_SOURCE_BYTES 200u

/* Events of one topic that matched nobody. */
struct unmatched_sample {
    uint64_t topic_id;          /* 0 = no sample */
    uint64_t count;             /* since the sample was taken */
    uint64_t first_ns, last_ns; /* wall clock: when the first and the last of them came */
    uint64_t sequence;          /* of the first */
    uint32_t log;
    uint8_t topic_length;
    uint8_t source_length; /* what is longer is cut */
    uint8_t id_length;     /* the same */
    uint8_t topic[TOPIC_BYTES_MAX];
    uint8_t source[UNMATCHED_SOURCE_BYTES]; /* of the first, */
    uint8_t id[UNMATCHED_SOURCE_BYTES];     /* ... and its id */
};

/* What is known of a topic that nobody here wants. */
enum unmatched_verdict { UNMATCHED_OPEN, UNMATCHED_ASKED, UNMATCHED_WANTED, UNMATCHED_NOBODY };
struct unmatched_topic {
    uint64_t id;
    uint32_t changes; /* of all workers when it was found out, their low half */
    uint8_t verdict;  /* enum unmatched_verdict */
    uint8_t question; /* ASKED: its index */
};

/* Those whose ids have the same bucket: a line of the cache. */
#define UNMATCHED_BUCKET 4u
struct unmatched_bucket {
    struct unmatched_topic topics[UNMATCHED_BUCKET];
} __attribute__((aligned(64)));
static_assert(sizeof(struct unmatched_bucket) == 64, "one line");

/* Goes from worker to worker, and back with the answer. */
struct unmatched_question {
    struct worker *asker; /* NULL = free */
    uint64_t left;        /* one bit for each worker that is still to be asked */
    uint64_t count;       /* events that wait for the answer */
    bool answered, wanted;
    struct list held; /* its way on was full: in unmatched->held of the one who has it */
    struct unmatched_sample sample;
};

struct unmatched {
    struct unmatched_bucket *buckets; /* owns; UNMATCHED_TOPICS / UNMATCHED_BUCKET, touched as used */
    struct unmatched_question questions[UNMATCHED_QUESTIONS];
    struct unmatched_sample samples[UNMATCHED_SAMPLES];
    struct list held;  /* questions of any asker */
    uint32_t given_up; /* topics so far: whose turn it is */
    uint64_t turn;     /* in which the following were looked up */
    uint64_t lower;    /* logs that a worker with a lower number reads */
    uint64_t reading;  /* logs that any other worker reads */
    uint64_t changes;
    bool waiting;                /* some other worker has queues without members */
    uint64_t sample_ns, line_ns; /* not before then: the next new sample, the next log line */
    uint64_t since_line;         /* events since the last log line */
};

int unmatched_init(struct unmatched *unmatched) MUST_USE; /* -ENOMEM; it may be freed all the same */
void unmatched_deinit(struct unmatched *unmatched);
/* A run that nobody here wants, as the log is walked. */
void unmatched_run(struct worker *worker, uint32_t log, const struct run *run);
/* A log of this worker, which it has not read itself below this position: perhaps nobody has. */
void unmatched_look(struct worker *worker, uint32_t log, uint64_t to);
/* A question that came by the mailbox. */
void unmatched_question(struct worker *worker, struct unmatched_question *question);
/* What had no room goes on its way; once a turn. */
void unmatched_turn(struct worker *worker);
/* A pattern has come or gone: what others know of this worker is out of date. */
void audience_changed(struct worker *worker);
void audience_reads(struct worker *worker, uint32_t log, bool reads);
/* A queue has come, has got its first member, has lost its last one, or goes. */
void audience_waits(struct worker *worker, struct kept *kept, bool waits);
