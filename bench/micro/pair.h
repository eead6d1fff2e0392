/* pair.h: a second thread for a bench, on a processor of its own where there are two.
 * Owner: the bench that starts it; it stays for all samples, so that no sample pays for making it.
 * Thread: pair_start, pair_go, pair_wait and pair_stop from the main thread; the body runs in the other.
 * Blocks: pair_wait until the body has returned, spinning and yielding.
 * Fails only in pair_start: the program ends with a message. */
#pragma once

#include "ring/counter.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct pair {
    void (*body)(void *context); /* once for each pair_go */
    void *context;
    pthread_t thread;
    pthread_barrier_t barrier;
    bool ends;
    struct counter running __attribute__((aligned(64))); /* bodies begun, written by the other thread */
    struct counter finished;                             /* bodies that have returned */
    uint64_t begun;                                      /* by pair_go */
    uint64_t cpu_ns; /* processor time of the last body; read after pair_wait */
};

/* Once, first of all: the main thread stays on the first of the processors that the process may use. */
void pair_begin(void);
uint32_t pair_cpus(void); /* how many these are */
/* `which` processor of those the other thread runs on: 1 for the first pair of a bench, 2 for the second; the
 * main thread has the first. */
void pair_start(struct pair *pair, uint32_t which, void (*body)(void *context), void *context);
/* Returns when the body is about to begin. */
void pair_go(struct pair *pair);
/* Until the body has returned. What it wrote can be read. */
void pair_wait(struct pair *pair);
void pair_stop(struct pair *pair);

/* In a loop that looks for something: gives the processor away now and then, because there may be only one.
 */
static inline void pair_pause(uint32_t *turns) {
    if (++*turns % 512 == 0)
        sched_yield();
    else
        __builtin_ia32_pause();
}
