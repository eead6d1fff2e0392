#include "core/config/walk.h"

#include "core/config/mistakes.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 48u /* longer than any path of the schema */

uint32_t config_walk_row(const struct config_walk *walk, const char *path) {
    const struct config_row *row = config_schema_find(walk->schema, path);
    CHECK(row != NULL);
    return (uint32_t)(row - walk->schema->rows);
}

const struct config_node *config_walk_found(const struct config_walk *walk, const char *path) {
    return walk->found[config_walk_row(walk, path)];
}

bool config_walk_wrong(const struct config_walk *walk, const char *path) {
    return walk->wrong[config_walk_row(walk, path)];
}

/* ---- which row is meant ---- */

struct target {
    const struct config_row *row;        /* for a single value or a list; NULL = none */
    char section[PATH_MAX_BYTES + 1];    /* the prefix of its keys, for a mapping; "" = none */
    const struct config_node **key_seen; /* where its key is remembered */
};

/* The first row of a section, by the prefix of its keys; UINT32_MAX = there is no such section. */
static uint32_t section_find(const struct config_schema *schema, const char *section) {
    for (uint32_t i = 0; i < schema->count; i++)
        if (strncmp(schema->rows[i].path, section, strlen(section)) == 0)
            return i;
    return UINT32_MAX;
}

/* Whether a key can be one of ours at all; dots and brackets are the schema's own. */
static bool key_plain(const struct config_node *key) {
    for (uint32_t i = 0; i < key->text_length; i++)
        if ((key->text[i] < 'a' || key->text[i] > 'z') && (key->text[i] < '0' || key->text[i] > '9') &&
            key->text[i] != '_')
            return false;
    return key->text_length > 0;
}

static bool target_find(struct config_walk *walk, struct target *target, const char *prefix,
                        const struct config_node *key) {
    char path[PATH_MAX_BYTES];
    if (!key_plain(key))
        return false;
    int length = snprintf(path, sizeof path, "%s%.*s", prefix, (int)key->text_length, key->text);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    snprintf(target->section, sizeof target->section, "%s.", path);
    target->row = config_schema_find(walk->schema, path);
    uint32_t first = section_find(walk->schema, target->section);
    if (first == UINT32_MAX)
        target->section[0] = '\0';
    else
        target->key_seen = &walk->sections[first];
    if (target->row)
        target->key_seen = &walk->keys[target->row - walk->schema->rows];
    return target->row || target->section[0];
}

/* ---- one key ---- */

static void mistake_at(struct config_walk *walk, const struct config_node *node, const struct config_row *row,
                       const char *why) {
    config_mistake_add(walk->mistakes, node->line, node->column, "%s: %s", row->path, why);
    walk->wrong[row - walk->schema->rows] = true;
}

static void unknown_key(struct config_walk *walk, const struct config_node *key, const char *prefix) {
    char quoted[CONFIG_QUOTE_BYTES], near[CONFIG_WHY_BYTES], word[CONFIG_QUOTE_BYTES] = "";
    if (key->text_length < sizeof word)
        memcpy(word, key->text, key->text_length);
    if (config_mistake_kept(walk->mistakes))
        config_near(walk->schema, prefix, word, near);
    else
        near[0] = '\0';
    config_quote(quoted, key->text, key->text_length);
    config_mistake_add(walk->mistakes, key->line, key->column, "%s is not a key%s%.*s; %s", quoted,
                       prefix[0] ? " of " : "", (int)strcspn(prefix, ".["), prefix, near);
}

static void single_value(struct config_walk *walk, const struct config_row *row,
                         const struct config_node *value, void *base) {
    char why[CONFIG_WHY_BYTES];
    walk->found[row - walk->schema->rows] = value;
    if (value->kind == CONFIG_ALIAS)
        walk->wrong[row - walk->schema->rows] = true; /* named when it was read */
    else if (!config_row_set(row, base, value->text, value->text_length, why))
        mistake_at(walk, value, row, why);
}

static void list_value(struct config_walk *walk, const struct config_row *row,
                       const struct config_node *value) {
    char why[CONFIG_WHY_BYTES];
    walk->found[row - walk->schema->rows] = value;
    if (value->kind == CONFIG_SEQUENCE)
        return; /* config_lists reads it */
    snprintf(why, sizeof why, "this must be a list; write %s", walk->schema->example(row->path));
    if (value->kind == CONFIG_ALIAS)
        walk->wrong[row - walk->schema->rows] = true;
    else
        mistake_at(walk, value, row, why);
}

/* A text, or a list of texts, each of which is added to the others. */
static void texts_value(struct config_walk *walk, const struct config_row *row,
                        const struct config_node *value, void *base) {
    bool list = value->kind == CONFIG_SEQUENCE;
    const struct config_node *item = list ? config_tree_node(walk->tree, value->first) : value;
    char why[CONFIG_WHY_BYTES];
    walk->found[row - walk->schema->rows] = value;
    if (!item)
        mistake_at(walk, value, row, "the list is empty; write one, or leave the key out");
    for (; item; item = list ? config_tree_node(walk->tree, item->next) : NULL) {
        if (item->kind == CONFIG_ALIAS)
            walk->wrong[row - walk->schema->rows] = true;
        else if (item->kind != CONFIG_SCALAR)
            mistake_at(walk, item, row, "this must be a text, or a list of texts");
        else if (!config_row_set(row, base, item->text, item->text_length, why))
            mistake_at(walk, item, row, why);
    }
}

static void pair_value(struct config_walk *walk, const struct config_row *row, const struct config_node *key,
                       const struct config_node *value, struct config_pairs *pairs) {
    char why[CONFIG_WHY_BYTES];
    if (key->kind == CONFIG_ALIAS || value->kind == CONFIG_ALIAS)
        walk->wrong[row - walk->schema->rows] = true;
    else if (key->kind != CONFIG_SCALAR || value->kind != CONFIG_SCALAR)
        mistake_at(walk, key, row, "write NAME: TEXT");
    else if (!config_pair_add(pairs, key->text, key->text_length, value->text, value->text_length, why))
        mistake_at(walk, key, row, why);
}

/* A mapping whose keys are names of one's own. */
static void pairs_value(struct config_walk *walk, const struct config_row *row,
                        const struct config_node *value, void *base) {
    struct config_pairs *pairs = (void *)((char *)base + row->at);
    walk->found[row - walk->schema->rows] = value;
    if (value->kind == CONFIG_ALIAS)
        walk->wrong[row - walk->schema->rows] = true;
    else if (value->kind != CONFIG_MAPPING)
        mistake_at(walk, value, row, "this must be a mapping; write { NAME: TEXT }, or leave it out");
    if (value->kind != CONFIG_MAPPING)
        return;
    const struct config_node *key = config_tree_node(walk->tree, value->first);
    while (key) {
        const struct config_node *text = config_tree_node(walk->tree, key->next);
        if (!text)
            return; /* the tree ends here, and that is named */
        pair_value(walk, row, key, text, pairs);
        key = config_tree_node(walk->tree, text->next);
    }
}

/* A mapping where there is none, or none where there must be one. */
static void wrong_kind(struct config_walk *walk, const struct target *target, const struct config_node *key,
                       const struct config_node *value) {
    if (target->row)
        walk->wrong[target->row - walk->schema->rows] = true;
    if (value->kind == CONFIG_ALIAS)
        return;
    if (target->row)
        config_mistake_add(walk->mistakes, value->line, value->column, "%s: this must be a single value%s%s",
                           target->row->path, target->row->fallback[0] ? ", such as " : "",
                           target->row->fallback);
    else
        config_mistake_add(walk->mistakes, value->line, value->column,
                           "%.*s: this must be a mapping; write { KEY: VALUE }, or leave it out",
                           (int)key->text_length, key->text);
}

static void given_twice(struct config_walk *walk, const struct config_node *first,
                        const struct config_node *key) {
    config_mistake_add(walk->mistakes, key->line, key->column,
                       "%.*s is given twice, the first time in line %u; keep one of them",
                       (int)key->text_length, key->text, first->line);
}

static void walk_pair(struct config_walk *walk, const char *prefix, const struct config_node *key,
                      const struct config_node *value, void *base) {
    struct target target = {0};
    if (key->kind != CONFIG_SCALAR) {
        if (key->kind != CONFIG_ALIAS)
            config_mistake_add(walk->mistakes, key->line, key->column,
                               "a key must be a word; write KEY: VALUE");
        return;
    }
    if (!target_find(walk, &target, prefix, key)) {
        unknown_key(walk, key, prefix);
        return;
    }
    if (*target.key_seen) {
        given_twice(walk, *target.key_seen, key);
        return;
    }
    *target.key_seen = key;
    if (value->kind == CONFIG_MAPPING && target.section[0])
        config_walk_mapping(walk, value, target.section, base);
    else if (target.row && target.row->type == CONFIG_LIST)
        list_value(walk, target.row, value);
    else if (target.row && target.row->type == CONFIG_TEXTS)
        texts_value(walk, target.row, value, base);
    else if (target.row && target.row->type == CONFIG_PAIRS)
        pairs_value(walk, target.row, value, base);
    else if (target.row && value->kind == CONFIG_SCALAR)
        single_value(walk, target.row, value, base);
    else
        wrong_kind(walk, &target, key, value);
}

void config_walk_mapping(struct config_walk *walk, const struct config_node *mapping, const char *prefix,
                         void *base) {
    const struct config_node *key = config_tree_node(walk->tree, mapping->first);
    while (key) {
        const struct config_node *value = config_tree_node(walk->tree, key->next);
        if (!value)
            return; /* the tree ends here, and that is named */
        walk_pair(walk, prefix, key, value, base);
        key = config_tree_node(walk->tree, value->next);
    }
}

void config_walk(struct config_walk *walk) {
    const struct config_node *root = config_tree_node(walk->tree, walk->tree->root);
    bool nothing = !root || (root->kind == CONFIG_SCALAR && root->text_length == 0);
    if (nothing || root->kind == CONFIG_ALIAS)
        return;
    if (root->kind == CONFIG_MAPPING)
        config_walk_mapping(walk, root, "", walk->base);
    else
        config_mistake_add(walk->mistakes, root->line, root->column,
                           "the file must be a mapping; write KEY: VALUE");
}

/* ---- lists ---- */

const struct config_node *config_walk_list(const struct config_walk *walk, const char *path) {
    const struct config_node *list = config_walk_found(walk, path);
    return list && !config_walk_wrong(walk, path) ? config_tree_node(walk->tree, list->first) : NULL;
}

bool config_walk_has(struct config_walk *walk, const char *path, const struct config_node *item,
                     const char *form) {
    uint32_t row = config_walk_row(walk, path);
    if (!walk->keys[row] && walk->tree->whole)
        config_mistake_add(walk->mistakes, item->line, item->column, "this item has no %s; write %s",
                           strrchr(path, '.') + 1, form);
    return walk->found[row] && !walk->wrong[row];
}

bool config_walk_item(struct config_walk *walk, const struct config_node *item, const char *prefix,
                      const char *form, void *base) {
    for (uint32_t i = 0; i < walk->schema->count; i++) /* what the item before this one had */
        if (strncmp(walk->schema->rows[i].path, prefix, strlen(prefix)) == 0) {
            walk->keys[i] = walk->sections[i] = walk->found[i] = NULL;
            walk->wrong[i] = false;
        }
    if (item->kind != CONFIG_MAPPING) {
        if (item->kind != CONFIG_ALIAS)
            config_mistake_add(walk->mistakes, item->line, item->column, "this must be a mapping; write %s",
                               form);
        return false;
    }
    config_walk_mapping(walk, item, prefix, base);
    return true;
}
