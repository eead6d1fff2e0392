#include "core/admin/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One line of a table: a counter or number at `at` of some struct. `name` is without prefix and suffix; one
 * of nanoseconds is shown in seconds, as all of Prometheus's times are. */
struct metric {
    const char *name;
    const char *type;
    const char *help;
    size_t at;
};

#define WORKER_METRIC(field, kind, text) {#field, #kind, text, offsetof(struct worker_stats, field)},
static const struct metric worker_metrics[] = {WORKER_STATS(WORKER_METRIC)};

#define IO_METRIC(field, text) {#field, "counter", text, offsetof(struct io_counters, field)},
static const struct metric io_metrics[] = {IO_COUNTERS(IO_METRIC)};

#define LOG_METRIC(field, text)                                                                              \
    { #field, "counter", text, offsetof(struct log_counters, field) }
static const struct metric log_metrics[] = {
    LOG_METRIC(claims, "steps of space taken over from old records"),
    LOG_METRIC(refused_gate, "claims refused because a reader stood in the way"),
    LOG_METRIC(refused_grace, "claims refused for a laggard, within the grace of logs.grace"),
    LOG_METRIC(passed_laggard, "claims that overtook at least one laggard"),
    LOG_METRIC(batches, "times new records were published"),
    LOG_METRIC(records, "records written"),
    LOG_METRIC(bytes, "bytes of records written"),
};
static_assert(sizeof(struct log_counters) ==
                  sizeof log_metrics / sizeof log_metrics[0] * sizeof(struct counter),
              "a log counter is missing on the page");

#define SHARD_METRIC(name, kind, field, text)                                                                \
    { name, kind, text, offsetof(struct metrics_shard, field) }
static const struct metric shard_metrics[] = {
    SHARD_METRIC("log_produced_position", "gauge", log_produced,
                 "position the next published record will have"),
    SHARD_METRIC("log_visible_position", "gauge", log_visible, "position up to which subscribers may read"),
    SHARD_METRIC("log_oldest_position", "gauge", log_oldest, "oldest position that can still be read"),
    SHARD_METRIC("log_data_capacity_bytes", "gauge", log_data_bytes, "size of the log: bytes of records"),
    SHARD_METRIC("log_capacity_records", "gauge", log_records, "size of the log: number of records"),
    SHARD_METRIC("wakes_sent", "counter", wakes_sent, "wakes of a sleeping worker, a system call each"),
    SHARD_METRIC("wakes_elided", "counter", wakes_elided, "wakes left out because the worker was awake"),
    SHARD_METRIC("slots", "gauge", slots, "slots of the topic hash that the shard has"),
};

#define JOURNAL_METRIC(field, kind, text)                                                                    \
    { #field, kind, text, offsetof(struct journal_counters, field) }
static const struct metric journal_metrics[] = {
    JOURNAL_METRIC(groups, "counter", "groups of records that became durable, one write each"),
    JOURNAL_METRIC(seals, "counter", "groups without records that prove the one before"),
    JOURNAL_METRIC(records, "counter", "records that became durable"),
    JOURNAL_METRIC(bytes, "counter", "bytes written, with headers and padding"),
    JOURNAL_METRIC(syncs, "counter", "durable writes that returned"),
    JOURNAL_METRIC(sync_ns, "counter", "time spent in them, all together"),
    JOURNAL_METRIC(sync_ns_max, "gauge", "time of the longest one"),
    JOURNAL_METRIC(durable, "gauge", "first position that is not durable"),
    JOURNAL_METRIC(proven, "gauge", "last position that a group on disk proves"),
    JOURNAL_METRIC(segments, "gauge", "files of the log, without the spare"),
    JOURNAL_METRIC(segments_bytes, "gauge", "their size"),
    JOURNAL_METRIC(trimmed, "counter", "files removed by journal.retain_bytes or journal.retain_age"),
    JOURNAL_METRIC(waits, "counter", "times a full file waited for a spare one"),
    JOURNAL_METRIC(spares_refused, "counter", "times a spare could not be made for want of room"),
    JOURNAL_METRIC(direct, "gauge", "1: written past the page cache; 0: written and synced"),
};

#define SPOKE_METRIC(field, kind, text) {#field, #kind, text, offsetof(struct metrics_spoke, out.field)},
#define INBOUND_METRIC(name, field, text)                                                                    \
    { name, "counter", text, offsetof(struct metrics_spoke, in.field) }
static const struct metric spoke_metrics[] = {
    SPOKE_COUNTERS(SPOKE_METRIC) INBOUND_METRIC("documents_in", documents, "documents that came in"),
    INBOUND_METRIC("published", published, "events of these documents that were published"),
    INBOUND_METRIC("rejected", refused,
                   "messages of documents that were not taken: they break rules, or their mapping failed"),
    INBOUND_METRIC("unknown", unknown, "events of documents whose fate was not known: given again"),
    INBOUND_METRIC("tolerated", tolerated, "rules that documents broke as their profile allows"),
    INBOUND_METRIC("acknowledgements", acknowledgements, "acknowledgements of documents that were published"),
};
static_assert(sizeof(struct spoke_counters) + sizeof(struct inbound_counters) ==
                  sizeof spoke_metrics / sizeof spoke_metrics[0] * sizeof(struct counter),
              "a spoke's counter is missing on the page");

#define INGEST_METRIC(field, kind, text) {#field, #kind, text, offsetof(struct ingest_counters, field)},
static const struct metric ingest_metrics[] = {INGEST_COUNTERS(INGEST_METRIC)};

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* ---- lines ---- */

struct page {
    struct evbuffer *out;
    bool broken; /* memory ran out */
};

__attribute__((format(printf, 2, 3))) static void line(struct page *page, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (evbuffer_add_vprintf(page->out, format, arguments) < 0)
        page->broken = true;
    va_end(arguments);
}

#define SHOWN_BYTES 64u

/* "sync_ns_max" is shown as "sync_seconds_max". Returns out. */
static const char *shown(const char *name, char out[static SHOWN_BYTES]) {
    const char *unit = strstr(name, "_ns");
    if (unit == NULL || (unit[3] != '\0' && unit[3] != '_'))
        return name;
    (void)snprintf(out, SHOWN_BYTES, "%.*s_seconds%s", (int)(unit - name), name, unit + 3);
    return out;
}

static void value_end(struct page *page, bool seconds, uint64_t value) {
    if (seconds)
        line(page, "%" PRIu64 ".%09" PRIu64 "\n", value / NS_PER_S, value % NS_PER_S);
    else
        line(page, "%" PRIu64 "\n", value);
}

/* `prefix` and `name` are joined; a counter's name ends with _total. Returns that end. */
static const char *family(struct page *page, const char *prefix, const char *name, const char *type,
                          const char *help) {
    const char *end = strcmp(type, "counter") == 0 ? "_total" : "";
    line(page, "# HELP %s%s%s %s\n# TYPE %s%s%s %s\n", prefix, name, end, help, prefix, name, end, type);
    return end;
}

/* A gauge is recognised by its name where the list has no types. */
static const char *io_type(const char *name) {
    return strstr(name, "high_water") ? "gauge" : "counter";
}

static const void *shard_source(const struct metrics_shard *shard, const struct metric *table) {
    return table == worker_metrics ? (const void *)shard->stats
           : table == io_metrics   ? (const void *)shard->io
                                   : (const void *)shard->log;
}

static void disk_counter_write(struct page *page, const struct metrics_view *view, uint32_t disk,
                               const char *prefix, const struct metric *metric, const char *end,
                               const void *base) {
    char text[SHOWN_BYTES];
    const char *name = shown(metric->name, text);
    const struct counter *counter = (const struct counter *)(const void *)((const char *)base + metric->at);
    line(page, "%s%s%s{log=\"%" PRIu64 "\"} ", prefix, name, end, view->disks[disk].number);
    value_end(page, name != metric->name, counter_get(counter));
}

/* A table whose fields are counters written by another thread. */
static void counters_write(struct page *page, const struct metrics_view *view, const char *prefix,
                           const struct metric *table, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct metric *metric = &table[i];
        const char *type = table == io_metrics ? io_type(metric->name) : metric->type;
        char text[SHOWN_BYTES];
        const char *name = shown(metric->name, text);
        const char *end = family(page, prefix, name, type, metric->help);
        for (uint32_t shard = 0; shard < view->shards_count; shard++) {
            const char *base = shard_source(&view->shards[shard], table);
            const struct counter *counter = (const struct counter *)(const void *)(base + metric->at);
            line(page, "%s%s%s{shard=\"%u\"} ", prefix, name, end, shard);
            value_end(page, name != metric->name, counter_get(counter));
        }
        for (uint32_t disk = 0; table == log_metrics && disk < view->disks_count; disk++)
            disk_counter_write(page, view, disk, prefix, metric, end, view->disks[disk].log);
    }
}

static void journal_write(struct page *page, const struct metrics_view *view) {
    static const char prefix[] = "roundhouse_journal_";
    for (size_t i = 0; view->disks_count > 0 && i < COUNT_OF(journal_metrics); i++) {
        const struct metric *metric = &journal_metrics[i];
        char text[SHOWN_BYTES];
        const char *end = family(page, prefix, shown(metric->name, text), metric->type, metric->help);
        for (uint32_t disk = 0; disk < view->disks_count; disk++)
            disk_counter_write(page, view, disk, prefix, metric, end, view->disks[disk].journal);
    }
}

static void number_write(struct page *page, const char *prefix, const char *name, const char *type,
                         const char *help, double value) {
    const char *end = family(page, prefix, name, type, help);
    line(page, "%s%s%s %.16g\n", prefix, name, end, value);
}

static void room_write(struct page *page, const struct metrics_view *view) {
    static const char prefix[] = "roundhouse_journal_disk_";
    if (view->disks_count == 0 || view->room.size_bytes == 0)
        return;
    number_write(page, prefix, "free_bytes", "gauge", "room on the file system of the journal",
                 (double)view->room.free_bytes);
    number_write(page, prefix, "size_bytes", "gauge", "size of that file system",
                 (double)view->room.size_bytes);
}

static void ingest_write(struct page *page, const struct metrics_view *view) {
    static const char prefix[] = "roundhouse_ingest_";
    for (size_t i = 0; view->ingest != NULL && i < COUNT_OF(ingest_metrics); i++) {
        const struct metric *metric = &ingest_metrics[i];
        const char *end = family(page, prefix, metric->name, metric->type, metric->help);
        const struct counter *counter =
            (const struct counter *)(const void *)((const char *)view->ingest + metric->at);
        line(page, "%s%s%s %" PRIu64 "\n", prefix, metric->name, end, counter_get(counter));
    }
}

static void spokes_write(struct page *page, const struct metrics_view *view) {
    static const char prefix[] = "roundhouse_spoke_";
    for (size_t i = 0; view->spokes_count > 0 && i < COUNT_OF(spoke_metrics); i++) {
        const struct metric *metric = &spoke_metrics[i];
        const char *end = family(page, prefix, metric->name, metric->type, metric->help);
        for (uint32_t k = 0; k < view->spokes_count; k++) {
            const struct counter *counter =
                (const struct counter *)(const void *)((const char *)&view->spokes[k] + metric->at);
            line(page, "%s%s%s{spoke=\"%s\"} %" PRIu64 "\n", prefix, metric->name, end, view->spokes[k].name,
                 counter_get(counter));
        }
    }
}

static void disk_positions_write(struct page *page, const struct metrics_view *view,
                                 const struct metric *metric) {
    for (uint32_t i = 0; i < view->disks_count; i++) {
        const struct metrics_disk *disk = &view->disks[i];
        const uint64_t *value =
            metric->at == offsetof(struct metrics_shard, log_produced)  ? &disk->log_produced
            : metric->at == offsetof(struct metrics_shard, log_visible) ? &disk->log_visible
            : metric->at == offsetof(struct metrics_shard, log_oldest)  ? &disk->log_oldest
                                                                        : NULL;
        if (value != NULL)
            line(page, "roundhouse_%s{log=\"%" PRIu64 "\"} %" PRIu64 "\n", metric->name, disk->number,
                 *value);
    }
}

static void shards_write(struct page *page, const struct metrics_view *view) {
    for (size_t i = 0; i < COUNT_OF(shard_metrics); i++) {
        const struct metric *metric = &shard_metrics[i];
        const char *end = family(page, "roundhouse_", metric->name, metric->type, metric->help);
        for (uint32_t shard = 0; shard < view->shards_count; shard++) {
            uint64_t value = 0;
            memcpy(&value, (const char *)&view->shards[shard] + metric->at, sizeof value);
            line(page, "roundhouse_%s%s{shard=\"%u\"} %" PRIu64 "\n", metric->name, end, shard, value);
        }
        disk_positions_write(page, view, metric);
    }
}

double metrics_log_fill(const struct metrics_shard *shard) {
    if (shard->log_records == 0 || shard->log_data_bytes == 0)
        return 0;
    /* `produced` is read after `oldest`, so it can only be further on. */
    double records = (double)(shard->log_produced - shard->log_oldest) / (double)shard->log_records;
    double bytes = (double)counter_get(&shard->log->bytes) / (double)shard->log_data_bytes;
    double most = records > bytes ? records : bytes;
    return most > 1 ? 1 : most;
}

static void fill_write(struct page *page, const struct metrics_view *view) {
    family(page, "roundhouse_", "log_fill_ratio", "gauge",
           "how full the log is; 1 = each new record takes the place of the oldest");
    for (uint32_t shard = 0; shard < view->shards_count; shard++)
        line(page, "roundhouse_log_fill_ratio{shard=\"%u\"} %.6f\n", shard,
             metrics_log_fill(&view->shards[shard]));
}

static void router_write(struct page *page, const struct metrics_view *view) {
    family(page, "roundhouse_", "build_info", "gauge", "what was built, and from which commit; always 1");
    line(page, "roundhouse_build_info{version=\"%s\",commit=\"%s\"} 1\n", view->version, view->commit);
    family(page, "roundhouse_", "io_body", "gauge", "what carries the network; always 1");
    line(page, "roundhouse_io_body{body=\"%s\"} 1\n", view->io_body);
    number_write(page, "roundhouse_", "ready", "gauge", "1 = accepts clients, 0 = is stopping",
                 !view->stopping);
}

static void change_write(struct page *page, const struct shards_change_progress *change) {
    static const char prefix[] = "roundhouse_";
    number_write(page, prefix, "changes", "counter", "changes of the sharding", (double)change->changes);
    number_write(page, prefix, "slots_moved", "counter", "slots that these have moved to another shard",
                 (double)change->slots);
    number_write(page, prefix, "change_seconds", "gauge",
                 "how long the last one took, with the making of new shards",
                 (double)change->last_ns / (double)NS_PER_S);
    number_write(page, prefix, "change_held_seconds", "gauge",
                 "how long publishers to slots that moved waited in the last one, at most",
                 (double)change->held_ns / (double)NS_PER_S);
}

static void admin_write(struct page *page, const struct metrics_admin *admin) {
    static const char prefix[] = "roundhouse_admin_";
    number_write(page, prefix, "requests", "counter", "HTTP requests answered", (double)admin->requests);
    number_write(page, prefix, "refused", "counter",
                 "HTTP requests refused: without the token, or from the page of another site",
                 (double)admin->refused);
    number_write(page, prefix, "connections", "gauge", "HTTP connections now", (double)admin->connections);
    number_write(page, prefix, "accept_errors", "counter",
                 "HTTP connections that could not be accepted, mostly for want of descriptors",
                 (double)admin->accept_errors);
    number_write(page, prefix, "timeouts", "counter",
                 "HTTP connections cut because they took too long or sent too much", (double)admin->timeouts);
    number_write(page, prefix, "streams", "gauge", "streams of events over HTTP now", (double)admin->streams);
    number_write(page, prefix, "streams_refused", "counter",
                 "streams of events refused: as many as there may be were open",
                 (double)admin->streams_refused);
    number_write(page, prefix, "stream_events", "counter", "events given to streams over HTTP",
                 (double)admin->stream_events);
    number_write(
        page, prefix, "stream_gaps", "counter",
        "gaps told to streams over HTTP: their reader, or the admin plane, was slower than the events",
        (double)admin->stream_gaps);
}

/* The names that every Prometheus dashboard knows. */
static void process_write(struct page *page, const struct metrics_process *process) {
    static const char prefix[] = "process_";
    number_write(page, prefix, "cpu_seconds", "counter", "user and system time used", process->cpu_seconds);
    number_write(page, prefix, "resident_memory_bytes", "gauge",
                 "memory held as the kernel counts it: the data of every log twice",
                 (double)process->resident_bytes);
    number_write(page, prefix, "virtual_memory_bytes", "gauge", "addresses in use",
                 (double)process->virtual_bytes);
    number_write(page, prefix, "open_fds", "gauge", "descriptors open", (double)process->fds_open);
    number_write(page, prefix, "max_fds", "gauge", "descriptors allowed", (double)process->fds_max);
    number_write(page, prefix, "start_time_seconds", "gauge", "when it was started, since 1970",
                 process->start_seconds);
}

bool metrics_write(struct evbuffer *out, const struct metrics_view *view) {
    struct page page = {.out = out};
    router_write(&page, view);
    counters_write(&page, view, "roundhouse_", worker_metrics, COUNT_OF(worker_metrics));
    counters_write(&page, view, "roundhouse_log_", log_metrics, COUNT_OF(log_metrics));
    shards_write(&page, view);
    fill_write(&page, view);
    change_write(&page, &view->change);
    journal_write(&page, view);
    room_write(&page, view);
    counters_write(&page, view, "roundhouse_io_", io_metrics, COUNT_OF(io_metrics));
    spokes_write(&page, view);
    ingest_write(&page, view);
    admin_write(&page, &view->admin);
    process_write(&page, &view->process);
    return !page.broken;
}
