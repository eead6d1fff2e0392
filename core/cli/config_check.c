#include "core/cli/config_check.h"

#include "core/base/logfmt.h"
#include "core/cli/cli.h"
#include "core/config/config.h"
#include "core/config/cpus.h"
#include "core/config/memory.h"
#include "core/config/value.h"
#include "ring/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help_text[] = "usage: roundhouse config check FILE\n"
                                "\n"
                                "Reads a configuration and starts nothing. Every mistake is a line "
                                "FILE:LINE:COLUMN: TEXT on standard error.\n"
                                "A file without mistakes gives a summary of what would run: listeners, "
                                "shards with their slots and CPUs, sizes of\n"
                                "the logs and the memory they take, limits.\n"
                                "\n"
                                "Exit status: 0 usable, 64 usage, 78 mistakes, or the file can not be read.\n"
                                "\n"
                                "Example:\n"
                                "  roundhouse config check /etc/roundhouse/roundhouse.yaml\n";

static void mistakes_print(const char *path, const struct config_mistakes *mistakes) {
    uint32_t kept = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    for (uint32_t i = 0; i < kept; i++)
        fprintf(stderr, "%s:%u:%u: %s\n", path, mistakes->list[i].line, mistakes->list[i].column,
                mistakes->list[i].text);
    fprintf(stderr, "%s: %u mistake%s", path, mistakes->count, mistakes->count == 1 ? "" : "s");
    if (mistakes->count > kept)
        fprintf(stderr, ", of which %u are shown", kept);
    fprintf(stderr, "\n");
}

/* ---- the summary ---- */

static const char *listener_note(const char *address) {
    struct config_address parsed;
    bool local = !config_address_parse(address, strlen(address), &parsed) || config_address_loopback(&parsed);
    return local ? "" : " (other machines can reach it)";
}

static void listeners_print(const struct config *config) {
    printf("listen   native %s%s, admin %s%s, ingest %s%s\n", config->listen_native,
           listener_note(config->listen_native), config->listen_admin, listener_note(config->listen_admin),
           config->listen_ingest, listener_note(config->listen_ingest));
}

static const char *io_name(enum io_choice io) {
    return io == IO_URING ? "uring" : io == IO_EPOLL ? "epoll" : io == IO_AUTO ? "auto" : "uring:oneshot";
}

static void shard_print(const struct config *config, uint32_t shard) {
    uint32_t slots = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots += config->slots[slot] == shard;
    printf("         shard %u: %u slots", shard, slots);
    if (config->cpus_given)
        printf(", CPU %u%s", config->cpus[shard],
               config_cpus_has(config->cpus[shard]) ? ""
                                                    : " (which this process may not use on this machine)");
    printf("\n");
}

static void shards_print(const struct config *config) {
    printf("shards   %u%s\n", config->shards, config->shards_auto ? " (auto, on this machine)" : "");
    for (uint32_t shard = 0; shard < config->shards; shard++)
        shard_print(config, shard);
}

/* A log is filled when it is made: what can not be had ends the start. */
static void memory_note(const struct config *config) {
    char text[CONFIG_VALUE_BYTES];
    uint64_t free_bytes = config_memory_free();
    if (config_memory_logs(config) > free_bytes)
        printf(" (more than the %s that can be had on this machine)", config_size_text(text, free_bytes));
    printf("\n");
}

static void logs_print(const struct config *config) {
    char data[CONFIG_VALUE_BYTES], records[CONFIG_VALUE_BYTES], index[CONFIG_VALUE_BYTES];
    char all[CONFIG_VALUE_BYTES], grace[CONFIG_VALUE_BYTES];
    uint64_t index_bytes = config->log_records * sizeof(struct log_entry);
    printf("logs     %s of data and %s records each, grace %s\n",
           config_size_text(data, config->log_data_bytes), config_count_text(records, config->log_records),
           config_time_text(grace, config->grace_ns));
    uint32_t logs = config->shards + (config_journalled(config) ? config->journal_logs : 0);
    printf("         memory: %u x (%s + %s of index) = %s", logs, data, config_size_text(index, index_bytes),
           config_size_text(all, config_memory_logs(config)));
    memory_note(config);
}

static const char *limit_text(char *out, const char *text, bool there) {
    snprintf(out, CONFIG_VALUE_BYTES, "%s", there ? text : "no limit");
    return out;
}

static void journal_print(const struct config *config) {
    char segment[CONFIG_VALUE_BYTES], bytes[CONFIG_VALUE_BYTES], age[CONFIG_VALUE_BYTES];
    char most[CONFIG_VALUE_BYTES], oldest[CONFIG_VALUE_BYTES];
    const struct topic_rule *rule = config_disk_without_journal(config);
    if (rule != NULL)
        printf("journal  off, but \"%.*s\" is of class disk: set journal.dir, or use serve --journal DIR\n",
               rule->length, (const char *)rule->pattern);
    else if (!config_journalled(config))
        printf("journal  off\n");
    if (!config_journalled(config))
        return;
    config_size_text(bytes, config->journal_retain_bytes);
    config_time_text(age, config->journal_retain_ns);
    printf("journal  %s, %u logs when it is made anew, files of %s\n", config->journal_dir,
           config->journal_logs, config_size_text(segment, config->journal_segment_bytes));
    printf("         kept: bytes %s, age %s\n", limit_text(most, bytes, config->journal_retain_bytes != 0),
           limit_text(oldest, age, config->journal_retain_ns != 0));
}

static void limits_print(const struct config_limits *limits) {
    char frame[CONFIG_VALUE_BYTES], topics[CONFIG_VALUE_BYTES], private[CONFIG_VALUE_BYTES];
    char connections[CONFIG_VALUE_BYTES], subscriptions[CONFIG_VALUE_BYTES];
    char handshake[CONFIG_VALUE_BYTES], block[CONFIG_VALUE_BYTES], idle[CONFIG_VALUE_BYTES];
    printf("limits   frame %s, connections %s, subscriptions %s, topics %s\n",
           config_size_text(frame, limits->frame_bytes), config_count_text(connections, limits->connections),
           config_count_text(subscriptions, limits->subscriptions),
           config_count_text(topics, limits->topics));
    printf("         private %s, handshake %s, block %s, idle %s\n",
           config_size_text(private, limits->private_bytes),
           config_time_text(handshake, limits->handshake_ns), config_time_text(block, limits->block_ns),
           limits->idle_ns ? config_time_text(idle, limits->idle_ns) : "never");
}

static void log_print(const struct config *config) {
    static const char *const levels[] = {"info", "warn", "error"};
    printf("log      %s, from level %s on\n", config->log_format == LOGFMT_JSON ? "json" : "logfmt",
           levels[config->log_level]);
}

static int summary_print(const char *path, const struct config *config) {
    printf("%s: no mistakes\n", path);
    listeners_print(config);
    printf("io       %s\n", io_name(config->io));
    shards_print(config);
    printf("slots    seed %" PRIu64 "\n", config->slot_seed);
    logs_print(config);
    journal_print(config);
    printf("routes   %s\nspokes   %s\n", config->routes_dir, config->spokes_dir);
    limits_print(&config->limits);
    log_print(config);
    if (fflush(stdout) == 0)
        return CLI_OK;
    fprintf(stderr, "roundhouse config check: standard output can not be written\n");
    return CLI_INTERNAL;
}

/* ---- the command ---- */

static int file_check(const char *path, struct config_mistakes *mistakes) {
    struct config config;
    int result = config_load(&config, path, mistakes);
    if (result < 0) {
        fprintf(stderr, "%s: can not be read: %s\n", path, strerror(-result));
        return CLI_CONFIG;
    }
    if (mistakes->count == 0)
        return summary_print(path, &config);
    mistakes_print(path, mistakes);
    return CLI_CONFIG;
}

static bool is_help(const char *argument) {
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int usage_refuse(const char *text, const char *argument) {
    fprintf(stderr, "roundhouse config check: %s%s\nTry: roundhouse config check --help\n", text, argument);
    return CLI_USAGE;
}

int config_check_command(int argc, char **argv) {
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (argc > 1 && is_help(argv[1])) {
        fputs(help_text, stdout);
        return CLI_OK;
    }
    if (argc <= first)
        return usage_refuse("name the file to check", "");
    if (argc > first + 1)
        return usage_refuse("one file at a time; not expected: ", argv[first + 1]);
    if (first == 1 && argv[1][0] == '-' && argv[1][1] != '\0')
        return usage_refuse("there is no option ", argv[1]);
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    if (!mistakes)
        return CLI_INTERNAL;
    int status = file_check(argv[first], mistakes);
    free(mistakes);
    return status;
}
