/* Stress of core/journal on a real disk: two logs whose writers never rest, their commit threads, the
 * housekeeping that makes spares, marks and trims, and two readers of history that go from the oldest record
 * to the newest again and again, while segments are trimmed under them.
 *
 * A record's length and contents follow from its log and position. Every record that a reader gets must be
 * whole, in order, and durable; what is durable must never be missing but for what was trimmed. */
#include "tests/stress/ring_stress.h"

#include "core/journal/journal.h"

#include <errno.h>

#define LOGS    2u
#define LONGEST 3000u

struct field {
    struct journal *journal;
    struct log *rings[LOGS];
    struct wake wakes[LOGS]; /* of the writers */
    uint64_t records;
    uint64_t over __attribute__((aligned(64))); /* counts the writers that are done */
    uint64_t read[LOGS], trimmed[LOGS];         /* each its reader's */
};

struct seat {
    struct field *field;
    uint32_t log;
};

static uint64_t key_of(uint32_t log, uint64_t position) {
    return position << 16 | (uint64_t)log << 12;
}

static uint32_t length_of(uint32_t log, uint64_t position) {
#ifdef RH_TSAN
    (void)log;
    (void)position;
    return 128; /* so that none crosses the end of the data area */
#endif
    uint64_t random = stress_mix(~key_of(log, position));
    return (uint32_t)(random % ((random >> 32) % 16 == 0 ? LONGEST : 200));
}

static void moved(void *user) {
    wake_signal(user);
}

static void append(struct field *field, uint32_t log, uint64_t position) {
    uint64_t retry_ns;
    uint8_t *out;
    uint32_t length = length_of(log, position);
    struct log *ring = field->rings[log];
    while (log_writer_reserve(ring, length, clock_mono_ns(), &out, &retry_ns) != RING_OK) {
        if (log_writer_publish(ring))
            wake_signal(journal_wake(field->journal, log));
        wake_announce(&field->wakes[log]);
        if (log_writer_waits(ring))
            stress_sleep(&field->wakes[log]);
        else
            wake_resume(&field->wakes[log]);
    }
    stress_fill(out, length, key_of(log, position));
    log_writer_commit(ring, length, log_flags(LOG_EVENT, (uint32_t)position % SLOT_COUNT, 0, 0), 1, position);
}

static void write_log(struct field *field, uint32_t log) {
    uint64_t random = log;
    for (uint64_t position = 1; position <= field->records; position++) {
        append(field, log, position);
        if (stress_random(&random) % 16 == 0 && log_writer_publish(field->rings[log]))
            wake_signal(journal_wake(field->journal, log));
    }
    if (log_writer_publish(field->rings[log]))
        wake_signal(journal_wake(field->journal, log));
    __atomic_fetch_add(&field->over, 1, __ATOMIC_RELEASE);
}

static void verify(const struct field *field, uint32_t log, const struct journal_stretch *stretch) {
    STRESS(stretch->next <= log_visible(field->rings[log]), "what was read was not visible yet");
    for (uint32_t i = 0; i < stretch->count; i++) {
        uint64_t position = stretch->first + i;
        const struct log_entry *entry = &stretch->entries[i];
        STRESS(entry->length == length_of(log, position) && entry->time == position,
               "record %lu is not what was written", (unsigned long)position);
        STRESS(stress_same(stretch->frames + entry->offset, entry->length, key_of(log, position)),
               "bytes of record %lu are not what was written", (unsigned long)position);
    }
}

/* visible is set after the reader may have read: so it is waited for. */
static void wait_visible(const struct field *field, uint32_t log, uint64_t next) {
    uint32_t turns = 0;
    while (log_visible(field->rings[log]) < next)
        stress_pause(&turns);
}

static void read_log(struct field *field, uint32_t log) {
    struct journal_stretch stretch = {.bytes_max = 20000};
    uint64_t position = 1;
    bool over;
    do {
        over = __atomic_load_n(&field->over, __ATOMIC_ACQUIRE) == LOGS &&
               log_visible(field->rings[log]) == field->records + 1;
        int result = journal_read(field->journal, log, position, &stretch);
        if (result == -ERANGE) {
            uint64_t oldest = journal_oldest(field->journal, log);
            STRESS(oldest > position, "told that something is trimmed which is not");
            field->trimmed[log] += oldest - position;
            position = oldest;
            over = false;
        } else if (result == -ENODATA) {
            STRESS(position == journal_next(field->journal, log) || !over, "the end is not the end");
            poll(NULL, 0, 1);
        } else {
            STRESS(result == 0 && stretch.count > 0 && stretch.first == position, "reading %lu: %d",
                   (unsigned long)position, result);
            wait_visible(field, log, stretch.next);
            verify(field, log, &stretch);
            position = stretch.next;
            field->read[log] += stretch.count;
            over = false;
            if (log == 1) /* so slow that what it wants next is trimmed, if anything is */
                poll(NULL, 0, 20);
        }
    } while (!over);
    STRESS(position == field->records + 1, "the reader of log %u ended at %lu", log, (unsigned long)position);
    journal_stretch_free(&stretch);
}

static void write_first(void *context) {
    write_log(context, 0);
}
static void write_second(void *context) {
    write_log(context, 1);
}
static void read_first(void *context) {
    read_log(context, 0);
}
static void read_second(void *context) {
    read_log(context, 1);
}

static void start(struct field *field, uint32_t log) {
    STRESS(wake_init(&field->wakes[log]) == 0, "no wake");
    struct log_config config = {.number = (uint16_t)(64 + log),
                                .data_bytes = 256 * KIB,
                                .records = 4096,
                                .first = journal_next(field->journal, log),
                                .journalled = true,
                                .writer = &field->wakes[log]};
    STRESS(log_create(&field->rings[log], &config) == 0, "no ring");
    STRESS(journal_start(field->journal, log, field->rings[log], moved, &field->wakes[log]) == 0, "no start");
}

static void run(const char *name, const char *directory, uint64_t records, uint64_t retain_bytes) {
    struct field *field = aligned_alloc(64, sizeof *field);
    struct journal_trouble trouble;
    struct journal_config config = {.directory = directory,
                                    .logs = LOGS,
                                    .segment_bytes = JOURNAL_SEGMENT_MIN,
                                    .record_max = LONGEST,
                                    .retain_bytes = retain_bytes};
    STRESS(field != NULL, "no memory");
    memset(field, 0, sizeof *field);
    field->records = records;
    STRESS(journal_open(&field->journal, &config, &trouble) == 0, "%s", trouble.text);
    for (uint32_t i = 0; i < LOGS; i++)
        start(field, i);
    uint64_t elapsed_ns =
        stress_run(field, 4, (void (*const[])(void *)){write_first, write_second, read_first, read_second});
    STRESS(journal_stop(field->journal) == 0, "the journal has failed");
    stress_report(name, records * LOGS, elapsed_ns);
    printf("  read %lu and %lu, trimmed under the readers %lu and %lu\n", (unsigned long)field->read[0],
           (unsigned long)field->read[1], (unsigned long)field->trimmed[0], (unsigned long)field->trimmed[1]);
    journal_close(field->journal);
    for (uint32_t i = 0; i < LOGS; i++) {
        log_destroy(field->rings[i]);
        wake_deinit(&field->wakes[i]);
    }
    free(field);
}

static void run_in(const char *name, uint64_t records, uint64_t retain_bytes) {
    char directory[] = "/tmp/rh-journal-stress-XXXXXX", command[64];
    STRESS(mkdtemp(directory) != NULL, "no directory");
    run(name, directory, records, retain_bytes);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    STRESS(system(command) == 0, "the directory stays");
}

int main(int argc, char **argv) {
    uint64_t records = stress_count(argc, argv, 20000);
    run_in("journal: all is kept", records / 2, 0);
    run_in("journal: trimmed under the readers", records, 6 * JOURNAL_SEGMENT_MIN);
    return 0;
}
