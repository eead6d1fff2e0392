/* csv_out.h: canonical messages as rows of a table, by a template: a text file that says which column has
 * what. The language is described in docs/LAYOUTS.md. Owner: a template is borrowed by who writes by it; text
 * is appended to the caller's buffer. Any thread may call, after erp_csv_read. Nothing blocks. Never the hot
 * path: the buffer grows on the general heap. Fails: erp_csv_read by -EINVAL with a line and a sentence, or
 * by -ENOMEM (it is to be freed all the same); erp_csv_write by bytes.failed, and by false: the template is
 * for another kind of message. */
#pragma once

#include "codecs/event/bytes.h"
#include "codecs/layout/date.h"
#include "codecs/layout/words.h"

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>

#define ERP_CSV_COLUMNS_MAX 1024u
#define ERP_CSV_STEPS_MAX   8u

/* One field of a path. Of several entries it is the one with this scheme, type, role or name, the one with
 * this number, or the first. */
struct erp_csv_step {
    const ProtobufCFieldDescriptor *field;
    const char *pick;
    uint32_t number;
};

struct erp_csv_column {
    const char *title;
    const char *constant; /* NULL: the steps say what */
    struct erp_csv_step steps[ERP_CSV_STEPS_MAX];
    uint32_t step_count;
    bool of_row;                        /* the steps begin at the row's entry, not at the message */
    char pattern[DATE_PATTERN_MAX + 1]; /* of a date; empty: as in JSON */
};

/* Fields are private to csv_out.c. */
struct erp_csv {
    const char *name;
    const ProtobufCMessageDescriptor *event;
    const ProtobufCFieldDescriptor *rows; /* a row for each entry; NULL: one for the message */
    char delimiter, quote, decimal;
    bool header, crlf;
    struct erp_csv_column *columns; /* owns */
    uint32_t column_count;
    char *text; /* owns */
};

int erp_csv_read(struct erp_csv *csv, const char *text, size_t length, struct layout_error *error);
void erp_csv_free(struct erp_csv *csv);

/* The names of the columns; nothing if the template has no header. */
void erp_csv_header(const struct erp_csv *csv, struct bytes *out);
bool erp_csv_write(const struct erp_csv *csv, const ProtobufCMessage *message, struct bytes *out);
