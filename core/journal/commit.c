/* One thread per log, one group in flight, no timer but the one that seals. While a group is written the next
 * one collects in the ring; what has collected when the write returns is copied and goes out at once. So one
 * publisher alone waits for one write of the disk, and many share it. */
#include "core/journal/parts.h"

#include "codecs/event/identity.h"
#include "codecs/proto/field.h"
#include "core/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

const uint64_t journal_sync_bucket_ns[JOURNAL_SYNC_BUCKETS - 1] = {
    250 * NS_PER_US, NS_PER_MS, 4 * NS_PER_MS, 16 * NS_PER_MS, 64 * NS_PER_MS, 256 * NS_PER_MS};

/* ---- copying ---- */

/* Records of events are frames whose last field is the event; what is none has no identity. */
static uint64_t record_identity(const struct log_entry *entry, const uint8_t *bytes) {
    enum log_type type = log_flags_type(entry->flags);
    uint64_t at = log_flags_topic_at(entry->flags) + log_flags_topic_length(entry->flags) + 1;
    size_t length;
    bool is_event = type == LOG_EVENT || type == (enum log_type)JOURNAL_TYPE_EXPIRING;
    if (!is_event || at >= entry->length)
        return 0;
    const uint8_t *event = length_read(bytes + at, bytes + entry->length, &length);
    if (event == NULL || event + length != bytes + entry->length)
        return 0;
    return event_identity(event, length);
}

/* The gate goes up when all is copied: from then on it is the group's buffer that holds what is not durable.
 */
static void commit_collect(struct commit *commit) {
    const struct log *ring = commit->ring;
    uint64_t produced = log_produced(ring);
    for (; commit->position < produced; commit->position++) {
        const struct log_entry *entry = log_entry_at(ring, commit->position);
        const uint8_t *bytes = log_bytes_at(ring, entry->offset);
        if (!chain_add(&commit->chain, entry, commit->position, record_identity(entry, bytes), bytes))
            break;
    }
    log_reader_raise(commit->ring, commit->gate, commit->position);
}

/* ---- writing ---- */

static int commit_failed(struct commit *commit, int error, const char *what) {
    char name[DISK_NAME_BYTES];
    chain_name(&commit->chain, name, commit->chain.number);
    journal_fail(commit->journal, error, what, name);
    return error == -EAGAIN ? -EIO : error; /* -EAGAIN means something else here */
}

static int commit_roll(struct commit *commit) {
    struct journal *journal = commit->journal;
    struct chain *chain = &commit->chain;
    struct segment segment;
    pthread_mutex_lock(&journal->lock);
    bool spare = chain->spare;
    chain->spare = false;
    pthread_mutex_unlock(&journal->lock);
    if (!spare)
        return -EAGAIN;
    int result = chain_roll(chain, &segment);
    pthread_mutex_lock(&journal->lock);
    if (result == 0)
        result = chain_push(chain, &segment);
    pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->lock);
    if (result != 0)
        return commit_failed(commit, result, "a new segment could not be made:");
    counter_set(&chain->counters.segment, segment.number);
    return 0;
}

static void commit_count(struct journal_counters *counters, const struct chain *chain, uint64_t count,
                         uint64_t took_ns) {
    uint32_t bucket = 0;
    while (bucket < JOURNAL_SYNC_BUCKETS - 1 && took_ns > journal_sync_bucket_ns[bucket])
        bucket++;
    counter_add(&counters->sync_buckets[bucket], 1);
    counter_add(&counters->syncs, 1);
    counter_add(&counters->sync_ns, took_ns);
    counter_max(&counters->sync_ns_max, took_ns);
    counter_add(count > 0 ? &counters->groups : &counters->seals, 1);
    counter_add(&counters->records, count);
    counter_add(&counters->bytes, chain->offset - chain->group_offset);
    counter_set(&counters->proven, chain->next.position - 1 - count);
    counter_set(&counters->durable, chain->next.position);
    counter_set(&counters->direct, chain->direct);
}

static int commit_put(struct commit *commit, uint16_t flags) {
    struct journal *journal = commit->journal;
    struct chain *chain = &commit->chain;
    uint64_t count = chain->count;
    int result = chain_fits(chain) ? 0 : commit_roll(commit);
    if (result != 0)
        return result;
    uint64_t began_ns = clock_mono_ns();
    result = chain_write(chain, flags);
    if (result != 0)
        return commit_failed(commit, result, "a group could not be written:");
    commit->wrote_ns = clock_mono_ns();
    pthread_mutex_lock(&journal->lock);
    bool idle = !chain->mark_due;
    result = chain_written(chain);
    if (idle)
        pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->lock);
    if (result != 0)
        return commit_failed(commit, result, "what is durable could not be noted:");
    commit_count(&chain->counters, chain, count, commit->wrote_ns - began_ns);
    log_visible_set(commit->ring, chain->next.position);
    commit->moved(commit->user);
    return 0;
}

int64_t commit_turn(struct commit *commit) {
    if (commit->chain.count == 0)
        commit_collect(commit);
    int64_t count = commit->chain.count;
    if (count == 0)
        return 0;
    int result = commit_put(commit, 0);
    return result != 0 ? result : count;
}

int commit_seal(struct commit *commit) {
    return commit->chain.sealed ? 0 : commit_put(commit, FORMAT_SEAL);
}

/* ---- the thread ---- */

/* What ends the loop: a stop, or a failure of any part. */
static bool commit_ends(struct commit *commit, bool *failed) {
    pthread_mutex_lock(&commit->journal->lock);
    bool ends = commit->stopping || commit->journal->failed;
    *failed = commit->journal->failed;
    pthread_mutex_unlock(&commit->journal->lock);
    return ends;
}

/* Sleeps until something is produced, at most until the last group must be sealed. */
static void commit_sleep(struct commit *commit) {
    bool failed;
    int limit_ms = commit->chain.sealed ? -1 : (int)(JOURNAL_SEAL_IDLE_NS / NS_PER_MS);
    struct pollfd bell = {.fd = commit->wake.bell, .events = POLLIN};
    wake_announce(&commit->wake);
    if (log_produced(commit->ring) == commit->position && !commit_ends(commit, &failed)) {
        (void)poll(&bell, 1, limit_ms);
        wake_drain(&commit->wake);
    }
    wake_resume(&commit->wake);
}

/* No spare is there: waits for the housekeeping thread. At a stop no longer than it says that there is room.
 */
static int commit_wait(struct commit *commit) {
    struct journal *journal = commit->journal;
    counter_add(&commit->chain.counters.waits, 1);
    pthread_mutex_lock(&journal->lock);
    pthread_cond_signal(&journal->work);
    while (!commit->chain.spare && !journal->failed && !(commit->stopping && commit->spare_refused))
        pthread_cond_wait(&journal->spare, &journal->lock);
    bool given_up = !commit->chain.spare;
    pthread_mutex_unlock(&journal->lock);
    return given_up ? commit_failed(commit, -ENOSPC, "the rest could not be written before the stop:") : 0;
}

/* One step; false: the thread ends. */
static bool commit_step(struct commit *commit) {
    bool failed;
    bool ends = commit_ends(commit, &failed); /* read first: what was produced before a stop is seen below */
    if (failed)
        return false;
    int64_t done = commit_turn(commit);
    if (done == 0 && (ends || clock_mono_ns() - commit->wrote_ns >= JOURNAL_SEAL_IDLE_NS))
        done = commit_seal(commit);
    if (done == -EAGAIN)
        return commit_wait(commit) == 0;
    if (done != 0)
        return done > 0;
    if (!ends)
        commit_sleep(commit);
    return !ends;
}

static void *commit_main(void *argument) {
    struct commit *commit = argument;
    bool failed;
    while (commit_step(commit)) {
    }
    if (commit_ends(commit, &failed) && failed)
        commit->moved(commit->user);
    return NULL;
}

int commit_attach(struct commit *commit, struct log *ring, void (*moved)(void *), void *user) {
    CHECK(log_produced(ring) == commit->chain.next.position && log_visible(ring) == log_produced(ring));
    int gate = log_reader_attach(ring);
    if (gate < 0)
        return gate;
    commit->ring = ring;
    commit->gate = gate;
    commit->moved = moved;
    commit->user = user;
    commit->position = commit->chain.next.position;
    CHECK(log_reader_lower(ring, gate, commit->position));
    return 0;
}

void commit_detach(struct commit *commit) {
    log_reader_detach(commit->ring, commit->gate);
    commit->ring = NULL;
}

int journal_start(struct journal *journal, uint32_t log, struct log *ring, void (*moved)(void *),
                  void *user) {
    CHECK(log < journal->facts.logs && !journal->logs[log].started);
    struct commit *commit = &journal->logs[log];
    int result = journal->house_running ? 0 : house_start(journal);
    if (result == 0)
        result = commit_attach(commit, ring, moved, user);
    if (result != 0)
        return result;
    commit->wrote_ns = clock_mono_ns();
    commit->started = commit->running = pthread_create(&commit->thread, NULL, commit_main, commit) == 0;
    if (!commit->running) {
        commit_detach(commit);
        return -EAGAIN;
    }
    char name[16]; /* the kernel takes no longer ones */
    (void)snprintf(name, sizeof name, "rh-journal-%u", log % JOURNAL_LOGS_MAX);
    pthread_setname_np(commit->thread, name);
    return 0;
}

static void commit_stop(struct commit *commit) {
    pthread_mutex_lock(&commit->journal->lock);
    commit->stopping = true;
    pthread_cond_broadcast(&commit->journal->spare);
    pthread_cond_signal(&commit->journal->work);
    pthread_mutex_unlock(&commit->journal->lock);
    wake_signal(&commit->wake);
}

int journal_stop(struct journal *journal) {
    for (uint32_t i = 0; i < journal->facts.logs; i++)
        if (journal->logs[i].running)
            commit_stop(&journal->logs[i]);
    for (uint32_t i = 0; i < journal->facts.logs; i++) {
        struct commit *commit = &journal->logs[i];
        if (!commit->running)
            continue;
        pthread_join(commit->thread, NULL);
        commit->running = false;
        commit_detach(commit);
    }
    house_stop(journal);
    return journal_failed(journal, NULL) ? -1 : 0;
}
