#include "codecs/erp/arena.h"

#include "core/base/heap.h"

#include <assert.h>
#include <string.h>

#define CHUNK_BYTES_MIN ((size_t)64 << 10)
#define CHUNK_BYTES_MAX ((size_t)4 << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes; /* of data */
    uint8_t data[];
};
static_assert(offsetof(struct arena_chunk, data) % ARENA_ALIGN == 0, "data is aligned as all that is taken");

static void use(struct arena *arena, struct arena_chunk *chunk) {
    arena->current = chunk;
    arena->at = chunk->data;
    arena->end = chunk->data + chunk->bytes;
    arena->taken += chunk->bytes;
}

/* A new chunk behind the one in use: each is twice the one before, so that few are made. */
static struct arena_chunk *chunk_make(struct arena *arena, size_t bytes) {
    size_t size = arena->current ? arena->current->bytes * 2 : CHUNK_BYTES_MIN;
    size = size > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : size;
    size = size < bytes ? bytes : size;
    struct arena_chunk *chunk = heap_take_raw(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    chunk->bytes = size;
    struct arena_chunk **link = arena->current ? &arena->current->next : &arena->first;
    chunk->next = *link;
    *link = chunk;
    return chunk;
}

void *arena_take_more(struct arena *arena, size_t bytes) {
    size_t whole = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    bool fits = whole >= bytes && (!arena->limit || whole <= arena->limit - arena->taken);
    if (arena->failed || !fits) {
        arena->failed = true;
        return NULL;
    }
    struct arena_chunk *next = arena->current ? arena->current->next : arena->first;
    if (!next || next->bytes < whole)
        next = chunk_make(arena, whole);
    if (!next || (arena->limit && next->bytes > arena->limit - arena->taken)) {
        arena->failed = true;
        return NULL;
    }
    use(arena, next);
    arena->at += whole;
    return next->data;
}

char *arena_text(struct arena *arena, const void *bytes, size_t n) {
    char *text = arena_take(arena, n + 1);
    if (!text)
        return NULL;
    if (n)
        memcpy(text, bytes, n);
    text[n] = 0;
    return text;
}

/* Large chunks of a message that was larger than others go back to the heap. */
void arena_reset(struct arena *arena) {
    struct arena_chunk *first = arena->first;
    size_t kept = 0;
    for (struct arena_chunk *chunk = first, *next; chunk; chunk = next) {
        next = chunk->next;
        kept += chunk->bytes;
        if (next && kept + next->bytes > 2 * CHUNK_BYTES_MAX) {
            chunk->next = NULL;
            while (next) {
                struct arena_chunk *gone = next;
                next = next->next;
                heap_give(gone);
            }
        }
    }
    arena->taken = 0;
    arena->failed = false;
    arena->at = arena->end = NULL;
    arena->current = NULL;
    if (first && first->bytes <= 2 * CHUNK_BYTES_MAX)
        use(arena, first);
}

void arena_free(struct arena *arena) {
    for (struct arena_chunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        heap_give(chunk);
    }
    *arena = (struct arena){.limit = arena->limit};
}
