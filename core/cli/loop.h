/* loop.h: how the commands that listen wait: for the client library, for whatever else they have, and for the
 * signals that end them.
 * Owner: the main thread.
 * SIGINT and SIGTERM arrive only while waiting, so none is missed between looking and waiting.
 * loop_wait and loop_flush block until something is there.
 * What fails is told on standard error. */
#pragma once

#include "core/cli/out.h"
#include "core/cli/said.h"

#include <roundhouse/client.h>

#include <poll.h>
#include <signal.h>

extern volatile sig_atomic_t loop_signalled; /* the signal that has come; 0 = none */

/* The signal mask for waiting. SIGPIPE is ignored from here on. */
void loop_catch_signals(sigset_t *while_waiting);

/* Waits for the client, for `others`, whose revents are filled in, and at most `most_ms` (-1 = no limit). */
#define LOOP_OTHERS_MAX 4u
void loop_wait(rh_client *client, struct pollfd *others, size_t count, int most_ms,
               const sigset_t *while_waiting);

enum loop_flushed { LOOP_FLUSHED, LOOP_NO_READER, LOOP_FAILED };
/* Gives what was printed to whoever reads. LOOP_NO_READER: nobody does any more, or a signal has come. */
enum loop_flushed loop_flush(struct out *out, const char *command, const sigset_t *while_waiting);

/* Tells a Gap on standard error. */
void loop_tell_gap(const rh_gap *gap);

/* What a command knows of its connection. */
struct loop_link {
    const char *command;
    struct said said; /* why it is away */
    bool connected_once;
    int status; /* CLI_UNAVAILABLE when the first try has failed */
};
/* For on_state: a connection that is lost is told once, and one that never came about is an end. */
void loop_link_state(struct loop_link *link, enum rh_state state, const char *why);
/* The last messages reach the router before we leave. */
void loop_farewell(rh_client *client);
/* Ends the process by the signal that has come, as whoever has sent it expects; returns when there is none.
 */
void loop_raise(void);
