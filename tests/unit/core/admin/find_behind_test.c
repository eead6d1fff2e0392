/* Searching a journal, on the real disk. */
#include "core/admin/find_behind.h"

#include "codecs/event/bytes.h"
#include "codecs/event/fields.h"
#include "codecs/wire/scan.h"
#include "core/base/clock.h"
#include "ring/log.h"
#include "ring/wake.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define RECORDS     12000u /* several stretches */
#define EACH        1000u  /* every so many-th has the id that is looked for */

TestSuite(find_behind);

struct field {
    char directory[64];
    struct journal *journal;
    struct log *ring;
    struct wake wake;
    struct find_wanted wanted;
};

static void moved(void *user) {
    wake_signal(&((struct field *)user)->wake);
}

static void sleep_once(struct field *field) {
    struct pollfd bell = {.fd = field->wake.bell, .events = POLLIN};
    cr_assert_eq(poll(&bell, 1, PATIENCE_MS), 1, "nobody moved");
    wake_drain(&field->wake);
}

static uint32_t record_make(uint64_t position, uint8_t *out) {
    char id[24] = "wanted";
    struct bytes event = {0};
    if (position % EACH != 0)
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)position);
    bytes_field(&event, EVENT_ID, id, strlen(id));
    bytes_field(&event, EVENT_SOURCE, "/test", 5);
    bytes_field(&event, EVENT_SPEC_VERSION, "1.0", 3);
    bytes_field(&event, EVENT_TYPE, "t", 1);
    cr_assert(!event.failed);
    const struct wire_event wire = {.topic = (const uint8_t *)"a.b",
                                    .topic_length = 3,
                                    .event = event.data,
                                    .event_length = (uint32_t)event.length};
    uint32_t length = wire_record_size_of(&wire);
    (void)wire_record_write(out, JOURNAL_SEQUENCE(position), &wire);
    bytes_free(&event);
    return length;
}

static void append(struct field *field) {
    uint8_t record[256], *out;
    uint64_t position = log_writer_next(field->ring), retry_ns;
    uint32_t length = record_make(position, record);
    while (log_writer_reserve(field->ring, length, 0, &out, &retry_ns) != RING_OK) {
        wake_announce(&field->wake);
        if (log_writer_waits(field->ring))
            sleep_once(field);
        wake_resume(&field->wake);
    }
    memcpy(out, record, length);
    const uint8_t *topic = memmem(record, length, "a.b", 3);
    cr_assert_not_null(topic);
    log_writer_commit(field->ring, length, log_flags(LOG_EVENT, 7, (uint32_t)(topic - record), 3), 1,
                      position * NS_PER_MS);
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

static void field_make(struct field *field) {
    struct journal_trouble trouble;
    (void)snprintf(field->directory, sizeof field->directory, "/tmp/rh-find-XXXXXX");
    cr_assert_not_null(mkdtemp(field->directory));
    cr_assert_eq(wake_init(&field->wake), 0);
    cr_assert(find_wanted_init(&field->wanted, "/test", "wanted"));
    const struct journal_config config = {.directory = field->directory,
                                          .logs = 1,
                                          .slot_seed = 99,
                                          .segment_bytes = JOURNAL_SEGMENT_MIN,
                                          .record_max = 8000};
    cr_assert_eq(journal_open(&field->journal, &config, &trouble), 0, "%s", trouble.text);
    const struct log_config ring = {.number = LOG_NUMBER_DISK,
                                    .data_bytes = 256 * KIB,
                                    .records = 1024,
                                    .first = journal_next(field->journal, 0),
                                    .journalled = true,
                                    .writer = &field->wake};
    cr_assert_eq(log_create(&field->ring, &ring), 0);
    cr_assert_eq(journal_start(field->journal, 0, field->ring, moved, field), 0);
    for (uint32_t i = 0; i < RECORDS; i++)
        append(field);
    settle(field);
}

static void field_unmake(struct field *field) {
    char command[128];
    cr_assert_eq(journal_stop(field->journal), 0);
    journal_close(field->journal);
    log_destroy(field->ring);
    wake_deinit(&field->wake);
    find_wanted_deinit(&field->wanted);
    (void)snprintf(command, sizeof command, "rm -rf %s", field->directory);
    cr_assert_eq(system(command), 0);
    LEAKS_NONE();
}

static struct find_behind *search(const struct field *field, uint64_t below, uint32_t events,
                                  uint64_t until_ns) {
    const struct find_behind_options options = {.journal = field->journal,
                                                .wanted = &field->wanted,
                                                .logs = 1,
                                                .below = &below,
                                                .events = events,
                                                .until_ns = until_ns};
    struct find_behind *behind = find_behind_start(&options);
    cr_assert_not_null(behind);
    for (uint32_t i = 0; i < PATIENCE_MS && !find_behind_over(behind); i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)NS_PER_MS}, NULL);
    cr_assert(find_behind_over(behind));
    return behind;
}

static uint64_t soon(void) {
    return clock_mono_ns() + 60 * NS_PER_S;
}

static uint64_t position_of(const json_t *event) {
    const char *sequence = json_string_value(json_object_get(event, "sequence"));
    cr_assert_not_null(sequence);
    return strtoull(sequence, NULL, 10) & ((UINT64_C(1) << 48) - 1);
}

Test(find_behind, looks_at_all_that_is_kept_and_gives_the_newest_first) {
    struct field field;
    field_make(&field);
    struct find_behind *behind = search(&field, journal_next(field.journal, 0), 100, soon());
    const json_t *events = find_behind_events(behind);
    struct find_range range = find_behind_range(behind, 0);
    cr_expect_eq(json_array_size(events), RECORDS / EACH);
    for (size_t i = 0; i < json_array_size(events); i++)
        cr_expect_eq(position_of(json_array_get(events, i)), RECORDS - i * EACH);
    cr_expect_eq(range.from, range.oldest);
    cr_expect_eq(range.time_ns, range.from * NS_PER_MS);
    cr_expect(!range.unread);
    cr_expect(find_behind_records(behind) >= RECORDS);
    find_behind_end(behind);
    field_unmake(&field);
}

Test(find_behind, looks_at_nothing_from_where_it_is_to_begin_on) {
    struct field field;
    field_make(&field);
    struct find_behind *behind = search(&field, 3 * EACH, 100, soon());
    cr_expect_eq(json_array_size(find_behind_events(behind)), 2);
    cr_expect_eq(position_of(json_array_get(find_behind_events(behind), 0)), 2 * EACH);
    find_behind_end(behind);
    behind = search(&field, journal_oldest(field.journal, 0), 100, soon());
    cr_expect_eq(json_array_size(find_behind_events(behind)), 0);
    find_behind_end(behind);
    field_unmake(&field);
}

Test(find_behind, ends_when_it_has_enough_and_says_how_far_it_came) {
    struct field field;
    field_make(&field);
    struct find_behind *behind = search(&field, journal_next(field.journal, 0), 1, soon());
    struct find_range range = find_behind_range(behind, 0);
    cr_expect_eq(position_of(json_array_get(find_behind_events(behind), 0)), RECORDS);
    cr_expect(range.from > range.oldest && range.from < RECORDS);
    find_behind_end(behind);
    field_unmake(&field);
}

Test(find_behind, ends_when_its_time_is_over_and_says_that_nothing_was_searched) {
    struct field field;
    field_make(&field);
    uint64_t end = journal_next(field.journal, 0);
    struct find_behind *behind = search(&field, end, 100, 0);
    struct find_range range = find_behind_range(behind, 0);
    cr_expect_eq(range.from, end);
    cr_expect_eq(range.time_ns, 0);
    find_behind_end(behind);
    field_unmake(&field);
}

Test(find_behind, ends_when_nobody_waits_any_more) {
    struct field field;
    field_make(&field);
    uint64_t below = journal_next(field.journal, 0);
    const struct find_behind_options options = {.journal = field.journal,
                                                .wanted = &field.wanted,
                                                .logs = 1,
                                                .below = &below,
                                                .events = 100,
                                                .until_ns = soon()};
    struct find_behind *behind = find_behind_start(&options);
    cr_assert_not_null(behind);
    find_behind_end(behind);
    find_behind_end(NULL);
    field_unmake(&field);
}
