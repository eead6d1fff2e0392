/* jq_worker.h: the process that jq.c starts: a jq program, confined, between two ends of a socket pair.
 * It has no environment, can open no file, write none, start nothing, and ends with whoever has started it;
 * its memory and its CPU time for one input are bounded.
 * Owner: the command jq-worker of core/cli, which is not for people. One thread.
 * Blocks until its socket is closed.
 * Fails by ending: what it could not answer is for the other end to find out. */
#pragma once

/* Returns only when it was started by hand. Its arguments are for lists of processes only. */
int jq_worker_command(int argc, char **argv);
