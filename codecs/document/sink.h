/* sink.h: what a reader calls while it reads: scopes that begin and end, segments, findings.
 * Owner: the caller of a reader; all that is pointed to is borrowed until the call returns.
 * Thread: the one that feeds the reader.
 * A sink may take its time (a bridge thread waits in it when the router is full); a reader never blocks by
 * itself. It can not fail: a sink that has seen enough says so where it was called, to its own caller. */
#pragma once

#include "codecs/document/finding.h"
#include "codecs/document/segment.h"

/* From the outside in. A format has the scopes that it has: a table has messages only, UBL messages and
 * aggregates. */
enum document_scope {
    DOCUMENT_INTERCHANGE, /* UNB..UNZ, ISA..IEA, a file of IDocs */
    DOCUMENT_GROUP,       /* UNG..UNE, GS..GE */
    DOCUMENT_MESSAGE,     /* UNH..UNT, ST..SE, an IDoc, a UBL document, the rows of one key */
    DOCUMENT_AGGREGATE,   /* an XML element with children, an IDoc segment with segments beneath it */
};

/* Sender or receiver, as the envelope names it. */
struct document_party {
    struct value id;
    struct value qualifier; /* EDIFACT 0007, X12 ISA05, SAP's partner type, a UBL schemeID */
};

/* What a scope says of itself when it begins. What the format does not have is empty. A message's head
 * repeats what the interchange and the group around it said, so that a sink for messages needs no memory of
 * its own. */
struct document_head {
    struct value format; /* EDIFACT, X12, IDOC, UBL, CSV, FIXED: constant text */
    struct value syntax; /* UNOC:3, 00401, a namespace */
    struct value
        name; /* of a message ORDERS, 850, ORDERS05, Invoice; of a group its type; of an aggregate its name */
    struct value version;     /* D:96A:UN, 004010, a UBLVersionID */
    struct value association; /* EAN008, VICS, a CustomizationID */
    struct value variant;     /* IDoc message type (ORDRSP in an ORDERS05), UBL ProfileID */
    struct document_party sender;
    struct document_party receiver;
    struct value interchange_ref;
    struct value group_ref;
    struct value message_ref;
    struct value date; /* CCYYMMDD; empty where what is written is none */
    struct value time; /* HHMM or HHMMSS; empty where what is written is none */
    bool test;
    bool acknowledge; /* the sender asks for CONTRL, TA1 */
    uint64_t offset;  /* of the scope's first byte */
};

/* What is known when a scope ends. */
struct document_tail {
    uint64_t length;   /* in bytes, from the head's offset */
    uint32_t segments; /* that were read in it */
    uint32_t messages; /* of a group or an interchange: how many were in it */
    uint32_t errors;   /* findings of this scope that no profile tolerates: more than none means refused */
};

/* Segments are those of the messages, without what makes the envelope: of UNB, UNH, ISA, ST and their
 * trailers `begin` and `end` say what they say. A segment outside of a message comes only where the format
 * has one (TA1). A finding comes between `begin` and `end` of its scope. */
struct document_sink {
    void *context;
    void (*begin)(void *context, enum document_scope scope, const struct document_head *head);
    void (*segment)(void *context, const struct segment *segment);
    void (*end)(void *context, enum document_scope scope, const struct document_tail *tail);
    void (*finding)(void *context, const struct finding *finding);
};
