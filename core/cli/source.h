/* source.h: where the events of `pub` come from: one event repeated, or one event a line.
 * Owner: the command `pub`; its thread.
 * An item is valid until the next call.
 * Nothing blocks; SOURCE_WAIT says that lines.file has nothing to read now.
 * A bad line is an answer (SOURCE_BAD with `why`), a blank one and a failed read are others. */
#pragma once

#include "codecs/event/json.h"
#include "core/cli/lines.h"

enum source_kind {
    SOURCE_PARTS,       /* `count` events of the same parts */
    SOURCE_LINES,       /* each line {"topic": "...", "event": {...}} */
    SOURCE_LINES_TOPIC, /* each line an event; the topic is given */
};

enum source_result { SOURCE_EVENT, SOURCE_BLANK, SOURCE_BAD, SOURCE_WAIT, SOURCE_END, SOURCE_FAILED };

struct source {
    enum source_kind kind;
    const char *topic;        /* borrows; NULL with SOURCE_LINES */
    struct event_parts parts; /* SOURCE_PARTS; borrows everything in it */
    uint64_t count;           /* SOURCE_PARTS: with more than one the ids get "-1", "-2", ... */
    struct lines lines;       /* the others */

    uint64_t made;    /* events given so far */
    char *line_topic; /* owns */
    uint8_t *event;   /* owns */
    char why[200];    /* what is wrong, a sentence without its end */
};

struct source_item {
    const char *topic;
    size_t topic_length;
    const uint8_t *event;
    size_t event_length;
};

enum source_result source_next(struct source *source, struct source_item *item);
void source_deinit(struct source *source); /* takes zeroed memory, too */
