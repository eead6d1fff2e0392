/* The manual and the examples say what the schema, the metrics page and the limits say. */
#include "core/admin/metrics.h"
#include "core/config/config.h"
#include "core/config/schema.h"
#include "core/config/value.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES (1u << 20)
#define ROW_BYTES  600u

/* The path of a file of the repository, found from where this source lies. */
static const char *in_tree(const char *path) {
    static char whole[1024];
    const char *here = strstr(__FILE__, "tests/unit/");
    cr_assert(here);
    snprintf(whole, sizeof whole, "%.*s%s", (int)(here - __FILE__), __FILE__, path);
    return whole;
}

/* A whole file of the repository. The caller frees. */
static char *file_text(const char *path) {
    FILE *file = fopen(in_tree(path), "r");
    cr_assert(file, "%s can not be opened", in_tree(path));
    char *text = calloc(1, FILE_BYTES);
    cr_assert(text);
    size_t length = fread(text, 1, FILE_BYTES - 1, file);
    cr_assert(length > 0 && length < FILE_BYTES - 1, "%s is empty or too large", path);
    fclose(file);
    return text;
}

/* The first row of the table with this header. */
static const char *table_begin(const char *manual, const char *header) {
    const char *at = strstr(manual, header);
    cr_assert(at, "no table with the header %s", header);
    at = strchr(strchr(at, '\n') + 1, '\n') + 1; /* behind the line of dashes */
    cr_assert(at[0] == '|', "the table %s is empty", header);
    return at;
}

static const char *next_line(const char *at) {
    return strchr(at, '\n') + 1;
}

/* ---- keys ---- */

static const char *row_values(const struct config_row *row, char range[static CONFIG_WHY_BYTES]) {
    switch (row->type) {
    case CONFIG_ADDRESS:
        return row->flags & CONFIG_OFF ? "HOST:PORT, or off" : "HOST:PORT";
    case CONFIG_BOOL:
        return "true, false";
    case CONFIG_IO:
        return "auto, uring, epoll";
    case CONFIG_LIST:
        return "list";
    case CONFIG_PATTERN:
        return "pattern";
    case CONFIG_CLASS:
        return "memory, disk";
    case CONFIG_PATH:
        return row->flags & CONFIG_OFF          ? "path, or off"
               : row->auto_at != CONFIG_NO_AUTO ? "auto, or path"
                                                : "path";
    case CONFIG_WORD:
        *range = '\0';
        for (uint32_t i = 0; row->words[i] != NULL; i++) {
            strcat(range, i > 0 ? ", " : "");
            strcat(range, row->words[i]);
        }
        return range;
    default:
        return config_row_range(row, range);
    }
}

Test(docs, the_manual_has_the_table_of_keys_of_the_schema) {
    char *manual = file_text("docs/OPERATIONS.md");
    const char *at = table_begin(manual, "| key | values |");
    for (uint32_t i = 0; i < config_rows_count; i++, at = next_line(at)) {
        const struct config_row *row = &config_rows[i];
        char wanted[ROW_BYTES], range[CONFIG_WHY_BYTES];
        const char *quote = row->fallback[0] ? "`" : "";
        snprintf(wanted, sizeof wanted, "| `%s` | %s | %s%s%s | %s | %s |\n", row->path,
                 row_values(row, range), quote, row->fallback, quote, row->change, row->help);
        cr_expect(strncmp(at, wanted, strlen(wanted)) == 0, "the manual needs this line:\n%s", wanted);
    }
    cr_expect(at[0] != '|', "the manual has more keys: %.80s", at);
    free(manual);
    LEAKS_NONE();
}

Test(docs, the_manual_says_for_every_key_when_to_change_it) {
    char *manual = file_text("docs/OPERATIONS.md");
    const char *at = table_begin(manual, "| key | change it when |");
    for (uint32_t i = 0; i < config_rows_count; i++) {
        char wanted[ROW_BYTES];
        if (strchr(config_rows[i].path, '['))
            continue; /* the items of a list change with it */
        snprintf(wanted, sizeof wanted, "| `%s` | ", config_rows[i].path);
        cr_expect(strncmp(at, wanted, strlen(wanted)) == 0, "wanted a line that begins\n%s\ngot\n%.*s",
                  wanted, (int)strcspn(at, "\n"), at);
        cr_expect(strcspn(at, "\n") > strlen(wanted) + 10, "it says nothing of %s", config_rows[i].path);
        at = next_line(at);
    }
    cr_expect(at[0] != '|', "the manual has more keys: %.80s", at);
    free(manual);
    LEAKS_NONE();
}

/* ---- metrics ---- */

static char *page_text(void) {
    static struct worker_stats stats;
    static struct io_counters io;
    static struct log_counters log;
    static struct journal_counters journal;
    struct metrics_view view = {.shards_count = 1, .io_body = "epoll", .version = "", .commit = ""};
    view.shards[0] = (struct metrics_shard){.stats = &stats, .io = &io, .log = &log};
    view.disks_count = 1;
    view.disks[0] = (struct metrics_disk){.log = &log, .journal = &journal};
    static const struct metrics_spoke spoke = {.name = "shop"};
    view.spokes_count = 1;
    view.spokes = &spoke;
    static const struct ingest_counters ingest;
    view.ingest = &ingest;
    view.room.size_bytes = 1;
    struct evbuffer *out = evbuffer_new();
    char *text = calloc(1, FILE_BYTES);
    cr_assert(out && text && metrics_write(out, &view));
    cr_assert(evbuffer_remove(out, text, FILE_BYTES - 1) > 0 && evbuffer_get_length(out) == 0);
    evbuffer_free(out);
    return text;
}

static size_t name_length(const char *text) {
    size_t n = 0;
    while (isalnum((unsigned char)text[n]) || text[n] == '_')
        n++;
    return n;
}

/* The page's lines are "# HELP NAME TEXT" and "# TYPE NAME KIND", in turns. */
Test(docs, the_manual_has_a_row_for_every_metric_in_the_order_of_the_page) {
    char *manual = file_text("docs/OPERATIONS.md");
    char *page = page_text();
    const char *row = table_begin(manual, "| metric | type |");
    uint32_t count = 0;
    for (const char *at = page; (at = strstr(at, "# HELP ")); count++, row = next_line(row)) {
        const char *name = at + 7;
        size_t n = name_length(name);
        const char *help = name + n + 1;
        const char *type = strstr(help, "\n# TYPE ") + 8 + n + 1;
        char wanted[ROW_BYTES];
        snprintf(wanted, sizeof wanted, "| `%.*s` | %.*s | %.*s |\n", (int)n, name, (int)strcspn(type, "\n"),
                 type, (int)strcspn(help, "\n"), help);
        cr_expect(strncmp(row, wanted, strlen(wanted)) == 0, "the manual needs this line:\n%s", wanted);
        at = type;
    }
    cr_expect(count > 80 && row[0] != '|', "%u metrics; the manual has more: %.80s", count, row);
    free(page);
    free(manual);
    LEAKS_NONE();
}

static bool on_page(const char *page, const char *name, size_t n) {
    static const char before[] = "# TYPE ";
    for (const char *at = page; (at = strstr(at, before)); at++)
        if (strncmp(at + sizeof before - 1, name, n) == 0 && at[sizeof before - 1 + n] == ' ')
            return true;
    return false;
}

Test(docs, no_text_for_operators_names_a_metric_that_does_not_exist) {
    static const char *const files[] = {"docs/OPERATIONS.md", "examples/prometheus/roundhouse.rules.yaml",
                                        "examples/grafana/roundhouse.json"};
    static const char *const prefixes[] = {"roundhouse_", "process_"};
    char *page = page_text();
    for (size_t file = 0; file < sizeof files / sizeof files[0]; file++) {
        char *text = file_text(files[file]);
        for (size_t i = 0; i < 2; i++)
            for (const char *at = text; (at = strstr(at, prefixes[i])); at++) {
                size_t n = name_length(at);
                cr_expect(on_page(page, at, n), "%s: %.*s is not on the page", files[file], (int)n, at);
            }
        free(text);
    }
    free(page);
    LEAKS_NONE();
}

/* ---- bounds that are not in the config ---- */

enum bound_unit { BOUND_COUNT, BOUND_SIZE, BOUND_TIME };

#define BOUND(name, unit)                                                                                    \
    { #name, name, unit }
static const struct {
    const char *name;
    uint64_t value;
    enum bound_unit unit;
} bounds[] = {
    BOUND(SHARDS_MAX, BOUND_COUNT),
    BOUND(SLOT_COUNT, BOUND_COUNT),
    BOUND(CONFIG_FILE_BYTES_MAX, BOUND_SIZE),
    BOUND(CONNECT_BYTES_MAX, BOUND_SIZE),
    BOUND(CLIENT_NAME_BYTES_MAX, BOUND_COUNT),
    BOUND(TOPIC_BYTES_MAX, BOUND_COUNT),
    BOUND(TOPIC_TOKENS_MAX, BOUND_COUNT),
    BOUND(EVENT_ATTRIBUTES_MAX, BOUND_COUNT),
    BOUND(SUBSCRIBE_PATTERNS_MAX, BOUND_COUNT),
    BOUND(FILTER_DEPTH_MAX, BOUND_COUNT),
    BOUND(FILTER_PARTS_MAX, BOUND_COUNT),
    BOUND(FILTER_ATTRIBUTES_MAX, BOUND_COUNT),
    BOUND(FILTER_BYTES_MAX, BOUND_SIZE),
    BOUND(CONTROL_LIST_MAX, BOUND_COUNT),
    BOUND(REFUSED_CONNECTIONS_MAX, BOUND_COUNT),
    BOUND(LAST_TOPICS_MAX, BOUND_COUNT),
    BOUND(LAST_PICKS_MAX, BOUND_COUNT),
    BOUND(SEARCH_WORK_MAX, BOUND_COUNT),
    BOUND(HELD_PING_NS, BOUND_TIME),
    BOUND(PRIVATE_STALL_NS, BOUND_TIME),
    BOUND(LINGER_NS, BOUND_TIME),
    BOUND(DRAIN_NS_MAX, BOUND_TIME),
    BOUND(LOG_FRAMES_MIN, BOUND_COUNT),
    BOUND(GRACE_REFILL_PERCENT, BOUND_COUNT),
    BOUND(SLEEP_BACKSTOP_NS, BOUND_TIME),
    BOUND(SPSC_BYTES, BOUND_SIZE),
    BOUND(LENT_BYTES_MAX, BOUND_SIZE),
    BOUND(SLICE_POOL_BYTES, BOUND_SIZE),
    BOUND(STAGING_BYTES, BOUND_SIZE),
    BOUND(ROUTE_SETS_BYTES_MAX, BOUND_SIZE),
    BOUND(ADMIN_CONNECTIONS_MAX, BOUND_COUNT),
    BOUND(UNMATCHED_TOPICS, BOUND_COUNT),
    BOUND(UNMATCHED_QUESTIONS, BOUND_COUNT),
    BOUND(UNMATCHED_SAMPLES, BOUND_COUNT),
    BOUND(TRACES_MAX, BOUND_COUNT),
    BOUND(TRACE_EVENTS_MAX, BOUND_COUNT),
    BOUND(TRACE_DELIVERIES_MAX, BOUND_COUNT),
    BOUND(ADMIN_BODY_BYTES_MAX, BOUND_SIZE),
    BOUND(ADMIN_INPUT_BYTES_ALL_MAX, BOUND_SIZE),
    BOUND(ADMIN_HEADER_BYTES_MAX, BOUND_SIZE),
    BOUND(ADMIN_APPLY_NS_MAX, BOUND_TIME),
    BOUND(ADMIN_REQUEST_NS_MAX, BOUND_TIME),
    BOUND(ADMIN_STREAMS_MAX, BOUND_COUNT),
    BOUND(ADMIN_STREAM_BYTES_MAX, BOUND_SIZE),
    BOUND(ADMIN_STREAM_EVENT_BYTES_MAX, BOUND_SIZE),
    BOUND(ADMIN_STREAM_EVENTS_PER_S, BOUND_COUNT),
    BOUND(ADMIN_EVENTS_PER_S, BOUND_COUNT),
    BOUND(ADMIN_STREAM_STALL_NS, BOUND_TIME),
};

static const char *bound_text(size_t i, char out[static CONFIG_VALUE_BYTES]) {
    if (bounds[i].unit == BOUND_SIZE)
        return config_size_text(out, bounds[i].value);
    if (bounds[i].unit == BOUND_TIME)
        return config_time_text(out, bounds[i].value);
    snprintf(out, CONFIG_VALUE_BYTES, "%llu", (unsigned long long)bounds[i].value);
    return out;
}

Test(docs, the_manual_has_the_bounds_of_the_limits) {
    char *manual = file_text("docs/OPERATIONS.md");
    const char *at = table_begin(manual, "| bound | value |");
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++, at = next_line(at)) {
        char wanted[ROW_BYTES], text[CONFIG_VALUE_BYTES];
        snprintf(wanted, sizeof wanted, "| `%s` | %s | ", bounds[i].name, bound_text(i, text));
        cr_expect(strncmp(at, wanted, strlen(wanted)) == 0, "wanted a line that begins\n%s\ngot\n%.*s",
                  wanted, (int)strcspn(at, "\n"), at);
    }
    cr_expect(at[0] != '|', "the manual has more bounds: %.80s", at);
    free(manual);
    LEAKS_NONE();
}

/* ---- examples ---- */

Test(docs, the_examples_have_no_mistakes) {
    static struct config config;
    static struct config_mistakes mistakes;
    DIR *folder = opendir(in_tree("examples/config"));
    struct dirent *entry;
    int count = 0;
    cr_assert(folder);
    while ((entry = readdir(folder))) {
        char path[400];
        if (!strstr(entry->d_name, ".yaml"))
            continue;
        snprintf(path, sizeof path, "examples/config/%s", entry->d_name);
        char *text = file_text(path);
        cr_expect(config_parse(&config, text, strlen(text), &mistakes), "%s:%u:%u: %s", path,
                  mistakes.list[0].line, mistakes.list[0].column, mistakes.list[0].text);
        free(text);
        count++;
    }
    closedir(folder);
    cr_expect(count >= 4, "%d examples", count);
    LEAKS_NONE();
}

Test(docs, the_example_with_every_default_names_every_key_and_changes_nothing) {
    static struct config config, defaults;
    static struct config_mistakes mistakes;
    char *text = file_text("examples/config/roundhouse.yaml");
    config_defaults(&defaults);
    cr_assert(config_parse(&config, text, strlen(text), &mistakes));
    memset(config.origins, 0, sizeof config.origins);
    cr_expect(memcmp(&config, &defaults, sizeof config) == 0);
    for (uint32_t i = 0; i < config_rows_count; i++) {
        char key[64];
        const char *dot = strrchr(config_rows[i].path, '.');
        snprintf(key, sizeof key, "%s:", dot ? dot + 1 : config_rows[i].path);
        cr_expect(strstr(text, key) || config_rows[i].fallback[0] == '\0' ||
                      strcmp(config_rows[i].path, "shards.count") == 0,
                  "%s is not in the example", config_rows[i].path);
    }
    free(text);
    LEAKS_NONE();
}
