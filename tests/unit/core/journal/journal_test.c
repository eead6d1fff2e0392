/* The journal with its threads, on the real disk. */
#include "core/base/clock.h"
#include "core/base/logfmt.h"
#include "core/journal/disk.h"
#include "core/journal/format.h"
#include "core/journal/journal.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 20000

struct field {
    char directory[64];
    struct journal *journal;
    struct log *ring;
    struct wake wake; /* rung by `moved` */
};

static void moved(void *user) {
    wake_signal(&((struct field *)user)->wake);
}

static struct journal_config config_of(const struct field *field) {
    return (struct journal_config){.directory = field->directory,
                                   .logs = 1,
                                   .slot_seed = 99,
                                   .segment_bytes = JOURNAL_SEGMENT_MIN,
                                   .record_max = 8000};
}

static void field_make(struct field *field) {
    (void)snprintf(field->directory, sizeof field->directory, "/tmp/rh-journal-XXXXXX");
    cr_assert_not_null(mkdtemp(field->directory));
    cr_assert_eq(wake_init(&field->wake), 0);
}

static void field_unmake(struct field *field) {
    char command[128];
    wake_deinit(&field->wake);
    (void)snprintf(command, sizeof command, "rm -rf %s", field->directory);
    cr_assert_eq(system(command), 0);
}

static void field_open(struct field *field, const struct journal_config *config) {
    struct journal_trouble trouble;
    cr_assert_eq(journal_open(&field->journal, config, &trouble), 0, "%s", trouble.text);
}

static void field_start(struct field *field) {
    struct log_config config = {.number = 64,
                                .data_bytes = 256 * KIB,
                                .records = 1024,
                                .first = journal_next(field->journal, 0),
                                .journalled = true,
                                .writer = &field->wake};
    cr_assert_eq(log_create(&field->ring, &config), 0);
    cr_assert_eq(journal_start(field->journal, 0, field->ring, moved, field), 0);
}

static void field_stop(struct field *field) {
    cr_assert_eq(journal_stop(field->journal), 0);
    cr_assert_eq(log_visible(field->ring), log_produced(field->ring));
    journal_close(field->journal);
    log_destroy(field->ring);
}

static void sleep_once(struct field *field) {
    struct pollfd bell = {.fd = field->wake.bell, .events = POLLIN};
    cr_assert_eq(poll(&bell, 1, PATIENCE_MS), 1, "nobody moved");
    wake_drain(&field->wake);
}

static uint32_t record_length(uint64_t position) {
    return (uint32_t)(position * 7919 % (position % 16 == 0 ? 8000 : 400));
}

static void append(struct field *field, uint64_t time_ns, uint32_t slot) {
    uint64_t position = log_writer_next(field->ring), retry_ns;
    uint32_t length = record_length(position);
    uint8_t *out;
    while (log_writer_reserve(field->ring, length, 0, &out, &retry_ns) != RING_OK) {
        wake_announce(&field->wake);
        if (log_writer_waits(field->ring))
            sleep_once(field);
        wake_resume(&field->wake);
    }
    memset(out, (int)(position & 0xff), length);
    log_writer_commit(field->ring, length, log_flags(LOG_EVENT, slot, 0, 0), 1, time_ns);
    if (log_writer_publish(field->ring))
        wake_signal(journal_wake(field->journal, 0));
}

/* Until all that is produced is durable. */
static void settle(struct field *field) {
    while (log_visible(field->ring) != log_produced(field->ring)) {
        wake_announce(&field->wake);
        if (log_visible(field->ring) != log_produced(field->ring))
            sleep_once(field);
        wake_resume(&field->wake);
    }
}

static void read_all(const struct field *field, uint64_t from, uint64_t to, uint64_t bytes_max) {
    struct journal_stretch stretch = {.bytes_max = bytes_max};
    while (from < to) {
        cr_assert_eq(journal_read(field->journal, 0, from, &stretch), 0);
        cr_assert(stretch.first == from && stretch.count > 0 && stretch.next == from + stretch.count);
        for (uint32_t i = 0; i < stretch.count; i++) {
            const struct log_entry *entry = &stretch.entries[i];
            cr_assert_eq(entry->length, record_length(from + i));
            for (uint32_t k = 0; k < entry->length; k++)
                cr_assert_eq(stretch.frames[entry->offset + k], (uint8_t)(from + i));
        }
        from = stretch.next;
    }
    cr_assert_eq(from, to);
    journal_stretch_free(&stretch);
}

struct taken {
    uint64_t next;
    uint32_t left; /* records of this scan */
};

static bool take_checked(void *user, uint64_t position, const struct log_entry *entry, uint64_t identity,
                         const uint8_t *bytes) {
    struct taken *taken = user;
    (void)identity;
    if (taken->left == 0)
        return false;
    taken->left--;
    cr_assert(position == taken->next && entry->length == record_length(position));
    for (uint32_t k = 0; k < entry->length; k++)
        cr_assert_eq(bytes[k], (uint8_t)position);
    taken->next++;
    return true;
}

/* A run that has used more epochs than its own says so before; the next run begins above them. */
Test(journal, never_gives_an_epoch_that_an_earlier_run_has_said_to_be_in_use) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    cr_assert_eq(journal_facts(field.journal)->boot_epoch, 1);
    cr_assert_eq(journal_epoch_raise(field.journal, 7), 0);
    cr_assert_eq(journal_epoch_raise(field.journal, 5), 0, "it never goes down");
    cr_assert_eq(journal_facts(field.journal)->boot_epoch, 1, "this run is what it was");
    journal_close(field.journal);
    field_open(&field, &config);
    cr_assert_eq(journal_facts(field.journal)->boot_epoch, 8);
    journal_close(field.journal);
    field_unmake(&field);
    LEAKS_NONE();
}

/* ---- committing ---- */

Test(journal, makes_what_is_published_durable_then_visible_and_reads_it_after_a_restart) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    uint8_t instance[16];
    for (uint32_t life = 1; life <= 3; life++) {
        field_open(&field, &config);
        const struct journal_facts *facts = journal_facts(field.journal);
        cr_assert(facts->boot_epoch == life && facts->logs == 1 && facts->slot_seed == 99);
        cr_assert(life == 1 || memcmp(instance, facts->instance, sizeof instance) == 0);
        memcpy(instance, facts->instance, sizeof instance);
        uint64_t first = journal_next(field.journal, 0);
        cr_assert_eq(first, 1 + (life - 1) * 3000);
        read_all(&field, 1, first, 0);
        field_start(&field);
        for (uint32_t i = 0; i < 3000; i++)
            append(&field, 1000, 1);
        settle(&field);
        cr_assert_eq(journal_next(field.journal, 0), first + 3000);
        read_all(&field, first, first + 3000, 1000);
        read_all(&field, 1, first + 3000, 100000);
        const struct journal_counters *counters = journal_counters(field.journal, 0);
        cr_assert_eq(counter_get(&counters->records), 3000);
        cr_assert_eq(counter_get(&counters->durable), first + 3000);
        cr_assert(counter_get(&counters->groups) > 0 && counter_get(&counters->syncs) > 0 &&
                  counter_get(&counters->sync_ns_max) > 0);
        field_stop(&field);
    }
    field_unmake(&field);
    LEAKS_NONE();
}

Test(journal, proves_the_last_group_after_a_while_and_at_a_stop) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    append(&field, 1, 1);
    settle(&field);
    const struct journal_counters *counters = journal_counters(field.journal, 0);
    uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
    while (counter_get(&counters->seals) == 0 && clock_mono_ns() < until_ns)
        poll(NULL, 0, 10);
    cr_assert_eq(counter_get(&counters->seals), 1);
    cr_assert_eq(counter_get(&counters->proven), 1);
    append(&field, 1, 1);
    field_stop(&field);
    field_open(&field, &config);
    cr_assert_eq(journal_next(field.journal, 0), 3);
    cr_assert_eq(journal_stop(field.journal), 0, "nothing was started");
    journal_close(field.journal);
    field_unmake(&field);
}

Test(journal, stops_when_nothing_was_written) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    struct journal_stretch stretch = {0};
    cr_assert_eq(journal_read(field.journal, 0, 1, &stretch), -ENODATA);
    cr_assert(journal_oldest(field.journal, 0) == 1 && journal_next(field.journal, 0) == 1);
    cr_assert_eq(journal_since(field.journal, 0, 5), 1);
    field_start(&field);
    field_stop(&field);
    field_unmake(&field);
    LEAKS_NONE();
}

/* ---- where to read ---- */

Test(journal, finds_where_a_time_begins) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 2000; i++)
        append(&field, i * 10, 1);
    settle(&field);
    cr_assert_eq(journal_since(field.journal, 0, 0), 1);
    cr_assert_eq(journal_since(field.journal, 0, 20001), 2001, "all are older");
    uint64_t last = 0;
    for (uint64_t time = 5; time <= 20000; time += 10) {
        uint64_t position = journal_since(field.journal, 0, time);
        cr_assert(position >= last && position * 10 <= time + 9, "time %lu: %lu", (unsigned long)time,
                  (unsigned long)position);
        last = position;
    }
    cr_assert_gt(last, 1000, "segments are skipped");
    field_stop(&field);
    field_unmake(&field);
}

Test(journal, leaves_out_segments_without_the_slots_asked_for) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 3000; i++)
        append(&field, 1, i == 1500 ? 77 : 3);
    settle(&field);
    uint64_t slots[64] = {[1] = UINT64_C(1) << 13}; /* 77 */
    struct journal_stretch stretch = {.slots = slots, .bytes_max = UINT64_MAX};
    cr_assert_eq(journal_read(field.journal, 0, 1, &stretch), 0);
    cr_assert(stretch.first > 1 && stretch.first <= 1500 && stretch.next > 1500 && stretch.next < 3001);
    cr_assert_eq(journal_read(field.journal, 0, stretch.next, &stretch), 0);
    cr_assert(stretch.count == 0 && stretch.first == 3001 && stretch.next == 3001);
    cr_assert_eq(journal_read(field.journal, 0, 3001, &stretch), -ENODATA);
    journal_stretch_free(&stretch);
    field_stop(&field);
    field_unmake(&field);
}

static bool slot_77(uint32_t flags, const uint8_t *bytes) {
    (void)bytes;
    return log_flags_slot(flags) == 77;
}

Test(journal, knows_after_a_start_where_the_records_are_that_were_to_be_noted) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    config.segment_bytes = 4 * MIB;
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 20000; i++)
        append(&field, 1, i == 7000 || i == 15000 ? 77 : 3);
    settle(&field);
    cr_assert_eq(journal_noted(field.journal, 0, 1), 20001, "nobody has asked");
    field_stop(&field);
    config.notes = slot_77;
    field_open(&field, &config);
    uint64_t at = journal_noted(field.journal, 0, 1);
    cr_assert(at > 1 && at <= 7000, "%lu", (unsigned long)at);
    cr_assert_eq(journal_noted(field.journal, 0, 7000), 7000);
    for (at = 7000; at < 15000;) { /* the stretch with that record, then the other one, and nothing between */
        uint64_t next = journal_noted(field.journal, 0, at + 1);
        cr_assert(next == at + 1 || next > at + 2000, "%lu", (unsigned long)next);
        at = next;
    }
    cr_assert_eq(at, 15000);
    cr_assert_eq(journal_noted(field.journal, 0, 20000), 20001);
    journal_close(field.journal);
    field_unmake(&field);
}

/* As the threads of history.c do, without them: one is read from, the other is loaded with what comes behind.
 */
Test(journal, reads_piece_by_piece_every_record_once) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    config.segment_bytes = 16 * MIB; /* several pieces in one */
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    enum { RECORDS = 60000 };
    for (uint64_t i = 1; i <= RECORDS; i++)
        append(&field, 1, 3);
    settle(&field);
    struct journal_reader readers[2] = {{.in_order = true}, {.in_order = true}};
    struct taken taken = {.next = 1};
    uint32_t pieces = 0, now = 0;
    while (taken.next <= RECORDS) {
        uint64_t end;
        do {
            taken.left = 1000;
            cr_assert_eq(journal_scan(field.journal, 0, taken.next, &readers[now], take_checked, &taken), 0);
            end = journal_reader_end(&readers[now]);
            cr_assert(end >= taken.next && end <= RECORDS + 1);
        } while (taken.next < end);
        journal_reader_follow(&readers[1 - now], &readers[now]);
        int result = journal_load(field.journal, 0, end, &readers[1 - now]);
        cr_assert_eq(result, end <= RECORDS ? 0 : -ENODATA);
        cr_assert(end > RECORDS || journal_reader_has(&readers[1 - now], 0, end));
        now = 1 - now;
        pieces++;
    }
    cr_assert(pieces >= 3, "%u", pieces);
    journal_reader_free(&readers[0]);
    journal_reader_free(&readers[1]);
    field_stop(&field);
    field_unmake(&field);
}

Test(journal, trims_by_bytes_and_says_what_is_gone) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    config.retain_bytes = 4 * JOURNAL_SEGMENT_MIN;
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 6000; i++)
        append(&field, i, 1);
    settle(&field);
    uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
    const struct journal_counters *counters = journal_counters(field.journal, 0);
    while (counter_get(&counters->segments) > 5 && clock_mono_ns() < until_ns)
        poll(NULL, 0, 10);
    uint64_t oldest = journal_oldest(field.journal, 0);
    cr_assert(oldest > 1 && counter_get(&counters->trimmed) > 0);
    struct journal_stretch stretch = {0};
    cr_assert_eq(journal_read(field.journal, 0, 1, &stretch), -ERANGE);
    journal_stretch_free(&stretch);
    field_stop(&field);
    field_open(&field, &config);
    cr_assert_geq(journal_oldest(field.journal, 0), oldest);
    read_all(&field, journal_oldest(field.journal, 0), 6001, 0);
    journal_close(field.journal);
    field_unmake(&field);
    LEAKS_NONE();
}

/* Until `counter` is above `value`. */
static void await_above(const struct counter *counter, uint64_t value) {
    uint64_t until_ns = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
    while (counter_get(counter) <= value && clock_mono_ns() < until_ns)
        poll(NULL, 0, 10);
    cr_assert_gt(counter_get(counter), value);
}

/* The house counts segments behind its trimming: it has looked when there are more than may be retained. */
Test(journal, trims_nothing_that_somebody_needs) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    config.retain_bytes = 4 * JOURNAL_SEGMENT_MIN;
    config.keeps = true;
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 6000; i++)
        append(&field, i, 1);
    settle(&field);
    const struct journal_counters *counters = journal_counters(field.journal, 0);
    await_above(&counters->segments, 6);
    cr_assert_eq(counter_get(&counters->trimmed), 0, "nobody has said yet what he needs");
    journal_keep(field.journal, 0, 3000);
    for (uint64_t i = 6001; i <= 6500; i++)
        append(&field, i, 1);
    settle(&field);
    await_above(&counters->trimmed, 0);
    field_stop(&field);
    field_open(&field, &config);
    uint64_t oldest = journal_oldest(field.journal, 0);
    cr_assert(oldest > 1 && oldest <= 3000, "from %lu on", (unsigned long)oldest);
    read_all(&field, oldest, 6501, 0);
    journal_close(field.journal);
    field_unmake(&field);
    LEAKS_NONE();
}

Test(journal, takes_other_bounds_while_it_is_open) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 6000; i++)
        append(&field, i, 1);
    settle(&field);
    const struct journal_counters *counters = journal_counters(field.journal, 0);
    await_above(&counters->segments, 6);
    cr_assert_eq(counter_get(&counters->trimmed), 0, "without bounds all is kept");
    journal_retain(field.journal, 4 * JOURNAL_SEGMENT_MIN, 0);
    await_above(&counters->trimmed, 0);
    uint64_t trimmed = counter_get(&counters->trimmed);
    journal_retain(field.journal, 0, NS_PER_S); /* every record here is from 1970 */
    await_above(&counters->trimmed, trimmed);
    field_stop(&field);
    field_unmake(&field);
    LEAKS_NONE();
}

Test(journal, trims_by_age_and_keeps_the_segment_before_the_current_one) {
    struct field field = {0};
    struct journal_config config = config_of(&field);
    config.retain_ns = NS_PER_S; /* every record here is from 1970 */
    field_make(&field);
    field_open(&field, &config);
    field_start(&field);
    for (uint64_t i = 1; i <= 4000; i++)
        append(&field, i, 1);
    field_stop(&field);
    field_open(&field, &config);
    uint64_t current = journal_segment(field.journal, 0), oldest = journal_oldest(field.journal, 0);
    cr_assert(current > 4 && oldest > 1 && oldest < 4001);
    char name[128];
    for (uint64_t number = 1; number <= current; number++) {
        (void)snprintf(name, sizeof name, "%s/0/%012lu.jnl", field.directory, (unsigned long)number);
        cr_assert_eq(access(name, F_OK) == 0, number + 1 >= current, "%s", name);
    }
    journal_close(field.journal);
    field_unmake(&field);
}

/* ---- directories that can not be used ---- */

static int open_status(const char *directory, char *text) {
    struct journal *journal = NULL;
    struct journal_trouble trouble = {0};
    struct journal_config config = {.directory = directory, .logs = 1, .record_max = 100};
    int result = journal_open(&journal, &config, &trouble);
    strcpy(text, trouble.text);
    if (result == 0)
        journal_close(journal);
    return result == 0 ? 0 : trouble.status;
}

Test(journal, refuses_a_directory_that_another_has_open) {
    struct field field = {0};
    char text[JOURNAL_TROUBLE_BYTES];
    struct journal_config config = config_of(&field);
    field_make(&field);
    field_open(&field, &config);
    cr_assert_eq(open_status(field.directory, text), 69);
    cr_assert_not_null(strstr(text, "another process has it open"));
    journal_close(field.journal);
    cr_assert_eq(open_status(field.directory, text), 0);
    field_unmake(&field);
    LEAKS_NONE();
}

Test(journal, refuses_what_is_no_directory_or_lies_in_none) {
    struct field field = {0};
    char text[JOURNAL_TROUBLE_BYTES], name[128];
    field_make(&field);
    (void)snprintf(name, sizeof name, "%s/file", field.directory);
    int file = open(name, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(file, 0);
    close(file);
    cr_assert_eq(open_status(name, text), 70);
    cr_assert_not_null(strstr(text, "Not a directory"));
    cr_assert_eq(open_status(field.directory, text), 65, "it has a file in it");
    (void)snprintf(name, sizeof name, "%s/none/journal", field.directory);
    cr_assert_eq(open_status(name, text), 70);
    cr_assert_not_null(strstr(text, "the directory above it must be there"));
    field_unmake(&field);
}

Test(journal, makes_its_directory_for_its_user_alone) {
    struct field field = {0};
    char text[JOURNAL_TROUBLE_BYTES], name[128];
    struct stat stat_of;
    field_make(&field);
    (void)snprintf(name, sizeof name, "%s/journal", field.directory);
    cr_assert_eq(open_status(name, text), 0, "%s", text);
    cr_assert_eq(stat(name, &stat_of), 0);
    cr_assert_eq(stat_of.st_mode & 0777, 0700);
    field_unmake(&field);
}
