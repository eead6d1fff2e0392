/* x12_reader.h: the reader of X12 as its own files see it.
 * Owner: codecs/edi/x12*.c; nobody else includes it. Thread: the one that feeds the reader.
 * x12.c finds interchanges and segments, x12_envelope.c makes scopes of them.
 * Nothing blocks.
 * It can not fail. */
#pragma once

#include "codecs/edi/edi.h"
#include "codecs/edi/isa.h"
#include "codecs/edi/x12.h"

enum x12_state {
    X12_SEARCH,   /* for ISA, or a segment of a fragment */
    X12_SEGMENTS, /* inside an interchange, or in sets without one */
};

struct x12_reader {
    struct edi edi;
    enum x12_state state;
    uint32_t acknowledged; /* TA1 of the interchange */
};

/* A whole segment. */
void x12_segment(struct x12_reader *reader);

/* ISA, which has been found at the begin of what is not read yet. */
void x12_interchange(struct x12_reader *reader, const struct isa *isa);

/* The file ends, or another interchange begins: all that is open ends at this place, with a finding each. */
void x12_close(struct x12_reader *reader, struct place where);
