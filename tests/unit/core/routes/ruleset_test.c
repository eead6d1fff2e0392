/* A file of rules: what it may say, every mistake with its place, what its program makes of events, and the
 * manual's table of keys. */
#include "core/routes/ruleset.h"

#include "codecs/event/json.h"
#include "core/bridge/jq_frame.h"
#include "core/bridge/jq_worker.h"
#include "core/routes/apply.h"
#include "core/routes/trial.h"
#include "tests/unit/core/config/files.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* This program is its own jq worker: it is what /proc/self/exe names. */
__attribute__((constructor)) static void be_the_worker(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], JQ_WORKER_COMMAND) == 0)
        _exit(jq_worker_command(argc - 1, argv + 1));
}

static struct config_mistakes mistakes;

TestSuite(ruleset, .init = files_begin, .fini = files_end);

static struct ruleset *read_named(const char *name, const char *text) {
    files_write(name, text);
    return ruleset_read(files_path(name), &mistakes);
}

static struct ruleset *accepts(const char *text) {
    struct ruleset *set = read_named("orders.yaml", text);
    cr_assert(set != NULL, "refused: %s\n%u:%u: %s", text, mistakes.list[0].line, mistakes.list[0].column,
              mistakes.list[0].text);
    return set;
}

static void refuses(const char *text, const char *const *wanted) {
    struct ruleset *set = read_named("orders.yaml", text);
    cr_expect(set == NULL, "accepted: %s", text);
    ruleset_free(set);
    files_mistakes(&mistakes, text, wanted);
}
#define REFUSES(text, ...) refuses(text, (const char *const[]){__VA_ARGS__, NULL})

/* ---- files ---- */

Test(ruleset, a_file_says_all_there_is) {
    files_write("c.csv", "gln,number,name\n\"1\",C1,\"Kramer, Hamburg\"\n2,C2,\n");
    struct ruleset *set = accepts("on: [a, b.>]\n"
                                  "match: all\n"
                                  "define: 'def one: 1;'\n"
                                  "tables:\n"
                                  "  - { name: c, file: c.csv, key: gln }\n"
                                  "  - { name: n, file: c.csv, key: gln, value: name }\n"
                                  "rules:\n"
                                  "  - name: r\n"
                                  "    when: 'true'\n"
                                  "    merge: { key: one }\n"
                                  "    then: { topics: [x, y], mailbox: crm, quarantine: why }\n");
    cr_expect_str_eq(set->name, "orders");
    cr_expect_str_eq(set->variables,
                     "{\"tables\":{\"c\":{\"1\":{\"number\":\"C1\",\"name\":\"Kramer, Hamburg\"},\"2\":"
                     "{\"number\":\"C2\",\"name\":\"\"}},\"n\":{\"1\":\"Kramer, Hamburg\",\"2\":\"\"}}}");
    static const char *const targets[] = {"x", "y", "@crm", "quarantine.orders"};
    cr_assert(set->rules_count == 1 && set->rules[0].targets_count == 4);
    for (int i = 0; i < 4; i++)
        cr_expect_str_eq(set->rules[0].targets[i], targets[i]);
    cr_expect(set->rules[0].merge_ns == 5 * NS_PER_S && set->rules[0].merge_count == 0);
    ruleset_free(set);
    set = NULL;
    LEAKS_NONE();
}

Test(ruleset, what_is_missing_or_twice_has_its_place) {
    REFUSES("", "1:1 on: this is missing", "1:1 rules: this is missing");
    REFUSES("on: a\nrules:\n  - { when: . }\n  - { name: r }\n  - { name: a b, then: { topics: x } }\n",
            "3:5 this item has no name", "4:5 this rule leads nowhere", "5:5 a rule's name has at most 50");
    REFUSES("on: a\nrules:\n  - { name: r, then: { topics: x } }\n  - { name: r, then: { topics: x } }\n",
            "4:5 there is a rule r before this one, in line 3");
    REFUSES("on: a\nrules: [ { name: r, merge: { count: 2 }, then: { topics: x } } ]\n",
            "2:10 merge has no key");
    REFUSES("on: a\nrulez: []\n", "1:1 rules: this is missing", "2:1 \"rulez\" is not a key; ");
    cr_expect(read_named("a b.yaml", "on: a\n") == NULL && strstr(mistakes.list[0].text, "write NAME.yaml"));
    cr_expect(ruleset_read(files_path("none.yaml"), &mistakes) == NULL &&
              strstr(mistakes.list[0].text, "the file can not be read: No such file"));
    LEAKS_NONE();
}

Test(ruleset, topics_are_topics_and_lead_nowhere_in_circles) {
    REFUSES("on: ['a..b']\nrules: [ { name: r, then: { topics: '$x' } } ]\n",
            "1:5 on: \"a..b\" is no pattern", "2:10 rule r: \"$x\" is no topic");
    REFUSES("on: ['a.>']\nrules: [ { name: r, then: { topics: a.b } } ]\n",
            "2:10 rule r publishes on a.b, which `on` takes events from");
    REFUSES("on: ['>']\nrules: [ { name: r, then: { quarantine: why } } ]\n",
            "2:10 rule r publishes on quarantine.orders");
}

Test(ruleset, jq_is_compiled_and_its_mistakes_have_their_place) {
    REFUSES("on: a\nrules:\n  - { name: r, when: '.a |', then: { topics: x } }\n"
            "  - { name: s, map: nope, then: { topics: x } }\n",
            "3:5 rule r: when is not jq: line ", "4:5 rule s: map is not jq: line 1: nope/0 is not defined");
    REFUSES("on: a\ndefine: |\n  def one: 1;\n  def two: 2;\nrules:\n"
            "  - name: r\n    split: |\n      one,\n      three\n    then: { topics: x }\n",
            "6:5 rule r: split is not jq: line 2: three/0 is not defined");
    REFUSES("on: a\ndefine: def one 1;\nrules: [ { name: r, then: { topics: x } } ]\n",
            "2:9 define is not jq: line 1: syntax error");
    REFUSES("on: a\nrules: [ { name: r, when: $tables.x | nope, merge: { key: $other }, then: { topics: x } "
            "} ]\n",
            "2:10 rule r: when is not jq: line 1: nope/0",
            "2:10 rule r: merge.key is not jq: line 1: $other");
    LEAKS_NONE();
}

Test(ruleset, tables_are_read_and_their_mistakes_told) {
    static const char rest[] = "rules: [ { name: r, then: { topics: x } } ]\n";
    char text[400];
    static const struct {
        const char *csv, *keys, *wanted;
    } wrong[] = {
        {"a,b\n1,2\n1,3\n", "key: a", "t.csv:3: an earlier row has the same key, 1"},
        {"a,b\n,2\n", "key: a", "t.csv:2: this row has no a"},
        {"a,b\n1,2\n", "key: c", "t.csv:1: there is no column c"},
        {"a,b\n1,2\n", "key: a, value: [b, c]", "t.csv:1: there is no column c"},
        {"a,b\n1,\"2\n", "key: a", "t.csv:2: "},
        {"", "key: a", "t.csv:1: the first row must have the names of the columns"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        files_write("t.csv", wrong[i].csv);
        snprintf(text, sizeof text, "on: a\ntables: [ { name: t, file: t.csv, %s } ]\n%s", wrong[i].keys,
                 rest);
        cr_expect(read_named("orders.yaml", text) == NULL && mistakes.count == 1 &&
                      mistakes.list[0].line == 2 && strstr(mistakes.list[0].text, wrong[i].wanted) != NULL,
                  "%s: %s", wrong[i].csv, mistakes.list[0].text);
    }
    snprintf(text, sizeof text, "on: a\ntables: [ { name: t, file: none.csv, key: a } ]\n%s", rest);
    REFUSES(text, "2:11 none.csv can not be read: No such file");
    snprintf(text, sizeof text, "on: a\ntables: [ { name: a-b, file: t.csv, key: a } ]\n%s", rest);
    REFUSES(text, "2:11 a table's name has letters, digits and _ only");
    files_write("t.csv", "a;b\n1;x,y\n");
    files_write("t.dialect", "dialect t\ndelimiter ;\n");
    snprintf(text, sizeof text, "on: a\ntables: [ { name: t, file: t.csv, dialect: t.dialect, key: a } ]\n%s",
             rest);
    struct ruleset *set = accepts(text);
    cr_expect_str_eq(set->variables, "{\"tables\":{\"t\":{\"1\":{\"b\":\"x,y\"}}}}");
    ruleset_free(set);
    set = NULL;
    LEAKS_NONE();
}

/* ---- events ---- */

static char came[8][600];
static unsigned came_count;

static void on_event(void *user, const struct trial_event *event) {
    char *text = trial_text(event->event, event->length);
    (void)user;
    cr_assert(came_count < 8 && text != NULL);
    snprintf(came[came_count++], sizeof came[0], "%s %s", event->topic, text);
    free(text);
}

/* What rules make of an event: "" or why it fails. */
static const char *tries(const char *rules, const char *event_text, enum apply_matched *matched) {
    static char why[300];
    uint8_t *event;
    size_t length;
    struct fault fault;
    came_count = 0;
    why[0] = '\0';
    cr_assert(event_from_json(event_text, strlen(event_text), &event, &length, &fault), "%s", fault.text);
    struct ruleset *set = accepts(rules);
    struct jq *jq = ruleset_jq(set, NULL, why, sizeof why);
    cr_assert(jq != NULL, "%s", why);
    if (trial_run(set, jq, event, length, "a.b", matched, on_event, NULL, why, sizeof why))
        why[0] = '\0';
    jq_free(jq);
    ruleset_free(set);
    free(event);
    return why;
}

#define EVENT(more)                                                                                          \
    "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\",\"time\":\"2026-01-02T03:04:"    \
    "05Z\"" more "}"

Test(ruleset, the_first_rule_that_matches_is_the_only_one) {
    static const char rules[] = "on: a.b\nrules:\n"
                                "  - { name: r, when: .n == 1, then: { topics: x } }\n"
                                "  - { name: s, when: 'empty, true', then: { topics: y } }\n"
                                "  - { name: u, when: .n, then: { topics: z } }\n";
    enum apply_matched matched[RULESET_RULES_MAX];
    cr_expect_str_eq(tries(rules, EVENT(",\"data\":{\"n\":1}"), matched), "");
    cr_expect(came_count == 1 && matched[0] == APPLY_YES && matched[1] == APPLY_NOT_ASKED);
    cr_expect_str_eq(came[0], "x {\"specversion\":\"1.0\",\"id\":\"7/r/1\",\"source\":\"/s\",\"type\":\"t\","
                              "\"datacontenttype\":\"application/json\",\"time\":\"2026-01-02T03:04:05Z\","
                              "\"causationid\":\"7\",\"routehops\":1,\"data\":{\"n\":1}}");
    cr_expect_str_eq(tries(rules, EVENT(",\"data\":{}"), matched), "");
    cr_expect(came_count == 1 && strncmp(came[0], "y ", 2) == 0 && matched[0] == APPLY_NO);
    LEAKS_NONE();
}

Test(ruleset, all_rules_that_match_count) {
    static const char rules[] =
        "on: a.b\nmatch: all\nrules:\n"
        "  - { name: r, then: { topics: [x, y] } }\n"
        "  - { name: s, when: 'false', then: { topics: z } }\n"
        "  - { name: u, split: '.[] # parts', map: '. * 2', type: v, then: { mailbox: m } }\n";
    enum apply_matched matched[RULESET_RULES_MAX];
    cr_expect_str_eq(tries(rules, EVENT(",\"subject\":\"q\",\"data\":[1,2.5]"), matched), "");
    cr_expect(came_count == 4 && matched[0] == APPLY_YES && matched[1] == APPLY_NO &&
              matched[2] == APPLY_YES);
    cr_expect(strstr(came[0], "x {") == came[0] && strstr(came[0], "\"id\":\"7/r/1/1\""));
    cr_expect(strstr(came[1], "y {") == came[1] && strstr(came[1], "\"id\":\"7/r/1/2\""));
    cr_expect(strstr(came[2], "@m {") == came[2] && strstr(came[2], "\"id\":\"7/u/1\"") &&
              strstr(came[2], "\"data\":2}") && strstr(came[2], "\"type\":\"v\"") &&
              strstr(came[2], "\"subject\":\"q\""));
    cr_expect(strstr(came[3], "\"id\":\"7/u/2\"") && strstr(came[3], "\"data\":5}"), "%s", came[3]);
    LEAKS_NONE();
}

Test(ruleset, rules_know_the_event_and_what_it_came_of) {
    static const char rules[] =
        "on: a.b\nrules: [ { name: r, split: '.l[]', map: '[., $data.k, $event.topic, $event.id, $event.x]', "
        "then: { quarantine: so } } ]\n";
    cr_expect_str_eq(
        tries(rules,
              EVENT(",\"x\":true,\"routehops\":4,\"causationid\":\"0\",\"quarantinereason\":\"old\","
                    "\"dataschema\":\"u:v\",\"data\":{\"k\":9,\"l\":[3]}"),
              NULL),
        "");
    cr_expect_str_eq(came[0], "quarantine.orders {\"specversion\":\"1.0\",\"id\":\"7/r/1\",\"source\":\"/s\","
                              "\"type\":\"t\",\"time\":\"2026-01-02T03:04:05Z\",\"x\":true,\"causationid\":"
                              "\"7\",\"routehops\":5,\"quarantinereason\":\"so\",\"quarantinerule\":\"r\","
                              "\"datacontenttype\":\"application/json\",\"data\":[3,9,\"a.b\",\"7\",true]}");
    LEAKS_NONE();
}

Test(ruleset, data_that_is_no_json_is_text_or_null) {
    static const char rules[] = "on: a.b\nrules: [ { name: r, map: '[.]', then: { topics: x } } ]\n";
    cr_expect_str_eq(tries(rules, EVENT(",\"datacontenttype\":\"text/plain\",\"data\":\"{\\\"a\\\"\""), NULL),
                     "");
    cr_expect(strstr(came[0], "\"data\":[\"{\\\"a\\\"\"]}") != NULL, "%s", came[0]);
    cr_expect_str_eq(tries(rules, EVENT(",\"data_base64\":\"/w==\""), NULL), "");
    cr_expect(strstr(came[0], "\"data\":[null]}") != NULL, "%s", came[0]);
    cr_expect_str_eq(tries(rules, EVENT(""), NULL), "");
    cr_expect(strstr(came[0], "\"data\":[null]}") != NULL, "%s", came[0]);
    cr_expect_str_eq(
        tries(rules, EVENT(",\"datacontenttype\":\"application/json\",\"data_base64\":\"e30sIng=\""), NULL),
        "its data says that it is JSON and is not");
    LEAKS_NONE();
}

Test(ruleset, what_a_rule_makes_can_be_canonical) {
    static const char rules[] =
        "on: a.b\nrules: [ { name: r, message: Order, split: '.l[] | {header: {id: .}, lines: []}', "
        "then: { topics: x } } ]\n";
    cr_expect_str_eq(tries(rules, EVENT(",\"data\":{\"l\":[\"o1\",\"o2\"]}"), NULL), "");
    cr_expect(came_count == 2 && strstr(came[1], "\"type\":\"erp.order.created.v1\"") &&
                  strstr(came[1], "\"data\":{\"header\":{\"id\":\"o2\"}}") &&
                  strstr(came[1], "\"dataschema\":\"type.googleapis.com/roundhouse.erp.v1.Order\""),
              "%s", came[1]);
    cr_expect_str_eq(tries(rules, EVENT(",\"data\":{\"l\":[{}]}"), NULL),
                     "what rule r makes is no Order: this is no string: `id`");
    REFUSES("on: a\nrules: [ { name: r, message: Ordr, map: ., then: { topics: x } } ]\n",
            "2:10 rule r: there is no canonical message \"Ordr\"");
    REFUSES("on: a\nrules: [ { name: r, message: Order, then: { topics: x } } ]\n",
            "2:10 rule r makes nothing new");
    LEAKS_NONE();
}

Test(ruleset, a_rule_that_fails_is_named) {
    cr_expect_str_eq(tries("on: a.b\nrules: [ { name: r, when: .a.b, then: { topics: x } } ]\n",
                           EVENT(",\"data\":{\"a\":1}"), NULL),
                     "rule r: Cannot index number with string \"b\"");
    cr_expect_str_eq(tries("on: a.b\nmatch: all\nrules:\n  - { name: q, then: { topics: x } }\n"
                           "  - { name: r, map: 'error({why: 1})', then: { topics: x } }\n",
                           EVENT(""), NULL),
                     "rule r: {\"why\":1}");
    cr_expect(came_count == 0, "it is all or nothing");
    cr_expect_str_eq(
        tries("on: a.b\nrules: [ { name: r, merge: { key: ., into: error }, then: { topics: x } } ]\n",
              EVENT(",\"data\":\"why\""), NULL),
        "rule r: [\"why\"]");
    LEAKS_NONE();
}

/* ---- the manual ---- */

Test(ruleset_docs, the_manual_has_the_table_of_keys) {
    files_manual(&ruleset_schema, "ROUTES.md");
}
