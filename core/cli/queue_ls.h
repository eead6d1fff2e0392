/* queue_ls.h: what waits in the queues and mailboxes of a running router, as its admin plane tells it.
 * Owner: the command `queue`, of which this is one word.
 * One thread, that of the command.
 * Blocks until the router has answered (core/cli/ask.h).
 * Fails by an exit status, after standard error was told. */
#pragma once

/* `argv[0]` is "ls"; `usage` is that of the command. */
int queue_ls(const char *usage, int argc, char **argv);
