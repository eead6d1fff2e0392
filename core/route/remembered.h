/* remembered.h: topic id -> route and the change up to which that is known to be right; bounded, and
 * searchable by name. Owner: one route table; one thread. Forgetting is page by page, as a clock with one
 * used bit a slot: when there are too many, the page at the hand loses what was not asked for since its last
 * turn, or every other slot if all were. So nothing is ever swept as a whole. Slots whose names have the same
 * hash are chained by their keys, so that a change of one literal finds its topic. The chains' table grows
 * one bucket at a time (linear hashing, Litwin 1980).
 * Nothing blocks; the longest step is one page. remembered_add answers NULL when it has no room: the topic is
 * then not remembered. */
#pragma once

#include "core/route/pages.h"
#include "core/route/sets.h"

#define REMEMBERED_USED 1u /* in `name`: asked for since the hand passed */

struct remembered_slot {
    uint64_t key;
    struct route *route; /* counted */
    uint64_t next;       /* key of the next slot in the chain of its name's hash; 0 ends it */
    uint32_t stamp;      /* right up to this change; 0: must be matched again */
    uint32_t name;       /* 31 bits of the name's hash, and REMEMBERED_USED */
};

struct remembered {
    struct pages pages;
    struct sets *sets; /* borrows for life: where the routes are let go */
    uint64_t **chains; /* owns segments of CHAIN_SEGMENT first keys */
    size_t chains_capacity;
    uint64_t buckets; /* in use; at least one segment */
    uint64_t hand;    /* directory position */
    uint64_t evicted;
    uint32_t slots_max;
};

int remembered_init(struct remembered *remembered, struct sets *sets, uint32_t slots_max) MUST_USE;
void remembered_deinit(struct remembered *remembered); /* accepts zeroed memory; lets all routes go */

/* A key from an id, never 0 for an id that is not 0. The log's number stands in the top 16 bits and the count
 * in the low 48. */
static inline uint64_t remembered_key(uint64_t id) {
    id ^= id >> 32;
    id *= UINT64_C(0x9e3779b97f4a7c15);
    return id ^ (id >> 32);
}

static inline struct remembered_slot *remembered_find(const struct remembered *remembered, uint64_t key) {
    const struct page *page = pages_page(&remembered->pages, key);
    for (uint64_t i = key;; i++) {
        struct remembered_slot *slot = page_slot(page, i, sizeof *slot);
        if (LIKELY(slot->key == key))
            return slot;
        if (!slot->key)
            return NULL;
    }
}

/* Remembers a route that is not there yet, and holds it. Other slots may go or move. */
struct remembered_slot *remembered_add(struct remembered *remembered, uint64_t key, uint64_t name_key,
                                       struct route *route);
void remembered_forget(struct remembered *remembered, struct remembered_slot *slot);
/* Forgets some slots, so that their routes can be freed. */
void remembered_sweep(struct remembered *remembered);
/* All slots with this name's hash must be matched again. */
void remembered_outdate(struct remembered *remembered, uint64_t name_key);
void remembered_outdate_all(struct remembered *remembered);
void remembered_check(const struct remembered *remembered);
