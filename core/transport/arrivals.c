#include "core/transport/arrivals.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

bool arrivals_init(struct arrivals *arrivals, bool by_time) {
    *arrivals = (struct arrivals){.by_time = by_time};
    arrivals->items = malloc(ARRIVALS_MAX * sizeof(struct arrival *));
    return arrivals->items != NULL;
}

void settled_free(struct settled *settled) {
    if (settled != NULL)
        free(settled->findings);
    free(settled);
}

static void arrival_free(struct arrival *arrival) {
    settled_free(arrival->settled);
    free(arrival->name);
    free(arrival);
}

void arrivals_free(struct arrivals *arrivals) {
    for (uint32_t i = 0; i < arrivals->count; i++)
        arrival_free(arrivals->items[i]);
    free(arrivals->items);
    *arrivals = (struct arrivals){.items = NULL};
}

static int by_name(const void *a, const void *b) {
    const struct arrival *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static int by_time(const void *a, const void *b) {
    const struct arrival *const *left = a, *const *right = b;
    if ((*left)->modified_ns != (*right)->modified_ns)
        return (*left)->modified_ns < (*right)->modified_ns ? -1 : 1;
    return by_name(a, b);
}

static bool before(const struct arrivals *arrivals, const struct arrival *a, const struct arrival *b) {
    return (arrivals->by_time ? by_time(&a, &b) : by_name(&a, &b)) < 0;
}

/* The later half goes, but for what is held: those are found again. */
static void arrivals_shrink(struct arrivals *arrivals) {
    qsort(arrivals->items, arrivals->count, sizeof(struct arrival *), arrivals->by_time ? by_time : by_name);
    uint32_t kept = ARRIVALS_MAX / 2;
    for (uint32_t i = ARRIVALS_MAX / 2; i < arrivals->count; i++) {
        if (arrivals->items[i]->held)
            arrivals->items[kept++] = arrivals->items[i];
        else
            arrival_free(arrivals->items[i]);
    }
    arrivals->count = kept;
    arrivals->more = true;
}

struct arrival *arrivals_add(struct arrivals *arrivals, const char *name, int64_t modified_ns, bool *is_new) {
    uint64_t hash = XXH3_64bits(name, strlen(name));
    *is_new = false;
    for (uint32_t i = 0; i < arrivals->count; i++)
        if (arrivals->items[i]->hash == hash && strcmp(arrivals->items[i]->name, name) == 0)
            return arrivals->items[i];
    if (arrivals->count == ARRIVALS_MAX)
        arrivals_shrink(arrivals);
    struct arrival *arrival = calloc(1, sizeof *arrival);
    char *copy = strdup(name);
    if (arrival == NULL || copy == NULL || arrivals->count == ARRIVALS_MAX) {
        arrivals->more = true;
        free(arrival);
        free(copy);
        return NULL;
    }
    *arrival = (struct arrival){.name = copy, .hash = hash, .modified_ns = modified_ns};
    *is_new = true;
    return arrivals->items[arrivals->count++] = arrival;
}

struct arrival *arrivals_next(const struct arrivals *arrivals, uint64_t now_ns) {
    struct arrival *first = NULL;
    for (uint32_t i = 0; i < arrivals->count; i++) {
        struct arrival *arrival = arrivals->items[i];
        if (arrival->due_ns <= now_ns && (first == NULL || before(arrivals, arrival, first)))
            first = arrival;
    }
    return first;
}

uint64_t arrivals_due(const struct arrivals *arrivals, uint64_t now_ns) {
    uint64_t due = UINT64_MAX;
    for (uint32_t i = 0; i < arrivals->count; i++)
        if (arrivals->items[i]->due_ns > now_ns && arrivals->items[i]->due_ns < due)
            due = arrivals->items[i]->due_ns;
    return due;
}

void arrivals_remove(struct arrivals *arrivals, struct arrival *arrival) {
    uint32_t i = 0;
    while (arrivals->items[i] != arrival)
        CHECK(++i < arrivals->count);
    arrivals->items[i] = arrivals->items[--arrivals->count];
    arrival_free(arrival);
}
