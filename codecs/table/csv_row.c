#include "codecs/table/csv_row.h"

#include "codecs/layout/date.h"
#include "codecs/table/number.h"
#include "core/base/check.h"
#include "core/base/topic.h"

#include <stdio.h>
#include <string.h>

/* ---- places ---- */

/* How long it was before it became UTF-8. */
uint64_t csv_original_length(const struct csv *csv, const uint8_t *bytes, size_t length) {
    if (csv->codepage == CODEPAGE_UTF8)
        return length;
    uint64_t characters = 0, astral = 0;
    for (size_t i = 0; i < length; i++) {
        characters += (bytes[i] & 0xC0) != 0x80;
        astral += bytes[i] >= 0xF0;
    }
    return csv->codepage == CODEPAGE_UTF16LE ? 2 * (characters + astral) : characters;
}

struct place csv_place(const struct csv *csv, const struct row *row, uint32_t first, uint32_t length,
                       uint32_t element) {
    struct place place = {.offset = csv->origin + csv_original_length(csv, row->bytes, first),
                          .length = (uint32_t)csv_original_length(csv, row->bytes + first, length),
                          .line = csv->line,
                          .segment = csv->message_open ? csv->segments + 1 : 0,
                          .element = element};
    for (uint32_t i = 0; i < first; i++)
        place.line += row->bytes[i] == (uint8_t)csv->dialect->newline;
    return place;
}

bool csv_tell(struct csv *csv, enum finding_code code, const struct place *place, struct value found,
              struct value expected) {
    struct finding finding = {.code = code,
                              .place = *place,
                              .scope = csv->message_open ? DOCUMENT_MESSAGE : DOCUMENT_INTERCHANGE,
                              .found = found,
                              .expected = expected};
    if (csv->message_open)
        finding.segment = (struct value){.bytes = (const uint8_t *)csv->dialect->row,
                                         .length = (uint32_t)strlen(csv->dialect->row)};
    bool refused = report_finding(&csv->report, &finding) == FINDING_ERROR;
    csv->file_errors += refused && !csv->message_open;
    return refused;
}

struct value csv_text(const char *text) {
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
}

/* ---- cells ---- */

static uint32_t cell_first(const struct csv *csv, uint32_t cell) {
    return cell == 0 ? 0 : csv->ends[cell - 1] + 1;
}

static uint8_t *scratch_take(struct csv *csv, uint32_t length) {
    uint8_t *bytes = csv->scratch + csv->scratch_used;
    csv->scratch_used += length;
    CHECK(csv->scratch_used <= SCRATCH_ROWS * csv->row_max);
    return bytes;
}

/* A cell with quotes or escapes in it, and what is wrong with it: offsets in the row; UINT32_MAX: nothing. */
struct slow_cell {
    uint32_t quote_inside, text_after;
};

static struct value cell_slow(struct csv *csv, const struct row *row, uint32_t first, uint32_t length,
                              struct slow_cell *slow) {
    const uint8_t *cell = row->bytes + first;
    uint8_t quote = (uint8_t)csv->dialect->quote, escape = (uint8_t)csv->dialect->escape;
    bool quoted = quote && length > 0 && cell[0] == quote, closed = false;
    uint8_t *out = csv->scratch + csv->scratch_used;
    uint32_t n = 0;
    for (uint32_t i = quoted; i < length; i++) {
        if (escape && cell[i] == escape && !closed && i + 1 < length) {
            uint8_t next = cell[++i];
            if (next != quote && next != escape && next != (uint8_t)csv->delimiter &&
                next != (uint8_t)csv->dialect->newline)
                out[n++] = escape;
            out[n++] = next;
        } else if (quoted && !closed && cell[i] == quote) {
            bool doubled = !escape && i + 1 < length && cell[i + 1] == quote;
            closed = !doubled;
            if (doubled)
                out[n++] = cell[i++];
        } else {
            if (closed && slow->text_after == UINT32_MAX)
                slow->text_after = first + i;
            if (!quoted && quote && cell[i] == quote && slow->quote_inside == UINT32_MAX)
                slow->quote_inside = first + i;
            out[n++] = cell[i];
        }
    }
    return (struct value){.bytes = scratch_take(csv, n), .length = n};
}

static struct value trimmed(struct value value) {
    while (value.length > 0 && (value.bytes[0] == ' ' || value.bytes[0] == '\t')) {
        value.bytes++;
        value.length--;
    }
    while (value.length > 0 &&
           (value.bytes[value.length - 1] == ' ' || value.bytes[value.length - 1] == '\t'))
        value.length--;
    return value;
}

/* The text of a cell; bytes NULL: it is empty and not in quotes. */
static struct value cell_text(struct csv *csv, const struct row *row, uint32_t cell, struct slow_cell *slow) {
    uint32_t first = cell_first(csv, cell), last = csv->ends[cell];
    *slow = (struct slow_cell){UINT32_MAX, UINT32_MAX};
    if (last > row->length)
        last = row->length;
    const uint8_t *bytes = row->bytes + first;
    uint32_t length = last - first;
    uint8_t quote = (uint8_t)csv->dialect->quote;
    struct value value = {.bytes = bytes, .length = length};
    bool in_quotes = quote && length >= 2 && bytes[0] == quote && bytes[length - 1] == quote;
    bool was_quoted = quote && length > 0 && bytes[0] == quote;
    if (csv->escaped || (was_quoted && (!in_quotes || memchr(bytes + 1, quote, length - 2))))
        value = cell_slow(csv, row, first, length, slow);
    else if (in_quotes)
        value = (struct value){.bytes = bytes + 1, .length = length - 2};
    if (row->foreign && !utf8_valid(value.bytes, value.length)) {
        size_t bad;
        uint8_t *out = csv->scratch + csv->scratch_used;
        uint32_t n = (uint32_t)codepage_text(CODEPAGE_1252, value.bytes, value.length, out, &bad);
        value = (struct value){.bytes = scratch_take(csv, n), .length = n};
    }
    if (csv->dialect->trim && !was_quoted)
        value = trimmed(value);
    bool is_null = !was_quoted && csv->dialect->null && value.length == strlen(csv->dialect->null) &&
                   memcmp(value.bytes, csv->dialect->null, value.length) == 0;
    if ((value.length == 0 && !was_quoted) || is_null)
        return (struct value){0};
    return value;
}

/* What the column's type makes of a cell, and what is wrong with it; FINDING_CODES: nothing. */
static enum finding_code cell_type(struct csv *csv, const struct dialect_column *column,
                                   struct value *value) {
    const struct dialect *dialect = csv->dialect;
    struct value text = trimmed(*value);
    if (text.length == 0 || column->type == DIALECT_TEXT)
        return FINDING_CODES;
    uint8_t *out = csv->scratch + csv->scratch_used;
    uint32_t n = 8;
    if (column->type == DIALECT_GTIN) {
        bool digits = true;
        for (uint32_t i = 0; i < text.length; i++)
            digits = digits && text.bytes[i] >= '0' && text.bytes[i] <= '9';
        *value = text;
        if (number_ruined(text.bytes, text.length))
            return FINDING_CSV_GTIN_RUINED;
        return digits && (n == text.length || (text.length >= 12 && text.length <= 14))
                   ? FINDING_CODES
                   : FINDING_CSV_NOT_GTIN;
    }
    if (column->type == DIALECT_NUMBER) {
        n = (uint32_t)number_clean(text.bytes, text.length, dialect->decimal, dialect->thousands, out);
        if (n == 0)
            return FINDING_CSV_NOT_NUMBER;
    } else if (!date_read(column->pattern, csv->report.profile.pivot, text.bytes, text.length, out)) {
        return FINDING_CSV_NOT_DATE;
    }
    *value = (struct value){.bytes = scratch_take(csv, n), .length = n};
    return FINDING_CODES;
}

static struct value cell_raw(const struct csv *csv, const struct row *row, uint32_t cell) {
    uint32_t first = cell_first(csv, cell);
    uint32_t last = csv->ends[cell] < row->length ? csv->ends[cell] : row->length;
    return (struct value){.bytes = row->bytes + first, .length = last - first};
}

/* The cell as it is handed out. */
static struct value cell_value(struct csv *csv, const struct row *row, uint32_t cell, uint32_t number) {
    const struct dialect *dialect = csv->dialect;
    struct slow_cell slow;
    struct value value = cell_text(csv, row, cell, &slow);
    if (slow.quote_inside != UINT32_MAX) {
        struct place place = csv_place(csv, row, slow.quote_inside, 1, number);
        csv_tell(csv, FINDING_CSV_QUOTE_INSIDE, &place, cell_raw(csv, row, cell), (struct value){0});
    }
    if (slow.text_after != UINT32_MAX) {
        struct place place = csv_place(csv, row, slow.text_after, 1, number);
        csv_tell(csv, FINDING_CSV_TEXT_AFTER_QUOTE, &place, cell_raw(csv, row, cell), (struct value){0});
    }
    if (number <= dialect->column_count && dialect->columns[number - 1].type != DIALECT_TEXT) {
        enum finding_code code = cell_type(csv, &dialect->columns[number - 1], &value);
        struct value raw = cell_raw(csv, row, cell);
        if (code != FINDING_CODES) {
            struct place place = csv_place(csv, row, cell_first(csv, cell), raw.length, number);
            csv_tell(csv, code, &place, raw, csv_text(dialect->columns[number - 1].pattern));
        }
    }
    return value;
}

/* ---- messages ---- */

void csv_message_end(struct csv *csv) {
    if (!csv->message_open)
        return;
    struct document_tail tail = {.length = csv->origin - csv->message_offset,
                                 .segments = csv->segments,
                                 .errors = csv->report.errors[DOCUMENT_MESSAGE] + csv->file_errors};
    csv->report.sink->end(csv->report.sink->context, DOCUMENT_MESSAGE, &tail);
    csv->message_open = false;
}

static void message_begin(struct csv *csv, struct value reference) {
    csv_message_end(csv);
    struct document_head head = {.format = csv_text("CSV"),
                                 .syntax = csv_text(csv->dialect->name),
                                 .name = csv_text(csv->dialect->message_name),
                                 .message_ref = reference,
                                 .offset = csv->origin};
    report_begin(&csv->report, DOCUMENT_MESSAGE);
    csv->report.sink->begin(csv->report.sink->context, DOCUMENT_MESSAGE, &head);
    csv->message_open = true;
    csv->message_offset = csv->origin;
    csv->segments = 0;
}

static uint64_t hash(const uint8_t *bytes, size_t length) {
    uint64_t h = UINT64_C(0x9e3779b97f4a7c15) + length;
    for (; length > 0; length--)
        h = (h ^ *bytes++) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
    return (h ^ h >> 29) | 1; /* 0 is nobody's */
}

/* Whether this key was there; it is remembered. */
static bool seen_before(struct seen *seen, uint64_t key) {
    uint64_t set = key >> 1 & (SEEN_SETS - 1);
    for (uint32_t i = 0; i < SEEN_WAYS; i++) {
        if (seen->keys[set][i] == key)
            return true;
    }
    seen->keys[set][seen->next[set]++ % SEEN_WAYS] = key;
    return false;
}

/* The key of a row, its parts joined; its length, more than CSV_KEY_MAX if it does not fit. */
static uint32_t key_read(struct csv *csv, const struct row *row, uint8_t *key) {
    uint32_t length = 0;
    bool empty = true;
    for (uint32_t i = 0; i < csv->dialect->key_count; i++) {
        uint32_t cell = csv->key_cells[i];
        struct slow_cell slow;
        struct value value = {0};
        if (cell > 0 && cell - 1 < row->count)
            value = cell_text(csv, row, row->first + cell - 1, &slow);
        csv->scratch_used = 0;
        if (length + value.length + 1 > CSV_KEY_MAX)
            return CSV_KEY_MAX + 1;
        if (i > 0)
            key[length++] = '/';
        if (value.length > 0)
            memcpy(key + length, value.bytes, value.length);
        length += value.length;
        empty = empty && value.length == 0;
    }
    return empty ? 0 : length;
}

/* Begins the message that a row with another key belongs to. */
static void key_change(struct csv *csv, const struct row *row, const uint8_t *key, uint32_t length) {
    struct value value = {.bytes = key, .length = length <= CSV_KEY_MAX ? length : 0};
    message_begin(csv, value);
    csv->key_length = value.length;
    memcpy(csv->key, key, value.length);
    struct place place = csv_place(csv, row, 0, row->length, 0);
    if (length > CSV_KEY_MAX)
        csv_tell(csv, FINDING_TOO_LARGE, &place, (struct value){0}, (struct value){0});
    else if (length == 0)
        csv_tell(csv, FINDING_CSV_KEY_EMPTY, &place, (struct value){0}, (struct value){0});
    else if (csv->seen && seen_before(csv->seen, hash(key, length)))
        csv_tell(csv, FINDING_CSV_KEY_AGAIN, &place, value, (struct value){0});
}

static void row_belongs(struct csv *csv, const struct row *row) {
    const struct dialect *dialect = csv->dialect;
    if (dialect->message == DIALECT_ROW) {
        uint8_t number[20];
        uint32_t at = sizeof number;
        for (uint64_t rest = csv->rows; rest > 0; rest /= 10)
            number[--at] = (uint8_t)('0' + rest % 10);
        message_begin(csv, (struct value){.bytes = number + at, .length = (uint32_t)sizeof number - at});
    } else if (dialect->message == DIALECT_FILE) {
        if (!csv->message_open)
            message_begin(csv, (struct value){0});
    } else {
        uint8_t key[CSV_KEY_MAX];
        uint32_t length = key_read(csv, row, key);
        bool same =
            length == csv->key_length && memcmp(key, csv->key, length <= CSV_KEY_MAX ? length : 0) == 0;
        if (!csv->message_open || (length > 0 && !same))
            key_change(csv, row, key, length);
    }
}

/* ---- the header ---- */

static void key_cells_find(struct csv *csv, const struct row *row, bool has_names) {
    const struct dialect *dialect = csv->dialect;
    for (uint32_t i = 0; i < dialect->key_count; i++) {
        const char *name = dialect->keys[i];
        uint32_t number = dialect_column(dialect, name, strlen(name));
        csv->key_cells[i] = 0;
        for (uint32_t cell = 0; cell < row->count; cell++) {
            struct slow_cell slow;
            struct value text = {0};
            if (has_names)
                text = trimmed(cell_text(csv, row, row->first + cell, &slow));
            csv->scratch_used = 0;
            bool named = has_names && text.length > 0 && name_is(name, text.bytes, text.length);
            if (csv->key_cells[i] == 0 && (number ? csv->numbers[cell] == number : named))
                csv->key_cells[i] = cell + 1;
        }
    }
}

/* Cells by the numbers of their columns. */
static void order_set(struct csv *csv, uint32_t count) {
    csv->order_count = 0;
    for (uint32_t cell = 0; cell < count; cell++) {
        if (csv->numbers[cell] == 0)
            continue;
        uint32_t at = csv->order_count++;
        for (; at > 0 && csv->numbers[csv->order[at - 1]] > csv->numbers[cell]; at--)
            csv->order[at] = csv->order[at - 1];
        csv->order[at] = cell;
    }
}

static void columns_missing(struct csv *csv, const struct row *row) {
    const struct dialect *dialect = csv->dialect;
    for (uint32_t number = 1; number <= dialect->column_count; number++) {
        bool found = false;
        for (uint32_t cell = 0; cell < row->count; cell++)
            found = found || csv->numbers[cell] == number;
        if (found || dialect->columns[number - 1].optional)
            continue;
        struct place place = csv_place(csv, row, 0, row->length, number);
        csv_tell(csv, FINDING_CSV_COLUMN_MISSING, &place, (struct value){0},
                 csv_text(dialect->columns[number - 1].name));
    }
}

/* The number of a header's cell; 0: it is left out. */
static uint32_t column_number(struct csv *csv, const struct row *row, uint32_t cell, uint32_t *others) {
    const struct dialect *dialect = csv->dialect;
    struct slow_cell slow;
    struct value name = trimmed(cell_text(csv, row, row->first + cell, &slow));
    struct place place = csv_place(csv, row, cell_first(csv, row->first + cell), name.length, cell + 1);
    csv->scratch_used = 0;
    uint32_t number = name.length ? dialect_column(dialect, (const char *)name.bytes, name.length) : 0;
    for (uint32_t before = 0; number && before < cell; before++) {
        if (csv->numbers[before] == number) {
            csv_tell(csv, FINDING_CSV_COLUMN_TWICE, &place, name, (struct value){0});
            return 0;
        }
    }
    if (number)
        return number;
    if (dialect->open)
        return ++*others;
    csv_tell(csv, FINDING_CSV_COLUMN_UNKNOWN, &place, name, (struct value){0});
    return 0;
}

static void header_take(struct csv *csv, const struct row *row) {
    const struct dialect *dialect = csv->dialect;
    uint32_t others = dialect->column_count;
    csv->width = row->count;
    csv->has_header = true;
    csv->header_hash = hash(row->bytes, row->length);
    for (uint32_t cell = 0; cell < row->count; cell++)
        csv->numbers[cell] = dialect->column_count ? column_number(csv, row, cell, &others) : cell + 1;
    columns_missing(csv, row);
    order_set(csv, row->count);
    key_cells_find(csv, row, true);
}

/* Without a header the first row says how many there are. */
static void header_assume(struct csv *csv, const struct row *row) {
    csv->width = csv->dialect->column_count ? csv->dialect->column_count : row->count;
    csv->has_header = true;
    for (uint32_t cell = 0; cell < csv->width; cell++)
        csv->numbers[cell] = cell + 1;
    order_set(csv, csv->width);
    key_cells_find(csv, row, false);
}

/* ---- rows ---- */

static void row_send(struct csv *csv, const struct row *row) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < csv->order_count; i++) {
        uint32_t cell = csv->order[i], number = csv->numbers[cell];
        if (cell >= row->count)
            continue;
        struct value value = cell_value(csv, row, row->first + cell, number);
        csv->elements[count] = (struct element){.number = number, .first = count, .count = 1};
        csv->components[count] = value;
        count += value.bytes != NULL;
    }
    struct segment segment = {.name = csv_text(csv->dialect->row),
                              .place = csv_place(csv, row, 0, row->length, 0),
                              .elements = csv->elements,
                              .element_count = count,
                              .components = csv->components,
                              .component_count = count,
                              .decimal = csv->dialect->decimal};
    const struct document_sink *sink = csv->report.sink;
    if (csv->dialect->head && csv->segments == 0) {
        segment.name = csv_text(csv->dialect->head);
        sink->segment(sink->context, &segment);
        segment.name = csv_text(csv->dialect->row);
        segment.place.segment = ++csv->segments + 1;
    }
    sink->segment(sink->context, &segment);
    csv->segments++;
    csv->scratch_used = 0;
}

static bool row_is_ragged(struct csv *csv, const struct row *row) {
    if (row->count == csv->width)
        return false;
    char found[16], expected[16];
    snprintf(found, sizeof found, "%u", row->count);
    snprintf(expected, sizeof expected, "%u", csv->width);
    struct place place = csv_place(csv, row, 0, row->length, 0);
    return csv_tell(csv, FINDING_CSV_RAGGED, &place, csv_text(found), csv_text(expected));
}

/* Bytes that are no text of the charset; in one that was transcoded they have become U+FFFD. */
static void charset_judge(struct csv *csv, const struct row *row) {
    uint32_t first = 0, length = row->length;
    if (csv->high && csv->codepage != CODEPAGE_UTF8) {
        const uint8_t *found = memmem(row->bytes, row->length, "\xEF\xBF\xBD", 3);
        if (found == NULL)
            return;
        first = (uint32_t)(found - row->bytes);
        length = 3;
    } else if (!row->foreign) {
        return;
    }
    struct place place = csv_place(csv, row, first, length, 0);
    csv_tell(csv, FINDING_CHARSET_VIOLATED, &place, (struct value){0},
             csv_text(codepage_name(csv->codepage)));
}

/* A row of the table, perhaps its header. */
static void row_take(struct csv *csv, struct row *row) {
    const struct dialect *dialect = csv->dialect;
    csv->rows++;
    if (!csv->has_header && csv->rows < dialect->header)
        return;
    if (csv->high && csv->codepage == CODEPAGE_UTF8 && !utf8_valid(row->bytes, row->length))
        row->foreign = true;
    if (!csv->has_header && dialect->header) {
        header_take(csv, row);
        return;
    }
    if (!csv->has_header)
        header_assume(csv, row);
    if (dialect->header_repeats && hash(row->bytes, row->length) == csv->header_hash)
        return;
    if (csv->resyncs && row->count != csv->width)
        return;
    csv->resyncs = false;
    row_belongs(csv, row);
    struct place place = csv_place(csv, row, 0, row->length, 0);
    bool refused = false;
    charset_judge(csv, row);
    if (csv->too_many_cells || csv->segments >= csv->report.profile.segments_max)
        refused = csv_tell(csv, FINDING_TOO_LARGE, &place, (struct value){0}, (struct value){0});
    if (refused || row_is_ragged(csv, row))
        csv->segments++;
    else
        row_send(csv, row);
}

static bool is_rule(const struct csv *csv, const struct row *row) {
    uint32_t i = 0;
    while (csv->dialect->rule && i < row->length && row->bytes[i] == (uint8_t)csv->dialect->rule)
        i++;
    return i > 0 && i == row->length;
}

/* sep=; in the first line, for spreadsheets. */
static bool is_separator_line(struct csv *csv, const struct row *row) {
    if (!csv->dialect->separator_line || csv->line != 1 || row->length != 5 ||
        memcmp(row->bytes, "sep=", 4) != 0 || row->bytes[4] >= 0x80)
        return false;
    csv->anew = csv->delimiter != (char)row->bytes[4];
    csv->delimiter = (char)row->bytes[4];
    return true;
}

/* The bytes up to the line break (`length`), or up to the end of the file. `raw`: with it. */
void csv_record(struct csv *csv, const uint8_t *bytes, uint32_t length, uint32_t raw) {
    struct row row = {.bytes = bytes, .length = length, .raw = raw, .count = csv->end_count};
    if (csv->dialect->newline == '\n' && length > 0 && bytes[length - 1] == '\r')
        row.length--;
    bool comment = csv->scalar && csv->state == ROW_IS_COMMENT;
    uint32_t lines = 1;
    if (row.length > 0 && !comment && !is_rule(csv, &row) && !is_separator_line(csv, &row)) {
        csv->escaped = csv->scalar;
        if (csv->dialect->bordered && row.count > 2) {
            row.first = 1;
            row.count -= 2;
        }
        row_take(csv, &row);
        for (const uint8_t *at = bytes;
             csv->dialect->quote && (at = memchr(at, csv->dialect->newline, (size_t)(bytes + length - at)));
             at++)
            lines++;
    }
    csv->origin += csv_original_length(csv, bytes, raw);
    csv->line += lines;
}
