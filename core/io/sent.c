#include "core/io/sent.h"

#include <stdlib.h>
#include <string.h>

bool io_sent_reserve(struct io_sent_list *list, const struct io_table *table) {
    uint32_t needed = 2u * (io_table_capacity(table) + IO_TABLE_CHUNK_SLOTS);
    if (list->capacity >= needed)
        return true;
    struct io_sent *items = reallocarray(list->items, needed, sizeof *items);
    if (!items)
        return false;
    list->items = items;
    list->capacity = needed;
    return true;
}

void io_sent_deinit(struct io_sent_list *list) {
    free(list->items);
    *list = (struct io_sent_list){0};
}

void io_sent_drop(struct io_sent_list *list, uint32_t count) {
    CHECK(count <= list->count);
    list->count -= count;
    if (list->count > 0)
        memmove(list->items, list->items + count, list->count * sizeof *list->items);
}
