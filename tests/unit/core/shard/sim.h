/* sim.h: a whole router in one thread: workers over the simulated I/O body, clients that do what a seed or a
 * test says, and a judge who knows the protocol and what lies in the logs, and nothing else of the router.
 * Owner: one test; one world at a time, because the simulated clock is one.
 * Thread: the test's. Workers take turns as the test says; one that sleeps runs only when its bell rings, its
 * io has something for it, or its time is over, so that a lost wake shows as a stall.
 * Blocks: nothing; time is a number that the test moves.
 * Fails: by failing the test, with the seed and the last things that happened. RH_SIM_SEED=n replays one
 * seed and prints everything, RH_SIM_SEEDS=n sweeps over so many, from RH_SIM_FROM=n on. */
#ifndef TESTS_UNIT_CORE_SHARD_SIM_H
#define TESTS_UNIT_CORE_SHARD_SIM_H

#include "core/io/sim.h"
#include "core/shard/moves.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_WORKERS_MAX 4u
#define SIM_DISKS_MAX   5u
#define SIM_LOGS_MAX    (SIM_WORKERS_MAX + SIM_DISKS_MAX)
#define SIM_CLIENTS_MAX 256u /* over a whole run */
#define SIM_SUBS_MAX    12u  /* of one client */
#define SIM_POSITIONS   64u  /* the last ones that clients were told */
#define SIM_TOPICS      14u
#define SIM_PATTERNS    22u
#define SIM_PATTERN(i)  (1u << (i))
#define SIM_TRACE_LINES 80u
#define SIM_PATTERN_ALL (SIM_PATTERNS - 1u) /* ">" */
#define SIM_MASK_ALL    SIM_PATTERN(SIM_PATTERN_ALL)

/* ---- topics.c: what is published and asked for ---- */

extern const char *const sim_topics[SIM_TOPICS];
extern const char *const sim_patterns[SIM_PATTERNS];
/* Which topics a pattern matches, as a mask; by a matcher of its own. */
uint32_t sim_pattern_topics(uint32_t pattern);
bool sim_pattern_literal(uint32_t pattern);
/* What the router is told about classes, and what follows for a topic where there is a journal. */
extern const struct topic_rule sim_rules[];
extern const uint32_t sim_rules_count;
bool sim_topic_disk(const char *topic, bool rules);
/* The CloudEvent that event `ordinal` of a client is, with so many bytes of data; returns its length. */
uint32_t sim_event_build(uint8_t *out, uint32_t client, uint32_t ordinal, uint32_t data_bytes);
#define SIM_EVENT_EXTRA 64u /* what an event takes beside its data, at most */
/* Whose event it is and how much data it has; false when it is none of ours. */
bool sim_event_read(const uint8_t *event, uint32_t length, uint32_t *client, uint32_t *ordinal,
                    uint32_t *data_bytes);
uint64_t sim_hash(const uint8_t *bytes, size_t length);

/* ---- the world ---- */

struct sim_setup {
    uint64_t seed;
    uint32_t workers;
    uint32_t disks;  /* disk logs */
    bool rules;      /* some topics stay in memory; else all are kept on disk */
    bool judged;     /* homes say something against every seventh event or so */
    uint16_t epoch;  /* of the memory logs */
    uint64_t first;  /* position of the disk logs' first record */
    bool history;    /* the disk logs can be read behind their rings */
    uint32_t retain; /* ... the last so many records of each; 0 = all */
    uint64_t log_bytes;
    uint64_t log_records;
    uint64_t grace_ns;
    uint64_t frame_bytes;
    uint64_t private_bytes;
    uint64_t link_bytes;
    uint32_t landing_bytes;
    uint64_t idle_ns;
    uint64_t block_ns;
    uint32_t search_work;
    uint32_t slices;
    uint32_t connections;
    struct io_sim_faults faults;
};

struct sim_place { /* one worker */
    bool asleep;
    uint64_t wait_ns;
    uint64_t until_ns;
    uint32_t stalled; /* gets no turn for so many steps */
};

struct sim_record {
    uint64_t hash; /* of the whole frame */
    uint64_t time; /* of its entry */
    uint32_t length;
    uint32_t client;
    uint32_t ordinal;
    uint8_t topic;
};

struct sim_log {
    struct log *log;
    int gate;
    uint16_t number;
    uint16_t epoch;
    uint64_t first;   /* position */
    uint64_t kept;    /* a disk log with a history: the lowest position that it has */
    uint64_t trimmed; /* ... and so much is given up while it answers; 0 = nothing */
    uint64_t hole;    /* ... and has not: a cut has left out so many from it on; 0 = none */
    uint64_t hole_end;
    struct log_entry *entries; /* owns; of a disk log, as `records`; offsets are from `bytes` */
    uint8_t *bytes;            /* owns */
    uint64_t bytes_length, bytes_capacity;
    struct sim_record *records; /* owns; from position `first` on */
    uint64_t count;
    uint64_t capacity;
};

struct sim_line {
    const char *what;
    uint64_t now_ns;
    uint64_t numbers[3];
    uint32_t client;
};

struct sim_world {
    struct sim_setup setup;
    struct shards *shards; /* owns */
    uint8_t slots[SLOT_COUNT];
    uint8_t homes[SIM_TOPICS]; /* the log of each topic */
    uint64_t random;
    struct sim_place places[SIM_WORKERS_MAX];
    struct sim_log logs[SIM_LOGS_MAX];
    uint32_t logs_count;
    struct sim_client *clients[SIM_CLIENTS_MAX]; /* owns */
    uint32_t clients_count;
    struct position positions[SIM_POSITIONS];
    uint32_t positions_count; /* so many have been told in all */
    bool stopping;
    struct history history;
    struct history_request *asked; /* of the history, and not yet answered, in order */
    bool history_stuck;            /* it answers nothing, */
    int history_error;             /* ... or only this */
    uint64_t answers;              /* that it has given */
    bool disk_stuck;               /* nothing becomes durable, */
    bool disk_failed;              /* ... and never will */
    bool loud;                     /* print everything as it happens */
    struct sim_line lines[SIM_TRACE_LINES];
    uint64_t lines_count;
    uint64_t diary; /* hash over all lines: the same seed must give the same */
    uint64_t events, gaps, expired, resumes, slow, catch_ups, verdicts,
        lasts; /* that the judge has seen, for the tests of the test */
};

struct sim_setup sim_setup_plain(uint32_t workers);
struct sim_world *sim_world_new(const struct sim_setup *setup);
/* All clients leave, then everything must be given back. */
void sim_world_end(struct sim_world *world);

uint32_t sim_log_of(const struct sim_world *world, const char *topic); /* its log, as class and slots say */
/* The position behind the last record that the judge has seen. */
static inline uint64_t sim_log_end(const struct sim_log *log) {
    return log->first + log->count;
}
/* The journal's turn: some, or all, of what the disk logs have becomes durable. */
void sim_journal(struct sim_world *world, bool all);
/* The history's turn: one question, or all, is answered. */
void sim_history_make(struct sim_world *world);
void sim_history(struct sim_world *world, bool all);
/* The lowest position that a log can give. */
uint64_t sim_kept(const struct sim_world *world, uint32_t log);
/* At rest and without clients: the router starts anew on what its journal has. Nothing may be in memory logs.
 */
void sim_restart(struct sim_world *world);
uint64_t sim_random(struct sim_world *world);
uint32_t sim_below(struct sim_world *world, uint32_t bound); /* 0..bound-1 */
bool sim_chance(struct sim_world *world, uint32_t per_1024);
void sim_time(struct sim_world *world, uint64_t ns); /* moves the clock on */
uint64_t sim_now_ns(void);

/* Gives one worker a turn, unless it sleeps and has no reason to wake; then the judge looks. */
bool sim_turn(struct sim_world *world, uint32_t worker);
/* So many turns for every worker that has something to do, time moving on a little. */
void sim_turns(struct sim_world *world, uint32_t turns);
/* No faults any more; every client writes what it has, reads all, and has the time it needs. Fails when
 * something owed does not come. */
void sim_settle(struct sim_world *world);
/* The router stops as `serve` does; every client that stays gets all it is owed and a Goodbye. */
void sim_stop(struct sim_world *world);
void sim_order(struct sim_world *world, enum command_kind kind); /* to all workers; a part of it */
struct worker *sim_worker(struct sim_world *world, uint32_t number);
uint64_t sim_stat(const struct sim_world *world,
                  size_t offset); /* of struct worker_stats, over all workers */
#define SIM_STAT(world, name) sim_stat(world, offsetof(struct worker_stats, name))

/* ---- trace.c ---- */

void sim_note(struct sim_world *world, const struct sim_client *client, const char *what, uint64_t a,
              uint64_t b, uint64_t c);
_Noreturn void sim_fail(struct sim_world *world, const struct sim_client *client, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The seed is printed when the process dies of something else, such as a CHECK. */
void sim_seed_watch(uint64_t seed);

/* ---- clients ---- */

struct sim_event {
    uint64_t end;      /* the client's stream has carried it when so many bytes are written */
    uint64_t position; /* 0: in no log yet */
    uint8_t topic;
    uint8_t verdict; /* enum sim_verdict: what its home has to say */
    bool valid;
    bool excepted; /* told so */
};

enum sim_verdict { SIM_STORED, SIM_NO_ROOM, SIM_DUPLICATE, SIM_UNKNOWN /* told so: it may be stored */ };
/* By the number of the event; only of clients that want acknowledgements, as the time of a verdict is the
 * home's. */
enum sim_verdict sim_verdict_of(const struct sim_client *client, uint32_t ordinal);
#define SIM_DUPLICATE_OF(ordinal) (UINT64_C(7000000) + (ordinal))
/* Where a subscription asks to begin. */
struct sim_begin {
    enum start_kind kind;
    uint64_t value;                  /* a sequence, or a time */
    const struct position *position; /* NULL: none; borrowed for the call */
};

struct sim_sub {
    uint64_t id;
    uint32_t topics;              /* mask: what it matches */
    uint16_t digits;              /* mask: its filter, as of a client */
    uint32_t logs;                /* mask: where it can match */
    uint64_t next[SIM_LOGS_MAX];  /* all that matches below has been delivered, or lies before its begin */
    uint64_t floor[SIM_LOGS_MAX]; /* while asked for: what was in the logs when the frame was written */
    struct position resume;
    uint32_t strange; /* mask: where the Position says nothing, or is of another run */
    struct sim_begin begin;
    uint64_t last[SIM_TOPICS];     /* the last event of a topic below its start, to come in front; 0 = none */
    uint64_t picked[SIM_LOGS_MAX]; /* behind the last of these that came; between it and the start is none */
    uint32_t missed;               /* mask of topics whose last event may be gone already */
    uint8_t policy;
    bool resumes;    /* somewhere */
    bool stranger;   /* the Position is of another router */
    bool positioned; /* it has one */
    bool fresh;      /* nothing has come since Subscribed */
};

enum sim_want_kind {
    SIM_WANT_CONNECTED,
    SIM_WANT_SUBSCRIBED,
    SIM_WANT_UNSUBSCRIBED,
    SIM_WANT_PONG,
    SIM_WANT_REFUSED, /* a Subscribe or Unsubscribe */
    SIM_WANT_EVENT_REFUSED,
    SIM_WANT_FATAL,
    SIM_WANT_GOODBYE,
};

struct sim_want { /* an answer that has to come, in this order */
    enum sim_want_kind kind;
    uint64_t end;    /* of the frame that it answers */
    uint64_t number; /* subscription, ordinal or Ping */
    enum rh_code code;
    struct sim_sub sub;
};

enum sim_leaving { SIM_STAYS, SIM_SHUT, SIM_CLOSED, SIM_RESET };

struct sim_mood {                                         /* of a client of the sweep */
    uint32_t publishes, subscribes, asks, breaks, leaves; /* chances in 1024 of each thing, per step */
    uint32_t paused;                                      /* does not read for so many steps */
    uint32_t reads;                                       /* chance to read */
    uint32_t read_most;                                   /* bytes at once */
    uint8_t policy;
    bool fast; /* a publisher that writes each event as the log will have it */
};

struct sim_client {
    struct sim_world *world;
    struct io_sim_peer *peer; /* NULL once it is over */
    uint32_t number;
    bool acks;
    bool disk; /* ... when it is on disk */
    struct sim_mood mood;
    /* what it sends */
    uint8_t *out; /* owns */
    size_t out_begin, out_end, out_capacity;
    uint64_t queued;  /* bytes, of all frames */
    uint64_t written; /* bytes that the socket has taken */
    uint64_t opened_ns;
    uint64_t spoke_ns;        /* ... the last of them then */
    uint64_t silent_ns;       /* the longest time between two of them */
    struct sim_event *events; /* owns; by ordinal - 1 */
    uint32_t events_count, events_capacity;
    struct sim_want *wants; /* owns */
    uint32_t wants_first, wants_floored, wants_count, wants_capacity;
    uint16_t digits; /* mask: filter of what it subscribes to from here on: events whose ordinals begin so; 0
                        = none */
    uint64_t planned[SIM_SUBS_MAX]; /* ids in force when all that is queued has been handled */
    uint32_t planned_count;
    uint8_t planned_policy;
    uint64_t pings;
    bool doomed; /* what is queued ends the connection: nothing more is said */
    enum sim_leaving leaving;
    /* what it got */
    uint8_t *in; /* owns; a begun frame */
    size_t in_length, in_capacity;
    uint64_t decoded;  /* bytes that the judge has seen */
    uint64_t consumed; /* bytes that the client has read */
    struct sim_sub subs[SIM_SUBS_MAX];
    uint32_t subs_count;
    uint64_t through;
    uint64_t last_ordinal[SIM_LOGS_MAX]; /* of its events in each log */
    bool connected;
    bool over;        /* nothing may come any more */
    bool goodbye;     /* the server said it */
    bool slow;        /* the server has disconnected it as too slow */
    bool resumed;     /* some subscription began in the past */
    bool stalls;      /* the server may close it because it reads nothing */
    uint32_t strange; /* mask: Gaps about another run are due */
    bool failed;      /* a fatal Error came */
    bool broken;      /* by fate or by the server: not all that was written has arrived */
    bool gone;        /* the server has let go of it */
};

struct sim_client *sim_connect(struct sim_world *world, bool acks);
struct sim_client *sim_connect_disk(struct sim_world *world); /* wants to be told what is on disk */
struct sim_client *sim_connect_bad(struct sim_world *world, uint32_t how); /* ends with an Error */
/* Frames are queued; sim_write writes. */
void sim_publish(struct sim_client *client, uint32_t topic, uint32_t data_bytes);
void sim_publish_bad(struct sim_client *client, uint32_t how);
/* `patterns` is a mask; `resume` may be NULL. */
void sim_subscribe(struct sim_client *client, uint64_t id, uint32_t patterns, uint8_t policy,
                   const struct position *resume);
void sim_subscribe_from(struct sim_client *client, uint64_t id, uint32_t patterns, uint8_t policy,
                        const struct sim_begin *begin);
void sim_subscribe_bad(struct sim_client *client, uint32_t how);
void sim_unsubscribe(struct sim_client *client, uint64_t id);
void sim_ping(struct sim_client *client);
void sim_goodbye(struct sim_client *client);
void sim_skipped(struct sim_client *client, uint32_t how); /* frames that mean nothing */
#define SIM_FATALS 8u
void sim_fatal(struct sim_client *client, uint32_t how); /* bytes that end the connection with an Error */
size_t sim_write(struct sim_client *client, size_t most);
size_t sim_read(struct sim_client *client, size_t most);
void sim_leave(struct sim_client *client, enum sim_leaving how);
bool sim_client_done(const struct sim_client *client); /* nothing is owed to it, and it owes nothing */
void sim_client_free(struct sim_client *client);

/* ---- chaos.c: what a seed makes of it ---- */

struct sim_setup sim_setup_of(uint64_t seed);
void sim_chaos(struct sim_world *world, uint32_t steps);

/* ---- the judge ---- */

/* Looks at what has been appended since. */
void sim_logs_look(struct sim_world *world);
/* Looks at what has been sent to all clients since. */
void sim_clients_look(struct sim_world *world);
/* judge of deliveries */
void sim_judge_event(struct sim_client *client, const uint8_t *frame, uint32_t length, const uint8_t *body,
                     uint32_t body_length);
void sim_judge_gap(struct sim_client *client, const Roundhouse__V1__Gap *gap);
void sim_judge_position(struct sim_client *client, const ProtobufCBinaryData *packed, bool keep);
void sim_judge_subscribed(struct sim_client *client, const struct sim_want *want,
                          const ProtobufCBinaryData *packed);
void sim_judge_unsubscribed(struct sim_client *client, uint64_t id);
void sim_judge_slow(struct sim_client *client);
void sim_judge_complete(struct sim_client *client); /* everything in the logs has been delivered */
/* of a record that the judge has just taken up */
void sim_history_keep(struct sim_log *seen, const struct log_entry *entry, const uint8_t *bytes);
/* judge of publishing */
void sim_judge_ack(struct sim_client *client, const Roundhouse__V1__PublishAck *ack);
void sim_judge_settled(struct sim_client *client); /* all that it published, as its Goodbye or the end asks */
void sim_judge_prefix(struct sim_client *client);  /* of a broken one: no hole in what arrived */

#endif
