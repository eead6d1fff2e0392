/* cli.h: the command line: finds the command that was asked for and runs it.
 * Owner: the main thread; called once, by main.
 * Each command is a file of its own: serve, pub, sub, config_check; version and help are here.
 * Blocks as long as the command runs.
 * The result is the exit status of the process, one of enum cli_exit. */
#pragma once

/* The closed list of exit statuses, the same for every command. */
enum cli_exit {
    CLI_OK = 0,
    CLI_USAGE = 64,       /* an unknown command or option, or a value that can not be read */
    CLI_DATA = 65,        /* the data is bad, or the server refused it */
    CLI_UNAVAILABLE = 69, /* the server can not be reached, or went away */
    CLI_INTERNAL = 70,    /* out of memory, a failed write: not the user's fault */
    CLI_CONFIG = 78,      /* a mistake in the configuration file */
};

/* Runs the command named in argv[1]. Commands get argv from their own name on: argv[0] is "pub". */
int cli_main(int argc, char **argv);
