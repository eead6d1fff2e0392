/* show.h: an event as `sub` prints it.
 * Owner: the command that prints; its thread.
 * One event is one line in every format but raw, whose data may hold line ends of its own.
 * Blocks as writing to the stream does.
 * false: the event can not be shown, and nothing was written; the stream's own errors stay in the stream
 * (ferror). */
#pragma once

#include "core/base/check.h"
#include "core/base/error.h"

#include <roundhouse/client.h>

#include <stdbool.h>
#include <stdio.h>

enum show_format {
    SHOW_JSON, /* {"topic":"...","sequence":"...","event":{CloudEvents JSON}} */
    SHOW_TEXT, /* for people: topic, type, id, source, the beginning of the data */
    SHOW_RAW,  /* the data's bytes and a line end */
};

/* "json", "text" or "raw"; else CLI_USAGE, after a sentence. */
int show_format_read(const char *command, const char *text, enum show_format *format) MUST_USE;

bool show_event(FILE *out, enum show_format format, const rh_event *event, struct fault *fault);
