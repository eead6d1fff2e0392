/* convert.h: `roundhouse convert`: documents of any format in, canonical events out, without a server.
 * Owner: the main thread.
 * Blocks while files are read and lines are written.
 * The result is the exit status of the process: CLI_DATA if a message was refused or a file is none.
 * What is refused is told on standard error and left out. */
#pragma once

int convert_command(int argc, char **argv);
