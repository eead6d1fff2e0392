/* What the machine itself can do: the figures that bound the others. */
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "ring/mirror.h"

#include <stdlib.h>
#include <string.h>

/* ---- copying and reading memory ---- */

/* From a buffer that stays in the cache into an area, as an append does. */
static void bounds_copy(struct bench_run *run) {
    uint64_t piece = bench_value(run, "piece_bytes");
    uint64_t area = bench_value(run, "area_bytes");
    uint8_t *to;
    uint64_t at = 0;
    bench_must(mirror_map(&to, area, true), "memory for copying");
    uint8_t *from = bench_memory(256 * KIB);
    memset(from, 0x5a, 256 * KIB);
    uint64_t from_mask = 256 * KIB - 1;
    while (bench_more(run)) {
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            memcpy(to + at, from + (at & from_mask), piece);
            at = (at + piece) & (area - 1);
        }
        bench_stop(run);
    }
    bench_bytes(run, (double)piece);
    uint64_t last = (at - piece) & (area - 1);
    bench_equal(run, "copied bytes that differ",
                (uint64_t)memcmp(to + last, from + (last & from_mask), piece), 0);
    free(from);
    mirror_unmap(to, area);
}

static uint64_t add_up(const uint64_t *memory, uint64_t words) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < words; i++)
        sum += memory[i];
    return sum;
}

static void bounds_read(struct bench_run *run) {
    uint64_t area = bench_value(run, "area_bytes");
    uint64_t words = area / sizeof(uint64_t);
    uint64_t *memory = bench_memory(area);
    for (uint64_t i = 0; i < words; i++)
        memory[i] = bench_mix(i);
    uint64_t want = add_up(memory, words);
    while (bench_more(run)) {
        uint64_t sum = 0;
        uint64_t laps = bench_whole(run, words);
        bench_start(run);
        for (uint64_t lap = 0; lap < laps; lap++)
            sum += add_up(memory, words) ^ lap;
        bench_stop(run);
        for (uint64_t lap = 0; lap < laps; lap++)
            sum -= want ^ lap;
        bench_equal(run, "the difference of two sums of what was read", sum, 0);
    }
    bench_bytes(run, sizeof(uint64_t));
    free(memory);
}

/* ---- from one processor to another and back ---- */

struct table {
    struct counter ping __attribute__((aligned(128)));
    struct counter pong __attribute__((aligned(128)));
    uint64_t rounds;
};

static void answer(void *context) {
    struct table *table = context;
    uint32_t turns = 0;
    for (uint64_t i = counter_get(&table->pong); i < table->rounds; i++) {
        while (counter_get(&table->ping) == i)
            pair_pause(&turns);
        counter_set(&table->pong, i + 1);
    }
}

static void bounds_cores(struct bench_run *run) {
    struct pair pair;
    struct table *table = bench_memory(sizeof *table);
    uint64_t rounds = 0;
    uint32_t turns = 0;
    pair_start(&pair, 1, answer, table);
    while (bench_more(run)) {
        uint64_t to = table->rounds = rounds + run->operations;
        pair_go(&pair);
        bench_start(run);
        for (; rounds < to; rounds++) {
            counter_set(&table->ping, rounds + 1);
            while (counter_get(&table->pong) == rounds)
                pair_pause(&turns);
        }
        bench_stop(run);
        pair_wait(&pair);
        bench_equal(run, "rounds answered", counter_get(&table->pong), rounds);
    }
    pair_stop(&pair);
    free(table);
}

/* ---- asking for the time ---- */

static void bounds_clock(struct bench_run *run) {
    uint64_t back = 0;
    while (bench_more(run)) {
        uint64_t last = bench_wall_ns();
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            uint64_t now = bench_wall_ns();
            back += now < last;
            last = now;
        }
        bench_stop(run);
    }
    bench_equal(run, "times the clock went back", back, 0);
}

const struct bench bench_bounds[] = {
    {.name = "bound/copy",
     .operation = "copy a piece from a cached buffer into an area (memcpy)",
     .operations_least = 64,
     .run = bounds_copy,
     .plot_over = "piece_bytes",
     .axes = {{.name = "piece_bytes", .values = {{2, {64, 65536}}, {6, {64, 256, 1024, 4096, 16384, 65536}}}},
              {.name = "area_bytes",
               .values = {{1, {1 << 20}},
                          {3, {1 << 20, 16 << 20, 64 << 20}},
                          {5, {1 << 18, 1 << 20, 16 << 20, 64 << 20, 256 << 20}}}}}},
    {.name = "bound/read",
     .operation = "add up one 8-byte word of an area, in order",
     .operations_least = 1000,
     .run = bounds_read,
     .plot_over = "area_bytes",
     .axes = {{.name = "area_bytes",
               .values = {{1, {1 << 15}}, {4, {1 << 15, 1 << 20, 16 << 20, 256 << 20}}}}}},
    {.name = "bound/cores",
     .operation = "one word to another processor and one back",
     .clock = BENCH_WALL,
     .operations_least = 100,
     .run = bounds_cores},
    {.name = "bound/clock",
     .operation = "read CLOCK_MONOTONIC_RAW",
     .operations_least = 100,
     .run = bounds_clock},
    {0}};
