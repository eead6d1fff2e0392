/* edi_out.h: canonical messages as documents of EDIFACT (ORDERS, ORDCHG, ORDRSP, DESADV, INVOIC) and of X12
 * (850, 860, 855, 856, 810): Order, OrderResponse, DespatchAdvice, Invoice; an interchange for each message.
 * Owner: the document is appended to the caller's buffer; options are borrowed. Any thread may call.
 * Never the hot path: the buffer grows on the general heap. Nothing blocks.
 * Segments stand in the order of D.96A and 004010. What the message does not say is left out, and what the
 * format has no place for is lost: erp_loss (loss.h) tells what, of what is read again. Fails by
 * bytes.failed, and by false: the format has no document of this kind here. */
#pragma once

#include "codecs/event/bytes.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stdint.h>

/* NULL and empty: as the message's origin says; where that says nothing, as the message's own parties do. */
struct erp_edi_party {
    const char *id;
    const char *qualifier; /* EDIFACT 0007: 14 is a GLN; X12 I05: 07, ZZ */
};

enum erp_edi_use { ERP_EDI_AS_READ, ERP_EDI_TEST, ERP_EDI_PRODUCTION };

/* Zeroed: everything as in the message's origin. */
struct erp_edi_options {
    struct erp_edi_party sender, receiver;
    const char *interchange_ref; /* EDIFACT: 14 characters; X12: 9 digits */
    const char *group_ref;       /* X12: 9 digits */
    const char *message_ref;     /* EDIFACT: 14 characters; X12: 4 to 9 */
    const char *version;         /* D:96A:UN, 004010; of the origin if it has the same format */
    const char *association;     /* EAN008, VICS */
    const char *charset;         /* EDIFACT: UNOA to UNOY; the first of UNOC, UNOY that fits. X12: UTF-8,
                                    ISO-8859-1; ASCII */
    enum erp_edi_use use;
    int32_t date,
        time;   /* yyyymmdd and hhmmss of the interchange; 0: those of the origin, or the document's */
    bool lines; /* a line for each segment */
};

bool erp_edifact_write(const ProtobufCMessage *message, const struct erp_edi_options *options,
                       struct bytes *out);
bool erp_x12_write(const ProtobufCMessage *message, const struct erp_edi_options *options, struct bytes *out);
