/* world.h: a bridge in a test: a router, a port to it, and what comes out of the router again.
 * Owner: the test. Thread: the test's, which runs the loop while it waits.
 * Every event that is published on topics of `patterns` is kept, as a line "TOPIC JSON".
 * Blocks in bridge_await, for a minute at most.
 * Fails the running Criterion test. */
#pragma once

#include "tests/unit/core/bridge/router.h"

#include "codecs/event/bytes.h"

#include <stdint.h>

struct port;

struct bridge_world {
    struct router router;
    struct event_base *base;
    struct port *port;
    char **lines; /* in the order in which they came; NULL behind the last */
    unsigned count;
};

void bridge_start(struct bridge_world *world);
void bridge_stop(struct bridge_world *world);
/* Until so many events have come. */
void bridge_await(struct bridge_world *world, unsigned count);
/* The line of the event with this number, from 0. */
const char *bridge_line(const struct bridge_world *world, unsigned number);
/* The executable of this build, for mappings. */
const char *bridge_executable(void);
/* Runs the loop once, for at most so long. */
void bridge_turn(struct event_base *base, unsigned ms);
