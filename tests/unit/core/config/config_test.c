#include "core/config/config.h"

#include "core/config/cpus.h"
#include "core/config/schema.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct config config;
static struct config_mistakes mistakes;

static bool parse(const char *text) {
    return config_parse(&config, text, strlen(text), &mistakes);
}

static void accepts(const char *text) {
    bool right = parse(text);
    cr_expect(right, "refused: %s\n%u:%u: %s", text, mistakes.list[0].line, mistakes.list[0].column,
              mistakes.list[0].text);
    if (right)
        config_check(&config);
}

/* The mistakes of a text, one a line, as "LINE:COLUMN part of the sentence". */
static void refuses(const char *text, const char *const *wanted) {
    uint32_t count = 0;
    cr_expect(!parse(text), "accepted: %s", text);
    for (; wanted[count]; count++) {
        uint32_t line = 0, column = 0;
        int skip = 0;
        cr_assert(sscanf(wanted[count], "%u:%u %n", &line, &column, &skip) == 2);
        const struct config_mistake *got = &mistakes.list[count];
        cr_expect(count < mistakes.count && got->line == line && got->column == column &&
                      strstr(got->text, wanted[count] + skip),
                  "wanted %s\ngot    %u:%u %s", wanted[count], got->line, got->column,
                  count < mistakes.count ? got->text : "nothing");
    }
    cr_expect(mistakes.count == count, "%u mistakes instead of %u in %s; the last: %s", mistakes.count, count,
              text, mistakes.list[mistakes.count ? mistakes.count - 1 : 0].text);
}
#define REFUSES(text, ...) refuses(text, (const char *const[]){__VA_ARGS__, NULL})

/* ---- defaults ---- */

Test(config, an_empty_file_gives_the_defaults) {
    static const char *const empty[] = {"",   "\n",         "# nothing\n",  "---\n",
                                        "{}", "---\n...\n", "\xef\xbb\xbf", "%YAML 1.1\n---\n"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
        accepts(empty[i]);
    cr_expect_str_eq(config.listen_native, "127.0.0.1:4470");
    cr_expect_str_eq(config.listen_admin, "127.0.0.1:4480");
    cr_expect(config.io == IO_AUTO && !config.listen_public && !config.cpus_given && config.slot_seed == 0);
    cr_expect(config.shards == config_cpus());
    cr_expect(config.log_data_bytes == LOG_DATA_DEFAULT);
    cr_expect(config.log_records == LOG_DATA_DEFAULT / LOG_RECORD_BYTES_TYPICAL);
    cr_expect(config.grace_ns == GRACE_NS_DEFAULT);
    cr_expect(config.limits.frame_bytes == FRAME_BYTES_DEFAULT);
    cr_expect(config.limits.connections == CONNECTIONS_DEFAULT);
    cr_expect(config.limits.subscriptions == SUBSCRIPTIONS_DEFAULT);
    cr_expect(config.limits.topics == TOPICS_DEFAULT);
    cr_expect(config.limits.handshake_ns == HANDSHAKE_NS_DEFAULT && config.limits.idle_ns == 0);
    cr_expect(config.limits.private_bytes == PRIVATE_BYTES_MAX && config.limits.block_ns == BLOCK_NS_DEFAULT);
    LEAKS_NONE();
}

Test(config, the_defaults_written_out_are_the_defaults) {
    struct config defaults;
    config_defaults(&defaults);
    config_check(&defaults);
    accepts("listen:  { native: \"127.0.0.1:4470\", admin: \"127.0.0.1:4480\", ingest: \"127.0.0.1:4481\" }\n"
            "io:      auto\n"
            "shards:  auto\n"
            "logs:    { data: auto, records: auto, grace: 200ms }\n"
            "limits:  { frame: 1MiB, connections: 10000, subscriptions: 100000, topics: 1Mi, handshake: 10s, "
            "idle: 0 }\n"
            "topics:\n"
            "  - { match: \">\", class: memory }\n");
    cr_expect(config.topics_count == 1 && config.topics[0].class == TOPIC_MEMORY);
    config.topics_count = 0; /* a rule for all topics that says what holds without it */
    config.topics[0] = defaults.topics[0];
    memset(config.origins, 0, sizeof config.origins);
    cr_expect(memcmp(&config, &defaults, sizeof config) == 0);
}

/* ---- every row of the schema: what it takes, and what it refuses, at the value's place ---- */

struct twin {
    const char *path;
    const char *right; /* a whole file */
    const char *wrong; /* a whole file with one mistake ... */
    uint32_t line;     /* ... there */
    uint32_t column;
    const char *part; /* of the sentence */
};

static const struct twin twins[] = {
    {"listen.native", "listen: {native: \"127.0.0.2:0\"}", "listen: {native: 127.0.0.1}", 1, 18,
     "not an address"},
    {"listen.admin", "listen: {admin: off}", "listen: {admin: none}", 1, 17, "or off"},
    {"listen.admin_token_file", "listen: {admin_token_file: token}", "listen: {admin_token_file: \"\"}", 1,
     28, "the value is empty"},
    {"listen.ingest", "listen:\n  ingest: \"[::1]:9\"", "listen:\n  ingest: \"[::1]:99999\"", 2, 11,
     "not an address"},
    {"listen.public", "listen: {public: true, native: \"0.0.0.0:0\"}", "listen: {public: yes}", 1, 18,
     "neither true nor false"},
    {"io", "io: epoll", "io: kqueue", 1, 5, "write auto, uring or epoll"},
    {"shards", "shards: 3", "shards: 65", 1, 9, "65 is too large"},
    {"shards.count", "shards: { count: 64 }", "shards: { count: 0 }", 1, 18,
     "0 is too small; write auto, or 1 to 64"},
    {"shards.cpus", "shards: { cpus: [0, 1023] }", "shards: { cpus: [0, 1024] }", 1, 21, "write 0 to 1023"},
    {"slots", "slots: [{shard: 0, range: 0-4095}]", "slots: 3", 1, 8, "this must be a list"},
    {"slots[].shard", "shards: 2\nslots: [{shard: 1, range: 0-4095}]", "slots: [{shard: 64, range: 0-4095}]",
     1, 17, "64 is too large; write 0 to 63"},
    {"slots[].range", "slots: [{shard: 0, range: 0-4094}, {range: 4095, shard: 0}]",
     "slots: [{shard: 0, range: 4095-0}]", 1, 27, "runs backwards"},
    {"slot_seed", "slot_seed: 18446744073709551615", "slot_seed: -1", 1, 12, "not a whole number"},
    {"logs.data", "logs: { data: 8MiB }", "logs: { data: 9MiB }", 1, 15,
     "not a power of two; write 8MiB or 16MiB"},
    {"logs.records", "logs: { records: 1Ki }", "logs: { records: 1000 }", 1, 18, "1000 is too small"},
    {"logs.grace", "logs: { grace: 0 }", "logs: { grace: 61s }", 1, 16,
     "61s is too large; write 0, or 1us to 1m"},
    {"limits.frame", "limits: { frame: 65KiB }", "limits: { frame: 64KiB }", 1, 18,
     "64KiB is too small; write 65KiB to 64MiB"},
    {"limits.connections", "limits: { connections: 1 }", "limits: { connections: 0 }", 1, 24,
     "0 is too small"},
    {"limits.subscriptions", "limits: { subscriptions: 64Mi }", "limits: { subscriptions: 65Mi }", 1, 26,
     "65Mi is too large"},
    {"limits.topics", "limits: { topics: 16 }", "limits: { topics: 15 }", 1, 19, "15 is too small"},
    {"limits.private", "limits: { private: 4KiB }", "limits: { private: 1MB }", 1, 20, "write 1MiB"},
    {"limits.handshake", "limits: { handshake: 10ms }", "limits: { handshake: 0 }", 1, 22, "0 is too small"},
    {"limits.block", "limits: { block: 1h }", "limits: { block: 0 }", 1, 18, "0 is too small"},
    {"limits.idle", "limits: { idle: 24h }", "limits: { idle: 5ms }", 1, 17,
     "5ms is too small; write 0, or 10ms"},
    {"journal.dir", "journal: {dir: /var/lib/roundhouse}", "journal: {dir: \"\"}", 1, 16, "is empty"},
    {"journal.logs", "journal: {logs: 32}", "journal: {logs: 33}", 1, 17, "write auto, or 1 to 32"},
    {"journal.segment", "journal: {segment: 1GiB}", "journal: {segment: 63KiB}", 1, 20, "63KiB is too small"},
    {"journal.retain_bytes", "journal: {retain_bytes: 100GiB}", "journal: {retain_bytes: 100GB}", 1, 25,
     "write 100GiB"},
    {"journal.retain_age", "journal: {retain_age: 168h}", "journal: {retain_age: 7d}", 1, 23, "not a time"},
    {"routes", "routes: routes.d", "routes: \"\"", 1, 9, "the value is empty"},
    {"spokes", "spokes: spokes.d", "spokes: \"\"", 1, 9, "the value is empty"},
    {"spokes_state", "spokes_state: /var/lib/roundhouse/spokes", "spokes_state: \"a\\0b\"", 1, 15,
     "has a byte 0 in it"},
    {"log.format", "log: {format: json}", "log: {format: yaml}", 1, 15, "write logfmt or json"},
    {"log.level", "log: {level: error}", "log: {level: debug}", 1, 14, "write info, warn or error"},
    {"topics", "topics: []", "topics: memory", 1, 9, "this must be a list"},
    {"topics[].match", "topics: [{match: a.*.>, class: memory}]", "topics: [{match: a..b, class: memory}]", 1,
     18, "not a pattern"},
    {"topics[].class", "topics: [{match: \">\", class: disk}]", "topics: [{match: \">\", class: tape}]", 1,
     30, "write memory or disk"},
    {"topics[].expiry", "topics: [{match: a, expiry: 10m}]", "topics: [{match: a, expiry: 0}]", 1, 29,
     "0 is too small; write 1ms to 8784h"},
    {"topics[].duplicates.window", "topics: [{match: a, duplicates: {window: 5m}}]",
     "topics: [{match: a, duplicates: {window: 5}}]", 1, 42, "not a time"},
    {"topics[].duplicates.count", "topics: [{match: a, duplicates: {window: 5m, count: 16Mi}}]",
     "topics: [{match: a, duplicates: {window: 5m, count: 17Mi}}]", 1, 53, "17Mi is too large"},
};

Test(config, every_row_of_the_schema_takes_what_is_right_and_refuses_what_is_wrong) {
    cr_assert(sizeof twins / sizeof twins[0] == config_rows_count, "a row has no twin");
    for (uint32_t i = 0; i < config_rows_count; i++) {
        const struct twin *twin = &twins[i];
        cr_expect_str_eq(twin->path, config_rows[i].path);
        accepts(twin->right);
        cr_expect(!parse(twin->wrong), "accepted: %s", twin->wrong);
        const struct config_mistake *got = &mistakes.list[0];
        cr_expect(mistakes.count == 1 && got->line == twin->line && got->column == twin->column &&
                      strstr(got->text, twin->part),
                  "%s: %u mistakes, the first %u:%u: %s", twin->wrong, mistakes.count, got->line, got->column,
                  got->text);
    }
}

/* What every sentence needs: the key that is meant. */
Test(config, every_value_refused_names_its_key) {
    for (uint32_t i = 0; i < config_rows_count; i++) {
        parse(twins[i].wrong);
        cr_expect(strncmp(mistakes.list[0].text, twins[i].path, strlen(twins[i].path)) == 0, "%s",
                  mistakes.list[0].text);
    }
}

Test(config, the_least_and_the_most_of_every_number_are_allowed_and_no_more) {
    for (uint32_t i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        char why[CONFIG_WHY_BYTES], text[32];
        const char *unit = row->type == CONFIG_SIZE ? "B" : row->type == CONFIG_TIME ? "us" : "";
        uint64_t factor = row->type == CONFIG_TIME ? NS_PER_US : 1;
        static struct config into;
        if (row->type < CONFIG_COUNT || row->type > CONFIG_TIME || strchr(row->path, '['))
            continue;
        for (int end = 0; end < 2; end++) {
            uint64_t value = (end ? row->max : row->min) / factor;
            uint64_t beyond = end ? value + 1 : value - 1;
            snprintf(text, sizeof text, "%llu%s", (unsigned long long)value, unit);
            cr_expect(config_row_set(row, &into, text, strlen(text), why), "%s: %s: %s", row->path, text,
                      why);
            snprintf(text, sizeof text, "%llu%s", (unsigned long long)beyond, unit);
            bool zero = beyond == 0 && (row->flags & CONFIG_ZERO);
            bool wraps = end ? row->max == UINT64_MAX : row->min == 0;
            cr_expect(wraps || config_row_set(row, &into, text, strlen(text), why) == zero, "%s takes %s",
                      row->path, text);
        }
    }
}

/* ---- all at once ---- */

Test(config, five_mistakes_give_five) {
    REFUSES("listen: { native: \"localhost:4470\", admim: \"127.0.0.1:4480\" }\n"
            "io: epol\n"
            "logs:\n"
            "  data: 64 MiB\n"
            "limits: { frame: 1MiB, handshake: 10 }\n",
            "1:19 listen.native: \"localhost:4470\" is not an address",
            "1:37 \"admim\" is not a key of listen; did you mean admin?", "2:5 io: \"epol\"",
            "4:9 logs.data: \"64 MiB\" is not a size; the units are B, KiB, MiB and GiB, without a blank: "
            "write 64MiB",
            "5:35 limits.handshake: \"10\" is not a time");
}

Test(config, mistakes_before_a_syntax_error_are_named_with_it) {
    REFUSES("io: warp\nlogs: { data: 1x\nlimits: { frame: 1MiB }\n", "1:5 io", "2:15 logs.data",
            "3:7 a comma or the closing } is missing before this");
}

Test(config, only_the_first_hundred_are_kept_and_all_are_counted) {
    char *text = malloc(250 * 8);
    cr_assert(text);
    size_t length = 0;
    for (int i = 0; i < 250; i++)
        length += (size_t)sprintf(text + length, "k%c%c: 1\n", 'a' + i / 26, 'a' + i % 26);
    cr_expect(!config_parse(&config, text, length, &mistakes));
    cr_expect(mistakes.count == 250 && mistakes.list[CONFIG_MISTAKES_MAX - 1].line == 100);
    free(text);
    LEAKS_NONE();
}

/* ---- keys ---- */

Test(config, unknown_keys_say_which_was_meant) {
    REFUSES(
        "shard: 2\nlimit: {}\nlimits: { conections: 3, zzz: 1, data: 1MiB }\nframe: 1MiB\nlimits.idle: 1s\n",
        "1:1 did you mean shards?", "2:1 did you mean limits?", "3:11 did you mean connections?",
        "3:26 the keys here are frame, connections,", "3:34 write it as logs: { data: ... }",
        "4:1 write it as limits: { frame: ... }", "5:1 write it as limits: { idle: ... }");
}

Test(config, keys_given_twice_are_refused_whatever_they_are) {
    REFUSES("io: auto\nlimits: { frame: 1MiB, frame: 2MiB }\nio: auto\nlimits: {}\nslots: []\nslots: []\n",
            "2:24 frame is given twice, the first time in line 2",
            "3:1 io is given twice, the first time in line 1",
            "4:1 limits is given twice, the first time in line 2", "5:8 no shard has 0-4095",
            "6:1 slots is given twice, the first time in line 5");
    REFUSES("slots: [{shard: 0, shard: 0, range: 0-4095}]", "1:20 shard is given twice");
}

Test(config, things_of_the_wrong_kind_are_refused) {
    REFUSES("io: [auto]\nlimits: 3\nlisten: []\nslots: {}\nlogs:\nshards: { cpus: 1 }\n",
            "1:5 io: this must be a single value", "2:9 limits: this must be a mapping",
            "3:9 listen: this must be a mapping", "4:8 slots: this must be a list",
            "5:6 logs: this must be a mapping", "6:17 shards.cpus: this must be a list");
    REFUSES("io:\n", "1:4 io: the value is empty");
    REFUSES("io: ''\n", "1:5 io: the value is empty");
    REFUSES("just text", "1:1 the file must be a mapping");
    REFUSES("- io: auto", "1:1 the file must be a mapping");
    REFUSES("? [io]\n: auto\n", "1:3 a key must be a word");
    REFUSES("\"io\\0\": auto", "1:1 is not a key");
    REFUSES("slots: [3, {shard: 0}, {}]", "1:9 this must be a mapping", "1:12 this item has no range",
            "1:24 this item has no shard", "1:24 this item has no range");
}

/* ---- shards and slots ---- */

Test(config, slots_are_split_evenly_by_default) {
    for (uint32_t shards = 1; shards <= SHARDS_MAX; shards++) {
        char text[32];
        uint32_t slots[SHARDS_MAX] = {0};
        snprintf(text, sizeof text, "shards: %u", shards);
        accepts(text);
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
            slots[config.slots[slot]]++;
            cr_expect(slot == 0 || config.slots[slot] >= config.slots[slot - 1]);
        }
        for (uint32_t shard = 0; shard < shards; shard++)
            cr_expect(slots[shard] == SLOT_COUNT / shards || slots[shard] == SLOT_COUNT / shards + 1);
    }
    accepts("shards: { count: 2 }");
    cr_expect(config.slots[2047] == 0 && config.slots[2048] == 1);
}

Test(config, a_map_of_slots_is_taken_as_it_is_written) {
    accepts("shards: { count: 2, cpus: [1, 0] }\n"
            "slots:\n"
            "  - { shard: 0, range: 0-2047 }\n"
            "  - { shard: 1, range: 2048-4094 }\n"
            "  - { shard: 0, range: 4095 }\n");
    cr_expect(config.slots[0] == 0 && config.slots[2048] == 1 && config.slots[4094] == 1 &&
              config.slots[4095] == 0);
    cr_expect(config.cpus_given && config.cpus[0] == 1 && config.cpus[1] == 0);
}

Test(config, holes_in_the_map_of_slots_are_named_exactly) {
    REFUSES("shards: 2\nslots:\n  - { shard: 0, range: 1-2047 }\n  - { shard: 1, range: 2049-4000 }\n",
            "3:3 no shard has 0;", "3:3 no shard has 2048;", "3:3 no shard has 4001-4095;");
    REFUSES("slots: []", "1:8 no shard has 0-4095");
}

Test(config, overlaps_in_the_map_of_slots_name_the_slots_and_both_lines) {
    REFUSES("shards: 2\nslots:\n  - { shard: 0, range: 0-2048 }\n  - { shard: 1, range: 2040-4095 }\n",
            "4:24 shard 0 has 2040-2048 already (line 3)");
    REFUSES("shards: 2\nslots:\n  - { shard: 0, range: 0-9 }\n  - { shard: 1, range: 20-4095 }\n  - { shard: "
            "1, range: 5-25 }\n",
            "5:24 shard 0 has 5-9 already (line 3)", "5:24 shard 1 has 20-25 already (line 4)");
    REFUSES("slots: [{shard: 0, range: 0-4095}, {shard: 0, range: 7}]",
            "1:54 shard 0 has 7 already (line 1)");
}

Test(config, shards_that_do_not_exist_can_not_have_slots) {
    REFUSES("shards: 2\nslots:\n  - { shard: 2, range: 0-4095 }\n",
            "3:14 there is no shard 2; with 2 shards write 0 to 1");
    REFUSES("slots:\n  - { shard: 0, range: 0-4096 }\n", "2:24 there is no slot 4096");
}

/* So that a file means the same on a smaller machine. */
Test(config, auto_makes_at_least_the_shards_that_slots_name) {
    accepts("slots: [{shard: 60, range: 0-4095}]");
    cr_expect(config.shards == 61);
}

Test(config, the_list_of_cpus_has_one_for_each_shard) {
    accepts("shards: { cpus: [3, 5, 7] }");
    cr_expect(config.shards == 3 && config.cpus_given && config.cpus[2] == 7);
    REFUSES("shards: { count: 2, cpus: [0] }", "1:27 1 CPUs are listed for 2 shards");
    REFUSES("shards: { count: 2, cpus: [0, 0, -1, 0x1, one] }", "1:31 CPU 0 is given twice",
            "1:34 \"-1\" is not the number", "1:38 \"0x1\" is not the number",
            "1:43 \"one\" is not the number");
    REFUSES("shards: { cpus: [] }", "1:17 the list is empty");
}

/* ---- numbers ---- */

Test(config, numbers_beyond_64_bits_are_too_large) {
    REFUSES(
        "limits: { frame: 17179869184GiB, private: 18446744073709551616B, connections: 99999999999999999999, "
        "subscriptions: 17592186044416Mi, idle: 99999999999999h }\nslot_seed: 18446744073709551616",
        "1:18 limits.frame: \"17179869184GiB\" is too large; write 65KiB to 64MiB",
        "1:43 limits.private: \"18446744073709551616B\" is too large",
        "1:79 limits.connections: ", "1:116 \"17592186044416Mi\" is too large",
        "1:140 is too large; write 0, or 10ms to 24h", "2:12 is too large; write 0 to 18446744073709551615");
}

Test(config, what_is_written_instead_can_be_written) {
    REFUSES("limits: { frame: 01MiB }",
            "1:18 \"01MiB\" is not a size; the units are B, KiB, MiB and GiB, without "
            "a blank: write 1MiB");
    REFUSES("limits: { frame: 17179869184GB }", "1:18 is not a size; write a whole number");
    REFUSES("limits: { frame: 00MB }", "1:18 is not a size; write a whole number");
}

/* ---- what must hold between keys ---- */

Test(config, a_log_holds_at_least_eight_of_the_largest_frame) {
    accepts("logs: { data: 8MiB }\nlimits: { frame: 1MiB }");
    REFUSES("limits: { frame: 1025KiB }\nlogs: { data: 8MiB }",
            "2:15 8MiB is too small for frames of 1025KiB (limits.frame); a log holds at least 8 of them: "
            "write 16MiB");
    REFUSES("logs: { data: 4MiB }", "1:15 logs.data: 4MiB is too small for frames of 1MiB");
    accepts("limits: { frame: 64MiB }");
    cr_expect(config.log_data_bytes == 512 * MIB && config.log_records == 4 * MIB);
}

Test(config, listeners_off_loopback_must_be_asked_for) {
    REFUSES("listen: { native: \"0.0.0.0:4470\", admin: \"[::]:4480\" }",
            "1:19 other machines reach 0.0.0.0:4470", "1:42 listen.admin: other machines reach [::]:4480");
    REFUSES("listen: { public: false, ingest: \"10.0.0.1:1\" }", "1:34 listen.ingest");
    REFUSES("listen: { admin: \"0.0.0.0:4480\", public: true }",
            "1:18 listen.admin: other machines reach 0.0.0.0:4480, so a token is needed");
    accepts("listen: { admin: \"0.0.0.0:4480\", public: true, admin_token_file: /etc/roundhouse/token }");
    cr_expect_str_eq(config.admin_token_file, "/etc/roundhouse/token");
    accepts("listen: { native: \"0.0.0.0:4470\", public: true }");
    cr_expect(config.listen_public);
    accepts("listen: { public: true }");
    cr_expect(!config.listen_public);
}

Test(config, two_listeners_can_not_have_one_address) {
    REFUSES("listen: { native: \"127.0.0.1:4480\" }",
            "1:19 listen.admin: 127.0.0.1:4480 is the address of listen.native too");
    accepts("listen: { native: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", ingest: \"127.0.0.1:0\" }");
    accepts("listen: { admin: off, ingest: off }");
    REFUSES("listen: { native: \"[::1]:1\", admin: \"[0:0:0:0:0:0:0:1]:1\" }",
            "1:37 listen.admin: [0:0:0:0:0:0:0:1]:1 is part of [::1]:1 (listen.native); write another port");
    REFUSES("listen: { native: \"0.0.0.0:4480\", public: true }",
            "1:19 listen.admin: 127.0.0.1:4480 is part of 0.0.0.0:4480 (listen.native)");
    REFUSES("listen: { native: \"[::1]:7\", admin: \"[::]:7\", public: true, admin_token_file: t }",
            "1:37 listen.admin: [::]:7");
    accepts("listen: { native: \"127.0.0.1:7\", admin: \"[::1]:7\", ingest: \"127.0.0.2:7\" }");
    accepts("listen: { native: \"0.0.0.0:0\", admin: \"127.0.0.1:0\", public: true }");
}

/* ---- YAML that is not plain ---- */

Test(config, anchors_aliases_and_tags_are_refused_and_grow_nothing) {
    REFUSES("a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n", "1:1 \"a\" is not a key",
            "1:4 anchors", "2:1 \"b\" is not a key", "2:4 anchors", "2:8 aliases", "2:12 aliases",
            "2:16 aliases", "3:1 \"c\" is not a key", "3:4 anchors", "3:8 aliases", "3:12 aliases",
            "3:16 aliases");
    REFUSES("io: !!str auto\n", "1:5 tags");
    REFUSES("limits: &x {}\nlogs: *x\n", "1:9 anchors", "2:7 aliases");
    REFUSES("io: *nothing\n", "1:5 aliases");
    REFUSES("limits:\n  <<: { frame: 1MiB }\n", "2:3 \"<<\" is not a key");
    LEAKS_NONE();
}

Test(config, deep_nesting_and_floods_of_values_end_early) {
    char *text = malloc(CONFIG_FILE_BYTES_MAX);
    cr_assert(text);
    memset(text, '[', CONFIG_FILE_BYTES_MAX);
    cr_expect(!config_parse(&config, text, CONFIG_FILE_BYTES_MAX, &mistakes));
    cr_expect(mistakes.count == 2 && mistakes.list[1].column == CONFIG_DEPTH_MAX + 1);
    memcpy(text, "topics: [", 9);
    for (size_t i = 9; i + 1 < CONFIG_FILE_BYTES_MAX; i += 2)
        memcpy(text + i, "1,", 2);
    cr_expect(!config_parse(&config, text, CONFIG_FILE_BYTES_MAX, &mistakes));
    cr_expect(mistakes.count > 60000);
    free(text);
    LEAKS_NONE();
}

Test(config, yaml_errors_have_their_place_and_a_way_out) {
    REFUSES("limits:\n\tframe: 1MiB\n", "2:1 there is a tab here; indent with blanks");
    REFUSES("io: auto\nlimits\nlogs: {}\n", "3:1 the key before this has no colon");
    REFUSES("io: auto: epoll\n", "1:9 a colon is not expected here");
    REFUSES("io: @auto\n", "1:5 put the value in quotes");
    REFUSES("limits:\n  frame: 1MiB\n idle: 1s\n", "3:2 a key was expected here; check the indentation");
    REFUSES("shards: { cpus: [0, 1 }\n", "1:23 a comma or the closing ] is missing");
    REFUSES("io: \"auto\n", "2:1 this is not YAML");
    REFUSES("io: auto\n---\nio: auto\n", "2:1 a second document begins here");
}

Test(config, bytes_that_are_not_text_are_named_by_line) {
    static const char nul[] = "io: auto\n a\0b: 1\n";
    cr_expect(!config_parse(&config, nul, sizeof nul - 1, &mistakes));
    cr_expect(mistakes.count == 1 && mistakes.list[0].line == 2 && mistakes.list[0].column == 3);
    REFUSES("io: warp\n# \xff\xff\n# \xc3\xa4 \x01\n\xed\xa0\x80: 1\n", "1:5 io", "2:3 not UTF-8",
            "3:5 control character", "4:1 not UTF-8");
    REFUSES("# \xe2\x80\xa8 x\n", "1:3 invisible line separator");
    accepts("# Gr\xc3\xbc\xc3\x9f"
            "e \xf0\x9f\x9a\x82\r\nio: auto\r\n");
    REFUSES("# one\r\n# \xc3\xbc\xc3\xbc\r\nio: x\r\n", "3:5 io");
    REFUSES("\xff\xfei\0o", "1:1 not UTF-8");
}

/* ---- topics ---- */

Test(config, rules_for_topics_are_kept_in_their_order) {
    accepts("topics:\n"
            "  - { match: \"erp.>\", class: memory, expiry: 10m, duplicates: { window: 5m, count: 1000 } }\n"
            "  - { match: a.*, duplicates: { window: 1h } }\n"
            "  - { match: a.b }\n");
    const struct topic_rule *rule = config.topics;
    cr_assert_eq(config.topics_count, 3);
    cr_expect(rule[0].expiry_ns == 600 * NS_PER_S && rule[0].duplicates_window_ns == 300 * NS_PER_S);
    cr_expect(rule[0].duplicates_count == 1000 && rule[0].length == 5);
    cr_expect(memcmp(rule[0].pattern, "erp.>", 5) == 0);
    cr_expect(rule[0].class == TOPIC_MEMORY && rule[1].class == TOPIC_DISK);
    cr_expect(rule[1].expiry_ns == 0 && rule[1].duplicates_count == DUPLICATES_DEFAULT);
    cr_expect(rule[2].expiry_ns == 0 && rule[2].duplicates_window_ns == 0 && rule[2].duplicates_count == 0);
}

Test(config, a_rule_for_topics_says_what_it_lacks) {
    REFUSES("topics:\n  - { class: memory }\n",
            "2:5 this item has no match; write { match: ..., class: memory }");
    REFUSES("topics:\n  - { match: a, duplicates: { count: 5 } }\n",
            "2:5 this item has no window; write duplicates: { window: 5m, count: 100000 }");
    REFUSES("topics:\n  - { match: a, duplicates: {} }\n", "2:5 this item has no window");
    REFUSES("topics:\n  - { match: a, duplicates: 5m }\n", "2:5 this item has no window",
            "2:29 duplicates: this must be a mapping");
    REFUSES("topics:\n  - { match: a, duplicates: { windw: 5m } }\n", "2:5 this item has no window",
            "2:31 \"windw\" is not a key of topics; did you mean window?");
    REFUSES("topics:\n  - { match: a, expiry: 1m, expiry: 2m }\n", "2:29 expiry is given twice");
}

Test(config, the_list_of_topics_has_256_items_at_most) {
    static char text[12000];
    size_t used = 0;
    for (int i = 0; i < 257; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s  - { match: t%d, expiry: 1m }\n",
                                 i == 0 ? "topics:\n" : "", i);
    REFUSES(text, "258:5 topics: the list is too long; 256 items are the most");
    text[used - strlen("  - { match: t256, expiry: 1m }\n")] = '\0';
    accepts(text);
    cr_expect_eq(config.topics_count, 256);
}

/* ---- the command line ---- */

static void overrides(const char *key, const char *value) {
    struct config_mistake mistake = {0};
    uint32_t wrong;
    cr_expect(config_override(&config, &(struct config_override){key, value}, 1, &mistake, &wrong),
              "%s %s: %s", key, value, mistake.text);
    config_check(&config);
}

static void override_refused(const char *key, const char *value, const char *part) {
    struct config_mistake mistake = {0};
    struct config before = config;
    uint32_t wrong = 1;
    cr_expect(!config_override(&config, &(struct config_override){key, value}, 1, &mistake, &wrong),
              "%s %s is accepted", key, value);
    cr_expect(strstr(mistake.text, part) && mistake.line == 0 && wrong == 0, "%s", mistake.text);
    cr_expect(memcmp(&before, &config, sizeof config) == 0, "the config has changed");
}

Test(config, overrides_go_through_the_same_checks) {
    config_defaults(&config);
    overrides("listen.native", "127.0.0.1:0");
    overrides("listen.native", "[::1]:0");
    overrides("listen.admin", "off");
    overrides("io", "epoll");
    overrides("shards", "3");
    cr_expect(config.shards == 3 && config.slots[4095] == 2 && config.io == IO_EPOLL);
    overrides("limits.frame", "64MiB");
    cr_expect(config.log_data_bytes == 512 * MIB && config.log_records == 4 * MIB);
    overrides("shards", "auto");
    cr_expect(config.shards == config_cpus());
    override_refused("shards", "0", "too small");
    override_refused("shards", "many", "not a whole number");
    override_refused("io", "magic", "write auto, uring or epoll");
    override_refused("listen.native", "nowhere", "not an address");
    override_refused("listen.native", "0.0.0.0:1", "public: true");
    override_refused("logs.data", "1MiB", "too small for frames");
    override_refused("slots", "0-4095", "write it into the file");
    override_refused("slots[].shard", "1", "write it into the file");
    override_refused("nonsense", "1", "write it into the file");
}

Test(config, overrides_keep_to_what_the_file_says) {
    accepts("slots: [{shard: 1, range: 0-4095}]\nlisten: {public: true}\nlogs: {data: 8MiB}");
    overrides("shards", "5");
    cr_expect(config.slots[0] == 1 && config.slots[4095] == 1);
    override_refused("shards", "1", "slots name shard 1");
    overrides("listen.native", "0.0.0.0:0");
    cr_expect(config.listen_public);
    override_refused("limits.frame", "2MiB", "8MiB is too small");
    accepts("shards: {cpus: [0, 1]}");
    override_refused("shards", "3", "2 CPUs are listed for 3 shards");
    overrides("shards", "2");
    overrides("shards", "auto");
    cr_expect(config.shards == 2);
}

/* Several at once: which one is wrong; COUNT = none. */
#define TOGETHER(count, ...) together((const struct config_override[]){__VA_ARGS__}, count)

static uint32_t together(const struct config_override *list, uint32_t count) {
    struct config_mistake mistake = {0};
    uint32_t wrong = count;
    if (config_override(&config, list, count, &mistake, &wrong))
        wrong = count;
    return wrong;
}

Test(config, overrides_are_held_against_each_other_when_all_are_taken) {
    config_defaults(&config);
    cr_expect(TOGETHER(2, {"listen.native", "127.0.0.1:4480"}, {"listen.admin", "127.0.0.1:4470"}) == 2);
    config_defaults(&config);
    cr_expect(TOGETHER(2, {"listen.native", "127.0.0.1:4480"}, {"listen.admin", "off"}) == 2);
    config_defaults(&config);
    cr_expect(TOGETHER(3, {"listen.native", "127.0.0.1:1"}, {"shards", "1"}, {"listen.native", "[::1]:0"}) ==
              3);
    cr_expect(
        TOGETHER(3, {"shards", "1"}, {"listen.admin", "127.0.0.1:5"}, {"listen.native", "127.0.0.1:5"}) == 2);
    cr_expect(TOGETHER(3, {"shards", "1"}, {"listen.native", "127.0.0.1:4480"}, {"io", "auto"}) == 1);
    cr_expect(TOGETHER(3, {"shards", "x"}, {"listen.native", "127.0.0.1:4480"}, {"io", "auto"}) == 0);
}

Test(config, http_in_has_an_address_of_its_own) {
    config_defaults(&config);
    override_refused("listen.native", "127.0.0.1:4481", "listen.ingest");
    REFUSES("listen: { native: \"127.0.0.1:4481\" }", "1:19 listen.ingest: 127.0.0.1:4481 is the address");
    accepts("listen: { native: \"127.0.0.1:4481\", ingest: off }");
    REFUSES("listen: { native: \"127.0.0.1:4481\", ingest: \"127.0.0.1:4481\" }", "1:45 listen.ingest");
    accepts("listen: { ingest: \"127.0.0.1:4482\" }");
    override_refused("listen.native", "127.0.0.1:4482", "listen.ingest");
    REFUSES("listen: { native: \"127.0.0.1:7\", ingest: \"127.0.0.1:7\" }",
            "1:42 listen.ingest: 127.0.0.1:7");
}

/* ---- files ---- */

Test(config, paths_of_spokes_are_as_seen_from_the_file) {
    char path[] = "/tmp/rh-config-XXXXXX";
    int fd = mkstemp(path);
    char text[] = "routes: routes.d\nspokes: spokes.d\nspokes_state: /var/state\n";
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    cr_expect(config_load(&config, path, &mistakes) == 0 && mistakes.count == 0);
    cr_expect_str_eq(config.routes_dir, "/tmp/routes.d");
    cr_expect_str_eq(config.spokes_dir, "/tmp/spokes.d");
    cr_expect_str_eq(config.spokes_state, "/var/state");
    cr_assert(ftruncate(fd, 0) == 0);
    cr_expect(config_load(&config, path, &mistakes) == 0 && mistakes.count == 0);
    cr_expect_str_eq(config.spokes_dir, "off");
    cr_expect(config.spokes_state_auto);
    close(fd);
    unlink(path);
}

Test(config, files_are_read_and_failures_told) {
    char path[] = "/tmp/rh-config-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "io: epoll\n", 10) == 10);
    cr_expect(config_load(&config, path, &mistakes) == 0 && mistakes.count == 0 && config.io == IO_EPOLL);
    cr_assert(write(fd, "io: x\n", 6) == 6);
    cr_expect(config_load(&config, path, &mistakes) == 0 && mistakes.count == 1);
    cr_assert(ftruncate(fd, CONFIG_FILE_BYTES_MAX + 1) == 0);
    cr_expect(config_load(&config, path, &mistakes) == -EFBIG);
    close(fd);
    unlink(path);
    cr_expect(config_load(&config, path, &mistakes) == -ENOENT);
    cr_expect(config_load(&config, "/", &mistakes) == -EISDIR);
    LEAKS_NONE();
}
