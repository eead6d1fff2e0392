#include "core/cli/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_FIRST 16u

void places_deinit(struct places *places) {
    free(places->list);
    *places = (struct places){0};
}

static uint64_t lines_before(const struct places *places, size_t at) {
    return at > places->begin ? places->list[at - 1].lines : places->settled;
}

static int places_room(struct places *places) {
    if (places->end < places->capacity)
        return 0;
    size_t count = places->end - places->begin;
    if (places->begin >= places->capacity / 2 && places->begin > 0) {
        memmove(places->list, places->list + places->begin, count * sizeof *places->list);
    } else {
        size_t capacity = places->capacity > 0 ? 2 * places->capacity : PLACES_FIRST;
        struct place *list = malloc(capacity * sizeof *list);
        if (list == NULL)
            return -ENOMEM;
        if (count > 0)
            memcpy(list, places->list + places->begin, count * sizeof *list);
        free(places->list);
        places->list = list;
        places->capacity = capacity;
    }
    places->begin = 0;
    places->end = count;
    return 0;
}

int places_skip(struct places *places, uint64_t events) {
    uint64_t lines = lines_before(places, places->end) + 1;
    if (places->end > places->begin && places->list[places->end - 1].events == events) {
        places->list[places->end - 1].lines = lines;
        return 0;
    }
    int result = places_room(places);
    if (result == 0)
        places->list[places->end++] = (struct place){events, lines};
    return result;
}

void places_settle(struct places *places, uint64_t event) {
    for (; places->begin < places->end && places->list[places->begin].events <= event; places->begin++)
        places->settled = places->list[places->begin].lines;
}

uint64_t places_line(const struct places *places, uint64_t event) {
    size_t low = places->begin, high = places->end;
    while (low < high) { /* the first place that lies behind the event */
        size_t middle = low + (high - low) / 2;
        if (places->list[middle].events < event)
            low = middle + 1;
        else
            high = middle;
    }
    return event + lines_before(places, low);
}
