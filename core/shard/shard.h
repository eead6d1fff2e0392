/* shard.h: the shards of one router: workers, logs and the rings between them, started and stopped together.
 * Owner: main. shard_* functions are for the main thread unless they say otherwise; reading functions are for
 * anyone. One worker thread per shard, with its event loop, its connections and the writer side of its log.
 * shards_stop blocks until the workers have drained or DRAIN_NS_MAX is over; nothing else blocks.
 * Starting fails with negative errno and one sentence. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/io/io.h"
#include "core/shard/history.h"
#include "core/shard/rules.h"
#include "core/shard/stats.h"
#include "ring/log.h"

#include <stdbool.h>
#include <stdint.h>

struct shards;

/* One record of a log, whole, and when it came. */
typedef void shards_take(void *context, const uint8_t *record, uint32_t length, uint64_t time_ns);
/* The same of queues; false ends it. `state`: it is the state of one, else an event. */
typedef bool shards_take_queue(void *context, const uint8_t *record, uint32_t length, bool state);

struct shards_config {
    uint32_t count;
    const uint16_t *cpus; /* one per shard to pin to, or NULL */
    const uint8_t *slots; /* SLOT_COUNT: slot -> shard */
    uint64_t slot_seed;
    const struct topic_rule *rules; /* the first that matches holds; borrowed for life */
    uint32_t rules_count;
    uint32_t disk_logs;         /* at most DISK_LOGS_MAX; 0 = there is no journal */
    const uint64_t *disk_first; /* one per disk log: position of its first record; NULL = 1 */
    struct wake *const
        *disk_wakes;         /* one per disk log: of the thread that writes it; NULL = nobody to wake */
    const uint8_t *instance; /* 16 bytes; NULL = a new one */
    uint16_t epoch;          /* of the memory logs' sequences; 0 = 1 */
    /* Gives the events of a disk log that came at `since_ns` or later to `take`, in their order. Asked before
     * the workers start, where a rule wants duplicates to be known; NULL = there is nothing from before. */
    void (*recall)(void *user, uint32_t disk, uint64_t since_ns, shards_take *take, void *context);
    /* Gives the states of queues and the events of mailboxes that a disk log has to `take`, in their order,
     * before the workers start. 0, or negative errno: not all could be read. NULL = there is nothing. */
    int (*recall_queues)(void *user, uint32_t disk, shards_take_queue *take, void *context);
    /* A number that grows when the journal begins a new segment of the disk log; any thread. NULL = it never
     * does. */
    uint64_t (*segment)(void *user, uint32_t disk);
    /* Queues need their states from this position of the disk log on: the journal must keep them. Called by
     * its home worker. NULL = the journal gives up nothing. */
    void (*keep)(void *user, uint32_t disk, uint64_t position);
    /* Epochs of sequences up to this one are in use: when it returns 0 no later run uses them again. Called
     * by a change that moves slots, on its own thread; may block. NULL = nothing is kept over runs. */
    int (*epoch_raise)(void *user, uint16_t epoch);
    void *recall_user; /* of these five */
    const struct history
        *history; /* what disk logs have behind their rings; borrowed for life; NULL: nothing */
    enum io_body body;
    bool oneshot;
    uint64_t log_data_bytes;
    uint64_t log_records;
    uint64_t grace_ns;
    uint64_t frame_bytes;
    uint32_t connections;   /* over all shards */
    uint32_t subscriptions; /* patterns over all shards */
    uint32_t topics;
    uint64_t handshake_ns;
    uint64_t idle_ns;
    uint64_t private_bytes;
    uint64_t block_ns;      /* how long a slow subscriber may hold back publishers */
    uint32_t slices;        /* output items of one worker's connections; 0 = default; tests use few */
    uint32_t landing_bytes; /* least room in the log to receive into; 0 = default; tests take little */
    uint32_t search_work;   /* entries looked at in a turn for subscriptions to come; 0 = default; the same */
    uint64_t link_bytes;    /* of a ring from worker to worker; 0 = default; tests use little */
    const char *server;     /* "roundhouse 0.1.0", for Connected; static */
};

/* Makes logs, rings and workers; `listener` (a listening socket) will be served by worker 0, which hands
 * connections to the least loaded worker. `error` (at least 200 bytes) gets one sentence on failure; then the
 * listener stays the caller's. */
int shards_create(struct shards **out, const struct shards_config *config, int listener,
                  char *error) MUST_USE;
/* Starts their threads. After a failure as after success: shards_stop, then shards_destroy. */
int shards_start(struct shards *shards, char *error) MUST_USE;
/* Stops accepting, tells clients Goodbye, delivers what is owed for at most DRAIN_NS_MAX, joins the threads.
 * Returns the bytes that were cut. */
uint64_t shards_stop(struct shards *shards);
void shards_destroy(struct shards *shards); /* after shards_stop, or instead of shards_start */

/* What may change while the workers run. */
struct shards_limits {
    uint32_t connections, subscriptions;
    uint64_t handshake_ns, block_ns, idle_ns, private_bytes, grace_ns;
};
/* Each worker takes them over in a turn of its own; blocks until all have. What is there stays, also above a
 * limit that is lower now; connections keep the longest idle_ns that they may have been told. One thread at a
 * time, which is no worker; between shards_start and shards_stop. */
void shards_limit(struct shards *shards, const struct shards_limits *limits);
/* Listens on another socket, made by io_listen_socket, beside the one before. Blocks and is called as
 * shards_limit. -ENOMEM: all is as it was, and the socket is still the caller's. After 0: shards_listen_end.
 */
int shards_listen(struct shards *shards, int listener) MUST_USE;
/* One of the two is closed: the one before when `moved`, else the new one. Connections of both stay. This can
 * not fail. */
void shards_listen_end(struct shards *shards, bool moved);

/* For the admin plane, any thread. The number of shards, and of logs, may grow (core/shard/change.h); what
 * there is stays until the end. */
uint32_t shards_count(const struct shards *shards);
const struct worker_stats *shards_worker_stats(const struct shards *shards, uint32_t shard);
const struct io_counters *shards_io_counters(const struct shards *shards, uint32_t shard);
uint32_t shards_log_count(const struct shards *shards);              /* of all kinds */
struct log *shards_log(const struct shards *shards, uint32_t shard); /* its memory log */
uint32_t shards_disk_logs(const struct shards *shards);
struct log *shards_disk_log(const struct shards *shards, uint32_t disk);
uint32_t shards_disk_home(const struct shards *shards, uint32_t disk); /* the shard that writes it */
/* The share of time that a worker's thread has been at work of late, from 0 to 1. */
double shards_busy(const struct shards *shards, uint32_t shard);
int shards_cpu(const struct shards *shards, uint32_t shard); /* that it is pinned to; -1 = none */
struct shards_wakes {
    uint64_t sent;
    uint64_t elided;
};
/* Wakes the workers that sleep, so that each makes a turn. Any thread. */
void shards_nudge(const struct shards *shards);
struct shards_wakes shards_wakes(const struct shards *shards, uint32_t shard);
/* What is visible of a disk log, by its index among them, has moved: for the thread that moves it. Wakes the
 * workers that sleep and have asked for it. */
void shards_log_moved(struct shards *shards, uint32_t disk);
/* The journal has failed: nothing more is acknowledged as on disk, and whoever waits for that is told that
 * nobody knows. Any thread, also more than once. */
void shards_journal_failed(struct shards *shards);
bool shards_stopping(const struct shards *shards);
const uint8_t *shards_instance(const struct shards *shards); /* 16 bytes */
