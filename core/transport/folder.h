/* folder.h: a directory that a transport uses, which may be missing, full, taken away or come back.
 * Owner: whoever holds the struct; texts are borrowed. Thread: one at a time.
 * It is opened when it is needed and made when it is missing, with those above it. What is done in it goes by
 * its descriptor, so a directory that is renamed or replaced is never mixed up with the one that follows.
 * Blocks as the file system does.
 * Fails with negative errno; folder_result tells a trouble by one log line, and its end by one. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct folder {
    const char *spoke; /* for log lines */
    const char *path;
    int fd;    /* owns; -1: not open */
    int error; /* that was told; 0: none */
};

#define FOLDER_NAME_BYTES 256u /* of a file's name, with its zero byte (NAME_MAX) */

void folder_init(struct folder *place, const char *spoke, const char *path);
void folder_close(struct folder *place);
/* The descriptor, or negative errno. */
int folder_open(struct folder *place) MUST_USE;
/* What came of using it: an error closes it, so that it is looked for anew. Returns `result`. */
int folder_result(struct folder *place, int result);
/* The open directory is still what its path leads to. */
bool folder_stands(const struct folder *place) MUST_USE;

/* Makes `name` one like it that is free in an open place, and with `suffix` behind it, too; a name is cut so
 * that the suffix fits. */
void folder_free_name(const struct folder *place, char name[FOLDER_NAME_BYTES], const char *suffix);

/* Moves a file to `target` in another place (open, both), or to a name like it that is free: `target` becomes
 * that. Never over another file; -EEXIST when no name was free. 0, or negative errno: -ENOENT when there is
 * nothing to move. */
int folder_move(const struct folder *from, const char *name, const struct folder *to,
                char target[FOLDER_NAME_BYTES]) MUST_USE;

/* Gives a file in an open place its name: one with the same content is replaced; when one with another
 * content has it, `target` becomes one like it that is free. 0, or negative errno. */
int folder_name(const struct folder *place, const char *hidden, char target[FOLDER_NAME_BYTES]) MUST_USE;

/* A file of this name with this content, whole or not at all: written under `temporary` and renamed. With
 * `sync` it is on the disk afterwards. */
int folder_write(const struct folder *place, const char *temporary, const char *name, const void *bytes,
                 size_t length, bool sync) MUST_USE;
/* All of it; 0 or negative errno. */
int folder_write_all(int fd, const void *bytes, size_t length) MUST_USE;
