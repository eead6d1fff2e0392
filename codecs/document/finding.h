/* finding.h: what a reader has to say about a document: which rule, where, what stood there, and what to do
 * about it. Owner: the reader that reports it; text and value are borrowed until the sink returns. Codes are
 * constants. Pure; any thread. Nothing blocks, nothing allocates. The list of codes is
 * codecs/document/codes.def: one line for each rule, and the only list of deviations that a partner's profile
 * can name. A finding that the profile tolerates is a warning, any other one refuses its scope. */
#pragma once

#include "codecs/document/segment.h"

#include <stdbool.h>

enum finding_severity {
    FINDING_NOTE,    /* worth knowing, no rule is broken */
    FINDING_WARNING, /* a rule is broken, and the partner's profile tolerates it */
    FINDING_ERROR,   /* a rule is broken: the scope is refused */
};

enum finding_code {
#define CODE(symbol, name, fixed, edifact, x12, text, hint) FINDING_##symbol,
#include "codecs/document/codes.def"
#undef CODE
    FINDING_CODES
};

/* What is fixed about a code's severity. */
enum finding_rule {
    FINDING_IS_NOTE,   /* a note, unless the profile refuses it: then an error */
    FINDING_TOLERABLE, /* an error, unless the profile names it: then a warning */
    FINDING_IS_ERROR,  /* always an error: nobody can go on from it */
};

struct finding_kind {
    const char *name; /* edifact.count-differs: what a profile, expect.tsv and metrics name */
    enum finding_rule rule;
    const char *edifact; /* 0085, for CONTRL; "" where it has none */
    const char *x12;     /* scope and code of TA1, AK3, AK4, AK5, AK9: "AK5:4"; "" where it has none */
    const char *text;    /* one sentence */
    const char *hint;    /* what to do */
};

struct finding {
    enum finding_code code;
    enum finding_severity severity;
    struct place place;
    uint8_t scope;         /* enum document_scope that it belongs to */
    struct value segment;  /* its name */
    struct value found;    /* what stood there; cut at FINDING_VALUE_MAX by who shows it */
    struct value expected; /* empty: nothing that can be named */
};

#define FINDING_VALUE_MAX 64u

/* What a partner's profile tolerates: one bit for each code. Zeroed: nothing, the strict profile; with a 0
 * all limits are the defaults that profile_limits fills in. */
struct profile {
    uint64_t tolerated[(FINDING_CODES + 63) / 64];
    uint64_t refused[(FINDING_CODES + 63) / 64]; /* of those that are notes */
    uint16_t pivot;        /* a year of two digits above it is of the last century; 0: 70 */
    uint32_t findings_max; /* of one message; 0: 100; what comes then is counted, not told */
    uint32_t segment_max;  /* bytes; 0: 64 KiB */
    uint32_t segments_max; /* of one message; 0: 1,000,000 */
    uint32_t messages_max; /* of one interchange; 0: 1,000,000 */
    const char *charset;   /* of files that name none or name another one than they use; NULL: as they say */
};

const struct finding_kind *finding_kind(enum finding_code code);

/* FINDING_CODES if there is no such name. */
enum finding_code finding_named(const char *name);

/* false: this code can not be tolerated, or is a note anyway. */
bool profile_tolerate(struct profile *profile, enum finding_code code);

/* Makes an error of a note; false: this code is an error anyway, unless it is tolerated. */
bool profile_refuse(struct profile *profile, enum finding_code code);

/* Tolerates all that can be: what an inspection of an unknown file begins with. */
void profile_tolerate_all(struct profile *profile);

/* The profile with a number for each 0; NULL: the strict one. */
struct profile profile_limits(const struct profile *profile);

enum finding_severity finding_severity(const struct profile *profile, enum finding_code code);
