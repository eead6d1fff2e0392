/* pub.h: the command `pub`: publishes events from an argument, a file, standard input or lines of JSON.
 * Owner: the main thread; called once, by cli_main.
 * One thread, one connection, by the client library.
 * Blocks until everything is acknowledged, refused, or the server is gone.
 * The result is the exit status of the process (see core/cli/cli.h). */
#pragma once

/* argv[0] is "pub". */
int pub_command(int argc, char **argv);
