#include "core/route/remembered.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>

#define CHAIN_SEGMENT 512u /* first keys in one piece of the chains' table: 4 KiB */

static int chains_add_segment(struct remembered *remembered) {
    size_t segments = remembered->buckets / CHAIN_SEGMENT;
    if (heap_grow((void **)&remembered->chains, &remembered->chains_capacity, segments + 1,
                  sizeof *remembered->chains))
        return -ENOMEM;
    remembered->chains[segments] = heap_take(CHAIN_SEGMENT * sizeof **remembered->chains);
    return remembered->chains[segments] ? 0 : -ENOMEM;
}

int remembered_init(struct remembered *remembered, struct sets *sets, uint32_t slots_max) {
    *remembered = (struct remembered){.sets = sets, .slots_max = slots_max};
    if (pages_init(&remembered->pages, sizeof(struct remembered_slot), pages_depth_for(slots_max)))
        return -ENOMEM;
    if (chains_add_segment(remembered)) {
        remembered_deinit(remembered);
        return -ENOMEM;
    }
    remembered->buckets = CHAIN_SEGMENT;
    return 0;
}

void remembered_deinit(struct remembered *remembered) {
    for (uint32_t i = 0; i < remembered->pages.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            const struct remembered_slot *slot = page_slot(remembered->pages.all[i], j, sizeof *slot);
            sets_let_go(remembered->sets, slot->route);
        }
    /* A segment is there for each begun one of the buckets; the one that growth failed to get is NULL or
     * absent. */
    for (uint64_t i = 0; i * CHAIN_SEGMENT < remembered->buckets; i++)
        heap_give(remembered->chains[i]);
    heap_give(remembered->chains);
    pages_deinit(&remembered->pages);
    *remembered = (struct remembered){0};
}

/* --- Chains by name
 * ----------------------------------------------------------------------------------------------- */

/* The highest power of two that is not above the number of buckets: those below it are addressed by so many
 * values. */
static uint64_t chains_level(const struct remembered *remembered) {
    return UINT64_C(1) << (63 - __builtin_clzll(remembered->buckets));
}

/* Buckets that have been split already are addressed by one bit more. */
static uint64_t *chain_of(const struct remembered *remembered, uint32_t name) {
    uint64_t level = chains_level(remembered), hash = name >> 1, bucket = hash & (2 * level - 1);
    if (bucket >= remembered->buckets)
        bucket = hash & (level - 1);
    return &remembered->chains[bucket / CHAIN_SEGMENT][bucket % CHAIN_SEGMENT];
}

static void chain_push(struct remembered *remembered, struct remembered_slot *slot) {
    uint64_t *first = chain_of(remembered, slot->name);
    slot->next = *first;
    *first = slot->key;
}

static void chain_remove(struct remembered *remembered, const struct remembered_slot *slot) {
    uint64_t *link = chain_of(remembered, slot->name);
    while (*link != slot->key)
        link = &remembered_find(remembered, *link)->next;
    *link = slot->next;
}

/* One more bucket takes its half of the chain that it splits. Without memory the chains just stay longer. */
static void chains_grow(struct remembered *remembered) {
    if (remembered->buckets % CHAIN_SEGMENT == 0 && chains_add_segment(remembered))
        return;
    uint64_t split = remembered->buckets - chains_level(remembered);
    uint64_t *first = &remembered->chains[split / CHAIN_SEGMENT][split % CHAIN_SEGMENT], key = *first;
    *first = 0;
    remembered->buckets++;
    while (key) {
        struct remembered_slot *slot = remembered_find(remembered, key);
        key = slot->next;
        chain_push(remembered, slot);
    }
}

/* --- Forgetting
 * --------------------------------------------------------------------------------------------------- */

static void remembered_take_out(struct remembered *remembered, struct remembered_slot *slot) {
    chain_remove(remembered, slot);
    sets_let_go(remembered->sets, slot->route);
    slot->route = NULL;
}

void remembered_forget(struct remembered *remembered, struct remembered_slot *slot) {
    remembered_take_out(remembered, slot);
    pages_drop(&remembered->pages, slot);
}

static bool remembered_keeps(const void *slot, const void *context) {
    (void)context;
    return ((const struct remembered_slot *)slot)->route;
}

/* Takes out what was not used since the last time, and clears the used bits of the rest. */
static uint32_t page_take_unused(struct remembered *remembered, struct page *page) {
    uint32_t gone = 0;
    for (uint32_t i = 0; i < PAGE_SLOTS; i++) {
        struct remembered_slot *slot = page_slot(page, i, sizeof *slot);
        if (!slot->key)
            continue;
        if (!(slot->name & REMEMBERED_USED)) {
            remembered_take_out(remembered, slot);
            gone++;
        }
        slot->name &= ~REMEMBERED_USED;
    }
    return gone;
}

static uint32_t page_take_half(struct remembered *remembered, struct page *page) {
    uint32_t seen = 0, gone = 0;
    for (uint32_t i = 0; i < PAGE_SLOTS; i++) {
        struct remembered_slot *slot = page_slot(page, i, sizeof *slot);
        if (!slot->key || seen++ % 2)
            continue;
        remembered_take_out(remembered, slot);
        gone++;
    }
    return gone;
}

static uint32_t remembered_sweep_page(struct remembered *remembered, struct page *page) {
    uint32_t gone = page_take_unused(remembered, page);
    if (!gone)
        gone = page_take_half(remembered, page);
    pages_filter(&remembered->pages, page, remembered_keeps, NULL);
    remembered->evicted += gone;
    return gone;
}

void remembered_sweep(struct remembered *remembered) {
    uint64_t directory = UINT64_C(1) << remembered->pages.depth, gone = 0;
    while (!gone && remembered->pages.count)
        gone = remembered_sweep_page(remembered,
                                     remembered->pages.directory[remembered->hand++ & (directory - 1)]);
}

/* --- Adding, outdating
 * -------------------------------------------------------------------------------------------- */

struct remembered_slot *remembered_add(struct remembered *remembered, uint64_t key, uint64_t name_key,
                                       struct route *route) {
    if (remembered->pages.count >= remembered->slots_max)
        remembered_sweep(remembered);
    struct remembered_slot *slot = pages_make(&remembered->pages, key);
    if (!slot) {
        remembered_sweep_page(remembered, pages_page(&remembered->pages, key));
        slot = pages_make(&remembered->pages, key);
    }
    if (!slot)
        return NULL;
    sets_hold(route);
    slot->route = route;
    slot->name = (uint32_t)name_key & ~REMEMBERED_USED;
    chain_push(remembered, slot);
    if (remembered->pages.count > remembered->buckets)
        chains_grow(remembered);
    return slot;
}

void remembered_outdate(struct remembered *remembered, uint64_t name_key) {
    uint32_t name = (uint32_t)name_key & ~REMEMBERED_USED;
    for (uint64_t key = *chain_of(remembered, name); key;) {
        struct remembered_slot *slot = remembered_find(remembered, key);
        if ((slot->name & ~REMEMBERED_USED) == name)
            slot->stamp = 0;
        key = slot->next;
    }
}

void remembered_outdate_all(struct remembered *remembered) {
    for (uint32_t i = 0; i < remembered->pages.used; i++)
        for (uint32_t j = 0; j < PAGE_SLOTS; j++) {
            struct remembered_slot *slot = page_slot(remembered->pages.all[i], j, sizeof *slot);
            slot->stamp = 0;
        }
}

void remembered_check(const struct remembered *remembered) {
    pages_check(&remembered->pages);
    CHECK(remembered->pages.count <= remembered->slots_max);
    uint64_t chained = 0;
    for (uint64_t i = 0; i < remembered->buckets; i++) {
        for (uint64_t key = remembered->chains[i / CHAIN_SEGMENT][i % CHAIN_SEGMENT]; key; chained++) {
            const struct remembered_slot *slot = remembered_find(remembered, key);
            CHECK(slot && slot->route && slot->route->references);
            CHECK(chain_of(remembered, slot->name) ==
                  &remembered->chains[i / CHAIN_SEGMENT][i % CHAIN_SEGMENT]);
            key = slot->next;
        }
    }
    CHECK(chained == remembered->pages.count);
}
