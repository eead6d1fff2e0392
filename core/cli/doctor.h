/* doctor.h: the command `doctor`: what a router would find on this machine, and what to do about it.
 * Owner: the main thread.
 * Reads the config as `serve` does; a router that answers on the admin address is asked what it runs with.
 * Blocks for the writes that measure the journal's disk (2 s at most) and for that answer (as long).
 * Returns the exit status that `serve` would end with, CLI_OK when it would start. */
#pragma once

int doctor_command(int argc, char **argv);
