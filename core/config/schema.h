/* schema.h: every key of the configuration, a row each: how it is read, what it may be, its default.
 * Owner: core/config (static data). Any thread may read it.
 * docs/OPERATIONS.md shows the same table; a unit test holds the two together.
 * Nothing blocks.
 * config_row_set answers false with one sentence. */
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
};

/* Slots of a range, in the item of `slots`. */
struct config_slots_item {
    uint32_t shard;
    uint32_t first;
    uint32_t last;
};

#define CONFIG_ROWS_MAX  64u
#define CONFIG_WHY_BYTES 200u

extern const struct config_row config_rows[];
extern const uint32_t config_rows_count;

/* The row of a path; NULL = there is none. */
const struct config_row *config_row_find(const char *path);

/* Reads a single value into `base` (a struct config, or the item of a list). False: `why` is a sentence,
 * without the key. */
bool config_row_set(const struct config_row *row, void *base, const char *text, size_t length,
                    char why[static CONFIG_WHY_BYTES]);

/* What may be written, for people: "65KiB to 64MiB". Returns out. */
const char *config_row_range(const struct config_row *row, char out[static CONFIG_WHY_BYTES]);
