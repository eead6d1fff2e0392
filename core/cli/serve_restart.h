/* serve_restart.h: the router restarts in place.
 * SIGUSR2 ends it as SIGTERM does; then the program that is installed now takes over its process, its
 * options and its listening sockets.
 * Owner: the command `serve`, its main thread only.
 * serve_restart_check blocks while the new program reads the options and the config, for 10 seconds at most.
 * Fails by false, or by an exit status; what is wrong has been said then. */
#pragma once

#include "core/base/check.h"
#include "core/cli/handover.h"

#include <limits.h>
#include <stdbool.h>

#define SERVE_ARGUMENTS_MAX 128u

struct serve_restart {
    char program[PATH_MAX];                 /* "" = it can not be known, and there is no restart in place */
    char *argv[SERVE_ARGUMENTS_MAX + 2];    /* borrowed: the program, `serve` and its arguments; then NULL, */
    char *checked[SERVE_ARGUMENTS_MAX + 3]; /* and the same with --check */
};

/* At the start: a program that is replaced later has no name any more. `argv` is that of `serve`. */
void serve_restart_init(struct serve_restart *restart, int argc, char **argv);

/* Asks the program that is installed now whether it would start. */
bool serve_restart_check(struct serve_restart *restart) MUST_USE;

/* When everything has ended. Returns only when it fails. */
int serve_restart_go(struct serve_restart *restart, struct handover *handover);
