/* functional_ack.h: TA1, 997 and 999, by which the receiver of an X12 interchange says what became of it: of
 * the interchange by TA1, of each group, its sets and the errors in them by 997 or 999. Owner: who creates it
 * destroys it; `done` is called at the end of each interchange, and its text is lent to it. Thread: the one
 * that feeds the reader, whose calls all go to functional_ack_sink. Nothing blocks. Memory grows with the
 * number of sets, up to COMPOSE_MAX. Fails with -ENOMEM at the creation; an acknowledgement that was not
 * whole is not given out. */
#pragma once

#include "codecs/document/sink.h"

#include "core/base/check.h"

#include <stddef.h>

struct functional_ack;

enum functional_ack_kind {
    FUNCTIONAL_ACK_NONE, /* TA1 only */
    FUNCTIONAL_ACK_997,
    FUNCTIONAL_ACK_999, /* of 005010X231A1 */
};

struct functional_ack_options {
    const char *date; /* CCYYMMDD, of now */
    const char *time; /* HHMM */
    uint32_t number;  /* the control number of the first one; each gets the next */
    enum functional_ack_kind kind;
    bool technical; /* TA1 even if ISA14 does not ask for it */
    void *context;
    void (*done)(void *context, const char *text, size_t length);
};

/* The options are copied, their texts are borrowed until functional_ack_destroy. */
int functional_ack_create(struct functional_ack **ack, const struct functional_ack_options *options) MUST_USE;
void functional_ack_destroy(struct functional_ack *ack);

/* Groups FA (997, 999) and interchanges of nothing but them or TA1 get no answer. */
struct document_sink functional_ack_sink(struct functional_ack *ack);
