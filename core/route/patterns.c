#include "core/route/patterns.h"

#include "core/base/topic.h"
#include "core/base/heap.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define PATTERNS_DEPTH_MAX 24u

struct patterns_slot {
    uint64_t key;
    struct pattern *pattern;
};

struct text {
    const uint8_t *bytes;
    uint32_t length;
};

static void pattern_let_go(struct pattern *pattern) {
    if (pattern && --pattern->references == 0)
        heap_give(pattern);
}

static void patterns_forget_changes(struct patterns *patterns) {
    for (uint32_t i = 0; i < ROUTE_CHANGES_KEPT; i++) {
        pattern_let_go(patterns->changes[i].pattern);
        patterns->changes[i] = (struct change){0};
    }
}

int patterns_init(struct patterns *patterns, uint64_t seed) {
    memset(patterns, 0, sizeof *patterns);
    patterns->seed = seed;
    patterns->stamp = 1;
    if (pages_init(&patterns->literals, sizeof(struct patterns_slot), PATTERNS_DEPTH_MAX))
        return -ENOMEM;
    if (!trie_init(&patterns->wild, seed))
        return 0;
    pages_deinit(&patterns->literals);
    return -ENOMEM;
}

static void patterns_each(const struct patterns *patterns, void (*visit)(void *pattern, void *context),
                          void *context) {
    for (uint32_t i = 0; i < patterns->literals.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct patterns_slot *slot = page_slot(patterns->literals.all[i], j, sizeof *slot);
            if (slot->key)
                visit(slot->pattern, context);
        }
    trie_each(&patterns->wild, visit, context);
}

static void pattern_destroy(void *value, void *context) {
    (void)context;
    struct pattern *pattern = value;
    members_deinit(&pattern->members);
    heap_give(pattern);
}

void patterns_deinit(struct patterns *patterns) {
    patterns_forget_changes(patterns);
    patterns_each(patterns, pattern_destroy, NULL);
    pages_deinit(&patterns->literals);
    trie_deinit(&patterns->wild);
}

uint64_t patterns_key(const struct patterns *patterns, const uint8_t *name, uint32_t length) {
    return pages_key(XXH3_64bits_withSeed(name, length, patterns->seed));
}

static bool patterns_same(const void *slot, const void *context) {
    const struct pattern *pattern = ((const struct patterns_slot *)slot)->pattern;
    const struct text *text = context;
    return pattern->length == text->length && !memcmp(pattern->text, text->bytes, text->length);
}

static struct patterns_slot *patterns_literal(const struct patterns *patterns, uint64_t key,
                                              const uint8_t *name, uint32_t length) {
    struct text text = {name, length};
    return pages_find(&patterns->literals, key, patterns_same, &text);
}

struct pattern *patterns_get(const struct patterns *patterns, const uint8_t *text, uint32_t length) {
    if (pattern_wild(text, length))
        return trie_get(&patterns->wild, text, length);
    const struct patterns_slot *slot =
        patterns_literal(patterns, patterns_key(patterns, text, length), text, length);
    return slot ? slot->pattern : NULL;
}

static int patterns_insert(struct patterns *patterns, struct pattern *pattern) {
    if (pattern->wild)
        return trie_add(&patterns->wild, pattern->text, pattern->length, pattern);
    struct patterns_slot *slot = pages_make(&patterns->literals, pattern->key);
    if (!slot)
        return -ENOMEM;
    slot->pattern = pattern;
    return 0;
}

struct pattern *patterns_add(struct patterns *patterns, const uint8_t *text, uint32_t length) {
    struct pattern *pattern = heap_take_packed(offsetof(struct pattern, text) + length);
    if (!pattern)
        return NULL;
    pattern->references = 1;
    pattern->length = (uint8_t)length;
    memcpy(pattern->text, text, length);
    pattern->wild = pattern_wild(text, length);
    pattern->key = patterns_key(patterns, text, length);
    if (patterns_insert(patterns, pattern)) {
        heap_give(pattern);
        return NULL;
    }
    patterns->count++;
    return pattern;
}

void patterns_drop(struct patterns *patterns, struct pattern *pattern) {
    CHECK(!pattern->members.count && !pattern->route);
    if (pattern->wild)
        trie_drop(&patterns->wild, pattern->text, pattern->length);
    else
        pages_drop(&patterns->literals,
                   patterns_literal(patterns, pattern->key, pattern->text, pattern->length));
    patterns->count--;
    members_deinit(&pattern->members); /* a change may name the pattern for long */
    pattern_let_go(pattern);
}

uint32_t patterns_match(const struct patterns *patterns, uint64_t key, const uint8_t *topic, uint32_t length,
                        void **found) {
    const struct patterns_slot *literal = patterns_literal(patterns, key, topic, length);
    uint32_t count = 0;
    if (literal)
        found[count++] = literal->pattern;
    return count + trie_match(&patterns->wild, topic, length, found + count);
}

/* The first bytes of a name as one number; those beyond its end are zero, which no name contains. */
static uint64_t name_beginning(const uint8_t *name, uint32_t length) {
    uint64_t beginning = 0;
    memcpy(&beginning, name, length < sizeof beginning ? length : sizeof beginning);
    return beginning;
}

/* How many bytes stand before the first wildcard token, the dot included. */
static uint32_t pattern_fixed(const struct pattern *pattern) {
    uint32_t fixed = 0;
    for (uint32_t i = 0; i < pattern->length; i++) {
        bool begins = i == 0 || pattern->text[i - 1] == '.';
        if (begins && (pattern->text[i] == '*' || pattern->text[i] == '>'))
            return i;
        fixed = i + 1;
    }
    return fixed;
}

static struct change change_of(struct pattern *pattern) {
    uint8_t ones[sizeof(uint64_t)];
    memset(ones, 0xff, sizeof ones);
    uint32_t fixed = pattern_fixed(pattern);
    pattern->references++;
    return (struct change){
        .prefix = name_beginning(pattern->text, fixed),
        .mask = name_beginning(ones, fixed),
        .pattern = pattern,
    };
}

bool patterns_changed(struct patterns *patterns, struct pattern *pattern) {
    bool anew = patterns->stamp == UINT32_MAX;
    if (anew) {
        patterns_forget_changes(patterns);
        patterns->stamp = 0;
    }
    struct change *change = &patterns->changes[++patterns->stamp % ROUTE_CHANGES_KEPT];
    pattern_let_go(change->pattern);
    *change = change_of(pattern);
    return anew;
}

bool patterns_unconcerned(const struct patterns *patterns, uint32_t stamp, const uint8_t *topic,
                          uint32_t length) {
    if (patterns->stamp - stamp > ROUTE_CHANGES_KEPT)
        return false;
    uint64_t beginning = name_beginning(topic, length);
    for (uint32_t i = stamp + 1; i <= patterns->stamp && i; i++) {
        const struct change *change = &patterns->changes[i % ROUTE_CHANGES_KEPT];
        if ((beginning & change->mask) == change->prefix &&
            pattern_matches(change->pattern->text, change->pattern->length, topic, length))
            return false;
    }
    return true;
}

static void pattern_check(void *value, void *context) {
    const struct pattern *pattern = value;
    uint64_t *routes = context;
    members_check(&pattern->members);
    CHECK(pattern->members.count && pattern->references);
    *routes += pattern->route != NULL;
}

uint64_t patterns_routes(const struct patterns *patterns) {
    uint64_t routes = 0;
    patterns_each(patterns, pattern_check, &routes);
    return routes;
}

void patterns_check(const struct patterns *patterns) {
    pages_check(&patterns->literals);
    trie_check(&patterns->wild);
    CHECK(patterns->literals.count + patterns->wild.count == patterns->count && patterns->stamp);
}
