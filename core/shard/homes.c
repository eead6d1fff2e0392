/* The logs that a worker writes: one for what is kept in memory, and those for what is kept on disk that fall
 * to it. Which log a topic belongs to follows from its class and its slot. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

/* ---- making ---- */

/* Growing with the index. */
static uint32_t log_number_of(const struct shards *shards, uint32_t index) {
    const struct shards_config *config = &shards->config;
    if (log_is_disk(shards, index))
        return LOG_NUMBER_DISK + index - config->count;
    return index < config->count ? index : LOG_NUMBER_ADDED + index - config->disk_logs;
}

static int log_make(struct worker *worker, uint32_t index, struct log **out) {
    const struct shards *shards = worker->shards;
    const struct shards_config *config = &shards->config;
    struct log_config log = {.number = (uint16_t)log_number_of(shards, index),
                             .data_bytes = config->log_data_bytes,
                             .records = config->log_records,
                             .grace_ns = config->grace_ns,
                             .prefault = true,
                             .writer = &worker->wake};
    if (log_is_disk(shards, index)) {
        uint32_t disk = index - config->count;
        log.first = config->disk_first != NULL ? config->disk_first[disk] : 1;
        log.journalled = true;
    }
    return log_create(out, &log);
}

static int home_make(struct worker *worker, struct home *home, uint32_t index, const char **what) {
    struct shards *shards = worker->shards;
    const struct shards_config *config = &shards->config;
    *what = "log ring";
    int result = log_make(worker, index, &home->log);
    if (result != 0)
        return result;
    *what = "tables";
    home->index = (uint16_t)index;
    home->journalled = log_is_disk(shards, index);
    if (home->journalled && config->disk_wakes != NULL)
        home->journal = config->disk_wakes[index - config->count];
    worker->home_of[index] = home;
    shards->logs[index] = home->log;
    result = intern_create(&home->intern, log_number(home->log), config->topics,
                           shards->table_seed + log_number(home->log));
    return result != 0 ? result : known_make(shards, worker, home);
}

int homes_make(struct worker *worker, const char **what) {
    const struct shards *shards = worker->shards;
    int result = 0;
    for (uint32_t i = 0; i < LOGS_MAX && result == 0; i++)
        if (shards->log_homes[i] == worker->number + 1)
            result = home_make(worker, &worker->homes[worker->homes_count++], i, what);
    if (result == 0 && shards->config.rules_count > 0)
        result = rules_create(&worker->rules, shards->config.rules, shards->config.rules_count);
    return result;
}

void homes_destroy(struct worker *worker) {
    for (uint32_t i = 0; i < worker->homes_count; i++) {
        intern_destroy(worker->homes[i].intern);
        known_destroy(&worker->homes[i]);
        log_destroy(worker->homes[i].log);
    }
    rules_destroy(worker->rules);
}

/* ---- which log ---- */

const struct topic_rule *topic_rule_of(const struct worker *worker, const uint8_t *topic, uint32_t length,
                                       uint64_t hash) {
    return worker->rules != NULL ? rules_of(worker->rules, topic, length, hash) : NULL;
}

/* A mailbox is there to hold what its receiver has not got yet. */
static enum topic_class topic_class(const struct worker *worker, const uint8_t *topic, uint32_t length,
                                    uint64_t hash) {
    if (worker->shards->config.disk_logs == 0)
        return TOPIC_MEMORY;
    const struct topic_rule *rule = topic_rule_of(worker, topic, length, hash);
    return topic[0] == '@' || rule == NULL ? TOPIC_DISK : rule->class;
}

struct topic_place topic_place(const struct worker *worker, const uint8_t *topic, uint32_t length,
                               uint64_t hash) {
    const struct shards *shards = worker->shards;
    uint32_t slot = topic_slot(hash);
    if (topic_class(worker, topic, length, hash) == TOPIC_DISK)
        return (struct topic_place){.log = shards->disk_slots[slot], .epoch = EPOCH_FIRST};
    uint32_t log = shards->slots[slot];
    if (topic[0] == '@')
        return (struct topic_place){.log = log, .epoch = log_epoch(shards, log)};
    const struct slot_place *place = &worker->places[slot];
    return (struct topic_place){.log = place->log, .epoch = place->epoch, .moves = true};
}

uint64_t topic_logs(const struct worker *worker, const uint8_t *topic, uint32_t length, uint64_t hash) {
    struct topic_place place = topic_place(worker, topic, length, hash);
    return place.moves ? worker->slot_logs[topic_slot(hash)] : UINT64_C(1) << place.log;
}

/* ---- in the turn ---- */

bool homes_refused_moved(const struct worker *worker) {
    for (uint32_t i = 0; i < worker->homes_count; i++)
        if (worker->homes[i].refused && !log_writer_waits(worker->homes[i].log))
            return true;
    return false;
}

void homes_housekeeping(struct worker *worker) {
    uint64_t topics = 0;
    uint64_t evicted = 0;
    for (uint32_t i = 0; i < worker->homes_count; i++) {
        topics += intern_count(worker->homes[i].intern);
        evicted += intern_evicted(worker->homes[i].intern);
    }
    counter_set(&worker->stats.topics, topics);
    counter_set(&worker->stats.topics_evicted, evicted);
}
