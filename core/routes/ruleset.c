#include "core/routes/ruleset.h"

#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/config/file.h"
#include "core/config/mistakes.h"
#include "core/routes/ruleset_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool name_right(const char *text, size_t length, size_t most, bool dash) {
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') && !(byte >= '0' && byte <= '9') &&
            byte != '_' && !(dash && byte == '-'))
            return false;
    }
    return length > 0 && length <= most;
}

/* What stands before .yaml; NULL: it can be no name, or there is no memory. */
static char *name_of(const char *path) {
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    const char *end = strrchr(file, '.');
    if (end == NULL || strcmp(end, ".yaml") != 0 ||
        !name_right(file, (size_t)(end - file), RULESET_NAME_BYTES_MAX, true))
        return NULL;
    return heap_text(file, (size_t)(end - file));
}

static void no_memory(struct ruleset_reading *reading) {
    config_mistake_add(reading->walk.mistakes, 1, 1, "there is no memory left to read the file");
}

/* ---- items ---- */

static bool has(struct ruleset_reading *reading, const char *path, const struct config_node *item,
                const char *form) {
    return config_walk_has(&reading->walk, path, item, form);
}

static void table_read(struct ruleset_reading *reading, const struct config_node *item) {
    static const char form[] = "{ name: customers, file: customers.csv, key: gln }";
    struct ruleset *set = reading->set;
    struct config_table table = {.line = item->line, .column = item->column};
    bool whole = config_walk_item(&reading->walk, item, "tables[].", form, &table);
    if (whole) { /* all that is missing is told */
        whole = has(reading, "tables[].name", item, form);
        whole &= has(reading, "tables[].file", item, form);
        whole &= has(reading, "tables[].key", item, form);
    }
    if (whole && !name_right(table.name, strlen(table.name), RULESET_NAME_BYTES_MAX, false)) {
        config_mistake_add(reading->walk.mistakes, item->line, item->column,
                           "a table's name has letters, digits and _ only, so that jq can name it");
        whole = false;
    }
    struct config_table *tables =
        whole && config_file_resolve(set->path, &table.file) && config_file_resolve(set->path, &table.dialect)
            ? realloc(set->tables, (set->tables_count + 1) * sizeof *tables)
            : NULL;
    if (tables != NULL) {
        set->tables = tables;
        tables[set->tables_count++] = table;
    } else {
        config_release(&ruleset_schema, "tables[].", &table);
    }
}

static bool rule_named(struct ruleset_reading *reading, const struct rule *rule,
                       const struct config_node *item) {
    const struct ruleset *set = reading->set;
    if (!name_right(rule->name, strlen(rule->name), RULESET_NAME_BYTES_MAX, true)) {
        config_mistake_add(reading->walk.mistakes, item->line, item->column,
                           "a rule's name has at most %u letters, digits, - and _", RULESET_NAME_BYTES_MAX);
        return false;
    }
    for (uint32_t i = 0; i < set->rules_count; i++)
        if (strcmp(set->rules[i].name, rule->name) == 0) {
            config_mistake_add(reading->walk.mistakes, item->line, item->column,
                               "there is a rule %s before this one, in line %u: give it another name",
                               rule->name, set->rules[i].line);
            return false;
        }
    return true;
}

static bool rule_whole(struct ruleset_reading *reading, const struct rule *rule,
                       const struct config_node *item) {
    struct config_mistakes *mistakes = reading->walk.mistakes;
    if (rule->topics.count == 0 && rule->mailbox == NULL && rule->quarantine == NULL) {
        config_mistake_add(mistakes, item->line, item->column,
                           "this rule leads nowhere; write then: { topics: TOPIC }, mailbox or quarantine");
        return false;
    }
    if (rule->merge_key == NULL && (rule->merge_ns != 0 || rule->merge_count != 0 || rule->merge_into)) {
        config_mistake_add(mistakes, item->line, item->column,
                           "merge has no key: it says what belongs together, such as .orderReference.id");
        return false;
    }
    if (reading->set->rules_count == RULESET_RULES_MAX) {
        config_mistake_add(mistakes, item->line, item->column,
                           "there are too many rules; %u in one file are the most", RULESET_RULES_MAX);
        return false;
    }
    return rule_named(reading, rule, item);
}

static void rule_read(struct ruleset_reading *reading, const struct config_node *item) {
    static const char form[] = "{ name: all, then: { topics: orders.all } }";
    struct ruleset *set = reading->set;
    struct rule rule = {.line = item->line, .column = item->column};
    bool whole = config_walk_item(&reading->walk, item, "rules[].", form, &rule) &&
                 has(reading, "rules[].name", item, form) && rule_whole(reading, &rule, item);
    if (rule.merge_key != NULL && rule.merge_ns == 0)
        rule.merge_ns = 5 * NS_PER_S;
    struct rule *rules = whole ? realloc(set->rules, (set->rules_count + 1) * sizeof *rules) : NULL;
    if (rules != NULL) {
        set->rules = rules;
        rules[set->rules_count++] = rule;
    } else {
        config_release(&ruleset_schema, "rules[].", &rule);
    }
}

static void test_read(struct ruleset_reading *reading, const struct config_node *item) {
    static const char form[] = "{ input: event.json, expect: out.json }";
    struct ruleset *set = reading->set;
    struct ruleset_test test = {.line = item->line, .column = item->column};
    bool whole = config_walk_item(&reading->walk, item, "tests[].", form, &test);
    if (whole) {
        whole = has(reading, "tests[].input", item, form);
        whole &= has(reading, "tests[].expect", item, form);
    }
    struct ruleset_test *tests =
        whole && config_file_resolve(set->path, &test.input) && config_file_resolve(set->path, &test.expect)
            ? realloc(set->tests, (set->tests_count + 1) * sizeof *tests)
            : NULL;
    if (tests != NULL) {
        set->tests = tests;
        tests[set->tests_count++] = test;
    } else {
        config_release(&ruleset_schema, "tests[].", &test);
    }
}

static void list_read(struct ruleset_reading *reading, const char *path,
                      void (*read)(struct ruleset_reading *, const struct config_node *)) {
    for (const struct config_node *item = config_walk_list(&reading->walk, path); item != NULL;
         item = config_tree_node(reading->walk.tree, item->next))
        read(reading, item);
}

/* ---- a whole file ---- */

static void text_parse(struct ruleset_reading *reading, const char *text, size_t length) {
    struct config_tree tree = {0};
    reading->walk.tree = &tree;
    config_tree_read(&tree, text, length, reading->walk.mistakes);
    config_walk(&reading->walk);
    list_read(reading, "tables", table_read);
    list_read(reading, "rules", rule_read);
    list_read(reading, "tests", test_read);
    if (tree.whole) /* what has not been read can not be missing, and can not contradict */
        ruleset_settle(reading);
    config_tree_deinit(&tree);
}

static void file_parse(struct ruleset_reading *reading) {
    char *text;
    size_t length;
    int result = config_file_text(reading->set->path, CONFIG_FILE_BYTES_MAX, &text, &length);
    if (result < 0) {
        config_mistake_add(reading->walk.mistakes, 0, 0, "the file can not be read: %s",
                           result == -EFBIG ? "it has more than 1 MiB" : strerror(-result));
        return;
    }
    text_parse(reading, text, length);
    free(text);
    config_mistakes_sort(reading->walk.mistakes);
}

struct ruleset *ruleset_read(const char *path, struct config_mistakes *mistakes) {
    struct ruleset *set = calloc(1, sizeof *set);
    struct ruleset_reading *reading = calloc(1, sizeof *reading);
    mistakes->count = 0;
    if (set != NULL && reading != NULL && (set->path = strdup(path)) != NULL) {
        reading->set = set;
        reading->walk = (struct config_walk){.schema = &ruleset_schema, .base = set, .mistakes = mistakes};
        config_schema_defaults(&ruleset_schema, set);
        set->name = name_of(path);
        if (set->name != NULL)
            file_parse(reading);
        else
            config_mistake_add(
                mistakes, 0, 0,
                "the file's name is that of its rules: write NAME.yaml, of at most %u letters, "
                "digits, - and _",
                RULESET_NAME_BYTES_MAX);
    } else {
        config_mistake_add(mistakes, 0, 0, "there is no memory left to read the file");
    }
    if (reading != NULL && set != NULL && mistakes->count == 0 && set->program == NULL)
        no_memory(reading);
    free(reading);
    if (mistakes->count == 0)
        return set;
    ruleset_free(set);
    return NULL;
}

void ruleset_free(struct ruleset *set) {
    if (set == NULL)
        return;
    for (uint32_t i = 0; i < set->rules_count; i++) {
        for (uint32_t j = 0; j < set->rules[i].targets_count; j++)
            free(set->rules[i].targets[j]);
        free(set->rules[i].targets);
        config_release(&ruleset_schema, "rules[].", &set->rules[i]);
    }
    for (uint32_t i = 0; i < set->tables_count; i++)
        config_release(&ruleset_schema, "tables[].", &set->tables[i]);
    for (uint32_t i = 0; i < set->tests_count; i++)
        config_release(&ruleset_schema, "tests[].", &set->tests[i]);
    config_release(&ruleset_schema, "", set);
    free(set->rules);
    free(set->tables);
    free(set->tests);
    free(set->variables);
    free(set->program);
    free(set->name);
    free(set->path);
    free(set);
}

struct jq *ruleset_jq(const struct ruleset *set, struct event_base *base, char *why, size_t why_bytes) {
    struct jq_options options = {.name = set->path,
                                 .program = set->program,
                                 .variables = set->variables,
                                 .memory_bytes = set->memory_bytes,
                                 .time_ns = set->time_ns,
                                 .waiting_max = QUEUE_WINDOW_MAX};
    return jq_new(base, &options, why, why_bytes);
}
