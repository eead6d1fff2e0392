/* routes.h: the command `roundhouse routes`: checks files of rules and tries them, without a router.
 * Owner: the main thread.
 * Standard output has what came out, standard error what is wrong.
 * Blocks to read the files and to evaluate the rules.
 * The result is an exit status of enum cli_exit. */
#pragma once

int routes_command(int argc, char **argv);
