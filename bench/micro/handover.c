/* From one thread to another: ring/spsc.c, ring/mpsc.c, and when a frame is better lent than copied twice. */
#include "bench/micro/bench.h"
#include "bench/micro/pair.h"
#include "ring/mpsc.h"
#include "ring/spsc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- spsc ---- */

struct lane {
    struct spsc *ring;
    uint64_t records; /* of one sample */
    uint64_t sum;     /* the consumer's result */
    uint64_t bytes;
};

static uint64_t first_word(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static void lane_consume(void *context) {
    struct lane *lane = context;
    uint32_t turns = 0;
    uint32_t length;
    lane->sum = lane->bytes = 0;
    for (uint64_t got = 0; got < lane->records;) {
        const uint8_t *record = spsc_peek(lane->ring, &length);
        if (record == NULL) {
            spsc_consume(lane->ring);
            pair_pause(&turns);
            continue;
        }
        lane->sum += first_word(record);
        lane->bytes += length;
        if (++got % 32 == 0)
            spsc_consume(lane->ring);
    }
    spsc_consume(lane->ring);
}

static uint8_t *lane_reserve(struct spsc *ring, uint32_t length) {
    uint8_t *out;
    uint32_t turns = 0;
    while (spsc_reserve(ring, length, &out) != RING_OK) {
        spsc_publish(ring);
        pair_pause(&turns);
    }
    return out;
}

static void lane_produce(struct lane *lane, uint32_t length, uint64_t batch, const uint8_t *source) {
    for (uint64_t i = 0; i < lane->records; i++) {
        uint8_t *out = lane_reserve(lane->ring, length);
        memcpy(out, source, length);
        memcpy(out, &i, sizeof i);
        spsc_commit(lane->ring, length);
        if ((i + 1) % batch == 0)
            spsc_publish(lane->ring);
    }
    spsc_publish(lane->ring);
}

static void handover_spsc(struct bench_run *run) {
    struct pair pair;
    struct lane *lane = bench_memory(sizeof *lane);
    uint32_t length = (uint32_t)bench_value(run, "record_bytes");
    uint8_t *source = bench_memory(length);
    bench_must(spsc_create(&lane->ring, SPSC_BYTES), "a ring");
    pair_start(&pair, 1, lane_consume, lane);
    while (bench_more(run)) {
        lane->records = run->operations;
        pair_go(&pair);
        bench_start(run);
        lane_produce(lane, length, bench_value(run, "batch_records"), source);
        pair_wait(&pair);
        bench_stop(run);
        bench_equal(run, "the sum of the records' numbers", lane->sum,
                    run->operations * (run->operations - 1) / 2);
        bench_equal(run, "bytes", lane->bytes, run->operations * length);
    }
    bench_bytes(run, length);
    pair_stop(&pair);
    spsc_destroy(lane->ring);
    free(source);
    free(lane);
}

/* ---- there and back ---- */

struct echo {
    struct spsc *there, *back;
    uint64_t rounds;
};

static uint64_t echo_take(struct spsc *ring) {
    uint32_t turns = 0;
    uint32_t length;
    const uint8_t *record;
    while ((record = spsc_peek(ring, &length)) == NULL)
        pair_pause(&turns);
    uint64_t word = first_word(record);
    spsc_consume(ring);
    return word;
}

static void echo_put(struct spsc *ring, uint64_t word) {
    memcpy(lane_reserve(ring, sizeof word), &word, sizeof word);
    spsc_commit(ring, sizeof word);
    spsc_publish(ring);
}

static void echo_answer(void *context) {
    struct echo *echo = context;
    for (uint64_t i = 0; i < echo->rounds; i++)
        echo_put(echo->back, echo_take(echo->there) + 1);
}

static void handover_echo(struct bench_run *run) {
    struct pair pair;
    struct echo *echo = bench_memory(sizeof *echo);
    bench_must(spsc_create(&echo->there, 4096), "a ring");
    bench_must(spsc_create(&echo->back, 4096), "a ring");
    pair_start(&pair, 1, echo_answer, echo);
    while (bench_more(run)) {
        uint64_t word = 0;
        echo->rounds = run->operations;
        pair_go(&pair);
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            echo_put(echo->there, word);
            word = echo_take(echo->back);
        }
        bench_stop(run);
        pair_wait(&pair);
        bench_equal(run, "rounds answered", word, run->operations);
    }
    pair_stop(&pair);
    spsc_destroy(echo->there);
    spsc_destroy(echo->back);
    free(echo);
}

/* ---- mpsc ---- */

#define SENDERS_MAX 2u

struct sender {
    struct mpsc *box;
    uint64_t commands;
    uint64_t number;
};

static void sender_send(void *context) {
    const struct sender *sender = context;
    uint32_t turns = 0;
    for (uint64_t i = 0; i < sender->commands; i++) {
        struct mpsc_command command = {.kind = 1, .small = (uint32_t)sender->number, .word = {i}};
        while (mpsc_push(sender->box, &command) != RING_OK)
            pair_pause(&turns);
    }
}

/* Takes `count` commands; those of each sender must come in order. Returns how many did not. */
static uint64_t box_empty(struct mpsc *box, uint64_t count) {
    uint64_t next[SENDERS_MAX] = {0};
    uint64_t disordered = 0;
    uint32_t turns = 0;
    for (uint64_t got = 0; got < count;) {
        struct mpsc_command command;
        if (!mpsc_pop(box, &command)) {
            pair_pause(&turns);
            continue;
        }
        disordered += command.word[0] != next[command.small];
        next[command.small] = command.word[0] + 1;
        got++;
    }
    return disordered;
}

static void handover_mpsc(struct bench_run *run) {
    struct pair pairs[SENDERS_MAX];
    struct sender *senders = bench_memory(SENDERS_MAX * sizeof *senders);
    struct mpsc *box;
    uint64_t count = bench_value(run, "senders");
    bench_must(mpsc_create(&box, MAILBOX_COMMANDS), "a mailbox");
    for (uint32_t i = 0; i < count; i++) {
        senders[i] = (struct sender){.box = box, .number = i};
        pair_start(&pairs[i], i + 1, sender_send, &senders[i]);
    }
    while (bench_more(run)) {
        uint64_t each = bench_whole(run, count);
        bench_start(run);
        for (uint32_t i = 0; i < count; i++) {
            senders[i].commands = each;
            pair_go(&pairs[i]);
        }
        uint64_t disordered = box_empty(box, run->operations);
        bench_stop(run);
        for (uint32_t i = 0; i < count; i++)
            pair_wait(&pairs[i]);
        bench_equal(run, "commands out of order", disordered, 0);
        bench_equal(run, "commands left", mpsc_pending(box), 0);
    }
    bench_bytes(run, sizeof(struct mpsc_command));
    for (uint32_t i = (uint32_t)count; i-- > 0;)
        pair_stop(&pairs[i]);
    mpsc_destroy(box);
    free(senders);
}

/* ---- copied through the ring, or lent ---- */

/* The consumer's side is what a home worker does: a copy into its log. A lent frame is copied into memory of
 * its own first, which the producer frees when the ring says that it has been consumed. */
struct lending {
    struct spsc *ring;
    uint8_t *log; /* where the consumer copies to */
    uint64_t frames, frame_bytes;
    uint64_t wrong;
    bool lends;
};
#define LENDING_LOG_BYTES (16 * MIB)
#define LENT_MAX          256u

static void lending_consume(void *context) {
    struct lending *lending = context;
    uint32_t turns = 0;
    uint32_t length;
    uint64_t at = 0;
    lending->wrong = 0;
    for (uint64_t got = 0; got < lending->frames;) {
        const uint8_t *record = spsc_peek(lending->ring, &length);
        if (record == NULL) {
            pair_pause(&turns);
            continue;
        }
        const uint8_t *frame = record;
        if (lending->lends)
            memcpy(&frame, record, sizeof frame);
        at = at + lending->frame_bytes > LENDING_LOG_BYTES ? 0 : at;
        memcpy(lending->log + at, frame, lending->frame_bytes);
        lending->wrong += first_word(lending->log + at) != got;
        at += lending->frame_bytes;
        got++;
        spsc_consume(lending->ring);
    }
}

static void frame_write(uint8_t *out, const uint8_t *source, uint64_t length, uint64_t number) {
    memcpy(out, source, length);
    memcpy(out, &number, sizeof number);
}

static void lending_copy(struct lending *lending, const uint8_t *source) {
    uint32_t length = (uint32_t)lending->frame_bytes;
    for (uint64_t i = 0; i < lending->frames; i++) {
        frame_write(lane_reserve(lending->ring, length), source, length, i);
        spsc_commit(lending->ring, length);
        spsc_publish(lending->ring);
    }
}

/* The lent frames that the consumer has not passed, oldest first. */
struct lent {
    uint64_t until[LENT_MAX];
    uint8_t *frame[LENT_MAX];
    uint64_t given, freed;
};

static void lent_free(struct lent *lent, uint64_t consumed) {
    for (; lent->freed < lent->given && lent->until[lent->freed % LENT_MAX] <= consumed; lent->freed++)
        free(lent->frame[lent->freed % LENT_MAX]);
}

static void lending_lend(struct lending *lending, const uint8_t *source) {
    struct lent lent = {.given = 0};
    uint32_t turns = 0;
    for (uint64_t i = 0; i < lending->frames; i++) {
        while (lent.given - lent.freed == LENT_MAX) {
            lent_free(&lent, spsc_consumed(lending->ring));
            pair_pause(&turns);
        }
        uint8_t *frame = malloc(lending->frame_bytes);
        if (frame == NULL)
            bench_can_not("a frame", strerror(ENOMEM));
        frame_write(frame, source, lending->frame_bytes, i);
        memcpy(lane_reserve(lending->ring, sizeof frame), &frame, sizeof frame);
        spsc_commit(lending->ring, sizeof frame);
        spsc_publish(lending->ring);
        lent.until[lent.given % LENT_MAX] = spsc_committed(lending->ring);
        lent.frame[lent.given++ % LENT_MAX] = frame;
        lent_free(&lent, spsc_consumed(lending->ring));
    }
    while (lent.freed < lent.given) {
        lent_free(&lent, spsc_consumed(lending->ring));
        pair_pause(&turns);
    }
}

static void handover_lend(struct bench_run *run) {
    struct pair pair;
    struct lending *lending = bench_memory(sizeof *lending);
    lending->frame_bytes = bench_value(run, "frame_bytes");
    lending->lends = bench_is(run, "how", "lent");
    lending->log = bench_memory(LENDING_LOG_BYTES);
    uint8_t *source = bench_memory(lending->frame_bytes);
    bench_must(spsc_create(&lending->ring, SPSC_BYTES), "a ring");
    pair_start(&pair, 1, lending_consume, lending);
    while (bench_more(run)) {
        lending->frames = run->operations;
        pair_go(&pair);
        bench_start(run);
        if (lending->lends)
            lending_lend(lending, source);
        else
            lending_copy(lending, source);
        pair_wait(&pair);
        bench_stop(run);
        bench_equal(run, "frames with wrong contents", lending->wrong, 0);
    }
    bench_bytes(run, (double)lending->frame_bytes);
    pair_stop(&pair);
    spsc_destroy(lending->ring);
    free(lending->log);
    free(source);
    free(lending);
}

static const char *const hows[] = {"copied", "lent"};

const struct bench bench_handover[] = {
    {.name = "handover/spsc",
     .operation = "one record from a worker to another, published in batches of this size",
     .clock = BENCH_WALL,
     .operations_least = 10000,
     .run = handover_spsc,
     .plot_over = "record_bytes",
     .axes = {{.name = "record_bytes",
               .values = {{2, {64, 4096}},
                          {4, {64, 256, 4096, 16384}},
                          {6, {16, 64, 256, 1024, 4096, 16384}}}},
              {.name = "batch_records", .values = {{2, {1, 32}}}}}},
    {.name = "handover/echo",
     .operation = "one word through a ring to another thread and one back",
     .clock = BENCH_WALL,
     .operations_least = 100,
     .run = handover_echo},
    {.name = "handover/mpsc",
     .operation = "one command into a mailbox and out",
     .clock = BENCH_WALL,
     .operations_least = 10000,
     .run = handover_mpsc,
     .plot_over = "senders",
     .axes = {{.name = "senders", .values = {{2, {1, 2}}}}}},
    {.name = "crossover/lend",
     .operation = "one frame through a ring into another worker's log",
     .clock = BENCH_WALL,
     .operations_least = 500,
     .run = handover_lend,
     .plot_over = "frame_bytes",
     .limit_name = "SPSC_INLINE_MAX",
     .limit = SPSC_INLINE_MAX,
     .axes = {{.name = "frame_bytes",
               .values = {{2, {1024, 65536}},
                          {5, {1024, 4096, 16384, 32768, 65536}},
                          {7, {256, 1024, 4096, 8192, 16384, 32768, 65536}}}},
              {.name = "how", .words = hows, .values = {{2, {0, 1}}}}}},
    {0}};
