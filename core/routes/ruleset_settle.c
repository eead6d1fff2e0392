/* ruleset_settle.c: what must hold between the keys of a file of rules, and what they name. */
#include "codecs/erp/model.h"
#include "core/base/topic.h"
#include "core/config/mistakes.h"
#include "core/routes/ruleset_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_node *place(struct ruleset_reading *reading, const char *path) {
    return config_walk_found(&reading->walk, path);
}

__attribute__((format(printf, 3, 4))) static void refuse_at(struct ruleset_reading *reading, const char *path,
                                                            const char *format, ...) {
    const struct config_node *node = place(reading, path);
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    config_mistake_add(reading->walk.mistakes, node != NULL ? node->line : 1, node != NULL ? node->column : 1,
                       "%s: %s", path, text);
}

/* ---- topics ---- */

static void on_settle(struct ruleset_reading *reading) {
    struct fault fault = {0};
    const struct ruleset *set = reading->set;
    if (set->on.count == 0 && !config_walk_wrong(&reading->walk, "on"))
        refuse_at(reading, "on", "this is missing: it says whose events are looked at, such as erp.order.>");
    for (uint32_t i = 0; i < set->on.count; i++)
        if (!pattern_valid((const uint8_t *)set->on.list[i], strlen(set->on.list[i]), &fault))
            refuse_at(reading, "on", "\"%.60s\" is no pattern: %s", set->on.list[i], fault.text);
}

static bool taken(const struct ruleset *set, const char *topic) {
    for (uint32_t i = 0; i < set->on.count; i++)
        if (pattern_matches((const uint8_t *)set->on.list[i], strlen(set->on.list[i]), (const uint8_t *)topic,
                            strlen(topic)))
            return true;
    return false;
}

/* Takes `topic` over. */
static bool target_add(struct ruleset_reading *reading, struct rule *rule, char *topic) {
    struct fault fault = {0};
    char **targets =
        topic != NULL ? realloc(rule->targets, (rule->targets_count + 1) * sizeof *targets) : NULL;
    if (targets == NULL) {
        free(topic);
        return false;
    }
    rule->targets = targets;
    rule->targets[rule->targets_count++] = topic;
    if (!topic_valid((const uint8_t *)topic, strlen(topic), &fault))
        config_mistake_add(reading->walk.mistakes, rule->line, rule->column,
                           "rule %s: \"%.60s\" is no topic: %s", rule->name, topic, fault.text);
    else if (taken(reading->set, topic))
        config_mistake_add(
            reading->walk.mistakes, rule->line, rule->column,
            "rule %s publishes on %.60s, which `on` takes events from: that would go in circles", rule->name,
            topic);
    return true;
}

static bool rule_settle(struct ruleset_reading *reading, struct rule *rule) {
    char *topic = NULL;
    if (rule->message != NULL && model_event(rule->message, strlen(rule->message)) == NULL)
        config_mistake_add(reading->walk.mistakes, rule->line, rule->column,
                           "rule %s: there is no canonical message \"%.60s\"; MAPPING.md lists them",
                           rule->name, rule->message);
    if (rule->message != NULL && rule->split == NULL && rule->map == NULL && rule->merge_key == NULL)
        config_mistake_add(reading->walk.mistakes, rule->line, rule->column,
                           "rule %s makes nothing new; add split, map or merge, or take message out",
                           rule->name);
    for (uint32_t i = 0; i < rule->topics.count; i++)
        if (!target_add(reading, rule, strdup(rule->topics.list[i])))
            return false;
    if (rule->mailbox != NULL &&
        (asprintf(&topic, "@%s", rule->mailbox) < 0 || !target_add(reading, rule, topic)))
        return false;
    return rule->quarantine == NULL ||
           (asprintf(&topic, "quarantine.%s", reading->set->name) >= 0 && target_add(reading, rule, topic));
}

/* ---- tables ---- */

static bool tables_settle(struct ruleset_reading *reading) {
    struct ruleset *set = reading->set;
    struct bytes out = {0};
    char why[200];
    size_t length;
    bytes_text(&out, "{\"tables\":{");
    for (uint32_t i = 0; i < set->tables_count; i++) {
        if (i > 0)
            bytes_text(&out, ",");
        if (!config_table_add(&set->tables[i], &out, why, sizeof why))
            config_mistake_add(reading->walk.mistakes, set->tables[i].line, set->tables[i].column, "%s", why);
    }
    bytes_text(&out, "}}");
    bytes_add(&out, "", 1);
    set->variables = (char *)bytes_take(&out, &length);
    return set->variables != NULL;
}

/* ---- jq ---- */

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; text != NULL && *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* Compiles one text by itself: NULL, or what jq has to say about it, with the line in that text. */
static const char *text_wrong(const struct ruleset *set, const char *text, char why[400]) {
    const char *define = set->define != NULL && text != set->define ? set->define : "";
    char *program = NULL, all[400] = "";
    bool is_define = text == set->define;
    static const char at[] = "line ";
    if (asprintf(&program, "%s\n. as $event | . as $data | (%s\n%s)", define, text, is_define ? "." : "") < 0)
        return "there is no memory left";
    struct jq_options options = {.name = set->path, .program = program, .variables = set->variables};
    struct jq *jq = jq_new(NULL, &options, all, sizeof all);
    free(program);
    if (jq != NULL) {
        jq_free(jq);
        return NULL;
    }
    all[strcspn(all, "\n")] = '\0';
    char *said = all;
    unsigned long before = lines(define) + 1,
                  line = strncmp(all, at, sizeof at - 1) == 0 ? strtoul(all + sizeof at - 1, &said, 10) : 0;
    if (line > before)
        (void)snprintf(why, 400, "%s%lu%s", at, line - before, said);
    else
        (void)snprintf(why, 400, "%s", all);
    return why;
}

static bool text_check(struct ruleset_reading *reading, const char *text, uint32_t line, uint32_t column,
                       const char *rule, const char *key) {
    char why[400];
    const char *said = text != NULL ? text_wrong(reading->set, text, why) : NULL;
    if (said != NULL)
        config_mistake_add(reading->walk.mistakes, line, column, "%s%s%s%s is not jq: %s",
                           rule != NULL ? "rule " : "", rule != NULL ? rule : "", rule != NULL ? ": " : "",
                           key, said);
    return said == NULL;
}

/* Which text it is that the whole program can not be compiled for. */
static void culprit_find(struct ruleset_reading *reading, const char *all) {
    const struct ruleset *set = reading->set;
    const struct config_node *define = place(reading, "define");
    bool right = true;
    if (define != NULL && !text_check(reading, set->define, define->line, define->column, NULL, "define"))
        return; /* nothing else can be right then */
    for (uint32_t i = 0; i < set->rules_count; i++) {
        const struct rule *rule = &set->rules[i];
        right &= text_check(reading, rule->when, rule->line, rule->column, rule->name, "when");
        right &= text_check(reading, rule->split, rule->line, rule->column, rule->name, "split");
        right &= text_check(reading, rule->map, rule->line, rule->column, rule->name, "map");
        right &= text_check(reading, rule->merge_key, rule->line, rule->column, rule->name, "merge.key");
        right &= text_check(reading, rule->merge_into, rule->line, rule->column, rule->name, "merge.into");
    }
    if (right)
        config_mistake_add(reading->walk.mistakes, 1, 1, "the rules are not jq: %s", all);
}

static void program_settle(struct ruleset_reading *reading) {
    char why[200] = "";
    if (!ruleset_program(reading->set))
        return; /* told by ruleset_read */
    struct jq *jq = ruleset_jq(reading->set, NULL, why, sizeof why);
    if (jq == NULL)
        culprit_find(reading, why);
    jq_free(jq);
}

void ruleset_settle(struct ruleset_reading *reading) {
    struct ruleset *set = reading->set;
    on_settle(reading);
    if (set->rules_count == 0 && place(reading, "rules") == NULL)
        refuse_at(reading, "rules", "this is missing; write %s", ruleset_schema.example("rules"));
    bool memory = tables_settle(reading);
    for (uint32_t i = 0; memory && i < set->rules_count; i++)
        memory = rule_settle(reading, &set->rules[i]);
    if (!memory)
        config_mistake_add(reading->walk.mistakes, 1, 1, "there is no memory left to read the file");
    else if (reading->walk.mistakes->count == 0)
        program_settle(reading);
}
