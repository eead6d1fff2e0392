/* How many records one publish should make visible: the writer pays a store and a look at the reader's sleep
 * word for each batch, the reader a line from the other processor. Two threads, as two workers have them. */
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "ring/log.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 128u

struct batch {
    struct log *log;
    struct wake wake; /* of the reader, which never sleeps here: what a signal costs when it is elided */
    uint64_t cursor;  /* the reader's */
    uint64_t until;   /* where the reader ends */
    uint64_t bytes;   /* the reader's result */
    uint64_t looks;   /* times it found something */
    int gate;
};

static void batch_read(void *context) {
    struct batch *batch = context;
    uint32_t turns = 0;
    batch->bytes = batch->looks = 0;
    while (batch->cursor < batch->until) {
        uint64_t produced = log_visible(batch->log);
        if (produced == batch->cursor) {
            pair_pause(&turns);
            continue;
        }
        for (; batch->cursor < produced; batch->cursor++)
            batch->bytes += log_entry_at(batch->log, batch->cursor)->length;
        log_reader_raise(batch->log, batch->gate, produced);
        batch->looks++;
    }
}

static void batch_write(struct batch *batch, uint64_t count, uint64_t size, const uint8_t *source) {
    uint32_t turns = 0;
    for (uint64_t i = 0; i < count;) {
        uint8_t *out;
        uint64_t retry_ns;
        if (log_writer_reserve(batch->log, RECORD_BYTES, 0, &out, &retry_ns) != RING_OK) {
            log_writer_publish(batch->log);
            pair_pause(&turns);
            continue;
        }
        memcpy(out, source, RECORD_BYTES);
        log_writer_commit(batch->log, RECORD_BYTES, log_flags(LOG_EVENT, 7, 20, 30), 1, 0);
        if (++i % size == 0 && log_writer_publish(batch->log))
            wake_signal(&batch->wake);
    }
    if (log_writer_publish(batch->log))
        wake_signal(&batch->wake);
}

static void batch_publish(struct bench_run *run) {
    struct pair pair;
    struct batch *batch = bench_memory(sizeof *batch);
    uint64_t ring = bench_value(run, "ring_bytes");
    struct log_config config = {
        .data_bytes = ring, .records = ring / LOG_RECORD_BYTES_TYPICAL, .prefault = true};
    bench_must(log_create(&batch->log, &config), "a log");
    bench_must(wake_init(&batch->wake), "a bell");
    batch->gate = log_reader_attach(batch->log);
    bench_must(log_reader_lower(batch->log, batch->gate, 1) ? 0 : -1, "lowering");
    batch->cursor = 1;
    uint8_t source[RECORD_BYTES];
    memset(source, 0x5a, sizeof source);
    pair_start(&pair, 1, batch_read, batch);
    while (bench_more(run)) {
        batch->until = log_writer_next(batch->log) + run->operations;
        pair_go(&pair);
        bench_start(run);
        batch_write(batch, run->operations, bench_value(run, "batch_records"), source);
        pair_wait(&pair);
        bench_stop(run);
        bench_equal(run, "bytes the reader found", batch->bytes, run->operations * RECORD_BYTES);
        bench_figure(run, "records_per_look", (double)run->operations / (double)batch->looks);
    }
    bench_bytes(run, RECORD_BYTES);
    pair_stop(&pair);
    log_reader_detach(batch->log, batch->gate);
    log_destroy(batch->log);
    wake_deinit(&batch->wake);
    free(batch);
}

const struct bench bench_batch[] = {
    {.name = "crossover/batch",
     .operation =
         "append a record of 128 bytes, published and read by another thread in batches of this size",
     .clock = BENCH_WALL,
     .operations_least = 20000,
     .run = batch_publish,
     .plot_over = "batch_records",
     .limit_name = "a bulk receive of 128-byte events",
     .limit = RECEIVE_BULK_BYTES / RECORD_BYTES,
     .axes = {{.name = "batch_records",
               .values = {{2, {1, 64}},
                          {7, {1, 4, 16, 64, 256, 2048, 16384}},
                          {10, {1, 2, 4, 8, 16, 64, 256, 1024, 4096, 16384}}}},
              {.name = "ring_bytes", .values = {{1, {1 << 20}}, {1, {64 << 20}}, {2, {4 << 20, 64 << 20}}}}}},
    {0}};
