/* config.h: the command `config`: check a file, show what a router runs with, compare and apply a file.
 * Owner: the main thread.
 * `check` starts nothing and asks nobody; the others ask the admin plane of a router that runs.
 * Blocks until the router has answered: as long as a change takes.
 * The result is an exit status; what is wrong has been said then. */
#pragma once

#include "core/cli/ask.h"

int config_command(int argc, char **argv);

/* YAML that a command has made itself, over what runs: prints what changes, as `config apply --partial`. */
int config_partial_apply(const struct ask *ask, const char *text, size_t length);
