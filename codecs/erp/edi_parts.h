/* edi_parts.h: what the writers of EDIFACT and X12 have in common: texts, codes, envelopes, units and lines.
 * Owner: the writer; texts live in its arena until it ends. Thread: the caller's.
 * What it makes of a message is text that may be put into a segment as it is.
 * Nothing blocks.
 * Running out of memory is kept in the arena and in the draft; texts are empty then. */
#pragma once

#include "codecs/erp/arena.h"
#include "codecs/erp/code_list.h"
#include "codecs/erp/codes.h"
#include "codecs/erp/draft.h"
#include "codecs/erp/edi_out.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

struct edi_out {
    struct draft draft;
    struct arena arena;
    const struct erp_edi_options *options;
    const Roundhouse__Erp__V1__Header *header; /* never NULL */
    const Roundhouse__Erp__V1__Origin *origin; /* never NULL */
    Roundhouse__Erp__V1__Header no_header;     /* where the message has none */
    Roundhouse__Erp__V1__Origin no_origin;
    const char *format;   /* EDIFACT, X12 */
    const char *currency; /* of the document */
    bool same;            /* it was read from this format: all that it says fits */
    bool codes;           /* its sender's codes are those of this format */
    bool later;           /* EDIFACT: a directory with longer texts, from D.00A on */
};

void edi_out_init(struct edi_out *out, const char *format, const Roundhouse__Erp__V1__Header *header,
                  const struct erp_edi_options *options);
void edi_out_free(struct edi_out *out);

/* ---- texts ---- */

const char *edi_text(struct edi_out *out, const void *bytes, size_t n);
__attribute__((format(printf, 2, 3))) const char *edi_format(struct edi_out *out, const char *format, ...);
const char *edi_decimal(struct edi_out *out, const Roundhouse__Erp__V1__Decimal *decimal);
const char *edi_amount(struct edi_out *out, const Roundhouse__Erp__V1__Amount *amount);
const char *edi_quantity(struct edi_out *out, const Roundhouse__Erp__V1__Quantity *quantity);
/* As its sender wrote it, if that was in this format. */
const char *edi_unit(struct edi_out *out, const Roundhouse__Erp__V1__Quantity *quantity);

/* A text in pieces of so many characters, cut at blanks where there are some; what is beyond `most` is lost.
 */
size_t edi_pieces(struct edi_out *out, const char *text, size_t limit, size_t most, const char **pieces);

/* ---- codes ---- */

/* The code for a word of ours in a list of the maps; else the word itself if it can be a code of the sender's
 * of `most` characters; else `fallback`. Nothing for nothing. */
struct edi_list {
    const char *map, *list;
    size_t most;
};
const char *edi_code(struct edi_out *out, struct edi_list list, const char *word, const char *fallback);
/* Digits of a GLN, GTIN or SSCC. */
bool edi_is(const Roundhouse__Erp__V1__Identifier *id, const char *scheme);
bool edi_said(const char *text);
/* Letters and digits only, at most so many, and some. */
bool edi_is_code(const char *text, size_t most);

/* ---- what is written ---- */

enum edi_document { EDI_ORDER, EDI_ORDER_CHANGE, EDI_ORDER_RESPONSE, EDI_DESPATCH_ADVICE, EDI_INVOICE };
struct edi_kind {
    enum edi_document document;
    const Roundhouse__Erp__V1__Header *header;
    const Roundhouse__Erp__V1__Party *from, *to;
};
/* An order that was read from `format` is a change if it was of the type `change` there; else by its
 * function. False: no document is made of such a message. */
bool edi_kind_of(const ProtobufCMessage *message, const char *format, const char *change,
                 struct edi_kind *kind);

/* ---- envelopes ---- */

struct edi_envelope {
    const char *sender, *sender_qualifier, *receiver, *receiver_qualifier;
    const char *version, *association;
    int32_t date, time;
    bool test;
};
/* `from` and `to` are the message's own parties. */
void edi_envelope(struct edi_out *out, const Roundhouse__Erp__V1__Party *from,
                  const Roundhouse__Erp__V1__Party *to, struct edi_envelope *envelope);

/* ---- a despatch advice ---- */

/* Units and lines in the order in which they are written: a unit before its lines, and after the one around
 * it. */
struct edi_step {
    bool unit;
    size_t index; /* of units or lines */
    size_t in;    /* a line's unit; SIZE_MAX: none */
};
struct edi_plan {
    struct edi_step *steps; /* in the arena */
    size_t count;
};
struct edi_plan edi_plan(struct edi_out *out, const Roundhouse__Erp__V1__DespatchAdvice *advice);
/* The unit with this id; SIZE_MAX: none. */
size_t edi_unit_named(const Roundhouse__Erp__V1__DespatchAdvice *advice, const char *id);

/* ---- an item's name and descriptions ---- */

/* The descriptions, and among them the one that is the name: the last one that is marked so, and whether the
 * name is to be written behind them by itself. */
struct edi_naming {
    size_t named; /* description that is the name; SIZE_MAX: none */
    size_t count; /* of descriptions that make the name together, the last one of them */
    bool alone;
};
struct edi_naming edi_naming(const Roundhouse__Erp__V1__Item *item, size_t together);
