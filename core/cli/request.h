/* request.h: the command `request`: asks one question and prints the reply.
 * Owner: the main thread; one call in a process.
 * Speaks the native protocol by the client library.
 * Blocks until the reply, the deadline or a signal.
 * The result is the exit status; what is wrong has been told on standard error then. */
#pragma once

int request_command(int argc, char **argv);
