/* explain.h: who would get an event and who would not, and why, without delivering it.
 * Owner: whoever asks has the struct, and lends it to the survey (SURVEY_EXPLAIN) until that is answered;
 * each worker adds to it in its own turns, one after the other. Reading it is for the asker, afterwards.
 * Nothing blocks and nothing allocates; a worker looks at a bounded number of subscriptions in a turn.
 * Nothing changes: an event that is explained is not remembered as one that came.
 * Fails nowhere: what a router would say against the event is an answer. */
#pragma once

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/shard/survey.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a subscription, queue or mailbox stands to the event, by itself. */
enum explain_group {
    EXPLAIN_GETS,
    EXPLAIN_FILTERED, /* a pattern matches, and its filter turns the event away */
    EXPLAIN_OTHER,    /* no pattern matches */
    EXPLAIN_GROUPS
};

/* What the home of the topic's log would do with it. */
enum explain_outcome {
    EXPLAIN_ROUTED,
    EXPLAIN_REFUSED,   /* `fault` says why; its publisher is told */
    EXPLAIN_DUPLICATE, /* of `duplicate_of`: it is not stored again */
    EXPLAIN_EXPIRED,   /* it is stored, and delivered to nobody */
};

struct explain_row {
    enum explain_group group;
    enum survey_subscribed kind;
    struct survey_client client; /* LIVE */
    uint64_t id;                 /* LIVE: of the subscription */
    char
        queue[QUEUE_NAME_BYTES_MAX + 1u]; /* else its name; of a mailbox as much of it as there is room for */
    uint32_t members;                     /* of a queue; 0: the event waits there */
    bool behind;                          /* LIVE: it comes to the event later */
    uint32_t patterns;                    /* how many it has */
    char pattern[TOPIC_BYTES_MAX + 1u];   /* the one that matches; of OTHER its first one */
    char filter[2 * SURVEY_TEXT_BYTES];   /* of FILTERED: what decides */
};

struct explain {
    /* the question; borrowed, all of it checked as of an event that is published */
    const uint8_t *topic, *event;
    uint32_t topic_length, event_length;
    uint32_t list; /* rows of each group */
    /* the answer */
    bool located, judged; /* which worker does not matter; its home has said what is below */
    uint64_t hash;
    uint32_t slot, log, log_number, shard; /* `log` is an index; `shard` its home */
    bool disk;
    int32_t rule; /* of `topics`, from 1; 0 = none matches */
    uint8_t rule_length;
    uint8_t rule_pattern[TOPIC_BYTES_MAX];
    uint64_t rule_expiry_ns, window_ns; /* of the rule; 0 = none */
    bool expires;                       /* it has an expirytime, */
    uint64_t expires_ns;                /* ... this; or, without, what the rule makes of now */
    enum explain_outcome outcome;
    struct fault fault;
    uint64_t duplicate_of;
    bool held; /* its publisher would have to wait now, for a slow subscriber with policy block */
    uint64_t totals[EXPLAIN_GROUPS][SURVEY_MAILBOX + 1];
    uint32_t listed[EXPLAIN_GROUPS];
};
