/* isa.h: the segment that begins an X12 interchange, and says by its mere form what separates what.
 * Owner: nobody (a pure function); what is found points into the bytes. Thread: any.
 * Nothing blocks or allocates.
 * It should be 106 bytes long, with widths that are fixed; many senders do not fill up with blanks, so that
 * it is cut by its 16 separators where it is not. Fails by saying that it is none. */
#pragma once

#include "codecs/document/segment.h"
#include "codecs/edi/tokens.h"

#define ISA_ELEMENTS 16u
#define ISA_MAX      512u /* bytes; no sender is that much mistaken about the widths */

enum isa_result {
    ISA_NONE,
    ISA_MORE, /* more bytes are needed to say */
    ISA_FOUND,
};

struct isa {
    struct value values[ISA_ELEMENTS + 1]; /* ISA, then the elements by number */
    struct separators separators;
    uint32_t length;        /* in bytes, with the terminator */
    uint32_t wrong_widths;  /* a bit for each element that has not the width that it must have */
    bool component_missing; /* no ISA16 */
    bool separators_wrong;  /* the component separator is none */
    bool version_known;
};

enum isa_result isa_read(const uint8_t *bytes, uint32_t n, bool last, struct isa *isa);

/* What can separate: a sign or a control character. */
bool isa_separates(uint8_t c);
