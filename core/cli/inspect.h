/* inspect.h: `roundhouse inspect`: the outline of a document, with all that is wrong with it.
 * Owner: the main thread.
 * Blocks while files are read and lines are written.
 * The result is the exit status of the process: CLI_DATA if a rule is broken that is not tolerated.
 * It reads on behind whatever it finds. */
#pragma once

int inspect_command(int argc, char **argv);
