#include "core/routes/takes.h"

#include "core/base/clock.h"
#include "core/base/topic.h"
#include "core/routes/apply.h"
#include "core/routes/trial.h"

#include <stdio.h>
#include <string.h>

#define WHY_BYTES 400u

struct taking {
    const char *why, *pattern;
    enum apply_matched matched[RULESET_RULES_MAX];
    uint32_t events[RULESET_RULES_MAX];
    char text[WHY_BYTES];
};

static bool patterns_look(const struct ruleset *set, const char *topic, struct taking *taking) {
    taking->pattern = set->on.count > 0 ? set->on.list[0] : NULL;
    for (size_t i = 0; i < set->on.count; i++) {
        const char *pattern = set->on.list[i];
        if (!pattern_matches((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)topic,
                             strlen(topic)))
            continue;
        taking->pattern = pattern;
        return true;
    }
    return false;
}

static void on_event(void *user, const struct trial_event *event) {
    ((struct taking *)user)->events[event->rule]++;
}

static const char *rules_try(const struct ruleset *set, const struct routes_offer *offer,
                             struct taking *taking) {
    if (apply_hops(offer->event, offer->length) >= APPLY_HOPS_MAX) {
        (void)snprintf(taking->text, sizeof taking->text,
                       "it has gone through %d rules: they send it in circles", APPLY_HOPS_MAX);
        return "fails";
    }
    struct jq *jq = ruleset_jq(set, NULL, taking->text, sizeof taking->text);
    bool right = jq != NULL && trial_run(set, jq, offer->event, offer->length, offer->topic, taking->matched,
                                         on_event, taking, taking->text, sizeof taking->text);
    jq_free(jq);
    if (!right)
        return "fails";
    taking->text[0] = '\0';
    for (uint32_t i = 0; i < set->rules_count; i++)
        if (taking->matched[i] == APPLY_YES)
            return "taken";
    return "no_rule";
}

static json_t *targets_list(const struct rule *rule) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < rule->targets_count; i++)
        (void)json_array_append_new(list, json_string(rule->targets[i]));
    return list;
}

/* Of rules that were asked; of a failure nobody knows which were. */
static json_t *rules_list(const struct ruleset *set, const struct taking *taking, bool asked) {
    static const char *const words[] = {
        [APPLY_NOT_ASKED] = "not_asked", [APPLY_NO] = "no", [APPLY_YES] = "yes"};
    json_t *list = json_array();
    for (uint32_t i = 0; asked && i < set->rules_count; i++)
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:i, s:o}", "rule", set->rules[i].name, "matched",
                                              words[taking->matched[i]], "events", (int)taking->events[i],
                                              "topics", targets_list(&set->rules[i])));
    return list;
}

json_t *routes_takes_json(const struct ruleset *set, const struct routes_offer *offer) {
    struct taking taking = {.why = "pattern"};
    if (patterns_look(set, offer->topic, &taking))
        taking.why = clock_mono_ns() < offer->until_ns ? rules_try(set, offer, &taking) : "not_tried";
    bool asked = strcmp(taking.why, "taken") == 0 || strcmp(taking.why, "no_rule") == 0;
    return json_pack("{s:s, s:o, s:s, s:s?, s:i, s:s, s:o}", "file", set->name, "queue",
                     json_sprintf("route.%s", set->name), "why", taking.why, "pattern", taking.pattern,
                     "patterns_total", (int)set->on.count, "message", taking.text, "rules",
                     rules_list(set, &taking, asked));
}

json_t *routes_routing_json(const struct ruleset *set) {
    json_t *patterns = json_array(), *rules = json_array();
    for (size_t i = 0; i < set->on.count; i++)
        (void)json_array_append_new(patterns, json_string(set->on.list[i]));
    for (uint32_t i = 0; i < set->rules_count; i++)
        (void)json_array_append_new(rules, json_pack("{s:s, s:o}", "rule", set->rules[i].name, "topics",
                                                     targets_list(&set->rules[i])));
    return json_pack("{s:s, s:o, s:o, s:o}", "file", set->name, "queue", json_sprintf("route.%s", set->name),
                     "patterns", patterns, "rules", rules);
}
