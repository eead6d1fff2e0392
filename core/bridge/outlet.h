/* outlet.h: canonical messages as documents for others: UBL, EDIFACT, X12; and what has no place in them.
 * Owner: outlet_new makes it, outlet_free takes it; documents are appended to the caller's buffer.
 * Thread: one at a time for one outlet.
 * Never the hot path, and nothing blocks: each document is read again with the maps that come with
 * Roundhouse, and compared with the message. What is lost is so never silent, whoever wrote it. Fails by a
 * result. */
#pragma once

#include "codecs/erp/edi_out.h"
#include "codecs/erp/loss.h"

struct outlet;

enum outlet_format { OUTLET_UBL, OUTLET_EDIFACT, OUTLET_X12, OUTLET_FORMATS };

enum outlet_result {
    OUTLET_DONE,
    OUTLET_NONE,   /* the format has no document of this kind; nothing was written */
    OUTLET_UNREAD, /* the document was written, and can not be read again: everything is told as lost */
    OUTLET_NO_MEMORY,
};

/* NULL: no memory. */
struct outlet *outlet_new(void) MUST_USE;
void outlet_free(struct outlet *outlet);

/* EDIFACT: for a sentence. Constant text. */
const char *outlet_format_name(enum outlet_format format);

/* `options` are for EDIFACT and X12, NULL: as the message's origin says. `lost` is called for each value that
 * the document does not have; NULL: nobody asks, and nothing is read again. */
enum outlet_result outlet_write(struct outlet *outlet, enum outlet_format format,
                                const ProtobufCMessage *message, const struct erp_edi_options *options,
                                struct bytes *out, erp_loss_told lost, void *context) MUST_USE;
