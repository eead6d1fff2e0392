/* sent.h: the results of sends, kept between the moment the kernel says them and the io_flush that tells
 * them.
 * Owner: one body of core/io, on its thread.
 * Room is reserved when a connection is added, so that sending allocates nothing.
 * Nothing blocks.
 * Only io_sent_reserve can fail: false when out of memory. */
#pragma once

#include "core/io/table.h"

struct io_sent {
    io_handle handle;
    int64_t result;
};

struct io_sent_list {
    struct io_sent *items; /* owns */
    uint32_t count;
    uint32_t capacity;
};

/* Room for two results per slot of a table that may grow by one chunk: `sent` may queue the connection's
 * next send. */
bool io_sent_reserve(struct io_sent_list *list, const struct io_table *table) MUST_USE;
void io_sent_deinit(struct io_sent_list *list);
/* Forgets the first `count` results. */
void io_sent_drop(struct io_sent_list *list, uint32_t count);

static inline void io_sent_push(struct io_sent_list *list, io_handle handle, int64_t result) {
    CHECK(list->count < list->capacity);
    list->items[list->count++] = (struct io_sent){handle, result};
}

static inline uint64_t io_iov_bytes(const struct iovec *iov, uint32_t count) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    return total;
}
