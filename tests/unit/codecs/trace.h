/* trace.h: a sink that writes down all calls of a reader as lines of text, to be compared.
 * Owner: the test; trace_free gives back the text.
 * One thread, that of the test.
 * Nothing blocks.
 * A call that breaks the rules of sink.h fails the running test. */
#pragma once

#include "codecs/document/sink.h"

#include <stddef.h>

#define TRACE_FINDINGS 4096u

struct trace_finding {
    enum finding_code code;
    enum finding_severity severity;
    struct place place;
    uint8_t scope;
};

struct trace {
    char *text;
    size_t length, size;
    struct trace_finding findings[TRACE_FINDINGS];
    unsigned count;              /* of findings */
    unsigned begun[4], ended[4]; /* by scope */
    unsigned refused[4];         /* ended with errors */
    unsigned segments;
    bool quiet; /* count only */
};

struct document_sink trace_sink(struct trace *trace);
void trace_free(struct trace *trace);

/* How often the code was found. */
unsigned trace_found(const struct trace *trace, enum finding_code code);
