#include "core/config/schema.h"

#include "core/base/logfmt.h"

#include <string.h>

#define AT(field)   offsetof(struct config, field)
#define ITEM(field) offsetof(struct config_slots_item, field)
#define RULE(field) offsetof(struct topic_rule, field)
#define NO          CONFIG_NO_AUTO

static const char *const log_formats[] = {"logfmt", "json", NULL};       /* enum logfmt_format */
static const char *const log_levels[] = {"info", "warn", "error", NULL}; /* from LOGFMT_INFO on */

/* clang-format off */
const struct config_row config_rows[] = {
    /* path, type, flags, at, auto, min, max, default, change, help */
    {"listen.native", CONFIG_ADDRESS, 0, AT(listen_native), NO, 0, 0,
     "127.0.0.1:4470", "live", "where clients connect; port 0 is any free one", NULL},
    {"listen.admin", CONFIG_ADDRESS, CONFIG_OFF, AT(listen_admin), NO, 0, 0,
     "127.0.0.1:4480", "restart", "HTTP for health and metrics", NULL},
    {"listen.admin_token_file", CONFIG_PATH, CONFIG_OFF, AT(admin_token_file), NO, 0, 0,
     "off", "restart", "file with the token that the admin plane asks for; readable by its owner only", NULL},
    {"listen.ingest", CONFIG_ADDRESS, CONFIG_OFF, AT(listen_ingest), NO, 0, 0,
     "127.0.0.1:4481", "restart", "HTTP for events and documents that come in", NULL},
    {"listen.public", CONFIG_BOOL, 0, AT(public_asked), NO, 0, 0,
     "false", "live",
     "true allows addresses that other machines reach; but for listen.admin, nobody is asked for a password",
     NULL},
    {"io", CONFIG_IO, 0, AT(io), NO, 0, 0,
     "auto", "restart", "what carries the network: io_uring, epoll, or the first of them that works", NULL},
    {"shards", CONFIG_COUNT, 0, AT(shards), AT(shards_auto), 1, SHARDS_MAX,
     "auto", "live", "workers; auto: one for each usable CPU, and at least as many as slots names", NULL},
    {"shards.count", CONFIG_COUNT, 0, AT(shards), AT(shards_auto), 1, SHARDS_MAX,
     "auto", "live", "the same, beside shards.cpus", NULL},
    {"shards.cpus", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "live", "CPU numbers, one for each shard, to which its worker is pinned; default: none", NULL},
    {"slots", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "live",
     "list of which shard has which slots; every slot exactly once; default: an even split", NULL},
    {"slots[].shard", CONFIG_COUNT, 0, ITEM(shard), NO, 0, SHARDS_MAX - 1,
     "", "live", "the shard", NULL},
    {"slots[].range", CONFIG_RANGE, 0, ITEM(first), NO, 0, SLOT_COUNT - 1,
     "", "live", "its slots, FIRST-LAST or one number", NULL},
    {"slot_seed", CONFIG_NUMBER, 0, AT(slot_seed), NO, 0, UINT64_MAX,
     "0", "restart", "seed of the hash from topic to slot; one for a whole installation, for ever", NULL},
    {"logs.data", CONFIG_SIZE, CONFIG_POWER2, AT(log_data_bytes), AT(log_data_auto), LOG_DATA_MIN,
     LOG_DATA_MAX,
     "auto", "restart", "bytes of events each log keeps; at least 8 of the largest frame; auto: 64MiB", NULL},
    {"logs.records", CONFIG_NUMBER, CONFIG_POWER2, AT(log_records), AT(log_records_auto), LOG_RECORDS_MIN,
     LOG_RECORDS_MAX,
     "auto", "restart", "events each log keeps at most, 32 bytes of index each; auto: data / 128", NULL},
    {"logs.grace", CONFIG_TIME, CONFIG_ZERO, AT(grace_ns), NO, NS_PER_US, GRACE_NS_LONGEST,
     "200ms", "live",
     "how long, in all, publishers wait for a slow subscriber before it loses events", NULL},
    {"limits.frame", CONFIG_SIZE, 0, AT(limits.frame_bytes), NO, FRAME_BYTES_MIN, FRAME_BYTES_MAX,
     "1MiB", "restart", "largest frame a client may send", NULL},
    {"limits.connections", CONFIG_COUNT, 0, AT(limits.connections), NO, 1, CONNECTIONS_MAX,
     "10000", "live", "clients connected at once", NULL},
    {"limits.subscriptions", CONFIG_COUNT, 0, AT(limits.subscriptions), NO, 1, SUBSCRIPTIONS_MAX,
     "100000", "live", "patterns subscribed at once, over all clients", NULL},
    {"limits.topics", CONFIG_COUNT, 0, AT(limits.topics), NO, TOPICS_MIN, TOPICS_MAX,
     "1Mi", "restart", "topic names each log and each worker remember; more cost some speed", NULL},
    {"limits.private", CONFIG_SIZE, 0, AT(limits.private_bytes), NO, PRIVATE_BYTES_LEAST, PRIVATE_BYTES_MOST,
     "64KiB", "live", "replies a client has not read, above which nothing more is read from it", NULL},
    {"limits.handshake", CONFIG_TIME, 0, AT(limits.handshake_ns), NO, HANDSHAKE_NS_MIN, HANDSHAKE_NS_LONGEST,
     "10s", "live", "time a client has for its Connect frame", NULL},
    {"limits.block", CONFIG_TIME, 0, AT(limits.block_ns), NO, BLOCK_NS_MIN, BLOCK_NS_LONGEST,
     "30s", "live", "how long a slow subscriber with policy block may hold back publishers", NULL},
    {"limits.idle", CONFIG_TIME, CONFIG_ZERO, AT(limits.idle_ns), NO, IDLE_NS_MIN, IDLE_NS_LONGEST,
     "0", "live", "how long a client may be silent before it is closed; 0 = for ever", NULL},
    {"journal.dir", CONFIG_PATH, CONFIG_OFF, AT(journal_dir), NO, 0, 0,
     "off", "restart", "directory of the journal, made if need be; with one, topics are kept on disk", NULL},
    {"journal.logs", CONFIG_COUNT, 0, AT(journal_logs), AT(journal_logs_auto), 1, DISK_LOGS_MAX,
     "auto", "restart", "disk logs of a new journal, for ever; auto: one for each shard", NULL},
    {"journal.segment", CONFIG_SIZE, 0, AT(journal_segment_bytes), NO, JOURNAL_SEGMENT_MIN,
     JOURNAL_SEGMENT_MAX,
     "64MiB", "restart", "size of the journal's files from now on; each log has two at least", NULL},
    {"journal.retain_bytes", CONFIG_SIZE, CONFIG_ZERO, AT(journal_retain_bytes), NO, RETAIN_BYTES_LEAST,
     RETAIN_BYTES_MOST,
     "0", "live",
     "full files of all logs above so many bytes are removed, the oldest first; 0 = never", NULL},
    {"journal.retain_age", CONFIG_TIME, CONFIG_ZERO, AT(journal_retain_ns), NO, RETAIN_NS_LEAST,
     RETAIN_NS_LONGEST,
     "0", "live", "full files whose last event is older are removed; 0 = never", NULL},
    {"routes", CONFIG_PATH, CONFIG_OFF, AT(routes_dir), NO, 0, 0,
     "off", "restart",
     "directory of rules, a file each, as seen from this file; SIGHUP reads them again", NULL},
    {"spokes", CONFIG_PATH, CONFIG_OFF, AT(spokes_dir), NO, 0, 0,
     "off", "restart",
     "directory of spokes, a file each, as seen from this file; SIGHUP reads them again", NULL},
    {"spokes_state", CONFIG_PATH, 0, AT(spokes_state), AT(spokes_state_auto), 0, 0,
     "auto", "restart",
     "directory of what spokes must remember, made if need be; auto: .state in that of spokes", NULL},
    {"log.format", CONFIG_WORD, 0, AT(log_format), NO, 0, 0,
     "logfmt", "live", "how log lines are written: key=value, or a JSON object each", log_formats},
    {"log.level", CONFIG_WORD, 0, AT(log_level), NO, 0, 0,
     "info", "live", "log lines below this level are left out", log_levels},
    {"topics", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "restart", "which topics are kept how, first match wins; default: all on disk with a journal", NULL},
    {"topics[].match", CONFIG_PATTERN, 0, RULE(length), NO, 0, 0,
     "", "restart", "a pattern of topics, such as erp.> or raw.*.invoic", NULL},
    {"topics[].class", CONFIG_CLASS, 0, RULE(class), NO, 0, 0,
     "", "restart", "memory or disk; default: disk with a journal, else memory", NULL},
    {"topics[].expiry", CONFIG_TIME, 0, RULE(expiry_ns), NO, EXPIRY_NS_LEAST, EXPIRY_NS_LONGEST,
     "", "restart",
     "how long an event without an expirytime is delivered; default: as long as it is kept", NULL},
    {"topics[].duplicates.window", CONFIG_TIME, 0, RULE(duplicates_window_ns), NO, DUPLICATES_NS_LEAST,
     DUPLICATES_NS_LONGEST,
     "", "restart", "how long an event's source and id are remembered, so that it is not stored twice", NULL},
    {"topics[].duplicates.count", CONFIG_COUNT, 0, RULE(duplicates_count), NO, 1, DUPLICATES_MAX,
     "", "restart", "of how many events, in each log; default: 100000", NULL},
};
/* clang-format on */

const uint32_t config_rows_count = sizeof config_rows / sizeof config_rows[0];
static_assert(sizeof config_rows / sizeof config_rows[0] <= CONFIG_ROWS_MAX,
              "one place in struct config_walk each");
static_assert(LOGFMT_TEXT == 0 && LOGFMT_JSON == 1 && LOGFMT_WARN == LOGFMT_INFO + 1 &&
                  LOGFMT_ERROR == LOGFMT_INFO + 2,
              "the words are in their order");
static_assert(sizeof config_rows / sizeof config_rows[0] <= CONFIG_KEYS_MAX,
              "one place in struct config each");
static_assert(SHARDS_MAX <= UINT8_MAX && SLOT_COUNT == 4096u && LOG_FRAMES_MIN == 8u &&
                  LOG_DATA_DEFAULT == 64u * MIB && JOURNAL_SEGMENT_DEFAULT == 64u * MIB &&
                  LOG_RECORD_BYTES_TYPICAL == 128u && DUPLICATES_DEFAULT == 100000u,
              "the help texts name them");

static const char *list_example(const char *path) {
    return strcmp(path, "slots") == 0    ? "[ { shard: 0, range: 0-4095 } ]"
           : strcmp(path, "topics") == 0 ? "[ { match: \">\", class: memory } ]"
                                         : "[0, 1]";
}

const struct config_schema config_schema = {
    .rows = config_rows, .count = sizeof config_rows / sizeof config_rows[0], .example = list_example};

const struct config_row *config_schema_find(const struct config_schema *schema, const char *path) {
    for (uint32_t i = 0; i < schema->count; i++)
        if (strcmp(schema->rows[i].path, path) == 0)
            return &schema->rows[i];
    return NULL;
}

const struct config_row *config_row_find(const char *path) {
    return config_schema_find(&config_schema, path);
}

void config_schema_defaults(const struct config_schema *schema, void *base) {
    char why[CONFIG_WHY_BYTES];
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct config_row *row = &schema->rows[i];
        if (row->fallback[0] && !strchr(row->path, '['))
            CHECK(config_row_set(row, base, row->fallback, strlen(row->fallback), why));
    }
}
