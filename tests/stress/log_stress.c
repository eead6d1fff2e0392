/* Stress of ring/log.c: contents under every gate, while the writer laps.
 *
 * dive     the writer at full speed, and one reader that lowers its gate again and again to where the next
 *          claim is about to cut: what it was promised must stay whole until it goes IDLE.
 * follow   a follower that holds the writer back, a laggard with a floor, a diver; everybody sleeps when
 * there is nothing to do, so WANTED, grace and the wakes of both directions are in it. The follower must see
 * every record, the laggard must be told of every gap.
 * durable  the same follower behind a journal: a third thread copies what is produced, raises its gate, and
 *          moves `visible`; the follower goes by that word alone.
 * publish  cost of append and of reading without anybody in the way.
 *
 * A record's length and contents follow from its position. Under ThreadSanitizer all records are 128 bytes,
 * so that none crosses the end of the data area (the second mapping is out of its sight). */
#include "tests/stress/ring_stress.h"

#include "ring/log.h"

#define FOLLOW_BATCH 32u

struct field {
    struct log *log;
    uint64_t records;
    uint32_t length; /* 0: random */
    uint32_t slow;   /* the follower rests so long after each batch */
    bool journalled;
    struct wake writer, follower, laggard, journal;
    uint64_t ready __attribute__((aligned(64))); /* how many have the gate that the writer waits for */
    uint64_t over __attribute__((aligned(64)));  /* 1 when the writer is done, and the journal behind it */
    uint64_t written;                            /* 1 when the writer is done, for the journal */
    uint64_t refused;                            /* writer only */
    uint64_t dives, drowned;                     /* diver only: tried, overtaken */
    uint64_t followed;                           /* follower only */
    uint64_t caught_up, gaps, missed;            /* laggard only */
};

static uint32_t field_length(const struct field *field, uint64_t position) {
    if (field->length != 0)
        return field->length;
#ifdef RH_TSAN
    return 128;
#endif
    uint64_t random = stress_mix(~position);
    return (uint32_t)(random % ((random >> 32) % 16 == 0 ? 1024 : 128));
}

static uint32_t field_slot(uint64_t position) {
    return (uint32_t)(stress_mix(position) % SLOT_COUNT);
}

static bool field_over(const struct field *field) {
    return __atomic_load_n(&field->over, __ATOMIC_ACQUIRE) != 0;
}

/* ---- writer ---- */

static void field_append(struct field *field, uint8_t *out, uint32_t length, uint64_t position) {
    stress_fill(out, length, position << 12);
    log_writer_commit(field->log, length, log_flags(LOG_EVENT, field_slot(position), 0, 0), position,
                      ~position);
}

static void field_publish(struct field *field) {
    if (!log_writer_publish(field->log))
        return;
    if (field->journalled) {
        wake_signal(&field->journal);
        return;
    }
    wake_signal(&field->follower);
    wake_signal(&field->laggard);
}

/* Sleeps until somebody moves or the grace is over. */
static void field_sleep(struct field *field, uint64_t retry_ns) {
    struct pollfd bell = {.fd = field->writer.bell, .events = POLLIN};
    wake_announce(&field->writer);
    if (log_writer_waits(field->log)) {
        uint64_t now_ns = clock_mono_ns();
        int limit_ms = retry_ns == 0        ? STRESS_PATIENCE_MS
                       : retry_ns <= now_ns ? 0
                                            : 1 + (int)((retry_ns - now_ns) / NS_PER_MS);
        STRESS(poll(&bell, 1, limit_ms) == 1 || retry_ns != 0,
               "lost a wake: the writer sleeps on free space");
        wake_drain(&field->writer);
    }
    wake_resume(&field->writer);
}

static void write_records(void *context) {
    struct field *field = context;
    uint64_t random = 6, retry_ns = 0;
    while (log_writer_next(field->log) <= field->records) {
        uint64_t position = log_writer_next(field->log);
        uint32_t length = field_length(field, position);
        uint8_t *out;
        if (log_writer_reserve(field->log, length, clock_mono_ns(), &out, &retry_ns) == RING_FULL) {
            field->refused++;
            field_publish(field);
            field_sleep(field, retry_ns);
            continue;
        }
        field_append(field, out, length, position);
        if (stress_random(&random) % FOLLOW_BATCH == 0)
            field_publish(field);
    }
    field_publish(field);
    log_check(field->log);
    __atomic_store_n(field->journalled ? &field->written : &field->over, 1, __ATOMIC_RELEASE);
    wake_signal(&field->follower);
    wake_signal(&field->laggard);
    wake_signal(&field->journal);
}

/* Publishes every record and never sleeps: the time between a claim and the overwriting is as short as it can
 * be. */
static void write_in_haste(void *context) {
    struct field *field = context;
    uint64_t retry_ns = 0;
    uint32_t turns = 0;
    while (log_writer_next(field->log) <= field->records) {
        uint64_t position = log_writer_next(field->log);
        uint32_t length = field_length(field, position);
        uint8_t *out;
        if (log_writer_reserve(field->log, length, 0, &out, &retry_ns) == RING_FULL) {
            field->refused++;
            stress_pause(&turns);
            continue;
        }
        field_append(field, out, length, position);
        log_writer_publish(field->log);
    }
    log_check(field->log);
    __atomic_store_n(&field->over, 1, __ATOMIC_RELEASE);
}

/* ---- readers ---- */

static void field_verify(const struct field *field, uint64_t position, const char *who) {
    const struct log_entry *entry = log_entry_at(field->log, position);
    unsigned long at = (unsigned long)position;
    STRESS(entry->topic == position && entry->time == ~position, "%s: entry %lu overwritten under its gate",
           who, at);
    STRESS(entry->length == field_length(field, position), "%s: length of %lu overwritten under its gate",
           who, at);
    STRESS(stress_same(log_bytes_at(field->log, entry->offset), entry->length, position << 12),
           "%s: bytes of %lu overwritten under its gate", who, at);
    STRESS(log_slot_last(field->log, log_flags_slot(entry->flags)) >= position, "%s: slot_last is behind %lu",
           who, at);
}

static void dive(void *context) {
    struct field *field = context;
    int gate = log_reader_attach(field->log);
    uint64_t random = 7, claim = log_records(field->log) / LOG_CLAIM_STEPS;
    STRESS(gate >= 0, "no gate");
    while (!field_over(field)) {
        uint64_t visible = log_visible(field->log);
        uint64_t position = log_oldest(field->log) + stress_random(&random) % (2 * claim);
        STRESS(visible <= log_produced(field->log), "visible is beyond produced");
        if (position >= visible)
            continue;
        field->dives++;
        if (!log_reader_lower(field->log, gate, position)) {
            STRESS(log_reader_gate(field->log, gate) == LOG_IDLE, "overtaken and not idle");
            field->drowned++;
            continue;
        }
        field_verify(field, position, "diver");
        stress_delay(stress_random(&random) % 64);
        field_verify(field, position, "diver, later");
        if (position + 1 < visible) {
            log_reader_raise(field->log, gate, position + 1);
            field_verify(field, position + 1, "diver, raised");
        }
        log_reader_idle(field->log, gate);
        stress_delay(stress_random(&random) % 16);
    }
    log_reader_detach(field->log, gate);
}

/* The follower goes by `visible` and the laggard by `produced` (as the journal does), and neither looks at
 * the other word: an acquire of one would hide from ThreadSanitizer that the other is stored without
 * release. */
typedef uint64_t (*field_end)(const struct log *);

/* Sleeps until there is something beyond `position`; false when there will never be. */
static bool field_wait(struct field *field, struct wake *wake, uint64_t position, field_end end) {
    bool over = field_over(field); /* read first: what was published before the end is seen below */
    if (end(field->log) != position)
        return true;
    if (over)
        return false;
    wake_announce(wake);
    if (end(field->log) != position || field_over(field))
        wake_resume(wake);
    else
        stress_sleep(wake);
    return true;
}

static void follow(void *context) {
    struct field *field = context;
    int gate = log_reader_attach(field->log);
    uint64_t position = 1;
    STRESS(gate >= 0 && log_reader_lower(field->log, gate, 1),
           "the follower must begin before the writer laps");
    __atomic_fetch_add(&field->ready, 1, __ATOMIC_RELEASE);
    while (field_wait(field, &field->follower, position, log_visible)) {
        uint64_t visible = log_visible(field->log);
        uint64_t end = visible - position > FOLLOW_BATCH ? position + FOLLOW_BATCH : visible;
        for (; position < end; position++)
            field_verify(field, position, "follower");
        log_reader_raise(field->log, gate, position);
        stress_delay(field->slow);
    }
    field->followed = position - 1;
    log_reader_detach(field->log, gate);
}

/* Reads what is produced, gives it up, and says some time later that it is durable. */
static void commit(void *context) {
    struct field *field = context;
    int gate = log_reader_attach(field->log);
    uint64_t position = 1, random = 9;
    STRESS(gate >= 0 && log_reader_lower(field->log, gate, 1),
           "the journal must begin before the writer laps");
    __atomic_fetch_add(&field->ready, 1, __ATOMIC_RELEASE);
    for (;;) {
        bool written = __atomic_load_n(&field->written, __ATOMIC_ACQUIRE) != 0;
        uint64_t produced = log_produced(field->log);
        for (uint64_t p = position; p < produced; p++)
            field_verify(field, p, "journal");
        log_reader_raise(field->log, gate, produced);
        stress_delay(stress_random(&random) % 64);
        if (produced != position) {
            log_visible_set(field->log, produced);
            wake_signal(&field->follower);
            position = produced;
        } else if (written) {
            break;
        } else {
            wake_announce(&field->journal);
            if (log_produced(field->log) != position ||
                __atomic_load_n(&field->written, __ATOMIC_ACQUIRE) != 0)
                wake_resume(&field->journal);
            else
                stress_sleep(&field->journal);
        }
    }
    log_reader_detach(field->log, gate);
    __atomic_store_n(&field->over, 1, __ATOMIC_RELEASE);
    wake_signal(&field->follower);
}

/* One stretch of catching up from `position`, under the gate; where it ended. */
static uint64_t catch_up(struct field *field, int gate, uint64_t position, uint64_t count) {
    uint64_t produced = log_produced(field->log);
    if (!log_reader_lower(field->log, gate, position)) {
        uint64_t oldest = log_oldest(field->log);
        STRESS(oldest > position, "told of a gap that is none");
        field->gaps++;
        field->missed += oldest - position;
        return oldest;
    }
    uint64_t end = produced - position > count ? position + count : produced;
    for (; position < end; position++, field->caught_up++)
        field_verify(field, position, "laggard");
    log_reader_laggard(field->log, gate,
                       position); /* before IDLE: from here on only the floor speaks for it */
    log_reader_idle(field->log, gate);
    return position;
}

static void lag(void *context) {
    struct field *field = context;
    int gate = log_reader_attach(field->log);
    uint64_t position = 1, random = 8;
    STRESS(gate >= 0, "no gate");
    while (field_wait(field, &field->laggard, position, log_produced)) {
        position = catch_up(field, gate, position, 1 + stress_random(&random) % 64);
        if (stress_random(&random) % 256 == 0)
            poll(NULL, 0, 2); /* a pause long enough to be lapped when the grace is spent */
    }
    STRESS(field->caught_up + field->missed == position - 1, "the laggard has lost count");
    log_reader_detach(field->log, gate);
}

/* The writer of a run begins when the follower holds a gate at position 1, and the journal if there is one.
 */
static void write_followed(void *context) {
    struct field *field = context;
    uint32_t turns = 0;
    while (__atomic_load_n(&field->ready, __ATOMIC_ACQUIRE) < (field->journalled ? 2 : 1))
        stress_pause(&turns);
    write_records(field);
}

/* ---- runs ---- */

static struct field *field_make(uint64_t data, uint64_t entries, uint64_t records, uint32_t length,
                                bool journalled) {
    struct field *field = aligned_alloc(64, sizeof *field);
    STRESS(field != NULL, "no memory");
    *field = (struct field){.records = records, .length = length, .journalled = journalled};
    STRESS(wake_init(&field->writer) == 0 && wake_init(&field->follower) == 0 &&
               wake_init(&field->laggard) == 0 && wake_init(&field->journal) == 0,
           "no wake");
    struct log_config config = {.data_bytes = data,
                                .records = entries,
                                .grace_ns = 20 * NS_PER_MS,
                                .journalled = journalled,
                                .writer = &field->writer};
    STRESS(log_create(&field->log, &config) == 0, "no log");
    return field;
}

static void field_unmake(struct field *field) {
    log_check(field->log);
    log_destroy(field->log);
    wake_deinit(&field->writer);
    wake_deinit(&field->follower);
    wake_deinit(&field->laggard);
    wake_deinit(&field->journal);
    free(field);
}

static void run_dive(const char *name, uint64_t data, uint64_t entries, uint64_t records) {
    struct field *field = field_make(data, entries, records, 0, false);
    uint64_t elapsed_ns = stress_run(field, 2, (void (*const[])(void *)){write_in_haste, dive});
    stress_report(name, records, elapsed_ns);
    printf("  dives %lu, overtaken %lu, refused %lu\n", (unsigned long)field->dives,
           (unsigned long)field->drowned, (unsigned long)field->refused);
    field_unmake(field);
}

static void run_follow(const char *name, uint64_t data, uint64_t entries, uint64_t records) {
    struct field *field = field_make(data, entries, records, 0, false);
    uint64_t elapsed_ns = stress_run(field, 4, (void (*const[])(void *)){follow, write_followed, lag, dive});
    STRESS(field->followed == records, "the follower saw %lu of %lu", (unsigned long)field->followed,
           (unsigned long)records);
    stress_report(name, records, elapsed_ns);
    printf("  laggard: %lu read, %lu missed in %lu gaps; dives %lu; refused %lu, of these by grace %lu; "
           "laggard passed %lu\n",
           (unsigned long)field->caught_up, (unsigned long)field->missed, (unsigned long)field->gaps,
           (unsigned long)field->dives, (unsigned long)field->refused,
           (unsigned long)counter_get(&log_counters(field->log)->refused_grace),
           (unsigned long)counter_get(&log_counters(field->log)->passed_laggard));
    field_unmake(field);
}

static void run_durable(const char *name, uint64_t data, uint64_t entries, uint64_t records) {
    struct field *field = field_make(data, entries, records, 0, true);
    uint64_t elapsed_ns = stress_run(field, 3, (void (*const[])(void *)){follow, write_followed, commit});
    STRESS(field->followed == records, "the follower saw %lu of %lu", (unsigned long)field->followed,
           (unsigned long)records);
    stress_report(name, records, elapsed_ns);
    field_unmake(field);
}

static void run_publish(const char *name, uint64_t records) {
    struct field *field = field_make(16 * MIB, 128 * KIB, records, 128, false);
    uint64_t elapsed_ns = stress_run(field, 1, (void (*const[])(void *)){write_in_haste});
    stress_report(name, records, elapsed_ns);
    field_unmake(field);
}

int main(int argc, char **argv) {
    uint64_t records = stress_count(argc, argv, 2000000);
    run_dive("dive: index runs out first", 64 * KIB, 256, records);
    run_dive("dive: data runs out first", 16 * KIB, 1024, records);
    run_follow("follow: 64 KiB, 1024 entries", 64 * KIB, 1024, records / 4);
    run_follow("follow: 16 KiB, 64 entries", 16 * KIB, 64, records / 16);
    run_durable("durable: 64 KiB, 1024 entries", 64 * KIB, 1024, records / 4);
    run_publish("publish: 128 bytes, one batch each", records);
    return 0;
}
