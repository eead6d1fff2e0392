/* trace.h: `roundhouse trace`: the next events of a pattern, followed on their way through a running router.
 * Owner: main; one thread.
 * Asks the admin plane; nobody gets anything more, less or later because of it.
 * Blocks until so many events have come, or the time is over.
 * Returns an exit status of cli.h; what is wrong has been told on standard error. */
#pragma once

int trace_command(int argc, char **argv);
