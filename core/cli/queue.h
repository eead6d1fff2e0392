/* queue.h: the command `queue`: ends queues and mailboxes for good.
 * Owner: the main thread.
 * argv[0] is the command's name.
 * Blocks until the router has answered.
 * Returns an exit status of cli.h. */
#pragma once

int queue_command(int argc, char **argv);
