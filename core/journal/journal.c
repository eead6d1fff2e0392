#include "core/journal/journal.h"

#include "core/base/logfmt.h"
#include "core/journal/disk.h"
#include "core/journal/parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- MANIFEST ---- */

static void name_found(void *user, const char *name) {
    char *first = user;
    if (strcmp(name, "lost+found") != 0 && strcmp(name, MANIFEST_NAME ".new") != 0)
        (void)snprintf(first, DISK_NAME_BYTES, "%s", name);
}

/* A directory without MANIFEST becomes a journal only if there is nothing else in it. */
static int manifest_begin(struct journal *journal, const struct journal_config *config,
                          struct journal_trouble *trouble) {
    char other[DISK_NAME_BYTES] = "";
    struct format_manifest *manifest = &journal->manifest;
    int result = journal->disk->calls->list(journal->disk, ".", name_found, other);
    if (result != 0)
        return trouble_disk(trouble, result, "journal", journal->directory);
    if (other[0] != '\0')
        return trouble_set(
            trouble, TROUBLE_DATA,
            "journal %s: there is no MANIFEST in it, but other files (such as %s): name an empty "
            "or new directory; if it was a journal, MANIFEST has been lost, and `roundhouse "
            "journal export %s` prints what its segments hold",
            journal->directory, other, journal->directory);
    *manifest =
        (struct format_manifest){.logs = config->logs, .slot_seed = config->slot_seed, .slot_epoch = 1};
    result = journal->disk->calls->random(journal->disk, manifest->instance, sizeof manifest->instance);
    if (result == 0)
        result = manifest_make(manifest, journal->disk);
    return result != 0 ? trouble_disk(trouble, result, "journal: a new one in", journal->directory) : 0;
}

static int manifest_take(struct journal *journal, const struct journal_config *config,
                         struct journal_trouble *trouble) {
    int result = manifest_load(&journal->manifest, journal->disk, journal->directory, true, trouble);
    if (result == -ENOENT)
        result = manifest_begin(journal, config, trouble);
    if (result != 0)
        return result;
    if (journal->manifest.boot_epoch >= JOURNAL_BOOT_EPOCH_MAX)
        return trouble_set(
            trouble, TROUBLE_DATA,
            "journal %s: it has been opened %u times, and no sequence may be used twice: print it "
            "with `roundhouse journal export %s`, and go on in a new directory",
            journal->directory, journal->manifest.boot_epoch, journal->directory);
    return 0;
}

/* Every log has its first segment now; the epoch is on the disk before anybody can use it. */
static int manifest_raise(struct journal *journal, struct journal_trouble *trouble) {
    struct format_manifest *manifest = &journal->manifest;
    manifest->boot_epoch++;
    for (uint32_t i = 0; i < manifest->logs; i++)
        if (manifest->oldest[i] == 0)
            manifest->oldest[i] = 1;
    int result = manifest_store(manifest, journal->disk);
    if (result != 0)
        return trouble_disk(trouble, result, "journal: MANIFEST in", journal->directory);
    if (manifest->boot_epoch >= JOURNAL_BOOT_EPOCH_WARN)
        logfmt(LOGFMT_WARN, "the journal can not be opened for ever: plan a new directory",
               "opened=%u most=%u", manifest->boot_epoch, JOURNAL_BOOT_EPOCH_MAX);
    struct journal_facts *facts = &journal->facts;
    facts->boot_epoch = manifest->boot_epoch;
    return 0;
}

/* ---- logs ---- */

/* The one message of a refusal. */
static int log_refused(const struct journal *journal, const struct damage *damage,
                       struct journal_trouble *trouble) {
    char group[128] = "", found[64] = "";
    const char *where = journal->directory;
    if (damage->found != 0 && damage->found != damage->expected)
        (void)snprintf(found, sizeof found, ", group %" PRIu64 " found", damage->found);
    if (damage->expected != 0)
        (void)snprintf(group, sizeof group, "group %" PRIu64 " expected%s: ", damage->expected, found);
    return trouble_set(
        trouble, TROUBLE_DATA,
        "journal %s: %s at byte %" PRIu64 ": %s%s. No crash explains this, and nothing has been "
        "changed. Behind it lie %" PRIu64 " valid groups with %" PRIu64 " records (%" PRIu64
        " bytes), which would be lost with what is damaged. `roundhouse journal verify %s` looks "
        "at all of it, `roundhouse journal export %s` prints what can be read, `roundhouse "
        "journal cut %s --accept-loss` keeps the original beside it, cuts there and writes a loss "
        "report",
        where, damage->file, damage->offset, group, damage->wrong, damage->groups, damage->records,
        damage->bytes, where, where, where);
}

static int log_failed(const struct journal *journal, const struct damage *damage, int error,
                      struct journal_trouble *trouble) {
    char what[JOURNAL_TROUBLE_BYTES];
    (void)snprintf(what, sizeof what, "journal %s: byte %" PRIu64 " of", journal->directory, damage->offset);
    return trouble_disk(trouble, error, what, damage->file);
}

static int log_recover(struct journal *journal, uint32_t i, struct journal_trouble *trouble) {
    struct chain *chain = &journal->logs[i].chain;
    uint64_t oldest = journal->manifest.oldest[i], repaired;
    struct damage damage;
    int result = chain_look(chain, oldest, true, &damage);
    if (result > 0)
        return log_refused(journal, &damage, trouble);
    if (result < 0)
        return log_failed(journal, &damage, result, trouble);
    result = chain_mend(chain, oldest, &repaired);
    if (result != 0)
        return log_failed(journal, &damage, result, trouble);
    if (repaired > 0)
        logfmt(LOGFMT_WARN, "the group that was in flight was never acknowledged and is taken away",
               "log=%u segment=%lu offset=%lu bytes=%lu", i, (unsigned long)chain->number,
               (unsigned long)chain->offset, (unsigned long)repaired);
    counter_set(&chain->counters.segment, chain->number);
    counter_set(&chain->counters.durable, chain->next.position);
    counter_set(&chain->counters.segments, chain->segments_count);
    counter_set(&chain->counters.oldest, chain->segments[0].first);
    counter_set(&chain->counters.direct, chain->direct);
    return 0;
}

static int logs_open(struct journal *journal, const struct journal_config *config,
                     struct journal_trouble *trouble) {
    uint64_t record = config->record_max != 0 ? config->record_max : FRAME_BYTES_MAX + FRAME_OVERHEAD_MAX;
    uint64_t least = JOURNAL_BLOCK_BYTES + format_group_bytes(format_record_length(record));
    uint64_t bytes = config->segment_bytes != 0 ? config->segment_bytes : JOURNAL_SEGMENT_DEFAULT;
    bytes = format_blocks(bytes < least ? least : bytes);
    for (uint32_t i = 0; i < journal->facts.logs; i++) {
        struct commit *commit = &journal->logs[i];
        commit->journal = journal;
        int result = wake_init(&commit->wake);
        if (result == 0)
            result = chain_init(&commit->chain, journal->disk, i, journal->facts.instance, bytes, record);
        if (result != 0)
            return trouble_disk(trouble, result, "journal", journal->directory);
        commit->chain.notes = config->notes;
        if (log_recover(journal, i, trouble) != 0)
            return -1;
    }
    return 0;
}

/* ---- opening ---- */

static int disk_take(struct journal *journal, const struct journal_config *config,
                     struct journal_trouble *trouble) {
    int result = 0;
    journal->disk = config->disk;
    journal->disk_is_ours = config->disk == NULL;
    if (journal->disk_is_ours)
        result = disk_real_open(&journal->disk, config->directory, true);
    if (result != 0)
        return trouble_disk(trouble, result, "journal", journal->directory);
    result = journal->disk->calls->lock(journal->disk, false);
    if (result == -EWOULDBLOCK)
        return trouble_set(trouble, TROUBLE_UNAVAILABLE,
                           "journal %s: another process has it open: end that one first, or name another "
                           "directory",
                           journal->directory);
    return result != 0 ? trouble_disk(trouble, result, "journal: the lock of", journal->directory) : 0;
}

static int locks_make(struct journal *journal) {
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return -1;
    bool good = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                pthread_mutex_init(&journal->lock, NULL) == 0 &&
                pthread_mutex_init(&journal->manifest_lock, NULL) == 0 &&
                pthread_cond_init(&journal->work, &monotonic) == 0 &&
                pthread_cond_init(&journal->spare, NULL) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return good ? 0 : -1;
}

static int facts_take(struct journal *journal, struct journal_trouble *trouble) {
    struct journal_facts *facts = &journal->facts;
    facts->slot_seed = journal->manifest.slot_seed;
    memcpy(facts->instance, journal->manifest.instance, sizeof facts->instance);
    journal->logs = aligned_alloc(_Alignof(struct commit), journal->manifest.logs * sizeof *journal->logs);
    if (journal->logs == NULL)
        return trouble_disk(trouble, -ENOMEM, "journal", journal->directory);
    memset(journal->logs, 0, journal->manifest.logs * sizeof *journal->logs);
    facts->logs = journal->manifest.logs;
    return 0;
}

static int journal_begin(struct journal *journal, const struct journal_config *config,
                         struct journal_trouble *trouble) {
    int result = disk_take(journal, config, trouble);
    if (result == 0)
        result = manifest_take(journal, config, trouble);
    if (result == 0)
        result = facts_take(journal, trouble);
    if (result == 0)
        result = logs_open(journal, config, trouble);
    return result != 0 ? result : manifest_raise(journal, trouble);
}

int journal_open(struct journal **out, const struct journal_config *config, struct journal_trouble *trouble) {
    CHECK(config->logs > 0 && config->logs <= JOURNAL_LOGS_MAX);
    CHECK(config->segment_bytes == 0 ||
          (config->segment_bytes >= JOURNAL_SEGMENT_MIN && config->segment_bytes <= JOURNAL_SEGMENT_MAX));
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL || locks_make(journal) != 0) {
        free(journal);
        return trouble_set(trouble, TROUBLE_DISK, "journal: out of memory");
    }
    (void)snprintf(journal->directory, sizeof journal->directory, "%s", config->directory);
    journal->retain_bytes = config->retain_bytes;
    journal->retain_ns = config->retain_ns;
    journal->failed_call = config->failed;
    journal->failed_user = config->failed_user;
    if (journal_begin(journal, config, trouble) != 0) {
        journal_close(journal);
        return -1;
    }
    for (uint32_t i = 0; i < journal->facts.logs; i++)
        journal_keep(journal, i, config->keeps ? 0 : UINT64_MAX);
    *out = journal;
    return 0;
}

void journal_retain(struct journal *journal, uint64_t retain_bytes, uint64_t retain_ns) {
    pthread_mutex_lock(&journal->lock);
    journal->retain_bytes = retain_bytes;
    journal->retain_ns = retain_ns;
    pthread_mutex_unlock(&journal->lock);
}

void journal_close(struct journal *journal) {
    if (journal == NULL)
        return;
    CHECK(!journal->house_running);
    for (uint32_t i = 0; i < journal->facts.logs; i++) {
        CHECK(!journal->logs[i].running);
        chain_deinit(&journal->logs[i].chain);
        wake_deinit(&journal->logs[i].wake);
    }
    if (journal->disk_is_ours)
        disk_real_close(journal->disk);
    (void)pthread_mutex_destroy(&journal->lock);
    (void)pthread_mutex_destroy(&journal->manifest_lock);
    (void)pthread_cond_destroy(&journal->work);
    (void)pthread_cond_destroy(&journal->spare);
    free(journal->logs);
    free(journal);
}

/* ---- facts and numbers ---- */

const struct journal_facts *journal_facts(const struct journal *journal) {
    return &journal->facts;
}

static struct commit *log_of(const struct journal *journal, uint32_t log) {
    CHECK(log < journal->facts.logs);
    return &journal->logs[log];
}

/* The lock is not part of what is constant. */
static void lock(const struct commit *commit) {
    pthread_mutex_lock(&commit->journal->lock);
}
static void unlock(const struct commit *commit) {
    pthread_mutex_unlock(&commit->journal->lock);
}

uint64_t journal_next(const struct journal *journal, uint32_t log) {
    const struct commit *commit = log_of(journal, log);
    lock(commit);
    uint64_t next = chain_current(&commit->chain)->next;
    unlock(commit);
    return next;
}

uint64_t journal_oldest(const struct journal *journal, uint32_t log) {
    const struct commit *commit = log_of(journal, log);
    lock(commit);
    uint64_t oldest = commit->chain.segments[0].first;
    unlock(commit);
    return oldest;
}

int journal_epoch_raise(struct journal *journal, uint32_t epoch) {
    int result = 0;
    pthread_mutex_lock(&journal->manifest_lock);
    if (epoch > journal->manifest.boot_epoch) {
        journal->manifest.boot_epoch = epoch;
        result = manifest_store(&journal->manifest, journal->disk);
    }
    pthread_mutex_unlock(&journal->manifest_lock);
    return result;
}

void journal_keep(struct journal *journal, uint32_t log, uint64_t position) {
    counter_set(&log_of(journal, log)->keep, position);
}

uint64_t journal_segment(const struct journal *journal, uint32_t log) {
    const struct commit *commit = log_of(journal, log);
    lock(commit);
    uint64_t number = chain_current(&commit->chain)->number;
    unlock(commit);
    return number;
}

/* The last waypoint before which all records are older. */
static uint64_t chain_since(const struct chain *chain, uint64_t time_ns) {
    if (chain->time < time_ns)
        return chain_current(chain)->next;
    for (uint32_t i = chain->segments_count; i-- > 0;) {
        const struct segment *segment = &chain->segments[i];
        for (uint32_t k = segment->waypoints_count; k-- > 0;)
            if (segment->waypoints[k].time < time_ns)
                return segment->waypoints[k].position;
    }
    return chain->segments[0].first;
}

uint64_t journal_since(const struct journal *journal, uint32_t log, uint64_t time_ns) {
    const struct commit *commit = log_of(journal, log);
    lock(commit);
    uint64_t position = chain_since(&commit->chain, time_ns);
    unlock(commit);
    return position;
}

static uint64_t chain_noted(const struct chain *chain, uint64_t from) {
    for (uint32_t i = 0; i < chain->segments_count; i++) {
        const struct segment *segment = &chain->segments[i];
        for (uint32_t k = 0; k < segment->waypoints_count; k++) {
            const struct waypoint *waypoint = &segment->waypoints[k];
            bool last = k + 1 == segment->waypoints_count;
            uint64_t end = last ? segment->next : waypoint[1].position;
            if (waypoint->noted && end > from)
                return waypoint->position > from ? waypoint->position : from;
        }
    }
    return chain_current(chain)->next;
}

uint64_t journal_noted(const struct journal *journal, uint32_t log, uint64_t from) {
    const struct commit *commit = log_of(journal, log);
    lock(commit);
    uint64_t position = chain_noted(&commit->chain, from);
    unlock(commit);
    return position;
}

struct wake *journal_wake(struct journal *journal, uint32_t log) {
    return &log_of(journal, log)->wake;
}

const struct journal_counters *journal_counters(const struct journal *journal, uint32_t log) {
    return &log_of(journal, log)->chain.counters;
}

/* ---- failing ---- */

bool journal_failed(const struct journal *journal, struct journal_trouble *trouble) {
    const struct commit *first = log_of(journal, 0);
    lock(first);
    bool failed = journal->failed;
    if (failed && trouble != NULL)
        *trouble = journal->trouble;
    unlock(first);
    return failed;
}

void journal_fail(struct journal *journal, int error, const char *what, const char *name) {
    char where[JOURNAL_TROUBLE_BYTES], quoted[JOURNAL_TROUBLE_BYTES];
    (void)snprintf(where, sizeof where, "journal %s: %s", journal->directory, what);
    pthread_mutex_lock(&journal->lock);
    bool first = !journal->failed;
    journal->failed = true;
    if (first)
        (void)trouble_disk(&journal->trouble, error, where, name);
    pthread_cond_broadcast(&journal->spare);
    pthread_cond_broadcast(&journal->work);
    pthread_mutex_unlock(&journal->lock);
    if (!first)
        return;
    logfmt(LOGFMT_ERROR, "the journal has failed: nothing is acknowledged any more", "reason=%s",
           logfmt_quote(quoted, sizeof quoted / 2, journal->trouble.text, strlen(journal->trouble.text)));
    for (uint32_t i = 0; i < journal->facts.logs; i++)
        wake_signal(&journal->logs[i].wake);
    if (journal->failed_call != NULL)
        journal->failed_call(journal->failed_user);
}
