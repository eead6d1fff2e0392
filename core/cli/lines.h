/* lines.h: a file descriptor, line by line or all at once, with bounded memory.
 * Owner: the command that reads; its thread.
 * Lines are given without their end of line; the last one needs none.
 * lines_next never blocks: it reads only what poll says is there (a regular file always is). read_all blocks
 * until the end. Fails with negative errno; -EFBIG when a line, or all of it, is longer than the limit given.
 */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    int file;    /* borrows */
    char *bytes; /* owns */
    size_t capacity;
    size_t start;   /* of the next line */
    size_t scanned; /* no end of line from start to here */
    size_t end;
    size_t line_max;
    uint64_t number; /* of the line given last, from 1 */
    bool ended;
};

enum lines_result { LINES_LINE = 0, LINES_END = 1, LINES_WAIT = 2 }; /* or negative errno */

void lines_init(struct lines *lines, int file, size_t line_max);
void lines_deinit(struct lines *lines); /* takes zeroed memory, too */

/* The next line, valid until the next call. LINES_WAIT: nothing to read now; wait for the descriptor. */
int lines_next(struct lines *lines, const char **line, size_t *length) MUST_USE;

/* All bytes until the end; the caller frees them. Never NULL on success. */
int read_all(int file, size_t most, uint8_t **bytes, size_t *length) MUST_USE;
