/* bytes.h: a buffer that grows, for what an event becomes when it changes its form.
 * Owner: whoever holds the struct; bytes_take hands the memory over. One thread at a time.
 * Zero-initialised is empty. Never the hot path: it allocates from the general heap.
 * Nothing blocks.
 * Running out of memory is remembered: later calls do nothing, and bytes_take gives NULL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data; /* owns */
    size_t length;
    size_t capacity;
    bool failed;
};

/* Room for n more bytes, or NULL. The caller fills them and they count at once. */
uint8_t *bytes_grow(struct bytes *bytes, size_t n);
void bytes_add(struct bytes *bytes, const void *data, size_t n);
void bytes_text(struct bytes *bytes, const char *text);

/* A length-delimited protobuf field with a number of 1 to 15. */
void bytes_field(struct bytes *bytes, uint32_t number, const void *data, size_t n);

/* The memory, which the caller frees, and its length; NULL if memory ran out or nothing was added. Empty
 * again afterwards. */
uint8_t *bytes_take(struct bytes *bytes, size_t *length);
void bytes_free(struct bytes *bytes);
