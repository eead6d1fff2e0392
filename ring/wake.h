/* wake.h: how a thread sleeps without losing news, and how others wake it; cheap when it is awake.
 * Owner: the sleeping thread makes it; anyone may call wake_signal.
 * Thread: as each group below says. Sleeper: announce, look again, sleep. Waker: publish, then signal.
 * Nothing blocks: wake_signal does one non-blocking eventfd write at most, wake_drain one such read.
 * Only wake_init can fail (negative errno). The argument is in wake.c, the models are in tests/models. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stdint.h>

/* Fields are private to wake.c, except that the sleeper polls `bell` and metrics read the counters. */
struct wake {
    /* written by the sleeper and by wakers */
    uint32_t state __attribute__((aligned(64)));
    /* written once */
    int bell __attribute__((aligned(64))); /* eventfd, non-blocking; polled by the sleeper, then drained */
    /* written by wakers, any thread */
    uint64_t sent __attribute__((aligned(64))); /* bells rung; counter */
    uint64_t elided; /* signals that found the sleeper awake; counter (two wakers may lose one) */
};

int wake_init(struct wake *wake) MUST_USE; /* -errno of eventfd */
void wake_deinit(struct wake *wake);       /* zeroed memory is accepted (bell 0 is taken as "none") */

/* Sleeper only. */
/* Then look for work once more: if there is some, wake_resume, else sleep on the bell, then wake_resume. */
void wake_announce(struct wake *wake);
void wake_resume(struct wake *wake); /* awake again, for whatever reason; cheap */
void wake_drain(struct wake *wake);  /* takes the bell's count after it became readable */

/* For metrics, anyone: bells rung, and signals that found the sleeper awake. */
uint64_t wake_sent(const struct wake *wake);
uint64_t wake_elided(const struct wake *wake);

/* Anyone, after publishing. Rings at most once per sleep. */
void wake_signal(struct wake *wake);

/* WANTED: the same protocol in the other direction, for one who waits for space or acknowledgement (many
 * wanters' own words, one mover). Wanter: wanted_set (store, full fence), look again. Mover: move (gate,
 * consumed), then wanted_take (full fence, load). */
struct wanted {
    uint32_t word;
};
void wanted_set(struct wanted *wanted);
bool wanted_take(struct wanted *wanted); /* true once after a set; the mover then signals the wanter's wake */
bool wanted_waits(const struct wanted *wanted); /* wanter only: still set, so nobody has moved since */
void wanted_drop(struct wanted *wanted);        /* wanter only: does not wait any more */
