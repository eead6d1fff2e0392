/* ruleset_program.c: one jq program of all rules of a file: cheaper than a process for each.
 *
 * Its input is {"data": ..., "event": {...}, "topic": "...", "into": null or the number of a rule}; data
 * comes first, so that nothing in it can stand for what comes behind. Its one output, when `into` is null, is
 * {"matched": [true, false, ...], "out": [{"rule": 0, "part": 0, "text": "JSON", "key": "JSON"}, ...]}: of
 * each rule that was asked whether it matches, and what is to be published; no text: the event as it is. With
 * `into`, data is the array of what is merged, and `matched` is not there.
 *
 * Each text of the file stands in parentheses that close on a line of their own, as a comment may end it. */
#include "core/routes/ruleset_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct bytes *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct bytes *out, const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        out->failed = true;
        return;
    }
    bytes_add(out, text, (size_t)length);
    free(text);
}

static void rule_define(struct bytes *out, const struct rule *rule, uint32_t number) {
    bool as_it_is = rule->split == NULL && rule->map == NULL && rule->merge_key == NULL;
    if (rule->when != NULL)
        add(out, "def rule_when_%u: first((%s\n), false);\n", number, rule->when);
    else
        add(out, "def rule_when_%u: true;\n", number);
    if (as_it_is) {
        add(out, "def rule_out_%u: {rule: %u, part: 0};\n", number, number);
        return;
    }
    add(out, "def rule_out_%u: [(%s\n) | (%s\n)] as $parts | range($parts | length) as $part | ", number,
        rule->split != NULL ? rule->split : ".", rule->map != NULL ? rule->map : ".");
    add(out, "{rule: %u, part: $part, text: ($parts[$part] | tojson)", number);
    if (rule->merge_key != NULL)
        add(out, ", key: ($parts[$part] | first((%s\n), null) | tojson)", rule->merge_key);
    add(out, "};\n");
}

/* `what`, whose error says which rule it was. */
static void guarded(struct bytes *out, const struct rule *rule, const char *what, uint32_t number) {
    add(out, "(try (%s%u) catch (rule_error(\"%s\")))", what, number, rule->name);
}

static void evaluate_first(struct bytes *out, const struct ruleset *set) {
    for (uint32_t i = 0; i < set->rules_count; i++) {
        add(out, "%s ", i == 0 ? "if" : "elif");
        guarded(out, &set->rules[i], "rule_when_", i);
        add(out, " then {matched: [");
        for (uint32_t j = 0; j < i; j++)
            add(out, "false, ");
        add(out, "true], out: [");
        guarded(out, &set->rules[i], "rule_out_", i);
        add(out, "]}\n");
    }
    add(out, "else {matched: [");
    for (uint32_t i = 0; i < set->rules_count; i++)
        add(out, "%sfalse", i > 0 ? ", " : "");
    add(out, "], out: []} end\n");
}

static void evaluate_all(struct bytes *out, const struct ruleset *set) {
    add(out, "[");
    for (uint32_t i = 0; i < set->rules_count; i++) {
        add(out, "%s(if ", i > 0 ? ",\n" : "");
        guarded(out, &set->rules[i], "rule_when_", i);
        add(out, " then true else false end)");
    }
    add(out, "] as $matched | {matched: $matched, out: [");
    for (uint32_t i = 0; i < set->rules_count; i++) {
        add(out, "%s(if $matched[%u] then ", i > 0 ? ",\n" : "", i);
        guarded(out, &set->rules[i], "rule_out_", i);
        add(out, " else empty end)");
    }
    add(out, "]}\n");
}

static void merges_define(struct bytes *out, const struct ruleset *set) {
    for (uint32_t i = 0; i < set->rules_count; i++)
        if (set->rules[i].merge_key != NULL)
            add(out,
                "def rule_into_%u: [$data | (%s\n)] as $parts | {out: [range($parts | length) as $part | "
                "{rule: %u, part: $part, text: ($parts[$part] | tojson)}]};\n",
                i, set->rules[i].merge_into != NULL ? set->rules[i].merge_into : ".", i);
    add(out, "if $into != null then (");
    for (uint32_t i = 0; i < set->rules_count; i++)
        if (set->rules[i].merge_key != NULL) {
            add(out, "if $into == %u then ", i);
            guarded(out, &set->rules[i], "rule_into_", i);
            add(out, " else empty end, ");
        }
    add(out, "empty) else\n");
}

bool ruleset_program(struct ruleset *set) {
    struct bytes out = {0};
    size_t length;
    add(&out, "%s\n(.event + {topic: .topic}) as $event | .data as $data | .into as $into | $data |\n",
        set->define != NULL ? set->define : "");
    add(&out, "def rule_error(name): error(\"rule \\(name): \\(if type == \"string\" then . else tojson "
              "end)\");\n");
    for (uint32_t i = 0; i < set->rules_count; i++)
        rule_define(&out, &set->rules[i], i);
    merges_define(&out, set);
    if (set->match == RULESET_FIRST)
        evaluate_first(&out, set);
    else
        evaluate_all(&out, set);
    add(&out, "end");
    bytes_add(&out, "", 1);
    set->program = (char *)bytes_take(&out, &length);
    return set->program != NULL;
}
