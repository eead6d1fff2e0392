/* worker.h: what the files of core/shard share: a worker, its peers, its readers of logs and its links to
 * other workers. Owner: the worker's thread, but for what says otherwise. Private to core/shard. One turn:
 * receive and scan (io callbacks) -> append -> publish -> route -> subscriptions -> catch-up -> send ->
 * gates. See worker.c. Nothing blocks but the sleep inside io_turn. Set-up fails with negative errno; in the
 * turn, what can not go on is parked or closed, and counted. */
#pragma once

#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/logfmt.h"
#include "core/base/topic.h"
#include "core/conn/conn.h"
#include "core/io/io.h"
#include "core/route/intern.h"
#include "core/route/route.h"
#include "core/session/session.h"
#include "core/shard/duplicates.h"
#include "core/shard/filters.h"
#include "core/shard/keeper.h"
#include "core/shard/rules.h"
#include "core/shard/shard.h"
#include "core/shard/surveys.h"
#include "core/shard/traces.h"
#include "core/shard/unmatched.h"
#include "ring/log.h"
#include "ring/mpsc.h"
#include "ring/published.h"
#include "ring/spsc.h"
#include "ring/wake.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Of the sequences of disk logs, whose positions go on over restarts, and of memory logs where every run is a
 * new instance. */
#define EPOCH_FIRST UINT16_C(1)

/* ---- changes ---- */

struct change;
enum change_step {
    CHANGE_GROW,  /* there are more workers and logs */
    CHANGE_HOLD,  /* nothing more is given to the slots that move, and what was given is in their logs */
    CHANGE_CARRY, /* where some may come again: what is known of them is written down */
    CHANGE_TAKE,  /* ... and taken over by their new homes */
    CHANGE_GO,    /* they are where they are to be */
};

/* ---- mailbox commands ---- */

enum command_kind {
    COMMAND_CONNECTION, /* word[0] = fd, small = 1: refuse it with an Error */
    COMMAND_LINK,    /* word[0] = struct spsc *, word[1] = that for verdicts, small = the way it comes by */
    COMMAND_DRAIN,   /* stop receiving, deliver what is owed */
    COMMAND_NOTES,   /* word[0] = struct note *, a list: of queues and their members */
    COMMAND_LEAVE,   /* say Goodbye, close, end */
    COMMAND_HOLD,    /* small = a slot of the receiver's that the sender holds from now on */
    COMMAND_RELEASE, /* ... and no longer */
    COMMAND_HISTORY, /* small = index of a stretch that was asked for */
    COMMAND_SURVEY,  /* word[0] = struct survey *, which is the receiver's from now on */
    COMMAND_LIMITS,  /* small = connections; words: subscriptions, handshake, block, idle, private */
    COMMAND_GRACE,   /* word[0] = grace, word[1] = the number of the order */
    COMMAND_LISTEN,  /* small = a listening socket; word[1] = the number of the order, as it is of: */
    COMMAND_LISTEN_END, /* small = the new one stays, else the one before */
    COMMAND_WANTED,     /* word[0] = struct unmatched_question * */
    COMMAND_TRACE,      /* word[0] = struct trace *: events are to be followed */
    COMMAND_UNTRACE,    /* ... and not any more */
    COMMAND_CHANGE,     /* word[0] = struct change *, word[1] = number of the step, small = which it is */
};

/* ---- subscriptions of one peer ---- */

enum start_kind { START_LIVE, START_OLDEST, START_SEQUENCE, START_TIME, START_LAST };

/* Where a subscription asks to begin, until it is in force. */
struct start {
    enum start_kind kind;
    bool refuse;    /* what is gone refuses it */
    bool resumes;   /* at `position`; as `kind` says only where that is undone, or of another run */
    uint64_t value; /* a sequence, or nanoseconds of the wall clock */
    struct position position;
    uint64_t undone;       /* one bit for each log in which that has left last events over */
    struct search *search; /* owns; NULL while nothing has been looked for */
};

/* Single positions below its starts that are due to a subscription as well, rising along each log. */
struct picks {
    uint32_t next[LOGS_MAX]; /* per log: index of the first one not yet delivered, */
    uint32_t end[LOGS_MAX];  /* ... and behind the last one */
    uint32_t count;          /* of all logs */
    uint64_t positions[];
};

struct subscription {
    struct list node; /* in peer->subscriptions or peer->staged */
    uint64_t id;
    uint64_t logs;       /* one bit for each log where it can match */
    uint64_t strange;    /* ... and of whose sequences what it asks for knows nothing */
    uint64_t *start;     /* owns; per log: nothing below is delivered for it but its picks. NULL once that
                            needs no asking */
    struct picks *picks; /* owns; only with `start`; NULL: none */
    struct start *begin; /* owns; NULL: live, or in force */
    struct shared_filter *filter; /* counted; NULL: whatever matches a pattern is for it */
    uint32_t patterns;
    uint32_t bytes; /* of all patterns, each with a length byte before it */
    bool remove;    /* staged: an Unsubscribe */
    bool stranger;  /* the Position is of another instance */
    uint8_t pattern[];
};
/* The patterns lie one behind the other, each with its length before it. */
static inline const uint8_t *pattern_next(const uint8_t *pattern) {
    return pattern + 1 + pattern[0];
}

/* ---- publish acknowledgement ---- */

/* Events up to `last` (since the previous run) are settled when position `until` of the log of this worker
 * has been published, or the link has been consumed to byte `until`; at level DISK when the position is
 * visible, or the link settled to that byte. A refused event is a run of its own. */
struct ack_run {
    uint64_t last;
    uint64_t until;
    uint16_t by; /* a way, ACK_LOG + a log of this worker, or ACK_REFUSED */
};
#define ACK_LOG     256u
#define ACK_REFUSED UINT16_MAX

struct acks {
    struct ack_run *runs;                 /* owns; ring of `capacity` */
    struct session_exception *exceptions; /* owns; with rising ordinals */
    uint32_t begin, count, capacity;
    uint32_t exceptions_count, exceptions_capacity;
    uint64_t settled; /* through here all is settled */
    uint64_t told;    /* through here the client knows */
    bool growing;     /* the last run was begun since the last look at what is settled */
};

/* ---- a peer: one connection as the shard sees it ---- */

/* Most of ten thousand peers do nothing: what only publishers, members of queues and laggards need is made
 * when they need it. */
struct peer {
    /* what delivering to it touches in every turn */
    struct worker *worker;
    struct list dirty;   /* has output and may send */
    struct list holding; /* has slices that could not be sent at once */
    struct conn conn;
    uint64_t *at;              /* owns; lagging: per log that it reads, the next position to deliver */
    struct block *block;       /* owns; NULL: it holds no publishers back */
    uint64_t private_since_ns; /* since when it does not read its replies; 0 = it does */
    uint64_t given;            /* events put on their way, less those that were taken back */
    uint64_t sent_bytes;       /* that its socket took */
    uint64_t wrote_ns;         /* ... the last of them then */
    route_member member;
    uint16_t held_slot; /* held back: because of it, which a slow subscriber holds */
    uint8_t policy;     /* of its subscriptions, when it has any */
    uint8_t homely;     /* how many of its last events could have been taken over where they lay, in a row, */
    bool resuming : 1;  /* lagging because it began in the past: what is gone is EXPIRED, not its fault */
    bool starved : 1;   /* in this stretch: the pool was empty for it */
    bool waits : 1;     /* in this step: another log comes first (cuts.c) */
    bool held_back : 1; /* parked for a slow subscriber, */
    bool moving : 1;    /* ... or because its slot moves */
    bool young : 1;     /* some subscription has `start`, */
    bool picking : 1;   /* ... and some have had picks */
    bool ended : 1;     /* the client has ended its side */
    bool goodbye : 1;   /* the client said it; answered when settled */
    bool farewell : 1;  /* our last frame is queued: close when sent */
    bool retired : 1;   /* gets no more events; what is in its output is still sent */
    bool filtered : 1;  /* some subscription has a filter: each record is asked about */
    bool apart : 1;     /* it is filtered or has a block: not just the same as the others of a run */
    bool shut : 1;      /* io_close has been called */
    bool closed : 1;    /* io has let go */
    uint8_t idle;       /* which of the worker's idle times it has been told */
    uint32_t serial;    /* of the peers of its worker: it is told from one that had its place before */
    /* what a receive touches */
    struct session session;
    uint64_t heard_ns;      /* when it was last heard */
    struct home *homely_at; /* ... and where */
    struct home *landed;    /* whose landing is this peer's, or NULL */
    struct acks *acks;      /* owns; NULL until it is owed some */
    /* the rest */
    uint64_t logs; /* one bit for each log that it reads: where a subscription can match */
    struct list subscriptions;
    struct list staged;
    struct list all;
    struct list parked;   /* a ring was full */
    struct list lagging;  /* a catch-up cursor, not live */
    struct list changing; /* has staged subscriptions, or a session that waits for the turn's end */
    struct list acking;   /* has unsettled or untold runs */
    struct list leaving;  /* retired: its patterns are to be taken out; freed when closed */
    struct memberships *memberships; /* owns; NULL until it joins a queue */
    uint64_t *ended_at; /* owns; per log: what is due behind the last end of a subscription, or NULL */
    uint64_t opened_ns;
    uint64_t sent_then;   /* sent_bytes at the last tick, */
    float drain;          /* ... and how many a second of late */
    int fd;               /* borrows: the I/O layer's, until it is closed */
    struct lag *lag;      /* owns; NULL: it does not lag */
    uint32_t subscribed;  /* length of `subscriptions` */
    uint16_t lag_record;  /* of `lagged`, where it has been told of, + 1 */
    uint16_t lag_times;   /* that it has lagged before */
    uint64_t held_ns;     /* held back: when it was last told that we are there */
    uint64_t close_at_ns; /* lingering after a fatal error: closed at the latest then; 0 = not */
};
static_assert(sizeof(struct peer) <= 512, "with what malloc adds, 528 bytes; see docs/OPERATIONS.md, Memory");
static_assert(LANDING_EVENTS_MIN <= UINT8_MAX, "homely counts so far");

/* ---- a worker's cursor on one log ---- */

struct reader {
    struct log *log;
    uint32_t index;    /* of the log */
    int gate;          /* of the live cursor and the live slices */
    int past;          /* of a catch-up step */
    uint64_t cursor;   /* next position to route */
    uint64_t floor;    /* as last told to the writer */
    uint64_t judged;   /* of a log of this worker: below, events that match nobody are counted */
    uint32_t interest; /* patterns that can match here */
    bool attached;
};

/* ---- what is behind a ring (history.c) ---- */

enum behind_state { BEHIND_FREE, BEHIND_ASKED, BEHIND_THERE, BEHIND_REFUSED };

/* A stretch of a disk log. */
struct behind {
    struct history_request request;
    struct log_view view;  /* THERE */
    struct search *search; /* whose it is; NULL = of laggards, or of a search that is no more */
    uint64_t used;         /* the turn in which it was asked for, or read last */
    uint16_t log;
    uint8_t state;
};

/* Ways between workers: one for each class of topics, so that what waits for a disk holds up nothing else.
 * Way w of a worker goes to shard w / classes. */
#define WAYS_MAX (TOPIC_CLASSES * SHARDS_MAX)
static_assert(WAYS_MAX <= ACK_LOG, "ways and logs are told apart");

/* What is known of a record, or of `count` records of one length and topic, before it is in a log. It also
 * travels in front of them to another worker. */
struct forward {
    uint64_t hash;
    uint64_t time_ns;
    const uint8_t *large; /* the record when it does not follow */
    uint32_t length;      /* of a record */
    uint32_t count;
    uint16_t epoch; /* of its sequence */
    uint8_t log;
    bool judged : 1; /* a struct forward_from follows */
    bool expiring : 1;
    uint8_t topic_at;
    uint8_t topic_length;
};
static_assert(sizeof(struct forward) == 40, "little beside the frame");

/* Frames on the way to another worker's logs. */
struct link_out {
    struct spsc *ring;   /* owns; NULL until first use */
    struct spsc *back;   /* owns; what the home says against events; NULL where nothing is judged */
    uint64_t consumed;   /* of the ring, and */
    uint64_t settled;    /* ... of it, when `back` was looked at last */
    bool announced;      /* the mailbox command has been sent */
    bool fresh;          /* committed, not published */
    bool refused;        /* it had no room since the last retry, */
    uint64_t refused_at; /* ... when its home had consumed so much */
    struct lent *lent;   /* owns; large frames the other side still reads, oldest first */
    struct lent *lent_last;
    uint64_t lent_bytes; /* of all of them */
};
struct link_in {
    struct spsc *ring;   /* borrows: the producer's; alive as long as the shards */
    struct spsc *back;   /* borrows; verdicts go there */
    const uint8_t *held; /* peeked and not appended: the log was full */
    uint32_t held_length;
    uint32_t held_done; /* records of `held` that are appended */
    bool appended;      /* since the last consume */
    bool said;          /* verdicts are committed and not published */
    bool back_waits;    /* ... or had no room since the last look */
};

/* Bytes that were received straight into a log, beyond its last record (landing.c). */
struct landing {
    struct peer *peer; /* whose they are; NULL = nobody's */
    uint64_t end;      /* offset behind the last of them */
};

/* What the home of a log says against an event that would be appended. */
struct verdict {
    const struct fault *fault; /* static; NULL: */
    uint64_t duplicate_of;     /* the sequence that it has already */
};
struct home;
/* Looks at an event that has room in the log. `sequence` is what it will have. True: it is not appended, and
 * *verdict says why; asked again for the same one, the answer is the same. */
typedef bool home_judge(struct home *home, const struct wire_event *event, uint64_t hash, uint64_t sequence,
                        struct verdict *verdict);

/* A log that this worker writes. */
struct home {
    struct log *log;       /* owns */
    struct intern *intern; /* owns */
    uint16_t index;        /* of the log */
    bool journalled;
    bool refused;         /* it had no room since the last retry */
    struct wake *journal; /* borrows: of the thread that writes it to disk; may be NULL */
    home_judge *judge;    /* NULL: whatever comes is appended. Else the log is `judged` */
    void *judge_user;     /* borrows; for it */
    struct known *known;  /* owns; what came lately, where a rule asks for it; else NULL */
    struct landing landing;
};

/* Where events go whose topic was learnt by the worker's shape (codecs/wire/shape.h). */
struct topic_learnt {
    uint64_t hash;
    uint64_t id;                   /* in the home log; 0 = not asked for yet */
    uint64_t generation;           /* of the names when it was asked for */
    struct home *home;             /* NULL = another worker's, */
    const struct topic_rule *rule; /* borrows; NULL = none */
    uint16_t way;                  /* ... to be reached so */
    uint16_t epoch;                /* of its sequences */
    uint8_t log;
    bool judged;
    bool moves; /* with its slot */
};

/* Where the events of a slot that are kept in memory go, but for those of mailboxes. */
struct slot_place {
    uint16_t epoch; /* of their sequences there; it rises with each move */
    uint8_t log;    /* index */
};

/* What had been read of the links for disk topics when the disk logs stood there (durable.c). */
struct durable_mark {
    uint64_t next[DISK_LOGS_MAX];  /* by home, without the memory log */
    uint64_t consumed[SHARDS_MAX]; /* by shard */
};

/* Idle times that connections may have been told; more than these are one, the longest of them. */
#define IDLE_TIMES_MAX 8u

/* Laggards that are over. */
struct lagged {
    struct survey_laggard *rows; /* owns; up to LAG_RECORDS_MAX, then a ring */
    size_t capacity;
    uint32_t count, next; /* `next` is the oldest one when there is no more room */
};

struct worker {
    struct shards *shards;
    struct session_facts facts;  /* of all shards, but for limits that have changed */
    struct shards_limits limits; /* as they are now */
    uint64_t idle_ns[IDLE_TIMES_MAX];
    uint32_t idle_times; /* the last one holds for who connects now */
    uint32_t number;
    uint32_t worker_count; /* of the workers it knows, */
    uint32_t log_count;    /* ... of the logs it reads, */
    uint32_t active_count; /* ... and of the shards that get slots and connections */
    bool draining;
    bool saying_goodbye;
    bool rung;   /* the bell woke this turn */
    bool worked; /* this turn did something: do not sleep after it */
    pthread_t thread;
    bool started;
    struct io *io;
    struct mpsc *mailbox;
    uint32_t homes_count;
    struct home homes[LOGS_MAX];    /* the memory log, and disk logs behind it */
    struct home *home_of[LOGS_MAX]; /* by log; NULL = another worker's */
    struct rules *rules;            /* owns; NULL = there are none */
    struct route_table *routes;
    struct output_pool pool;
    struct staging staging;
    struct wire_shape shape; /* of the last events received */
    struct topic_learnt learnt;
    const uint64_t *moving; /* borrows; one bit for each slot that is about to move; NULL = none (moving.c) */
    uint64_t judged;        /* one bit for each log whose home may say something against an event */
    struct slot_place places[SLOT_COUNT];
    struct reader readers[LOGS_MAX];
    struct log_view rings[LOGS_MAX];            /* of `readers` */
    const struct log_view *views[OUTPUT_VIEWS]; /* `rings`, and the copy that a step of catch-up reads from */
    struct behind *behind;                      /* owns; HISTORY_STRETCHES; NULL: nothing is behind */
    struct intern *behind_names;                /* owns; the same */
    struct link_out out[WAYS_MAX];
    struct link_in in[WAYS_MAX];
    struct durable_mark marks[DURABLE_MARKS]; /* a ring */
    uint32_t marks_begin, marks_count;
    struct peer **peers; /* owns; by member */
    route_member *spare; /* owns; free members, a stack */
    uint32_t peers_capacity, spare_count;
    uint32_t peers_made; /* counts on and around */
    uint32_t memberships_made;
    struct talk talk;
    struct keeper keeper;
    struct list all, dirty, parked, lagging, changing, acking, holding, leaving, told;
    struct list surveys;               /* questions that it has, the oldest first */
    struct iovec (*iov)[SEND_IOV_MAX]; /* owns; pieces of the sends between two flushes */
    uint32_t iov_used;
    uint32_t picks;                  /* of all subscriptions together */
    struct filters filters;          /* of its subscriptions and queues */
    uint64_t slot_logs[SLOT_COUNT];  /* one bit for each memory log that may have events of a slot */
    uint32_t interest[SLOT_COUNT];   /* literal patterns of a slot whose topics are kept in memory */
    uint32_t interest_wild;          /* patterns that can match in every log */
    uint32_t cuts_seen;              /* how many of them this worker's cursors have met (cuts.c) */
    uint32_t cuts_first;             /* what lies before that one needs no waiting any more */
    const struct change *change;     /* borrows; whose step is being done, or NULL; */
    enum change_step change_step;    /* ... which step, */
    uint64_t change_number;          /* ... and the number that `taken` has when it is done */
    bool change_reads;               /* what reads here reads what that step asks for */
    bool slots_old;                  /* some slot may have a log in slot_logs where it is no more */
    uint64_t moving_until[WAYS_MAX]; /* what was on the way when the slots were held */
    uint32_t held[SLOT_COUNT];       /* how many peers here hold back the publishers of a slot */
    bool held_told[SLOT_COUNT];      /* its home counts this worker */
    bool held_changed;               /* what the homes have been told is not true any more */
    io_handle listener;
    io_handle listener_next;      /* the one that may take its place, or 0 */
    uint32_t listeners;           /* that are not closed yet */
    uint64_t (*clock_ns)(void);   /* clock_mono_ns; a simulation has a clock of its own */
    uint64_t (*clock_wall)(void); /* clock_wall_ns; the same */
    uint64_t now_ns, wall_ns;     /* of this turn; see worker_clock */
    bool clock_read;              /* in this turn */
    uint64_t retry_ns; /* when a log's grace is over for a parked connection; 0 = nothing to wait for */
    uint64_t housekeeping_ns;    /* when it is due, */
    uint64_t ticked_ns;          /* ... and when it was last */
    uint64_t placed[SHARDS_MAX]; /* worker 0, the acceptor: connections given to each */
    struct lagged lagged;
    uint64_t lag_worst_ns; /* of this tick, so far */
    struct logfmt_limit lag_limit, calm_limit;
    struct logfmt_limit slow_limit, error_limit;
    struct traces traces;
    struct unmatched unmatched;
    /* read by other threads */
    struct wake wake;
    struct wanted moves[DISK_LOGS_MAX] __attribute__((aligned(64))); /* by disk log: its next move wakes us */
    struct worker_stats stats __attribute__((aligned(64)));
    struct audience audience __attribute__((aligned(64)));
    struct counter busy_ppm; /* of its time, of late */
    struct counter pinned;   /* the CPU that the thread is pinned to, plus one; 0 = none */
    struct counter quiet;    /* 1: draining and nothing left to do; counter of such turns */
    struct counter obeyed;  /* number of the last order of limits.c that was carried out, twice; odd: it could
                               not be */
    struct published taken; /* how many steps of changes it has done */
};

/* Where slots have moved: core/shard/moves.h. */
struct cut;
#define CUTS_OF_CHUNK 64u
#define CUT_CHUNKS    (CUTS_MAX / CUTS_OF_CHUNK)

struct shards {
    struct shards_config config; /* `count`: of the shards at the start; more may come behind them */
    struct session_facts facts;
    uint8_t slots[SLOT_COUNT]; /* slot -> memory log at the start. For ever, the slot's mailboxes are there,
                                  and its home keeps its queues in memory and counts who holds it */
    uint8_t disk_slots[SLOT_COUNT]; /* slot -> disk log, as an index of `logs` */
    uint64_t table_seed;            /* of the process */
    int listener;                   /* owned */
    uint64_t orders;                /* of limits.c, so far; of the thread that gives them */
    struct counter stopping;
    struct counter journal_failed;
    struct counter
        holders[SLOT_COUNT];     /* each written by its slot's home at the start: workers that hold it */
    uint64_t judged;             /* as a worker's; written while a worker is made */
    struct log *logs[LOGS_MAX];  /* memory logs, disk logs, memory logs that came later; borrows */
    uint8_t log_homes[LOGS_MAX]; /* 1 + the worker that writes it, for ever; 0 = there is none */
    struct worker *workers[SHARDS_MAX]; /* owns */
    struct published worker_count;      /* workers that are made: of `workers`, */
    struct published log_count;         /* ... and of `logs` and `log_homes`; they only grow */
    /* written by the thread of a change */
    struct slot_place places[SLOT_COUNT]; /* as it is, or is about to be */
    struct published active_count;        /* shards that get slots and connections */
    uint16_t epoch;                       /* the highest one in use */
    struct cut *cuts[CUT_CHUNKS];         /* owns; */
    struct published cuts_count;          /* so many are there */
    struct changes *changes;              /* owns; NULL: a test goes through changes itself (change.c), */
    int (*begin)(void *user, struct worker *worker); /* ... and starts the workers that they make, */
    void *begin_user;                                /* ... for which there are threads where this is NULL */
};

/* What follows from the configuration before workers are made. */
void shards_lay_out(struct shards *shards);
static inline bool log_is_disk(const struct shards *shards, uint32_t log) {
    return log - shards->config.count < shards->config.disk_logs;
}
/* Which worker writes a log. */
static inline uint32_t log_home(const struct shards *shards, uint32_t log) {
    return shards->log_homes[log] - 1u;
}
/* Of a Position in a log: for memory logs that of the run. */
static inline uint16_t log_epoch(const struct shards *shards, uint32_t log) {
    return log_is_disk(shards, log) || shards->config.epoch == 0 ? EPOCH_FIRST : shards->config.epoch;
}
static inline uint32_t ways_each(const struct shards *shards) {
    return shards->config.disk_logs == 0 ? 1 : TOPIC_CLASSES;
}
static inline uint32_t ways_count(const struct worker *worker) {
    return worker->worker_count * ways_each(worker->shards);
}
static inline uint32_t way_of(const struct shards *shards, uint32_t shard, enum topic_class class) {
    return shard * ways_each(shards) + (uint32_t) class;
}
static inline enum topic_class way_class(const struct shards *shards, uint32_t way) {
    return (enum topic_class)(way % ways_each(shards));
}
static inline struct worker *way_worker(const struct shards *shards, uint32_t way) {
    return shards->workers[way / ways_each(shards)];
}

/* worker.c */
int worker_create(struct worker **out, struct shards *shards, uint32_t number, char *error) MUST_USE;
int worker_start(struct worker *worker) MUST_USE; /* its thread; negative errno */
void worker_destroy(struct worker *worker);
void *worker_main(void *worker);
void worker_pin(struct worker *worker, int cpu); /* its thread; -1: wherever the process may run */
/* What worker_main does, one by one; a test drives them itself over the simulated I/O body. */
int worker_attach(struct worker *worker) MUST_USE; /* once, on the worker's thread, when all logs exist */
int worker_turn(struct worker *worker) MUST_USE;   /* worker_wake(worker, worker_rest(worker)) */
/* The two halves of a turn, so that a test can let others run while this worker sleeps. Rest: when there is
 * nothing to do, announces the sleep and returns how long it may last; 0 = no sleep. Wake: waits so long for
 * the kernel, then does the turn. */
uint64_t worker_rest(struct worker *worker);
/* Reads the clock, once a turn: at the first thing that the kernel tells, or else behind the wait. */
void worker_clock(struct worker *worker);
int worker_wake(struct worker *worker, uint64_t wait_ns) MUST_USE;
void worker_detach(struct worker *worker);

/* lag.c: who is slow */
/* How far a peer is behind in those of `logs` that it reads. */
void lag_measure(const struct peer *peer, uint64_t logs, struct survey_lag *lag);
uint64_t lag_delivered(const struct peer *peer);        /* events that its socket took */
void lag_taken_back(struct peer *peer, uint64_t bytes); /* of events that it had been given */
void lag_tick(struct peer *peer, uint64_t passed_ns);   /* once per housekeeping tick */

/* lags.c: who lags, and who did */
void lag_look(struct peer *peer);        /* once per housekeeping tick */
void lags_looked(struct worker *worker); /* ... at all of them */
void lag_gone(struct peer *peer);        /* it goes; accepts one that does not lag */
void lags_deinit(struct worker *worker);
/* limits.c: what changes while the worker runs */
void limits_init(struct worker *worker);
void limits_obey(struct worker *worker, const struct mpsc_command *command); /* one of these four */
void worker_listener_close(struct worker *worker, io_handle *listener); /* if it has one; then it has none */
/* How long a connection may be silent; 0 = for ever. */
static inline uint64_t limits_idle_ns(const struct worker *worker, const struct peer *peer) {
    return worker->idle_ns[peer->idle];
}

/* peer.c: connections come and go */
void peer_accepted(void *owner, void *user, int fd);
void peer_adopt(struct worker *worker, int fd, bool refuse);
void peer_received(void *owner, void *user, const uint8_t *bytes, size_t length);
void peer_ended(void *owner, void *user, int error);
void peer_writable(void *owner, void *user);
void peer_closed(void *owner, void *user);
/* No more events for it; its patterns go with the next generation. Idempotent. */
void peer_retire(struct peer *peer);
/* Retires and closes; the peer's memory goes at the end of a turn, after the I/O layer let go. Idempotent. */
void peer_close(struct peer *peer, bool abort);
/* A reason not to read it is gone: handles what it had sent meanwhile, then reads on. */
void peer_go_on(struct peer *peer, enum conn_pause why);
/* Something was queued for it: it sends in this turn. Looks at the bounds of private bytes too. */
void peer_touch(struct peer *peer);
void peer_failed(void *peer, enum rh_code code);
/* Once per housekeeping tick: handshake, idle, stalls, lingering. */
void peers_tick(struct worker *worker);
/* Takes out the patterns of retired peers and frees those whose connection is closed; once a turn. */
void peers_leave(struct worker *worker);
/* A number in the route table for somebody who is no peer. */
bool peer_member_take(struct worker *worker, route_member *member) MUST_USE;
void peer_member_give(struct worker *worker, route_member member);
extern const struct session_host peer_host;
uint64_t workers_sum(const struct shards *shards,
                     size_t counter_offset); /* of one counter in worker_stats over all workers */

/* landing.c: bytes that are received where they may become records */
/* Of events that lie in their places, on the topic that was learnt: see session_host. */
uint32_t landing_train_most(struct peer *peer, const struct wire_event *first);
void landing_train(struct peer *peer, const struct forward *train, const uint8_t *records);
uint8_t *landing_place(void *owner, void *peer, size_t *size);
bool landing_stays(void *peer, const uint8_t *bytes);
/* So many bytes have come there. */
void landing_received(struct peer *peer, const uint8_t *bytes, size_t length);
/* All that was received has been handled, or is kept. */
void landing_settle(struct peer *peer);
/* Before a record is written: true if it lies in its place already. `from` is its frame, NULL when it comes
 * from elsewhere; what other bytes lie there are brought to safety. */
bool landing_clear(struct home *home, struct peer *peer, const uint8_t *from);
void landing_forget(struct peer *peer);

/* expiry.c: events whose time is over */
/* Whether who delivers an event is to look at its time; `rule` is that of its topic, or NULL. */
static inline bool expiry_asked(const struct wire_event *event, const struct topic_rule *rule) {
    return event->expiring || (rule != NULL && rule->expiry_ns != 0);
}
/* Whether a record of type LOG_EVENT_EXPIRING is not to be delivered any more. Under the reader's gate. */
bool expiry_over(const struct worker *worker, const struct log_view *view, const struct log_entry *entry);

/* homes.c: the logs that a worker writes */
/* Makes them; on failure `what` says which. */
int homes_make(struct worker *worker, const char **what) MUST_USE;
void homes_destroy(struct worker *worker);
/* What the configuration says of a topic, or NULL; `hash` is its topic_hash. */
const struct topic_rule *topic_rule_of(const struct worker *worker, const uint8_t *topic, uint32_t length,
                                       uint64_t hash);
/* Where what is published to a topic goes, by its class and its slot; `hash` is its topic_hash. */
struct topic_place {
    uint32_t log;
    uint16_t epoch; /* of its sequence */
    bool moves;     /* with its slot; what is on disk and mailboxes do not */
};
struct topic_place topic_place(const struct worker *worker, const uint8_t *topic, uint32_t length,
                               uint64_t hash);
/* One bit for each log where events of it may be, or come. */
uint64_t topic_logs(const struct worker *worker, const uint8_t *topic, uint32_t length, uint64_t hash);
/* Whether the space that some log was refused for has moved. */
bool homes_refused_moved(const struct worker *worker);
void homes_housekeeping(struct worker *worker);

/* known.c: events that come again */
/* Lets a home judge events by what it got lately, if a rule asks for it. -ENOMEM. */
int known_make(struct shards *shards, const struct worker *worker, struct home *home) MUST_USE;
void known_destroy(struct home *home);
/* The sequence of the event that one which came now would be a duplicate of, or 0. */
uint64_t known_sequence(const struct home *home, const struct wire_event *event, uint64_t hash);
/* Before the workers start: what is in the disk logs from an earlier run. */
void known_recall(const struct shards *shards);

/* ingress.c: from a publisher into a log */
enum session_verdict ingress_publish(void *peer, const struct wire_event *event);
enum session_verdict ingress_refused(void *peer, const struct fault *fault);
/* Whether an event of a connection that asks for level DISK can be acknowledged so. */
bool disk_can(const struct worker *worker, const struct topic_learnt *topic);
/* Publishes one home log, where there is something new. */
void home_publish(struct worker *worker, struct home *home);
/* Publishes the home logs and the links out, wakes those who wait for it, releases the links in. */
void ingress_publish_all(struct worker *worker);
/* Parked connections try again. */
void ingress_retry(struct worker *worker);
/* An event of the router itself; its bytes are copied. False: there is no room now. `placed` (or NULL) says
 * where it went: it is routed, or on disk when its topic is, as soon as ingress_own_settled says so. */
bool ingress_own(struct worker *worker, const struct wire_event *event, struct own_placed *placed) MUST_USE;
bool ingress_own_settled(const struct worker *worker, const struct own_placed *placed);
/* A record of type LOG_STATE in a log of this worker. False: there is no room now. */
bool ingress_state(struct worker *worker, struct home *home, const struct wire_event *state) MUST_USE;
/* Where a record of `length` goes; NULL = not now. What landed there has been cleared away. */
uint8_t *home_room(struct worker *worker, struct home *home, uint32_t length);
/* The record that was written there, or `count` of them that lie one behind the other. */
void home_add(struct worker *worker, struct home *home, const struct forward *forward, uint64_t id);
void home_add_train(struct worker *worker, struct home *home, const struct forward *forward,
                    const uint8_t *records, uint64_t id);
/* Whether there is something against an event. A home may take what it lets pass for stored, so it is asked
 * last; what is stored for a mailbox counts as held there. */
bool home_judged(struct worker *worker, struct home *home, const struct wire_event *event, uint64_t hash,
                 uint64_t sequence, struct verdict *verdict);
/* Events of one shape that follow each other: see session_host. */
uint32_t ingress_train_most(void *peer, const struct wire_event *first);
void ingress_train(void *peer, const struct wire_event *first, uint32_t count);

/* links.c: to the homes of other workers, and from other workers */
/* `peer` is NULL for an event of the router itself, which nobody judges. False: there is no room now. */
bool link_give(struct worker *worker, const struct peer *peer, uint32_t way, struct forward *forward,
               const struct wire_event *event) MUST_USE;
/* How many records of `length` bytes on the way can go as one train; 0 = none now. */
uint32_t link_train_most(struct worker *worker, uint32_t way, uint32_t length);
/* forward->count records, the first of which is at `records`; no more than link_train_most. */
void link_train(struct peer *peer, uint32_t way, const struct forward *train, const uint8_t *records);
void link_add(struct worker *worker, uint32_t way, const struct mpsc_command *command);
/* Asks the home for a wake when it has gone on, and remembers how far it was: a worker compares before it
 * sleeps. The caller looks again after this, and asks again in each turn. */
void link_want(struct link_out *link);
/* Appends what other workers have sent. True if there was something. */
bool links_take(struct worker *worker);
void links_release(struct worker *worker);
void links_publish(struct worker *worker);
bool links_idle(const struct worker *worker); /* nothing on its way in or out to other workers */
void links_deinit(struct worker *worker);

/* verdicts.c: what homes say against events */
struct forward_from { /* whose event it is, for the way back */
    uint64_t peer;
    uint64_t ordinal;
};
struct forward_from verdict_address(const struct peer *peer, uint64_t ordinal);
/* To the worker that the event came from. False: not now. */
bool verdict_send(struct link_in *link, const struct forward_from *from, const struct verdict *verdict);
/* Before the links are released: whoever sees that must find the verdicts. */
void verdicts_publish(struct worker *worker);
/* What has come back, and how far homes were before it was looked at. */
void verdicts_read(struct worker *worker);
bool verdicts_news(const struct worker *worker);
/* The publisher is told, now or with the acknowledgement that covers the event. */
void verdict_tell(struct peer *peer, uint64_t ordinal, const struct verdict *verdict);

/* durable.c: publishers of other workers are told what is on disk */
/* Links have been released in this turn: what came by them will be durable when the logs are visible up to
 * here. */
void durable_note(struct worker *worker);
/* Settles the links as far as the logs are visible. */
void durable_settle(struct worker *worker);
bool durable_news(const struct worker *worker);
/* Whether the disk logs of this worker have nothing left that is not durable, or never will. */
bool durable_all(const struct worker *worker);

/* acks.c: who has been told what of his events */
/* Room for one more run; false = park. */
bool acks_ready(struct peer *peer);
void acks_note(struct peer *peer, uint64_t ordinal, uint32_t by, uint64_t until); /* as in ack_run */
void acks_refused(struct peer *peer, uint64_t ordinal, const struct fault *fault);
/* An exception of an event that a run covers, which is not settled yet. False: no memory. */
bool acks_except(struct peer *peer, const struct session_exception *exception) MUST_USE;
/* A run of its own for an event that is settled as it is. */
void acks_note_settled(struct peer *peer, uint64_t ordinal);
/* ... or when its log is so far, in which it was before. */
void acks_note_again(struct peer *peer, uint64_t ordinal, uint32_t by, uint64_t until);
/* Settles what homes have published and tells the clients. */
void acks_settle(struct worker *worker);
void acks_goodbye(void *peer);
/* Before sleeping: asks the homes of unsettled events for a wake; true if something moved meanwhile. */
bool acks_waiting(struct worker *worker);
void acks_free(struct acks *acks); /* accepts NULL */

/* subs.c: subscriptions, staged in a turn and put in force as one generation */
enum session_verdict subs_subscribe(void *peer, const Roundhouse__V1__Subscribe *subscribe);
enum session_verdict subs_unsubscribe(void *peer, const Roundhouse__V1__Unsubscribe *unsubscribe);
void subs_apply(struct worker *worker);
bool subs_has(const struct peer *peer, uint64_t id); /* in force */
/* Patterns one behind the other, as of a subscription, for a member of the route table. False: no room,
 * nothing was added. */
bool subs_patterns_add(struct worker *worker, route_member member, const uint8_t *patterns,
                       uint32_t count) MUST_USE;
void subs_patterns_remove(struct worker *worker, route_member member, const uint8_t *patterns,
                          uint32_t count);
/* One bit for each log where one of them can match. */
uint64_t subs_logs(const struct worker *worker, const uint8_t *patterns, uint32_t count);
void subs_drop_all(struct peer *peer); /* takes its patterns out and frees them; idempotent */
/* Their literals may have events in other logs now (slot_logs), or there are more logs for wildcards. */
void subs_renew(struct worker *worker);
/* So many patterns want a log to be read, one more or one less. */
void reader_want(struct worker *worker, uint32_t log);
void reader_unwant(struct worker *worker, uint32_t log);

/* picks.c: single positions that are due */
struct picks *picks_new(uint32_t count);
uint64_t picks_from(const struct picks *picks, uint32_t log,
                    uint64_t from); /* the lowest at or above `from`, or UINT64_MAX */
void picks_drop(struct picks *picks, uint32_t log, uint64_t below); /* NULL is allowed */
/* `spare` has room for as many. */
void picks_sort(uint64_t *positions, uint64_t *spare, uint32_t count);

/* search.c: what has to be looked for in a log before a subscription can begin */
enum search_result {
    SEARCH_DONE,
    SEARCH_GOES_ON,
    SEARCH_NO_ROOM,
    SEARCH_TOO_MANY, /* topics */
    SEARCH_UNREAD,   /* the journal can not be read */
};
uint64_t search_logs(const struct subscription *sub); /* one bit for each log that has to be searched */
/* A step of a staged one; *work is what this turn may still do, in entries looked at. */
enum search_result search_step(struct worker *worker, struct subscription *sub, uint32_t *work);
uint64_t search_found(const struct subscription *sub, uint32_t log); /* of a time: where it begins */
/* Of a time: the first position in front of what was found that may be missing; 0 = nothing is. */
uint64_t search_lost(const struct subscription *sub, uint32_t log);
/* The last events of topics below the cursors become the subscription's picks. */
enum search_result search_picks(struct worker *worker, struct subscription *sub);
void search_free(struct search *search); /* NULL is allowed */

/* starts.c: where subscriptions begin */
/* Reads from a Subscribe where it asks to begin. False: it can not, the fault says why. */
bool starts_read(const struct worker *worker, const Roundhouse__V1__Subscribe *subscribe,
                 struct subscription *sub, struct fault *fault);
/* Whether a staged one can begin there now: a place to come, or one that is gone, may refuse it. */
bool starts_allowed(const struct worker *worker, const struct subscription *sub, struct fault *fault);
/* A staged one can match in more logs now. */
void starts_renew(const struct worker *worker, struct subscription *sub);
/* For one that is about to join the peer's others: at the cursors, or where it asks to begin, and then the
 * connection goes back to there. False: it can not begin. */
bool starts_set(struct peer *peer, struct subscription *sub, struct fault *fault);
bool search_refused(enum search_result result, struct fault *fault); /* false */
void starts_begun(struct subscription *sub);                         /* it is in force, and has been told */
void starts_free(struct worker *worker, struct subscription *sub);   /* what it holds of all this */
/* Up to where everything in a log has been delivered to a laggard, for each of its subscriptions. */
uint64_t starts_stand(const struct peer *peer, uint32_t log);
/* One bit for each log in which last events of topics are still due to some subscription, */
uint64_t starts_undone(const struct peer *peer);
uint64_t subscription_undone(const struct subscription *sub,
                             const uint64_t *at); /* ... to this one; `at` as the peer's */
/* Whether a record at `position` of `log` is due to a peer whose subscriptions are partly young, or filtered.
 */
bool starts_want(const struct peer *peer, uint32_t log, uint64_t position, const struct log_view *view);
bool subscription_matches(const struct subscription *sub, const uint8_t *topic, uint32_t length);
/* The lowest position from `from` on that can be due to a laggard: not before the starts of its
 * subscriptions, and nothing of literals whose slots have had nothing since. UINT64_MAX = none. */
uint64_t starts_needed(const struct peer *peer, uint32_t log, uint64_t from);
/* A subscription has ended behind unsent slices: keeps what is still due to the others, for catchup_enter. */
bool starts_ended(struct peer *peer) MUST_USE;
/* A laggard passes over what is due to none of its subscriptions. */
void starts_skip(struct peer *peer);
void starts_over(struct peer *peer); /* live again: no subscription is young any more */

/* delivery.c: from the logs to the peers */
void delivery_walk(struct worker *worker);
/* The live walk of one log, up to there at least. */
void delivery_walk_to(struct worker *worker, uint32_t log, uint64_t to);
/* Consecutive records with the same subscribers. */
struct run {
    uint64_t first;
    uint64_t offset;
    uint32_t length;
    uint32_t records;
    bool expired; /* they are passed over */
};
/* Routes [from, to) of a log, or of a copy, and gives each run to `take`, also those that nobody here wants.
 */
typedef void delivery_take(void *context, const struct route *route, const struct run *run);
void delivery_route(struct worker *worker, const struct log_view *view, uint64_t from, uint64_t to,
                    delivery_take *take, void *context);
void delivery_send(struct worker *worker);
void delivery_sent(void *owner, void *user, int64_t result);
/* Raises the gates, and lets go of those of logs that are not attached and not held any more; lets holders
 * that hold too much fall back. `sleeping`: all holders, so that the gates stand at the cursors. */
void delivery_gates(struct worker *worker, bool sleeping);
bool delivery_attach(struct reader *reader); /* at the live end */
void delivery_detach(struct reader *reader);
uint64_t
delivery_live_end(const struct reader *reader); /* up to where everything has been routed, or would be */
void delivery_position(void *peer, struct position *out);

/* block.c: publishers wait for who reads too slowly */
/* Once a turn: who has fallen too far behind begins to hold back, who has caught up ends it, homes are told.
 */
void blocks_look(struct worker *worker);
/* New records for a laggard that holds back: their slots are held from now on. Under the live gate. */
void block_note(struct peer *peer, const struct log *log, const struct run *run);
void block_end(struct peer *peer);        /* idempotent */
bool block_over(const struct peer *peer); /* its time is over */
/* The home of a slot: one worker more, or less, holds it. */
void block_count(struct worker *worker, uint32_t slot, bool held);
/* Whether a connection must not publish to a slot now. */
bool block_holds_back(const struct peer *peer, uint32_t slot);

static inline void peer_apart(struct peer *peer) {
    peer->apart = peer->filtered || peer->block != NULL;
}

static inline bool peer_reads(const struct peer *peer, uint32_t log) {
    return (peer->logs >> log & 1u) != 0;
}

/* history.c: what disk logs have behind their rings */
int history_make(struct worker *worker) MUST_USE;
void history_destroy(struct worker *worker); /* when nobody answers any more */
void history_housekeeping(struct worker *worker);
static inline bool history_has(const struct worker *worker, uint32_t log) {
    return log_is_disk(worker->shards, log) && worker->behind != NULL;
}
/* The lowest position that can be delivered from somewhere. */
uint64_t log_kept(const struct worker *worker, uint32_t log);
/* The stretch that has a position, will have it, or says why not; NULL = none. */
struct behind *history_at(const struct worker *worker, uint32_t log, uint64_t position);
void history_ask(struct worker *worker, struct behind *behind, uint32_t log, enum history_kind kind,
                 uint64_t from, uint32_t bytes_max);
void history_came(struct worker *worker, uint32_t index); /* COMMAND_HISTORY */
/* A stretch of its own for a search; NULL = none is free. */
struct behind *history_search(struct worker *worker, struct search *search);
void history_search_end(struct behind *stretch); /* NULL is allowed */
/* For a queue: the stretch that has a position, or why there is none. NULL: it has been asked for, or no
 * place is free; ask again in a later turn. A refusal is told once. */
struct behind *history_queue(struct worker *worker, uint32_t log, uint64_t position);

/* catchup.c */
/* From live to a cursor: gives up its slices; one who is retired just gives them up. False: it had to be
 * closed. */
bool catchup_enter(struct peer *peer);
/* One step for the lowest stretch of each log. True if something was done. */
bool catchup_step(struct worker *worker);
void catchup_too_long(struct peer *peer); /* disconnects who has held back publishers for too long */
/* Tells the writers where the laggards stand, and disconnects those that fell off and do not even read. */
void catchup_floors(struct worker *worker);
void catchup_forget(struct peer *peer);

static inline struct reader *reader_of_number(struct worker *worker, uint32_t number) {
    const struct shards_config *config = &worker->shards->config;
    if (number >= LOG_NUMBER_ADDED) /* shards that came later */
        return &worker->readers[config->disk_logs + number - LOG_NUMBER_ADDED];
    return &worker->readers[number >= LOG_NUMBER_DISK ? config->count + number - LOG_NUMBER_DISK : number];
}

static inline struct queue_time keeper_now(const struct worker *worker) {
    return (struct queue_time){.mono_ns = worker->now_ns, .wall_ns = worker->wall_ns};
}
