/* csv.h: reads tables of text with delimiters, byte for byte as they come, as a dialect says.
 * Owner: the caller; the dialect and the sink are borrowed until csv_free.
 * Thread: one at a time. Nothing blocks, but the sink may. It allocates when it is made, and never again:
 * room for one row (the profile's segment_max) some times over, and for the keys of the last messages. Fails
 * only in csv_new; what is wrong with a file is a finding.
 *
 * What the sink gets: a MESSAGE for each row, for each run of rows with one key, or for the file, as the
 * dialect says; in it first the segment that the dialect calls `head`, with the cells of the message's first
 * row, if it names one; then a segment for each row. Elements are cells, by the numbers of the dialect's
 * columns; without columns in the dialect, by their place. An empty cell is no element; "" in quotes is one,
 * with bytes, of no length. The message's reference is its key; that of a single row its number in the file.
 * Rows whose cells can not be told apart are findings, and no segments. What is wrong with the header is a
 * finding outside of any message (scope INTERCHANGE, which a table does not begin); each message then has an
 * error more. */
#pragma once

#include "codecs/document/sink.h"
#include "codecs/table/dialect.h"

struct csv;

#define CSV_CELLS_MAX 4096u /* of one row */
#define CSV_KEY_MAX   1024u /* bytes of all key cells together */

/* The profile may be NULL: the strict one. NULL: out of memory. */
struct csv *csv_new(const struct dialect *dialect, const struct profile *profile,
                    const struct document_sink *sink);
void csv_feed(struct csv *csv, const uint8_t *bytes, size_t length);
/* The file is over: what is open ends. Then another file may be fed. */
void csv_end(struct csv *csv);
void csv_free(struct csv *csv);
