/* documents.h: what `convert` and `inspect` share: files in, what a partner may do wrong, findings as lines.
 * Owner: the main thread.
 * Blocks while files are read.
 * A mistake in the arguments is told at once and is CLI_USAGE; in a map or layout of the user's, CLI_CONFIG.
 * A file that can not be read is CLI_DATA: the others are read all the same. */
#pragma once

#include "core/bridge/formats.h"
#include "core/cli/json_in.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

struct documents {
    const char *command;
    struct formats *formats; /* owns */
    struct profile profile;
    struct json_in *json; /* borrowed: who reads JSON */
    const char *file;     /* that is read now: for lines about it */
    int status;           /* enum cli_exit of what has been read so far */
};

/* The options of both, for the usage texts and for getopt_long. */
#define DOCUMENTS_USAGE                                                                                      \
    "  --tolerate RULE[,RULE...]  what the partner may do wrong: the names that findings have, such as\n"    \
    "                        edifact.count-differs; a broken rule is a warning then. May be given again\n"   \
    "  --lenient             the partner may break every rule that one can go on from\n"                     \
    "  --charset NAME        of files that name none, or name another one than they use\n"                   \
    "  --csv DIALECT         the files are CSV, as this file of yours says; see LAYOUTS.md\n"                \
    "  --fixed LAYOUT        the files are records of fixed width, as this file of yours says; see "         \
    "LAYOUTS.md\n"                                                                                           \
    "  --map FILE            a map of your own, which goes before those that are built in; see MAPPING.md\n" \
    "  --layout FILE         a layout of IDoc segments of your own; see LAYOUTS.md\n"
/* clang-format off */
enum documents_option {
    DOCUMENTS_TOLERATE = 256, DOCUMENTS_LENIENT, DOCUMENTS_CHARSET,
    DOCUMENTS_MAP, DOCUMENTS_LAYOUT, DOCUMENTS_CSV, DOCUMENTS_FIXED, /* these have a file */
    DOCUMENTS_NEXT
};
#define DOCUMENTS_OPTIONS \
    {"tolerate", required_argument, NULL, DOCUMENTS_TOLERATE}, \
    {"lenient", no_argument, NULL, DOCUMENTS_LENIENT}, \
    {"charset", required_argument, NULL, DOCUMENTS_CHARSET}, \
    {"csv", required_argument, NULL, DOCUMENTS_CSV}, \
    {"fixed", required_argument, NULL, DOCUMENTS_FIXED}, \
    {"map", required_argument, NULL, DOCUMENTS_MAP}, \
    {"layout", required_argument, NULL, DOCUMENTS_LAYOUT}
/* clang-format on */

/* CLI_OK, or what the command ends with after it was told. */
int documents_init(struct documents *documents, const char *command) MUST_USE;
void documents_deinit(struct documents *documents);
/* One of the options above. */
int documents_option(struct documents *documents, int option, char *value) MUST_USE;
/* After the options, before the first file. */
int documents_ready(struct documents *documents) MUST_USE;

/* Reads a file ("-": standard input) to its end; the status says what was wrong with it as a file. `format`
 * (may be NULL) gets what it was. False: no byte of it could be read. */
bool documents_read(struct documents *documents, const char *path, const struct document_sink *sink,
                    const char **format);

/* The SHA-256 of a file that can be read twice. False: it can not, or not at all. */
bool documents_digest(const char *path, uint8_t digest[32]);

/* The whole text of a file, which the caller frees; NULL after it was told. */
char *documents_text(const struct documents *documents, const char *path, size_t *length);

/* "FILE:LINE: error edifact.count-differs: ...", with all that is known of its place. */
void documents_finding(const struct documents *documents, const struct finding *finding, FILE *out);
