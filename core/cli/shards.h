/* shards.h: the command `shards`: what each shard carries, and a better map of slots.
 * Owner: the main thread.
 * Asks the admin plane of a router twice, some time apart, for rates.
 * Blocks for that time, and until the router has answered.
 * The result is an exit status; what is wrong has been said then. */
#pragma once

int shards_command(int argc, char **argv);
