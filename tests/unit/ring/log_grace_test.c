#include "tests/unit/ring/log_fixture.h"

#define GRACE_NS (200 * NS_PER_MS)

/* A full log whose next claim step takes position 1, and a laggard there. */
static struct log *laggard_at_one(int *gate) {
    struct log *log = fixture_log_of(FIXTURE_DATA, FIXTURE_RECORDS, GRACE_NS, NULL);
    fixture_append(log, 64, 1024);
    *gate = fixture_reader(log);
    log_reader_laggard(log, *gate, 1);
    return log;
}

static enum ring_result step(struct log *log, uint64_t now_ns, uint64_t *retry_ns) {
    enum ring_result result = fixture_try(log, 1024, now_ns, retry_ns);
    log_writer_publish(log);
    return result;
}

static uint64_t passed(const struct log *log) {
    return counter_get(&log_counters(log)->passed_laggard);
}

Test(log_grace, holds_the_writer_back_for_the_budget_and_then_passes_the_laggard) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t start = 5000 * NS_PER_MS, retry_ns = 0;
    for (uint64_t at = 0; at < GRACE_NS; at += 10 * NS_PER_MS) {
        cr_assert_eq(step(log, start + at, &retry_ns), RING_FULL);
        cr_assert_eq(retry_ns, start + GRACE_NS, "at %lu", (unsigned long)at);
    }
    cr_assert_eq(counter_get(&log_counters(log)->refused_grace), 20);
    cr_assert(log_reader_lower(log, gate, 1), "not passed yet");
    log_reader_idle(log, gate);
    cr_assert_eq(step(log, retry_ns, &retry_ns), RING_OK);
    cr_assert_eq(passed(log), 1);
    cr_assert_not(log_reader_lower(log, gate, 1), "and its reader finds out");
    for (int i = 0; i < 60; i++)
        cr_assert_eq(step(log, start + GRACE_NS, &retry_ns), RING_OK, "a passed floor holds nothing back");
    cr_assert_eq(passed(log), 1);
    log_reader_detach(log, gate);
    log_destroy(log);
    LEAKS_NONE();
}

Test(log_grace, is_not_spent_when_the_laggard_moves_in_time) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t now = NS_PER_S, retry_ns;
    cr_assert_eq(step(log, now, &retry_ns), RING_FULL);
    log_reader_laggard(log, gate, 3);
    cr_assert_eq(step(log, now + 50 * NS_PER_MS, &retry_ns), RING_OK);
    cr_assert_eq(step(log, now + 50 * NS_PER_MS, &retry_ns), RING_OK);
    cr_assert_eq(step(log, now + 50 * NS_PER_MS, &retry_ns), RING_FULL);
    cr_assert_eq(retry_ns, now + GRACE_NS, "50 ms of 200 are gone");
    cr_assert_eq(passed(log), 0);
    log_reader_detach(log, gate);
    log_destroy(log);
}

/* Bytes that can be received elsewhere wait for nobody: a laggard keeps its place and the whole budget. */
Test(log_grace, is_not_spent_on_bytes_ahead) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t now = NS_PER_S, retry_ns = 0;
    size_t size = 2048;
    cr_assert_null(log_writer_ahead(log, &size, now));
    cr_assert_eq(counter_get(&log_counters(log)->refused_grace), 0);
    now += 10 * GRACE_NS;
    cr_assert_eq(step(log, now, &retry_ns), RING_FULL, "the first that waits");
    cr_assert_eq(retry_ns, now + GRACE_NS);
    now += GRACE_NS / 2;
    size = 2048;
    cr_assert_null(log_writer_ahead(log, &size, now), "what waits goes on waiting");
    cr_assert_eq(step(log, now, &retry_ns), RING_FULL);
    cr_assert_eq(retry_ns, now + GRACE_NS / 2);
    cr_assert_eq(passed(log), 0);
    size = 2048;
    cr_assert(log_writer_ahead(log, &size, retry_ns) != NULL && size == 2048, "nothing is left to wait");
    cr_assert_eq(passed(log), 1);
    log_reader_detach(log, gate);
    log_destroy(log);
    LEAKS_NONE();
}

Test(log_grace, comes_back_at_one_percent_of_the_time) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t now = NS_PER_S, retry_ns;
    cr_assert_eq(step(log, now, &retry_ns), RING_FULL);
    now = retry_ns;
    cr_assert_eq(step(log, now, &retry_ns), RING_OK);
    log_reader_laggard(log, gate, log_oldest(log));
    cr_assert_eq(step(log, now, &retry_ns), RING_OK, "nothing is left");
    log_reader_laggard(log, gate, log_oldest(log));
    now += 200 * NS_PER_MS;
    cr_assert_eq(step(log, now, &retry_ns), RING_OK, "two ms are less than a hold begins with");
    cr_assert_eq(passed(log), 3);
    log_reader_laggard(log, gate, log_oldest(log));
    for (int i = 0; i < 1000; i++) { /* in small steps, so that remainders count */
        now += 999983;
        cr_assert_eq(fixture_try(log, 0, now, &retry_ns), RING_OK);
        log_reader_laggard(log, gate, LOG_IDLE);
    }
    log_reader_laggard(log, gate, log_oldest(log));
    uint64_t count = fixture_fill(log, 1024, now, &retry_ns);
    cr_assert_leq(count, 2);
    uint64_t left = retry_ns - now, earned = (200 * NS_PER_MS + UINT64_C(999983) * 1000) / 100;
    cr_assert_leq(left, earned);
    cr_assert_gt(left, earned - NS_PER_MS, "%lu of %lu", (unsigned long)left, (unsigned long)earned);
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_grace, is_never_more_than_the_full_budget) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t retry_ns;
    cr_assert_eq(step(log, UINT64_C(1) << 62, &retry_ns), RING_FULL);
    cr_assert_eq(retry_ns, (UINT64_C(1) << 62) + GRACE_NS);
    cr_assert_eq(step(log, 5, &retry_ns), RING_FULL, "a clock that is late costs nothing");
    cr_assert_eq(retry_ns, (UINT64_C(1) << 62) + GRACE_NS);
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_grace, of_zero_passes_at_once) {
    struct log *log = fixture_log_of(FIXTURE_DATA, FIXTURE_RECORDS, 0, NULL);
    int gate = fixture_reader(log);
    log_reader_laggard(log, gate, 1);
    fixture_append(log, 65, 1024);
    cr_assert_eq(passed(log), 1);
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_grace, does_not_weaken_a_gate) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t retry_ns = 1;
    cr_assert(log_reader_lower(log, gate, 1));
    for (uint64_t now = 0; now < 10 * GRACE_NS; now += GRACE_NS) {
        cr_assert_eq(step(log, now, &retry_ns), RING_FULL);
        cr_assert_eq(retry_ns, 0);
    }
    fixture_expect(log, 1);
    log_reader_raise(log, gate, 10);
    cr_assert_eq(step(log, 11 * GRACE_NS, &retry_ns), RING_FULL,
                 "now the floor speaks, with the whole budget");
    cr_assert_eq(retry_ns, 12 * GRACE_NS);
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_grace, changes_while_a_laggard_holds_the_writer_back) {
    int gate;
    struct log *log = laggard_at_one(&gate);
    uint64_t now = NS_PER_S, retry_ns;
    cr_assert_eq(step(log, now, &retry_ns), RING_FULL);
    cr_assert_eq(retry_ns, now + GRACE_NS);
    log_writer_grace(log, 2 * GRACE_NS);
    cr_assert_eq(step(log, now + GRACE_NS / 2, &retry_ns), RING_FULL);
    cr_assert_eq(retry_ns, now + 2 * GRACE_NS, "what is more is more for this one, too");
    log_writer_grace(log, GRACE_NS / 4);
    cr_assert_eq(step(log, now + GRACE_NS / 2, &retry_ns), RING_FULL);
    cr_assert_eq(retry_ns, now + GRACE_NS / 2 + GRACE_NS / 4);
    log_writer_grace(log, 0);
    cr_assert_eq(step(log, now + GRACE_NS / 2, &retry_ns), RING_OK, "at once");
    cr_assert_eq(passed(log), 1);
    log_reader_detach(log, gate);
    log_destroy(log);
    LEAKS_NONE();
}
