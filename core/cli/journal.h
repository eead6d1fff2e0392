/* journal.h: the commands `journal verify`, `journal export` and `journal cut`: what an operator does with a
 * journal that the router refuses, or that no router has open.
 * Owner: the main thread; called once, by cli_main.
 * Only `cut` writes, and only when the loss is accepted by name.
 * Blocks while all segments are read.
 * The result is the exit status of the process (see core/cli/cli.h). */
#pragma once

/* argv[0] is "journal". */
int journal_command(int argc, char **argv);
