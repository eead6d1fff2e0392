/* shard_world.h: workers without threads, over the simulated I/O body, and clients that speak the protocol.
 * Owner: the test. It turns each worker itself, so every interleaving is written down.
 * Only the test's thread calls.
 * Nothing blocks: a turn of the simulation never sleeps.
 * A call that fails fails the running Criterion test. */
#pragma once

#include "core/io/sim.h"
#include "core/shard/change_private.h"
#include "core/shard/worker.h"

#define WORLD_CLIENTS_MAX 400u

struct world_config {
    uint32_t shards;                /* 0 = 1 */
    uint32_t disks;                 /* disk logs: for topics such as d.1 */
    uint64_t log_data;              /* 0 = 64 KiB */
    uint64_t log_records;           /* 0 = 1024 */
    uint32_t topics;                /* names that a log remembers; 0 = TOPICS_MIN */
    uint64_t grace_ns;              /* for tests longer than the test itself, or 0 */
    uint32_t landing_bytes;         /* 0 = LANDING_BYTES_MIN */
    uint32_t socket_bytes;          /* what a simulated socket holds in each direction; 0 = 4 KiB */
    bool early;                     /* every flush tells other things, too */
    struct world_disk *disk;        /* what outlives the world; NULL = nothing does */
    const struct topic_rule *rules; /* NULL = topics d.> on disk, the others in memory */
    uint32_t rules_count;
};

/* The disk logs as a journal has them: longer than any world. Zero it; world_disk_free frees it. */
struct world_disk_log {
    struct log_entry *entries; /* owns; from position 1 on, offsets are from `bytes` */
    uint8_t *bytes;            /* owns */
    uint64_t count, length;
};
struct world_disk {
    struct world_disk_log logs[DISK_LOGS_MAX];
    uint64_t next[DISK_LOGS_MAX]; /* when the world began */
    uint64_t segment;             /* of all logs */
    struct history history;
};
void world_disk_free(struct world_disk *disk);

struct world_client;

struct world {
    struct world_disk *disk; /* borrows */
    struct shards *shards;
    struct world_config config;
    uint64_t steps; /* of changes */
    uint8_t slots[SLOT_COUNT];
    uint32_t clients_count;
    struct world_client *clients[WORLD_CLIENTS_MAX]; /* owns */
};

struct world_client {
    struct world *world;
    struct io_sim_peer *peer; /* owns; NULL once the client has left */
    uint32_t shard;
    uint8_t *out; /* owns; what its socket has not taken yet */
    size_t out_length;
    uint8_t *in; /* owns; what it has received and not looked at */
    size_t in_begin, in_length;
    int64_t error;       /* of its last read: 0 = ended in order, -EAGAIN = open */
    const char *filters; /* of queues that it joins, and of client_subscribe_from, as JSON; NULL = none */
};

struct world *world_new(const struct world_config *config);
void world_free(struct world *world); /* everybody leaves, and everything must be given back */
struct worker *world_worker(const struct world *world, uint32_t shard);
/* One turn of one worker; before it, what the clients want to write is given to their sockets. */
void world_turn(struct world *world, uint32_t shard);
void world_turns(struct world *world, uint32_t count); /* of all workers, in order */
/* Turns one worker until it has slept `count` times more. */
void world_sleep(struct world *world, uint32_t shard, uint64_t count);
uint64_t world_sleeps(const struct world *world, uint32_t shard);

/* Slots go to these of `count` shards, step by step: true when it is over and freed. */
struct change *world_change(struct world *world, uint32_t count, const uint8_t *slots);
bool world_changed(struct world *world, struct change *change);

/* A client of that worker that has shaken hands. `ack`: wants to be told what is routed. */
struct world_client *client_new(struct world *world, uint32_t shard, bool ack);
void client_leave(struct world_client *client, bool reset);
void client_subscribe(struct world_client *client, uint64_t id, const char *pattern, bool skip);
/* A member of a volatile queue, which is a group unless it is a mailbox. `pattern`: NULL = none. */
void client_join(struct world_client *client, uint64_t id, const char *name, const char *pattern,
                 uint32_t window);
/* The same, durable. */
void client_join_durable(struct world_client *client, uint64_t id, const char *name, const char *pattern,
                         uint32_t window);
/* All that is kept goes once more to the queue, so many events per second; 0 = no limit. */
void client_replay(struct world_client *client, uint64_t id, const char *queue, double rate);
void client_ack(struct world_client *client, uint64_t id, uint64_t delivery, uint32_t kind);
void client_unsubscribe(struct world_client *client, uint64_t id);
/* A subscription that begins as the other fields say. */
void client_subscribe_from(struct world_client *client, Roundhouse__V1__Subscribe *subscribe,
                           const char *pattern);
void client_remove_queue(struct world_client *client, uint64_t id, const char *name);
void client_goodbye(struct world_client *client);
void client_ping(struct world_client *client);
void client_noise(struct world_client *client); /* what is no frame */
void client_shut(struct world_client *client);  /* ends its side when all is written */
/* An event that only this number gives, of `size` bytes of data. A number with one of these bits has an
 * expirytime: of long ago, or long from now. */
#define WORLD_PAST   (UINT64_C(1) << 40)
#define WORLD_FUTURE (UINT64_C(1) << 41)
void client_publish(struct world_client *client, const char *topic, uint64_t number, uint32_t size);

/* What it reads. A frame's bytes are valid until the next call. */
struct world_frame {
    enum wire_kind kind;
    uint64_t number; /* of an event, whose bytes have been compared with what was published */
    uint64_t sequence;
    struct wire_frame wire;
};
/* Takes at most `bytes` out of its socket; returns how many. */
size_t client_pull(struct world_client *client, size_t bytes);
/* The next whole frame that has been pulled. */
bool client_next(struct world_client *client, struct world_frame *out);
uint64_t
client_delivery(const struct world_frame *context); /* what a member acknowledges the next event by */
/* Turns its worker and reads until a frame of that kind comes; others before it are passed over. */
void client_expect(struct world_client *client, enum wire_kind kind, struct world_frame *out);

/* A topic of that log: memory logs by shard, disk logs behind them. */
const char *world_topic(const struct world *world, uint32_t log, char topic[16]);
/* All that the disk logs have becomes durable. */
void world_journal(struct world *world);
/* What comes from now on is not on the disk: who waits for that is let go before the world's end. */
void world_crash(struct world *world);
