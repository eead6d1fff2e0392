#include "codecs/erp/csv_out.h"

#include "codecs/erp/decimal.h"
#include "codecs/erp/model.h"
#include "codecs/erp/moment.h"
#include "core/base/topic.h"
#include "roundhouse/erp/v1/erp.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fields that tell entries of a list apart. */
static const char *const picked_by[] = {"scheme", "type", "role", "name"};

struct file {
    struct erp_csv *csv;
    struct words words;
    struct layout_error *error;
};

/* ---- templates ---- */

static bool is_text(const ProtobufCMessageDescriptor *message) {
    return message == &roundhouse__erp__v1__decimal__descriptor ||
           message == &roundhouse__erp__v1__moment__descriptor;
}

static const ProtobufCFieldDescriptor *field_in(const ProtobufCMessageDescriptor *message,
                                                const char *const *names, size_t count) {
    const ProtobufCFieldDescriptor *field = NULL;
    for (size_t i = 0; field == NULL && i < count; i++)
        field = protobuf_c_message_descriptor_get_field_by_name(message, names[i]);
    return field;
}

static int step_add(struct file *file, struct erp_csv_column *column, struct erp_csv_step step) {
    if (column->step_count == ERP_CSV_STEPS_MAX)
        return words_wrong(&file->words, file->error, "a path has at most %u steps", ERP_CSV_STEPS_MAX);
    column->steps[column->step_count++] = step;
    return 0;
}

/* What stands in brackets behind a field. */
static int pick_read(struct file *file, char *bracket, struct erp_csv_step *step) {
    size_t length = strlen(bracket);
    if (step->field->label != PROTOBUF_C_LABEL_REPEATED || length < 3 || bracket[length - 1] != ']')
        return words_wrong(&file->words, file->error, "[...] chooses an entry of a list");
    *bracket = 0;
    bracket[length - 1] = 0;
    step->pick = bracket + 1;
    char *end;
    unsigned long number = strtoul(step->pick, &end, 10);
    if (*end == 0 && number > 0 && number < UINT32_MAX) {
        step->number = (uint32_t)number;
        step->pick = NULL;
    } else if (step->field->type != PROTOBUF_C_TYPE_MESSAGE ||
               !field_in(step->field->descriptor, picked_by, sizeof picked_by / sizeof *picked_by)) {
        return words_wrong(&file->words, file->error, "entries of %.40s can only be chosen by number",
                           step->field->name);
    }
    return 0;
}

/* One name of a path; *message becomes what the rest is in. */
static int name_read(struct file *file, char *name, const ProtobufCMessageDescriptor **message,
                     struct erp_csv_column *column) {
    char *bracket = strchr(name, '[');
    struct erp_csv_step step = {0};
    if (*message == NULL)
        return words_wrong(&file->words, file->error, "there is nothing in the field before %.40s", name);
    if (bracket)
        *bracket = 0;
    step.field = protobuf_c_message_descriptor_get_field_by_name(*message, name);
    if (step.field == NULL)
        return words_wrong(&file->words, file->error, "no field %.40s in %s", name, (*message)->short_name);
    if (bracket) {
        *bracket = '[';
        int result = pick_read(file, bracket, &step);
        if (result < 0)
            return result;
    }
    bool first = column->step_count == 0 && !column->of_row;
    if (first && step.field == file->csv->rows && !step.pick && !step.number) {
        column->of_row = true;
        *message = step.field->descriptor;
        return 0;
    }
    *message = step.field->type == PROTOBUF_C_TYPE_MESSAGE ? step.field->descriptor : NULL;
    return step_add(file, column, step);
}

/* A path ends at something that is text: the principal fields of messages are added. */
static int path_end(struct file *file, const ProtobufCMessageDescriptor *message,
                    struct erp_csv_column *column) {
    while (message && !is_text(message)) {
        const ProtobufCFieldDescriptor *field = model_principal(message);
        if (field == NULL)
            return words_wrong(&file->words, file->error, "name a field of %s", message->short_name);
        int result = step_add(file, column, (struct erp_csv_step){.field = field});
        if (result < 0)
            return result;
        message = field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
    }
    return 0;
}

static int path_read(struct file *file, char *path, struct erp_csv_column *column) {
    const ProtobufCMessageDescriptor *message = file->csv->event;
    char *name;
    while ((name = strsep(&path, ".")) != NULL) {
        int result = name_read(file, name, &message, column);
        if (result < 0)
            return result;
    }
    int result = path_end(file, message, column);
    const struct erp_csv_step *last = column->step_count ? &column->steps[column->step_count - 1] : NULL;
    if (result == 0 && *column->pattern &&
        (!last || last->field->descriptor != &roundhouse__erp__v1__moment__descriptor))
        return words_wrong(&file->words, file->error, "this is no date");
    return result;
}

/* column TITLE PATH [date PATTERN] | column TITLE "TEXT" */
static int column_line(struct file *file) {
    struct words *words = &file->words;
    struct erp_csv *csv = file->csv;
    struct erp_csv_column column = {0};
    bool date = words->count == 5 && word_is(words, 3, "date") && date_pattern(words->word[4].text);
    if (csv->event == NULL || (words->count != 3 && !date))
        return words_wrong(words, file->error, "expected, behind the event, a title and a path or \"text\"");
    if (csv->column_count == ERP_CSV_COLUMNS_MAX)
        return words_wrong(words, file->error, "more than %u columns", ERP_CSV_COLUMNS_MAX);
    column.title = words->word[1].text;
    if (date)
        memcpy(column.pattern, words->word[4].text, words->word[4].length);
    int result = 0;
    if (words->word[2].quoted)
        column.constant = words->word[2].text;
    else
        result = path_read(file, words->word[2].text, &column);
    if (result < 0)
        return result;
    if (csv->column_count % 64 == 0) {
        struct erp_csv_column *columns = realloc(csv->columns, (csv->column_count + 64) * sizeof *columns);
        if (columns == NULL)
            return -ENOMEM;
        csv->columns = columns;
    }
    csv->columns[csv->column_count++] = column;
    return 0;
}

static int event_line(struct file *file) {
    for (size_t i = 0; i < MODEL_EVENTS; i++)
        if (word_is(&file->words, 1, model_events[i]->short_name))
            file->csv->event = model_events[i];
    return file->csv->event && file->words.count == 2
               ? 0
               : words_wrong(&file->words, file->error, "expected a message of erp.proto");
}

static int rows_line(struct file *file) {
    if (file->csv->event && file->words.count == 2)
        file->csv->rows =
            protobuf_c_message_descriptor_get_field_by_name(file->csv->event, file->words.word[1].text);
    if (!file->csv->rows || file->csv->rows->label != PROTOBUF_C_LABEL_REPEATED ||
        !file->csv->rows->descriptor)
        return words_wrong(&file->words, file->error, "expected, behind the event, one of its lists");
    return 0;
}

static int character_read(struct file *file, char *character) {
    const struct word *word = &file->words.word[1];
    if (file->words.count == 2 && word_is(&file->words, 1, "tab"))
        *character = '\t';
    else if (file->words.count == 2 && word->length == 1 && *word->text > ' ' && *word->text <= '~')
        *character = *word->text;
    else
        return words_wrong(&file->words, file->error, "expected one character");
    return 0;
}

static int line_read(struct file *file) {
    struct words *words = &file->words;
    struct erp_csv *csv = file->csv;
    for (uint32_t i = 0; i < words->count; i++) {
        if (words->word[i].bytes)
            return words_wrong(words, file->error, "expected text, without \\x");
    }
    if (word_is(words, 0, "column"))
        return column_line(file);
    if (word_is(words, 0, "event"))
        return event_line(file);
    if (word_is(words, 0, "rows"))
        return rows_line(file);
    if (word_is(words, 0, "delimiter"))
        return character_read(file, &csv->delimiter);
    if (word_is(words, 0, "quote"))
        return character_read(file, &csv->quote);
    if (word_is(words, 0, "template") && words->count == 2)
        csv->name = words->word[1].text;
    else if (word_is(words, 0, "decimal") && (word_is(words, 1, ".") || word_is(words, 1, ",")))
        csv->decimal = *words->word[1].text;
    else if (word_is(words, 0, "header") && word_is(words, 1, "none"))
        csv->header = false;
    else if (word_is(words, 0, "end") && (word_is(words, 1, "lf") || word_is(words, 1, "crlf")))
        csv->crlf = word_is(words, 1, "crlf");
    else
        return words_wrong(words, file->error, "%.40s: no such line in a template", words->word[0].text);
    return 0;
}

int erp_csv_read(struct erp_csv *csv, const char *text, size_t length, struct layout_error *error) {
    struct file file = {.csv = csv, .error = error};
    *error = (struct layout_error){0};
    *csv = (struct erp_csv){.name = "csv",
                            .delimiter = ',',
                            .quote = '"',
                            .decimal = '.',
                            .header = true,
                            .text = malloc(length + 1)};
    if (csv->text == NULL)
        return -ENOMEM;
    memcpy(csv->text, text, length);
    csv->text[length] = 0;
    words_begin(&file.words, csv->text);
    if (memchr(text, 0, length) || !utf8_valid((const uint8_t *)text, length))
        return words_wrong(&file.words, error, "it is no text in UTF-8");
    int result;
    while ((result = words_next(&file.words, error)) > 0) {
        result = line_read(&file);
        if (result < 0)
            return result;
    }
    file.words.line = 0;
    if (result == 0 && csv->column_count == 0)
        return words_wrong(&file.words, error, "there is no column in it");
    if (result == 0 && (csv->delimiter == csv->quote || csv->delimiter == csv->decimal))
        return words_wrong(&file.words, error, "two marks are the same character");
    return result;
}

void erp_csv_free(struct erp_csv *csv) {
    free(csv->columns);
    free(csv->text);
    *csv = (struct erp_csv){0};
}

/* ---- values ---- */

static const void *member(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    return (const char *)message + field->offset;
}

static size_t entries(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
    return *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
}

/* Whether this entry of a list is the one with that scheme, type, role or name. */
static bool picked(const ProtobufCMessage *entry, const char *pick) {
    const ProtobufCFieldDescriptor *by =
        field_in(entry->descriptor, picked_by, sizeof picked_by / sizeof *picked_by);
    return by && by->type == PROTOBUF_C_TYPE_STRING &&
           strcmp(*(const char *const *)member(entry, by), pick) == 0;
}

/* Where a step leads: the address of a string, a number, or of a pointer to a message. NULL: nowhere. */
static const void *step_take(const ProtobufCMessage *message, const struct erp_csv_step *step) {
    const ProtobufCFieldDescriptor *field = step->field;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return member(message, field);
    size_t count = entries(message, field), index = step->number ? step->number - 1 : 0;
    const void *const *list = *(const void *const *const *)member(message, field);
    if (step->pick) {
        while (index < count && !picked(list[index], step->pick))
            index++;
    }
    return index < count ? &list[index] : NULL;
}

static void decimal_text(const Roundhouse__Erp__V1__Decimal *decimal, char mark, char *text, size_t size) {
    char plain[DECIMAL_TEXT_BYTES];
    uint32_t scale = decimal->scale < DECIMAL_DIGITS_MAX ? decimal->scale : DECIMAL_DIGITS_MAX;
    if (*decimal->text)
        snprintf(text, size, "%s", decimal->text);
    else if (decimal_write((struct decimal){decimal->unscaled, scale}, plain) > 0)
        snprintf(text, size, "%s", plain);
    char *point = strchr(text, '.');
    if (point)
        *point = mark;
}

/* The last digits of a number, for each letter of a run one; a single d or m has as many as it needs. */
static void date_text(const char *pattern, int32_t date, char *text) {
    uint32_t year = (uint32_t)date / 10000, month = (uint32_t)date / 100 % 100, day = (uint32_t)date % 100;
    while (*pattern) {
        char letter = *pattern;
        size_t run = strspn(pattern, (char[]){letter, 0});
        uint32_t value = letter == 'd' ? day : letter == 'm' ? month : year;
        if (strchr("dmy", letter))
            text += sprintf(text, "%0*" PRIu32, (int)run, run == 2 ? value % 100 : value);
        else
            for (size_t i = 0; i < run; i++)
                *text++ = letter;
        pattern += run;
    }
    *text = 0;
}

static void moment_text(const Roundhouse__Erp__V1__Moment *moment, const char *pattern, char *text) {
    struct moment plain = {.date = moment->date,
                           .timed = moment->clock_case == ROUNDHOUSE__ERP__V1__MOMENT__CLOCK_TIME,
                           .zoned = moment->zone_case == ROUNDHOUSE__ERP__V1__MOMENT__ZONE_UTC_OFFSET_MIN};
    plain.time = plain.timed ? moment->time : 0;
    plain.zone = plain.zoned ? moment->utc_offset_min : 0;
    if (*pattern && moment->date > 0)
        date_text(pattern, moment->date, text);
    else if (*pattern)
        *text = 0;
    else
        moment_write(plain, text);
}

#define VALUE_BYTES 128u

/* What the last step leads to, as text: in `text`, or where it is. */
static const char *value_text(const struct erp_csv *csv, const struct erp_csv_column *column, const void *at,
                              const ProtobufCFieldDescriptor *field, char text[VALUE_BYTES]) {
    text[0] = 0;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return *(const char *const *)at;
    if (field->type == PROTOBUF_C_TYPE_BOOL)
        return *(const protobuf_c_boolean *)at ? "true" : "false";
    if (field->type == PROTOBUF_C_TYPE_UINT32)
        snprintf(text, VALUE_BYTES, "%" PRIu32, *(const uint32_t *)at);
    else if (field->type == PROTOBUF_C_TYPE_UINT64)
        snprintf(text, VALUE_BYTES, "%" PRIu64, *(const uint64_t *)at);
    else if (field->descriptor == &roundhouse__erp__v1__decimal__descriptor)
        decimal_text(*(const Roundhouse__Erp__V1__Decimal *const *)at, csv->decimal, text, VALUE_BYTES);
    else if (field->descriptor == &roundhouse__erp__v1__moment__descriptor)
        moment_text(*(const Roundhouse__Erp__V1__Moment *const *)at, column->pattern, text);
    return text;
}

static const char *column_text(const struct erp_csv *csv, const struct erp_csv_column *column,
                               const ProtobufCMessage *from, char text[VALUE_BYTES]) {
    const ProtobufCMessage *message = from;
    if (column->constant)
        return column->constant;
    for (uint32_t i = 0; message && i < column->step_count; i++) {
        const struct erp_csv_step *step = &column->steps[i];
        const void *at = step_take(message, step);
        bool is_message = step->field->type == PROTOBUF_C_TYPE_MESSAGE;
        if (at == NULL || (is_message && *(const void *const *)at == NULL))
            return "";
        if (i + 1 == column->step_count)
            return value_text(csv, column, at, step->field, text);
        message = *(const ProtobufCMessage *const *)at;
    }
    return "";
}

/* ---- rows ---- */

/* In quotes where it must be: what has a mark, a line break, or a blank at its ends. */
static void cell_add(const struct erp_csv *csv, const char *text, struct bytes *out) {
    const char marks[] = {csv->delimiter, csv->quote, '\n', '\r', 0};
    size_t length = strlen(text);
    if (length == 0 || (text[strcspn(text, marks)] == 0 && text[0] != ' ' && text[length - 1] != ' ')) {
        bytes_add(out, text, length);
        return;
    }
    bytes_add(out, &csv->quote, 1);
    for (const char *at = text; *at; at++) {
        if (*at == csv->quote)
            bytes_add(out, at, 1);
        bytes_add(out, at, 1);
    }
    bytes_add(out, &csv->quote, 1);
}

static void row_end(const struct erp_csv *csv, struct bytes *out) {
    bytes_text(out, csv->crlf ? "\r\n" : "\n");
}

static void row_add(const struct erp_csv *csv, const ProtobufCMessage *message, const ProtobufCMessage *entry,
                    struct bytes *out) {
    char text[VALUE_BYTES];
    for (uint32_t i = 0; i < csv->column_count; i++) {
        const struct erp_csv_column *column = &csv->columns[i];
        if (i > 0)
            bytes_add(out, &csv->delimiter, 1);
        cell_add(csv, column_text(csv, column, column->of_row ? entry : message, text), out);
    }
    row_end(csv, out);
}

void erp_csv_header(const struct erp_csv *csv, struct bytes *out) {
    for (uint32_t i = 0; csv->header && i < csv->column_count; i++) {
        if (i > 0)
            bytes_add(out, &csv->delimiter, 1);
        cell_add(csv, csv->columns[i].title, out);
    }
    if (csv->header)
        row_end(csv, out);
}

bool erp_csv_write(const struct erp_csv *csv, const ProtobufCMessage *message, struct bytes *out) {
    if (message->descriptor != csv->event)
        return false;
    if (csv->rows == NULL) {
        row_add(csv, message, NULL, out);
        return true;
    }
    ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)member(message, csv->rows);
    for (size_t i = 0; i < entries(message, csv->rows); i++)
        row_add(csv, message, list[i], out);
    return true;
}
