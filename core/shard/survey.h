/* survey.h: questions to all workers about what only they know, and the answers as plain structs.
 * Owner: an asker has a desk and asks there; a question goes from worker to worker, and comes back to the
 * desk. Threads: survey_* are for the desk's thread, which may be any one; each worker answers in its own
 * turns. Nothing blocks. A worker looks at a bounded number of things in a turn, so an answer is no snapshot:
 * what comes or goes meanwhile is in it or not, what stays is in it once. Fails by negative errno in
 * survey_ask; a router that stops gives what it has, and says that it is cut. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shards;
struct survey_desk;

enum survey_kind {
    SURVEY_CONNECTIONS,
    SURVEY_SUBSCRIPTIONS,
    SURVEY_LAGGARDS, /* at most LAG_RECORDS_MAX of each worker that are over */
    SURVEY_TOPICS,
    SURVEY_QUEUES,
    SURVEY_EXPLAIN,
    SURVEY_UNMATCHED,
    SURVEY_KINDS
};

/* How far a subscriber is behind. */
struct survey_lag {
    uint64_t events; /* positions of its logs that it has not got; an upper bound: not all need be for it */
    uint64_t bytes;  /* of these, and what else waits for its socket */
    uint64_t ns;     /* age of the oldest of these */
    uint64_t silent_ns; /* since the last bytes were written to it */
    double drain;       /* events a second that its socket takes */
    bool catches_up;    /* it is not live */
};

/* Who it is; names it in logs and answers as SHARD.SERIAL. */
struct survey_client {
    uint32_t shard;
    uint32_t serial;
    char name[CLIENT_NAME_BYTES_MAX + 1]; /* "" = it gave none */
    char address[64];                     /* HOST:PORT; "" = not known any more */
};

struct survey_connection {
    struct survey_client client;
    uint64_t since_ns; /* wall clock */
    uint64_t published;
    uint64_t delivered; /* events that its socket took; where one is behind, by their mean size */
    uint32_t subscriptions;
    struct survey_lag lag;
};

enum survey_subscribed { SURVEY_LIVE, SURVEY_QUEUE, SURVEY_MAILBOX };

struct survey_subscription {
    struct survey_client client;
    uint64_t id;
    enum survey_subscribed kind;
    uint32_t patterns;
    uint16_t text_length;
    char text[SURVEY_TEXT_BYTES];     /* its first patterns, each with a NUL behind it; of a queue its name */
    char filter[SURVEY_FILTER_BYTES]; /* its filters as JSON; "" = none, or they do not fit. A queue's are
                                         told with the queue */
    bool filtered;                    /* it has some */
    struct survey_lag lag;
};

/* A connection whose oldest event waits for LAG_BEGIN_NS or longer, or one that was so within LAG_KEPT_NS. */
struct survey_laggard {
    struct survey_client client;
    uint64_t id; /* of its first subscription; its others lag with it */
    enum survey_subscribed kind;
    uint32_t subscriptions;
    uint32_t patterns;
    uint16_t text_length;
    char text[SURVEY_TEXT_BYTES]; /* as of its first subscription */
    uint64_t since_ns;            /* wall clock; of the last time when it is over */
    uint64_t gone_ns;             /* wall clock; 0 = it lags now */
    uint64_t lagged_ns;           /* how long that was, or is so far */
    uint32_t times;               /* that this connection has lagged */
    const char *reason;    /* static; when it is over: caught_up, left, lost, stopped, or the code of the
                              Error that ended it */
    struct survey_lag lag; /* as it is, or was last seen */
    struct survey_lag worst;
};

#define SURVEY_SAMPLE_BYTES 200u

/* Events of one topic that matched nobody, as one worker remembers them; the last ones first. */
struct survey_unmatched {
    uint64_t count;             /* since it remembers the topic */
    uint64_t first_ns, last_ns; /* wall clock */
    uint64_t sequence;          /* of the first; as are: */
    uint32_t log;               /* its number */
    char topic[TOPIC_BYTES_MAX + 1u];
    char source[SURVEY_SAMPLE_BYTES + 1u]; /* what is longer is cut */
    char id[SURVEY_SAMPLE_BYTES + 1u];
};

struct explain;

/* A topic of which the log of its home still has something, of its last SURVEY_WALK_MAX events. */
struct survey_topic {
    char name[TOPIC_BYTES_MAX + 1u];
    uint32_t shard; /* its home */
    uint16_t slot;
    bool disk;
    uint64_t kept; /* so many events */
    double rate;   /* events, and bytes of frames, a second: of the last 10 s, or what the log has of them */
    double bytes;
    uint64_t last_ns; /* wall clock */
};

/* A queue or mailbox, as its keeper knows it; the one with most to do first. */
struct survey_queue {
    char name[QUEUE_NAME_BYTES_MAX + 1u];
    uint32_t shard; /* of its keeper */
    bool mailbox, durable;
    uint32_t members;
    uint32_t patterns;
    uint16_t text_length;
    char text[SURVEY_TEXT_BYTES];     /* its first patterns, each with a NUL behind it */
    char filter[SURVEY_FILTER_BYTES]; /* as of a subscription */
    bool filtered;
    uint64_t outstanding; /* events that it has seen and that are not done */
    uint64_t held;        /* of a mailbox: what counts against its capacity */
    uint64_t behind; /* positions of its logs that it has not seen; an upper bound: not all need be for it */
    uint64_t delivered, done, dead; /* since it was made or restored */
    uint64_t oldest_ns;             /* wall clock: when the oldest outstanding one was received; 0 = none */
};

struct survey_question {
    uint32_t match_length; /* TOPICS: only those that match; 0 = all */
    char match[TOPIC_BYTES_MAX + 1u];
    bool by_name; /* TOPICS: how the asker shows them */
    enum survey_kind kind;
    uint32_t limit;          /* how many things are listed, at most SURVEY_ROWS_MAX: the worst ones */
    struct explain *explain; /* EXPLAIN: the event, and where all is said but the rows; lent until it is
                                answered. The limit is its list's, for each group */
};

/* `rows` of the kind's struct, the worst first; survey_row gives one. */
struct survey_answer {
    enum survey_kind kind;
    uint32_t count;
    bool more;          /* there are others, beyond the limit */
    bool cut;           /* the router has stopped: not all workers have answered */
    uint64_t looked_at; /* things, by all workers */
    /* private to survey.c */
    void *rows;
    size_t row_size;
    struct survey_kept *kept;
};
static inline const void *survey_row(const struct survey_answer *answer, uint32_t i);

/* On the desk's thread, within survey_desk_serve or survey_desk_destroy; once. The answer is borrowed for the
 * call; NULL: there will be none, the desk is gone. */
typedef void survey_done(void *user, const struct survey_answer *answer);

int survey_desk_create(struct survey_desk **out, const struct shards *shards) MUST_USE;
/* While something is asked: only when no worker runs any more. NULL is allowed. */
void survey_desk_destroy(struct survey_desk *desk);
int survey_desk_fd(const struct survey_desk *desk); /* readable when something has come */
void survey_desk_serve(struct survey_desk *desk);
/* 0; -EINVAL: the limit; -EBUSY: SURVEYS_MAX are asked, -ESHUTDOWN: the router stops; -ENOMEM. `done` is
 * called after 0 only, never within this call. */
int survey_ask(struct survey_desk *desk, const struct survey_question *question, survey_done *done,
               void *user) MUST_USE;

/* ---- inline part ---- */

struct survey_kept {
    uint64_t key; /* the higher, the worse */
    uint32_t row;
};
static inline const void *survey_row(const struct survey_answer *answer, uint32_t i) {
    return (const char *)answer->rows + answer->kept[i].row * answer->row_size;
}
