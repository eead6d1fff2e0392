/* queue_args.h: how `sub` and `reply` are told about a queue: --queue NAME and its terms, or @NAME.
 * Owner: the main thread; texts are borrowed from argv.
 * Pure functions but for what they print on standard error.
 * Nothing blocks.
 * The result is CLI_OK, or CLI_USAGE after one sentence that says what to write instead. */
#pragma once

#include "core/base/check.h"

#include <roundhouse/client.h>

#include <getopt.h>
#include <stdbool.h>

struct queue_args {
    rh_queue queue; /* name NULL = no queue */
    bool terms;     /* one of the options that go with a queue was given */
};

enum queue_arg {
    QUEUE_ARG_NAME = 512,
    QUEUE_ARG_GROUP,
    QUEUE_ARG_VOLATILE,
    QUEUE_ARG_TAKE_OVER,
    QUEUE_ARG_WINDOW,
    QUEUE_ARG_LEASE,
    QUEUE_ARG_ATTEMPTS,
    QUEUE_ARG_BACKOFF,
    QUEUE_ARG_DEAD_LETTER,
    QUEUE_ARG_KEY,
    QUEUE_ARG_CAPACITY,
    QUEUE_ARG_LAST = QUEUE_ARG_CAPACITY,
};

/* Of a table for getopt_long. */
#define QUEUE_ARGS_OPTIONS                                                                                   \
    {"queue", required_argument, NULL, QUEUE_ARG_NAME}, {"group", no_argument, NULL, QUEUE_ARG_GROUP},       \
        {"volatile", no_argument, NULL, QUEUE_ARG_VOLATILE},                                                 \
        {"take-over", no_argument, NULL, QUEUE_ARG_TAKE_OVER},                                               \
        {"window", required_argument, NULL, QUEUE_ARG_WINDOW},                                               \
        {"lease", required_argument, NULL, QUEUE_ARG_LEASE},                                                 \
        {"attempts", required_argument, NULL, QUEUE_ARG_ATTEMPTS},                                           \
        {"backoff", required_argument, NULL, QUEUE_ARG_BACKOFF},                                             \
        {"dead-letter", required_argument, NULL, QUEUE_ARG_DEAD_LETTER},                                     \
        {"key", required_argument, NULL, QUEUE_ARG_KEY}, {                                                   \
        "capacity", required_argument, NULL, QUEUE_ARG_CAPACITY                                              \
    }

extern const char queue_args_usage[];

static inline bool queue_args_is(int option) {
    return option >= QUEUE_ARG_NAME && option <= QUEUE_ARG_LAST;
}
int queue_args_take(struct queue_args *args, const char *command, int option, const char *text) MUST_USE;
/* When all is read: a single pattern @NAME is a mailbox, and *count is then 0. */
int queue_args_settle(struct queue_args *args, const char *command, char **patterns, size_t *count) MUST_USE;
/* What may be done about an Error that refuses a queue, or NULL. */
const char *queue_args_hint(const struct queue_args *args, int code);
