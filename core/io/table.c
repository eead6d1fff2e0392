#include "core/io/table.h"

#include <stdlib.h>
#include <string.h>

void io_table_init(struct io_table *table, uint32_t slot_bytes) {
    CHECK(slot_bytes >= sizeof(struct io_slot) && slot_bytes % 8 == 0);
    *table = (struct io_table){.slot_bytes = slot_bytes, .free_first = IO_TABLE_NONE};
}

void io_table_deinit(struct io_table *table) {
    for (uint32_t i = 0; i < table->chunk_count; i++)
        free(table->chunks[i]);
    free(table->chunks);
    *table = (struct io_table){.free_first = IO_TABLE_NONE};
}

static bool table_grow(struct io_table *table) {
    uint32_t base = io_table_capacity(table);
    if (base > IO_TABLE_INDEX_MASK)
        return false;
    uint8_t **chunks = reallocarray(table->chunks, table->chunk_count + 1u, sizeof *chunks);
    if (!chunks)
        return false;
    table->chunks = chunks;
    uint8_t *chunk = calloc(IO_TABLE_CHUNK_SLOTS, table->slot_bytes);
    if (!chunk)
        return false;
    chunks[table->chunk_count++] = chunk;
    /* Pushed in reverse, so that low indices are used first and the tables of a small server stay in few
     * cache lines. */
    for (uint32_t i = IO_TABLE_CHUNK_SLOTS; i-- > 0;) {
        struct io_slot *slot = io_table_at(table, base + i);
        *slot = (struct io_slot){.generation = 1, .index = base + i, .next_free = table->free_first};
        table->free_first = base + i;
    }
    return true;
}

void *io_table_take(struct io_table *table) {
    if (table->free_first == IO_TABLE_NONE && !table_grow(table))
        return NULL;
    struct io_slot *slot = io_table_at(table, table->free_first);
    CHECK(!slot->live);
    table->free_first = slot->next_free;
    memset(slot + 1, 0, table->slot_bytes - sizeof *slot);
    slot->next_free = IO_TABLE_NONE;
    slot->live = 1;
    table->live_count++;
    return slot;
}

void io_table_give(struct io_table *table, struct io_slot *slot) {
    CHECK(slot->live);
    slot->live = 0;
    if (++slot->generation == 0)
        slot->generation = 1;
    slot->next_free = table->free_first;
    table->free_first = slot->index;
    table->live_count--;
}

void io_table_check(const struct io_table *table) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < io_table_capacity(table); i++) {
        const struct io_slot *slot = io_table_at(table, i);
        CHECK(slot->index == i && slot->generation != 0);
        live += slot->live;
    }
    CHECK(live == table->live_count);
}
