#include "tests/unit/ring/log_fixture.h"

#include <signal.h>
#include <sys/resource.h>

Test(log_writer, publishes_what_it_committed_from_position_one) {
    struct log *log = fixture_log();
    cr_assert_eq(log_number(log), 7);
    cr_assert_eq(log_data_bytes(log), FIXTURE_DATA);
    cr_assert_eq(log_records(log), FIXTURE_RECORDS);
    cr_assert_eq(log_produced(log), 1);
    cr_assert_eq(log_oldest(log), 1);
    uint64_t retry_ns;
    cr_assert_eq(fixture_try(log, 100, 0, &retry_ns), RING_OK);
    cr_assert_eq(log_produced(log), 1, "not before publish");
    cr_assert(log_writer_publish(log));
    cr_assert_not(log_writer_publish(log), "nothing new since");
    cr_assert_eq(log_produced(log), 2);
    cr_assert_eq(log_visible(log), 2);
    fixture_expect(log, 1);
    log_destroy(log);
    LEAKS_NONE();
}

Test(log_writer, keeps_entries_and_bytes_of_all_positions_from_oldest_at_every_wrap) {
    struct log *log = fixture_log();
    for (uint64_t i = 0; i < 3000; i++) {
        fixture_append(log, 1, (uint32_t)(i * 37 % 1501));
        if (i % 7 == 0)
            for (uint64_t p = log_oldest(log); p < log_produced(log); p++)
                fixture_expect(log, p);
    }
    cr_assert_gt(log_oldest(log), 2000);
    log_destroy(log);
    LEAKS_NONE();
}

Test(log_writer, keeps_slices_of_neighbours_contiguous_across_the_end) {
    struct log *log = fixture_log();
    fixture_append(log, 500, 777);
    uint64_t from = log_oldest(log), to = log_produced(log);
    const struct log_entry *first = log_entry_at(log, from);
    const uint8_t *slice = log_bytes_at(log, first->offset);
    cr_assert_lt(first->offset % FIXTURE_DATA + (to - from) * 777 - FIXTURE_DATA, FIXTURE_DATA,
                 "it crosses the end");
    for (uint64_t p = from; p < to; p++)
        for (uint64_t i = 0; i < 777; i++)
            cr_assert_eq(slice[(p - from) * 777 + i], (uint8_t)p);
    log_destroy(log);
}

/* Bytes are written ahead of the log, records are made of some of them, others are left out; at every place
 * of the ring, also across its end. */
Test(log_writer, makes_records_of_bytes_that_lie_there_and_skips_others) {
    struct log *log = fixture_log();
    uint64_t retry_ns = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        size_t size = 700;
        uint8_t *ahead = log_writer_ahead(log, &size, 0);
        cr_assert(ahead != NULL && size == 700 && log_writer_is_next(log, ahead));
        cr_assert(!log_writer_is_next(log, ahead + 1) && !log_writer_is_next(log, ahead - 1));
        memset(ahead, (int)(log_writer_next(log) & 0xff), 300);
        uint8_t *out;
        cr_assert_eq(log_writer_reserve(log, 300, 0, &out, &retry_ns), RING_OK);
        cr_assert_eq(out, ahead);
        log_writer_commit(log, 300, log_flags(LOG_EVENT, (uint32_t)(log_writer_next(log) % SLOT_COUNT), 2, 3),
                          log_writer_next(log), log_writer_next(log));
        cr_assert(log_writer_is_next(log, ahead + 300));
        if (i % 3 == 0)
            log_writer_skip(log, log_writer_offset(log) + 400);
        fixture_append(log, i % 2, 50);
        log_writer_publish(log);
        log_check(log);
        for (uint64_t p = log_oldest(log); p < log_produced(log); p++)
            fixture_expect(log, p);
    }
    cr_assert_gt(log_oldest(log), 1000);
    log_destroy(log);
    LEAKS_NONE();
}

static void train_expect(const struct log *log, uint64_t position, const struct log_train *train) {
    const struct log_entry *entry = log_entry_at(log, position);
    uint64_t sequence;
    memcpy(&sequence, log_bytes_at(log, entry->offset) + train->sequence_at, sizeof sequence);
    cr_assert_eq(sequence, position + 1000);
    cr_assert(entry->length == train->length && entry->flags == train->flags &&
              entry->topic == train->topic && entry->time == train->time_ns);
}

/* As many as entries and batch have room for, also across the ring's end; all numbered, and the bytes between
 * left as they are. */
Test(log_writer, makes_many_records_at_once_of_bytes_that_lie_there) {
    struct log *log = fixture_log();
    struct log_train train = {
        .length = 60, .flags = log_flags(LOG_EVENT, 9, 2, 3), .sequence_at = 5, .topic = 77, .time_ns = 88};
    uint64_t most_seen = 0, retry_ns;
    for (uint64_t i = 0; i < 500; i++) {
        size_t size = 3000;
        uint8_t *out, *ahead = log_writer_ahead(log, &size, 0);
        cr_assert(ahead != NULL && size == 3000);
        memset(ahead, 0xaa, size);
        cr_assert_eq(log_writer_reserve(log, train.length, 0, &out, &retry_ns), RING_OK);
        uint64_t most = log_writer_train_most(log, train.length);
        cr_assert(most >= 1 && most <= FIXTURE_DATA / LOG_BATCH_FRACTION / train.length + 1);
        most_seen = most > most_seen ? most : most_seen;
        train.count = most < 49 ? (uint32_t)most : 49;
        uint64_t first = log_writer_next(log);
        train.sequence = first + 1000;
        log_writer_train(log, &train);
        cr_assert_eq(log_writer_next(log), first + train.count);
        log_writer_publish(log);
        log_check(log);
        cr_assert_eq(log_slot_last(log, 9), first + train.count - 1);
        for (uint64_t p = log_oldest(log) > first ? log_oldest(log) : first; p < log_produced(log); p++)
            train_expect(log, p, &train);
        cr_assert(out[0] == 0xaa && out[train.length - 1] == 0xaa && out[(size_t)train.count * 60] == 0xaa);
        log_writer_skip(log, log_writer_offset(log) + i % 7);
    }
    cr_assert_gt(most_seen, 1);
    cr_assert_gt(log_oldest(log), 500);
    cr_assert_eq(counter_get(&log_counters(log)->records), log_writer_next(log) - 1);
    log_destroy(log);
    LEAKS_NONE();
}

/* The second address of a byte is the same byte. */
Test(log_writer, knows_its_next_byte_in_both_mappings) {
    struct log *log = fixture_log();
    fixture_append(log, 3, 100);
    const uint8_t *next = log_bytes_at(log, log_writer_offset(log));
    cr_assert(log_writer_is_next(log, next) && log_writer_is_next(log, next + FIXTURE_DATA));
    cr_assert(!log_writer_is_next(log, next - FIXTURE_DATA) &&
              !log_writer_is_next(log, next + 2 * FIXTURE_DATA));
    log_destroy(log);
}

/* At most a sixteenth, and only what no gate holds: what was claimed before may be had still. */
Test(log_writer, gives_no_more_ahead_than_gates_allow) {
    struct log *log = fixture_log();
    size_t size = FIXTURE_DATA;
    cr_assert(log_writer_ahead(log, &size, 0) != NULL && size == FIXTURE_DATA / LOG_AHEAD_FRACTION);
    int gate = log_reader_attach(log);
    cr_assert(log_reader_lower(log, gate, log_produced(log)));
    uint64_t retry_ns;
    while (fixture_try(log, 1000, 0, &retry_ns) == RING_OK)
        ;
    size = 1000;
    cr_assert(log_writer_ahead(log, &size, 0) == NULL ? size == 0 : size < 1000);
    log_reader_detach(log, gate);
    log_destroy(log);
    LEAKS_NONE();
}

Test(log_writer, loses_by_data_when_records_are_large_and_by_index_when_they_are_small) {
    struct log *log = fixture_log();
    fixture_append(log, 1000, 1024); /* 64 of these fill the data area, 256 would fit in the index */
    cr_assert_eq(log_produced(log) - log_oldest(log), 64, "%lu", (unsigned long)log_oldest(log));
    fixture_append(log, 1000, 16); /* 4096 of these would fit in the data area */
    cr_assert_gt(log_produced(log) - log_oldest(log),
                 FIXTURE_RECORDS - 2 * FIXTURE_RECORDS / LOG_CLAIM_STEPS);
    cr_assert_leq(log_produced(log) - log_oldest(log), FIXTURE_RECORDS);
    log_destroy(log);
}

Test(log_writer, retains_all_but_two_claim_steps) {
    struct log *log = fixture_log();
    for (uint32_t length = 300; length < 1400; length += 111) {
        fixture_append(log, 600, length);
        uint64_t kept = (log_produced(log) - log_oldest(log)) * length;
        cr_assert_gt(kept + 2 * (uint64_t)length, FIXTURE_DATA - 2 * FIXTURE_DATA / LOG_CLAIM_STEPS);
    }
    log_destroy(log);
}

/* The largest frame is an eighth of the smallest log that the config accepts, and its record is longer. */
Test(log_writer, takes_records_of_no_bytes_and_of_the_largest_frame_with_a_sequence) {
    struct log *log = fixture_log();
    cr_assert_eq(log_record_max(log), FIXTURE_DATA / LOG_FRAMES_MIN + FRAME_OVERHEAD_MAX);
    for (uint64_t i = 0; i < 400; i++)
        fixture_append(log, 1, i % 3 == 0 ? 0 : (uint32_t)log_record_max(log));
    for (uint64_t p = log_oldest(log); p < log_produced(log); p++)
        fixture_expect(log, p);
    log_destroy(log);
}

Test(log_writer, may_commit_less_than_it_reserved_and_reserve_again_without_a_commit) {
    struct log *log = fixture_log();
    uint8_t *out, *again;
    uint64_t retry_ns;
    cr_assert_eq(log_writer_reserve(log, 4000, 0, &out, &retry_ns), RING_OK);
    cr_assert_eq(log_writer_reserve(log, 100, 0, &again, &retry_ns), RING_OK);
    cr_assert_eq(out, again);
    log_writer_commit(log, 10, 0, 1, 0);
    cr_assert_eq(log_writer_reserve(log, 100, 0, &again, &retry_ns), RING_OK);
    cr_assert_eq(again, out + 10);
    log_destroy(log);
}

Test(log_writer, publishes_by_itself_at_an_eighth_and_still_tells_of_news) {
    struct log *log = fixture_log();
    uint64_t retry_ns;
    for (uint64_t i = 0; i < FIXTURE_RECORDS / LOG_BATCH_FRACTION - 1; i++)
        fixture_try(log, 1, 0, &retry_ns);
    cr_assert_eq(log_produced(log), 1);
    fixture_try(log, 1, 0, &retry_ns);
    cr_assert_eq(log_produced(log), 1 + FIXTURE_RECORDS / LOG_BATCH_FRACTION, "by index entries");
    cr_assert(log_writer_publish(log), "the caller has not woken anybody for these yet");
    cr_assert_not(log_writer_publish(log));
    uint64_t produced = log_produced(log);
    for (int i = 0; i < 8; i++)
        fixture_try(log, (uint32_t)(FIXTURE_DATA / LOG_BATCH_FRACTION / 8), 0, &retry_ns);
    cr_assert_eq(log_produced(log), produced + 8, "by bytes");
    log_destroy(log);
}

Test(log_writer, counts_what_it_did) {
    struct log *log = fixture_log();
    fixture_append(log, 10, 1000);
    fixture_append(log, 90, 1000);
    const struct log_counters *counters = log_counters(log);
    cr_assert_eq(counter_get(&counters->records), 100);
    cr_assert_eq(counter_get(&counters->bytes), 100000);
    cr_assert_geq(counter_get(&counters->batches), 2);
    cr_assert_geq(counter_get(&counters->claims), (100000 - FIXTURE_DATA) / 1024);
    cr_assert_eq(counter_get(&counters->refused_gate) + counter_get(&counters->refused_grace), 0);
    log_destroy(log);
}

Test(log_writer, remembers_the_last_position_of_each_slot_not_later_than_produced) {
    struct log *log = fixture_log();
    uint8_t *out;
    uint64_t retry_ns;
    uint32_t slots[] = {0, 4095, 17, 0, 17, 17};
    for (uint32_t i = 0; i < 6; i++) {
        cr_assert_eq(log_writer_reserve(log, 8, 0, &out, &retry_ns), RING_OK);
        memset(out, 0, 8);
        log_writer_commit(log, 8, log_flags(i == 5 ? LOG_CLOSE : LOG_EVENT, slots[i], 0, 0), 1, 0);
        log_writer_publish(log);
        cr_assert_eq(log_slot_last(log, slots[i]), log_produced(log) - 1);
    }
    cr_assert_eq(log_slot_last(log, 0), 4);
    cr_assert_eq(log_slot_last(log, 4095), 2);
    cr_assert_eq(log_slot_last(log, 17), 6, "markers count too");
    cr_assert_eq(log_slot_last(log, 16), 0);
    log_destroy(log);
}

/* A recovered log goes on where it ended: at every place in a step, and over some laps. */
Test(log_writer, begins_at_the_position_it_is_given) {
    static const uint64_t firsts[] = {1, 2, 3, 4, 5, 255, 256, 257, 258, (UINT64_C(1) << 48) - 1};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct log_config config = {
            .data_bytes = FIXTURE_DATA, .records = FIXTURE_RECORDS, .first = firsts[i]};
        struct log *log = NULL;
        cr_assert_eq(log_create(&log, &config), 0);
        log_check(log);
        cr_assert(log_writer_next(log) == firsts[i] && log_produced(log) == firsts[i] &&
                  log_visible(log) == firsts[i] && log_oldest(log) == firsts[i]);
        int gate = fixture_reader(log);
        cr_assert(log_reader_lower(log, gate, firsts[i]));
        uint64_t retry_ns, took = fixture_fill(log, 10, 0, &retry_ns);
        cr_assert(took >= FIXTURE_RECORDS - FIXTURE_RECORDS / LOG_CLAIM_STEPS && took <= FIXTURE_RECORDS);
        for (uint64_t p = firsts[i]; p < log_produced(log); p++)
            fixture_expect(log, p);
        log_reader_detach(log, gate);
        fixture_append(log, 1000, 20);
        for (uint64_t p = log_oldest(log); p < log_produced(log); p++)
            fixture_expect(log, p);
        log_destroy(log);
    }
    LEAKS_NONE();
}

Test(log_create, refuses_a_first_position_that_no_sequence_can_name) {
    struct log *log = NULL;
    struct log_config config = {.data_bytes = 65536, .records = 256, .first = UINT64_C(1) << 48};
    cr_assert_eq(log_create(&log, &config), -EINVAL);
}

Test(log_visible, of_a_journalled_log_is_moved_by_the_journal_alone) {
    struct log *log = NULL;
    struct log_config config = {
        .data_bytes = FIXTURE_DATA, .records = FIXTURE_RECORDS, .first = 100, .journalled = true};
    cr_assert_eq(log_create(&log, &config), 0);
    fixture_append(log, 7, 50);
    cr_assert(log_produced(log) == 107 && log_visible(log) == 100);
    log_visible_set(log, 104);
    log_check(log);
    cr_assert(log_produced(log) == 107 && log_visible(log) == 104);
    fixture_append(log, FIXTURE_RECORDS / 2, 50); /* also the batches that commit publishes by itself */
    cr_assert_eq(log_visible(log), 104);
    log_visible_set(log, log_produced(log));
    log_check(log);
    cr_assert_eq(log_visible(log), log_produced(log));
    log_destroy(log);
    LEAKS_NONE();
}

static struct log *visible_log(bool journalled) {
    struct log *log = NULL;
    struct log_config config = {
        .data_bytes = FIXTURE_DATA, .records = FIXTURE_RECORDS, .journalled = journalled};
    cr_assert_eq(log_create(&log, &config), 0);
    fixture_append(log, 5, 50);
    if (journalled)
        log_visible_set(log, 4);
    return log;
}

Test(log_visible, can_not_pass_what_is_produced, .signal = SIGABRT) {
    log_visible_set(visible_log(true), 7);
}

Test(log_visible, can_not_go_back, .signal = SIGABRT) {
    log_visible_set(visible_log(true), 3);
}

Test(log_visible, of_a_memory_log_is_its_writers, .signal = SIGABRT) {
    log_visible_set(visible_log(false), 6);
}

Test(log_flags, holds_type_slot_and_topic) {
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot += 273)
        for (uint32_t at = 0; at < 256; at += 51) {
            uint32_t flags = log_flags(LOG_OPEN, slot, at, 255 - at);
            cr_assert_eq(log_flags_type(flags), LOG_OPEN);
            cr_assert_eq(log_flags_slot(flags), slot);
            cr_assert_eq(log_flags_topic_at(flags), at);
            cr_assert_eq(log_flags_topic_length(flags), 255 - at);
        }
}

Test(log_create, refuses_sizes_that_are_no_powers_of_two_or_too_small) {
    struct log *log = NULL;
    uint64_t wrong[][2] = {{0, 256},   {65536 + 4096, 256},   {65536, 0}, {65536, 32}, {65536, 100}, {32, 64},
                           {2048, 64}, {2 * LOG_DATA_MAX, 64}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct log_config config = {.data_bytes = wrong[i][0], .records = wrong[i][1]};
        cr_assert_eq(log_create(&log, &config), -EINVAL, "case %zu", i);
    }
    cr_assert_null(log);
    log_destroy(NULL);
    LEAKS_NONE();
}

Test(log_create, answers_when_descriptors_or_memory_are_short_and_leaks_nothing) {
    struct log *log = NULL;
    struct log_config config = {.data_bytes = 65536, .records = 256};
    struct rlimit files, no_files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    no_files.rlim_max = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &no_files);
    int result = log_create(&log, &config);
    setrlimit(RLIMIT_NOFILE, &files);
    cr_assert_eq(result, -EMFILE);
#ifndef LEAKS_WATCHED /* AddressSanitizer's shadow is larger than any limit that would refuse us */
    config.records = UINT64_C(1) << 36; /* two TiB of index */
    struct rlimit space, little = {UINT64_C(1) << 40, 0};
    getrlimit(RLIMIT_AS, &space);
    little.rlim_max = space.rlim_max;
    setrlimit(RLIMIT_AS, &little);
    result = log_create(&log, &config);
    setrlimit(RLIMIT_AS, &space);
    cr_assert_eq(result, -ENOMEM);
#endif
    cr_assert_null(log);
    LEAKS_NONE();
}

/* ---- a journalled log ---- */

static struct log *journalled(uint64_t first) {
    struct log_config config = {.number = 64,
                                .data_bytes = FIXTURE_DATA,
                                .records = FIXTURE_RECORDS,
                                .first = first,
                                .journalled = true};
    struct log *log = NULL;
    cr_assert_eq(log_create(&log, &config), 0);
    log_check(log);
    return log;
}

Test(log_writer, leaves_what_is_visible_of_a_journalled_log_to_the_journal) {
    struct log *log = journalled(1);
    fixture_append(log, 10, 100);
    cr_assert_eq(log_produced(log), 11);
    cr_assert_eq(log_visible(log), 1);
    log_visible_set(log, 1);
    log_visible_set(log, 7);
    cr_assert_eq(log_visible(log), 7);
    log_visible_set(log, 11);
    cr_assert_eq(log_visible(log), 11);
    log_check(log);
    log_destroy(log);
}

Test(log_writer, overwrites_nothing_that_is_not_visible_yet) {
    struct wake writer;
    struct log *log;
    struct log_config config = {
        .data_bytes = FIXTURE_DATA, .records = FIXTURE_RECORDS, .journalled = true, .writer = &writer};
    uint64_t retry_ns = 1;
    cr_assert_eq(wake_init(&writer), 0);
    cr_assert_eq(log_create(&log, &config), 0);
    for (uint32_t i = 0; i < 20; i++) {
        uint64_t visible = log_visible(log);
        (void)fixture_fill(log, 100 + i, 0, &retry_ns);
        cr_assert_eq(retry_ns, 0, "only what is visible tells when there is room");
        cr_assert_leq(log_oldest(log), visible);
        for (uint64_t p = visible; p < log_produced(log); p++)
            fixture_expect(log, p);
        int gate = fixture_reader(log);
        cr_assert(log_reader_lower(log, gate, visible), "nobody who begins there comes too late");
        log_reader_detach(log, gate);
        cr_assert_eq(fixture_try(log, 100, 0, &retry_ns), RING_FULL);
        cr_assert(log_writer_waits(log));
        log_visible_set(log, log_produced(log) - i);
        cr_assert(!log_writer_waits(log), "its move is for who waits");
        cr_assert_eq(fixture_try(log, 100, 0, &retry_ns), RING_OK);
        log_writer_publish(log);
    }
    log_destroy(log);
    wake_deinit(&writer);
}

Test(log_writer, goes_on_at_any_position) {
    static const uint64_t firsts[] = {1, 2, 3, 4, 5, 255, 256, 257, 1000003, UINT64_C(1) << 47};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct log *log = journalled(firsts[i]);
        cr_assert(log_writer_next(log) == firsts[i] && log_produced(log) == firsts[i] &&
                  log_visible(log) == firsts[i] && log_oldest(log) == firsts[i]);
        cr_assert_eq(log_slot_last(log, 0), firsts[i] - 1, "what was before may have been of any slot");
        cr_assert_eq(log_slot_last(log, SLOT_COUNT - 1), firsts[i] - 1);
        for (uint64_t n = 0; n < 3 * FIXTURE_RECORDS; n++) {
            fixture_append(log, 1, (uint32_t)(n * 37 % 401));
            log_visible_set(log, log_produced(log));
            for (uint64_t p = log_oldest(log); n % 50 == 0 && p < log_produced(log); p++)
                fixture_expect(log, p);
        }
        cr_assert_gt(log_oldest(log), firsts[i] + FIXTURE_RECORDS);
        log_destroy(log);
    }
    LEAKS_NONE();
}
