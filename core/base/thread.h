/* thread.h: starting a thread that is no worker: it has a name, and signals are for the main thread.
 * Owner: whoever starts it joins it.
 * Any thread may call.
 * Nothing blocks.
 * Fails by negative errno; then there is no thread. */
#pragma once

#include "core/base/check.h"

#include <pthread.h>

/* Of the name the first 15 bytes are kept. All signals are blocked in it; SIGPIPE, too. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *user), void *user) MUST_USE;
