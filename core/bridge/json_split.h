/* json_split.h: JSON as it comes, cut into values: one document, several behind each other (NDJSON), or the
 * elements of an array.
 * Owner: who has it inside. Thread: one at a time.
 * Nothing blocks. Memory: the largest value, up to `value_max`.
 * It looks at brackets and strings only: whether a value is JSON is for who gets it to say. Fails by `wrong`,
 * once: nothing of the file is told behind that. */
#pragma once

#include "codecs/event/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_split {
    size_t value_max;
    void *context;
    /* `text` is valid during the call, without white space around it; `offset` is where it begins. */
    void (*value)(void *context, const char *text, size_t length, uint64_t offset);
    void (*wrong)(void *context, const char *sentence, uint64_t offset);
    /* The rest is private to json_split.c. */
    struct bytes part; /* of a value that is not whole */
    uint64_t offset;   /* of the next byte */
    uint64_t began;    /* of this value */
    uint32_t depth;    /* of brackets, that of the array around all values not counted */
    enum { SPLIT_OUTSIDE, SPLIT_FIRST, SPLIT_NEXT, SPLIT_BEHIND } list; /* where in the array around them */
    bool begun, inside, text, escaped, failed;
};

/* 0, or -ENOMEM. */
int json_split_feed(struct json_split *split, const uint8_t *bytes, size_t length);
/* The file is over; another one may follow. */
int json_split_end(struct json_split *split);
void json_split_deinit(struct json_split *split);
