/* walk.h: from the tree of a file to a struct config.
 * Owner: config_parse and config_override; the main thread.
 * Steps: config_walk reads single values, config_lists the lists, config_settle what holds between keys.
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
    struct config *config;
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
uint32_t config_walk_row(const char *path); /* its index */

/* A key that is near enough to have been meant, or NULL; `prefix` is that of the section. */
const char *config_near(const char *prefix, const char *key, char out[static CONFIG_WHY_BYTES]);
