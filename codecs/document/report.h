/* report.h: how a reader tells its findings: the profile decides how grave each is, no scope tells more than
 * the profile allows, and errors are counted by scope.
 * Owner: the reader that has it inside. Thread: the one that feeds the reader.
 * Nothing blocks or allocates; the sink may.
 * It can not fail. */
#pragma once

#include "codecs/document/sink.h"

#define REPORT_SCOPES (DOCUMENT_AGGREGATE + 1)

struct report {
    const struct document_sink *sink; /* borrows until the reader ends */
    struct profile profile;           /* with its limits filled in */
    uint32_t told[REPORT_SCOPES];     /* in the scope that is open */
    uint32_t errors[REPORT_SCOPES];
};

void report_init(struct report *report, const struct document_sink *sink, const struct profile *profile);

/* To be called before `begin` of a scope; the counts of the scopes around it go on. */
void report_begin(struct report *report, enum document_scope scope);

/* Fills in the severity and calls the sink. Returns the severity. */
enum finding_severity report_finding(struct report *report, struct finding *finding);
