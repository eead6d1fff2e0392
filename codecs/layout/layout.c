#include "codecs/layout/layout.h"

#include "codecs/layout/date.h"
#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One file while it is read. */
struct file {
    struct layouts *layouts;
    struct words words;
    struct layout_error *error;
    uint32_t record;        /* that is being described; LAYOUT_ALL: none yet */
    uint32_t table;         /* index of the field whose columns come; LAYOUT_ALL: none */
    uint32_t behind;        /* where a field at + begins */
    const char *from, *key; /* of `message` */
};

static int out_of_memory(struct layout_error *error) {
    *error = (struct layout_error){.text = "out of memory"};
    return -ENOMEM;
}

uint32_t layouts_record(const struct layouts *layouts, const char *name, size_t length) {
    for (uint32_t i = 0; i < layouts->count; i++) {
        if (name_is(layouts->records[i].name, name, length))
            return i;
    }
    return LAYOUT_ALL;
}

static uint32_t field_named(const struct layout_record *record, const char *name, size_t length) {
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (name_is(record->fields[i].name, name, length))
            return i;
    }
    return LAYOUT_ALL;
}

/* The columns of a table are components of its element, and are not found. */
uint32_t layouts_element(const struct layouts *layouts, const char *type, size_t type_length,
                         const char *field, size_t field_length) {
    for (uint32_t i = 0; i < layouts->count; i++) {
        const struct layout_record *record = &layouts->records[i];
        if (!name_is(record->type, type, type_length))
            continue;
        uint32_t found = field_named(record, field, field_length);
        if (found != LAYOUT_ALL)
            return record->fields[found].element;
    }
    return 0;
}

uint32_t layouts_number(void *layouts, const char *segment, const char *field) {
    return layouts_element(layouts, segment, strlen(segment), field, strlen(field));
}

static uint32_t elements_of_type(const struct layouts *layouts, const char *type) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < layouts->count; i++) {
        const struct layout_record *record = &layouts->records[i];
        for (uint32_t k = 0; strcmp(record->type, type) == 0 && k < record->field_count; k++) {
            if (record->fields[k].element > most)
                most = record->fields[k].element;
        }
    }
    return most;
}

/* ---- what stands on more than one kind of line ---- */

/* FIRST LENGTH "BYTES" at word i. */
static int test_read(struct file *file, uint32_t i, struct layout_test *test) {
    const struct words *words = &file->words;
    const struct word *literal = &words->word[i + 2];
    if (!word_number(words, i, LAYOUT_BYTES_MAX, &test->first) || test->first == 0 ||
        !word_number(words, i + 1, LAYOUT_BYTES_MAX, &test->length) || i + 2 >= words->count)
        return words_wrong(words, file->error,
                           "expected the first byte from 1, the length, and what stands there");
    if (literal->length != test->length || test->length == 0)
        return words_wrong(words, file->error, "\"%s\" has not the length that stands before it",
                           literal->text);
    test->first--;
    test->bytes = (const uint8_t *)literal->text;
    for (uint32_t k = 0; k < literal->length; k++) {
        if ((uint8_t)literal->text[k] < 0x80)
            literal->text[k] = (char)codepage_byte(file->layouts->codepage, literal->text[k]);
    }
    return 0;
}

static int codepage_read(struct file *file, uint32_t i, enum codepage *codepage) {
    if (i < file->words.count)
        *codepage = codepage_named(file->words.word[i].text);
    if (i >= file->words.count || *codepage >= CODEPAGE_UTF16LE)
        return words_wrong(&file->words, file->error, "expected a charset of one byte, or utf-8");
    return 0;
}

/* ---- lines about the file ---- */

static int charset_line(struct file *file) {
    return codepage_read(file, 1, &file->layouts->codepage);
}

static int layout_line(struct file *file) {
    if (file->words.count != 2)
        return words_wrong(&file->words, file->error, "expected one name");
    file->layouts->name = file->words.word[1].text;
    return 0;
}

static int file_line(struct file *file) {
    struct words *words = &file->words;
    struct layouts *layouts = file->layouts;
    if (word_is(words, 1, "lines") && words->count == 2)
        layouts->framing = LAYOUT_LINES;
    else if (word_is(words, 1, "length") && word_number(words, 2, LAYOUT_BYTES_MAX, &layouts->length) &&
             layouts->length > 0 && words->count == 3)
        layouts->framing = LAYOUT_LENGTH;
    else if (word_is(words, 1, "rdw") || word_is(words, 1, "bdw"))
        layouts->framing = word_is(words, 1, "rdw") ? LAYOUT_RDW : LAYOUT_BDW;
    else
        return words_wrong(words, file->error, "expected lines, length N, rdw or bdw");
    layouts->little_endian = word_is(words, 2, "little");
    return 0;
}

static int decimal_line(struct file *file) {
    if (!word_is(&file->words, 1, ".") && !word_is(&file->words, 1, ","))
        return words_wrong(&file->words, file->error, "the decimal mark is . or ,");
    file->layouts->decimal = file->words.word[1].text[0];
    return 0;
}

static int skip_line(struct file *file) {
    if (!word_number(&file->words, 1, 1000, &file->layouts->skip))
        return words_wrong(&file->words, file->error, "expected a number of records up to 1000");
    return 0;
}

/* message NAME each | file | from RECORD | key FIELD */
static int message_line(struct file *file) {
    struct words *words = &file->words;
    struct layouts *layouts = file->layouts;
    if (word_is(words, 2, "each") && words->count == 3)
        layouts->message = LAYOUT_EACH;
    else if (word_is(words, 2, "file") && words->count == 3)
        layouts->message = LAYOUT_FILE;
    else if (word_is(words, 2, "from") && words->count == 4)
        layouts->message = LAYOUT_FROM, file->from = words->word[3].text;
    else if (word_is(words, 2, "key") && words->count == 4)
        layouts->message = LAYOUT_KEY, file->key = words->word[3].text;
    else
        return words_wrong(words, file->error, "expected a name, then each, file, from RECORD or key FIELD");
    layouts->message_name = words->word[1].text;
    return 0;
}

/* ---- records ---- */

static int record_room(struct file *file, const char *name, uint32_t *index) {
    struct layouts *layouts = file->layouts;
    *index = layouts_record(layouts, name, strlen(name));
    if (*index != LAYOUT_ALL) {
        free(layouts->records[*index].fields);
        return 0;
    }
    if (layouts->count == LAYOUT_RECORDS_MAX)
        return words_wrong(&file->words, file->error, "more than %u records", LAYOUT_RECORDS_MAX);
    if (layouts->count == layouts->room) {
        uint32_t room = layouts->room ? layouts->room * 2 : 64;
        struct layout_record *records = realloc(layouts->records, room * sizeof *records);
        if (records == NULL)
            return out_of_memory(file->error);
        layouts->records = records;
        layouts->room = room;
    }
    *index = layouts->count++;
    return 0;
}

static const struct {
    const char *name;
    enum layout_role role;
} roles[] = {{"header", LAYOUT_HEADER}, {"trailer", LAYOUT_TRAILER}, {"ignored", LAYOUT_IGNORED}};

/* One word behind a record's names, or several; `i` goes behind them. */
static int record_option(struct file *file, struct layout_record *record, uint32_t *i) {
    struct words *words = &file->words;
    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++) {
        if (word_is(words, *i, roles[k].name)) {
            record->role = roles[k].role;
            *i += 1;
            return 0;
        }
    }
    if (word_is(words, *i, "length") && word_number(words, *i + 1, LAYOUT_BYTES_MAX, &record->length)) {
        *i += 2;
        return 0;
    }
    if (word_is(words, *i, "when") && record->test_count < LAYOUT_TESTS_MAX) {
        *i += 4;
        return test_read(file, *i - 3, &record->tests[record->test_count++]);
    }
    if (word_is(words, *i, "under") && *i + 1 < words->count) {
        const struct word *parent = &words->word[*i + 1];
        record->parent = layouts_record(file->layouts, parent->text, parent->length);
        *i += 2;
        if (record->parent < file->layouts->count)
            return 0;
        return words_wrong(words, file->error, "there is no record %.40s before this one", parent->text);
    }
    return words_wrong(words, file->error, "%.40s has no place in a record's line", words->word[*i].text);
}

/* record NAME [TYPE] [length N] [header|trailer|ignored] [under RECORD] [when FIRST LENGTH "BYTES"]... */
static int record_line(struct file *file) {
    struct words *words = &file->words;
    if (words->count < 2)
        return words_wrong(words, file->error, "expected a record's name");
    struct layout_record record = {
        .name = words->word[1].text, .type = words->word[1].text, .parent = LAYOUT_ALL};
    static const char *const keywords[] = {"length", "header", "trailer", "ignored", "under", "when"};
    uint32_t i = 2;
    bool named = words->count > 2;
    for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++)
        named = named && !word_is(words, 2, keywords[k]);
    if (named)
        record.type = words->word[i++].text;
    while (i < words->count) {
        int result = record_option(file, &record, &i);
        if (result < 0)
            return result;
    }
    int result = record_room(file, record.name, &file->record);
    if (result < 0)
        return result;
    file->layouts->records[file->record] = record;
    if (record.parent != LAYOUT_ALL)
        file->layouts->records[record.parent].has_children = true;
    file->table = LAYOUT_ALL;
    file->behind = 0;
    return 0;
}

/* ---- fields ---- */

/* X | N | D PATTERN | 9[Vn] | S9[Vn] */
static int type_read(struct file *file, uint32_t *i, struct layout_field *field) {
    struct words *words = &file->words;
    if (*i >= words->count || (*words->word[*i].text >= 'a' && *words->word[*i].text <= 'z'))
        return 0; /* an option, which begins with a small letter: it is text */
    const char *type = words->word[*i].text;
    *i += 1;
    if (strcmp(type, "X") == 0 || strcmp(type, "N") == 0) {
        field->type = *type == 'X' ? LAYOUT_TEXT : LAYOUT_NUMBER;
        return 0;
    }
    if (strcmp(type, "D") == 0 && *i < words->count && words->word[*i].length < sizeof field->pattern) {
        field->type = LAYOUT_DATE;
        memcpy(field->pattern, words->word[*i].text, words->word[*i].length);
        *i += 1;
        return 0;
    }
    if (*type == 'S') {
        field->is_signed = true;
        type++;
    }
    uint32_t scale = 0;
    for (const char *c = type + 2; *type == '9' && type[1] == 'V' && *c >= '0' && *c <= '9' && scale < 100;
         c++)
        scale = scale * 10 + (uint32_t)(*c - '0');
    bool whole = type[0] == '9' && type[1] == 0;
    if (!whole && (scale == 0 || scale > 18))
        return words_wrong(words, file->error, "a type is X, 9, N, S9, 9Vn, S9Vn or D with a pattern");
    field->scale = (uint8_t)scale;
    field->type = whole && !field->is_signed ? LAYOUT_DIGITS : LAYOUT_ZONED;
    return 0;
}

static bool usage_read(const struct words *words, uint32_t i, struct layout_field *field) {
    static const struct {
        const char *name;
        size_t flag;
    } flags[] = {{"leading", offsetof(struct layout_field, sign_leading)},
                 {"separate", offsetof(struct layout_field, sign_separate)},
                 {"blanks", offsetof(struct layout_field, keep_blanks)}};
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        if (word_is(words, i, flags[k].name)) {
            *(bool *)((char *)field + flags[k].flag) = true;
            return true;
        }
    }
    if (word_is(words, i, "comp-3"))
        field->type = LAYOUT_PACKED;
    else if (word_is(words, i, "comp") || word_is(words, i, "comp-le"))
        field->type = LAYOUT_BINARY;
    else
        return false;
    field->little_endian = word_is(words, i, "comp-le");
    return true;
}

static int occurs_read(struct file *file, uint32_t *i, struct layout_field *field) {
    struct words *words = &file->words;
    const struct layout_record *record = &file->layouts->records[file->record];
    if (!word_number(words, *i + 1, LAYOUT_OCCURS_MAX, &field->occurs) || field->occurs == 0)
        return words_wrong(words, file->error, "expected how often at most, up to %u", LAYOUT_OCCURS_MAX);
    field->stride = field->length;
    *i += 2;
    if (!word_is(words, *i, "depends") || *i + 1 >= words->count)
        return 0;
    const struct word *on = &words->word[*i + 1];
    *i += 2;
    uint32_t index = field_named(record, on->text, on->length);
    if (index == LAYOUT_ALL || record->fields[index].occurs > 1 || record->fields[index].type == LAYOUT_TEXT)
        return words_wrong(words, file->error, "%.40s is no number before this one in the record", on->text);
    field->depends = 1 + index;
    return 0;
}

static int field_option(struct file *file, uint32_t *i, struct layout_field *field) {
    struct words *words = &file->words;
    if (usage_read(words, *i, field)) {
        *i += 1;
        return 0;
    }
    if (word_is(words, *i, "occurs") && file->table == LAYOUT_ALL)
        return occurs_read(file, i, field);
    if (word_is(words, *i, "charset")) {
        *i += 2;
        return codepage_read(file, *i - 1, &field->codepage);
    }
    if (word_is(words, *i, "if")) {
        *i += 4;
        return test_read(file, *i - 3, &field->only);
    }
    return words_wrong(words, file->error, "%.40s has no place in a field's line", words->word[*i].text);
}

/* What does not go together. */
static int field_judge(struct file *file, const struct layout_field *field) {
    const struct words *words = &file->words;
    if (field->first + (uint64_t)field->length * field->occurs > LAYOUT_BYTES_MAX)
        return words_wrong(words, file->error, "this ends behind byte %u", LAYOUT_BYTES_MAX);
    if (field->type == LAYOUT_BINARY && field->length != 1 && field->length != 2 && field->length != 4 &&
        field->length != 8)
        return words_wrong(words, file->error, "a binary number has 1, 2, 4 or 8 bytes");
    uint32_t digits = field->type == LAYOUT_PACKED ? 2 * field->length - 1 : field->length;
    if (field->type != LAYOUT_TEXT && field->type != LAYOUT_DATE && digits > LAYOUT_DIGITS_MAX)
        return words_wrong(words, file->error, "a number has at most %u digits", LAYOUT_DIGITS_MAX);
    if (field->type == LAYOUT_DATE && !date_pattern(field->pattern))
        return words_wrong(words, file->error, "a date's pattern is made of d, m, y, and . - / or blanks");
    return 0;
}

/* FIRST LENGTH at words 2 and 3. */
static int field_place(struct file *file, struct layout_field *field) {
    struct words *words = &file->words;
    bool next = word_is(words, 2, "+");
    if (next)
        field->first = file->behind + 1;
    else if (!word_number(words, 2, LAYOUT_BYTES_MAX, &field->first) || field->first == 0)
        return words_wrong(words, file->error, "expected the first byte, counted from 1, or +");
    if (!word_number(words, 3, LAYOUT_BYTES_MAX, &field->length) || field->length == 0)
        return words_wrong(words, file->error, "expected a length in bytes");
    field->first--;
    return 0;
}

/* The number that this field has in other versions of the segment, or the next one. */
static uint32_t element_number(struct file *file, const char *name) {
    const struct layout_record *record = &file->layouts->records[file->record];
    uint32_t found = layouts_element(file->layouts, record->type, strlen(record->type), name, strlen(name));
    return found ? found : elements_of_type(file->layouts, record->type) + 1;
}

/* How much there is to hand out of a record; for `rows` of a field. */
static int values_add(struct file *file, const struct layout_field *field, uint32_t rows) {
    struct layout_record *record = &file->layouts->records[file->record];
    record->values += rows;
    record->value_bytes += rows * field->length;
    if (record->values > LAYOUT_VALUES_MAX || record->value_bytes > LAYOUT_VALUE_BYTES_MAX)
        return words_wrong(&file->words, file->error, "a record has at most %u values and %u bytes of them",
                           LAYOUT_VALUES_MAX, LAYOUT_VALUE_BYTES_MAX);
    return 0;
}

/* Keeps them ascending by element: a version of a segment may stand in another order. */
static int field_add(struct file *file, const struct layout_field *field) {
    struct layout_record *record = &file->layouts->records[file->record];
    if (record->field_count == LAYOUT_FIELDS_MAX)
        return words_wrong(&file->words, file->error, "more than %u fields in a record", LAYOUT_FIELDS_MAX);
    if (record->field_count % 16 == 0) {
        struct layout_field *fields = realloc(record->fields, (record->field_count + 16) * sizeof *fields);
        if (fields == NULL)
            return out_of_memory(file->error);
        record->fields = fields;
    }
    uint32_t at = record->field_count++;
    for (; at > 0 && record->fields[at - 1].element > field->element; at--) {
        if (record->fields[at - 1].occurs > 1 || record->fields[at - 1].columns || field->stride ||
            file->table != LAYOUT_ALL)
            return words_wrong(&file->words, file->error, "records of one type with tables have one order");
        record->fields[at] = record->fields[at - 1];
    }
    record->fields[at] = *field;
    return 0;
}

static int field_options(struct file *file, uint32_t i, struct layout_field *field) {
    while (i < file->words.count) {
        int result = field_option(file, &i, field);
        if (result < 0)
            return result;
    }
    return field_judge(file, field);
}

static int field_begin(struct file *file, struct layout_field *field) {
    if (file->record == LAYOUT_ALL || file->words.count < 4) {
        (void)words_wrong(&file->words, file->error,
                          "expected a name, the first byte and a length, in a record");
        return -EINVAL;
    }
    *field = (struct layout_field){
        .name = file->words.word[1].text, .codepage = file->layouts->codepage, .occurs = 1};
    return field_place(file, field);
}

/* field NAME FIRST LENGTH [TYPE] [options] */
static int field_line(struct file *file) {
    struct layout_field field = {0};
    uint32_t i = 4;
    file->behind = file->table == LAYOUT_ALL ? file->behind : 0;
    if (file->table != LAYOUT_ALL) {
        const struct layout_field *table = &file->layouts->records[file->record].fields[file->table];
        file->behind = table->first + table->length * table->occurs;
    }
    file->table = LAYOUT_ALL;
    int result = field_begin(file, &field);
    if (result == 0)
        result = type_read(file, &i, &field);
    if (result == 0)
        result = field_options(file, i, &field);
    if (result < 0)
        return result;
    struct layout_record *record = &file->layouts->records[file->record];
    if (field_named(record, field.name, strlen(field.name)) != LAYOUT_ALL)
        return words_wrong(&file->words, file->error, "the record has a field %.40s", field.name);
    file->behind = field.first + field.length * field.occurs;
    field.element = element_number(file, field.name);
    result = values_add(file, &field, field.occurs);
    return result < 0 ? result : field_add(file, &field);
}

/* table NAME FIRST LENGTH occurs N [depends FIELD] [if ...]; then its columns */
static int table_line(struct file *file) {
    struct layout_field field = {0};
    file->table = LAYOUT_ALL;
    int result = field_begin(file, &field);
    if (result == 0)
        result = field_options(file, 4, &field);
    if (result < 0)
        return result;
    if (field.stride == 0)
        return words_wrong(&file->words, file->error, "a table says how often its columns occur");
    field.element = element_number(file, field.name);
    result = field_add(file, &field);
    file->table = file->layouts->records[file->record].field_count - 1;
    file->behind = 0;
    return result;
}

/* column NAME FIRST LENGTH [TYPE] [options] */
static int column_line(struct file *file) {
    struct layout_field field = {0};
    uint32_t i = 4;
    if (file->table == LAYOUT_ALL)
        return words_wrong(&file->words, file->error, "a column stands behind its table");
    int result = field_begin(file, &field);
    if (result == 0)
        result = type_read(file, &i, &field);
    if (result == 0)
        result = field_options(file, i, &field);
    if (result < 0)
        return result;
    struct layout_field *table = &file->layouts->records[file->record].fields[file->table];
    if (field.first + field.length > table->length)
        return words_wrong(&file->words, file->error, "the column ends behind its table's row");
    field.element = table->element;
    table->columns++;
    file->behind = field.first + field.length;
    result = values_add(file, &field, table->occurs);
    return result < 0 ? result : field_add(file, &field);
}

/* filler LENGTH: what + passes over */
static int filler_line(struct file *file) {
    uint32_t length;
    if (!word_number(&file->words, 1, LAYOUT_BYTES_MAX, &length))
        return words_wrong(&file->words, file->error, "expected a length in bytes");
    file->behind += length;
    return 0;
}

/* count FIELD [RECORD] | total FIELD RECORD FIELD */
static int sum_line(struct file *file) {
    struct words *words = &file->words;
    if (file->record == LAYOUT_ALL || words->count < 2)
        return words_wrong(words, file->error, "this stands in a trailer");
    struct layout_record *record = &file->layouts->records[file->record];
    struct layout_sum sum = {.of = LAYOUT_ALL, .field = LAYOUT_ALL};
    sum.said = field_named(record, words->word[1].text, words->word[1].length);
    if (words->count > 2)
        sum.of = layouts_record(file->layouts, words->word[2].text, words->word[2].length);
    bool wrong = sum.said == LAYOUT_ALL || (words->count > 2 && sum.of == LAYOUT_ALL);
    if (word_is(words, 0, "total") && !wrong) {
        wrong = words->count != 4;
        if (!wrong)
            sum.field =
                field_named(&file->layouts->records[sum.of], words->word[3].text, words->word[3].length);
        wrong = wrong || sum.field == LAYOUT_ALL;
    }
    if (wrong)
        return words_wrong(words, file->error, "there is no such field or record before this line");
    if (record->sum_count == LAYOUT_TESTS_MAX)
        return words_wrong(words, file->error, "a trailer has at most %u sums", LAYOUT_TESTS_MAX);
    record->sums[record->sum_count++] = sum;
    return 0;
}

/* also NAME...: other records with the fields of this one */
static int also_line(struct file *file) {
    struct words *words = &file->words;
    if (file->record == LAYOUT_ALL)
        return words_wrong(words, file->error, "this stands behind the fields of a record");
    for (uint32_t i = 1; i < words->count; i++) {
        uint32_t index, from = file->record;
        if (word_is(words, i, file->layouts->records[from].name))
            return words_wrong(words, file->error, "%.40s is this record itself", words->word[i].text);
        int result = record_room(file, words->word[i].text, &index);
        if (result < 0)
            return result;
        struct layout_record copy = file->layouts->records[from];
        copy.name = words->word[i].text;
        copy.fields = malloc((copy.field_count + 16) * sizeof *copy.fields);
        file->layouts->records[index] = (struct layout_record){.name = copy.name, .type = copy.type};
        if (copy.fields == NULL)
            return out_of_memory(file->error);
        if (copy.field_count > 0)
            memcpy(copy.fields, file->layouts->records[from].fields, copy.field_count * sizeof *copy.fields);
        file->layouts->records[index] = copy;
    }
    return 0;
}

/* ---- the file ---- */

static const struct {
    const char *word;
    int (*read)(struct file *file);
} lines[] = {{"field", field_line},     {"record", record_line},   {"column", column_line},
             {"table", table_line},     {"filler", filler_line},   {"count", sum_line},
             {"total", sum_line},       {"layout", layout_line},   {"file", file_line},
             {"charset", charset_line}, {"decimal", decimal_line}, {"skip", skip_line},
             {"message", message_line}, {"also", also_line}};

static int line_read(struct file *file) {
    for (uint32_t i = 0; i < 3 && i < file->words.count; i++) {
        if (file->words.word[i].bytes)
            return words_wrong(&file->words, file->error, "a name has no \\x in it");
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (word_is(&file->words, 0, lines[i].word))
            return lines[i].read(file);
    }
    return words_wrong(&file->words, file->error, "no line begins with %.40s", file->words.word[0].text);
}

/* What could only be looked up when all is there. */
static int file_end(struct file *file) {
    struct layouts *layouts = file->layouts;
    file->words.line = 0;
    if (file->from) {
        layouts->from = layouts_record(layouts, file->from, strlen(file->from));
        if (layouts->from == LAYOUT_ALL)
            return words_wrong(&file->words, file->error, "there is no record %.40s", file->from);
    }
    if (file->key)
        layouts->key = file->key;
    if (layouts->count == 0)
        return words_wrong(&file->words, file->error, "there is no record in it");
    return 0;
}

static char *text_keep(struct layouts *layouts, const char *text, size_t length) {
    char **texts = realloc(layouts->texts, (layouts->text_count + 1) * sizeof *texts);
    if (texts == NULL)
        return NULL;
    layouts->texts = texts;
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = 0;
    texts[layouts->text_count++] = copy;
    return copy;
}

int layouts_add(struct layouts *layouts, const char *text, size_t length, struct layout_error *error) {
    struct file file = {.layouts = layouts, .error = error, .record = LAYOUT_ALL, .table = LAYOUT_ALL};
    *error = (struct layout_error){0};
    if (memchr(text, 0, length) || !utf8_valid((const uint8_t *)text, length)) {
        words_begin(&file.words, NULL);
        return words_wrong(&file.words, error, "it is no text in UTF-8");
    }
    char *copy = text_keep(layouts, text, length);
    if (copy == NULL)
        return out_of_memory(error);
    if (layouts->decimal == 0)
        layouts->decimal = '.';
    words_begin(&file.words, copy);
    int result;
    while ((result = words_next(&file.words, error)) > 0) {
        result = line_read(&file);
        if (result < 0)
            return result;
    }
    return result < 0 ? result : file_end(&file);
}

void layouts_free(struct layouts *layouts) {
    for (uint32_t i = 0; i < layouts->count; i++)
        free(layouts->records[i].fields);
    for (uint32_t i = 0; i < layouts->text_count; i++)
        free(layouts->texts[i]);
    free(layouts->records);
    free(layouts->texts);
    *layouts = (struct layouts){0};
}
