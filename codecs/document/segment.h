/* segment.h: the one shape in which every format hands over what it read: a name, and values by element and
 * component. Owner: a reader fills it and hands it to its sink; all bytes are borrowed until the sink
 * returns. An EDI segment, a flat record, a row of a table and an XML leaf are segments. Any thread may use
 * it. Nothing blocks, nothing allocates. What is not there is an empty value: a sender may leave out what is
 * empty, and means the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct value {
    const uint8_t *bytes;
    uint32_t length;
    bool released; /* holds release characters: value_text() takes them out */
};

/* Where something stands in its file; counts from 1, 0 where the format has no such thing. */
struct place {
    uint64_t offset;  /* byte in the file, from 0 */
    uint32_t length;  /* in bytes; 0: a point */
    uint32_t line;    /* by LF */
    uint32_t segment; /* in its message: UNH, ST, the control record and the first row are 1 */
    uint32_t in_file; /* the same counted over the whole file: UNB, ISA and the first row are 1, UNA does not
                         count */
    uint32_t element; /* after the tag; a column of a table; a field of a record */
    uint32_t component; /* in its element */
};

/* One repetition of one element: components [first, first + count) of the segment. */
struct element {
    uint32_t number; /* from 1; repetitions of an element follow each other and have the same number */
    uint32_t first;
    uint32_t count;
};

struct segment {
    struct value name; /* UNH, PO1, E1EDK01, a record's name in its layout, an XML local name */
    struct place place;
    const struct element *elements; /* ascending by number */
    uint32_t element_count;
    const struct value *components;
    uint32_t component_count;
    uint8_t release; /* the release character; 0: the format has none */
    char decimal;    /* the decimal mark of this file */
};

/* Writes what the value means, without its release characters, at most `size` bytes of it; returns how many
 * it has in all. */
size_t value_text(struct value value, uint8_t release, char *text, size_t size);

/* Whether the value is this text, as it stands there. */
bool value_is(struct value value, const char *text);

/* The component of the first repetition of an element, both from 1. */
static inline struct value segment_value(const struct segment *segment, uint32_t element,
                                         uint32_t component) {
    for (uint32_t i = 0; i < segment->element_count; i++) {
        const struct element *found = &segment->elements[i];
        if (found->number == element)
            return component <= found->count ? segment->components[found->first + component - 1]
                                             : (struct value){0};
        if (found->number > element)
            break;
    }
    return (struct value){0};
}
