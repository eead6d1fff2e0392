/* pub_options.h: the arguments of `pub`, read and made into a source of events.
 * Owner: the command `pub`; its thread.
 * Strings are borrowed from argv, or owned and freed by pub_options_deinit.
 * Blocks only to read --file or standard input to their end (not with --format ndjson, which is read as it
 * comes). The result is an exit status; what is wrong has been told then. */
#pragma once

#include "core/cli/source.h"

#include <roundhouse/client.h>

struct pub_options {
    const char *server;
    struct source source;
    enum rh_ack_level ack;
    double rate; /* events per second; 0 = as fast as it goes */
    bool keep_going;
    bool quiet;
    bool help; /* it has been printed, nothing else is to be done */

    /* What the source borrows. */
    const char *file_name; /* NULL = none, "-" = standard input */
    int file;              /* owns unless it is standard input; -1 = none */
    uint8_t *data;         /* owns */
    char id[40];           /* when none was given */
};

/* CLI_OK, or what to exit with. */
int pub_options_read(struct pub_options *options, int argc, char **argv) MUST_USE;
/* Of the file that has been opened, for people. */
const char *pub_file_name(const struct pub_options *options);
void pub_options_deinit(struct pub_options *options);
