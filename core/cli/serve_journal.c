#include "core/cli/serve_journal.h"

#include "core/base/clock.h"
#include "core/base/logfmt.h"
#include "core/cli/cli.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int serve_journal_signal(void) {
    return SIGRTMIN;
}

static void failed(void *user) {
    struct serve_journal *journal = user;
    if (journal->shards != NULL)
        shards_journal_failed(journal->shards);
    (void)kill(getpid(), serve_journal_signal());
}

static void moved(void *user) {
    const struct serve_journal_log *log = user;
    shards_log_moved(log->journal->shards, log->disk);
}

/* What queues are made of after a start: their states, and what is in mailboxes. */
static bool of_queues(uint32_t flags, const uint8_t *bytes) {
    return log_flags_type(flags) == LOG_STATE ||
           (log_flags_event(flags) && log_flags_topic_length(flags) > 0 &&
            bytes[log_flags_topic_at(flags)] == '@');
}

/* ---- opening ---- */

/* What the file asks for must not be kept in memory without a word. */
static int disk_without_journal(const struct config *config) {
    const struct topic_rule *rule = config_disk_without_journal(config);
    if (rule == NULL)
        return CLI_OK;
    fprintf(stderr,
            "roundhouse serve: topics: \"%.*s\" is of class disk, and there is no journal: set journal.dir "
            "in the file, or give --journal DIR\n",
            rule->length, (const char *)rule->pattern);
    return CLI_CONFIG;
}

static void opened_log(const struct serve_journal *journal, const struct config *config, uint64_t begin_ns) {
    const struct journal_facts *facts = journal_facts(journal->journal);
    char directory[2 * JOURNAL_DIR_BYTES_MAX];
    uint64_t records = 0;
    for (uint32_t i = 0; i < facts->logs; i++)
        records += journal_next(journal->journal, i) - journal_oldest(journal->journal, i);
    logfmt(LOGFMT_INFO, "journal opened", "dir=%s logs=%u start=%u positions=%" PRIu64 " ms=%" PRIu64,
           logfmt_quote(directory, sizeof directory, config->journal_dir, strlen(config->journal_dir)),
           facts->logs, facts->boot_epoch, records, (clock_mono_ns() - begin_ns) / NS_PER_MS);
    if (config->journal_retain_bytes == 0 && config->journal_retain_ns == 0)
        logfmt(LOGFMT_WARN, "the journal keeps everything, until its disk is full",
               "set=\"journal.retain_bytes or journal.retain_age\"");
    if (facts->boot_epoch >= JOURNAL_BOOT_EPOCH_WARN)
        logfmt(LOGFMT_WARN, "the journal can be opened only so often: make a new one in time",
               "starts=%u most=%u", facts->boot_epoch, JOURNAL_BOOT_EPOCH_MAX);
}

/* The seed says which topic lies in which slot: with another one, topics would change their logs. */
static int seed_compare(const struct serve_journal *journal, const struct config *config) {
    uint64_t seed = journal_facts(journal->journal)->slot_seed;
    if (seed == config->slot_seed)
        return CLI_OK;
    fprintf(stderr,
            "roundhouse serve: slot_seed: it is %" PRIu64 ", and the journal in %s was made with %" PRIu64
            ": write that, or use another directory\n",
            config->slot_seed, config->journal_dir, seed);
    return CLI_CONFIG;
}

int serve_journal_open(struct serve_journal *journal, struct config *config) {
    struct journal_trouble trouble;
    uint64_t begin_ns = clock_mono_ns();
    struct journal_config asked = {.directory = config->journal_dir,
                                   .logs = config->journal_logs,
                                   .slot_seed = config->slot_seed,
                                   .segment_bytes = config->journal_segment_bytes,
                                   .record_max = (uint32_t)config->limits.frame_bytes + FRAME_OVERHEAD_MAX,
                                   .retain_bytes = config->journal_retain_bytes,
                                   .retain_ns = config->journal_retain_ns,
                                   .notes = of_queues,
                                   .keeps = true,
                                   .failed = failed,
                                   .failed_user = journal};
    if (!config_journalled(config))
        return disk_without_journal(config);
    if (journal_open(&journal->journal, &asked, &trouble) != 0) {
        journal->journal = NULL;
        fprintf(stderr, "roundhouse serve: %s\n", trouble.text);
        return trouble.status;
    }
    config->journal_logs = journal_facts(journal->journal)->logs;
    for (uint32_t i = 0; i < config->journal_logs; i++) {
        journal->first[i] = journal_next(journal->journal, i);
        journal->wakes[i] = journal_wake(journal->journal, i);
    }
    opened_log(journal, config, begin_ns);
    return seed_compare(journal, config);
}

/* ---- connecting ---- */

static void stretch_give(const struct journal_stretch *stretch, uint64_t since_ns, shards_take *take,
                         void *context) {
    for (uint32_t i = 0; i < stretch->count; i++) {
        const struct log_entry *entry = &stretch->entries[i];
        if (log_flags_event(entry->flags) && entry->time >= since_ns)
            take(context, stretch->frames + entry->offset, entry->length, entry->time);
    }
}

/* What can not be read is not known: its duplicates will be stored. */
static void recall(void *user, uint32_t disk, uint64_t since_ns, shards_take *take, void *context) {
    const struct serve_journal *journal = user;
    struct journal_stretch stretch = {0};
    uint64_t at = journal_since(journal->journal, disk, since_ns);
    int result = 0;
    while (at < journal->first[disk] && (result = journal_read(journal->journal, disk, at, &stretch)) == 0) {
        stretch_give(&stretch, since_ns, take, context);
        at = stretch.next;
    }
    if (result != 0)
        logfmt(LOGFMT_WARN,
               "events of before that come again may be stored twice: the journal can not be read",
               "log=%u position=%" PRIu64 " error=\"%s\"", disk, at, strerror(-result));
    journal_stretch_free(&stretch);
}

static bool queues_give(const struct journal_stretch *stretch, shards_take_queue *take, void *context) {
    for (uint32_t i = 0; i < stretch->count; i++) {
        const struct log_entry *entry = &stretch->entries[i];
        const uint8_t *record = stretch->frames + entry->offset;
        if (!of_queues(entry->flags, record))
            continue;
        if (!take(context, record, entry->length, log_flags_type(entry->flags) == LOG_STATE))
            return false;
    }
    return true;
}

/* All parts of the log with something of queues: the last state of one may be anywhere in it. Recovery, which
 * has read everything, knows which those are. */
static int recall_queues(void *user, uint32_t disk, shards_take_queue *take, void *context) {
    const struct serve_journal *journal = user;
    struct journal_stretch stretch = {.bytes_max = JOURNAL_WAYPOINT_BYTES};
    uint64_t at = journal_noted(journal->journal, disk, 0);
    int result = 0;
    while (at < journal->first[disk] && (result = journal_read(journal->journal, disk, at, &stretch)) == 0) {
        if (!queues_give(&stretch, take, context))
            break;
        at = journal_noted(journal->journal, disk, stretch.next);
    }
    journal_stretch_free(&stretch);
    return result;
}

static uint64_t segment(void *user, uint32_t disk) {
    return journal_segment(((const struct serve_journal *)user)->journal, disk);
}

static void keep(void *user, uint32_t disk, uint64_t position) {
    journal_keep(((const struct serve_journal *)user)->journal, disk, position);
}

static int epoch_raise(void *user, uint16_t epoch) {
    return journal_epoch_raise(((const struct serve_journal *)user)->journal, epoch);
}

int serve_journal_shards(struct serve_journal *journal, struct shards_config *shards) {
    if (journal->journal == NULL)
        return CLI_OK;
    int result = journal_history_start(&journal->history, journal->journal);
    if (result != 0) {
        fprintf(stderr, "roundhouse serve: the thread that reads the journal can not be started: %s\n",
                strerror(-result));
        return CLI_INTERNAL;
    }
    const struct journal_facts *facts = journal_facts(journal->journal);
    shards->disk_logs = facts->logs;
    shards->disk_first = journal->first;
    shards->disk_wakes = journal->wakes;
    shards->instance = facts->instance;
    shards->epoch = (uint16_t)facts->boot_epoch;
    shards->recall = recall;
    shards->recall_queues = recall_queues;
    shards->segment = segment;
    shards->keep = keep;
    shards->epoch_raise = epoch_raise;
    shards->recall_user = journal;
    shards->history = journal_history_table(journal->history);
    return CLI_OK;
}

int serve_journal_start(struct serve_journal *journal, struct shards *shards) {
    if (journal->journal == NULL)
        return CLI_OK;
    journal->shards = shards;
    uint32_t logs = shards_disk_logs(shards);
    for (; journal->started < logs; journal->started++) {
        struct serve_journal_log *log = &journal->logs[journal->started];
        *log = (struct serve_journal_log){.journal = journal, .disk = journal->started};
        int result = journal_start(journal->journal, journal->started,
                                   shards_disk_log(shards, journal->started), moved, log);
        if (result == 0)
            continue;
        fprintf(stderr, "roundhouse serve: the journal's thread of log %u can not be started: %s\n",
                journal->started, strerror(-result));
        return CLI_INTERNAL;
    }
    return CLI_OK;
}

/* ---- ending ---- */

bool serve_journal_failed(const struct serve_journal *journal) {
    struct journal_trouble trouble;
    if (journal->journal == NULL || !journal_failed(journal->journal, &trouble))
        return false;
    char text[2 * JOURNAL_TROUBLE_BYTES];
    logfmt(LOGFMT_ERROR, "the journal has failed, nothing is acknowledged as on disk any more: stopping",
           "error=%s", logfmt_quote(text, sizeof text, trouble.text, strlen(trouble.text)));
    return true;
}

int serve_journal_stop(struct serve_journal *journal) {
    journal_history_stop(journal->history);
    journal->history = NULL;
    bool had_failed = journal->journal != NULL && journal_failed(journal->journal, NULL);
    if (journal->started == 0)
        return CLI_OK;
    journal->started = 0;
    if (journal_stop(journal->journal) == 0)
        return CLI_OK;
    if (!had_failed)
        (void)serve_journal_failed(journal);
    return CLI_INTERNAL;
}

void serve_journal_close(struct serve_journal *journal) {
    journal_close(journal->journal);
    journal->journal = NULL;
}
