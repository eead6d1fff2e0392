/* json_in.h: JSON as messages, for `convert` and `inspect`: CloudEvents, canonical messages, and lines of
 * `convert --to events`. Owner: json_in_new makes it, json_in_free takes it; a result is borrowed until the
 * callback returns. Thread: one at a time. Nothing blocks. One value, several behind each other, or an array
 * of them. Which message a canonical one is says the command line, or its origin: what its format and message
 * type are mapped to. Fails by findings, and by -ENOMEM. */
#pragma once

#include "codecs/erp/engine.h"

struct json_in;

/* One of the file's values that is an object: an event (serialized), or a canonical message (NULL). */
struct json_in_value {
    const uint8_t *event;
    size_t event_length;
    uint64_t offset;
};

struct json_in_options {
    struct map_library *maps; /* borrowed */
    const char *kind;         /* Order: what a message is; NULL: what its origin says. Borrowed */
    void *context;
    /* Comes before the message, or the finding why there is none; NULL: nobody asks. */
    void (*value)(void *context, const struct json_in_value *value);
    void (*message)(void *context, const struct erp_result *result);
    void (*finding)(void *context, const struct finding *finding);
};

/* NULL: no memory. */
struct json_in *json_in_new(const struct json_in_options *options) MUST_USE;
void json_in_free(struct json_in *in);
/* 0, or -ENOMEM. */
int json_in_feed(struct json_in *in, const uint8_t *bytes, size_t length) MUST_USE;
/* The file is over; another one may follow. */
int json_in_end(struct json_in *in) MUST_USE;
