/* tree.h: a YAML file as a small tree that remembers where everything stands.
 * Owner: config_parse, which makes it and throws it away; one thread.
 * Anchors, aliases and tags are mistakes, so no file grows by being read; depth and values are bounded.
 * Nothing blocks.
 * What can not be read is a mistake; what stood before it is in the tree (`whole` is false). */
#pragma once

#include "core/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind { CONFIG_SCALAR, CONFIG_MAPPING, CONFIG_SEQUENCE, CONFIG_ALIAS };

/* Children of a mapping are key, value, key, value ...; a value may be missing at the end of a tree that is
 * not whole. */
struct config_node {
    enum config_kind kind;
    uint32_t line;        /* from 1; 0 = not in the file */
    uint32_t column;      /* from 1, in characters */
    uint32_t text_length; /* of a scalar */
    const char *text;     /* of a scalar; lives as long as the tree; not ended by a NUL */
    uint32_t first;       /* index of the first child, 0 = none */
    uint32_t last;
    uint32_t next; /* index of the next sibling, 0 = none */
};

struct config_tree {
    struct config_node *nodes; /* owns; [0] stands for none */
    char *texts;               /* owns */
    size_t texts_used;
    size_t texts_size;
    uint32_t count;
    uint32_t size;
    uint32_t root; /* 0 = the file holds nothing */
    bool whole;    /* read to its end */
};

/* Reads `text` into a zeroed tree. What is wrong with it as YAML goes into `mistakes`. */
void config_tree_read(struct config_tree *tree, const char *text, size_t length,
                      struct config_mistakes *mistakes);
void config_tree_deinit(struct config_tree *tree); /* zeroed memory is allowed */

static inline const struct config_node *config_tree_node(const struct config_tree *tree, uint32_t index) {
    return index == 0 ? NULL : &tree->nodes[index];
}
