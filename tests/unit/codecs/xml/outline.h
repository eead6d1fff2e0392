/* outline.h: a sink that writes down all that a reader of XML tells it, as text, to be compared.
 * Owner: the test; outline_free frees the text.
 * Thread: the test's.
 * Nothing blocks.
 * Running out of memory ends the test. What stands on a line is told in outline.c. */
#pragma once

#include "codecs/xml/xml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outline {
    char *text; /* owns; ends with 0 */
    size_t length, capacity;
    bool places;    /* where everything stands, too */
    uint32_t depth; /* scopes that are open */
    uint32_t findings[FINDING_CODES];
    uint32_t errors; /* findings that are errors */
    uint32_t messages;
    uint32_t refused; /* messages that ended with errors */
    uint32_t segments;
    struct place first; /* of the first finding that is no note */
    char inside[64];    /* its segment */
};

struct document_sink outline_sink(struct outline *outline);
void outline_clear(struct outline *outline);
void outline_free(struct outline *outline);

/* Reads a document in pieces of `step` bytes (0: at once), `first` bytes before them. The reader is as new
 * afterwards. */
void outline_read(struct xml_reader *reader, const void *bytes, size_t length, size_t first, size_t step);

/* A stand-in for layouts: a field's number is its place in the alphabet of fields that was given, from 1. */
uint32_t outline_field(void *context, const char *segment, size_t segment_length, const char *field,
                       size_t field_length);
