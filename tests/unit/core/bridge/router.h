/* router.h: a router of this very build for tests of what is a client of it.
 * Owner: the test; the router ends with router_stop, or with the test's process.
 * Thread: the test's. It runs as a program of its own, on a free port of the loopback, in a new directory.
 * Blocks until it is ready, or has ended; a minute at most, then the test fails.
 * Fails the running Criterion test. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event_base;

struct router {
    pid_t pid;
    char address[64]; /* "127.0.0.1:PORT" */
    char folder[32];
};

/* The executable of the build that this test belongs to. */
void router_binary(char *path, size_t bytes);

/* `config` is what stands in its configuration beside its addresses; with `journal` it keeps topics on disk,
 * as `config` says. */
void router_start(struct router *router, const char *config, bool journal);
/* Ends it by kill -9, and starts it at the same address with the same journal. */
void router_restart(struct router *router, const char *config, bool journal);
/* Ends it, and takes its directory away. */
void router_stop(struct router *router);

/* Runs the loop until *what is at least `count`; fails when that takes more than a minute. */
void router_await(struct event_base *base, const unsigned *what, unsigned count);
