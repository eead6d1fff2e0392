#include "core/base/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_LINE      64u
#define HEAP_ARRAY_MIN 8u

bool (*heap_refuse)(size_t bytes);

void *heap_take_raw(size_t bytes) {
    if (heap_refuse && heap_refuse(bytes))
        return NULL;
    if (bytes < HEAP_LINE)
        return malloc(bytes);
    void *memory = NULL;
    return posix_memalign(&memory, HEAP_LINE, bytes) ? NULL : memory;
}

void *heap_take(size_t bytes) {
    void *memory = heap_take_raw(bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void *heap_take_packed(size_t bytes) {
    return heap_refuse && heap_refuse(bytes) ? NULL : calloc(1, bytes);
}

char *heap_text(const void *bytes, size_t length) {
    char *text = heap_refuse && heap_refuse(length + 1) ? NULL : malloc(length + 1);
    if (!text)
        return NULL;
    if (length > 0)
        memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}

void heap_give(void *memory) {
    free(memory);
}

int heap_grow(void **array, size_t *capacity, size_t wanted, size_t size) {
    if (wanted <= *capacity)
        return 0;
    size_t count = *capacity ? *capacity : HEAP_ARRAY_MIN;
    while (count < wanted)
        count *= 2;
    void *larger = heap_take_raw(count * size);
    if (!larger)
        return -ENOMEM;
    if (*array)
        memcpy(larger, *array, *capacity * size);
    heap_give(*array);
    *array = larger;
    *capacity = count;
    return 0;
}
