#include "core/route/sets.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define SETS_DEPTH_MAX 24u

struct held {
    struct held *limbo_next;
    uint64_t in_limbo;
    struct route route;
};

struct sets_slot {
    uint64_t key;
    struct held *held;
};

struct sets_wanted {
    const route_member *members;
    uint32_t count;
};

static size_t held_bytes(uint32_t count) {
    return sizeof(struct held) + count * sizeof(route_member);
}

static struct held *held_of(struct route *route) {
    return (void *)((char *)route - offsetof(struct held, route));
}

static bool sets_same(const void *slot, const void *context) {
    const struct route *route = &((const struct sets_slot *)slot)->held->route;
    const struct sets_wanted *wanted = context;
    return route->count == wanted->count &&
           !memcmp(route->members, wanted->members, wanted->count * sizeof *wanted->members);
}

static bool sets_is(const void *slot, const void *context) {
    return ((const struct sets_slot *)slot)->held == context;
}

/* A route that waits to be freed, whether somebody found it again or not. */
static void sets_to_limbo(struct sets *sets, struct held *held) {
    if (held->in_limbo)
        return;
    held->in_limbo = 1;
    held->limbo_next = sets->limbo;
    sets->limbo = held;
}

static struct held *sets_add(struct sets *sets, uint64_t key, const struct sets_wanted *wanted) {
    if (sets->bytes + held_bytes(wanted->count) > sets->bytes_max)
        return NULL;
    struct held *held = heap_take_raw(held_bytes(wanted->count));
    if (!held)
        return NULL;
    struct sets_slot *slot = pages_make(&sets->pages, key);
    if (!slot) {
        heap_give(held);
        return NULL;
    }
    slot->held = held;
    *held = (struct held){.route = {.private_hash = key, .count = wanted->count}};
    if (wanted->count)
        memcpy(held->route.members, wanted->members, wanted->count * sizeof *wanted->members);
    sets->bytes += held_bytes(wanted->count);
    sets_to_limbo(sets, held);
    return held;
}

struct route *sets_make(struct sets *sets, const route_member *members, uint32_t count) {
    struct sets_wanted wanted = {members, count};
    uint64_t key = pages_key(XXH3_64bits_withSeed(members, count * sizeof *members, sets->seed));
    struct sets_slot *slot = pages_find(&sets->pages, key, sets_same, &wanted);
    struct held *held = slot ? slot->held : sets_add(sets, key, &wanted);
    return held ? &held->route : NULL;
}

void sets_hold(struct route *route) {
    route->references++;
    CHECK(route->references);
}

void sets_let_go(struct sets *sets, struct route *route) {
    if (!route)
        return;
    CHECK(route->references);
    if (--route->references == 0)
        sets_to_limbo(sets, held_of(route));
}

static void sets_free(struct sets *sets, struct held *held) {
    pages_drop(&sets->pages, pages_find(&sets->pages, held->route.private_hash, sets_is, held));
    sets->bytes -= held_bytes(held->route.count);
    heap_give(held);
}

void sets_release(struct sets *sets) {
    while (sets->limbo) {
        struct held *held = sets->limbo;
        sets->limbo = held->limbo_next;
        held->in_limbo = 0;
        if (held->route.references == 0)
            sets_free(sets, held);
    }
}

struct route *sets_empty(const struct sets *sets) {
    return &sets->empty->route;
}

int sets_init(struct sets *sets, uint64_t seed, uint64_t bytes_max) {
    static const route_member nobody;
    *sets = (struct sets){.seed = seed, .bytes_max = bytes_max};
    if (pages_init(&sets->pages, sizeof(struct sets_slot), SETS_DEPTH_MAX))
        return -ENOMEM;
    struct route *empty = sets_make(sets, &nobody, 0);
    if (!empty) {
        sets_deinit(sets);
        return -ENOMEM;
    }
    sets_hold(empty);
    sets->empty = held_of(empty);
    return 0;
}

void sets_deinit(struct sets *sets) {
    for (uint32_t i = 0; i < sets->pages.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct sets_slot *slot = page_slot(sets->pages.all[i], j, sizeof *slot);
            heap_give(slot->held);
        }
    pages_deinit(&sets->pages);
    *sets = (struct sets){0};
}

void sets_check(const struct sets *sets) {
    pages_check(&sets->pages);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < sets->pages.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct sets_slot *slot = page_slot(sets->pages.all[i], j, sizeof *slot);
            if (!slot->key)
                continue;
            CHECK(slot->held->route.references || slot->held->in_limbo);
            bytes += held_bytes(slot->held->route.count);
        }
    CHECK(bytes == sets->bytes);
}

uint64_t sets_references(const struct sets *sets) {
    uint64_t references = 0;
    for (uint32_t i = 0; i < sets->pages.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct sets_slot *slot = page_slot(sets->pages.all[i], j, sizeof *slot);
            references += slot->key ? slot->held->route.references : 0;
        }
    return references;
}
