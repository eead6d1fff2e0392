#include "core/queue/lookup.h"

#include "core/base/heap.h"

#include <errno.h>

#define LOOKUP_CAPACITY_MIN 8u
#define LOOKUP_SPREAD       UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: close keys lie apart */

void lookup_deinit(struct lookup *lookup) {
    heap_give(lookup->keys);
    *lookup = (struct lookup){0};
}

static uint32_t lookup_home(const struct lookup *lookup, uint64_t key) {
    return (uint32_t)((key * LOOKUP_SPREAD) >> 32) & (lookup->capacity - 1);
}

/* Where the key is, or the free place where its search ends. */
static uint32_t lookup_place(const struct lookup *lookup, uint64_t key) {
    uint32_t place = lookup_home(lookup, key);
    while (lookup->keys[place] && lookup->keys[place] != key)
        place = (place + 1) & (lookup->capacity - 1);
    return place;
}

int lookup_reserve(struct lookup *lookup, uint32_t count) {
    if (count <= lookup->capacity / 2)
        return 0;
    struct lookup larger = {.capacity = lookup->capacity ? lookup->capacity : LOOKUP_CAPACITY_MIN};
    while (larger.capacity / 2 < count)
        larger.capacity *= 2;
    larger.keys = heap_take(larger.capacity * (sizeof *larger.keys + sizeof *larger.values));
    if (!larger.keys)
        return -ENOMEM;
    larger.values = (void *)(larger.keys + larger.capacity);
    for (uint32_t i = 0; i < lookup->capacity; i++)
        if (lookup->keys[i])
            lookup_put(&larger, lookup->keys[i], lookup->values[i]);
    lookup_deinit(lookup);
    *lookup = larger;
    return 0;
}

uint32_t lookup_find(const struct lookup *lookup, uint64_t key) {
    if (!lookup->capacity)
        return LOOKUP_NONE;
    uint32_t place = lookup_place(lookup, key);
    return lookup->keys[place] ? lookup->values[place] : LOOKUP_NONE;
}

void lookup_put(struct lookup *lookup, uint64_t key, uint32_t value) {
    CHECK(key && value != LOOKUP_NONE && lookup->capacity);
    uint32_t place = lookup_place(lookup, key);
    if (!lookup->keys[place]) {
        CHECK(lookup->count < lookup->capacity / 2);
        lookup->count++;
    }
    lookup->keys[place] = key;
    lookup->values[place] = value;
}

/* Moves back what stood behind the freed place only because of it (Knuth 6.4, algorithm R). */
void lookup_drop(struct lookup *lookup, uint64_t key) {
    if (!lookup->capacity)
        return;
    uint32_t mask = lookup->capacity - 1, hole = lookup_place(lookup, key);
    if (!lookup->keys[hole])
        return;
    for (uint32_t place = (hole + 1) & mask; lookup->keys[place]; place = (place + 1) & mask) {
        uint32_t home = lookup_home(lookup, lookup->keys[place]);
        if (((place - home) & mask) < ((place - hole) & mask))
            continue;
        lookup->keys[hole] = lookup->keys[place];
        lookup->values[hole] = lookup->values[place];
        hole = place;
    }
    lookup->keys[hole] = 0;
    lookup->count--;
}

void lookup_check(const struct lookup *lookup) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < lookup->capacity; i++) {
        if (!lookup->keys[i])
            continue;
        count++;
        CHECK(lookup_place(lookup, lookup->keys[i]) == i);
    }
    CHECK(count == lookup->count && count <= lookup->capacity / 2);
}
