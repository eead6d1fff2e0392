#include "core/bridge/classes.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define CLASSES_SLOTS (2 * CLASSES_MAX) /* a power of two, never more than half full */

struct class_entry {
    size_t length;
    enum class of;
    char topic[];
};

/* The topic's slot, or the free one where it would be. */
static struct class_entry **classes_slot(const struct classes *classes, const char *topic, size_t length) {
    size_t at = XXH3_64bits(topic, length) & (CLASSES_SLOTS - 1);
    for (;; at = (at + 1) & (CLASSES_SLOTS - 1)) {
        struct class_entry *entry = classes->slots[at];
        if (entry == NULL || (entry->length == length && memcmp(entry->topic, topic, length) == 0))
            return &classes->slots[at];
    }
}

enum class classes_find(const struct classes *classes, const char *topic, size_t length) {
    const struct class_entry *entry = classes->slots != NULL ? *classes_slot(classes, topic, length) : NULL;
    return entry != NULL ? entry->of : CLASS_UNKNOWN;
}

void classes_learn(struct classes *classes, const char *topic, size_t length, enum class of) {
    if (classes->count == CLASSES_MAX)
        classes_forget(classes);
    if (classes->slots == NULL)
        classes->slots = calloc(CLASSES_SLOTS, sizeof *classes->slots);
    if (classes->slots == NULL)
        return;
    struct class_entry **slot = classes_slot(classes, topic, length);
    if (*slot == NULL) {
        *slot = malloc(sizeof **slot + length);
        if (*slot == NULL)
            return;
        (*slot)->length = length;
        memcpy((*slot)->topic, topic, length);
        classes->count++;
    }
    (*slot)->of = of;
}

void classes_forget(struct classes *classes) {
    for (size_t i = 0; classes->slots != NULL && i < CLASSES_SLOTS; i++)
        free(classes->slots[i]);
    free(classes->slots);
    *classes = (struct classes){0};
}
