/* ring_stress.h: what all ring stress programs share: threads that start together, contents, sleep, timings.
 * Owner: the program that includes it.
 * Threads: as many as the program asks for; any of them may call any function.
 * Blocks: stress_sleep until its bell rings; the rest spins and yields.
 * Fails by STRESS: one line on standard error and exit status 1, from whichever thread sees it first. */
#pragma once

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "ring/wake.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRESS(cond, ...)                                                                                    \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                  \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fputc('\n', stderr);                                                                             \
            _Exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* ThreadSanitizer makes everything about twenty times slower, and needs less of it: it sees orders, not
 * luck. */
#ifdef RH_TSAN
#define STRESS_SHARE 20u
#else
#define STRESS_SHARE 1u
#endif
#define STRESS_PATIENCE_MS                                                                                   \
    10000 /* a bell that has not rung for so long, with somebody running, will not ring */
#define STRESS_THREADS_MAX 8u

/* How many operations: `base` times the factor in argv[1]. */
static inline uint64_t stress_count(int argc, char **argv, uint64_t base) {
    double factor = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    STRESS(factor > 0 && factor < 1e6, "usage: %s [factor]", argv[0]);
    return (uint64_t)((double)(base / STRESS_SHARE) * factor) + 1;
}

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014): neighbours become unrelated. */
static inline uint64_t stress_mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint64_t stress_random(uint64_t *state) {
    return stress_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* Contents that only `key` can have: a record of another position never passes for this one. */
static inline void stress_fill(uint8_t *out, uint32_t length, uint64_t key) {
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word = stress_mix(key + at);
        memcpy(out + at, &word, length - at < 8 ? length - at : 8);
    }
}

static inline bool stress_same(const uint8_t *bytes, uint32_t length, uint64_t key) {
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word = stress_mix(key + at);
        if (memcmp(bytes + at, &word, length - at < 8 ? length - at : 8) != 0)
            return false;
    }
    return true;
}

/* Gives the processor away now and then: there may be fewer of them than threads. */
static inline void stress_pause(uint32_t *turns) {
    if (++*turns % 256 == 0)
        sched_yield();
    else
        __builtin_ia32_pause();
}

static inline void stress_delay(uint64_t turns) {
    for (uint64_t i = 0; i < turns; i++)
        __builtin_ia32_pause();
}

/* After wake_announce and a look that found nothing. */
static inline void stress_sleep(struct wake *wake) {
    struct pollfd bell = {.fd = wake->bell, .events = POLLIN};
    STRESS(poll(&bell, 1, STRESS_PATIENCE_MS) == 1, "lost a wake: slept through it");
    wake_drain(wake);
    wake_resume(wake);
}

struct stress_thread {
    void (*body)(void *);
    void *context;
    pthread_barrier_t *start;
    pthread_t id;
};

static inline void *stress_main(void *argument) {
    struct stress_thread *thread = argument;
    pthread_barrier_wait(thread->start);
    thread->body(thread->context);
    return NULL;
}

/* Runs the bodies at the same time, one thread each, and waits for all; nanoseconds from the common start. */
static inline uint64_t stress_run(void *context, uint32_t count, void (*const bodies[])(void *)) {
    struct stress_thread threads[STRESS_THREADS_MAX];
    pthread_barrier_t start;
    STRESS(count <= STRESS_THREADS_MAX && pthread_barrier_init(&start, NULL, count + 1) == 0, "no barrier");
    for (uint32_t i = 0; i < count; i++) {
        threads[i] = (struct stress_thread){.body = bodies[i], .context = context, .start = &start};
        STRESS(pthread_create(&threads[i].id, NULL, stress_main, &threads[i]) == 0, "no thread");
    }
    pthread_barrier_wait(&start);
    uint64_t began = clock_mono_ns();
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i].id, NULL);
    pthread_barrier_destroy(&start);
    return clock_mono_ns() - began;
}

static inline void stress_report(const char *name, uint64_t count, uint64_t elapsed_ns) {
    printf("%-44s %10lu  %6.2f s  %8.1f ns each\n", name, (unsigned long)count, (double)elapsed_ns / 1e9,
           (double)elapsed_ns / (double)count);
    fflush(stdout);
}
