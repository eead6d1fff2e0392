/* schema.h: every key of a file that operators write, a row each: how it is read, what it may be, its
 * default. Owner: core/config (static data). Any thread may read it. Other files have a schema of their own,
 * of the same rows: those of spokes in core/spoke/schema.c. docs/OPERATIONS.md shows the same table as
 * config_rows; a unit test holds the two together. Nothing blocks. Texts of CONFIG_TEXT and its like are the
 * base's own, until config_release. config_row_set answers false with one sentence. */
#pragma once

#include "core/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_ADDRESS, /* HOST:PORT or [V6]:PORT */
    CONFIG_BOOL,    /* true | false */
    CONFIG_IO,      /* auto | uring | epoll */
    CONFIG_COUNT,   /* whole number with Ki, Mi, into 32 bits */
    CONFIG_NUMBER,  /* whole number with Ki, Mi, into 64 bits */
    CONFIG_SIZE,    /* B, KiB, MiB, GiB */
    CONFIG_TIME,    /* us, ms, s, m, h */
    CONFIG_CLASS,   /* memory | disk */
    CONFIG_PATTERN, /* of topics; its length in a byte before it */
    CONFIG_RANGE,   /* A-B or A, of slots */
    CONFIG_PATH,    /* of a directory, below JOURNAL_DIR_BYTES_MAX */
    CONFIG_LIST,    /* its items are rows of their own, "slots[].shard", or plain numbers */
    CONFIG_TEXT,    /* any text: a char *, NULL when left out */
    CONFIG_FILE,    /* the path of a file or a directory, likewise */
    CONFIG_WORD,    /* one of the row's words: its index, 32 bits */
    CONFIG_TEXTS,   /* a text or a list of them: struct config_texts */
    CONFIG_PAIRS,   /* a mapping of names of one's own to texts: struct config_pairs */
};

enum config_flag {
    CONFIG_OFF = 1,    /* the word `off` is allowed */
    CONFIG_ZERO = 2,   /* 0 is allowed below the least value, and means never or none */
    CONFIG_POWER2 = 4, /* powers of two only */
};

#define CONFIG_NO_AUTO SIZE_MAX

struct config_row {
    const char *path; /* "limits.frame"; [] stands for each item of a list */
    enum config_type type;
    unsigned flags;
    size_t at;      /* offset of the value in struct config, or in the item of a list */
    size_t auto_at; /* offset of the bool that the word `auto` sets, or CONFIG_NO_AUTO */
    uint64_t min;
    uint64_t max;
    const char *fallback; /* the default, as in a file; "" = none: a list that may be left out, or a key that
                             must be there */
    const char *change;   /* when a change takes effect: "restart", or "live" */
    const char *help;     /* for people; one line */
    const char *const *words; /* of CONFIG_WORD, ended by NULL */
};

struct config_texts {
    char **list;
    uint32_t count;
};

struct config_pairs {
    char **names;
    char **values;
    uint32_t count;
};

/* All rows of one kind of file. */
struct config_schema {
    const struct config_row *rows;
    uint32_t count;
    const char *(*example)(const char *path); /* how a list is written, for sentences */
};

/* Slots of a range, in the item of `slots`. */
struct config_slots_item {
    uint32_t shard;
    uint32_t first;
    uint32_t last;
};

#define CONFIG_ROWS_MAX  128u
#define CONFIG_WHY_BYTES 200u

extern const struct config_row config_rows[];
extern const uint32_t config_rows_count;

extern const struct config_schema config_schema; /* the same, of the sharding config */

/* The row of a path; NULL = there is none. */
const struct config_row *config_schema_find(const struct config_schema *schema, const char *path);
const struct config_row *config_row_find(const char *path); /* of the sharding config */

/* Sets every default. `base` is zeroed. */
void config_schema_defaults(const struct config_schema *schema, void *base);
/* Frees what the rows that begin with `prefix` ("" = those that are no items of lists) have in `base`. */
void config_release(const struct config_schema *schema, const char *prefix, void *base);

/* Reads a single value into `base` (a struct config, or the item of a list); a text of a list or a pair is
 * added. False: `why` is a sentence, without the key. */
bool config_row_set(const struct config_row *row, void *base, const char *text, size_t length,
                    char why[static CONFIG_WHY_BYTES]);

/* Adds a pair; the same name twice is refused. */
bool config_pair_add(struct config_pairs *pairs, const char *name, size_t name_length, const char *value,
                     size_t value_length, char why[static CONFIG_WHY_BYTES]);

/* What may be written, for people: "65KiB to 64MiB". Returns out. */
const char *config_row_range(const struct config_row *row, char out[static CONFIG_WHY_BYTES]);
