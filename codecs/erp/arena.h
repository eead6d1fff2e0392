/* arena.h: the memory of one message: taken piece by piece, given back all at once.
 * Owner: whoever holds the struct; what is taken lives until arena_reset.
 * One thread at a time.
 * Nothing blocks. It keeps its chunks, so that a reader soon asks the heap for nothing.
 * Fails with NULL: no memory, or more than its limit; it says so again until the next reset. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
    uint8_t *at, *end; /* of the chunk in use */
    struct arena_chunk *first, *current;
    size_t taken, limit; /* bytes of chunks in use; 0: no limit */
    bool failed;
};

#define ARENA_ALIGN 8u /* engine_string writes whole words */

/* As arena_take, for what does not fit into the chunk in use. */
void *arena_take_more(struct arena *arena, size_t bytes);

/* Not zeroed, aligned to ARENA_ALIGN. */
static inline void *arena_take(struct arena *arena, size_t bytes) {
    size_t whole = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (UNLIKELY(whole < bytes || whole > (size_t)(arena->end - arena->at)))
        return arena_take_more(arena, bytes);
    void *taken = arena->at;
    arena->at += whole;
    return taken;
}

/* A copy that a zero byte follows. */
char *arena_text(struct arena *arena, const void *bytes, size_t n);

void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);
