#include "core/client/subs.h"

#include "core/base/limits.h"
#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void sub_deinit(struct sub *sub) {
    free(sub->patterns);
    free(sub->queue);
    filter_free(sub->filter);
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

static size_t text_size(const char *text) {
    return (text != NULL ? strlen(text) : 0) + 1;
}

static char *text_copy(char **room, const char *text) {
    char *copy = *room;
    *room = stpcpy(copy, text != NULL ? text : "") + 1;
    return copy;
}

/* Struct and texts in one piece. */
static struct sub_queue *queue_copy(const rh_queue *terms) {
    size_t texts = text_size(terms->name) + text_size(terms->dead_letter) + text_size(terms->key);
    struct sub_queue *copy = malloc(sizeof *copy + texts);
    if (copy == NULL)
        return NULL;
    char *room = (char *)(copy + 1);
    *copy = (struct sub_queue){.terms = *terms};
    copy->terms.name = copy->terms.dead_letter = copy->terms.key = copy->terms.filters = NULL;
    copy->name = text_copy(&room, terms->name);
    copy->dead_letter = text_copy(&room, terms->dead_letter);
    copy->key = text_copy(&room, terms->key);
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

const char *subs_patterns_fault(const char *const *patterns, size_t count) {
    if (count > SUBSCRIBE_PATTERNS_MAX)
        return "patterns: at most 1024 in one subscription";
    for (size_t i = 0; i < count; i++) {
        struct fault fault;
        if (patterns[i] == NULL)
            return "patterns: one is NULL";
        if (!pattern_valid((const uint8_t *)patterns[i], strlen(patterns[i]), &fault))
            return fault.text;
    }
    return NULL;
}

int subs_filter(const char *json, struct filter **out, const char **fault) {
    struct fault why;
    *out = NULL;
    if (json == NULL || json[0] == '\0' || filter_from_json(json, strlen(json), out, &why))
        return RH_OK;
    *fault = why.text;
    return why.code == RH_CODE_EXHAUSTED ? RH_NO_MEMORY : RH_INVALID;
}

int subs_add(struct subs *subs, const char *const *patterns, size_t count,
             const rh_subscribe_options *options, const rh_queue *queue, struct filter *filter,
             struct sub **out) {
    struct sub made = {.options = *options, .count = count, .filter = filter};
    made.options.filters = NULL; /* it is the caller's */
    if (subs_grow(subs) != 0) {
        filter_free(filter);
        return -ENOMEM;
    }
    if (count > 0)
        made.patterns = patterns_copy(patterns, count);
    if (queue != NULL)
        made.queue = queue_copy(queue);
    if ((count > 0 && made.patterns == NULL) || (queue != NULL && made.queue == NULL)) {
        sub_deinit(&made);
        return -ENOMEM;
    }
    made.id = ++subs->id_last;
    *out = &subs->list[subs->count++];
    **out = made;
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

struct sub *subs_find(const struct subs *subs, int64_t id) {
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

static bool sub_matches(const struct sub *sub, const rh_event *event) {
    for (size_t i = 0; i < sub->count; i++) {
        const char *pattern = sub->patterns[i];
        if (pattern_matches((const uint8_t *)pattern, strlen(pattern), (const uint8_t *)event->topic,
                            event->topic_length))
            return sub->filter == NULL || filter_passes(sub->filter, event->event, event->event_length);
    }
    return false;
}

bool subs_all_queues(const struct subs *subs) {
    for (size_t i = 0; i < subs->count; i++)
        if (subs->list[i].queue == NULL)
            return false;
    return subs->count > 0;
}

int64_t subs_match(const struct subs *subs, const rh_event *event) {
    if (subs->count == 1 && subs->leaving == 0 && subs->list[0].queue == NULL)
        return subs->list[0].id;
    for (size_t i = 0; i < subs->count; i++) {
        const struct sub *sub = &subs->list[i];
        if (sub->state != SUB_LEAVING && sub->queue == NULL && sub_matches(sub, event))
            return sub->id;
    }
    return 0;
}
