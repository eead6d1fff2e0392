#include "core/client/subs.h"

#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void sub_deinit(struct sub *sub) {
    free(sub->patterns);
    free(sub->position);
}

void subs_deinit(struct subs *subs) {
    for (size_t i = 0; i < subs->count; i++)
        sub_deinit(&subs->list[i]);
    free(subs->list);
    *subs = (struct subs){0};
}

/* Pointers and texts in one piece. */
static char **patterns_copy(const char *const *patterns, size_t count) {
    size_t bytes = count * sizeof(char *);
    for (size_t i = 0; i < count; i++)
        bytes += strlen(patterns[i]) + 1;
    char **copy = malloc(bytes);
    if (copy == NULL)
        return NULL;
    char *text = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = text;
        text = stpcpy(text, patterns[i]) + 1;
    }
    return copy;
}

static int subs_grow(struct subs *subs) {
    if (subs->count < subs->capacity)
        return 0;
    size_t capacity = subs->capacity > 0 ? 2 * subs->capacity : 4;
    struct sub *list = realloc(subs->list, capacity * sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    subs->list = list;
    subs->capacity = capacity;
    return 0;
}

int subs_add(struct subs *subs, const char *const *patterns, size_t count,
             const rh_subscribe_options *options, struct sub **out) {
    if (subs_grow(subs) != 0)
        return -ENOMEM;
    char **copy = patterns_copy(patterns, count);
    if (copy == NULL)
        return -ENOMEM;
    *out = &subs->list[subs->count++];
    **out = (struct sub){.id = ++subs->id_last, .options = *options, .patterns = copy, .count = count};
    return 0;
}

void subs_remove(struct subs *subs, struct sub *sub) {
    size_t at = (size_t)(sub - subs->list);
    CHECK(at < subs->count);
    subs->leaving -= sub->state == SUB_LEAVING;
    sub_deinit(sub);
    memmove(sub, sub + 1, (subs->count - at - 1) * sizeof *sub);
    subs->count--;
}

bool subs_delayed(const struct subs *subs) {
    for (size_t i = 0; i < subs->count; i++)
        if (subs->list[i].state == SUB_DELAYED)
            return true;
    return false;
}

struct sub *subs_find(struct subs *subs, int64_t id) {
    size_t low = 0, high = subs->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (subs->list[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < subs->count && subs->list[low].id == id ? &subs->list[low] : NULL;
}

int sub_position_set(struct sub *sub, const uint8_t *position, size_t length) {
    uint8_t *copy = NULL;
    if (length > 0) {
        copy = malloc(length);
        if (copy == NULL)
            return -ENOMEM;
        memcpy(copy, position, length);
    }
    free(sub->position);
    sub->position = copy;
    sub->position_length = length;
    return 0;
}

static bool sub_matches(const struct sub *sub, const uint8_t *topic, size_t length) {
    for (size_t i = 0; i < sub->count; i++) {
        const char *pattern = sub->patterns[i];
        if (pattern_matches((const uint8_t *)pattern, strlen(pattern), topic, length))
            return true;
    }
    return false;
}

int64_t subs_match(const struct subs *subs, const uint8_t *topic, size_t length) {
    if (subs->count == 1 && subs->leaving == 0)
        return subs->list[0].id;
    for (size_t i = 0; i < subs->count; i++) {
        const struct sub *sub = &subs->list[i];
        if (sub->state != SUB_LEAVING && sub_matches(sub, topic, length))
            return sub->id;
    }
    return 0;
}
