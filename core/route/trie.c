#include "core/route/trie.h"

#include "core/base/limits.h"
#include "core/base/heap.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define TRIE_DEPTH_MAX 24u
#define TRIE_SPREAD    UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: keeps numbers apart in a key */

struct trie_node {
    struct trie_node *parent; /* NULL: the root */
    struct trie_node *star;   /* owns */
    void *here;               /* value of the pattern that ends with this node's token */
    void *rest;               /* value of the pattern that goes on with `>` and nothing else */
    uint64_t number;
    uint64_t key;      /* of the edge that leads here; 0 for the root and for `*` */
    uint32_t children; /* by literal tokens */
    uint32_t length;
    uint8_t token[];
};

struct trie_slot {
    uint64_t key;
    struct trie_node *child;
};

struct token {
    const uint8_t *bytes;
    uint32_t length;
    uint64_t hash; /* 0 until first asked for */
};

struct tokens {
    struct token token[TOPIC_TOKENS_MAX];
    uint32_t count;
};

struct trie_edge {
    const struct trie_node *parent;
    const struct token *token;
};

static void tokens_split(struct tokens *tokens, const uint8_t *name, uint32_t length) {
    const uint8_t *end = name + length;
    tokens->count = 0;
    for (const uint8_t *begin = name;;) {
        const uint8_t *dot = memchr(begin, '.', (size_t)(end - begin));
        const uint8_t *stop = dot ? dot : end;
        CHECK(tokens->count < TOPIC_TOKENS_MAX);
        tokens->token[tokens->count++] = (struct token){begin, (uint32_t)(stop - begin), 0};
        if (!dot)
            return;
        begin = dot + 1;
    }
}

static bool token_is(const struct token *token, uint8_t wildcard) {
    return token->length == 1 && token->bytes[0] == wildcard;
}

static bool trie_same(const void *slot, const void *context) {
    const struct trie_node *child = ((const struct trie_slot *)slot)->child;
    const struct trie_edge *edge = context;
    return child->parent == edge->parent && child->length == edge->token->length &&
           !memcmp(child->token, edge->token->bytes, child->length);
}

static bool trie_is(const void *slot, const void *context) {
    return ((const struct trie_slot *)slot)->child == context;
}

static uint64_t trie_key(const struct trie *trie, const struct trie_node *parent, struct token *token) {
    if (!token->hash)
        token->hash = XXH3_64bits_withSeed(token->bytes, token->length, trie->seed);
    return pages_key(token->hash ^ parent->number * TRIE_SPREAD);
}

static struct trie_node *trie_literal(const struct trie *trie, const struct trie_node *parent,
                                      struct token *token) {
    if (!parent->children)
        return NULL;
    struct trie_edge edge = {parent, token};
    const struct trie_slot *slot = pages_find(&trie->edges, trie_key(trie, parent, token), trie_same, &edge);
    return slot ? slot->child : NULL;
}

static struct trie_node *trie_child(const struct trie *trie, const struct trie_node *parent,
                                    struct token *token) {
    return token_is(token, '*') ? parent->star : trie_literal(trie, parent, token);
}

static struct trie_node *node_create(struct trie *trie, struct trie_node *parent, const struct token *token) {
    struct trie_node *node = heap_take(sizeof *node + token->length);
    if (!node)
        return NULL;
    node->parent = parent;
    node->number = ++trie->numbered;
    node->length = token->length;
    memcpy(node->token, token->bytes, token->length);
    return node;
}

static struct trie_node *trie_add_child(struct trie *trie, struct trie_node *parent, struct token *token) {
    struct trie_node *node = node_create(trie, parent, token);
    if (!node)
        return NULL;
    if (token_is(token, '*')) {
        parent->star = node;
        return node;
    }
    node->key = trie_key(trie, parent, token);
    struct trie_slot *slot = pages_make(&trie->edges, node->key);
    if (!slot) {
        heap_give(node);
        return NULL;
    }
    slot->child = node;
    parent->children++;
    return node;
}

/* Takes nodes away that lead nowhere, from a leaf towards the root. */
static void trie_prune(struct trie *trie, struct trie_node *node) {
    while (node->parent && !node->here && !node->rest && !node->star && !node->children) {
        struct trie_node *parent = node->parent;
        if (node->key) {
            pages_drop(&trie->edges, pages_find(&trie->edges, node->key, trie_is, node));
            parent->children--;
        } else {
            parent->star = NULL;
        }
        heap_give(node);
        node = parent;
    }
}

int trie_init(struct trie *trie, uint64_t seed) {
    *trie = (struct trie){.seed = seed};
    trie->root = heap_take(sizeof *trie->root);
    if (!trie->root)
        return -ENOMEM;
    if (!pages_init(&trie->edges, sizeof(struct trie_slot), TRIE_DEPTH_MAX))
        return 0;
    heap_give(trie->root);
    *trie = (struct trie){0};
    return -ENOMEM;
}

/* A node and the `*` nodes below it; what hangs there by literal tokens is found through the edges. */
static void trie_free_stars(struct trie_node *node) {
    while (node) {
        struct trie_node *star = node->star;
        heap_give(node);
        node = star;
    }
}

void trie_deinit(struct trie *trie) {
    for (uint32_t i = 0; i < trie->edges.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct trie_slot *slot = page_slot(trie->edges.all[i], j, sizeof *slot);
            trie_free_stars(slot->child);
        }
    trie_free_stars(trie->root);
    pages_deinit(&trie->edges);
    *trie = (struct trie){0};
}

static void trie_visit_stars(const struct trie_node *node, void (*visit)(void *value, void *context),
                             void *context) {
    for (; node; node = node->star) {
        if (node->here)
            visit(node->here, context);
        if (node->rest)
            visit(node->rest, context);
    }
}

void trie_each(const struct trie *trie, void (*visit)(void *value, void *context), void *context) {
    for (uint32_t i = 0; i < trie->edges.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct trie_slot *slot = page_slot(trie->edges.all[i], j, sizeof *slot);
            trie_visit_stars(slot->child, visit, context);
        }
    trie_visit_stars(trie->root, visit, context);
}

/* How many tokens of a pattern are nodes: all but a last `>`. */
static uint32_t tokens_nodes(const struct tokens *tokens) {
    return tokens->count - (token_is(&tokens->token[tokens->count - 1], '>') ? 1u : 0u);
}

static void **node_value(struct trie_node *node, const struct tokens *tokens) {
    return tokens_nodes(tokens) == tokens->count ? &node->here : &node->rest;
}

int trie_add(struct trie *trie, const uint8_t *pattern, uint32_t length, void *value) {
    struct tokens tokens;
    tokens_split(&tokens, pattern, length);
    struct trie_node *node = trie->root;
    for (uint32_t i = 0; i < tokens_nodes(&tokens); i++) {
        struct trie_node *child = trie_child(trie, node, &tokens.token[i]);
        if (!child)
            child = trie_add_child(trie, node, &tokens.token[i]);
        if (!child) {
            trie_prune(trie, node);
            return -ENOMEM;
        }
        node = child;
    }
    CHECK(value && !*node_value(node, &tokens));
    *node_value(node, &tokens) = value;
    trie->count++;
    return 0;
}

static struct trie_node *trie_walk(const struct trie *trie, struct tokens *tokens) {
    struct trie_node *node = trie->root;
    for (uint32_t i = 0; node && i < tokens_nodes(tokens); i++)
        node = trie_child(trie, node, &tokens->token[i]);
    return node;
}

void *trie_get(const struct trie *trie, const uint8_t *pattern, uint32_t length) {
    struct tokens tokens;
    tokens_split(&tokens, pattern, length);
    struct trie_node *node = trie_walk(trie, &tokens);
    return node ? *node_value(node, &tokens) : NULL;
}

void trie_drop(struct trie *trie, const uint8_t *pattern, uint32_t length) {
    struct tokens tokens;
    tokens_split(&tokens, pattern, length);
    struct trie_node *node = trie_walk(trie, &tokens);
    CHECK(node && *node_value(node, &tokens));
    *node_value(node, &tokens) = NULL;
    trie->count--;
    trie_prune(trie, node);
}

struct trie_search {
    const struct trie *trie;
    struct tokens tokens;
    void **values;
    uint32_t found;
    bool apart; /* the topic begins with `$` or `@`: no leading wildcard matches it */
};

/* Recursion ends after TOPIC_TOKENS_MAX levels. */
static void search_below(struct trie_search *search, const struct trie_node *node, uint32_t depth) {
    if (depth == search->tokens.count) {
        if (node->here)
            search->values[search->found++] = node->here;
        return;
    }
    bool wildcards = depth || !search->apart;
    if (node->rest && wildcards)
        search->values[search->found++] = node->rest;
    if (node->star && wildcards)
        search_below(search, node->star, depth + 1);
    const struct trie_node *child = trie_literal(search->trie, node, &search->tokens.token[depth]);
    if (child)
        search_below(search, child, depth + 1);
}

uint32_t trie_match(const struct trie *trie, const uint8_t *topic, uint32_t length, void **values) {
    if (!trie->count)
        return 0;
    struct trie_search search = {.trie = trie, .values = values, .apart = *topic == '$' || *topic == '@'};
    tokens_split(&search.tokens, topic, length);
    search_below(&search, trie->root, 0);
    return search.found;
}

void trie_check(const struct trie *trie) {
    pages_check(&trie->edges);
    for (uint32_t i = 0; i < trie->edges.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct trie_slot *slot = page_slot(trie->edges.all[i], j, sizeof *slot);
            const struct trie_node *node = slot->child;
            if (slot->key)
                CHECK(node->key == slot->key && (node->here || node->rest || node->star || node->children));
        }
}
