/* replay.h: the command `roundhouse replay`: a stretch of what is kept goes to one queue once more.
 * Owner: the main thread.
 * It lives as long as the replay: its end, by a signal too, ends the replay.
 * Blocks until the replay is over, or a signal comes.
 * The result is one of enum cli_exit. */
#pragma once

int replay_command(int argc, char **argv);
