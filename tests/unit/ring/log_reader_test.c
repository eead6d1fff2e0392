#include "tests/unit/ring/log_fixture.h"

#include <poll.h>

Test(log_reader, holds_the_writer_back_until_it_raises) {
    struct log *log = fixture_log();
    int gate = fixture_reader(log);
    uint64_t retry_ns = 99;
    cr_assert(log_reader_lower(log, gate, 1));
    uint64_t count = fixture_fill(log, 512, 0, &retry_ns);
    cr_assert_eq(count, FIXTURE_DATA / 512, "all of the ring and no byte more");
    cr_assert_eq(retry_ns, 0, "only the wake tells");
    cr_assert_eq(counter_get(&log_counters(log)->refused_gate), 1);
    for (uint64_t p = 1; p <= count; p++)
        fixture_expect(log, p);
    log_reader_raise(log, gate, 2);
    cr_assert_eq(fixture_try(log, 512, 0, &retry_ns), RING_FULL, "a claim step is two of these records");
    log_reader_raise(log, gate, 3);
    cr_assert_eq(fixture_try(log, 512, 0, &retry_ns), RING_OK);
    fixture_expect(log, 3);
    log_reader_detach(log, gate);
    log_destroy(log);
    LEAKS_NONE();
}

Test(log_reader, holds_the_writer_back_by_index_entries_too) {
    struct log *log = fixture_log();
    int gate = fixture_reader(log);
    uint64_t retry_ns;
    cr_assert(log_reader_lower(log, gate, 1));
    cr_assert_eq(fixture_fill(log, 1, 0, &retry_ns), FIXTURE_RECORDS - 1, "position 0 does not exist");
    for (uint64_t p = 1; p < log_produced(log); p++)
        fixture_expect(log, p);
    log_reader_idle(log, gate);
    cr_assert_eq(fixture_try(log, 1, 0, &retry_ns), RING_OK);
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_reader, at_the_live_end_never_holds_the_writer_back) {
    struct log *log = fixture_log();
    int gate = fixture_reader(log);
    cr_assert(log_reader_lower(log, gate, log_produced(log)));
    uint64_t retry_ns;
    for (uint64_t i = 0; i < 2000; i++) {
        cr_assert_eq(fixture_try(log, (uint32_t)(i * 997 % (log_record_max(log) + 1)), 0, &retry_ns),
                     RING_OK);
        log_reader_raise(log, gate, log_produced(log)); /* unpublished records are above it */
    }
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_reader, is_told_that_it_was_overtaken_and_is_idle_then) {
    struct log *log = fixture_log();
    int gate = fixture_reader(log);
    fixture_append(log, 1000, 300);
    uint64_t oldest = log_oldest(log);
    cr_assert_gt(oldest, 1);
    cr_assert_not(log_reader_lower(log, gate, oldest - 1));
    cr_assert_eq(log_reader_gate(log, gate), LOG_IDLE);
    cr_assert(log_reader_lower(log, gate, oldest));
    cr_assert_eq(log_reader_gate(log, gate), oldest);
    fixture_expect(log, oldest);
    cr_assert(log_reader_lower(log, gate, oldest + 5), "above its own gate it is a raise");
    cr_assert(log_reader_lower(log, gate, oldest), "nothing was claimed between");
    log_reader_raise(log, gate, log_produced(log));
    fixture_append(log, 100, 300);
    cr_assert_not(log_reader_lower(log, gate, oldest), "down again, too late");
    cr_assert_eq(log_reader_gate(log, gate), LOG_IDLE);
    log_reader_detach(log, gate);
    log_destroy(log);
}

Test(log_reader, is_protected_by_the_lowest_of_all_gates) {
    struct log *log = fixture_log();
    int gates[5];
    uint64_t retry_ns;
    fixture_append(log, 100, 100);
    for (int i = 0; i < 5; i++) {
        gates[i] = fixture_reader(log);
        cr_assert(log_reader_lower(log, gates[i], (uint64_t)(50 - 10 * i)));
    }
    for (int i = 4; i >= 0; i--) {
        fixture_fill(log, 600, 0, &retry_ns);
        cr_assert_leq(log_oldest(log), (uint64_t)(50 - 10 * i));
        for (uint64_t p = (uint64_t)(50 - 10 * i); p < log_produced(log); p++)
            fixture_expect(log, p);
        log_reader_detach(log, gates[i]);
    }
    fixture_append(log, 1000, 600);
    log_destroy(log);
}

Test(log_reader, does_not_lose_the_stretch_that_a_refused_claim_wanted) {
    struct log *log = fixture_log();
    int holder = fixture_reader(log), other = fixture_reader(log);
    uint64_t retry_ns;
    cr_assert(log_reader_lower(log, holder, 1));
    fixture_fill(log, 64, 0, &retry_ns);
    cr_assert(log_reader_lower(log, other, 2), "a refused claim must not announce a loss");
    log_reader_detach(log, holder);
    log_reader_detach(log, other);
    log_destroy(log);
}

Test(log_reader, gets_as_many_gates_as_there_are_and_gives_them_back) {
    struct log *log = fixture_log();
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < LOG_READERS_MAX; i++)
            cr_assert_eq(log_reader_attach(log), (int)i);
        cr_assert_eq(log_reader_attach(log), -EAGAIN);
        log_reader_detach(log, 5);
        cr_assert_eq(log_reader_attach(log), 5);
        cr_assert_eq(log_reader_gate(log, 5), LOG_IDLE);
        for (uint32_t i = 0; i < LOG_READERS_MAX; i++)
            log_reader_detach(log, (int)i);
    }
    log_destroy(log);
}

Test(log_reader, that_detaches_gives_up_its_gate_and_its_floor) {
    struct log *log = fixture_log_of(FIXTURE_DATA, FIXTURE_RECORDS, 1000000, NULL);
    int gate = fixture_reader(log);
    uint64_t retry_ns;
    cr_assert(log_reader_lower(log, gate, 1));
    log_reader_laggard(log, gate, 1);
    fixture_fill(log, 512, 0, &retry_ns);
    log_reader_detach(log, gate);
    cr_assert_eq(fixture_try(log, 512, 0, &retry_ns), RING_OK);
    log_destroy(log);
}

/* Whether the writer's bell rings when it sleeps and `move` happens. */
static bool rings(struct log *log, struct wake *wake, int gate, void (*move)(struct log *, int)) {
    wake_announce(wake);
    move(log, gate);
    struct pollfd bell = {.fd = wake->bell, .events = POLLIN};
    bool rang = poll(&bell, 1, 0) == 1;
    wake_drain(wake);
    wake_resume(wake);
    return rang;
}

static void move_up(struct log *log, int gate) {
    log_reader_raise(log, gate, log_reader_gate(log, gate) + 4);
}
static void move_nowhere(struct log *log, int gate) {
    log_reader_raise(log, gate, log_reader_gate(log, gate));
}
static void move_idle(struct log *log, int gate) {
    log_reader_idle(log, gate);
}
static void move_floor(struct log *log, int gate) {
    log_reader_laggard(log, gate, LOG_IDLE);
}

Test(log_reader, wakes_a_writer_that_wants_space_once_for_each_refusal) {
    struct wake wake;
    cr_assert_eq(wake_init(&wake), 0);
    struct log *log = fixture_log_of(FIXTURE_DATA, FIXTURE_RECORDS, 1000000, &wake);
    int gate = fixture_reader(log);
    uint64_t retry_ns;
    cr_assert(log_reader_lower(log, gate, 1));
    cr_assert_not(log_writer_waits(log));
    fixture_fill(log, 512, 0, &retry_ns);
    cr_assert(log_writer_waits(log));
    cr_assert_not(rings(log, &wake, gate, move_nowhere));
    cr_assert(rings(log, &wake, gate, move_up));
    cr_assert_not(log_writer_waits(log));
    cr_assert_not(rings(log, &wake, gate, move_up), "not asked again");
    fixture_fill(log, 512, 0, &retry_ns);
    cr_assert(rings(log, &wake, gate, move_idle));
    log_reader_laggard(log, gate, log_oldest(log));
    fixture_fill(log, 512, 0, &retry_ns);
    cr_assert_gt(retry_ns, 0);
    cr_assert(rings(log, &wake, gate, move_floor));
    log_reader_detach(log, gate);
    log_destroy(log);
    wake_deinit(&wake);
    LEAKS_NONE();
}
