/* top.h: the command `top`: shards, busiest topics and slowest subscribers, on a terminal.
 * Owner: the main thread, and with it the terminal, which it gives back as it was also when it is killed.
 * Asks the admin plane of the router each second.
 * Blocks until the user leaves; with --once for a second.
 * The result is an exit status; what is wrong has been said then. */
#pragma once

int top_command(int argc, char **argv);
