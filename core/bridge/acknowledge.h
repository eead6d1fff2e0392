/* acknowledge.h: what the receiver of EDIFACT and X12 owes the sender: CONTRL, TA1, 997 and 999, as events.
 * It sits between a reader and the sink that the messages go to, and hears what both find.
 * Owner: the inbound that has it. Thread: the bridge's.
 * Nothing blocks.
 * The id of an acknowledgement comes from what names its interchange, so the same file again has the same
 * ones. Fails by `lost`: there was no memory for one. */
#pragma once

#include "codecs/document/sink.h"
#include "core/bridge/inbound.h"

struct acknowledger;

struct acknowledger_options {
    const char *name; /* of the spoke */
    struct inbound_acknowledge ask;
    void *context;
    /* An interchange has ended, and this is its acknowledgement: an event, which the callee frees. */
    void (*made)(void *context, uint8_t *event, size_t length);
    void (*lost)(void *context);
};

/* NULL: no memory. */
struct acknowledger *acknowledger_new(const struct acknowledger_options *options) MUST_USE;
void acknowledger_free(struct acknowledger *acknowledger);

/* Before each document. `number` is the control number of its first acknowledgement, from 1 on. False: no
 * memory. */
bool acknowledger_begin(struct acknowledger *acknowledger, uint32_t number) MUST_USE;
/* What the reader is given in place of `inner`, which gets all of it. */
struct document_sink acknowledger_sink(struct acknowledger *acknowledger, struct document_sink inner);
/* What reader or mapping have found, in the order in which it is told. */
void acknowledger_finding(struct acknowledger *acknowledger, const struct finding *finding);
/* How many errors the message has that ends now. */
void acknowledger_errors(struct acknowledger *acknowledger, uint32_t errors);
