/* config.h: the command `config`: check a file, show what a router runs with, compare and apply a file.
 * Owner: the main thread.
 * `check` starts nothing and asks nobody; the others ask the admin plane of a router that runs.
 * Blocks until the router has answered: as long as a change takes.
 * The result is an exit status; what is wrong has been said then. */
#pragma once

int config_command(int argc, char **argv);
