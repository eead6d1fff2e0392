/* dialect.h: how a partner writes its CSV, as a text file says it: marks, charset, columns, what makes a
 * message. The language is described in docs/LAYOUTS.md. Owner: who reads the file; readers of documents
 * borrow it. Nothing changes in it afterwards. Thread: any, after dialect_read. Nothing blocks; dialect_read
 * allocates. Fails by -EINVAL with a line and a sentence, or by -ENOMEM; then it is to be freed all the same.
 * A dialect of an empty text is RFC 4180 with a header. */
#pragma once

#include "codecs/layout/codepage.h"
#include "codecs/layout/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIALECT_COLUMNS_MAX 1024u
#define DIALECT_KEYS_MAX    4u

enum dialect_type {
    DIALECT_TEXT,
    DIALECT_NUMBER, /* thousands marks are taken out, a minus behind it goes to its front; else refused */
    DIALECT_GTIN,   /* digits only: 4,01235E+12 has lost them */
    DIALECT_DATE,   /* becomes CCYYMMDD */
};

struct dialect_column {
    const char *name;
    enum dialect_type type;
    bool optional;
    char pattern[12]; /* of a date: dd.mm.yyyy */
};

enum dialect_message { DIALECT_ROW, DIALECT_FILE, DIALECT_KEY };

struct dialect {
    const char *name;
    char delimiter, quote, escape, newline; /* quote 0: there is none; escape 0: quotes are doubled */
    char decimal, thousands;                /* thousands 0: there is none */
    char comment, rule;                     /* 0: there are none */
    enum codepage codepage;
    uint32_t header; /* which row it is, comments and rules not counted; 0: there is none */
    bool header_repeats, separator_line, bordered, trim, pad, open;
    const char *null; /* a cell that is this is empty; NULL: none */
    enum dialect_message message;
    const char *message_name, *row, *head; /* head NULL: a message has rows only */
    const char *keys[DIALECT_KEYS_MAX];
    uint32_t key_count;
    bool unsorted;
    struct dialect_column *columns; /* owns; their numbers count from 1 in this order */
    uint32_t column_count;
    char *text; /* owns all names */
};

/* The dialect is overwritten. */
int dialect_read(struct dialect *dialect, const char *text, size_t length, struct layout_error *error);
void dialect_free(struct dialect *dialect);

/* The number of a column that the dialect names, in every file; 0 if it names none such. */
uint32_t dialect_column(const struct dialect *dialect, const char *name, size_t length);
/* As `number` of a map's fields wants it: `dialect` is a struct dialect; all its segments have the same
 * columns. */
uint32_t dialect_number(void *dialect, const char *segment, const char *column);
