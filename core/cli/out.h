/* out.h: what a command prints: collected in memory, then written as fast as the reader takes it.
 * Owner: the command; its thread.
 * Writing waits for room with the signals of the command let in, and writes no more than what surely has
 * room: so a reader that does not read can not make the command deaf to SIGTERM.
 * out_flush blocks until all is written, the reader is gone, or a signal has come and the reader does not
 * read. Fails with negative errno; -EPIPE when nobody reads any more. */
#pragma once

#include "core/base/check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

struct out {
    int file;     /* borrows */
    FILE *stream; /* owns; where to print to */
    char *bytes;  /* owns; made by the stream */
    size_t size;
};

int out_init(struct out *out, int file) MUST_USE;
void out_deinit(struct out *out); /* takes zeroed memory, too */

/* Writes what has been printed. `while_waiting`: the signal mask for waiting; `signalled`: set by a handler
 * when the command shall end: then only what the reader takes at once is still written, and -EINTR says that
 * it was not all. */
int out_flush(struct out *out, const sigset_t *while_waiting,
              const volatile sig_atomic_t *signalled) MUST_USE;
