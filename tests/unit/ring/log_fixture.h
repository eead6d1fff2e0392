/* log_fixture.h: a small log and one-line steps for the unit tests of ring/log.c.
 * Owner: the test that includes it.
 * One thread plays the writer and all readers, so every interleaving is written down.
 * Nothing blocks.
 * A step that can not be made fails the test. */
#pragma once

#include "ring/log.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define FIXTURE_DATA    UINT64_C(65536) /* bytes; a claim step is 1024 */
#define FIXTURE_RECORDS UINT64_C(256)   /* a claim step is 4 */

static inline struct log *fixture_log_of(uint64_t data, uint64_t records, uint64_t grace_ns,
                                         struct wake *writer) {
    struct log_config config = {
        .number = 7, .data_bytes = data, .records = records, .grace_ns = grace_ns, .writer = writer};
    struct log *log = NULL;
    cr_assert_eq(log_create(&log, &config), 0);
    return log;
}

static inline struct log *fixture_log(void) {
    return fixture_log_of(FIXTURE_DATA, FIXTURE_RECORDS, 0, NULL);
}

static inline enum ring_result fixture_try(struct log *log, uint32_t length, uint64_t now_ns,
                                           uint64_t *retry_ns) {
    uint8_t *out = NULL;
    uint64_t position = log_writer_next(log);
    enum ring_result result = log_writer_reserve(log, length, now_ns, &out, retry_ns);
    if (result == RING_OK) {
        memset(out, (int)(position & 0xff), length);
        log_writer_commit(log, length, log_flags(LOG_EVENT, (uint32_t)(position % SLOT_COUNT), 2, 3),
                          position, position);
    }
    log_check(log);
    return result;
}

/* Appends and publishes `count` records of `length` bytes each. */
static inline void fixture_append(struct log *log, uint64_t count, uint32_t length) {
    uint64_t retry_ns;
    for (uint64_t i = 0; i < count; i++)
        cr_assert_eq(fixture_try(log, length, 0, &retry_ns), RING_OK);
    log_writer_publish(log);
    log_check(log);
}

/* Appends until the log refuses; the number of records that went in. */
static inline uint64_t fixture_fill(struct log *log, uint32_t length, uint64_t now_ns, uint64_t *retry_ns) {
    uint64_t count = 0;
    while (fixture_try(log, length, now_ns, retry_ns) == RING_OK)
        cr_assert_lt(++count, 1000000u);
    log_writer_publish(log);
    return count;
}

static inline int fixture_reader(struct log *log) {
    int gate = log_reader_attach(log);
    cr_assert_geq(gate, 0);
    return gate;
}

/* Compares entry and bytes of a position with what fixture_try wrote. */
static inline void fixture_expect(const struct log *log, uint64_t position) {
    const struct log_entry *entry = log_entry_at(log, position);
    cr_assert_eq(entry->topic, position);
    const uint8_t *bytes = log_bytes_at(log, entry->offset);
    for (uint32_t i = 0; i < entry->length; i++)
        cr_assert_eq(bytes[i], (uint8_t)position, "byte %u of record %lu", i, (unsigned long)position);
}
