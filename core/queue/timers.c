#include "core/queue/timers.h"

#include "core/base/heap.h"

#include <errno.h>
#include <string.h>

void timers_deinit(struct timers *timers) {
    heap_give(timers->heap);
    heap_give(timers->places);
    *timers = (struct timers){0};
}

int timers_reserve(struct timers *timers, uint32_t items) {
    if (items <= timers->capacity)
        return 0;
    struct timer *heap = heap_take_raw(items * sizeof *heap);
    uint32_t *places = heap_take(items * sizeof *places);
    if (!heap || !places) {
        heap_give(heap);
        heap_give(places);
        return -ENOMEM;
    }
    if (timers->capacity) {
        memcpy(heap, timers->heap, timers->count * sizeof *heap);
        memcpy(places, timers->places, timers->capacity * sizeof *places);
    }
    heap_give(timers->heap);
    heap_give(timers->places);
    timers->heap = heap;
    timers->places = places;
    timers->capacity = items;
    return 0;
}

static void timers_put(struct timers *timers, uint32_t place, struct timer timer) {
    timers->heap[place] = timer;
    timers->places[timer.item] = place + 1;
}

static void timers_up(struct timers *timers, uint32_t place, struct timer timer) {
    while (place && timer.due < timers->heap[(place - 1) / 2].due) {
        timers_put(timers, place, timers->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    timers_put(timers, place, timer);
}

static void timers_down(struct timers *timers, uint32_t place, struct timer timer) {
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < timers->count && timers->heap[child + 1].due < timers->heap[child].due)
            child++;
        if (child >= timers->count || timer.due <= timers->heap[child].due)
            break;
        timers_put(timers, place, timers->heap[child]);
        place = child;
    }
    timers_put(timers, place, timer);
}

/* At a place that is free: up or down to where it belongs. */
static void timers_settle(struct timers *timers, uint32_t place, struct timer timer) {
    if (place && timer.due < timers->heap[(place - 1) / 2].due)
        timers_up(timers, place, timer);
    else
        timers_down(timers, place, timer);
}

void timers_set(struct timers *timers, uint32_t item, uint64_t due) {
    CHECK(item < timers->capacity);
    struct timer timer = {.due = due, .item = item};
    if (timers->places[item])
        timers_settle(timers, timers->places[item] - 1, timer);
    else
        timers_up(timers, timers->count++, timer);
}

void timers_drop(struct timers *timers, uint32_t item) {
    if (!timers_has(timers, item))
        return;
    uint32_t place = timers->places[item] - 1;
    timers->places[item] = 0;
    struct timer last = timers->heap[--timers->count];
    if (place < timers->count)
        timers_settle(timers, place, last);
}

void timers_check(const struct timers *timers) {
    CHECK(timers->count <= timers->capacity);
    for (uint32_t i = 0; i < timers->count; i++) {
        CHECK(timers->places[timers->heap[i].item] == i + 1);
        CHECK(i == 0 || timers->heap[(i - 1) / 2].due <= timers->heap[i].due);
    }
    uint32_t placed = 0;
    for (uint32_t i = 0; i < timers->capacity; i++)
        placed += timers->places[i] != 0;
    CHECK(placed == timers->count);
}
