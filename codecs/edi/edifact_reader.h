/* edifact_reader.h: the reader of EDIFACT as its own files see it.
 * Owner: codecs/edi/edifact*.c; nobody else includes it. Thread: the one that feeds the reader.
 * edifact.c finds interchanges and segments, edifact_envelope.c makes scopes of them.
 * Nothing blocks.
 * It can not fail. */
#pragma once

#include "codecs/edi/edi.h"
#include "codecs/edi/edifact.h"

enum edifact_state {
    EDIFACT_SEARCH,   /* for UNA, UNB, or a segment */
    EDIFACT_SEGMENTS, /* inside an interchange, or in messages without one */
};

struct edifact_reader {
    struct edi edi;
    enum edifact_state state;
    bool una; /* it came, and holds until the interchange ends */
    struct separators separators;
    uint8_t una_repetition; /* becomes the separator if the syntax version is 4 */
    char decimal;
    uint8_t syntax_version;
};

/* A whole segment. */
void edifact_segment(struct edifact_reader *reader);

/* The file ends, or another interchange begins: all that is open ends at this place, with a finding each. */
void edifact_close(struct edifact_reader *reader, struct place where);

/* The interchange has ended: what comes next is anything. */
void edifact_search(struct edifact_reader *reader);
