#include "bench/micro/pair.h"

#include "bench/micro/bench.h"

#include <errno.h>

static cpu_set_t all; /* processors of this process as it began */

/* The calling thread runs on the n-th of the processors; where there are fewer it is left free. */
static void pin(uint32_t n) {
    cpu_set_t one;
    if ((uint32_t)CPU_COUNT(&all) <= n) {
        bench_must(-pthread_setaffinity_np(pthread_self(), sizeof all, &all), "unpinning");
        return;
    }
    CPU_ZERO(&one);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && n-- == 0)
            CPU_SET(cpu, &one);
    bench_must(-pthread_setaffinity_np(pthread_self(), sizeof one, &one), "pinning");
}

void pair_begin(void) {
    CPU_ZERO(&all);
    bench_must(sched_getaffinity(0, sizeof all, &all) != 0 ? -errno : 0, "the set of processors");
    pin(0);
}

uint32_t pair_cpus(void) {
    return (uint32_t)CPU_COUNT(&all);
}

struct start {
    struct pair *pair;
    uint32_t which;
};

static void *pair_main(void *user) {
    struct start *start = user;
    struct pair *pair = start->pair;
    pin(start->which);
    pthread_barrier_wait(&pair->barrier); /* `start` is not used any more */
    for (;;) {
        pthread_barrier_wait(&pair->barrier);
        if (pair->ends)
            return NULL;
        uint64_t began_ns = bench_thread_ns();
        counter_add(&pair->running, 1);
        pair->body(pair->context);
        pair->cpu_ns = bench_thread_ns() - began_ns;
        counter_add(&pair->finished, 1);
        pthread_barrier_wait(&pair->barrier);
    }
}

void pair_start(struct pair *pair, uint32_t which, void (*body)(void *context), void *context) {
    *pair = (struct pair){.body = body, .context = context};
    struct start start = {.pair = pair, .which = which};
    bench_must(pthread_barrier_init(&pair->barrier, NULL, 2) != 0 ? -EAGAIN : 0, "a barrier");
    bench_must(-pthread_create(&pair->thread, NULL, pair_main, &start), "a thread");
    pthread_barrier_wait(&pair->barrier);
}

void pair_go(struct pair *pair) {
    uint32_t turns = 0;
    pair->begun++;
    pthread_barrier_wait(&pair->barrier);
    while (counter_get(&pair->running) != pair->begun)
        pair_pause(&turns);
}

void pair_wait(struct pair *pair) {
    uint32_t turns = 0;
    while (counter_get(&pair->finished) != pair->begun)
        pair_pause(&turns);
    pthread_barrier_wait(&pair->barrier); /* the order that a relaxed counter does not give */
}

void pair_stop(struct pair *pair) {
    pair->ends = true;
    pthread_barrier_wait(&pair->barrier);
    pthread_join(pair->thread, NULL);
    pthread_barrier_destroy(&pair->barrier);
}
