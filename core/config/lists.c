/* lists.c: the lists of the configuration: CPUs, slots, topics. */
#include "core/config/mistakes.h"
#include "core/config/value.h"
#include "core/config/walk.h"

#include <stdio.h>
#include <string.h>

static bool list_empty(const struct config_walk *walk, const char *path) {
    const struct config_node *list = config_walk_found(walk, path);
    return list && !config_walk_wrong(walk, path) && list->first == 0 && walk->tree->whole;
}

static void list_refuse(struct config_walk *walk, const char *path, const struct config_node *node,
                        const char *text) {
    config_mistake_add(walk->mistakes, node->line, node->column, "%s: %s", path, text);
    walk->wrong[config_walk_row(walk, path)] = true;
}

/* ---- shards.cpus ---- */

static void cpu_add(struct config_walk *walk, const struct config_node *item) {
    struct config *config = walk->config;
    char quoted[CONFIG_QUOTE_BYTES], text[CONFIG_WHY_BYTES];
    uint64_t cpu = 0;
    bool scalar = item->kind == CONFIG_SCALAR;
    if (!scalar || !config_count_parse(item->text, item->text_length, false, &cpu) || cpu > CPU_NUMBER_MAX) {
        config_quote(quoted, scalar ? item->text : "this", scalar ? item->text_length : 4);
        snprintf(text, sizeof text, "%s is not the number of a CPU; write 0 to %u", quoted, CPU_NUMBER_MAX);
        list_refuse(walk, "shards.cpus", item, text);
        return;
    }
    for (uint32_t i = 0; i < config->cpus_count; i++)
        if (config->cpus[i] == cpu) {
            snprintf(text, sizeof text,
                     "CPU %u is given twice; two workers on one CPU would wait for each other",
                     (unsigned)cpu);
            list_refuse(walk, "shards.cpus", item, text);
            return;
        }
    if (config->cpus_count == SHARDS_MAX)
        list_refuse(walk, "shards.cpus", item, "the list is too long; 64 shards are the most");
    else
        config->cpus[config->cpus_count++] = (uint16_t)cpu;
}
static_assert(SHARDS_MAX == 64u, "the sentence above names it");

static void cpus_read(struct config_walk *walk) {
    if (config_walk_found(walk, "shards.cpus"))
        walk->config->cpus_count = 0; /* in place of those that were there */
    if (list_empty(walk, "shards.cpus"))
        list_refuse(walk, "shards.cpus", config_walk_found(walk, "shards.cpus"),
                    "the list is empty; write one CPU for each shard, or leave it out");
    for (const struct config_node *item = config_walk_list(walk, "shards.cpus"); item;
         item = config_tree_node(walk->tree, item->next))
        cpu_add(walk, item);
    walk->config->cpus_given = walk->config->cpus_count > 0;
}

/* ---- slots ---- */

struct slots_map {
    const struct config_node *owner[SLOT_COUNT]; /* the item that gives a slot; NULL = none yet */
};

/* "0-99", or "7". */
static const char *stretch_text(char out[static CONFIG_VALUE_BYTES], uint32_t first, uint32_t end) {
    if (end - first == 1)
        snprintf(out, CONFIG_VALUE_BYTES, "%u", first);
    else
        snprintf(out, CONFIG_VALUE_BYTES, "%u-%u", first, end - 1);
    return out;
}

/* The slots from `slot` on that have the same owner: where they end. */
static uint32_t stretch_end(const struct slots_map *map, uint32_t slot, uint32_t end) {
    uint32_t next = slot + 1;
    while (next < end && map->owner[next] == map->owner[slot])
        next++;
    return next;
}

/* Gives `item` the free slots of its range; what another item has already is named, one mistake for each such
 * stretch. */
static void slots_give(struct config_walk *walk, struct slots_map *map, const struct config_slots_item *slots,
                       const struct config_node *item) {
    const struct config_node *range = config_walk_found(walk, "slots[].range");
    char text[CONFIG_VALUE_BYTES];
    for (uint32_t slot = slots->first, next; slot <= slots->last; slot = next) {
        const struct config_node *before = map->owner[slot];
        next = stretch_end(map, slot, slots->last + 1);
        if (before)
            config_mistake_add(walk->mistakes, range->line, range->column,
                               "slots[].range: shard %u has %s already (line %u); give each slot once",
                               walk->config->slots[slot], stretch_text(text, slot, next), before->line);
        for (uint32_t i = slot; i < next && !before; i++) {
            walk->config->slots[i] = (uint8_t)slots->shard;
            map->owner[i] = item;
        }
    }
}

/* One mistake for each stretch of slots that nobody has. */
static void slots_holes(struct config_walk *walk, const struct slots_map *map) {
    const struct config_node *list = config_walk_found(walk, "slots");
    char text[CONFIG_VALUE_BYTES];
    for (uint32_t slot = 0, next; slot < SLOT_COUNT; slot = next) {
        next = stretch_end(map, slot, SLOT_COUNT);
        if (!map->owner[slot])
            config_mistake_add(walk->mistakes, list->line, list->column,
                               "slots: no shard has %s; add an item with this range",
                               stretch_text(text, slot, next));
    }
}

static bool slots_item_read(struct config_walk *walk, const struct config_node *item,
                            struct config_slots_item *slots) {
    static const char form[] = "{ shard: ..., range: ... }";
    if (!config_walk_item(walk, item, "slots[].", form, slots))
        return false;
    bool shard = config_walk_has(walk, "slots[].shard", item, form);
    bool range = config_walk_has(walk, "slots[].range", item, form);
    return shard && range;
}

static void slots_read(struct config_walk *walk) {
    struct slots_map map = {{0}};
    bool right = true;
    if (config_walk_found(walk, "slots"))
        walk->config->slots_given = !config_walk_wrong(walk, "slots");
    for (const struct config_node *item = config_walk_list(walk, "slots"); item;
         item = config_tree_node(walk->tree, item->next)) {
        struct config_slots_item slots = {0};
        if (slots_item_read(walk, item, &slots)) {
            slots_give(walk, &map, &slots, item);
            if (!walk->shard_named[slots.shard])
                walk->shard_named[slots.shard] = config_walk_found(walk, "slots[].shard");
        } else {
            right = false;
        }
    }
    /* Slots of an item that could not be read are not missing. */
    if (config_walk_found(walk, "slots") && walk->config->slots_given && right && walk->tree->whole)
        slots_holes(walk, &map);
}

/* ---- topics ---- */

/* False: the item has a mistake. */
static bool rule_read(struct config_walk *walk, const struct config_node *item, struct topic_rule *rule) {
    if (!config_walk_item(walk, item, "topics[].", "{ match: ..., class: memory }", rule) ||
        !config_walk_has(walk, "topics[].match", item, "{ match: ..., class: memory }"))
        return false;
    rule->class_given = config_walk_found(walk, "topics[].class") != NULL;
    uint32_t window = config_walk_row(walk, "topics[].duplicates.window");
    bool asked = walk->sections[window] || walk->keys[config_walk_row(walk, "topics[].duplicates.count")];
    if (asked && !config_walk_has(walk, "topics[].duplicates.window", item,
                                  "duplicates: { window: 5m, count: 100000 }"))
        return false;
    if (asked && rule->duplicates_count == 0)
        rule->duplicates_count = DUPLICATES_DEFAULT;
    return true;
}

static void topics_read(struct config_walk *walk) {
    struct config *config = walk->config;
    if (config_walk_found(walk, "topics"))
        config->topics_count = 0;
    for (const struct config_node *item = config_walk_list(walk, "topics"); item;
         item = config_tree_node(walk->tree, item->next)) {
        struct topic_rule rule = {.class = TOPIC_DISK}; /* where there is a journal; else all is in memory */
        if (!rule_read(walk, item, &rule))
            continue;
        if (config->topics_count < TOPIC_RULES_MAX)
            config->topics[config->topics_count++] = rule;
        else
            list_refuse(walk, "topics", item, "the list is too long; 256 items are the most");
    }
}
static_assert(TOPIC_RULES_MAX == 256u, "the sentence above names it");

void config_lists(struct config_walk *walk) {
    cpus_read(walk);
    slots_read(walk);
    topics_read(walk);
}
