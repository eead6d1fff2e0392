/* formats.h: all formats that documents are read in, with their maps and layouts, and the reader of a file by
 * its content. Owner: formats_new makes it, formats_free takes it; intakes borrow it. Thread: one until
 * formats_ready, then any number of intakes may read it; an intake is for one thread at a time. Nothing
 * blocks but the sink. Fails by a sentence with file and line where a map or a layout is wrong; what is wrong
 * with a document is a finding. */
#pragma once

#include "codecs/document/sink.h"
#include "codecs/erp/map.h"

struct formats;

/* With the maps and layouts that come with Roundhouse. NULL: no memory. */
struct formats *formats_new(void) MUST_USE;
void formats_free(struct formats *formats);

/* Of the user's own, before formats_ready: `file` is for errors. */
bool formats_add_layout(struct formats *formats, const char *file, const char *text, size_t length,
                        struct map_error *error) MUST_USE;
bool formats_add_map(struct formats *formats, const char *file, const char *text, size_t length,
                     struct map_error *error) MUST_USE;
/* Tables are never guessed: with a dialect every file is read as CSV, with a layout of fixed width as that;
 * the last one added holds. docs/LAYOUTS.md describes both. */
bool formats_add_dialect(struct formats *formats, const char *file, const char *text, size_t length,
                         struct map_error *error) MUST_USE;
bool formats_add_fixed(struct formats *formats, const char *file, const char *text, size_t length,
                       struct map_error *error) MUST_USE;
/* Compiles the maps. */
bool formats_ready(struct formats *formats, struct map_error *error) MUST_USE;
/* "csv" or "fixed" when every file is read as a table; else NULL. */
const char *formats_tables(const struct formats *formats);
/* For an engine (codecs/erp/engine.h). */
struct map_library *formats_maps(struct formats *formats);

/* One file after another, as its bytes come. */
struct intake;

/* `profile` (NULL: the strict one) and `sink` are borrowed. NULL: no memory. */
struct intake *intake_new(const struct formats *formats, const struct profile *profile,
                          const struct document_sink *sink) MUST_USE;
void intake_free(struct intake *intake);
/* 0, or -ENOMEM: then nothing but intake_free may follow. */
int intake_feed(struct intake *intake, const uint8_t *bytes, size_t length) MUST_USE;
/* The file is over; another one may follow. What it was read as is in *format (may be NULL): constant text.
 */
int intake_end(struct intake *intake, const char **format) MUST_USE;
