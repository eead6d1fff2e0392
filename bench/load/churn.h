/* churn.h: one more connection that subscribes and unsubscribes at a fixed rate beside a measurement.
 * Owner: rig. One thread.
 * Its patterns, literal ones and wildcards in turn, match topics that are being published; KEPT of them are
 * in force at a time. What it is sent is dropped, and not part of any count.
 * Nothing blocks: a socket without room makes it late, and `done` tells how far it came.
 * A closed connection ends the program. */
#pragma once

#include "bench/load/net.h"

struct churn {
    const struct options *options;
    struct party who;
    int fd;
    uint64_t begin_ns;
    uint64_t done;        /* subscribes sent; as many unsubscribes, but for the last KEPT */
    struct buffer unsent; /* owns */
};

#define CHURN_KEPT 500u

struct churn *churn_open(const struct options *options);
void churn_turn(struct churn *churn);
