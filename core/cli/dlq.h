/* dlq.h: the command `dlq`: lists, shows, sends again and drops dead letters.
 * Owner: the main thread; one call in a process.
 * Dead letters lie on the topic $dlq.QUEUE. What has been sent again or dropped is remembered by the router,
 * in the queue dlq.QUEUE, which this command joins. Blocks until it has seen them all, or a signal comes. The
 * result is the exit status; what is wrong has been told on standard error then. */
#pragma once

int dlq_command(int argc, char **argv);
