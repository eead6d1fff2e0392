/* draft.h: segments of EDIFACT or X12 being written, before it is known what separates what.
 * The separators stand in it as control characters, which no value has.
 * Owner: the writer that has it inside; draft_free gives the memory back. Thread: one at a time.
 * Nothing blocks; it grows on the general heap.
 * A segment is a list of places and values, as a directory has it. Places ascend; what is empty is left out,
 * and so no separator ever stands at an end. Fails by text.failed. */
#pragma once

#include "codecs/event/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRAFT_COMPONENT  0x1f
#define DRAFT_REPETITION 0x1e
#define DRAFT_ELEMENT    0x1d
#define DRAFT_TERMINATOR 0x1c

/* A value and its place: element and component, from 1. A fixed one says how others are meant; alone it is no
 * reason for a segment. */
struct draft_value {
    uint8_t element, component;
    bool fixed;
    const char *text; /* UTF-8; NULL is empty */
};
#define VALUE(element_, component_, text_)                                                                   \
    (struct draft_value) {                                                                                   \
        .element = (element_), .component = (component_), .text = (text_)                                    \
    }
#define FIXED(element_, component_, text_)                                                                   \
    (struct draft_value) {                                                                                   \
        .element = (element_), .component = (component_), .fixed = true, .text = (text_)                     \
    }

struct draft {
    struct bytes text;
    uint32_t segments;           /* so far */
    uint32_t element, component; /* of the open segment: where the last value stands */
};

void draft_free(struct draft *draft);

/* false: nothing but fixed values, and nothing was written. */
bool draft_segment(struct draft *draft, const char *tag, const struct draft_value *values, size_t count);
#define SEGMENT(draft, tag, ...)                                                                             \
    draft_segment(draft, tag, (const struct draft_value[]){__VA_ARGS__},                                     \
                  sizeof((const struct draft_value[]){__VA_ARGS__}) / sizeof(struct draft_value))

/* The same piece by piece, for segments of any number of values. */
void draft_begin(struct draft *draft, const char *tag);
void draft_put(struct draft *draft, uint32_t element, uint32_t component, const char *text);
/* Filled up with blanks to a width, or cut; the separators before it stand even if it is all blanks. */
void draft_padded(struct draft *draft, uint32_t element, const char *text, size_t width);
/* One of the separators as a value. */
void draft_mark(struct draft *draft, uint32_t element, uint8_t mark);
void draft_end(struct draft *draft);

/* How the draft becomes a document. */
enum draft_charset { DRAFT_ASCII, DRAFT_LATIN_1, DRAFT_UTF_8 };

/* Whether every character is one of ISO 8859-1. */
bool draft_is_latin_1(const struct draft *draft);

/* With release characters; `repetition`: an asterisk separates repetitions, and is released, too. What the
 * charset does not have becomes a question mark. */
void draft_edifact(const struct draft *draft, enum draft_charset charset, bool repetition, bool lines,
                   struct bytes *out);
/* With separators that no value has; where there is none left, they become blanks in values. */
void draft_x12(const struct draft *draft, enum draft_charset charset, bool repetition, bool lines,
               struct bytes *out);
