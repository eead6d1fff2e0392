/* state_file.h: a small file of lines that says after a crash what was known before it.
 * Each line is "CHECKSUM TEXT", appended by one write, so that a kill leaves whole lines or a last one that
 * shows that it is none; now and then all of it is written anew, under another name, and renamed.
 * Owner: whoever holds the struct; the folder is borrowed for its life. Thread: one at a time.
 * Blocks as the file system does. A line is on the disk after state_file_sync, or with what is written anew.
 * Fails with negative errno; after a failure the file is `broken` until it is written anew. */
#pragma once

#include "core/transport/folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct state_file {
    const struct folder *place;
    char name[FOLDER_NAME_BYTES];
    int fd;      /* owns; -1: none */
    bool broken; /* it does not say all: it is to be written anew first */
    uint64_t length, lines;
};

void state_file_init(struct state_file *file, const struct folder *place, const char *name);
void state_file_close(struct state_file *file);

/* Gives `take` the text of each whole line, which ends in a zero byte; false: it says nothing, which makes
 * the file broken, as a line that is not whole does. The place is open. -ENOENT: there is no such file. */
int state_file_load(struct state_file *file, bool (*take)(void *user, char *text, size_t length),
                    void *user) MUST_USE;

/* It has to be written anew: broken, not open, or of more than `most` lines. */
bool state_file_worn(const struct state_file *file, uint64_t most) MUST_USE;
/* One more line; `text` has no end of line in it. A line that was cut is taken away again. */
int state_file_add(struct state_file *file, const char *text, size_t length) MUST_USE;

/* One line of what is written anew. */
void state_line_put(FILE *out, const char *text, size_t length);
/* Writes it anew, on the disk: `all` puts every line; false: no memory. The place is open. */
int state_file_renew(struct state_file *file, bool (*all)(const void *user, FILE *out),
                     const void *user) MUST_USE;
/* All lines are on the disk; not for one that has to be written anew. */
int state_file_sync(const struct state_file *file) MUST_USE;
