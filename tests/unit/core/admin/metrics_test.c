#include "core/admin/metrics.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct worker_stats stats[2];
static struct io_counters io[2];
static struct log_counters logs[2];

/* Two shards whose every counter has a value of its own: 1000 * shard + its number in the struct. */
static void numbered(void *counters, size_t size, uint32_t shard) {
    struct counter *list = counters;
    for (size_t i = 0; i < size / sizeof *list; i++)
        counter_set(&list[i], 1000 * shard + i);
}

static struct metrics_view *view_new(void) {
    struct metrics_view *view = calloc(1, sizeof *view);
    cr_assert(view);
    view->shards_count = 2;
    view->io_body = "io_uring";
    view->version = "1.2.3";
    view->commit = "abcdef";
    for (uint32_t i = 0; i < 2; i++) {
        numbered(&stats[i], sizeof stats[i], i);
        numbered(&io[i], sizeof io[i], i);
        numbered(&logs[i], sizeof logs[i], i);
        view->shards[i] = (struct metrics_shard){.stats = &stats[i],
                                                 .io = &io[i],
                                                 .log = &logs[i],
                                                 .log_produced = 501 + i,
                                                 .log_visible = 401 + i,
                                                 .log_oldest = 1,
                                                 .log_data_bytes = 1 << 20,
                                                 .log_records = 1000,
                                                 .wakes_sent = 7 + i,
                                                 .wakes_elided = 9 + i,
                                                 .slots = 2048};
    }
    return view;
}

static char *page_of(const struct metrics_view *view) {
    struct evbuffer *out = evbuffer_new();
    cr_assert(out && metrics_write(out, view));
    size_t length = evbuffer_get_length(out);
    char *text = malloc(length + 1);
    cr_assert(text);
    evbuffer_remove(out, text, length);
    text[length] = '\0';
    evbuffer_free(out);
    return text;
}

static void has(const char *page, const char *line) {
    cr_expect(strstr(page, line), "no %s in the page", line);
}

static void has_value(const char *page, const char *name, const char *end, uint32_t shard, uint64_t value) {
    char line[200];
    snprintf(line, sizeof line, "\n%s%s{shard=\"%u\"} %llu\n", name, end, shard, (unsigned long long)value);
    has(page, line);
}

Test(metrics, shows_every_counter_of_a_worker_for_every_shard) {
    struct metrics_view *view = view_new();
    char *page = page_of(view);
    uint64_t number = 0;
#define SHOWN(name, type, help)                                                                              \
    for (uint32_t shard = 0; shard < 2 && strstr(#name, "_ns") == NULL; shard++)                             \
        has_value(page, "roundhouse_" #name, strcmp(#type, "counter") == 0 ? "_total" : "", shard,           \
                  1000 * shard + number);                                                                    \
    number++;
    WORKER_STATS(SHOWN)
#undef SHOWN
    cr_assert(number == sizeof(struct worker_stats) / sizeof(struct counter));
    free(page);
    counter_set(&stats[1].cpu_ns, 12 * NS_PER_S + 34);
    page = page_of(view);
    has(page, "\nroundhouse_cpu_seconds_total{shard=\"1\"} 12.000000034\n");
    free(page);
    free(view);
    LEAKS_NONE();
}

Test(metrics, shows_disk_logs_by_their_number) {
    struct metrics_view *view = view_new();
    static struct journal_counters journal[2];
    static struct log_counters disks[2];
    view->disks_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        numbered(&journal[i], sizeof journal[i], i);
        numbered(&disks[i], sizeof disks[i], 5 + i);
        view->disks[i] = (struct metrics_disk){.log = &disks[i],
                                               .journal = &journal[i],
                                               .number = LOG_NUMBER_DISK + i,
                                               .log_produced = 91 + i,
                                               .log_visible = 81 + i,
                                               .log_oldest = 71 + i};
    }
    char *page = page_of(view);
    has(page, "\nroundhouse_journal_groups_total{log=\"64\"} 0\n");
    has(page, "\nroundhouse_journal_groups_total{log=\"65\"} 1000\n");
    has(page, "\nroundhouse_journal_seals_total{log=\"65\"} 1001\n");
    has(page, "\nroundhouse_journal_sync_seconds_total{log=\"65\"} 0.000001005\n");
    has(page, "\n# TYPE roundhouse_journal_sync_seconds_max gauge\n");
    has(page, "\nroundhouse_log_claims_total{shard=\"1\"} 1000\n");
    has(page, "\nroundhouse_log_claims_total{log=\"64\"} 5000\n");
    has(page, "\nroundhouse_log_produced_position{log=\"65\"} 92\n");
    has(page, "\nroundhouse_log_visible_position{log=\"64\"} 81\n");
    has(page, "\nroundhouse_log_oldest_position{log=\"65\"} 72\n");
    cr_expect(!strstr(page, "log_data_capacity_bytes{log="));
    free(page);
    free(view);
    LEAKS_NONE();
}

Test(metrics, shows_the_room_for_the_journal_where_there_is_one) {
    struct metrics_view *view = view_new();
    view->room = (struct metrics_room){.free_bytes = 3 * GIB, .size_bytes = 7 * GIB};
    char *page = page_of(view);
    cr_expect(!strstr(page, "journal_disk"));
    free(page);
    static struct journal_counters journal;
    view->disks_count = 1;
    view->disks[0] = (struct metrics_disk){.log = &logs[0], .journal = &journal};
    page = page_of(view);
    has(page, "\nroundhouse_journal_disk_free_bytes 3221225472\n");
    has(page, "\nroundhouse_journal_disk_size_bytes 7516192768\n");
    free(page);
    metrics_room_read(&view->room, "/");
    cr_expect(view->room.size_bytes > 0 && view->room.free_bytes <= view->room.size_bytes);
    metrics_room_read(&view->room, "/is/not/there");
    cr_expect(view->room.size_bytes == 0);
    free(view);
    LEAKS_NONE();
}

Test(metrics, shows_what_comes_in_over_http_where_something_may) {
    struct metrics_view *view = view_new();
    struct ingest_counters ingest = {0};
    char *page = page_of(view);
    cr_expect(!strstr(page, "roundhouse_ingest"));
    free(page);
    counter_set(&ingest.accepted, 5);
    counter_set(&ingest.unavailable, 7);
    counter_set(&ingest.connections, 2);
    view->ingest = &ingest;
    page = page_of(view);
    has(page, "\nroundhouse_ingest_accepted_total 5\n");
    has(page, "\nroundhouse_ingest_refused_total 0\n");
    has(page, "\nroundhouse_ingest_unavailable_total 7\n");
    has(page, "# TYPE roundhouse_ingest_connections gauge\nroundhouse_ingest_connections 2\n");
    free(page);
    free(view);
    LEAKS_NONE();
}

Test(metrics, shows_every_counter_of_the_io_for_every_shard) {
    struct metrics_view *view = view_new();
    char *page = page_of(view);
    uint64_t number = 0;
#define SHOWN(name, help)                                                                                    \
    for (uint32_t shard = 0; shard < 2; shard++)                                                             \
        has_value(page, "roundhouse_io_" #name, strstr(#name, "high_water") ? "" : "_total", shard,          \
                  1000 * shard + number);                                                                    \
    number++;
    IO_COUNTERS(SHOWN)
#undef SHOWN
    has(page, "# TYPE roundhouse_io_buffers_high_water gauge\n");
    free(page);
    free(view);
}

Test(metrics, shows_the_log_the_wakes_and_the_slots) {
    struct metrics_view *view = view_new();
    char *page = page_of(view);
    static const char *const counters[] = {"claims",  "refused_gate", "refused_grace", "passed_laggard",
                                           "batches", "records",      "bytes"};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        char name[80];
        snprintf(name, sizeof name, "roundhouse_log_%s_total", counters[i]);
        has_value(page, name, "", 1, 1000 + i);
    }
    has_value(page, "roundhouse_log_produced_position", "", 1, 502);
    has_value(page, "roundhouse_log_visible_position", "", 1, 402);
    has_value(page, "roundhouse_log_oldest_position", "", 0, 1);
    has_value(page, "roundhouse_log_data_capacity_bytes", "", 0, 1 << 20);
    has_value(page, "roundhouse_log_capacity_records", "", 0, 1000);
    has_value(page, "roundhouse_wakes_sent_total", "", 0, 7);
    has_value(page, "roundhouse_wakes_elided_total", "", 1, 10);
    has_value(page, "roundhouse_slots", "", 1, 2048);
    has(page, "\nroundhouse_log_fill_ratio{shard=\"0\"} 0.500000\n");
    free(page);
    free(view);
}

Test(metrics, shows_what_runs_and_whether_it_is_stopping) {
    struct metrics_view *view = view_new();
    char *page = page_of(view);
    has(page, "\nroundhouse_build_info{version=\"1.2.3\",commit=\"abcdef\"} 1\n");
    has(page, "\nroundhouse_io_body{body=\"io_uring\"} 1\n");
    has(page, "\nroundhouse_ready 1\n");
    free(page);
    view->stopping = true;
    page = page_of(view);
    has(page, "\nroundhouse_ready 0\n");
    free(page);
    free(view);
}

/* Each family is announced once, before its values, and has a value. */
Test(metrics, announces_every_family_once_with_help_and_type) {
    struct metrics_view *view = view_new();
    char *page = page_of(view);
    size_t families = 0;
    for (const char *at = page; (at = strstr(at, "# HELP ")); at++) {
        char name[120], line[200];
        cr_assert(sscanf(at + 7, "%100s", name) == 1);
        snprintf(line, sizeof line, "# HELP %s ", name);
        cr_expect(!strstr(at + 1, line), "%s is announced twice", name);
        snprintf(line, sizeof line, "\n# TYPE %s ", name);
        const char *type = strstr(at, line);
        cr_expect(type, "%s has no type", name);
        snprintf(line, sizeof line, "\n%s", name);
        cr_expect(strstr(at, line), "%s has no value", name);
        families++;
    }
    cr_expect(families > 70, "only %zu families", families);
    free(page);
    free(view);
}

Test(metrics, a_log_is_full_when_records_or_bytes_have_wrapped) {
    struct log_counters counters = {0};
    struct metrics_shard shard = {
        .log = &counters, .log_produced = 1, .log_oldest = 1, .log_data_bytes = 1000, .log_records = 100};
    cr_expect(metrics_log_fill(&shard) == 0.0);
    shard.log_produced = 26;
    counter_set(&counters.bytes, 100);
    cr_expect(metrics_log_fill(&shard) == 0.25);
    counter_set(&counters.bytes, 500);
    cr_expect(metrics_log_fill(&shard) == 0.5);
    counter_set(&counters.bytes, 5000);
    cr_expect(metrics_log_fill(&shard) == 1.0);
    shard.log_records = 0;
    cr_expect(metrics_log_fill(&shard) == 0.0);
}

Test(metrics, reads_this_process_from_the_kernel) {
    struct metrics_process before, after;
    metrics_process_read(&before, 1500000000ull);
    cr_expect(before.start_seconds == 1.5);
    cr_expect(before.resident_bytes > 0 && before.virtual_bytes >= before.resident_bytes);
    cr_expect(before.fds_open > 0 && before.fds_max >= before.fds_open);
    int fds[2];
    cr_assert(pipe(fds) == 0);
    metrics_process_read(&after, 0);
    cr_expect(after.fds_open == before.fds_open + 2);
    cr_expect(after.cpu_seconds >= before.cpu_seconds);
    close(fds[0]);
    close(fds[1]);
}

Test(metrics, pass_promtool) {
    struct metrics_view *view = view_new();
    metrics_process_read(&view->process, 1500000000ull);
    char *page = page_of(view);
    FILE *tool = popen("promtool check metrics >&2", "w");
    cr_assert(tool);
    fputs(page, tool);
    cr_expect(pclose(tool) == 0, "promtool (Debian package prometheus) refuses the page or is missing");
    free(page);
    free(view);
}
