/* event_args.h: what the commands that make an event from their arguments share: its id, its content type,
 * its data from a file.
 * Owner: the main thread.
 * Pure functions but for event_args_read, which blocks to read a file to its end.
 * The result is an exit status; what is wrong has been told then. */
#pragma once

#include "codecs/event/json.h"
#include "core/base/check.h"

#define EVENT_ARGS_ID_BYTES 40u

/* A random UUID. */
void event_args_id(char out[EVENT_ARGS_ID_BYTES]);
/* The content type of its data: JSON, other text, or NULL for anything else. */
const char *event_args_type(const struct event_parts *parts);
/* All of a file, or with "-" of standard input; the caller frees it. */
int event_args_read(const char *command, const char *name, uint8_t **data, size_t *length) MUST_USE;
