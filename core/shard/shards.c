/* Starting and stopping all workers together. */
#include "core/base/clock.h"
#include "core/shard/moves.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define STOP_POLL_NS (5 * (long)NS_PER_MS)

static int facts_init(struct shards *shards) {
    const struct shards_config *config = &shards->config;
    shards->facts = (struct session_facts){.host = &peer_host,
                                           .server = config->server,
                                           .shards = config->count,
                                           .frame_bytes = config->frame_bytes,
                                           .idle_ns = config->idle_ns,
                                           .disk = config->disk_logs > 0,
                                           .private_bytes = config->private_bytes};
    uint8_t *instance = shards->facts.instance;
    size_t size = sizeof shards->facts.instance;
    if (config->instance != NULL)
        memcpy(instance, config->instance, size);
    else if (getrandom(instance, size, 0) != (ssize_t)size)
        return -EIO;
    if (getrandom(&shards->table_seed, sizeof shards->table_seed, 0) != sizeof shards->table_seed)
        return -EIO;
    return 0;
}

void shards_lay_out(struct shards *shards) {
    const struct shards_config *config = &shards->config;
    uint32_t logs = config->count + config->disk_logs;
    CHECK(config->count >= 1 && config->count <= SHARDS_MAX && config->disk_logs <= DISK_LOGS_MAX);
    CHECK(logs <= LOGS_MAX);
    memcpy(shards->slots, config->slots, sizeof shards->slots);
    shards->epoch = log_epoch(shards, 0);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) { /* whatever the number of shards: it is for ever */
        shards->disk_slots[slot] = (uint8_t)(config->count + slot * config->disk_logs / SLOT_COUNT);
        shards->places[slot] = (struct slot_place){.log = config->slots[slot], .epoch = shards->epoch};
    }
    for (uint32_t log = 0; log < logs; log++)
        shards->log_homes[log] = (uint8_t)(log % config->count + 1);
    published_set(&shards->log_count, logs);
    published_set(&shards->worker_count, config->count);
    published_set(&shards->active_count, config->count);
}

int worker_start(struct worker *worker) {
    int result = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (result != 0)
        return -result;
    worker->started = true;
    char name[16];
    snprintf(name, sizeof name, "rh-shard-%u", worker->number % 1000);
    pthread_setname_np(worker->thread, name);
    return 0;
}

int shards_start(struct shards *shards, char *error) {
    for (uint32_t i = 0; i < shards_count(shards); i++) {
        int result = worker_start(shards->workers[i]);
        if (result != 0) {
            snprintf(error, 200, "shard %u: the thread can not be started: %s", i, strerror(-result));
            return result;
        }
    }
    return 0;
}

int shards_create(struct shards **out, const struct shards_config *config, int listener, char *error) {
    struct shards *shards = calloc(1, sizeof *shards);
    if (shards == NULL)
        return -ENOMEM;
    shards->config = *config;
    shards->listener = listener;
    shards_lay_out(shards);
    int result = facts_init(shards);
    if (result == 0)
        result = changes_create(shards);
    for (uint32_t i = 0; i < config->count && result == 0; i++)
        result = worker_create(&shards->workers[i], shards, i, error);
    if (result == 0)
        result = states_recall(shards, error);
    if (result == 0) {
        known_recall(shards);
        *out = shards;
        return 0;
    }
    shards_destroy(shards);
    return result;
}

static void order(struct shards *shards, enum command_kind kind) {
    struct mpsc_command command = {.kind = kind};
    for (uint32_t i = 0; i < shards_count(shards); i++) {
        struct worker *worker = shards->workers[i];
        if (worker == NULL || !worker->started)
            continue;
        while (mpsc_push(worker->mailbox, &command) == RING_FULL)
            nanosleep(&(struct timespec){.tv_nsec = STOP_POLL_NS}, NULL);
        wake_signal(&worker->wake);
    }
}

static bool all_quiet(const struct shards *shards) {
    for (uint32_t i = 0; i < shards_count(shards); i++)
        if (shards->workers[i] != NULL && shards->workers[i]->started &&
            counter_get(&shards->workers[i]->quiet) == 0)
            return false;
    return true;
}

/* Twice in a row: what one worker sent another between two looks shows at the second. */
static void wait_quiet(const struct shards *shards) {
    uint64_t deadline_ns = clock_mono_ns() + DRAIN_NS_MAX;
    int quiet = 0;
    while (quiet < 2 && clock_mono_ns() < deadline_ns) {
        nanosleep(&(struct timespec){.tv_nsec = STOP_POLL_NS}, NULL);
        quiet = all_quiet(shards) ? quiet + 1 : 0;
    }
}

uint64_t shards_stop(struct shards *shards) {
    counter_set(&shards->stopping, 1);
    changes_close(shards);
    order(shards, COMMAND_DRAIN);
    wait_quiet(shards);
    order(shards, COMMAND_LEAVE);
    uint64_t cut = 0;
    for (uint32_t i = 0; i < shards_count(shards); i++) {
        struct worker *worker = shards->workers[i];
        if (worker == NULL || !worker->started)
            continue;
        pthread_join(worker->thread, NULL);
        worker->started = false;
        cut += counter_get(&worker->stats.drain_cut_bytes);
    }
    surveys_end(shards);
    return cut;
}

void shards_destroy(struct shards *shards) {
    if (shards == NULL)
        return;
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        worker_destroy(shards->workers[i]);
    changes_destroy(shards);
    free(shards);
}

/* ---- for other threads ---- */

uint64_t workers_sum(const struct shards *shards, size_t counter_offset) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shards_count(shards); i++) {
        const char *stats = (const char *)&shards->workers[i]->stats;
        sum += counter_get((const struct counter *)(const void *)(stats + counter_offset));
    }
    return sum;
}

uint32_t shards_count(const struct shards *shards) {
    return (uint32_t)published_get(&shards->worker_count);
}

const struct worker_stats *shards_worker_stats(const struct shards *shards, uint32_t shard) {
    return &shards->workers[shard]->stats;
}

const struct io_counters *shards_io_counters(const struct shards *shards, uint32_t shard) {
    return io_counters_of(shards->workers[shard]->io);
}

double shards_busy(const struct shards *shards, uint32_t shard) {
    return (double)counter_get(&shards->workers[shard]->busy_ppm) / 1e6;
}

int shards_cpu(const struct shards *shards, uint32_t shard) {
    return (int)counter_get(&shards->workers[shard]->pinned) - 1;
}

uint32_t shards_log_count(const struct shards *shards) {
    return (uint32_t)published_get(&shards->log_count);
}

struct log *shards_log(const struct shards *shards, uint32_t shard) {
    const struct shards_config *config = &shards->config;
    return shards->logs[shard < config->count ? shard : shard + config->disk_logs];
}

uint32_t shards_disk_logs(const struct shards *shards) {
    return shards->config.disk_logs;
}

struct log *shards_disk_log(const struct shards *shards, uint32_t disk) {
    return shards->logs[shards->config.count + disk];
}

uint32_t shards_disk_home(const struct shards *shards, uint32_t disk) {
    return log_home(shards, shards->config.count + disk);
}

void shards_log_moved(struct shards *shards, uint32_t disk) {
    for (uint32_t i = 0; i < shards_count(shards); i++)
        if (wanted_take(&shards->workers[i]->moves[disk]))
            wake_signal(&shards->workers[i]->wake);
}

void shards_nudge(const struct shards *shards) {
    for (uint32_t i = 0; i < shards_count(shards); i++)
        wake_signal(&shards->workers[i]->wake);
}

struct shards_wakes shards_wakes(const struct shards *shards, uint32_t shard) {
    const struct wake *wake = &shards->workers[shard]->wake;
    return (struct shards_wakes){.sent = wake_sent(wake), .elided = wake_elided(wake)};
}

void shards_journal_failed(struct shards *shards) {
    counter_set(&shards->journal_failed, 1);
    for (uint32_t i = 0; i < shards_count(shards); i++)
        wake_signal(&shards->workers[i]->wake);
}

bool shards_stopping(const struct shards *shards) {
    return counter_get(&shards->stopping) != 0;
}

const uint8_t *shards_instance(const struct shards *shards) {
    return shards->facts.instance;
}
