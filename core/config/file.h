/* file.h: a whole small file as text, such as a configuration or what one names.
 * Owner: the caller frees the text.
 * Any thread may call.
 * Blocks to read the file.
 * Fails by negative errno: -EFBIG when it has more bytes than allowed. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>

/* A NUL stands behind the last byte, which *length does not count. */
int config_file_text(const char *path, size_t most, char **text, size_t *length) MUST_USE;

/* The path from the root, as seen from the working directory; links stay, so that whoever turns one over to
 * another file is followed. NULL: no memory. The caller frees. */
char *config_file_absolute(const char *path) MUST_USE;
/* Both lead to one file, which is there. */
bool config_file_same(const char *one, const char *other);

/* The path as seen from the folder of `file`: absolute ones stay. NULL: no memory. The caller frees. */
char *config_file_beside(const char *file, const char *path) MUST_USE;
/* The same in place, of a path that may be NULL and is the caller's to free. False: no memory, it is NULL. */
bool config_file_resolve(const char *file, char **path) MUST_USE;
