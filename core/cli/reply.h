/* reply.h: the command `reply`: answers requests.
 * Owner: the main thread; one call in a process.
 * Speaks the native protocol by the client library; a command of the user's makes the answers, or they are
 * all the same.
 * Blocks until --count, a signal, or the end of the connection.
 * The result is the exit status; what is wrong has been told on standard error then. */
#pragma once

int reply_command(int argc, char **argv);
