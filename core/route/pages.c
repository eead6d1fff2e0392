#include "core/route/pages.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>

#define PAGES_FILL_MIN                                                                                       \
    128u /* keys a page holds on average at least when depth_max stops it: full is six sigma away */

static size_t page_bytes(const struct pages *pages) {
    return sizeof(struct page) + (size_t)PAGE_SLOTS * pages->stride;
}

/* A page that is not in use, empty; NULL when there is no memory for another. */
static struct page *pages_take(struct pages *pages, uint32_t depth) {
    if (pages->used == pages->all_count) {
        if (heap_grow((void **)&pages->all, &pages->all_capacity, pages->all_count + 1u, sizeof *pages->all))
            return NULL;
        struct page *page = heap_take_raw(page_bytes(pages));
        if (!page)
            return NULL;
        pages->all[pages->all_count++] = page;
    }
    struct page *page = pages->all[pages->used++];
    memset(page, 0, page_bytes(pages));
    page->depth = depth;
    return page;
}

int pages_init(struct pages *pages, uint32_t stride, uint32_t depth_max) {
    CHECK(stride % 8 == 0 && stride <= PAGE_SLOT_BYTES_MAX && depth_max < 32);
    *pages = (struct pages){.stride = stride, .depth_max = depth_max};
    if (heap_grow((void **)&pages->directory, &pages->directory_capacity, 1, sizeof *pages->directory))
        return -ENOMEM;
    pages->directory[0] = pages_take(pages, 0);
    if (!pages->directory[0]) {
        pages_deinit(pages);
        return -ENOMEM;
    }
    return 0;
}

void pages_deinit(struct pages *pages) {
    for (uint32_t i = 0; i < pages->all_count; i++)
        heap_give(pages->all[i]);
    heap_give(pages->all);
    heap_give(pages->directory);
    *pages = (struct pages){.stride = pages->stride};
}

uint32_t pages_depth_for(uint64_t keys) {
    uint32_t depth = 1;
    while (depth < 31 && (keys >> depth) > PAGES_FILL_MIN)
        depth++;
    return depth;
}

void pages_clear(struct pages *pages) {
    pages->used = 0;
    pages->count = 0;
    pages->depth = 0;
    pages->directory[0] = pages_take(pages, 0);
    CHECK(pages->directory[0]);
}

/* Puts a key into a page with room: the first empty slot from its position on. */
static void *page_place(struct page *page, uint64_t key, uint32_t stride) {
    uint64_t i = key;
    while (page_slot_key(page_slot(page, i, stride)))
        i++;
    uint64_t *slot = page_slot(page, i, stride);
    slot[0] = key;
    page->count++;
    return slot;
}

/* Empties a page into `copy`, which then holds `return` slots in a row. */
static uint32_t page_empty(struct page *page, uint32_t stride, uint64_t *copy) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < PAGE_SLOTS; i++) {
        const void *slot = page_slot(page, i, stride);
        if (page_slot_key(slot))
            memcpy(copy + count++ * (size_t)(stride / 8u), slot, stride);
    }
    memset(page->words, 0, (size_t)PAGE_SLOTS * stride);
    page->count = 0;
    return count;
}

static int pages_double_directory(struct pages *pages) {
    size_t count = (size_t)1 << pages->depth;
    if (heap_grow((void **)&pages->directory, &pages->directory_capacity, 2 * count,
                  sizeof *pages->directory))
        return -ENOMEM;
    for (size_t i = count; i-- > 0;) {
        pages->directory[2 * i] = pages->directory[i];
        pages->directory[2 * i + 1] = pages->directory[i];
    }
    pages->depth++;
    return 0;
}

/* Points the upper half of the directory entries that led to `key`'s page at its new sibling. */
static void pages_link(struct pages *pages, uint64_t key, struct page *sibling) {
    uint32_t free_bits = pages->depth - sibling->depth;
    size_t first = (size_t)((key >> 1) >> (63u - sibling->depth)) | 1u;
    for (size_t i = first << free_bits; i < (first + 1) << free_bits; i++)
        pages->directory[i] = sibling;
}

static bool pages_split(struct pages *pages, uint64_t key) {
    struct page *page = pages_page(pages, key);
    if (page->depth == pages->depth_max)
        return false;
    if (page->depth == pages->depth && pages_double_directory(pages))
        return false;
    struct page *sibling = pages_take(pages, page->depth + 1);
    if (!sibling)
        return false;
    page->depth++;
    uint64_t copy[PAGE_SLOTS * PAGE_SLOT_BYTES_MAX / 8];
    uint32_t stride = pages->stride, count = page_empty(page, stride, copy);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *from = copy + i * (size_t)(stride / 8u);
        bool upper = (from[0] >> (64u - page->depth)) & 1u;
        memcpy(page_place(upper ? sibling : page, from[0], stride), from, stride);
    }
    pages_link(pages, key, sibling);
    return true;
}

bool pages_is_full(const struct pages *pages, uint64_t key) {
    return pages_page(pages, key)->count >= PAGE_FULL;
}

void *pages_make(struct pages *pages, uint64_t key) {
    CHECK_HOT(key);
    while (pages_is_full(pages, key))
        if (!pages_split(pages, key))
            return NULL;
    pages->count++;
    return page_place(pages_page(pages, key), key, pages->stride);
}

/* Linear probing without tombstones: what follows the hole moves up, unless that would put it in front of its
 * position. (Knuth 6.4, R) */
static void page_close_hole(struct page *page, uint64_t hole, uint32_t stride) {
    for (uint64_t i = hole + 1;; i++) {
        const void *slot = page_slot(page, i, stride);
        if (!page_slot_key(slot))
            break;
        uint64_t from_home = (i - page_slot_key(slot)) & (PAGE_SLOTS - 1u);
        if (from_home < ((i - hole) & (PAGE_SLOTS - 1u)))
            continue;
        memcpy(page_slot(page, hole, stride), slot, stride);
        hole = i;
    }
    memset(page_slot(page, hole, stride), 0, stride);
}

void pages_drop(struct pages *pages, void *slot) {
    struct page *page = pages_page(pages, page_slot_key(slot));
    size_t offset = (size_t)((const uint64_t *)slot - page->words) * 8u;
    CHECK_HOT(offset < (size_t)PAGE_SLOTS * pages->stride);
    page_close_hole(page, offset / pages->stride, pages->stride);
    page->count--;
    pages->count--;
}

void pages_filter(struct pages *pages, struct page *page, bool (*keep)(const void *slot, const void *context),
                  const void *context) {
    uint64_t copy[PAGE_SLOTS * PAGE_SLOT_BYTES_MAX / 8];
    uint32_t stride = pages->stride, count = page_empty(page, stride, copy);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *from = copy + i * (size_t)(stride / 8u);
        if (keep(from, context))
            memcpy(page_place(page, from[0], stride), from, stride);
    }
    pages->count -= count - page->count;
}

void *pages_find(const struct pages *pages, uint64_t key, bool (*same)(const void *slot, const void *context),
                 const void *context) {
    const struct page *page = pages_page(pages, key);
    for (uint64_t i = key;; i++) {
        void *slot = page_slot(page, i, pages->stride);
        if (!page_slot_key(slot))
            return NULL;
        if (page_slot_key(slot) == key && same(slot, context))
            return slot;
    }
}

uint64_t pages_bytes(const struct pages *pages) {
    return (uint64_t)pages->all_count * page_bytes(pages) + pages->all_capacity * sizeof *pages->all +
           pages->directory_capacity * sizeof *pages->directory;
}

static void page_check(const struct pages *pages, const struct page *page) {
    uint32_t count = 0;
    for (uint64_t i = 0; i < PAGE_SLOTS; i++) {
        uint64_t key = page_slot_key(page_slot(page, i, pages->stride));
        if (!key)
            continue;
        count++;
        CHECK(pages_page(pages, key) == page);
        for (uint64_t j = key; (j & (PAGE_SLOTS - 1u)) != i; j++)
            CHECK(page_slot_key(page_slot(page, j, pages->stride)));
    }
    CHECK(count == page->count && count <= PAGE_FULL && page->depth <= pages->depth);
}

void pages_check(const struct pages *pages) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < pages->used; i++) {
        page_check(pages, pages->all[i]);
        count += pages->all[i]->count;
    }
    CHECK(count == pages->count && pages->used <= pages->all_count && pages->depth <= pages->depth_max);
}
