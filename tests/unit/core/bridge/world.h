/* world.h: a bridge in a test: a router, a port to it, and what comes out of the router again.
 * Owner: the test. Thread: the test's, which runs the loop while it waits.
 * Every event that is published on topics of `patterns` is kept, as a line "TOPIC JSON".
 * Blocks in world_await, for a minute at most.
 * Fails the running Criterion test. */
#pragma once

#include "tests/unit/core/bridge/router.h"

#include "codecs/event/bytes.h"

#include <stdint.h>

struct port;

struct world {
    struct router router;
    struct event_base *base;
    struct port *port;
    char **lines; /* in the order in which they came; NULL behind the last */
    unsigned count;
};

void world_start(struct world *world);
void world_stop(struct world *world);
/* Until so many events have come. */
void world_await(struct world *world, unsigned count);
/* The line of the event with this number, from 0. */
const char *world_line(const struct world *world, unsigned number);
/* The executable of this build, for mappings. */
const char *world_executable(void);
/* Runs the loop once, for at most so long. */
void world_turn(struct event_base *base, unsigned ms);
