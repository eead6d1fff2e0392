/* layout.h: where the fields of a record stand, as a text file says it: segments of IDocs, lines and blocks
 * of fixed width, COBOL data. The language is described in docs/LAYOUTS.md. Owner: who reads the files;
 * readers of documents borrow the set. Nothing changes in it after the last file. Thread: while files are
 * added, one; then any. Nothing blocks; adding a file allocates. Fails by -EINVAL with a line and a sentence,
 * or by -ENOMEM; a set to which a file could not be added is to be freed. */
#pragma once

#include "codecs/layout/codepage.h"
#include "codecs/layout/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_FIELDS_MAX  512u          /* of one record, with the columns of its tables */
#define LAYOUT_RECORDS_MAX 4096u         /* of one set */
#define LAYOUT_TESTS_MAX   4u            /* of one record: what it is known by */
#define LAYOUT_BYTES_MAX   (64u * 1024u) /* of one record */
#define LAYOUT_OCCURS_MAX  4096u         /* of one table in a record */
#define LAYOUT_VALUES_MAX  (64u * 1024u) /* of one record, each row of its tables counted */
#define LAYOUT_VALUE_BYTES_MAX                                                                               \
    (1024u * 1024u)           /* of one record: its values together; fields may lie over each other */
#define LAYOUT_DIGITS_MAX 38u /* of one number */

enum layout_type {
    LAYOUT_TEXT,   /* X: trailing blanks are not part of it */
    LAYOUT_DIGITS, /* 9: digits, kept as they stand */
    LAYOUT_NUMBER, /* N: a number as people write it, with the layout's decimal mark, its sign in front or
                      behind */
    LAYOUT_DATE,   /* D PATTERN: becomes CCYYMMDD */
    LAYOUT_ZONED, /* 9V2, S9, S9V2: digits with an implied point, the sign over the last or the first digit */
    LAYOUT_PACKED, /* comp-3 */
    LAYOUT_BINARY, /* comp, big-endian two's complement; comp-le, little-endian */
};

/* `length` bytes at `first` are these. */
struct layout_test {
    uint32_t first, length;
    const uint8_t *bytes; /* in the record's own charset */
};

struct layout_field {
    const char *name;
    uint32_t first,
        length;       /* bytes, from 0; of a table the first occurrence, of a column from the occurrence */
    uint32_t element; /* number of it in a segment */
    uint32_t stride;  /* of a table: bytes of one occurrence; else 0 */
    uint32_t occurs;  /* of a table; else 1 */
    uint32_t columns; /* how many of the fields behind this one are its columns; 0: it is of one column */
    uint32_t depends; /* 1 + index of the field that says how many there are; 0: always `occurs` */
    enum layout_type type;
    enum codepage codepage;
    uint8_t scale; /* digits behind the implied point */
    bool is_signed, sign_leading, sign_separate, little_endian, keep_blanks;
    char pattern[12];        /* of a date */
    struct layout_test only; /* the field is there if so; length 0: always */
};

enum layout_role { LAYOUT_DETAIL, LAYOUT_HEADER, LAYOUT_TRAILER, LAYOUT_IGNORED };

/* What a trailer says about the records before it. */
struct layout_sum {
    uint32_t said;  /* index of the trailer's field */
    uint32_t of;    /* index of a record; LAYOUT_ALL: of all details */
    uint32_t field; /* index in that record, to be added up; LAYOUT_ALL: records are counted */
};
#define LAYOUT_ALL UINT32_MAX

struct layout_record {
    const char *name; /* E2EDP19002 */
    const char *type; /* E1EDP19; the name where none is given */
    uint32_t length;  /* bytes; 0: not said */
    enum layout_role role;
    uint32_t parent; /* index; LAYOUT_ALL: of none */
    bool has_children;
    uint32_t test_count;
    struct layout_test tests[LAYOUT_TESTS_MAX];
    struct layout_field *fields; /* owned by the set; ascending by element */
    uint32_t field_count;
    uint32_t values, value_bytes; /* of all fields, each row of a table counted */
    uint32_t sum_count;
    struct layout_sum sums[LAYOUT_TESTS_MAX];
};

enum layout_framing { LAYOUT_LINES, LAYOUT_LENGTH, LAYOUT_RDW, LAYOUT_BDW };
enum layout_message {
    LAYOUT_EACH, /* each record is a message */
    LAYOUT_FILE, /* all records are one */
    LAYOUT_FROM, /* from each record of one name to the next one */
    LAYOUT_KEY,  /* records with the same value in one field, one behind the other */
};

/* What is read from one or more files. Zeroed: empty. Fields are private to layout.c, but may be read. */
struct layouts {
    const char *name; /* of the last file that gave one */
    enum layout_framing framing;
    uint32_t length;    /* LAYOUT_LENGTH: of every record */
    bool little_endian; /* the length before a record */
    enum codepage codepage;
    char decimal;
    enum layout_message message;
    const char *message_name; /* what a message is called */
    uint32_t from;            /* LAYOUT_FROM: index of the record */
    const char *key;          /* LAYOUT_KEY: name of the field */
    uint32_t skip;            /* lines or records before the first one that counts */
    struct layout_record *records;
    uint32_t count, room;
    char **texts; /* own all that is pointed to by name */
    uint32_t text_count;
};

/* Adds the records of a file. A record of a name that is known already takes the place of that one. */
int layouts_add(struct layouts *layouts, const char *text, size_t length, struct layout_error *error);
void layouts_free(struct layouts *layouts);

/* LAYOUT_ALL if there is none. */
uint32_t layouts_record(const struct layouts *layouts, const char *name, size_t length);
/* The number of a field in every segment of a type, whatever the segment's version: so maps name fields; 0 if
 * no record of this type has it. */
uint32_t layouts_element(const struct layouts *layouts, const char *type, size_t type_length,
                         const char *field, size_t field_length);

/* As `number` of a map's fields wants it: `layouts` is a struct layouts. */
uint32_t layouts_number(void *layouts, const char *segment, const char *field);
