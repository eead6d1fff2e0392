/* fixed.h: reads records of fixed width, and COBOL data, byte for byte as they come, as a layout says.
 * Owner: the caller; the layouts and the sink are borrowed until fixed_free.
 * Thread: one at a time. Nothing blocks, but the sink may. It allocates when it is made, and never again:
 * room for one record. Fails only in fixed_new; what is wrong with a file is a finding.
 *
 * What the sink gets: a MESSAGE as the layout's `message` line says; in it a segment for each record, by the
 * name of its type, with its fields as elements; an AGGREGATE around a record that others may lie `under`,
 * and these. A field that occurs is a repeated element; the columns of a table are components. Text is UTF-8
 * without trailing blanks; numbers are text with the layout's decimal mark and a minus in front; a date is
 * CCYYMMDD. What is blank is no element. A message's reference is its key, or the number of its first record
 * in the file. Headers, trailers and records that are unknown stand outside of messages that are of one
 * record or of one key. */
#pragma once

#include "codecs/document/sink.h"
#include "codecs/layout/layout.h"

struct fixed;

/* The profile may be NULL: the strict one. NULL: out of memory, or the key is a field of no record. */
struct fixed *fixed_new(const struct layouts *layouts, const struct profile *profile,
                        const struct document_sink *sink);
void fixed_feed(struct fixed *fixed, const uint8_t *bytes, size_t length);
/* The file is over: what is open ends. Then another file may be fed. */
void fixed_end(struct fixed *fixed);
void fixed_free(struct fixed *fixed);
