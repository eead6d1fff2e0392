#include "core/config/config.h"

#include "core/config/file.h"
#include "core/config/mistakes.h"
#include "core/config/schema.h"
#include "core/config/tree.h"
#include "core/config/value.h"
#include "core/config/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The table's defaults, before anything is worked out from them. */
static void defaults_set(struct config *config) {
    *config = (struct config){0};
    config_schema_defaults(&config_schema, config);
}

/* Where the keys stand that the text has. */
static void origins_note(struct config_walk *walk) {
    for (uint32_t i = 0; i < config_rows_count; i++)
        if (walk->keys[i])
            walk->config->origins[i] = (struct config_origin){
                .from = CONFIG_FROM_FILE, .line = walk->keys[i]->line, .column = walk->keys[i]->column};
        else
            walk->config->origins[i].line = walk->config->origins[i].column = 0;
}

bool config_parse_over(struct config *config, const char *text, size_t length,
                       struct config_mistakes *mistakes) {
    struct config_tree tree = {0};
    struct config_walk walk = {
        .schema = &config_schema, .base = config, .config = config, .mistakes = mistakes, .tree = &tree};
    mistakes->count = 0;
    config_tree_read(&tree, text, length, mistakes);
    config_walk(&walk);
    origins_note(&walk);
    config_lists(&walk);
    /* What has not been read can not be missing, and can not contradict. */
    if (tree.whole)
        config_settle(&walk);
    config_tree_deinit(&tree);
    config_mistakes_sort(mistakes);
    return mistakes->count == 0;
}

bool config_parse(struct config *config, const char *text, size_t length, struct config_mistakes *mistakes) {
    defaults_set(config);
    return config_parse_over(config, text, length, mistakes);
}

void config_defaults(struct config *config) {
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    CHECK(mistakes != NULL);
    CHECK(config_parse(config, "", 0, mistakes));
    free(mistakes);
}

static void override_take(struct config *config, const struct config_override *one,
                          struct config_mistakes *mistakes) {
    const struct config_row *row = config_row_find(one->key);
    char why[CONFIG_WHY_BYTES];
    if (!row || row->type == CONFIG_LIST || strchr(one->key, '['))
        config_mistake_add(mistakes, 0, 0, "this can not be given here; write it into the file");
    else if (!config_row_set(row, config, one->value, strlen(one->value), why))
        config_mistake_add(mistakes, 0, 0, "%s", why);
    else
        config->origins[row - config_rows].from = CONFIG_FROM_OPTION;
}

/* The last override whose key the sentence names. */
static uint32_t override_named(const struct config_override *list, uint32_t count, const char *text) {
    uint32_t i = count;
    while (i > 1 && !strstr(text, list[i - 1].key))
        i--;
    return i - 1;
}

bool config_override(struct config *config, const struct config_override *list, uint32_t count,
                     struct config_mistake *mistake, uint32_t *wrong) {
    struct config changed = *config;
    struct config_mistakes mistakes = {.count = 0};
    struct config_walk walk = {.schema = &config_schema, .config = &changed, .mistakes = &mistakes};
    CHECK(count > 0);
    for (uint32_t i = 0; i < count && mistakes.count == 0; i++) {
        override_take(&changed, &list[i], &mistakes);
        *wrong = i;
    }
    if (mistakes.count == 0) {
        config_settle(&walk);
        if (mistakes.count > 0)
            *wrong = override_named(list, count, mistakes.list[0].text);
    }
    if (mistakes.count == 0)
        *config = changed;
    else
        *mistake = mistakes.list[0];
    return mistakes.count == 0;
}

/* Paths of rules and spokes go together with the file, wherever the router is started. */
static void path_resolve(char path[static JOURNAL_DIR_BYTES_MAX], const char *file,
                         struct config_mistakes *mistakes) {
    char *whole = config_file_beside(file, path);
    size_t length = whole != NULL ? strlen(whole) : JOURNAL_DIR_BYTES_MAX;
    if (length >= JOURNAL_DIR_BYTES_MAX)
        config_mistake_add(mistakes, 0, 0, "%.100s is too long a path beside %.100s", path, file);
    else
        memcpy(path, whole, length + 1);
    free(whole);
}

bool config_paths(struct config *config, const char *path, struct config_mistakes *mistakes) {
    const struct {
        const char *key;
        char *value;
    } paths[] = {{"routes", config->routes_dir},
                 {"spokes", config->spokes_dir},
                 {"listen.admin_token_file", config->admin_token_file},
                 {"spokes_state", config->spokes_state}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (config->origins[config_row_find(paths[i].key) - config_rows].line != 0 &&
            strcmp(paths[i].value, "off") != 0 && (i < 3 || !config->spokes_state_auto))
            path_resolve(paths[i].value, path, mistakes);
    return mistakes->count == 0;
}

int config_load(struct config *config, const char *path, struct config_mistakes *mistakes) {
    char *text;
    size_t length;
    int result = config_file_text(path, CONFIG_FILE_BYTES_MAX, &text, &length);
    if (result < 0)
        return result;
    bool right = config_parse(config, text, length, mistakes);
    free(text);
    if (right)
        (void)config_paths(config, path, mistakes);
    return 0;
}

bool config_journalled(const struct config *config) {
    return strcmp(config->journal_dir, "off") != 0;
}

const struct topic_rule *config_disk_without_journal(const struct config *config) {
    for (uint32_t i = 0; i < config->topics_count && !config_journalled(config); i++)
        if (config->topics[i].class == TOPIC_DISK && config->topics[i].class_given)
            return &config->topics[i];
    return NULL;
}

static void listener_check(const struct config *config, const char *text) {
    struct config_address address;
    if (strcmp(text, "off") == 0)
        return;
    CHECK(config_address_parse(text, strlen(text), &address));
    CHECK(config_address_loopback(&address) || config->listen_public);
}

void config_check(const struct config *config) {
    CHECK(config->shards >= 1 && config->shards <= SHARDS_MAX);
    CHECK(!config->cpus_given || config->cpus_count == config->shards);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        CHECK(config->slots[slot] < config->shards);
    CHECK(config->log_data_bytes >= LOG_DATA_MIN && config->log_data_bytes <= LOG_DATA_MAX);
    CHECK((config->log_data_bytes & (config->log_data_bytes - 1)) == 0);
    CHECK(config->log_records >= LOG_RECORDS_MIN && (config->log_records & (config->log_records - 1)) == 0);
    CHECK(config->limits.frame_bytes >= FRAME_BYTES_MIN && config->limits.frame_bytes <= FRAME_BYTES_MAX);
    CHECK(config->log_data_bytes >= LOG_FRAMES_MIN * config->limits.frame_bytes);
    CHECK(config->limits.connections >= 1 && config->limits.subscriptions >= 1 && config->limits.topics >= 1);
    CHECK(config->limits.handshake_ns > 0 && config->limits.private_bytes > 0);
    CHECK(config->journal_dir[0] != '\0' && config->journal_logs >= 1 &&
          config->journal_logs <= DISK_LOGS_MAX);
    CHECK(!config_journalled(config) || config->shards <= LOGS_MAX - DISK_LOGS_MAX);
    CHECK(config->limits.block_ns >= BLOCK_NS_MIN);
    listener_check(config, config->listen_native);
    listener_check(config, config->listen_admin);
}
