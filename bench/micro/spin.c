/* Whether a worker that has nothing to do should look for a while before it sleeps: events come to it from
 * another thread at a fixed pace. Looking costs processor time and saves the wake. */
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "ring/spsc.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct spin {
    struct spsc *ring;
    struct wake wake;     /* of the consumer */
    uint64_t look_ns;     /* how long it looks before it sleeps */
    uint64_t events;      /* of this sample */
    uint64_t *latency_ns; /* of each, written by the consumer */
    uint64_t latencies_max;
    uint64_t sleeps; /* of this sample */
};

/* Looks for `look_ns`; whether something came. */
static bool spin_look(struct spin *spin) {
    uint64_t until = bench_wall_ns() + spin->look_ns;
    while (bench_wall_ns() < until) {
        if (spsc_pending(spin->ring))
            return true;
        __builtin_ia32_pause();
    }
    return spsc_pending(spin->ring);
}

static void spin_sleep(struct spin *spin) {
    struct pollfd bell = {.fd = spin->wake.bell, .events = POLLIN};
    wake_announce(&spin->wake);
    if (!spsc_pending(spin->ring)) {
        spin->sleeps++;
        poll(&bell, 1, -1);
        wake_drain(&spin->wake);
    }
    wake_resume(&spin->wake);
}

static void spin_consume(void *context) {
    struct spin *spin = context;
    spin->sleeps = 0;
    for (uint64_t got = 0; got < spin->events;) {
        uint32_t length;
        uint64_t sent_ns;
        const uint8_t *record = spsc_peek(spin->ring, &length);
        if (record != NULL) {
            memcpy(&sent_ns, record, sizeof sent_ns);
            spin->latency_ns[got++] = bench_wall_ns() - sent_ns;
            spsc_consume(spin->ring);
        } else if (!spin_look(spin)) {
            spin_sleep(spin);
        }
    }
}

static void spin_produce(struct spin *spin, uint64_t pace_ns) {
    uint64_t due_ns = bench_wall_ns();
    for (uint64_t i = 0; i < spin->events; i++, due_ns += pace_ns) {
        uint8_t *out;
        uint64_t now_ns;
        while ((now_ns = bench_wall_ns()) < due_ns)
            __builtin_ia32_pause();
        while (spsc_reserve(spin->ring, sizeof now_ns, &out) != RING_OK)
            sched_yield();
        memcpy(out, &now_ns, sizeof now_ns);
        spsc_commit(spin->ring, sizeof now_ns);
        spsc_publish(spin->ring);
        wake_signal(&spin->wake);
    }
}

static int compare_words(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of the latencies in their order. */
static uint64_t quantile(const struct spin *spin, uint64_t percent) {
    return spin->latency_ns[spin->events * percent / 100];
}

static void spin_room(struct spin *spin, uint64_t events) {
    if (events <= spin->latencies_max)
        return;
    free(spin->latency_ns);
    spin->latency_ns = bench_memory(events * sizeof *spin->latency_ns);
    spin->latencies_max = events;
}

/* The sum of the latencies that are no latencies: an event that came before it was sent, or not at all. */
static uint64_t spin_wrong(const struct spin *spin) {
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < spin->events; i++)
        wrong += spin->latency_ns[i] == 0 || spin->latency_ns[i] > 60 * NS_PER_S;
    return wrong;
}

static void spin_bench(struct bench_run *run) {
    struct pair pair;
    struct spin *spin = bench_memory(sizeof *spin);
    spin->look_ns = bench_value(run, "look_ns");
    bench_must(spsc_create(&spin->ring, SPSC_BYTES), "a ring");
    bench_must(wake_init(&spin->wake), "a bell");
    pair_start(&pair, 1, spin_consume, spin);
    while (bench_more(run)) {
        spin->events = run->operations;
        spin_room(spin, spin->events);
        memset(spin->latency_ns, 0, spin->events * sizeof *spin->latency_ns);
        pair_go(&pair);
        bench_start(run);
        spin_produce(spin, bench_value(run, "pace_ns"));
        pair_wait(&pair);
        bench_stop(run);
        bench_time(run, pair.cpu_ns);
        bench_equal(run, "events without a latency", spin_wrong(spin), 0);
        qsort(spin->latency_ns, spin->events, sizeof *spin->latency_ns, compare_words);
        bench_figure(run, "latency_p50_ns", (double)quantile(spin, 50));
        bench_figure(run, "latency_p99_ns", (double)quantile(spin, 99));
        bench_figure(run, "sleeps_per_op", (double)spin->sleeps / (double)spin->events);
    }
    pair_stop(&pair);
    spsc_destroy(spin->ring);
    wake_deinit(&spin->wake);
    free(spin->latency_ns);
    free(spin);
}

const struct bench bench_spin[] = {
    {.name = "crossover/spin",
     .operation = "receive one event that comes at this pace, looking for so long before going to sleep",
     .clock = BENCH_THREAD,
     .operations_least = 50,
     .run = spin_bench,
     .plot_over = "pace_ns",
     .axes = {{.name = "pace_ns",
               .values = {{1, {2000}},
                          {4, {2000, 10000, 50000, 200000}},
                          {8, {500, 1000, 2000, 5000, 10000, 20000, 50000, 200000}}}},
              {.name = "look_ns",
               .values = {{2, {0, 20000}}, {3, {0, 5000, 50000}}, {5, {0, 2000, 10000, 50000, 200000}}}}}},
    {0}};
