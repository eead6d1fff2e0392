/* walk.h: from the tree of a file to a struct, as a schema says: a struct config, or that of a spoke.
 * Owner: whoever reads the file, such as config_parse; one thread.
 * config_walk and what begins with config_walk_ is for every schema, the rest for the sharding config. Its
 * steps: config_walk reads single values, config_lists the lists, config_settle what holds between keys.
 * Blocks only as `shards: auto` does, which reads files of /proc and /sys.
 * Whatever is wrong becomes a mistake; each step goes on as far as what it needs was right. */
#pragma once

#include "core/config/config.h"
#include "core/config/schema.h"
#include "core/config/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* Arrays are by row of the schema. */
struct config_walk {
    const struct config_schema *schema;
    void *base;            /* that the schema's rows are read into */
    struct config *config; /* the same, of the sharding config */
    struct config_mistakes *mistakes;
    const struct config_tree *tree;                  /* NULL = an override of the command line */
    const struct config_node *keys[CONFIG_ROWS_MAX]; /* its key in the file, NULL = left out */
    const struct config_node
        *sections[CONFIG_ROWS_MAX];                    /* at the first row of a section: the section's key */
    const struct config_node *found[CONFIG_ROWS_MAX];  /* its value in the file, NULL = left out */
    bool wrong[CONFIG_ROWS_MAX];                       /* refused: nothing may be concluded from it */
    const struct config_node *shard_named[SHARDS_MAX]; /* the first item of `slots` for each shard */
};

/* The whole file. */
void config_walk(struct config_walk *walk);
/* The keys of one mapping, whose rows begin with `prefix`, into `base`. */
void config_walk_mapping(struct config_walk *walk, const struct config_node *mapping, const char *prefix,
                         void *base);

void config_lists(struct config_walk *walk);
void config_settle(struct config_walk *walk);

/* By path of a row that exists. */
const struct config_node *config_walk_found(const struct config_walk *walk, const char *path);
bool config_walk_wrong(const struct config_walk *walk, const char *path);
uint32_t config_walk_row(const struct config_walk *walk, const char *path); /* its index */

/* The items of a list that can be read, or NULL: the others follow by `next`. */
const struct config_node *config_walk_list(const struct config_walk *walk, const char *path);
/* Reads the keys of an item into `base`; `prefix` is what their paths begin with, `form` how an item is
 * written. False: it is no mapping. */
bool config_walk_item(struct config_walk *walk, const struct config_node *item, const char *prefix,
                      const char *form, void *base);
/* A key that every item must have. True = it is there, and right. */
bool config_walk_has(struct config_walk *walk, const char *path, const struct config_node *item,
                     const char *form);

/* A key that is near enough to have been meant, or what the keys are; `prefix` is that of the section. */
const char *config_near(const struct config_schema *schema, const char *prefix, const char *key,
                        char out[static CONFIG_WHY_BYTES]);
