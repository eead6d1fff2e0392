/* jq_process.h: starts and ends the process of a jq program: our own executable with a command of its own, no
 * environment, and no open file but one end of a socket pair.
 * Owner: jq.c, which has one of these for each program.
 * Thread: any; the process ends with the thread that has started it.
 * Blocks: ending one waits until the kernel has taken it down.
 * Fails by a negative errno; nothing is left behind then. */
#pragma once

#include "core/base/check.h"

#include <sys/types.h>

struct jq_process {
    pid_t pid;  /* 0: there is none */
    int socket; /* ours, not blocking */
};

/* `executable` NULL: this one. `name` is only to be seen in lists of processes. */
int jq_process_start(struct jq_process *process, const char *executable, const char *name) MUST_USE;
/* Kills it if need be. Returns what waitpid says of its end, or -1 when that is not known. */
int jq_process_end(struct jq_process *process);
