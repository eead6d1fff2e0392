#include "core/shard/rules.h"

#include "core/base/topic.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RULE_NAME_BYTES 53u /* so that an entry is a line of the cache */
#define RULE_NONE       UINT16_MAX

/* The hash is not secret, so it finds the entry and the name decides. */
struct rules_entry {
    uint64_t hash;
    uint16_t rule;  /* its place in the list, or RULE_NONE */
    uint8_t length; /* of the name; 0 = nothing here yet */
    uint8_t name[RULE_NAME_BYTES];
};
static_assert(sizeof(struct rules_entry) == 64, "one line of the cache");
static_assert(TOPIC_RULES_MAX < RULE_NONE, "a place for each rule");
static_assert((TOPIC_RULES_KEPT & (TOPIC_RULES_KEPT - 1)) == 0, "entries are found by the hash's low bits");

struct rules {
    const struct topic_rule *list; /* borrows */
    uint32_t count;
    struct rules_entry *kept; /* owns; NULL where one look is as cheap */
};

int rules_create(struct rules **out, const struct topic_rule *list, uint32_t count) {
    struct rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL)
        return -ENOMEM;
    rules->list = list;
    rules->count = count;
    if (count > 1)
        rules->kept = calloc(TOPIC_RULES_KEPT, sizeof *rules->kept);
    if (count > 1 && rules->kept == NULL) {
        free(rules);
        return -ENOMEM;
    }
    *out = rules;
    return 0;
}

void rules_destroy(struct rules *rules) {
    if (rules == NULL)
        return;
    free(rules->kept);
    free(rules);
}

static uint16_t rules_match(const struct rules *rules, const uint8_t *topic, uint32_t length) {
    for (uint32_t i = 0; i < rules->count; i++)
        if (pattern_matches(rules->list[i].pattern, rules->list[i].length, topic, length))
            return (uint16_t)i;
    return RULE_NONE;
}

static uint16_t rules_recall(struct rules *rules, const uint8_t *topic, uint32_t length, uint64_t hash) {
    struct rules_entry *entry = &rules->kept[hash & (TOPIC_RULES_KEPT - 1)];
    if (LIKELY(entry->hash == hash && entry->length == length && memcmp(entry->name, topic, length) == 0))
        return entry->rule;
    *entry = (struct rules_entry){
        .hash = hash, .rule = rules_match(rules, topic, length), .length = (uint8_t)length};
    memcpy(entry->name, topic, length);
    return entry->rule;
}

const struct topic_rule *rules_of(struct rules *rules, const uint8_t *topic, uint32_t length, uint64_t hash) {
    bool keeps = rules->kept != NULL && length <= RULE_NAME_BYTES;
    uint16_t rule = keeps ? rules_recall(rules, topic, length, hash) : rules_match(rules, topic, length);
    return rule == RULE_NONE ? NULL : &rules->list[rule];
}
