/* rig.h: all connections of one measurement, the poller over them, and the verified end that every mode has.
 * Owner: the mode that runs. One thread.
 * A turn takes what the poller tells; the mode decides what is sent.
 * rig_turn waits for at most its time; rig_finish runs to the end of everything that is on its way.
 * No progress within the stall time ends the program and says who lacks how many deliveries. */
#pragma once

#include "bench/load/churn.h"
#include "bench/load/publisher.h"
#include "bench/load/receiver.h"

struct rig {
    const struct options *options;
    const struct plan *plan;
    struct publisher *publishers; /* owns */
    struct receiver *receivers;   /* owns */
    struct churn *churn;          /* owns; NULL = none */
    int poller;
    bool deaf; /* paced: subscribers are not read at the moment */
    /* What is done with a readable subscriber; receiver_read unless a mode says otherwise. */
    void (*read)(void *owner, struct receiver *receiver);
    void *owner;
    uint64_t progress_mark, progress_ns;
    uint64_t sent_frames; /* set by rig_finish: of all publishers */
};

void rig_open(struct rig *rig, const struct plan *plan);

/* Takes what is ready, waiting up to timeout_ms for something. */
/* Returns how many connections had something to say. */
int rig_turn(struct rig *rig, int timeout_ms);

/* Stops the publishers, waits for the last delivery, proves that nothing else comes; then publishes some
 * more, every byte of which is compared at every subscriber, and proves it again. */
void rig_finish(struct rig *rig);

/* Deliveries received by all subscribers so far, in bytes. */
uint64_t rig_received(const struct rig *rig);

/* Events of all publishers that are acknowledged so far. */
uint64_t rig_acknowledged(const struct rig *rig);

/* What was verified in all, for the report. */
uint64_t rig_deliveries(const struct rig *rig);
uint64_t rig_compared_bytes(const struct rig *rig);
