/* What differs between two configs, what of it is live, and a text that is read over what runs. */
#include "core/config/change.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config running, wanted, merged;
static struct config_mistakes mistakes;
static struct config_changes changes;

static void parse(struct config *config, const char *text) {
    cr_assert(config_parse(config, text, strlen(text), &mistakes), "%s\n%u:%u: %s", text,
              mistakes.list[0].line, mistakes.list[0].column, mistakes.list[0].text);
}

static void over(const char *text) {
    wanted = running;
    cr_assert(config_parse_over(&wanted, text, strlen(text), &mistakes), "%s\n%u:%u: %s", text,
              mistakes.list[0].line, mistakes.list[0].column, mistakes.list[0].text);
}

static const struct config_change *change_of(const char *path) {
    for (uint32_t i = 0; i < changes.count; i++)
        if (strcmp(changes.list[i].row->path, path) == 0)
            return &changes.list[i];
    return NULL;
}

static void changed(const char *path, const char *from, const char *to) {
    const struct config_change *change = change_of(path);
    cr_assert(change, "%s is not among the changes", path);
    cr_expect_str_eq(change->from, from);
    cr_expect_str_eq(change->to, to);
    cr_expect_eq(change->live, config_row_live(change->row));
}

/* ---- values ---- */

/* A file whose every value is written back as it is. */
static const struct {
    const char *path, *value;
} values[] = {
    {"listen.native", "127.0.0.1:5000"},
    {"listen.admin", "off"},
    {"listen.admin_token_file", "/etc/token"},
    {"listen.ingest", "[::1]:5001"},
    {"listen.public", "true"},
    {"io", "epoll"},
    {"shards", "3"},
    {"shards.cpus", "[0, 2, 1]"},
    {"slots", "[{ shard: 2, range: 0-99 }, { shard: 0, range: 100 }, { shard: 1, range: 101-4095 }]"},
    {"slot_seed", "12345"},
    {"logs.data", "16MiB"},
    {"logs.records", "64Ki"},
    {"logs.grace", "1500us"},
    {"limits.frame", "100KiB"},
    {"limits.connections", "77"},
    {"limits.subscriptions", "2Ki"},
    {"limits.topics", "128Ki"},
    {"limits.private", "128KiB"},
    {"limits.handshake", "3s"},
    {"limits.block", "1m"},
    {"limits.idle", "0"},
    {"journal.dir", "/var/lib/roundhouse"},
    {"journal.logs", "2"},
    {"journal.segment", "1MiB"},
    {"journal.retain_bytes", "3GiB"},
    {"journal.retain_age", "48h"},
    {"routes", "rules"},
    {"spokes", "spokes.d"},
    {"spokes_state", "/state"},
    {"log.format", "json"},
    {"log.level", "warn"},
    {"topics", "[{ match: \"erp.>\", class: disk, expiry: 5m, duplicates: { window: 10s, count: 100 } }, "
               "{ match: \"a\\\\b\\\"c\", class: memory }]"},
};

static void section_write(FILE *out, const char *path, const char *value, char section[static 32]) {
    const char *dot = strchr(path, '.');
    if (dot == NULL) {
        section[0] = '\0';
        if (strcmp(path, "shards") == 0)
            snprintf(section, 32, "shards"), fprintf(out, "shards:\n  count: %s\n", value);
        else
            fprintf(out, "%s: %s\n", path, value);
        return;
    }
    if (strncmp(section, path, (size_t)(dot - path)) != 0 || section[0] == '\0')
        fprintf(out, "%.*s:\n", (int)(dot - path), path);
    snprintf(section, 32, "%.*s", (int)(dot - path), path);
    fprintf(out, "  %s: %s\n", dot + 1, value[0] == '[' && value[1] == ':' ? "\"[::1]:5001\"" : value);
}

Test(config_change, every_value_is_written_as_it_would_be_read) {
    char *text = NULL, section[32] = "";
    size_t length = 0;
    uint32_t shown = 0;
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        section_write(out, values[i].path, values[i].value, section);
    fclose(out);
    parse(&running, text);
    for (uint32_t i = 0; i < config_rows_count; i++)
        shown += config_row_shown(&config_rows[i]);
    cr_assert_eq(shown, sizeof values / sizeof values[0], "a key is not tested here");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct config_row *row = config_row_find(values[i].path);
        char *value = config_text(&running, row);
        cr_assert(row && config_row_shown(row));
        cr_expect_str_eq(value, values[i].value, "%s: %s", values[i].path, value);
        cr_expect_eq(config_origin_of(&running, row).from, CONFIG_FROM_FILE, "%s", values[i].path);
        cr_expect_gt(config_origin_of(&running, row).line, 0, "%s", values[i].path);
        free(value);
    }
    free(text);
    LEAKS_NONE();
}

Test(config_change, what_the_file_leaves_to_the_router_is_worked_out) {
    parse(&running, "shards: 2\n");
    char *records = config_text(&running, config_row_find("logs.records"));
    char *state = config_text(&running, config_row_find("spokes_state"));
    cr_expect_str_eq(records, "512Ki");
    cr_expect_str_eq(state, "auto");
    cr_expect_eq(config_origin_of(&running, config_row_find("logs.records")).from, CONFIG_FROM_DEFAULT);
    free(records);
    free(state);
    LEAKS_NONE();
}

/* ---- differences ---- */

Test(config_change, a_config_does_not_differ_from_itself) {
    parse(&running, "shards: 3\nlogs: { data: 16MiB }\n");
    parse(&wanted, "shards: { count: 3 }\nlogs: { data: 16MiB, grace: 200ms }\n");
    cr_assert_eq(config_changes_find(&changes, &running, &wanted), 0);
    cr_expect(changes.count == 0 && changes.live == 0 && changes.slots_moved == 0);
    config_changes_free(&changes);
    LEAKS_NONE();
}

Test(config_change, each_difference_is_told_with_both_values) {
    parse(&running, "shards: 1\nlimits: { idle: 5m }\n");
    parse(&wanted, "shards: 2\nlimits: { connections: 5, frame: 2MiB }\n");
    cr_assert_eq(config_changes_find(&changes, &running, &wanted), 0);
    changed("shards", "1", "2");
    changed("slots", "[{ shard: 0, range: 0-4095 }]",
            "[{ shard: 0, range: 0-2047 }, { shard: 1, range: 2048-4095 }]");
    changed("limits.connections", "10000", "5");
    changed("limits.frame", "1MiB", "2MiB");
    changed("limits.idle", "5m", "0");
    changed("journal.logs", "1", "2");
    cr_expect_eq(changes.count, 6);
    cr_expect_eq(changes.slots_moved, 2048);
    config_changes_free(&changes);
    LEAKS_NONE();
}

Test(config_change, only_live_keys_are_taken) {
    parse(&running, "shards: 1\nio: epoll\nlogs: { data: 16MiB }\n");
    parse(
        &wanted,
        "shards: 2\nio: uring\nlogs: { data: 32MiB, grace: 1s }\nlisten: { native: \"127.0.0.1:1\" }\n"
        "limits: { frame: 2MiB, connections: 5, subscriptions: 6, handshake: 7s, idle: 8s, private: 128KiB, "
        "block: 9s, topics: 2Mi }\n");
    config_take_live(&merged, &running, &wanted);
    config_check(&merged);
    cr_assert_eq(config_changes_find(&changes, &merged, &wanted), 0);
    for (uint32_t i = 0; i < changes.count; i++)
        cr_expect(!changes.list[i].live, "%s is live, and was not taken", changes.list[i].row->path);
    cr_expect(changes.live == 0 && change_of("io") && change_of("logs.data") && change_of("limits.frame") &&
              change_of("limits.topics"));
    config_changes_free(&changes);
    cr_assert_eq(config_changes_find(&changes, &running, &merged), 0);
    for (uint32_t i = 0; i < changes.count; i++)
        cr_expect(changes.list[i].live, "%s is not live, and was taken", changes.list[i].row->path);
    changed("limits.connections", "10000", "5");
    changed("limits.subscriptions", "100000", "6");
    changed("limits.handshake", "10s", "7s");
    changed("limits.idle", "0", "8s");
    changed("limits.private", "64KiB", "128KiB");
    changed("limits.block", "30s", "9s");
    changed("logs.grace", "200ms", "1s");
    changed("listen.native", "127.0.0.1:4470", "127.0.0.1:1");
    config_changes_free(&changes);
    LEAKS_NONE();
}

/* ---- over what runs ---- */

Test(config_change, what_a_partial_text_leaves_out_stays) {
    parse(&running,
          "shards: { count: 2, cpus: [4, 5] }\nslots: [ { shard: 0, range: 0-99 }, { shard: 1, range: "
          "100-4095 } ]\ntopics: [ { match: a, class: memory }, { match: b, class: memory } ]\n"
          "limits: { connections: 9 }\n");
    over("limits: { idle: 5m }\n");
    cr_assert_eq(config_changes_find(&changes, &running, &wanted), 0);
    changed("limits.idle", "0", "5m");
    cr_expect_eq(changes.count, 1);
    config_changes_free(&changes);
    over("slots: [ { shard: 1, range: 0-4095 } ]\ntopics: [ { match: c, class: memory } ]\n");
    cr_assert_eq(config_changes_find(&changes, &running, &wanted), 0);
    changed("slots", "[{ shard: 0, range: 0-99 }, { shard: 1, range: 100-4095 }]",
            "[{ shard: 1, range: 0-4095 }]");
    changed("topics", "[{ match: \"a\", class: memory }, { match: \"b\", class: memory }]",
            "[{ match: \"c\", class: memory }]");
    cr_expect(changes.count == 2 && changes.slots_moved == 100);
    config_changes_free(&changes);
    over("shards: { count: 1, cpus: [7] }\nslots: [ { shard: 0, range: 0-4095 } ]\n");
    cr_expect(wanted.shards == 1 && wanted.cpus_count == 1 && wanted.cpus[0] == 7);
    cr_expect_eq(config_origin_of(&wanted, config_row_find("limits.connections")).from, CONFIG_FROM_FILE);
    cr_expect_eq(config_origin_of(&wanted, config_row_find("limits.connections")).line, 0);
    LEAKS_NONE();
}

Test(config_change, what_a_partial_text_contradicts_is_refused) {
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"shards: 1\n", "the file's slots name shard 1"},
        {"shards: { count: 3 }\n", "2 CPUs are listed for 3 shards"},
        {"limits: { frame: 64MiB }\n", "too small for frames"},
        {"slots: [ { shard: 0, range: 0-4094 } ]\n", "no shard has 4095"},
        {"slots: [ { shard: 2, range: 0-4095 } ]\n", "there is no shard 2"},
        {"limits: { conections: 1 }\n", "is not a key"},
    };
    parse(&running,
          "shards: { count: 2, cpus: [4, 5] }\nlogs: { data: 16MiB }\nslots: [ { shard: 0, range: 0-99 }, "
          "{ shard: 1, range: 100-4095 } ]\n");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool told = false;
        wanted = running;
        cr_expect(!config_parse_over(&wanted, wrong[i].text, strlen(wrong[i].text), &mistakes), "%s",
                  wrong[i].text);
        for (uint32_t m = 0; m < mistakes.count; m++)
            told |= strstr(mistakes.list[m].text, wrong[i].why) != NULL;
        cr_expect(told, "%s: %s", wrong[i].text, mistakes.list[0].text);
    }
    LEAKS_NONE();
}

Test(config_change, an_option_is_told_apart_from_the_file) {
    static const struct config_override option = {"shards", "3"};
    struct config_mistake mistake;
    uint32_t wrong;
    parse(&running, "shards: { count: 2 }\n");
    cr_assert(config_override(&running, &option, 1, &mistake, &wrong));
    cr_expect_eq(config_origin_of(&running, config_row_find("shards")).from, CONFIG_FROM_OPTION);
    cr_expect_str_eq(config_from_name(CONFIG_FROM_OPTION), "option");
    LEAKS_NONE();
}
