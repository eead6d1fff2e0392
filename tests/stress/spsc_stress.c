/* Stress of ring/spsc.c: one producer and one consumer; every record's length and contents are checked; both
 * sleep when there is nothing to do, so the producer's WANTED word is exercised too. Lengths are random, so
 * records cross the end of the ring everywhere; under ThreadSanitizer they are such that none does, because
 * the second mapping is out of its sight. */
#include "tests/stress/ring_stress.h"

#include "ring/spsc.h"

struct lane {
    struct spsc *ring;
    uint64_t records;
    uint32_t length; /* 0: random */
    struct wake producer, consumer;
    uint64_t waits; /* producer only */
};

static uint32_t lane_length(const struct lane *lane, uint64_t record) {
    if (lane->length != 0)
        return lane->length;
#ifdef RH_TSAN
    return 120;
#endif
    uint64_t random = stress_mix(~record);
    return 1 + (uint32_t)(random % ((random >> 32) % 32 == 0 ? 1024 : 100));
}

/* Full: publish, want, look again, sleep. */
static uint8_t *lane_reserve(struct lane *lane, uint32_t length) {
    uint8_t *out;
    while (spsc_reserve(lane->ring, length, &out) == RING_FULL) {
        if (spsc_publish(lane->ring))
            wake_signal(&lane->consumer);
        wanted_set(spsc_wanted(lane->ring));
        if (spsc_reserve(lane->ring, length, &out) == RING_OK)
            break;
        lane->waits++;
        wake_announce(&lane->producer);
        if (wanted_waits(spsc_wanted(lane->ring)))
            stress_sleep(&lane->producer);
        else
            wake_resume(&lane->producer);
    }
    return out;
}

static void produce(void *context) {
    struct lane *lane = context;
    uint64_t random = 5;
    for (uint64_t record = 1; record <= lane->records; record++) {
        uint32_t length = lane_length(lane, record);
        stress_fill(lane_reserve(lane, length), length, record << 12);
        spsc_commit(lane->ring, length);
        if (stress_random(&random) % 16 == 0 && spsc_publish(lane->ring))
            wake_signal(&lane->consumer);
    }
    if (spsc_publish(lane->ring))
        wake_signal(&lane->consumer);
}

static void lane_release(struct lane *lane) {
    spsc_consume(lane->ring);
    if (wanted_take(spsc_wanted(lane->ring)))
        wake_signal(&lane->producer);
}

static void lane_wait(struct lane *lane) {
    wake_announce(&lane->consumer);
    if (spsc_pending(lane->ring))
        wake_resume(&lane->consumer);
    else
        stress_sleep(&lane->consumer);
}

static void consume(void *context) {
    struct lane *lane = context;
    for (uint64_t record = 1; record <= lane->records;) {
        uint32_t length;
        const uint8_t *bytes = spsc_peek(lane->ring, &length);
        if (bytes == NULL) {
            lane_release(lane);
            lane_wait(lane);
            continue;
        }
        STRESS(length == lane_length(lane, record), "record %lu has length %u", (unsigned long)record,
               length);
        STRESS(stress_same(bytes, length, record << 12), "record %lu has wrong contents",
               (unsigned long)record);
        if (record++ % 32 == 0)
            lane_release(lane);
    }
    lane_release(lane);
}

static void run(const char *name, uint64_t bytes, uint64_t records, uint32_t length) {
    struct lane *lane = aligned_alloc(64, (sizeof *lane + 63) / 64 * 64);
    STRESS(lane != NULL, "no memory");
    *lane = (struct lane){.records = records, .length = length};
    STRESS(spsc_create(&lane->ring, bytes) == 0, "no ring");
    STRESS(wake_init(&lane->producer) == 0 && wake_init(&lane->consumer) == 0, "no wake");
    uint64_t elapsed_ns = stress_run(lane, 2, (void (*const[])(void *)){produce, consume});
    STRESS(spsc_consumed(lane->ring) == spsc_committed(lane->ring) && !spsc_pending(lane->ring),
           "something is left");
    stress_report(name, records, elapsed_ns);
    printf("  the producer waited for space %lu times\n", (unsigned long)lane->waits);
    wake_deinit(&lane->producer);
    wake_deinit(&lane->consumer);
    spsc_destroy(lane->ring);
    free(lane);
}

int main(int argc, char **argv) {
    uint64_t records = stress_count(argc, argv, 2000000);
    run("spsc: random lengths, 4 KiB", 4096, records, 0);
    run("spsc: random lengths, 256 KiB", SPSC_BYTES, records, 0);
    run("spsc: 120 bytes, 256 KiB", SPSC_BYTES, 2 * records, 120);
    return 0;
}
