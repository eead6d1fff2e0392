/* pages.h: a hash table that grows one page at a time (extendible hashing, Fagin et al. 1979), so that no
 * insert ever rehashes everything. Owner: the structure that holds it; one thread. A directory of 2^depth
 * pointers, indexed by the top bits of a key, leads to pages of PAGE_SLOTS slots with linear probing from the
 * key's low bits. A full page splits in two; the directory doubles by copying pointers. An empty table holds
 * one page. Nothing blocks; the longest step is a split (about 2 us) and, rarely, the copy of the directory.
 * pages_make answers NULL when a page is full and can not split: out of memory, or at depth_max. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SLOTS          256u /* a power of two: small enough to split within microseconds */
#define PAGE_FULL           192u /* three quarters: linear probing stays short */
#define PAGE_SLOT_BYTES_MAX 32u

/* A slot begins with its 64-bit key, which is 0 in an empty slot and well mixed in its top and low bits. */
struct page {
    uint32_t count;
    uint32_t depth; /* how many top bits all its keys share */
    uint64_t unused[7];
    uint64_t words[]; /* PAGE_SLOTS slots of the table's stride */
};

/* Fields are private to pages.c and the inline functions below. */
struct pages {
    struct page **directory; /* owns; 2^depth entries, several may be one page */
    struct page **all;       /* owns; each page once, those in use first, the others kept for later */
    size_t directory_capacity;
    size_t all_capacity;
    uint32_t all_count;
    uint32_t used;
    uint32_t depth;
    uint32_t depth_max;
    uint32_t stride; /* bytes of one slot, a multiple of 8 */
    uint64_t count;  /* keys in all pages */
};

/* depth_max bounds the table to 2^depth_max pages, however badly keys are spread. -ENOMEM leaves nothing
 * behind. */
int pages_init(struct pages *pages, uint32_t stride, uint32_t depth_max) MUST_USE;
void pages_deinit(struct pages *pages); /* accepts zeroed memory */

/* The least depth_max with which `keys` keys fit even if they are spread unevenly. */
uint32_t pages_depth_for(uint64_t keys);

/* Makes a slot for a key: the key is set, the rest is zero. Keys may occur twice. Other slots may move. NULL:
 * see above. */
void *pages_make(struct pages *pages, uint64_t key) MUST_USE;
/* Whether pages_make of this key would have to split a page. */
bool pages_is_full(const struct pages *pages, uint64_t key);
/* Takes a slot out; slots of the same page move. */
void pages_drop(struct pages *pages, void *slot);
/* Forgets everything in constant time and keeps the memory for reuse. */
void pages_clear(struct pages *pages);
/* Keeps the slots of one page for which `keep` says so; the others go. */
void pages_filter(struct pages *pages, struct page *page, bool (*keep)(const void *slot, const void *context),
                  const void *context);
/* The first slot with this key for which `same` says so, or NULL. */
void *pages_find(const struct pages *pages, uint64_t key, bool (*same)(const void *slot, const void *context),
                 const void *context);
uint64_t pages_bytes(const struct pages *pages);
/* Invariants: every key lies where a probe finds it, and the counts are right. For tests. */
void pages_check(const struct pages *pages);

/* A bijection that spreads a hash or a counter over all bits; only 0 becomes 0. (MurmurHash3's finaliser,
 * Appleby.) */
static inline uint64_t pages_mix(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

/* As pages_mix, for hashes of which any may come: never 0. */
static inline uint64_t pages_key(uint64_t hash) {
    uint64_t key = pages_mix(hash);
    return key ? key : 1;
}

static inline struct page *pages_page(const struct pages *pages, uint64_t key) {
    return pages->directory[(key >> 1) >> (63u - pages->depth)];
}

/* The slot at position i; `stride` is a constant at the hot call sites. */
static inline void *page_slot(const struct page *page, uint64_t i, uint32_t stride) {
    const uint64_t *word = page->words + (i & (PAGE_SLOTS - 1u)) * (stride / 8u);
    return (void *)(uintptr_t)word;
}

static inline uint64_t page_slot_key(const void *slot) {
    return *(const uint64_t *)slot;
}
