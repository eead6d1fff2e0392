/* edi.h: what the readers of EDIFACT and X12 have in common: scopes that begin and end, findings with their
 * place, text that is mended and transcoded, limits.
 * Owner: the reader that has it inside. Thread: the one that feeds the reader.
 * Nothing blocks. Memory is allocated at edi_init only.
 * Fails with -ENOMEM at edi_init. */
#pragma once

#include "codecs/document/charset.h"
#include "codecs/document/report.h"
#include "codecs/edi/envelope.h"
#include "codecs/edi/tokens.h"

#define EDI_SCOPES (DOCUMENT_MESSAGE + 1)

/* One scope that may be open. */
struct edi_scope {
    bool open;
    bool muted; /* beyond a limit: its segments are counted, and not handed over */
    struct document_head head;
    struct keep keep; /* the head's text */
    uint32_t first;   /* its header's number in the file */
    uint32_t groups;
    uint32_t single; /* messages without a group */
    uint32_t messages;
};

/* What is told once in a scope only. */
enum edi_once {
    EDI_INDENTED = 1, /* in an interchange */
    EDI_LEVEL_A = 2,
    EDI_MIXED = 4,
    EDI_WRAPPED = 8, /* in a message */
    EDI_CHARSET = 16,
    EDI_OUTSIDE = 32, /* in a row of segments outside of messages */
    EDI_MANY = 64,    /* messages, in an interchange */
};

struct edi {
    struct tokens tokens;
    struct report report;
    struct charset charset;
    bool charset_known;
    uint8_t *scratch; /* where a segment is mended: three times as long as one */
    uint32_t third;   /* of it */
    struct edi_scope scopes[EDI_SCOPES];
    struct refs refs; /* references of messages */
    uint32_t in_file; /* segments so far */
    unsigned told;    /* of enum edi_once */
    uint64_t garbage; /* bytes that belong to nothing, so far */
    struct place garbage_at;
    /* of the segment that is being read */
    bool odd;            /* a byte that the charset does not have, */
    struct value bad;    /* this one, */
    struct place bad_at; /* here */
    bool beyond_a;       /* or a character that level A does not have */
};

int edi_init(struct edi *edi, const struct document_sink *sink, const struct profile *profile) MUST_USE;
void edi_deinit(struct edi *edi);

/* As it was before the first byte. */
void edi_restart(struct edi *edi);

/* Outside of interchanges nothing says what the charset is. */
void edi_charset_none(struct edi *edi);

/* The innermost scope that is open; the interchange, if none is. */
enum document_scope edi_scope_now(const struct edi *edi);

/* The segment's place, with its numbers. */
struct place edi_place(const struct edi *edi);

/* A finding about the segment that is being read, in this scope. */
void edi_find(struct edi *edi, enum finding_code code, enum document_scope scope);

/* The same about one of its components, with what was expected. */
void edi_find_at(struct edi *edi, enum finding_code code, enum document_scope scope, uint32_t element,
                 uint32_t component, struct value expected);

/* A finding about bytes that are not read yet. */
void edi_find_here(struct edi *edi, enum finding_code code, uint32_t length);

/* A finding about the remainder of a file, which would be the next segment. */
void edi_find_last(struct edi *edi, enum finding_code code);

/* A finding about separators that separate nothing, at the first of them each. */
void edi_find_trailing(struct edi *edi, enum finding_code code, enum document_scope scope);

/* The component, or nothing. */
static inline struct value edi_value(const struct edi *edi, uint32_t element, uint32_t component) {
    return segment_value(&edi->tokens.segment, element, component);
}

/* To be called with each segment: it is mended if it is wrapped, and transcoded if it is not ASCII. */
void edi_mend(struct edi *edi);

/* A segment with line breaks inside may have lost its terminator: where one of these headers (ended by NULL)
 * stands at the begin of a line it ends, with a finding. To be called before edi_mend. */
void edi_part(struct edi *edi, const char *const *headers);

/* How many segments the scope has up to the one that was counted last, its header included. */
static inline uint32_t edi_segments(const struct edi *edi, enum document_scope scope) {
    return edi->in_file + 1 - edi->scopes[scope].first;
}

/* What the segment's bytes break, in this scope. */
void edi_complain(struct edi *edi, enum document_scope scope);

/* The segment that is being read, which has been counted, is the header. */
void edi_begin(struct edi *edi, enum document_scope scope);
/* The segment that was counted last is the scope's last one; `end`: its end in the file. */
void edi_end(struct edi *edi, enum document_scope scope, uint64_t end);
/* Counts a trailer, and says whether the scope that it ends is open; `alone` is the finding if not. */
bool edi_ends(struct edi *edi, enum document_scope scope, enum finding_code alone);

/* The scope has no trailer: this finding in it, and its end, at this place. */
void edi_break_off(struct edi *edi, enum document_scope scope, enum finding_code code, struct place where);

static inline uint64_t edi_segment_end(const struct edi *edi) {
    return edi->tokens.segment.place.offset + edi->tokens.segment.place.length;
}

/* Where the segment that is being read begins, or what has not been read. */
struct place edi_before(const struct edi *edi);
struct place edi_here(const struct edi *edi);

/* The segment is too long, and was passed over. */
void edi_large(struct edi *edi);

/* One more message; beyond the limit it is muted. To be called before its edi_begin. */
void edi_count_message(struct edi *edi);

/* Hands over a segment of a message, within the limits. */
void edi_hand_over(struct edi *edi);

/* Bytes that belong to nothing; they are told when something comes, or at the end. */
void edi_garbage(struct edi *edi, uint32_t n);
void edi_garbage_tell(struct edi *edi);
