/* acknowledge.h: what the receiver of EDIFACT and X12 owes the sender: CONTRL, TA1, 997 and 999, as events.
 * It sits between a reader and the sink that the messages go to, and hears what both find.
 * Owner: the inbound that has it. Thread: the bridge's.
 * Nothing blocks.
 * What is read is kept until the fate of all messages is known: only then it is known what to tell the
 * sender. The id of an acknowledgement comes from what names its interchange, the document's digest and the
 * verdict, so the same file again has the same ones, and a corrected one has others. Fails by `lost`: there
 * was no memory for one. */
#pragma once

#include "codecs/document/sink.h"
#include "core/bridge/inbound.h"

struct acknowledger;

struct acknowledger_options {
    const char *name; /* of the spoke */
    struct inbound_acknowledge ask;
    void *context;
    /* From acknowledger_settle: this is the acknowledgement of an interchange: an event, which the callee
     * frees. */
    void (*made)(void *context, uint8_t *event, size_t length);
    void (*lost)(void *context);
};

/* NULL: no memory. */
struct acknowledger *acknowledger_new(const struct acknowledger_options *options) MUST_USE;
void acknowledger_free(struct acknowledger *acknowledger);

/* Before each document. `number` is the control number of its first acknowledgement, from 1 on; `digest`:
 * of ERP_DIGEST_BYTES, of the document; NULL: not known. Nothing is kept of the one before. False: no memory.
 */
bool acknowledger_begin(struct acknowledger *acknowledger, uint32_t number, const uint8_t *digest) MUST_USE;
/* What the reader is given in place of `inner`, which gets all of it. */
struct document_sink acknowledger_sink(struct acknowledger *acknowledger, struct document_sink inner);
/* What reader or mapping have found, in the order in which it is told. */
void acknowledger_finding(struct acknowledger *acknowledger, const struct finding *finding);
/* How many errors the message has that ends now. */
void acknowledger_errors(struct acknowledger *acknowledger, uint32_t errors);
/* The number in its document of the message that is read, from 1; 0: of an interchange that gets no answer.
 */
uint32_t acknowledger_message(const struct acknowledger *acknowledger);
/* The message with this number (0: none) was good when it was read, and was refused behind that. */
void acknowledger_refuse(struct acknowledger *acknowledger, uint32_t message, enum finding_code code);
/* Bytes of what is kept of interchanges that have ended; 0: nothing is to be settled. */
size_t acknowledger_owed(const struct acknowledger *acknowledger);
/* The fate of all messages that were read is `known`: `made` is called for each interchange that has ended.
 * Otherwise the document is to be given again, and nothing is told. */
void acknowledger_settle(struct acknowledger *acknowledger, bool known);
