/* ruleset_schema.c: every key of a file of rules. */
#include "core/base/limits.h"
#include "core/routes/ruleset.h"

#include <string.h>

#define AT(field)    offsetof(struct ruleset, field)
#define TABLE(field) offsetof(struct config_table, field)
#define RULE(field)  offsetof(struct rule, field)
#define TEST(field)  offsetof(struct ruleset_test, field)
#define NO           CONFIG_NO_AUTO
#define MS           NS_PER_MS

static const char *const matches[] = {"first", "all", NULL};

/* clang-format off */
static const struct config_row rows[] = {
    /* path, type, flags, at, auto, min, max, default, change, help, words */
    {"on", CONFIG_TEXTS, 0, AT(on), NO, 0, 0,
     "", "restart", "patterns of the topics whose events are looked at; this key must be there, "
     "and stays while there is the queue route.NAME", NULL},
    {"match", CONFIG_WORD, 0, AT(match), NO, 0, 0,
     "first", "restart", "the first rule that matches is the only one, or all that match count", matches},
    {"define", CONFIG_TEXT, 0, AT(define), NO, 0, 0,
     "", "restart", "jq: definitions (def NAME: ...;) that all rules may use", NULL},
    {"memory", CONFIG_SIZE, 0, AT(memory_bytes), NO, 16 * MIB, 4 * GIB,
     "256MiB", "restart", "of the process that evaluates the rules", NULL},
    {"time", CONFIG_TIME, 0, AT(time_ns), NO, MS, 60 * NS_PER_S,
     "1s", "restart", "CPU time for one event", NULL},
    {"attempts", CONFIG_COUNT, CONFIG_ZERO, AT(attempts), NO, 1, QUEUE_ATTEMPTS_MAX,
     "0", "restart", "deliveries before an event is a dead letter; 0 = the router's default, 5", NULL},
    {"lease", CONFIG_TIME, CONFIG_ZERO, AT(lease_ns), NO, QUEUE_LEASE_NS_MIN, QUEUE_LEASE_NS_MAX,
     "0", "restart", "how long an event may stay unanswered before it comes again; 0 = the router's "
     "default, 30s", NULL},
    {"window", CONFIG_COUNT, CONFIG_ZERO, AT(window), NO, 1, QUEUE_WINDOW_MAX,
     "0", "restart", "events on their way at a time, those that wait to be merged among them; 0 = 256", NULL},

    {"tables", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "restart", "tables to look things up in: $tables.NAME[KEY]", NULL},
    {"tables[].name", CONFIG_TEXT, 0, TABLE(name), NO, 0, 0,
     "", "restart", "as jq names it: letters, digits and _", NULL},
    {"tables[].file", CONFIG_FILE, 0, TABLE(file), NO, 0, 0,
     "", "restart", "CSV in UTF-8 with commas, its columns named in the first row", NULL},
    {"tables[].dialect", CONFIG_FILE, 0, TABLE(dialect), NO, 0, 0,
     "", "restart", "file with the dialect, if it is another one; see LAYOUTS.md", NULL},
    {"tables[].key", CONFIG_TEXT, 0, TABLE(key), NO, 0, 0,
     "", "restart", "the column to look up; no two rows may have the same", NULL},
    {"tables[].value", CONFIG_TEXTS, 0, TABLE(values), NO, 0, 0,
     "", "restart", "the column whose text is found; of several, or without this key of all others, "
     "an object", NULL},

    {"rules", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "restart", "the rules, in their order; this key must be there", NULL},
    {"rules[].name", CONFIG_TEXT, 0, RULE(name), NO, 0, 0,
     "", "restart", "letters, digits, - and _; the ids of what the rule publishes have it, so it "
     "stays", NULL},
    {"rules[].when", CONFIG_TEXT, 0, RULE(when), NO, 0, 0,
     "", "restart", "jq: the rule matches when this is neither false nor null; default: always", NULL},
    {"rules[].split", CONFIG_TEXT, 0, RULE(split), NO, 0, 0,
     "", "restart", "jq: each output is a part, and becomes an event of its own", NULL},
    {"rules[].map", CONFIG_TEXT, 0, RULE(map), NO, 0, 0,
     "", "restart", "jq: each output is the data of an event; `.` is the data, or the part", NULL},
    {"rules[].message", CONFIG_TEXT, 0, RULE(message), NO, 0, 0,
     "", "restart", "what the rule makes is canonical, of this kind, such as Order; default: JSON "
     "of any shape", NULL},
    {"rules[].type", CONFIG_TEXT, 0, RULE(type), NO, 0, 0,
     "", "restart", "of what is published; default: the canonical one with message, else as it was", NULL},
    {"rules[].then.topics", CONFIG_TEXTS, 0, RULE(topics), NO, 0, 0,
     "", "restart", "topics to publish on", NULL},
    {"rules[].then.mailbox", CONFIG_TEXT, 0, RULE(mailbox), NO, 0, 0,
     "", "restart", "the mailbox to send to, without its @", NULL},
    {"rules[].then.quarantine", CONFIG_TEXT, 0, RULE(quarantine), NO, 0, 0,
     "", "restart", "the reason for which it goes to quarantine.NAME, NAME being the file's", NULL},
    {"rules[].merge.key", CONFIG_TEXT, 0, RULE(merge_key), NO, 0, 0,
     "", "restart", "jq: what has the same value belongs together", NULL},
    {"rules[].merge.window", CONFIG_TIME, 0, RULE(merge_ns), NO, MS, 3600 * NS_PER_S,
     "", "restart", "how long after the first of them the rest may come; default: 5s", NULL},
    {"rules[].merge.count", CONFIG_COUNT, 0, RULE(merge_count), NO, 1, QUEUE_WINDOW_MAX,
     "", "restart", "so many are whole at once; default: only the time counts", NULL},
    {"rules[].merge.into", CONFIG_TEXT, 0, RULE(merge_into), NO, 0, 0,
     "", "restart", "jq: `.` is the array of what came; each output is the data of an event; "
     "default: the array", NULL},

    {"tests", CONFIG_LIST, 0, 0, NO, 0, 0,
     "", "restart", "golden pairs, which `roundhouse routes check` runs", NULL},
    {"tests[].input", CONFIG_FILE, 0, TEST(input), NO, 0, 0,
     "", "restart", "an event as CloudEvents JSON", NULL},
    {"tests[].topic", CONFIG_TEXT, 0, TEST(topic), NO, 0, 0,
     "", "restart", "that it comes on; default: test", NULL},
    {"tests[].expect", CONFIG_FILE, 0, TEST(expect), NO, 0, 0,
     "", "restart", "what must come of it: a JSON array of { topic, data }", NULL},
};
/* clang-format on */
static_assert(sizeof rows / sizeof rows[0] <= CONFIG_ROWS_MAX, "one place in struct config_walk each");

static const char *list_example(const char *path) {
    return strcmp(path, "tables") == 0  ? "[ { name: customers, file: customers.csv, key: gln } ]"
           : strcmp(path, "rules") == 0 ? "[ { name: all, then: { topics: orders.all } } ]"
                                        : "[ { input: event.json, expect: out.json } ]";
}

const struct config_schema ruleset_schema = {
    .rows = rows, .count = sizeof rows / sizeof rows[0], .example = list_example};
