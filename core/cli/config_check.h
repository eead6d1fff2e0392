/* config_check.h: the command `config check FILE`: names every mistake of a configuration file.
 * Owner: the main thread; called once, by cli_main.
 * Starts nothing; the file is only read.
 * Blocks as reading a file does.
 * The result is the exit status of the process (see core/cli/cli.h). */
#pragma once

/* argv[0] is "check". */
int config_check_command(int argc, char **argv);
