/* table.h: the slots behind io_handle: index and generation, so that a handle or completion of an earlier
 * life is recognised.
 * Owner: one body of core/io, on its thread.
 * Slots are allocated in chunks and never move, so pointers to them may be given to a library or to the
 * kernel.
 * Nothing blocks.
 * Only io_table_take can fail: NULL when out of memory or above 2^24 slots. */
#pragma once

#include "core/io/io.h"

#define IO_TABLE_INDEX_BITS  24u
#define IO_TABLE_INDEX_MASK  ((UINT32_C(1) << IO_TABLE_INDEX_BITS) - 1u)
#define IO_TABLE_CHUNK_BITS  8u
#define IO_TABLE_CHUNK_SLOTS (1u << IO_TABLE_CHUNK_BITS)
#define IO_TABLE_NONE        UINT32_MAX

/* A body's slot begins with this. */
struct io_slot {
    uint32_t generation; /* never 0, so that no handle is 0 */
    uint32_t index;
    uint32_t next_free;
    uint32_t live;
};

struct io_table {
    uint8_t **chunks; /* owns */
    uint32_t chunk_count;
    uint32_t slot_bytes;
    uint32_t free_first;
    uint32_t live_count;
};

void io_table_init(struct io_table *table, uint32_t slot_bytes);
void io_table_deinit(struct io_table *table);
/* A slot whose bytes behind struct io_slot are zero. */
void *io_table_take(struct io_table *table);
/* Bumps the generation: every handle given out for it is stale from now on. */
void io_table_give(struct io_table *table, struct io_slot *slot);
void io_table_check(const struct io_table *table);

static inline uint32_t io_table_capacity(const struct io_table *table) {
    return table->chunk_count << IO_TABLE_CHUNK_BITS;
}
static inline struct io_slot *io_table_at(const struct io_table *table, uint32_t index) {
    uint8_t *chunk = table->chunks[index >> IO_TABLE_CHUNK_BITS];
    return (struct io_slot *)(void *)(chunk +
                                      (size_t)(index & (IO_TABLE_CHUNK_SLOTS - 1u)) * table->slot_bytes);
}
static inline io_handle io_slot_handle(const struct io_slot *slot) {
    return (uint64_t)slot->generation << 32 | slot->index;
}
/* The slot of a handle, or NULL when the handle is of an earlier generation. */
static inline void *io_table_find(const struct io_table *table, io_handle handle) {
    uint32_t index = (uint32_t)handle & IO_TABLE_INDEX_MASK;
    if (UNLIKELY(index >= io_table_capacity(table)))
        return NULL;
    struct io_slot *slot = io_table_at(table, index);
    return LIKELY(slot->generation == (uint32_t)(handle >> 32) && slot->live) ? slot : NULL;
}
