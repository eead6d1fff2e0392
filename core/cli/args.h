/* args.h: what the commands share when they read their arguments.
 * Owner: the main thread.
 * Pure functions but for what they print on standard error.
 * Nothing blocks.
 * A mistake is one sentence that begins with the command and says what to write instead. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stdint.h>

/* Prints "roundhouse COMMAND: SENTENCE" and returns CLI_USAGE. */
int args_mistake(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For getopt_long's '?' and ':' (with opterr = 0 and a leading ':' in the option string): names the option
 * that is unknown or lacks its value. */
int args_option_mistake(const char *command, int result, char *const *argv);

struct option;
/* What a command does with an option and its value (NULL: it has none): CLI_OK, or the exit status after it
 * was told. */
typedef int args_take(void *run, int option, const char *value);
/* Reads the options of a command; `usage` is printed for --help (the option 'h', which also is -h). CLI_OK:
 * go on, the arguments begin at optind. -1: the help was printed. Else the exit status, which was told. */
int args_options(const char *command, const char *usage, const struct option *options, int argc, char **argv,
                 args_take *take, void *run);

/* After rh_client_new has failed: says why, and returns the exit status. `server` NULL = the default. */
int args_no_client(const char *command, const char *server, const char *error);

/* A decimal number from least to most, nothing around it. */
bool args_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
/* "100", "2.5" or "100/s": events per second, over 0. */
bool args_rate(const char *text, double *rate);
/* "500ms", "30s", "1.5h": in us, ms, s, m, h; over 0. */
bool args_duration(const char *text, uint64_t *ns);
