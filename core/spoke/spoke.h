/* spoke.h: a running spoke: one connected system on a thread and an event loop of its own, so that nothing of
 * it can slow another one, or the router.
 * Owner: the manager (spokes.h) starts and stops it; counters and state may be read by any thread.
 * Its queue at the router is spoke.NAME: what it has not delivered waits there, also while there is no spoke,
 * and from the first start on, whether that works or not.
 * Blocks: spoke_join, until the thread has ended: at most SPOKE_STOP_NS and what a mapping takes to end.
 * Fails only for want of memory or threads. What can not be reached is tried again, with growing pauses, and
 * told once. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/bridge/counters.h"
#include "core/bridge/spoke_counters.h"
#include "core/spoke/spec.h"

#include <stdbool.h>
#include <stdint.h>

#define SPOKE_STOP_NS     (5u * NS_PER_S) /* what is on its way has so long to be settled */
#define SPOKE_PAUSE_FIRST 1u /* seconds before a spoke that could not start tries again; doubles */
#define SPOKE_PAUSE_MOST  60u
#define SPOKE_ERROR_BYTES 300u

struct spoke;

/* What all spokes have in common; borrowed for their lives. */
struct spoke_world {
    const char *server;    /* "HOST:PORT" of the router's native listener */
    bool journal;          /* the router has one */
    uint64_t frame_bytes;  /* what it takes: limits.frame; 0: the default */
    const char *state_dir; /* a directory of each spoke lies in it; NULL: they keep nothing */
};

enum spoke_state { SPOKE_STARTING, SPOKE_RUNNING, SPOKE_WAITING, SPOKE_STOPPING };

/* All is borrowed for its life. NULL: errno says why. */
struct spoke *spoke_start(const struct spoke_spec *spec, const struct spoke_world *world,
                          struct inbound_counters *in) MUST_USE;
/* Tells it to end in order: nothing new is begun. */
void spoke_stop(struct spoke *spoke);
/* Waits for that; its counters can still be read. */
void spoke_join(struct spoke *spoke);
/* After spoke_join. */
void spoke_free(struct spoke *spoke);

const struct spoke_counters *spoke_counters(const struct spoke *spoke);
const char *spoke_state_name(uint64_t state);
/* What it could not do last; "" when all is well. Returns out. */
const char *spoke_error(struct spoke *spoke, char out[static SPOKE_ERROR_BYTES]);
