/* ring/wake.c: what a signal costs when the sleeper is awake, what it costs to ring the bell, and how long it
 * takes until the other thread runs. */
#include "ring/wake.h"

#include "bench/micro/bench.h"
#include "bench/micro/pair.h"

#include <poll.h>
#include <stdlib.h>

static void wake_elided_bench(struct bench_run *run) {
    struct wake *wake = bench_memory(sizeof *wake);
    uint64_t signals = 0;
    bench_must(wake_init(wake), "a bell");
    while (bench_more(run)) {
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++)
            wake_signal(wake);
        bench_stop(run);
        signals += run->operations;
    }
    bench_equal(run, "signals elided", wake_elided(wake), signals);
    bench_equal(run, "bells rung", wake_sent(wake), 0);
    wake_deinit(wake);
    free(wake);
}

static void wake_announce_bench(struct bench_run *run) {
    struct wake *wake = bench_memory(sizeof *wake);
    bench_must(wake_init(wake), "a bell");
    while (bench_more(run)) {
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            wake_announce(wake);
            wake_resume(wake);
        }
        bench_stop(run);
    }
    bench_equal(run, "bells rung", wake_sent(wake), 0);
    wake_deinit(wake);
    free(wake);
}

static void wake_bell_bench(struct bench_run *run) {
    struct wake *wake = bench_memory(sizeof *wake);
    uint64_t rung = 0;
    bench_must(wake_init(wake), "a bell");
    while (bench_more(run)) {
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            wake_announce(wake);
            wake_signal(wake);
            wake_drain(wake);
        }
        bench_stop(run);
        rung += run->operations;
    }
    bench_equal(run, "bells rung", wake_sent(wake), rung);
    wake_deinit(wake);
    free(wake);
}

/* ---- two threads that wake each other ---- */

struct side {
    struct wake wake;
    struct counter news; /* what the other has said; written by the other */
};

struct nap {
    struct side sides[2];
    uint64_t from, rounds;
};

/* Sleeps until the other has said `n`. */
static void side_await(struct side *side, uint64_t n) {
    while (counter_get(&side->news) < n) {
        wake_announce(&side->wake);
        if (counter_get(&side->news) < n) {
            struct pollfd bell = {.fd = side->wake.bell, .events = POLLIN};
            poll(&bell, 1, -1);
            wake_drain(&side->wake);
        }
        wake_resume(&side->wake);
    }
}

static void side_tell(struct side *other, uint64_t n) {
    counter_set(&other->news, n);
    wake_signal(&other->wake);
}

static void nap_answer(void *context) {
    struct nap *nap = context;
    for (uint64_t n = nap->from + 1; n <= nap->from + nap->rounds; n++) {
        side_await(&nap->sides[1], n);
        side_tell(&nap->sides[0], n);
    }
}

static void wake_asleep_bench(struct bench_run *run) {
    struct pair pair;
    struct nap *nap = bench_memory(sizeof *nap);
    for (int i = 0; i < 2; i++)
        bench_must(wake_init(&nap->sides[i].wake), "a bell");
    pair_start(&pair, 1, nap_answer, nap);
    while (bench_more(run)) {
        nap->rounds = run->operations;
        pair_go(&pair);
        bench_start(run);
        for (uint64_t n = nap->from + 1; n <= nap->from + nap->rounds; n++) {
            side_tell(&nap->sides[1], n);
            side_await(&nap->sides[0], n);
        }
        bench_stop(run);
        pair_wait(&pair);
        nap->from += nap->rounds;
        bench_equal(run, "rounds answered", counter_get(&nap->sides[0].news), nap->from);
    }
    pair_stop(&pair);
    for (int i = 0; i < 2; i++)
        wake_deinit(&nap->sides[i].wake);
    free(nap);
}

const struct bench bench_wake[] = {
    {.name = "wake/elided",
     .operation = "signal a thread that is awake",
     .operations_least = 1000,
     .run = wake_elided_bench},
    {.name = "wake/announce",
     .operation = "announce sleep and resume without sleeping",
     .operations_least = 1000,
     .run = wake_announce_bench},
    {.name = "wake/bell",
     .operation = "announce sleep, signal, and take the eventfd's count: the system calls of a wake",
     .operations_least = 100,
     .run = wake_bell_bench},
    {.name = "wake/asleep",
     .operation = "wake a thread that sleeps in poll, and be woken by it",
     .clock = BENCH_WALL,
     .operations_least = 100,
     .run = wake_asleep_bench},
    {0}};
