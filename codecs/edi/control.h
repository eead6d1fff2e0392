/* control.h: CONTRL, by which the receiver of an EDIFACT interchange says what became of it: of the
 * interchange, of the groups and messages that were refused, and where in them the errors are. Owner: who
 * creates it destroys it; `done` is called at the end of each interchange, and its text is lent to it.
 * Thread: the one that feeds the reader, whose calls all go to control_sink.
 * Nothing blocks. Memory grows with what is refused only, up to COMPOSE_MAX.
 * Fails with -ENOMEM at the creation; an acknowledgement that was not whole is not given out. */
#pragma once

#include "codecs/document/sink.h"

#include "core/base/check.h"

#include <stddef.h>

struct control;

struct control_options {
    const char *date; /* CCYYMMDD, of now */
    const char *time; /* HHMM */
    uint32_t number;  /* the reference of the first one; each gets the next */
    bool receipt;     /* only that it came (action 8), whatever is in it */
    void *context;
    void (*done)(void *context, const char *text, size_t length);
};

/* The options are copied, their texts are borrowed until control_destroy. */
int control_create(struct control **control, const struct control_options *options) MUST_USE;
void control_destroy(struct control *control);

/* Interchanges of nothing but CONTRL get no answer. */
struct document_sink control_sink(struct control *control);
