/* csv_row.h: what csv.c, which finds rows, and csv_row.c, which reads them, share.
 * Owner: csv.c. Nobody else includes this.
 * Thread: the one that feeds the reader.
 * Nothing blocks, but the sink may.
 * It can not fail. */
#pragma once

#include "codecs/document/report.h"
#include "codecs/table/csv.h"

#define SEEN_SETS    8192u /* keys of messages that are over: so many times SEEN_WAYS */
#define SEEN_WAYS    8u
#define SCRATCH_ROWS 8u /* a cell is unescaped, then transcoded, which trebles it, then read as a number */

enum scalar_state { CELL_BEGINS, CELL_PLAIN, CELL_QUOTED, CELL_CLOSED, ROW_IS_COMMENT };

/* Keys that were there, the last ones in each set. */
struct seen {
    uint64_t keys[SEEN_SETS][SEEN_WAYS];
    uint8_t next[SEEN_SETS];
};

struct csv {
    struct report report;
    const struct dialect *dialect;
    uint32_t row_max;
    /* this file */
    char delimiter;
    enum codepage codepage;
    uint8_t start[3]; /* may be a byte order mark */
    uint32_t start_length;
    bool started, half_waits;
    uint8_t half;        /* of a unit of UTF-16 */
    uint16_t high_waits; /* the first half of a surrogate pair */
    uint8_t *carry;      /* owns; the row whose end has not come, up to row_max */
    uint32_t carried;
    uint64_t origin; /* place of the row that is open in the file */
    uint32_t line;
    /* the row that is open: what was scanned of it */
    uint32_t scanned;
    uint64_t inside;
    bool may_open, closed, high, scalar, escaped, discards;
    enum scalar_state state;
    uint32_t *ends; /* owns; where cells end, from the row's beginning */
    uint32_t end_count;
    bool too_many_cells;
    /* the table */
    uint64_t rows; /* that count, the header among them */
    bool has_header, resyncs, anew;
    uint32_t width, file_errors;
    uint64_t header_hash;
    uint32_t *numbers; /* owns; of each cell's column; 0: nobody wants it */
    uint32_t *order;   /* owns; cells in the order of their numbers */
    uint32_t order_count;
    uint32_t key_cells[DIALECT_KEYS_MAX]; /* 1 + place; 0: there is none such */
    /* the message */
    bool message_open;
    uint64_t message_offset;
    uint32_t segments;
    uint8_t key[CSV_KEY_MAX];
    uint32_t key_length;
    struct seen *seen; /* owns; NULL: nobody asks */
    /* what is handed out */
    uint8_t *scratch; /* owns; SCRATCH_ROWS times row_max */
    uint32_t scratch_used;
    struct element *elements; /* owns */
    struct value *components; /* owns */
};

/* A row and its first cells, without its line break. */
struct row {
    const uint8_t *bytes;
    uint32_t length, raw;  /* raw: with its line break */
    uint32_t first, count; /* cells */
    bool foreign;          /* not UTF-8 */
};

/* How long it was before it became UTF-8. */
uint64_t csv_original_length(const struct csv *csv, const uint8_t *bytes, size_t length);
/* Where `length` bytes at `first` of a row are in the file. */
struct place csv_place(const struct csv *csv, const struct row *row, uint32_t first, uint32_t length,
                       uint32_t element);
/* Whether the finding refuses its scope. */
bool csv_tell(struct csv *csv, enum finding_code code, const struct place *place, struct value found,
              struct value expected);
struct value csv_text(const char *text);
/* The bytes up to the line break (`length`), or up to the end of the file; `raw`: with it. The ends of the
 * cells are known. */
void csv_record(struct csv *csv, const uint8_t *bytes, uint32_t length, uint32_t raw);
void csv_message_end(struct csv *csv);
