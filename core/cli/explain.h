/* explain.h: `roundhouse explain`: who would get an event, and who would not, and why.
 * Owner: main; one thread.
 * Asks the admin plane of a router that runs, and delivers nothing.
 * Blocks until the answer is there.
 * Returns an exit status of cli.h. */
#pragma once

int explain_command(int argc, char **argv);
