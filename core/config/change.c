#include "core/config/change.h"

#include "core/config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool config_row_shown(const struct config_row *row) {
    return !strchr(row->path, '[') && strcmp(row->path, "shards.count") != 0;
}

bool config_row_live(const struct config_row *row) {
    return strcmp(row->change, "live") == 0;
}

struct config_origin config_origin_of(const struct config *config, const struct config_row *row) {
    struct config_origin origin = config->origins[row - config_rows];
    struct config_origin other = config->origins[config_row_find("shards.count") - config_rows];
    bool both = strcmp(row->path, "shards") == 0;
    return both && origin.from != CONFIG_FROM_OPTION && other.line > origin.line ? other : origin;
}

bool config_left_out(const struct config *config, const struct config_row *row) {
    const struct config_row *whole = config_row_find("shards");
    bool under = strcmp(row->path, "shards.count") == 0;
    return config->origins[row - config_rows].line == 0 &&
           (!under || config->origins[whole - config_rows].line == 0);
}

const char *config_from_name(enum config_from from) {
    static const char *const names[] = {[CONFIG_FROM_DEFAULT] = "default",
                                        [CONFIG_FROM_FILE] = "file",
                                        [CONFIG_FROM_OPTION] = "option",
                                        [CONFIG_FROM_APPLIED] = "applied"};
    return names[from];
}

/* ---- lists ---- */

static void slots_write(FILE *out, const uint8_t slots[static SLOT_COUNT]) {
    fputc('[', out);
    for (uint32_t first = 0, end; first < SLOT_COUNT; first = end) {
        for (end = first + 1; end < SLOT_COUNT && slots[end] == slots[first];)
            end++;
        fprintf(out, "%s{ shard: %u, range: ", first == 0 ? "" : ", ", slots[first]);
        if (end - first == 1)
            fprintf(out, "%u }", first);
        else
            fprintf(out, "%u-%u }", first, end - 1);
    }
    fputc(']', out);
}

static void cpus_write(FILE *out, const struct config *config) {
    fputc('[', out);
    for (uint32_t i = 0; config->cpus_given && i < config->cpus_count; i++)
        fprintf(out, "%s%u", i == 0 ? "" : ", ", config->cpus[i]);
    fputc(']', out);
}

static void pattern_write(FILE *out, const struct topic_rule *rule) {
    fputs("{ match: \"", out);
    for (uint32_t i = 0; i < rule->length; i++) {
        if (rule->pattern[i] == '"' || rule->pattern[i] == '\\')
            fputc('\\', out);
        fputc(rule->pattern[i], out);
    }
    fputc('"', out);
}

static void rule_write(FILE *out, const struct topic_rule *rule) {
    char text[CONFIG_VALUE_BYTES];
    pattern_write(out, rule);
    if (rule->class_given)
        fprintf(out, ", class: %s", rule->class == TOPIC_DISK ? "disk" : "memory");
    if (rule->expiry_ns != 0)
        fprintf(out, ", expiry: %s", config_time_text(text, rule->expiry_ns));
    if (rule->duplicates_window_ns != 0)
        fprintf(out, ", duplicates: { window: %s, count: %u }",
                config_time_text(text, rule->duplicates_window_ns), rule->duplicates_count);
    fputs(" }", out);
}

static void topics_write(FILE *out, const struct config *config) {
    fputc('[', out);
    for (uint32_t i = 0; i < config->topics_count; i++) {
        if (i > 0)
            fputs(", ", out);
        rule_write(out, &config->topics[i]);
    }
    fputc(']', out);
}

static void list_write(FILE *out, const struct config *config, const struct config_row *row) {
    if (strcmp(row->path, "slots") == 0)
        slots_write(out, config->slots);
    else if (strcmp(row->path, "shards.cpus") == 0)
        cpus_write(out, config);
    else
        topics_write(out, config);
}

/* ---- values ---- */

static uint64_t number_of(const struct config *config, const struct config_row *row) {
    const char *at = (const char *)config + row->at;
    uint64_t wide;
    uint32_t narrow;
    memcpy(&narrow, at, sizeof narrow);
    if (row->type == CONFIG_COUNT || row->type == CONFIG_WORD)
        return narrow;
    memcpy(&wide, at, sizeof wide);
    return wide;
}

static void value_write(FILE *out, const struct config *config, const struct config_row *row) {
    static const char *const bodies[] = {
        [IO_AUTO] = "auto", [IO_URING] = "uring", [IO_EPOLL] = "epoll", [IO_URING_ONESHOT] = "uring:oneshot"};
    const char *at = (const char *)config + row->at;
    char text[CONFIG_VALUE_BYTES];
    bool is_auto = row->type == CONFIG_PATH && row->auto_at != CONFIG_NO_AUTO &&
                   *(const bool *)((const char *)config + row->auto_at);
    switch (row->type) {
    case CONFIG_BOOL:
        fputs(*(const bool *)at ? "true" : "false", out);
        return;
    case CONFIG_IO:
        fputs(bodies[config->io], out);
        return;
    case CONFIG_COUNT:
    case CONFIG_NUMBER:
        fputs(config_count_text(text, number_of(config, row)), out);
        return;
    case CONFIG_WORD:
        fputs(row->words[number_of(config, row)], out);
        return;
    case CONFIG_SIZE:
        fputs(config_size_text(text, number_of(config, row)), out);
        return;
    case CONFIG_TIME:
        fputs(config_time_text(text, number_of(config, row)), out);
        return;
    case CONFIG_LIST:
        list_write(out, config, row);
        return;
    default:
        fputs(is_auto ? "auto" : at, out);
    }
}

char *config_text(const struct config *config, const struct config_row *row) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    CHECK(config_row_shown(row));
    if (out == NULL)
        return NULL;
    value_write(out, config, row);
    bool whole = !ferror(out);
    if (fclose(out) == 0 && whole)
        return text;
    free(text);
    return NULL;
}

char *config_slots_text(const uint8_t slots[static SLOT_COUNT]) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    slots_write(out, slots);
    bool whole = !ferror(out);
    if (fclose(out) == 0 && whole)
        return text;
    free(text);
    return NULL;
}

/* ---- differences ---- */

static bool change_take(struct config_changes *out, const struct config *running, const struct config *wanted,
                        const struct config_row *row) {
    struct config_change *change = &out->list[out->count];
    char *from = config_text(running, row), *to = config_text(wanted, row);
    if (from == NULL || to == NULL || strcmp(from, to) == 0) {
        bool same = from != NULL && to != NULL;
        free(from);
        free(to);
        return same;
    }
    *change = (struct config_change){.row = row, .from = from, .to = to, .live = config_row_live(row)};
    out->count++;
    out->live += change->live;
    return true;
}

int config_changes_find(struct config_changes *out, const struct config *running,
                        const struct config *wanted) {
    *out = (struct config_changes){.count = 0};
    for (uint32_t i = 0; i < config_rows_count; i++)
        if (config_row_shown(&config_rows[i]) && !change_take(out, running, wanted, &config_rows[i])) {
            config_changes_free(out);
            return -ENOMEM;
        }
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        out->slots_moved += running->slots[slot] != wanted->slots[slot];
    return 0;
}

void config_changes_free(struct config_changes *changes) {
    for (uint32_t i = 0; i < changes->count; i++) {
        free(changes->list[i].from);
        free(changes->list[i].to);
    }
    *changes = (struct config_changes){.count = 0};
}

/* ---- what is live ---- */

static size_t value_bytes(const struct config_row *row) {
    switch (row->type) {
    case CONFIG_ADDRESS:
        return CONFIG_ADDRESS_MAX;
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_IO:
        return sizeof(enum io_choice);
    case CONFIG_COUNT:
    case CONFIG_WORD:
        return sizeof(uint32_t);
    case CONFIG_PATH:
        return JOURNAL_DIR_BYTES_MAX;
    default:
        return sizeof(uint64_t);
    }
}

static void list_copy(struct config *out, const struct config *wanted, const struct config_row *row) {
    if (strcmp(row->path, "slots") == 0) {
        memcpy(out->slots, wanted->slots, sizeof out->slots);
        out->slots_given = wanted->slots_given;
    } else if (strcmp(row->path, "shards.cpus") == 0) {
        memcpy(out->cpus, wanted->cpus, sizeof out->cpus);
        out->cpus_count = wanted->cpus_count;
        out->cpus_given = wanted->cpus_given;
    } else {
        memcpy(out->topics, wanted->topics, sizeof out->topics);
        out->topics_count = wanted->topics_count;
    }
}

static void row_copy(struct config *out, const struct config *wanted, const struct config_row *row) {
    char *to = (char *)out;
    const char *from = (const char *)wanted;
    out->origins[row - config_rows] = wanted->origins[row - config_rows];
    if (row->type == CONFIG_LIST)
        list_copy(out, wanted, row);
    else
        memcpy(to + row->at, from + row->at, value_bytes(row));
    if (row->auto_at != CONFIG_NO_AUTO)
        memcpy(to + row->auto_at, from + row->auto_at, sizeof(bool));
}

void config_take_live(struct config *out, const struct config *running, const struct config *wanted) {
    *out = *running;
    for (uint32_t i = 0; i < config_rows_count; i++)
        if (config_row_live(&config_rows[i]) && !strchr(config_rows[i].path, '['))
            row_copy(out, wanted, &config_rows[i]);
    out->listen_public = wanted->listen_public;
}
