#include "codecs/table/fixed_record.h"

#include "codecs/layout/date.h"
#include "codecs/table/number.h"
#include "core/base/check.h"
#include "core/base/topic.h"
#include "core/base/utf8.h"

#include <stdio.h>
#include <string.h>

static struct value text_value(const char *text) {
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
}

bool fixed_tell(struct fixed *fixed, enum finding_code code, const struct place *place, struct value found,
                struct value expected) {
    struct finding finding = {.code = code,
                              .place = *place,
                              .scope = fixed->message_open ? DOCUMENT_MESSAGE : DOCUMENT_INTERCHANGE,
                              .found = found,
                              .expected = expected};
    if (fixed->record)
        finding.segment = text_value(fixed->record->type);
    return report_finding(&fixed->report, &finding) == FINDING_ERROR;
}

/* ---- fields ---- */

static bool blank(uint8_t byte, bool ebcdic) {
    return byte == (ebcdic ? 0x40 : ' ') || byte == 0;
}

/* Without blanks and NULs behind it. */
static uint32_t trimmed_length(const uint8_t *bytes, uint32_t length, bool ebcdic) {
    uint64_t blanks = ebcdic ? WORD_ONES * 0x40 : WORD_ONES * ' ';
    while (length >= 8 && word_load(bytes + length - 8) == blanks)
        length -= 8;
    while (length > 0 && blank(bytes[length - 1], ebcdic))
        length--;
    return length;
}

/* Where bytes of the record stand in the file. */
static struct place place_of(const struct fixed *fixed, const uint8_t *bytes, uint32_t length,
                             uint32_t element) {
    struct place place = fixed->place;
    place.offset += (uint64_t)(bytes - fixed->bytes);
    place.length = length;
    place.element = element;
    return place;
}

static uint8_t *scratch_take(struct fixed *fixed, size_t length) {
    uint8_t *bytes = fixed->scratch + fixed->scratch_used;
    fixed->scratch_used += length;
    CHECK(fixed->scratch_used <= fixed->scratch_room);
    return bytes;
}

/* Text in UTF-8; the bytes themselves where they are. */
static struct value text_read(struct fixed *fixed, const struct layout_field *field, const uint8_t *bytes,
                              uint32_t length) {
    enum codepage codepage = field->codepage;
    size_t bad = SIZE_MAX;
    if (codepage == CODEPAGE_UTF8 && utf8_text(bytes, length))
        return (struct value){.bytes = bytes, .length = length};
    struct place place = place_of(fixed, bytes, length, field->element);
    if (codepage == CODEPAGE_UTF8) {
        fixed_tell(fixed, FINDING_CHARSET_VIOLATED, &place, (struct value){0}, text_value("UTF-8"));
        codepage = CODEPAGE_1252;
    }
    uint8_t *out = fixed->scratch + fixed->scratch_used;
    size_t n = codepage_text(codepage, bytes, length, out, &bad);
    if (bad != SIZE_MAX && field->codepage != CODEPAGE_UTF8)
        fixed_tell(fixed, FINDING_CHARSET_VIOLATED, &place, (struct value){0},
                   text_value(codepage_name(field->codepage)));
    return (struct value){.bytes = scratch_take(fixed, n), .length = (uint32_t)n};
}

static bool all_digits(struct value value) {
    for (uint32_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9')
            return false;
    }
    return true;
}

/* What people write: digits, numbers, dates. */
static struct value written_read(struct fixed *fixed, const struct layout_field *field, struct value text,
                                 enum finding_code *code) {
    uint8_t *out = fixed->scratch + fixed->scratch_used;
    size_t n = 8;
    while (text.length > 0 && text.bytes[0] == ' ') {
        text.bytes++;
        text.length--;
    }
    if (text.length == 0)
        return (struct value){0};
    if (field->type == LAYOUT_DIGITS) {
        *code = all_digits(text) ? FINDING_CODES : FINDING_FIXED_NOT_NUMBER;
        return text;
    }
    if (field->type == LAYOUT_NUMBER) {
        n = number_clean(text.bytes, text.length, fixed->layouts->decimal, 0, out);
        *code = n ? FINDING_CODES : FINDING_FIXED_NOT_NUMBER;
    } else if (!date_read(field->pattern, fixed->report.profile.pivot, text.bytes, text.length, out)) {
        bool zeros = strspn(field->pattern, "dmy") == strlen(field->pattern) && all_digits(text);
        for (uint32_t i = 0; i < text.length; i++)
            zeros = zeros && text.bytes[i] == '0';
        *code = zeros ? FINDING_CODES : FINDING_FIXED_NOT_DATE;
        n = 0;
    }
    return n ? (struct value){.bytes = scratch_take(fixed, n), .length = (uint32_t)n} : (struct value){0};
}

/* One field, or one column of a table's row, at its place. */
static struct value field_read(struct fixed *fixed, const struct layout_field *field, const uint8_t *bytes) {
    bool ebcdic = codepage_ebcdic(field->codepage);
    uint64_t left = (uint64_t)(fixed->bytes + fixed->length - bytes);
    bool numeric = field->type >= LAYOUT_ZONED, cut = left < field->length;
    uint32_t length = cut ? (uint32_t)left : field->length, full = length;
    if (field->type != LAYOUT_PACKED && field->type != LAYOUT_BINARY && !field->keep_blanks)
        length = trimmed_length(bytes, length, ebcdic);
    if (length == 0)
        return (struct value){0};
    enum finding_code code = FINDING_CODES;
    struct value value = {0};
    if (numeric && cut) {
        code = FINDING_FIXED_NOT_NUMBER;
    } else if (numeric) {
        uint8_t *out = fixed->scratch + fixed->scratch_used;
        size_t n = cobol_text(field, bytes, fixed->layouts->decimal, out);
        code = n ? FINDING_CODES : FINDING_FIXED_NOT_NUMBER;
        value = (struct value){.bytes = scratch_take(fixed, n), .length = (uint32_t)n};
    } else {
        value = text_read(fixed, field, bytes, length);
        if (field->type != LAYOUT_TEXT)
            value = written_read(fixed, field, value, &code);
    }
    if (code != FINDING_CODES) {
        struct place place = place_of(fixed, bytes, full, field->element);
        fixed_tell(fixed, code, &place, (struct value){.bytes = bytes, .length = full},
                   text_value(field->pattern));
    }
    return value;
}

static bool test_holds(const struct fixed *fixed, const struct layout_test *test) {
    return test->first + test->length <= fixed->length &&
           memcmp(fixed->bytes + test->first, test->bytes, test->length) == 0;
}

/* What the field that a table depends on says. */
static uint32_t rows_of(struct fixed *fixed, const struct layout_field *field, uint32_t before) {
    uint32_t number = fixed->record->fields[field->depends - 1].element, rows = 0;
    struct value value = {0};
    for (uint32_t i = 0; i < before; i++) {
        if (fixed->elements[i].number == number)
            value = fixed->components[fixed->elements[i].first];
    }
    for (uint32_t i = 0; i < value.length && rows <= field->occurs; i++)
        rows = value.bytes[i] >= '0' && value.bytes[i] <= '9' ? rows * 10 + (uint32_t)(value.bytes[i] - '0')
                                                              : field->occurs + 1;
    if (rows <= field->occurs)
        return rows;
    uint32_t first = field->first < fixed->length ? field->first : fixed->length;
    struct place place = place_of(fixed, fixed->bytes + first, 0, field->element);
    fixed_tell(fixed, FINDING_FIXED_OCCURS, &place, value, (struct value){0});
    return field->occurs;
}

static void element_add(struct fixed *fixed, const struct layout_field *field, uint32_t first) {
    fixed->elements[fixed->element_count++] =
        (struct element){.number = field->element, .first = first, .count = fixed->component_count - first};
}

/* A table's rows become repetitions of one element; how much shorter it is than at its longest. */
static uint32_t table_read(struct fixed *fixed, const struct layout_field *field, uint32_t shift) {
    uint32_t rows = field->depends ? rows_of(fixed, field, fixed->element_count) : field->occurs;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t at = field->first - shift + row * field->stride, first = fixed->component_count;
        bool filled = false;
        for (uint32_t c = 0; c < (field->columns ? field->columns : 1); c++) {
            const struct layout_field *column = field->columns ? field + 1 + c : field;
            uint32_t place = field->columns ? at + column->first : at;
            struct value value = {0};
            if (place < fixed->length)
                value = field_read(fixed, column, fixed->bytes + place);
            fixed->components[fixed->component_count++] = value;
            filled = filled || value.length > 0;
        }
        if (filled || field->depends)
            element_add(fixed, field, first);
        else
            fixed->component_count = first;
    }
    return (field->occurs - rows) * field->stride;
}

static void fields_read(struct fixed *fixed) {
    const struct layout_record *record = fixed->record;
    uint32_t shift = 0, behind = 0; /* what stands behind a table that is not full has moved */
    fixed->element_count = fixed->component_count = 0;
    fixed->scratch_used = 0;
    for (uint32_t i = 0; i < record->field_count; i += 1 + record->fields[i].columns) {
        const struct layout_field *field = &record->fields[i];
        if (field->only.length > 0 && !test_holds(fixed, &field->only))
            continue;
        uint32_t moved = field->first >= behind ? shift : 0;
        if (field->stride > 0) {
            shift += table_read(fixed, field, moved);
            behind = field->first + field->stride * field->occurs;
            continue;
        }
        if (field->first - moved >= fixed->length)
            continue;
        struct value value = field_read(fixed, field, fixed->bytes + field->first - moved);
        if (value.length == 0)
            continue;
        fixed->components[fixed->component_count++] = value;
        element_add(fixed, field, fixed->component_count - 1);
    }
}

/* ---- sums ---- */

/* In billionths. */
static bool amount_read(struct value value, char decimal, __int128 *amount) {
    bool minus = value.length > 0 && value.bytes[0] == '-';
    uint32_t decimals = 0, digits = 0;
    bool behind = false;
    *amount = 0;
    for (uint32_t i = minus; i < value.length; i++) {
        if (value.bytes[i] == (uint8_t)decimal && !behind) {
            behind = true;
        } else if (value.bytes[i] >= '0' && value.bytes[i] <= '9' && digits < 28 && decimals < 9) {
            *amount = *amount * 10 + (value.bytes[i] - '0');
            digits++;
            decimals += behind;
        } else {
            return false;
        }
    }
    for (; decimals < 9; decimals++)
        *amount *= 10;
    *amount = minus ? -*amount : *amount;
    return digits > 0;
}

static struct value element_value(const struct fixed *fixed, uint32_t number) {
    for (uint32_t i = 0; i < fixed->element_count; i++) {
        if (fixed->elements[i].number == number)
            return fixed->components[fixed->elements[i].first];
    }
    return (struct value){0};
}

/* Adds what trailers will ask for. */
static void sums_add(struct fixed *fixed, uint32_t index) {
    const struct layouts *layouts = fixed->layouts;
    fixed->counts[index]++;
    for (uint32_t t = 0; fixed->has_trailer && t < layouts->count; t++) {
        const struct layout_record *trailer = &layouts->records[t];
        for (uint32_t k = 0; k < trailer->sum_count; k++) {
            const struct layout_sum *sum = &trailer->sums[k];
            if (sum->of != index || sum->field == LAYOUT_ALL)
                continue;
            struct fixed_total *total = &fixed->totals[t * LAYOUT_TESTS_MAX + k];
            __int128 amount;
            struct value value = element_value(fixed, layouts->records[index].fields[sum->field].element);
            if (value.length > 0 && !amount_read(value, layouts->decimal, &amount))
                total->unknown = true;
            else if (value.length > 0)
                total->sum += amount;
        }
    }
}

static uint64_t details_counted(const struct fixed *fixed) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < fixed->layouts->count; i++)
        count += fixed->layouts->records[i].role == LAYOUT_DETAIL ? fixed->counts[i] : 0;
    return count;
}

static void trailer_judge(struct fixed *fixed, uint32_t index) {
    const struct layout_record *trailer = fixed->record;
    for (uint32_t k = 0; k < trailer->sum_count; k++) {
        const struct layout_sum *sum = &trailer->sums[k];
        const struct layout_field *field = &trailer->fields[sum->said];
        struct value said = element_value(fixed, field->element);
        uint32_t first = field->first < fixed->length ? field->first : fixed->length;
        uint32_t rest = fixed->length - first;
        struct place place = place_of(fixed, fixed->bytes + first,
                                      field->length < rest ? field->length : rest, field->element);
        const struct fixed_total *total = &fixed->totals[index * LAYOUT_TESTS_MAX + k];
        __int128 amount, counted = total->sum;
        bool counts = sum->field == LAYOUT_ALL;
        if (counts)
            counted = (__int128)(sum->of == LAYOUT_ALL ? details_counted(fixed) : fixed->counts[sum->of]) *
                      1000000000;
        bool same =
            amount_read(said, fixed->layouts->decimal, &amount) && amount == counted && !total->unknown;
        char expected[24];
        snprintf(expected, sizeof expected, "%lld", (long long)(counted / 1000000000));
        if (!same)
            fixed_tell(fixed, counts ? FINDING_FIXED_COUNT_DIFFERS : FINDING_FIXED_TOTAL_DIFFERS, &place,
                       said, counts ? text_value(expected) : (struct value){0});
    }
}

/* ---- messages ---- */

static void branch_close(struct fixed *fixed) {
    const struct fixed_branch *branch = &fixed->branches[--fixed->depth];
    struct document_tail tail = {.length = fixed->offset - branch->offset, .segments = branch->segments};
    fixed->report.sink->end(fixed->report.sink->context, DOCUMENT_AGGREGATE, &tail);
    if (fixed->depth > 0)
        fixed->branches[fixed->depth - 1].segments += branch->segments;
}

static void message_end(struct fixed *fixed) {
    if (!fixed->message_open)
        return;
    while (fixed->depth > 0)
        branch_close(fixed);
    struct document_tail tail = {.length = fixed->offset - fixed->message_offset,
                                 .segments = fixed->segments,
                                 .errors = fixed->report.errors[DOCUMENT_MESSAGE]};
    fixed->report.sink->end(fixed->report.sink->context, DOCUMENT_MESSAGE, &tail);
    fixed->message_open = false;
}

static void message_begin(struct fixed *fixed, struct value reference) {
    const struct layouts *layouts = fixed->layouts;
    uint8_t number[20];
    uint32_t at = sizeof number;
    message_end(fixed);
    for (uint64_t rest = fixed->number; rest > 0; rest /= 10)
        number[--at] = (uint8_t)('0' + rest % 10);
    if (reference.length == 0)
        reference = (struct value){.bytes = number + at, .length = (uint32_t)sizeof number - at};
    struct document_head head = {
        .format = text_value("FIXED"),
        .syntax = text_value(layouts->name ? layouts->name : ""),
        .name = text_value(layouts->message_name ? layouts->message_name : fixed->record->type),
        .message_ref = reference,
        .offset = fixed->offset};
    report_begin(&fixed->report, DOCUMENT_MESSAGE);
    fixed->report.sink->begin(fixed->report.sink->context, DOCUMENT_MESSAGE, &head);
    fixed->message_open = true;
    fixed->messages++;
    fixed->message_offset = fixed->offset;
    fixed->segments = 0;
}

/* The message of records with one key; the fields were read once for it, without a word about them. */
static void key_take(struct fixed *fixed) {
    uint32_t number = layouts_element(fixed->layouts, fixed->record->type, strlen(fixed->record->type),
                                      fixed->layouts->key, strlen(fixed->layouts->key));
    struct value key = {0};
    for (uint32_t i = 0; number && i < fixed->record->field_count; i++) {
        const struct layout_field *field = &fixed->record->fields[i];
        if (field->element == number && field->first < fixed->length) {
            uint32_t length =
                fixed->length - field->first < field->length ? fixed->length - field->first : field->length;
            key = (struct value){.bytes = fixed->bytes + field->first, .length = length};
        }
    }
    if (key.length > FIXED_KEY_MAX)
        key.length = FIXED_KEY_MAX;
    bool same = key.length == fixed->key_length &&
                (key.length == 0 || memcmp(key.bytes, fixed->key, key.length) == 0);
    if (fixed->message_open && (key.length == 0 || same))
        return;
    fixed->key_length = key.length;
    if (key.length > 0)
        memcpy(fixed->key, key.bytes, key.length);
    uint8_t text[FIXED_KEY_MAX * 3];
    size_t bad;
    bool ebcdic = codepage_ebcdic(fixed->layouts->codepage);
    uint32_t length = trimmed_length(key.bytes, key.length, ebcdic);
    struct value reference = {.bytes = key.bytes, .length = length};
    if (fixed->layouts->codepage != CODEPAGE_UTF8 || !utf8_text(key.bytes, length)) {
        enum codepage codepage = fixed->layouts->codepage ? fixed->layouts->codepage : CODEPAGE_1252;
        reference = (struct value){
            .bytes = text, .length = (uint32_t)codepage_text(codepage, key.bytes, length, text, &bad)};
    }
    message_begin(fixed, reference);
}

/* Begins a message where the layout says so; whether there is one for this record. */
static bool message_find(struct fixed *fixed, uint32_t index) {
    const struct layouts *layouts = fixed->layouts;
    bool whole = layouts->message == LAYOUT_FILE;
    if (!whole && fixed->record->role != LAYOUT_DETAIL) {
        message_end(fixed);
        return false;
    }
    bool begins = layouts->message == LAYOUT_EACH || (whole && !fixed->message_open) ||
                  (layouts->message == LAYOUT_FROM && layouts->from == index);
    if (begins)
        message_begin(fixed, (struct value){0});
    else if (layouts->message == LAYOUT_KEY)
        key_take(fixed);
    return fixed->message_open;
}

/* Ends what this record does not lie under. */
static void branches_leave(struct fixed *fixed) {
    uint32_t parent = fixed->record->parent, depth = fixed->depth;
    while (depth > 0 && fixed->branches[depth - 1].record != parent)
        depth--;
    if (parent != LAYOUT_ALL && depth == 0) {
        fixed_tell(fixed, FINDING_FIXED_ORDER, &fixed->place, (struct value){0},
                   text_value(fixed->layouts->records[parent].type));
        return;
    }
    while (fixed->depth > depth)
        branch_close(fixed);
}

static void branch_open(struct fixed *fixed, uint32_t index) {
    if (!fixed->record->has_children || fixed->depth == FIXED_DEPTH_MAX)
        return;
    struct document_head head = {
        .format = text_value("FIXED"), .name = text_value(fixed->record->type), .offset = fixed->offset};
    report_begin(&fixed->report, DOCUMENT_AGGREGATE);
    fixed->report.sink->begin(fixed->report.sink->context, DOCUMENT_AGGREGATE, &head);
    fixed->branches[fixed->depth++] = (struct fixed_branch){.record = index, .offset = fixed->offset};
}

static void segment_send(struct fixed *fixed) {
    struct segment segment = {.name = text_value(fixed->record->type),
                              .place = fixed->place,
                              .elements = fixed->elements,
                              .element_count = fixed->element_count,
                              .components = fixed->components,
                              .component_count = fixed->component_count,
                              .decimal = fixed->layouts->decimal};
    if (fixed->depth > 0)
        fixed->branches[fixed->depth - 1].segments++;
    fixed->report.sink->segment(fixed->report.sink->context, &segment);
}

/* ---- records ---- */

static uint32_t record_find(const struct fixed *fixed) {
    for (uint32_t i = 0; i < fixed->layouts->count; i++) {
        const struct layout_record *record = &fixed->layouts->records[i];
        uint32_t k = 0;
        while (k < record->test_count && test_holds(fixed, &record->tests[k]))
            k++;
        if (k == record->test_count)
            return i;
    }
    return LAYOUT_ALL;
}

static void order_judge(struct fixed *fixed) {
    enum layout_role role = fixed->record->role;
    bool wrong = fixed->trailer_seen || (role == LAYOUT_HEADER && fixed->body_seen);
    fixed->body_seen = fixed->body_seen || role != LAYOUT_HEADER;
    fixed->trailer_seen = fixed->trailer_seen || role == LAYOUT_TRAILER;
    if (wrong)
        fixed_tell(fixed, FINDING_FIXED_ORDER, &fixed->place, (struct value){0}, (struct value){0});
}

static void length_judge(struct fixed *fixed) {
    char found[16], expected[16];
    if (fixed->record->length == 0 || fixed->record->length == fixed->length)
        return;
    snprintf(found, sizeof found, "%u", fixed->length);
    snprintf(expected, sizeof expected, "%u", fixed->record->length);
    fixed_tell(fixed, FINDING_FIXED_RECORD_LENGTH, &fixed->place, text_value(found), text_value(expected));
    if (fixed->length > fixed->record->length)
        fixed->length = fixed->record->length;
}

static void file_open(struct fixed *fixed) {
    if (fixed->file_open)
        return;
    fixed->file_open = true;
    struct document_head head = {.format = text_value("FIXED"),
                                 .syntax = text_value(fixed->layouts->name ? fixed->layouts->name : "")};
    fixed->report.sink->begin(fixed->report.sink->context, DOCUMENT_INTERCHANGE, &head);
}

void fixed_record(struct fixed *fixed, const uint8_t *bytes, uint32_t length) {
    fixed->bytes = bytes;
    fixed->length = length;
    fixed->number++;
    if (fixed->has_trailer)
        file_open(fixed);
    uint32_t index = record_find(fixed);
    fixed->record = index == LAYOUT_ALL ? NULL : &fixed->layouts->records[index];
    if (index == LAYOUT_ALL) {
        if (fixed->layouts->message == LAYOUT_EACH)
            message_end(fixed);
        uint32_t shown = length < FINDING_VALUE_MAX ? length : FINDING_VALUE_MAX;
        fixed->place.segment = fixed->message_open ? fixed->segments + 1 : 0;
        fixed_tell(fixed, FINDING_FIXED_RECORD_UNKNOWN, &fixed->place,
                   (struct value){.bytes = bytes, .length = shown}, (struct value){0});
        return;
    }
    if (fixed->record->role == LAYOUT_IGNORED)
        return;
    bool inside = message_find(fixed, index);
    bool full = fixed->segments >= fixed->report.profile.segments_max;
    fixed->place.segment = inside ? ++fixed->segments : 0;
    order_judge(fixed);
    length_judge(fixed);
    if (inside && full) {
        fixed_tell(fixed, FINDING_TOO_LARGE, &fixed->place, (struct value){0}, (struct value){0});
        return;
    }
    if (inside)
        branches_leave(fixed);
    else if (fixed->record->role == LAYOUT_DETAIL)
        fixed_tell(fixed, FINDING_FIXED_ORDER, &fixed->place, (struct value){0}, (struct value){0});
    fields_read(fixed);
    if (fixed->record->role == LAYOUT_TRAILER)
        trailer_judge(fixed, index);
    sums_add(fixed, index);
    if (!inside)
        return;
    branch_open(fixed, index);
    segment_send(fixed);
}

/* ---- files ---- */

void fixed_file_begin(struct fixed *fixed) {
    const struct layouts *layouts = fixed->layouts;
    fixed->file_open = fixed->trailer_seen = fixed->body_seen = false;
    fixed->has_trailer = false;
    for (uint32_t i = 0; i < layouts->count; i++)
        fixed->has_trailer = fixed->has_trailer || layouts->records[i].role == LAYOUT_TRAILER;
    fixed->number = 0;
    fixed->messages = fixed->key_length = 0;
    fixed->record = NULL;
    memset(fixed->counts, 0, layouts->count * sizeof *fixed->counts);
    memset(fixed->totals, 0, layouts->count * LAYOUT_TESTS_MAX * sizeof *fixed->totals);
    report_begin(&fixed->report, DOCUMENT_INTERCHANGE);
}

void fixed_file_end(struct fixed *fixed) {
    message_end(fixed);
    fixed->record = NULL;
    struct place place = {.offset = fixed->offset};
    if (fixed->has_trailer && !fixed->trailer_seen)
        fixed_tell(fixed, FINDING_FIXED_TRAILER_MISSING, &place, (struct value){0}, (struct value){0});
    if (!fixed->file_open)
        return;
    struct document_tail tail = {.length = fixed->offset,
                                 .messages = fixed->messages,
                                 .errors = fixed->report.errors[DOCUMENT_INTERCHANGE]};
    fixed->report.sink->end(fixed->report.sink->context, DOCUMENT_INTERCHANGE, &tail);
}
