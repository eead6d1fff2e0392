/* serve.h: the command `serve`: the router itself, in the foreground.
 * Owner: the main thread; called once, by cli_main.
 * Starts the other threads and joins them before it returns.
 * Blocks until SIGINT, SIGTERM or SIGHUP, and then for the time of the drain.
 * The result is the exit status of the process (see core/cli/cli.h). */
#pragma once

/* argv[0] is "serve". */
int serve_command(int argc, char **argv);
