#include "core/config/table.h"

#include "codecs/event/json_text.h"
#include "codecs/table/csv.h"
#include "core/config/file.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table_reading {
    const struct config_table *table;
    const struct dialect *dialect;
    uint32_t key;    /* number of the column; 0: not known yet */
    json_t *columns; /* names, by number - 1 */
    json_t *rows;
    char *why;
    size_t why_bytes;
    bool wrong;
};

static void wrong(struct table_reading *reading, uint32_t line, const char *text, const char *more) {
    if (!reading->wrong)
        (void)snprintf(reading->why, reading->why_bytes, "%.100s:%u: %s%.60s", reading->table->file, line,
                       text, more);
    reading->wrong = true;
}

static bool wanted(const struct config_table *table, const char *name) {
    for (uint32_t i = 0; i < table->values.count; i++)
        if (strcmp(table->values.list[i], name) == 0)
            return true;
    return table->values.count == 0 && strcmp(table->key, name) != 0;
}

/* The names are known: which column is the key, and are those there that are asked for? */
static void columns_check(struct table_reading *reading, uint32_t line) {
    const struct config_table *table = reading->table;
    size_t i;
    json_t *name;
    json_array_foreach(reading->columns, i, name) {
        if (strcmp(json_string_value(name), table->key) == 0)
            reading->key = (uint32_t)i + 1;
    }
    if (reading->key == 0)
        wrong(reading, line, "there is no column ", table->key);
    for (uint32_t j = 0; j < table->values.count; j++) {
        bool found = false;
        json_array_foreach(reading->columns, i, name) {
            found |= strcmp(json_string_value(name), table->values.list[j]) == 0;
        }
        if (!found)
            wrong(reading, line, "there is no column ", table->values.list[j]);
    }
}

static json_t *cell(const struct segment *segment, uint32_t number) {
    struct value value = segment_value(segment, number, 1);
    json_t *text = json_stringn((const char *)value.bytes, value.length);
    return text != NULL ? text : json_string("");
}

static void header_read(struct table_reading *reading, const struct segment *segment) {
    uint32_t last = segment->element_count > 0 ? segment->elements[segment->element_count - 1].number : 0;
    for (uint32_t number = 1; number <= last; number++)
        if (json_array_append_new(reading->columns, cell(segment, number)) != 0)
            wrong(reading, segment->place.line, "there is no memory left", "");
    columns_check(reading, segment->place.line);
}

static json_t *row_value(const struct table_reading *reading, const struct segment *segment) {
    const struct config_table *table = reading->table;
    json_t *object = json_object(), *name, *only = NULL;
    size_t i;
    json_array_foreach(reading->columns, i, name) {
        const char *text = json_string_value(name);
        if (wanted(table, text))
            (void)json_object_set_new(object, text, cell(segment, (uint32_t)i + 1));
    }
    if (table->values.count != 1)
        return object;
    only = json_incref(json_object_get(object, table->values.list[0]));
    json_decref(object);
    return only;
}

static void on_segment(void *context, const struct segment *segment) {
    struct table_reading *reading = context;
    if (reading->wrong)
        return;
    if (reading->key == 0) {
        header_read(reading, segment);
        return;
    }
    json_t *key = cell(segment, reading->key);
    const char *text = json_string_value(key);
    if (text[0] == '\0')
        wrong(reading, segment->place.line, "this row has no ", reading->table->key);
    else if (json_object_get(reading->rows, text) != NULL)
        wrong(reading, segment->place.line, "an earlier row has the same key, ", text);
    else if (json_object_set_new(reading->rows, text, row_value(reading, segment)) != 0)
        wrong(reading, segment->place.line, "there is no memory left", "");
    json_decref(key);
}

static void on_finding(void *context, const struct finding *finding) {
    if (finding->severity == FINDING_ERROR)
        wrong(context, finding->place.line, finding_kind(finding->code)->text, "");
}

static void on_begin(void *context, enum document_scope scope, const struct document_head *head) {
    (void)context, (void)scope, (void)head;
}

static void on_end(void *context, enum document_scope scope, const struct document_tail *tail) {
    (void)context, (void)scope, (void)tail;
}

/* Without columns in the dialect the first row has their names; it is a row like any other to the reader. */
static bool dialect_get(struct table_reading *reading, struct dialect *dialect) {
    struct layout_error error = {0};
    char *text = NULL;
    size_t length = 0;
    int result = reading->table->dialect != NULL
                     ? config_file_text(reading->table->dialect, CONFIG_TABLE_BYTES_MAX, &text, &length)
                     : 0;
    if (result < 0) {
        (void)snprintf(reading->why, reading->why_bytes, "%.100s can not be read: %s",
                       reading->table->dialect, strerror(-result));
        return false;
    }
    result = dialect_read(dialect, text != NULL ? text : "", length, &error);
    free(text);
    if (result < 0) {
        (void)snprintf(reading->why, reading->why_bytes, "%.100s:%u: %s", reading->table->dialect, error.line,
                       error.text);
        return false;
    }
    for (uint32_t i = 0; i < dialect->column_count; i++)
        (void)json_array_append_new(reading->columns, json_string(dialect->columns[i].name));
    if (dialect->column_count > 0)
        columns_check(reading, 1);
    else
        dialect->header = 0;
    return !reading->wrong;
}

static bool rows_read(struct table_reading *reading, const struct dialect *dialect) {
    static const struct document_sink shape = {
        .begin = on_begin, .segment = on_segment, .end = on_end, .finding = on_finding};
    struct document_sink sink = shape;
    char *text;
    size_t length;
    int result = config_file_text(reading->table->file, CONFIG_TABLE_BYTES_MAX, &text, &length);
    if (result < 0) {
        (void)snprintf(reading->why, reading->why_bytes, "%.100s can not be read: %s", reading->table->file,
                       result == -EFBIG ? "it has more than 16 MiB" : strerror(-result));
        return false;
    }
    sink.context = reading;
    struct profile profile = {.messages_max = UINT32_MAX};
    struct csv *csv = csv_new(dialect, &profile, &sink);
    if (csv != NULL) {
        csv_feed(csv, (const uint8_t *)text, length);
        csv_end(csv);
        csv_free(csv);
    } else {
        wrong(reading, 0, "there is no memory left", "");
    }
    free(text);
    if (reading->key == 0)
        wrong(reading, 1, "the first row must have the names of the columns", "");
    return !reading->wrong;
}

bool config_table_add(const struct config_table *table, struct bytes *out, char *why, size_t why_bytes) {
    struct dialect dialect = {0};
    struct table_reading reading = {.table = table,
                                    .dialect = &dialect,
                                    .columns = json_array(),
                                    .rows = json_object(),
                                    .why = why,
                                    .why_bytes = why_bytes};
    bool right = dialect_get(&reading, &dialect) && rows_read(&reading, &dialect);
    char *text = right ? json_dumps(reading.rows, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    if (text != NULL) {
        json_string_add(out, table->name, strlen(table->name));
        bytes_text(out, ":");
        bytes_text(out, text);
    } else if (right) {
        (void)snprintf(why, why_bytes, "there is no memory left");
    }
    free(text);
    json_decref(reading.columns);
    json_decref(reading.rows);
    dialect_free(&dialect);
    return text != NULL;
}
