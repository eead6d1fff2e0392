#include "codecs/table/fixed_record.h"

#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

static void record_take(struct fixed *fixed, const uint8_t *bytes, uint32_t length, uint64_t raw) {
    fixed->place = (struct place){.offset = fixed->offset + fixed->prefix,
                                  .length = length,
                                  .line = fixed->layouts->framing == LAYOUT_LINES ? fixed->line : 0};
    if (fixed->skipped < fixed->layouts->skip)
        fixed->skipped++;
    else if (length > 0 || fixed->layouts->framing != LAYOUT_LINES)
        fixed_record(fixed, bytes, length);
    fixed->offset += raw;
    fixed->line++;
}

/* ---- lines ---- */

static void carry(struct fixed *fixed, const uint8_t *bytes, size_t length) {
    size_t room = LAYOUT_BYTES_MAX - fixed->carried, fits = length < room ? length : room;
    memcpy(fixed->carry + fixed->carried, bytes, fits);
    fixed->carried += (uint32_t)fits;
    fixed->lost += length - fits;
}

static void line_take(struct fixed *fixed, const uint8_t *bytes, size_t length, uint32_t ending) {
    uint64_t raw = length + fixed->lost + ending;
    if (fixed->lost > 0 || length > LAYOUT_BYTES_MAX) {
        struct place place = {.offset = fixed->offset, .line = fixed->line};
        fixed_tell(fixed, FINDING_TOO_LARGE, &place, (struct value){0}, (struct value){0});
        fixed->offset += raw;
        fixed->line++;
    } else {
        bool returns = length > 0 && fixed->newline == '\n' && bytes[length - 1] == '\r';
        record_take(fixed, bytes, (uint32_t)length - returns, raw);
    }
    fixed->lost = 0;
    fixed->carried = 0;
}

static void lines_take(struct fixed *fixed, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        const uint8_t *end = memchr(bytes, fixed->newline, length);
        size_t part = end ? (size_t)(end - bytes) : length;
        if (end == NULL || fixed->carried > 0)
            carry(fixed, bytes, part);
        if (end == NULL)
            return;
        if (fixed->carried > 0)
            line_take(fixed, fixed->carry, fixed->carried, 1);
        else
            line_take(fixed, bytes, part, 1);
        bytes += part + 1;
        length -= part + 1;
    }
}

/* ---- lengths ---- */

/* The length in front of a record or a block, itself not counted; 0: there is none that is right. */
static uint32_t prefix_read(const struct fixed *fixed, const uint8_t *prefix) {
    bool little = fixed->layouts->little_endian;
    uint32_t length =
        little ? (uint32_t)(prefix[0] | prefix[1] << 8) : (uint32_t)(prefix[0] << 8 | prefix[1]);
    bool zeros = prefix[2] == 0 && prefix[3] == 0;
    return length > 4 && zeros ? length - 4 : 0;
}

/* Nothing behind this can be read. */
static void give_up(struct fixed *fixed) {
    struct place place = {.offset = fixed->offset, .length = 4};
    fixed_tell(fixed, FINDING_FIXED_LENGTH_PREFIX, &place, (struct value){0}, (struct value){0});
    fixed->given_up = true;
}

/* A block's length, or that of a record. Whether the bytes of a record follow. */
static bool prefix_take(struct fixed *fixed, const uint8_t *prefix) {
    bool block = fixed->layouts->framing == LAYOUT_BDW && fixed->block == 0;
    uint32_t length = prefix_read(fixed, prefix);
    bool outside = fixed->layouts->framing == LAYOUT_BDW && !block && length + 4 > fixed->block;
    if (length == 0 || outside) {
        give_up(fixed);
        return false;
    }
    if (block) {
        fixed->block = length;
        fixed->offset += 4;
        return false;
    }
    if (fixed->layouts->framing == LAYOUT_BDW)
        fixed->block -= length + 4;
    fixed->wanted = length;
    fixed->prefix = 4;
    return true;
}

/* How many bytes the next piece has: a length, or a record. */
static uint32_t piece_length(const struct fixed *fixed) {
    if (fixed->layouts->framing == LAYOUT_LENGTH)
        return fixed->layouts->length;
    return fixed->wanted ? fixed->wanted : 4;
}

static void piece_take(struct fixed *fixed, const uint8_t *bytes) {
    if (fixed->layouts->framing == LAYOUT_LENGTH) {
        record_take(fixed, bytes, fixed->layouts->length, fixed->layouts->length);
    } else if (fixed->wanted == 0) {
        prefix_take(fixed, bytes);
    } else {
        record_take(fixed, bytes, fixed->wanted, fixed->wanted + 4);
        fixed->wanted = 0;
        fixed->prefix = 0;
    }
}

static void pieces_take(struct fixed *fixed, const uint8_t *bytes, size_t length) {
    while (length > 0 && !fixed->given_up) {
        uint32_t whole = piece_length(fixed);
        if (fixed->carried == 0 && length >= whole) {
            piece_take(fixed, bytes);
            bytes += whole;
            length -= whole;
            continue;
        }
        size_t wanted = whole - fixed->carried, part = length < wanted ? length : wanted;
        carry(fixed, bytes, part);
        bytes += part;
        length -= part;
        if (fixed->carried == whole) {
            fixed->carried = 0;
            piece_take(fixed, fixed->carry);
        }
    }
}

/* ---- files ---- */

void fixed_feed(struct fixed *fixed, const uint8_t *bytes, size_t length) {
    if (fixed->layouts->framing == LAYOUT_LINES)
        lines_take(fixed, bytes, length);
    else
        pieces_take(fixed, bytes, length);
}

static void file_begin(struct fixed *fixed) {
    fixed->carried = fixed->block = fixed->wanted = fixed->prefix = fixed->skipped = 0;
    fixed->lost = fixed->offset = 0;
    fixed->line = 1;
    fixed->given_up = false;
    fixed_file_begin(fixed);
}

/* What is left of a record. The last blanks of a last line may be gone, not those of a record of one length.
 */
static void rest_take(struct fixed *fixed) {
    uint32_t rest = fixed->carried;
    if (rest == 0 && fixed->wanted == 0 && fixed->block == 0)
        return;
    if (fixed->layouts->framing == LAYOUT_LINES) {
        line_take(fixed, fixed->carry, rest, 0);
        return;
    }
    fixed->place = (struct place){.offset = fixed->offset, .length = rest};
    fixed_tell(fixed, FINDING_TRUNCATED, &fixed->place, (struct value){0}, (struct value){0});
    fixed->offset += rest + fixed->prefix;
}

void fixed_end(struct fixed *fixed) {
    if (!fixed->given_up)
        rest_take(fixed);
    fixed_file_end(fixed);
    file_begin(fixed);
}

/* ---- life ---- */

/* Room for the values of the largest record. */
static void room_count(const struct layout_record *record, uint32_t *values, size_t *bytes) {
    size_t sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct layout_field *field = &record->fields[i];
        uint32_t columns = field->columns, occurs = field->occurs;
        for (uint32_t c = 0; c < (columns ? columns : 1); c++) {
            const struct layout_field *column = columns ? &record->fields[i + 1 + c] : field;
            sum += occurs * (4 * (size_t)column->length + COBOL_TEXT_MAX); /* text trebles, then is read */
            count += occurs;
        }
        i += columns;
    }
    *values = count > *values ? count : *values;
    *bytes = sum > *bytes ? sum : *bytes;
}

static bool key_known(const struct layouts *layouts) {
    bool known = layouts->message != LAYOUT_KEY;
    for (uint32_t i = 0; i < layouts->count; i++)
        known = known || layouts_element(layouts, layouts->records[i].type, strlen(layouts->records[i].type),
                                         layouts->key, strlen(layouts->key)) > 0;
    return known;
}

struct fixed *fixed_new(const struct layouts *layouts, const struct profile *profile,
                        const struct document_sink *sink) {
    uint32_t records = layouts->count;
    if (records == 0 || !key_known(layouts))
        return NULL;
    struct fixed *fixed = calloc(1, sizeof *fixed);
    if (fixed == NULL)
        return NULL;
    fixed->layouts = layouts;
    fixed->newline = codepage_ebcdic(layouts->codepage) ? 0x15 : '\n';
    report_init(&fixed->report, sink, profile);
    uint32_t values = 1;
    for (uint32_t i = 0; i < layouts->count; i++)
        room_count(&layouts->records[i], &values, &fixed->scratch_room);
    fixed->values_room = values;
    fixed->carry = malloc(LAYOUT_BYTES_MAX);
    fixed->scratch = malloc(fixed->scratch_room + 1);
    fixed->elements = calloc(values, sizeof *fixed->elements);
    fixed->components = calloc(values, sizeof *fixed->components);
    fixed->counts = calloc(records, sizeof *fixed->counts);
    fixed->totals = calloc(records * (size_t)LAYOUT_TESTS_MAX, sizeof *fixed->totals);
    if (!fixed->carry || !fixed->scratch || !fixed->elements || !fixed->components || !fixed->counts ||
        !fixed->totals) {
        fixed_free(fixed);
        return NULL;
    }
    file_begin(fixed);
    return fixed;
}

void fixed_free(struct fixed *fixed) {
    if (fixed == NULL)
        return;
    free(fixed->carry);
    free(fixed->scratch);
    free(fixed->elements);
    free(fixed->components);
    free(fixed->counts);
    free(fixed->totals);
    free(fixed);
}
