#include "core/transport/arrivals.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

bool arrivals_init(struct arrivals *arrivals, bool by_time) {
    *arrivals = (struct arrivals){.by_time = by_time};
    arrivals->items = malloc(ARRIVALS_MAX * sizeof(struct arrival *));
    arrivals->heads = calloc(ARRIVALS_HEADS, sizeof(struct arrival *));
    return arrivals->items != NULL && arrivals->heads != NULL;
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
    free(arrivals->heads);
    *arrivals = (struct arrivals){.items = NULL};
}

/* ---- by name ---- */

static struct arrival **head_of(const struct arrivals *arrivals, const char *name) {
    return &arrivals->heads[XXH3_64bits(name, strlen(name)) % ARRIVALS_HEADS];
}

static struct arrival *find(const struct arrivals *arrivals, const char *name) {
    struct arrival *arrival = *head_of(arrivals, name);
    while (arrival != NULL && strcmp(arrival->name, name) != 0)
        arrival = arrival->next;
    return arrival;
}

static void unlink_and_free(struct arrivals *arrivals, struct arrival *arrival) {
    struct arrival **link = head_of(arrivals, arrival->name);
    while (*link != arrival)
        link = &(*link)->next;
    *link = arrival->next;
    arrival_free(arrival);
}

/* ---- in order ---- */

static bool before(const struct arrivals *arrivals, const struct arrival *a, const struct arrival *b) {
    if (arrivals->by_time && a->modified_ns != b->modified_ns)
        return a->modified_ns < b->modified_ns;
    return strcmp(a->name, b->name) < 0;
}

/* How many come before it: its own place, when it is in the list. */
static uint32_t place_of(const struct arrivals *arrivals, const struct arrival *arrival) {
    uint32_t low = 0, high = arrivals->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (before(arrivals, arrivals->items[middle], arrival))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The later half goes, but for what is held: those are found again. */
static void arrivals_shrink(struct arrivals *arrivals) {
    uint32_t kept = ARRIVALS_MAX / 2;
    for (uint32_t i = ARRIVALS_MAX / 2; i < arrivals->count; i++) {
        if (arrivals->items[i]->held)
            arrivals->items[kept++] = arrivals->items[i];
        else
            unlink_and_free(arrivals, arrivals->items[i]);
    }
    arrivals->count = kept;
    arrivals->more = true;
}

static struct arrival *arrival_new(const char *name, int64_t modified_ns) {
    struct arrival *arrival = calloc(1, sizeof *arrival);
    if (arrival == NULL)
        return NULL;
    arrival->modified_ns = modified_ns;
    arrival->name = strdup(name);
    if (arrival->name != NULL)
        return arrival;
    free(arrival);
    return NULL;
}

struct arrival *arrivals_add(struct arrivals *arrivals, const char *name, int64_t modified_ns, bool *is_new) {
    struct arrival *arrival = find(arrivals, name);
    *is_new = false;
    if (arrival != NULL)
        return arrival;
    if (arrivals->count == ARRIVALS_MAX)
        arrivals_shrink(arrivals);
    arrival = arrivals->count < ARRIVALS_MAX ? arrival_new(name, modified_ns) : NULL;
    if (arrival == NULL) {
        arrivals->more = true;
        return NULL;
    }
    struct arrival **head = head_of(arrivals, name), **place = &arrivals->items[place_of(arrivals, arrival)];
    memmove(place + 1, place, (size_t)(arrivals->items + arrivals->count - place) * sizeof(struct arrival *));
    *place = arrival;
    arrivals->count++;
    arrival->next = *head;
    *head = arrival;
    *is_new = true;
    return arrival;
}

struct arrival *arrivals_next(const struct arrivals *arrivals, uint64_t now_ns) {
    for (uint32_t i = 0; i < arrivals->count; i++)
        if (arrivals->items[i]->due_ns <= now_ns)
            return arrivals->items[i];
    return NULL;
}

uint64_t arrivals_due(const struct arrivals *arrivals, uint64_t now_ns) {
    uint64_t due = UINT64_MAX;
    for (uint32_t i = 0; i < arrivals->count; i++)
        if (arrivals->items[i]->due_ns > now_ns && arrivals->items[i]->due_ns < due)
            due = arrivals->items[i]->due_ns;
    return due;
}

void arrivals_remove(struct arrivals *arrivals, struct arrival *arrival) {
    uint32_t at = place_of(arrivals, arrival);
    CHECK(at < arrivals->count && arrivals->items[at] == arrival);
    arrivals->count--;
    memmove(arrivals->items + at, arrivals->items + at + 1,
            (size_t)(arrivals->count - at) * sizeof(struct arrival *));
    unlink_and_free(arrivals, arrival);
}
