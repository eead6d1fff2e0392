/* trace.h: `roundhouse trace`: the next events of a pattern, followed on their way through a router that
 * runs. Owner: main; one thread. Asks the admin plane; nothing is delivered that would not be. Blocks until
 * so many events have come, or the time is over. Returns an exit status of cli.h. */
#pragma once

int trace_command(int argc, char **argv);
