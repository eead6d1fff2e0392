/* filter_args.h: how `sub` is told which events it wants by their attributes: --filter, as often as needed.
 * Owner: the main thread.
 * Pure functions but for what they print on standard error; memory comes from the heap.
 * Nothing blocks.
 * The result is CLI_OK, or CLI_USAGE after one sentence that says what to write instead. */
#pragma once

#include "core/base/check.h"

/* All that was given, put together. */
struct filter_args {
    char *json; /* owns; an array as the CloudEvents Subscriptions API has it; NULL = none */
};

extern const char filter_args_usage[];

/* ATTRIBUTE=VALUE, ATTRIBUTE=prefix:TEXT, ATTRIBUTE=suffix:TEXT, or JSON: an array of filters, or one. */
int filter_args_take(struct filter_args *args, const char *command, const char *text);
void filter_args_deinit(struct filter_args *args);
