/* sub.h: the command `sub`: prints the events of some patterns as they come.
 * Owner: the main thread; called once, by cli_main.
 * One thread, one connection, by the client library.
 * Blocks until --count events came, a signal ends it, or nobody reads its output any more.
 * The result is the exit status of the process (see core/cli/cli.h). */
#pragma once

/* argv[0] is "sub". */
int sub_command(int argc, char **argv);
