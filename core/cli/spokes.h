/* spokes.h: the command `spokes`: apply, list, check and test the files of connected systems.
 * Owner: the main thread; called once.
 * apply and ls ask the admin plane of a router that runs; check and test need none.
 * Blocks until that is done.
 * The result is the exit status of the process, one of enum cli_exit. */
#pragma once

int spokes_command(int argc, char **argv);
