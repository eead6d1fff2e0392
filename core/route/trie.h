/* trie.h: the patterns with wildcards, by their tokens; finds all that match a topic in one walk.
 * Owner: one route table; one thread. Pure data: a pattern leads to a pointer that the trie does not look at.
 * All edges of literal tokens are in one hash table, keyed by parent and token, so that a node with 100,000
 * children costs a probe like any other; `*` is a pointer in the node, and a pattern that ends in `>` hangs
 * at the node before it. Nothing blocks. A walk visits the nodes that match the topic's beginning: its depth,
 * times two for each level with a `*` beside. Adding fails with -ENOMEM and leaves nothing behind. */
#pragma once

#include "core/route/pages.h"

struct trie_node;

struct trie {
    struct pages edges; /* parent and token -> child */
    struct trie_node *root;
    uint64_t seed;
    uint64_t numbered; /* nodes made so far; a node's number is part of its edges' keys */
    uint64_t count;    /* patterns */
};

int trie_init(struct trie *trie, uint64_t seed) MUST_USE;
void trie_deinit(struct trie *trie); /* accepts zeroed memory; the values are the caller's: see trie_each */

/* `value` (not NULL) at a valid pattern with wildcards that is not there yet. */
int trie_add(struct trie *trie, const uint8_t *pattern, uint32_t length, void *value) MUST_USE;
/* The value at exactly this pattern, or NULL. */
void *trie_get(const struct trie *trie, const uint8_t *pattern, uint32_t length);
/* The pattern must be there. Allocates nothing. */
void trie_drop(struct trie *trie, const uint8_t *pattern, uint32_t length);
/* The values of all patterns that match a valid topic, each once; `values` has room for trie->count. The same
 * patterns always come in the same order. */
uint32_t trie_match(const struct trie *trie, const uint8_t *topic, uint32_t length, void **values);
/* Calls `visit` for every value. */
void trie_each(const struct trie *trie, void (*visit)(void *value, void *context), void *context);
void trie_check(const struct trie *trie);
