/* ring/log.c with one thread: what an append costs, and what a cursor costs. */
#include "ring/log.h"

#include "bench/micro/bench.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_BYTES (256 * KIB) /* what one bulk receive brings, and what one turn appends */

struct log_bench {
    struct log *log;
    int gates[LOG_READERS_MAX];
    uint32_t gates_count;
    uint8_t *source;
    uint64_t record;
};

static struct log_bench log_bench_new(uint64_t ring, uint64_t records, uint64_t record, uint32_t gates) {
    struct log_bench bench = {.gates_count = gates, .record = record};
    struct log_config config = {.number = 1, .data_bytes = ring, .records = records, .prefault = true};
    bench_must(log_create(&bench.log, &config), "a log");
    for (uint32_t i = 0; i < gates; i++) {
        bench.gates[i] = log_reader_attach(bench.log);
        bench_must(bench.gates[i], "a gate");
        bench_must(log_reader_lower(bench.log, bench.gates[i], log_produced(bench.log)) ? 0 : -1, "lowering");
    }
    bench.source = bench_memory(SOURCE_BYTES);
    for (uint64_t i = 0; i < SOURCE_BYTES; i++)
        bench.source[i] = (uint8_t)bench_mix(i);
    return bench;
}

static void log_bench_free(struct log_bench *bench) {
    for (uint32_t i = 0; i < bench->gates_count; i++)
        log_reader_detach(bench->log, bench->gates[i]);
    log_destroy(bench->log);
    free(bench->source);
}

/* As the worker does: one turn's events, one publish, then the gates rise. Returns how many were appended. */
static uint64_t append_turn(struct log_bench *bench, uint64_t count) {
    const uint8_t *from = bench->source;
    uint64_t done = 0;
    uint32_t length = (uint32_t)bench->record;
    for (; done < count && from + length <= bench->source + SOURCE_BYTES; done++, from += length) {
        uint8_t *out;
        uint64_t retry_ns;
        if (log_writer_reserve(bench->log, length, 0, &out, &retry_ns) != RING_OK)
            break;
        memcpy(out, from, length);
        log_writer_commit(bench->log, length, log_flags(LOG_EVENT, 7, 20, 30), (done & 7) + 1, 0);
    }
    log_writer_publish(bench->log);
    for (uint32_t i = 0; i < bench->gates_count; i++)
        log_reader_raise(bench->log, bench->gates[i], log_produced(bench->log));
    return done;
}

static void append_all(struct log_bench *bench, uint64_t count) {
    while (count > 0) {
        uint64_t done = append_turn(bench, count);
        CHECK(done > 0);
        count -= done;
    }
}

/* How many of the records of the last turn that are still there differ from what was appended. */
static uint64_t last_turn_wrong(const struct log_bench *bench, uint64_t records) {
    uint64_t per_turn = SOURCE_BYTES / bench->record;
    uint64_t in_turn = records % per_turn > 0 ? records % per_turn : per_turn;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < in_turn; i++) {
        uint64_t position = log_produced(bench->log) - in_turn + i;
        if (position < log_oldest(bench->log))
            continue;
        const uint8_t *bytes = log_bytes_at(bench->log, log_entry_at(bench->log, position)->offset);
        wrong += memcmp(bytes, bench->source + i * bench->record, bench->record) != 0;
    }
    return wrong;
}

static void append_measure(struct bench_run *run, struct log_bench *bench) {
    uint64_t records = 0;
    while (bench_more(run)) {
        bench_start(run);
        append_all(bench, run->operations);
        bench_stop(run);
        records += run->operations;
        bench_equal(run, "records of the last turn that are wrong", last_turn_wrong(bench, run->operations),
                    0);
    }
    bench_bytes(run, (double)bench->record);
    bench_equal(run, "records", counter_get(&log_counters(bench->log)->records), records);
    bench_equal(run, "bytes", counter_get(&log_counters(bench->log)->bytes), records * bench->record);
    log_check(bench->log);
}

static void log_append(struct bench_run *run) {
    uint64_t ring = bench_value(run, "ring_bytes");
    struct log_bench bench =
        log_bench_new(ring, ring / LOG_RECORD_BYTES_TYPICAL, bench_value(run, "record_bytes"), 1);
    append_measure(run, &bench);
    log_bench_free(&bench);
}

static bool log_append_fits(const struct bench_run *run) {
    return bench_value(run, "record_bytes") * LOG_FRAMES_MIN <= bench_value(run, "ring_bytes");
}

static void log_gates(struct bench_run *run) {
    struct log_bench bench =
        log_bench_new(4 * MIB, 4 * MIB / LOG_RECORD_BYTES_TYPICAL, 128, (uint32_t)bench_value(run, "gates"));
    append_measure(run, &bench);
    log_bench_free(&bench);
}

/* ---- a cursor ---- */

struct walk {
    uint64_t bytes;
    uint64_t runs;
};

/* What delivery does with entries before it asks for routes: bytes and runs of the same topic. */
__attribute__((noinline)) static struct walk walk(const struct log *log, uint64_t from, uint64_t to) {
    struct walk walk = {0};
    uint64_t topic = 0;
    for (uint64_t position = from; position < to; position++) {
        const struct log_entry *entry = log_entry_at(log, position);
        if (log_flags_type(entry->flags) != LOG_EVENT)
            continue;
        if (entry->topic != topic)
            walk.runs++;
        topic = entry->topic;
        walk.bytes += entry->length;
    }
    return walk;
}

/* Fills the ring with `records` small records, of which `same` in a row have the same topic. */
static void fill(struct log *log, uint64_t records, uint64_t same) {
    for (uint64_t i = 0; i < records; i++) {
        uint8_t *out;
        uint64_t retry_ns;
        CHECK(log_writer_reserve(log, 16, 0, &out, &retry_ns) == RING_OK);
        memset(out, (int)i, 16);
        log_writer_commit(log, 16, log_flags(LOG_EVENT, 7, 2, 3), i / same % 1000 + 1, 0);
    }
    log_writer_publish(log);
}

static void log_scan(struct bench_run *run) {
    uint64_t records = bench_value(run, "records");
    uint64_t same = bench_value(run, "run_records");
    struct log_bench bench = log_bench_new(MIB > records * 16 ? MIB : records * 16, records, 16, 0);
    uint64_t stretch = records / 2; /* the claim takes the oldest away in steps */
    fill(bench.log, stretch, same);
    while (bench_more(run)) {
        uint64_t bytes = 0;
        uint64_t runs = 0;
        uint64_t laps = bench_whole(run, stretch);
        bench_start(run);
        for (uint64_t lap = 0; lap < laps; lap++) {
            struct walk found = walk(bench.log, 1, 1 + stretch);
            bytes += found.bytes;
            runs += found.runs;
        }
        bench_stop(run);
        bench_equal(run, "bytes of all records", bytes, run->operations * 16);
        bench_equal(run, "runs", runs, laps * ((stretch + same - 1) / same));
    }
    bench_bytes(run, sizeof(struct log_entry));
    log_bench_free(&bench);
}

const struct bench bench_log[] = {
    {.name = "log/append",
     .operation = "append one record; published once per 256 KiB, one reader",
     .operations_least = 5000,
     .run = log_append,
     .fits = log_append_fits,
     .plot_over = "record_bytes",
     .axes = {{.name = "record_bytes",
               .values = {{3, {64, 1024, 65536}}, {6, {64, 256, 1024, 4096, 16384, 65536}}}},
              {.name = "ring_bytes",
               .values = {{1, {1 << 20}},
                          {3, {1 << 20, 16 << 20, 64 << 20}},
                          {5, {1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20}}}}}},
    {.name = "log/gates",
     .operation =
         "append one record of 128 bytes with so many readers; each raises its gate once per 256 KiB",
     .operations_least = 5000,
     .run = log_gates,
     .plot_over = "gates",
     .axes = {{.name = "gates", .values = {{2, {0, 128}}, {5, {0, 1, 4, 16, 128}}}}}},
    {.name = "log/scan",
     .operation = "walk over one index entry, looking for runs of one topic",
     .operations_least = 1000,
     .run = log_scan,
     .plot_over = "records",
     .axes = {{.name = "records",
               .values = {{1, {1 << 13}},
                          {3, {1 << 13, 1 << 16, 1 << 19}},
                          {4, {1 << 13, 1 << 16, 1 << 19, 1 << 21}}}},
              {.name = "run_records", .values = {{2, {1, 64}}}}}},
    {0}};
