/* files.h: files of settings in tests: a folder for them, the mistakes of a text, the manual's table of keys.
 * Owner: the test's process, which has one such folder.
 * One thread.
 * Blocks as the file system does.
 * Fails by Criterion's assertions. */
#pragma once

#include "core/config/config.h"
#include "core/config/schema.h"

/* The .init and .fini of a suite. */
void files_begin(void);
void files_end(void);

/* Valid until the next call. */
const char *files_path(const char *name);
void files_write(const char *name, const char *text);

/* Just these, each "LINE:COLUMN part of the sentence", up to NULL; `text` is for what is told. */
void files_mistakes(const struct config_mistakes *mistakes, const char *text, const char *const *wanted);

/* docs/NAME shows a line for each row of the schema, in order, and no more. */
void files_manual(const struct config_schema *schema, const char *name);
