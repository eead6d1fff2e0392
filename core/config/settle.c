/* settle.c: what the file left to the router, and what must hold between keys. */
#include "core/config/cpus.h"
#include "core/config/mistakes.h"
#include "core/config/value.h"
#include "core/config/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A mistake at the first of two keys that is in the file; on the command line it has no place. */
__attribute__((format(printf, 4, 5))) static void refuse(struct config_walk *walk, const char *path,
                                                         const char *other, const char *format, ...) {
    char text[sizeof walk->mistakes->list[0].text];
    const struct config_node *node = config_walk_found(walk, path);
    if (!node)
        node = config_walk_found(walk, other);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    config_mistake_add(walk->mistakes, node ? node->line : 0, node ? node->column : 0, "%s", text);
}

/* ---- shards and slots ---- */

/* How many shards the map of slots names. */
static uint32_t shards_named(const struct config *config) {
    uint32_t most = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        most = config->slots[slot] > most ? config->slots[slot] : most;
    return most + 1;
}

static void shards_settle(struct config_walk *walk) {
    struct config *config = walk->config;
    if (config->shards_auto && config->cpus_given) {
        config->shards = config->cpus_count;
    } else if (config->shards_auto) {
        uint32_t named = config->slots_given ? shards_named(config) : 1;
        uint32_t cpus = config_cpus();
        config->shards = named > cpus ? named : cpus;
    } else if (config->cpus_given && config->cpus_count != config->shards) {
        refuse(walk, "shards.cpus", "shards",
               "shards.cpus: %u CPUs are listed for %u shards; list one for each shard", config->cpus_count,
               config->shards);
    }
}

static void slots_split(struct config *config) {
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        config->slots[slot] = (uint8_t)(slot * config->shards / SLOT_COUNT);
}

static void slots_settle(struct config_walk *walk) {
    struct config *config = walk->config;
    if (!config->slots_given) {
        slots_split(config);
        return;
    }
    if ((!walk->tree || !config_walk_found(walk, "slots")) && shards_named(config) > config->shards)
        refuse(walk, "slots", "shards", "the file's slots name shard %u; write at least %u shards",
               shards_named(config) - 1, shards_named(config));
    for (uint32_t shard = config->shards; shard < SHARDS_MAX; shard++) {
        const struct config_node *named = walk->shard_named[shard];
        if (named)
            config_mistake_add(walk->mistakes, named->line, named->column,
                               "slots[].shard: there is no shard %u; with %u shards write 0 to %u", shard,
                               config->shards, config->shards - 1);
    }
}

/* ---- logs ---- */

static uint64_t power2_above(uint64_t value) {
    return value <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(value - 1));
}

static void logs_settle(struct config_walk *walk) {
    struct config *config = walk->config;
    uint64_t least = LOG_FRAMES_MIN * config->limits.frame_bytes;
    char data[CONFIG_VALUE_BYTES], frame[CONFIG_VALUE_BYTES], instead[CONFIG_VALUE_BYTES];
    if (config->log_data_auto)
        config->log_data_bytes = power2_above(least > LOG_DATA_DEFAULT ? least : LOG_DATA_DEFAULT);
    if (config->log_records_auto)
        config->log_records = config->log_data_bytes / LOG_RECORD_BYTES_TYPICAL;
    if (config->log_data_bytes < least)
        refuse(walk, "logs.data", "limits.frame",
               "logs.data: %s is too small for frames of %s (limits.frame); a log holds at least %u of them: "
               "write %s",
               config_size_text(data, config->log_data_bytes),
               config_size_text(frame, config->limits.frame_bytes), LOG_FRAMES_MIN,
               config_size_text(instead, power2_above(least)));
}

/* ---- journal ---- */

/* Every log has a place in a word of bits. */
static void journal_settle(struct config_walk *walk) {
    struct config *config = walk->config;
    uint32_t most = LOGS_MAX - DISK_LOGS_MAX;
    if (config->journal_logs_auto)
        config->journal_logs = config->shards < DISK_LOGS_MAX ? config->shards : DISK_LOGS_MAX;
    if (config_journalled(config) && config->shards > most)
        refuse(walk, "shards", "journal.dir",
               "shards: %u are too many with a journal (journal.dir); write %u", config->shards, most);
}

/* ---- listeners ---- */

static void listener_settle(struct config_walk *walk, const char *path, const char *text) {
    struct config_address address;
    if (config_walk_wrong(walk, path) || strcmp(text, "off") == 0 ||
        !config_address_parse(text, strlen(text), &address))
        return;
    if (config_address_loopback(&address))
        return;
    walk->config->listen_public = walk->config->public_asked;
    if (!walk->config->public_asked)
        refuse(walk, path, path,
               "%s: other machines reach %s, and nobody is asked for a password; write 127.0.0.1:%u, or "
               "public: true "
               "beside it if that is meant",
               path, text, address.port);
}

/* Who reaches the admin plane can change what runs. */
static void token_settle(struct config_walk *walk) {
    struct config *config = walk->config;
    struct config_address address;
    const char *text = config->listen_admin;
    if (config_walk_wrong(walk, "listen.admin") || config_walk_wrong(walk, "listen.admin_token_file") ||
        strcmp(config->admin_token_file, "off") != 0 || strcmp(text, "off") == 0 ||
        !config_address_parse(text, strlen(text), &address) || config_address_loopback(&address))
        return;
    refuse(walk, "listen.admin", "listen.admin",
           "listen.admin: other machines reach %s, so a token is needed: write admin_token_file: FILE beside "
           "it (openssl rand -hex 32 > FILE; chmod 600 FILE)",
           text);
}

static bool host_any(const struct config_address *address) {
    static const uint8_t none[sizeof address->host] = {0};
    return memcmp(address->host, none, sizeof none) == 0;
}

/* One port, and one host, or one that stands for all hosts of its kind. */
static bool addresses_clash(const struct config_address *one, const struct config_address *other) {
    bool hosts = memcmp(one->host, other->host, sizeof one->host) == 0 || host_any(one) || host_any(other);
    return one->v6 == other->v6 && one->port == other->port && one->port != 0 && hosts;
}

bool config_addresses_clash(const char *one, const char *other) {
    struct config_address a, b;
    return config_address_parse(one, strlen(one), &a) && config_address_parse(other, strlen(other), &b) &&
           addresses_clash(&a, &b);
}

static void listeners_differ(struct config_walk *walk, const char *path, const char *text, const char *other,
                             const char *other_text) {
    if (!config_addresses_clash(text, other_text))
        return;
    if (strcmp(text, other_text) == 0)
        refuse(walk, path, other, "%s: %s is the address of %s too; write another port", path, text, other);
    else
        refuse(walk, path, other, "%s: %s is part of %s (%s); write another port", path, text, other_text,
               other);
}

static void listeners_settle(struct config_walk *walk) {
    struct config *config = walk->config;
    config->listen_public = false;
    if (!config_walk_wrong(walk, "listen.public")) {
        listener_settle(walk, "listen.native", config->listen_native);
        listener_settle(walk, "listen.admin", config->listen_admin);
        listener_settle(walk, "listen.ingest", config->listen_ingest);
        if (config->public_asked)
            token_settle(walk);
    }
    listeners_differ(walk, "listen.admin", config->listen_admin, "listen.native", config->listen_native);
    listeners_differ(walk, "listen.ingest", config->listen_ingest, "listen.native", config->listen_native);
    listeners_differ(walk, "listen.ingest", config->listen_ingest, "listen.admin", config->listen_admin);
}

void config_settle(struct config_walk *walk) {
    bool shards_wrong = config_walk_wrong(walk, "shards") || config_walk_wrong(walk, "shards.count") ||
                        config_walk_wrong(walk, "shards.cpus");
    if (!shards_wrong)
        shards_settle(walk);
    if (!shards_wrong && !config_walk_wrong(walk, "slots"))
        slots_settle(walk);
    if (!config_walk_wrong(walk, "logs.data") && !config_walk_wrong(walk, "limits.frame"))
        logs_settle(walk);
    if (!shards_wrong && !config_walk_wrong(walk, "journal.logs"))
        journal_settle(walk);
    listeners_settle(walk);
}
