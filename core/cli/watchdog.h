/* watchdog.h: proves to the service manager, again and again, that every shard turns: it wakes each worker,
 * sees that each has made a turn since, and only then sends WATCHDOG=1. A worker that hangs, in a loop or in
 * the kernel, ends the proofs, and the manager starts the router again. Owner: the command `serve`. A thread
 * of its own, only where WATCHDOG_USEC asks for it; between watchdog_start and watchdog_stop the shards must
 * not be destroyed. Nothing blocks but watchdog_stop, for as long as the thread needs to end: no time to
 * speak of. Fails by negative errno, when the thread can not be started. */
#pragma once

#include "core/base/check.h"
#include "core/shard/shard.h"

struct watchdog;

/* *out is NULL, and the result 0, where nobody asks for proofs. */
int watchdog_start(struct watchdog **out, const struct shards *shards) MUST_USE;
void watchdog_stop(struct watchdog *watchdog); /* accepts NULL */
