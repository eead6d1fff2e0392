#include "codecs/table/csv_row.h"
#include "codecs/table/csv_scan.h"

#include <stdlib.h>
#include <string.h>

#define TRANSCODE_BYTES 4096u

/* ---- finding rows ---- */

static void row_begin(struct csv *csv) {
    csv->scanned = 0;
    csv->inside = 0;
    csv->may_open = true;
    csv->closed = csv->high = csv->too_many_cells = false;
    csv->end_count = 0;
    csv->state = CELL_BEGINS;
    csv->scalar = csv->dialect->escape || csv->dialect->comment;
}

static inline void cell_end(struct csv *csv, uint32_t end) {
    if (csv->end_count < CSV_CELLS_MAX)
        csv->ends[csv->end_count++] = end;
    else
        csv->too_many_cells = true;
}

/* After a byte that ends neither a cell nor a row, and is not escaped. */
static enum scalar_state state_after(const struct csv *csv, uint8_t c, uint32_t offset) {
    const struct dialect *dialect = csv->dialect;
    bool quote = dialect->quote && c == (uint8_t)dialect->quote;
    switch (csv->state) {
    case CELL_BEGINS:
        if (offset == 0 && dialect->comment && c == (uint8_t)dialect->comment)
            return ROW_IS_COMMENT;
        return quote ? CELL_QUOTED : CELL_PLAIN;
    case CELL_QUOTED:
        return quote ? CELL_CLOSED : CELL_QUOTED;
    case CELL_CLOSED:
        if (quote && !dialect->escape)
            return CELL_QUOTED;
        return c == '\r' ? CELL_CLOSED : CELL_PLAIN;
    case CELL_PLAIN:
    case ROW_IS_COMMENT:
        break;
    }
    return csv->state;
}

/* Byte by byte: for what the masks do not know. Returns the record that is open then. */
static const uint8_t *scan_slow(struct csv *csv, const uint8_t *record, const uint8_t *end) {
    const struct dialect *dialect = csv->dialect;
    uint8_t delimiter = (uint8_t)csv->delimiter;
    uint8_t escape = (uint8_t)dialect->escape, newline = (uint8_t)dialect->newline;
    for (const uint8_t *at = record + csv->scanned; at < end; at++) {
        uint8_t c = *at;
        uint32_t offset = (uint32_t)(at - record);
        bool released = csv->closed; /* by the escape before it; only where there is one */
        csv->high = csv->high || c >= 0x80;
        csv->closed = escape && c == escape && !released && csv->state != ROW_IS_COMMENT;
        bool free = csv->state != CELL_QUOTED && !released && !csv->closed;
        if (free && c == newline) {
            cell_end(csv, offset);
            csv_record(csv, record, offset, offset + 1);
            row_begin(csv);
            return at + 1;
        }
        if (free && c == delimiter && csv->state != ROW_IS_COMMENT) {
            cell_end(csv, offset);
            csv->state = CELL_BEGINS;
        } else if (released || csv->closed) {
            csv->state = csv->state == CELL_QUOTED ? CELL_QUOTED : CELL_PLAIN;
        } else {
            csv->state = state_after(csv, c, offset);
        }
    }
    csv->scanned = (uint32_t)(end - record);
    return record;
}

/* 64 bytes at a time, as long as quotes are where they may be. */
static const uint8_t *scan_fast(struct csv *csv, const uint8_t *record, const uint8_t *end) {
    const uint8_t *at = record + csv->scanned;
    uint32_t length = end - at < (ptrdiff_t)CSV_BLOCK ? (uint32_t)(end - at) : CSV_BLOCK;
    struct csv_masks masks;
    csv_look_some(at, length, csv->delimiter, csv->dialect->newline, csv->dialect->quote, &masks);
    uint64_t valid = length == CSV_BLOCK ? ~UINT64_C(0) : (UINT64_C(1) << length) - 1;
    uint64_t inside = 0, closes = 0, bad = 0;
    if (masks.quotes | csv->inside | csv->closed) {
        inside = csv_parity(masks.quotes) ^ csv->inside;
        uint64_t opens = masks.quotes & inside;
        closes = masks.quotes & ~inside;
        uint64_t ends = (masks.delimiters | masks.newlines) & ~inside;
        bad = opens & ~((ends | closes) << 1 | csv->may_open);
        bad |= (closes << 1 | csv->closed) & ~(ends | opens | masks.returns) & valid;
    }
    uint64_t ends = (masks.delimiters | masks.newlines) & ~inside;
    uint64_t marks = bad ? ends & ((bad & -bad) - 1) : ends;
    csv->high = csv->high || masks.highs;
    for (; marks; marks &= marks - 1) {
        uint32_t bit = (uint32_t)__builtin_ctzll(marks);
        uint32_t offset = (uint32_t)(at + bit - record);
        cell_end(csv, offset);
        if (masks.newlines >> bit & 1) {
            csv_record(csv, record, offset, offset + 1);
            record = at + bit + 1;
            row_begin(csv);
            csv->high = masks.highs;
            if (csv->anew || csv->scalar)
                return record;
        }
    }
    if (bad) { /* this row again, from its beginning */
        row_begin(csv);
        csv->scalar = true;
        return record;
    }
    csv->inside = inside >> (length - 1) & 1 ? ~UINT64_C(0) : 0;
    csv->may_open = (ends | closes) >> (length - 1) & 1;
    csv->closed = closes >> (length - 1) & 1;
    csv->scanned = (uint32_t)(at + length - record);
    return record;
}

/* All rows that end in these bytes; returns how many bytes they have. Stops at a row that is too long. */
static size_t records_take(struct csv *csv, const uint8_t *bytes, size_t length) {
    const uint8_t *record = bytes, *end = bytes + length;
    while (record + csv->scanned < end && csv->scanned < csv->row_max) {
        const uint8_t *stop = end - record > (ptrdiff_t)csv->row_max ? record + csv->row_max : end;
        csv->anew = false;
        record = csv->scalar ? scan_slow(csv, record, stop) : scan_fast(csv, record, stop);
    }
    return (size_t)(record - bytes);
}

/* ---- the row whose end has not come ---- */

static bool in_quotes(const struct csv *csv) {
    return csv->scalar ? csv->state == CELL_QUOTED : csv->inside != 0;
}

/* The quote of the open row that is not closed, and the line after it. Returns where that line begins; 0: it
 * is not here. */
static uint32_t quote_refuse(struct csv *csv) {
    struct row row = {.bytes = csv->carry, .length = csv->carried};
    uint32_t first = csv->end_count ? csv->ends[csv->end_count - 1] + 1 : 0;
    struct place place = csv_place(csv, &row, first, 1, csv->end_count + 1);
    csv_tell(csv, FINDING_CSV_QUOTE_UNCLOSED, &place, (struct value){0}, (struct value){0});
    const uint8_t *next = memchr(csv->carry + first, csv->dialect->newline, csv->carried - first);
    return next ? (uint32_t)(next - csv->carry) + 1 : 0;
}

/* The open row is no row: leaves out its first line, or up to the quote's line, and begins again behind it.
 */
static void carry_recover(struct csv *csv) {
    bool quotes = in_quotes(csv) && csv->end_count < CSV_CELLS_MAX;
    uint32_t skipped = quotes ? quote_refuse(csv) : 0;
    if (!quotes && !csv->discards) {
        struct place place = {.offset = csv->origin, .line = csv->line};
        csv_tell(csv, FINDING_TOO_LARGE, &place, (struct value){0}, (struct value){0});
    }
    csv->resyncs = csv->resyncs || quotes;
    csv->discards = skipped == 0;
    if (skipped == 0)
        skipped = csv->carried;
    csv->origin += csv_original_length(csv, csv->carry, skipped);
    for (uint32_t i = 0; i < skipped; i++)
        csv->line += csv->carry[i] == (uint8_t)csv->dialect->newline;
    csv->carried -= skipped;
    memmove(csv->carry, csv->carry + skipped, csv->carried);
    row_begin(csv);
}

static void carry_take(struct csv *csv) {
    size_t taken = records_take(csv, csv->carry, csv->carried);
    csv->carried -= (uint32_t)taken;
    memmove(csv->carry, csv->carry + taken, csv->carried);
}

/* Up to the end of a line that is left out; how many bytes that are. */
static size_t discard_take(struct csv *csv, const uint8_t *bytes, size_t length) {
    const uint8_t *newline = memchr(bytes, csv->dialect->newline, length);
    size_t part = newline ? (size_t)(newline - bytes) + 1 : length;
    csv->origin += csv_original_length(csv, bytes, part);
    csv->line += newline != NULL;
    csv->discards = newline == NULL;
    return part;
}

/* Puts more behind the beginning of a row. Returns how many bytes were taken: what lies behind the row's end
 * is not. */
static size_t carry_more(struct csv *csv, const uint8_t *bytes, size_t length) {
    size_t room = csv->row_max - csv->carried, part = length < CSV_BLOCK ? length : CSV_BLOCK;
    part = part < room ? part : room;
    memcpy(csv->carry + csv->carried, bytes, part);
    csv->carried += (uint32_t)part;
    carry_take(csv);
    if (csv->carried >= part)
        return part;
    part -= csv->carried; /* a new row began in this part: it is read where it lies */
    csv->carried = 0;
    row_begin(csv);
    return part;
}

/* Bytes of UTF-8. */
static void text_take(struct csv *csv, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        size_t taken;
        if (csv->discards) {
            taken = discard_take(csv, bytes, length);
        } else if (csv->carried > 0) {
            taken = carry_more(csv, bytes, length);
        } else {
            taken = records_take(csv, bytes, length);
            csv->carried = csv->scanned; /* all that is behind the last row, but for row_max of it */
            memcpy(csv->carry, bytes + taken, csv->carried);
            taken += csv->carried;
        }
        bytes += taken;
        length -= taken;
        while (csv->carried == csv->row_max) {
            carry_recover(csv);
            carry_take(csv);
        }
    }
}

/* ---- charsets ---- */

static void codepage_take(struct csv *csv, const uint8_t *bytes, size_t length) {
    uint8_t out[TRANSCODE_BYTES];
    while (length > 0) {
        size_t part = length < TRANSCODE_BYTES / 3 ? length : TRANSCODE_BYTES / 3, bad;
        size_t n = codepage_text(csv->codepage, bytes, part, out, &bad); /* what is bad is found in its row */
        text_take(csv, out, n);
        bytes += part;
        length -= part;
    }
}

/* One unit of UTF-16; how many bytes of UTF-8 it makes. */
static size_t unit_take(struct csv *csv, uint16_t unit, uint8_t *out) {
    size_t n = 0;
    bool low = unit >= 0xDC00 && unit < 0xE000;
    if (csv->high_waits && low) {
        uint32_t character =
            0x10000 + ((uint32_t)(csv->high_waits - 0xD800) << 10) + (uint32_t)(unit - 0xDC00);
        csv->high_waits = 0;
        return codepage_put(character, out);
    }
    if (csv->high_waits)
        n = codepage_put(0xFFFD, out);
    csv->high_waits = unit >= 0xD800 && unit < 0xDC00 ? unit : 0;
    if (csv->high_waits == 0)
        n += codepage_put(low ? 0xFFFD : unit, out + n);
    return n;
}

static void utf16_take(struct csv *csv, const uint8_t *bytes, size_t length) {
    uint8_t out[TRANSCODE_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (!csv->half_waits) {
            csv->half = bytes[i];
            csv->half_waits = true;
            continue;
        }
        csv->half_waits = false;
        n += unit_take(csv, (uint16_t)(csv->half | bytes[i] << 8), out + n);
        if (n > TRANSCODE_BYTES - 8) {
            text_take(csv, out, n);
            n = 0;
        }
    }
    text_take(csv, out, n);
}

static void bytes_take(struct csv *csv, const uint8_t *bytes, size_t length) {
    if (csv->codepage == CODEPAGE_UTF8)
        text_take(csv, bytes, length);
    else if (csv->codepage == CODEPAGE_UTF16LE)
        utf16_take(csv, bytes, length);
    else
        codepage_take(csv, bytes, length);
}

/* What the file begins with: perhaps a byte order mark. */
static void start_take(struct csv *csv) {
    uint32_t mark = 0;
    csv->started = true;
    if (csv->start_length == 3 && memcmp(csv->start, "\xEF\xBB\xBF", 3) == 0)
        mark = 3;
    else if (csv->start_length >= 2 && memcmp(csv->start, "\xFF\xFE", 2) == 0)
        mark = 2;
    if (mark > 0) {
        struct place place = {.length = mark, .line = 1};
        csv->codepage = mark == 2 ? CODEPAGE_UTF16LE : CODEPAGE_UTF8;
        csv_tell(csv, FINDING_BOM, &place, (struct value){0}, (struct value){0});
        csv->origin = mark;
    }
    if (csv->start_length >= 2 && memcmp(csv->start, "\xFE\xFF", 2) == 0) {
        struct place place = {.length = 2, .line = 1};
        csv_tell(csv, FINDING_CHARSET_UNKNOWN, &place, csv_text("UTF-16BE"), (struct value){0});
    }
    bytes_take(csv, csv->start + mark, csv->start_length - mark);
}

void csv_feed(struct csv *csv, const uint8_t *bytes, size_t length) {
    while (!csv->started && length > 0) {
        csv->start[csv->start_length++] = *bytes++;
        length--;
        if (csv->start_length == sizeof csv->start)
            start_take(csv);
    }
    if (length > 0)
        bytes_take(csv, bytes, length);
}

/* ---- life ---- */

static void file_begin(struct csv *csv) {
    csv->delimiter = csv->dialect->delimiter;
    csv->codepage = csv->dialect->codepage;
    csv->start_length = csv->carried = csv->width = csv->file_errors = csv->key_length = 0;
    csv->started = csv->half_waits = csv->has_header = csv->resyncs = csv->discards = csv->anew = false;
    csv->high_waits = 0;
    csv->origin = csv->rows = 0;
    csv->line = 1;
    if (csv->seen)
        memset(csv->seen, 0, sizeof *csv->seen);
    report_begin(&csv->report, DOCUMENT_INTERCHANGE);
    row_begin(csv);
}

void csv_end(struct csv *csv) {
    if (!csv->started && csv->start_length > 0)
        start_take(csv);
    struct place place = {.offset = csv->origin, .line = csv->line};
    if (csv->half_waits || csv->high_waits)
        csv_tell(csv, FINDING_TRUNCATED, &place, (struct value){0}, (struct value){0});
    while (csv->carried > 0 && in_quotes(csv)) {
        carry_recover(csv);
        carry_take(csv);
    }
    if (csv->carried > 0) {
        cell_end(csv, csv->carried);
        csv_record(csv, csv->carry, csv->carried, csv->carried);
    }
    csv_message_end(csv);
    if (csv->dialect->header && !csv->has_header)
        csv_tell(csv, FINDING_CSV_NO_HEADER, &place, (struct value){0}, (struct value){0});
    file_begin(csv);
}

struct csv *csv_new(const struct dialect *dialect, const struct profile *profile,
                    const struct document_sink *sink) {
    struct csv *csv = calloc(1, sizeof *csv);
    if (csv == NULL)
        return NULL;
    csv->dialect = dialect;
    report_init(&csv->report, sink, profile);
    if (dialect->pad)
        (void)profile_tolerate(&csv->report.profile, FINDING_CSV_RAGGED);
    csv->row_max = csv->report.profile.segment_max;
    csv->carry = malloc(csv->row_max + CSV_BLOCK);
    csv->scratch = malloc(SCRATCH_ROWS * (size_t)csv->row_max + CSV_BLOCK);
    csv->ends = calloc(CSV_CELLS_MAX, sizeof *csv->ends);
    csv->numbers = calloc(CSV_CELLS_MAX, sizeof *csv->numbers);
    csv->order = calloc(CSV_CELLS_MAX, sizeof *csv->order);
    csv->elements = calloc(CSV_CELLS_MAX, sizeof *csv->elements);
    csv->components = calloc(CSV_CELLS_MAX, sizeof *csv->components);
    bool wants_seen = dialect->message == DIALECT_KEY && !dialect->unsorted;
    if (wants_seen)
        csv->seen = malloc(sizeof *csv->seen);
    if (!csv->carry || !csv->scratch || !csv->ends || !csv->numbers || !csv->order || !csv->elements ||
        !csv->components || (wants_seen && !csv->seen)) {
        csv_free(csv);
        return NULL;
    }
    file_begin(csv);
    return csv;
}

void csv_free(struct csv *csv) {
    if (csv == NULL)
        return;
    free(csv->carry);
    free(csv->scratch);
    free(csv->ends);
    free(csv->numbers);
    free(csv->order);
    free(csv->elements);
    free(csv->components);
    free(csv->seen);
    free(csv);
}
