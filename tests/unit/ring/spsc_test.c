#include "ring/spsc.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define BYTES UINT64_C(4096)

static struct spsc *ring_of(uint64_t bytes) {
    struct spsc *ring = NULL;
    cr_assert_eq(spsc_create(&ring, bytes), 0);
    return ring;
}

static enum ring_result put(struct spsc *ring, uint32_t length, uint8_t fill) {
    uint8_t *out;
    enum ring_result result = spsc_reserve(ring, length, &out);
    if (result == RING_OK) {
        cr_assert_eq((uintptr_t)out % 8, 0);
        memset(out, fill, length);
        spsc_commit(ring, length);
    }
    return result;
}

static void expect(struct spsc *ring, uint32_t length, uint8_t fill) {
    uint32_t got;
    const uint8_t *record = spsc_peek(ring, &got);
    cr_assert_not_null(record);
    cr_assert_eq(got, length);
    for (uint32_t i = 0; i < length; i++)
        cr_assert_eq(record[i], fill);
}

Test(spsc, shows_nothing_before_publish_and_all_in_order_after_it) {
    struct spsc *ring = ring_of(BYTES);
    uint32_t length;
    cr_assert_not(spsc_publish(ring));
    cr_assert_eq(put(ring, 5, 1), RING_OK);
    cr_assert_eq(put(ring, 8, 2), RING_OK);
    cr_assert_null(spsc_peek(ring, &length));
    cr_assert_not(spsc_pending(ring));
    cr_assert(spsc_publish(ring));
    cr_assert_not(spsc_publish(ring));
    cr_assert(spsc_pending(ring));
    expect(ring, 5, 1);
    expect(ring, 8, 2);
    cr_assert_null(spsc_peek(ring, &length));
    cr_assert_not(spsc_pending(ring));
    cr_assert_eq(spsc_consumed(ring), 0, "peeked is not released");
    spsc_consume(ring);
    cr_assert_eq(spsc_consumed(ring), spsc_committed(ring));
    spsc_destroy(ring);
    LEAKS_NONE();
}

Test(spsc, carries_every_length_across_every_wrap) {
    struct spsc *ring = ring_of(BYTES);
    for (uint32_t shift = 0; shift < 3; shift++)
        for (uint32_t length = 1; length <= BYTES / 4; length++) {
            cr_assert_eq(put(ring, length, (uint8_t)length), RING_OK);
            cr_assert_eq(put(ring, 1 + shift * 8, (uint8_t)(length + 1)), RING_OK);
            cr_assert(spsc_publish(ring));
            expect(ring, length, (uint8_t)length);
            expect(ring, 1 + shift * 8, (uint8_t)(length + 1));
            spsc_consume(ring);
        }
    cr_assert_gt(spsc_consumed(ring), 100 * BYTES);
    spsc_destroy(ring);
}

Test(spsc, is_full_when_the_next_record_does_not_fit_and_takes_it_after_consume) {
    struct spsc *ring = ring_of(BYTES);
    for (uint32_t length = 1; length <= BYTES / 4; length += 37) {
        uint64_t records = 0, each = 8 + (length + 7) / 8 * 8, start = spsc_committed(ring);
        while (put(ring, length, (uint8_t)records) == RING_OK)
            records++;
        cr_assert_eq(records, BYTES / each);
        cr_assert_eq(spsc_committed(ring) - start, records * each);
        spsc_publish(ring);
        expect(ring, length, 0);
        cr_assert_eq(put(ring, length, 9), RING_FULL, "peeked is not free");
        spsc_consume(ring);
        cr_assert_eq(put(ring, length, (uint8_t)records), RING_OK);
        spsc_publish(ring);
        for (uint64_t i = 1; i <= records; i++)
            expect(ring, length, (uint8_t)i);
        spsc_consume(ring);
    }
    spsc_destroy(ring);
}

Test(spsc, may_commit_less_than_it_reserved) {
    struct spsc *ring = ring_of(BYTES);
    uint8_t *out;
    cr_assert_eq(spsc_reserve(ring, 1000, &out), RING_OK);
    memset(out, 7, 3);
    spsc_commit(ring, 3);
    cr_assert_eq(spsc_committed(ring), 16);
    spsc_publish(ring);
    expect(ring, 3, 7);
    spsc_destroy(ring);
}

Test(spsc, says_how_far_the_consumer_is_done_with_what_it_released) {
    struct spsc *ring = ring_of(BYTES);
    cr_assert_eq(spsc_settled(ring), 0);
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(put(ring, 8, i), RING_OK);
    spsc_publish(ring);
    for (uint8_t i = 0; i < 3; i++)
        expect(ring, 8, i);
    spsc_consume(ring);
    cr_assert(spsc_consumed(ring) == 48 && spsc_settled(ring) == 0);
    spsc_settle(ring, 16);
    spsc_settle(ring, 16);
    cr_assert_eq(spsc_settled(ring), 16);
    spsc_settle(ring, 48);
    cr_assert_eq(spsc_settled(ring), 48);
    spsc_destroy(ring);
}

Test(spsc, is_not_done_with_what_it_has_not_released, .signal = SIGABRT) {
    struct spsc *ring = ring_of(BYTES);
    cr_assert_eq(put(ring, 8, 1), RING_OK);
    spsc_publish(ring);
    expect(ring, 8, 1);
    spsc_settle(ring, 16);
}

Test(spsc, tells_a_producer_that_wants_space_once) {
    struct spsc *ring = ring_of(BYTES);
    cr_assert_not(wanted_take(spsc_wanted(ring)));
    wanted_set(spsc_wanted(ring));
    cr_assert(wanted_waits(spsc_wanted(ring)));
    cr_assert(wanted_take(spsc_wanted(ring)));
    cr_assert_not(wanted_take(spsc_wanted(ring)));
    spsc_destroy(ring);
}

Test(spsc, refuses_bad_sizes_and_answers_when_descriptors_are_short) {
    struct spsc *ring = NULL;
    uint64_t wrong[] = {0, 1, 8, 2048, 4097, 12288, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(spsc_create(&ring, wrong[i]), -EINVAL);
    struct rlimit files, no_files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    no_files.rlim_max = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &no_files);
    int result = spsc_create(&ring, BYTES);
    setrlimit(RLIMIT_NOFILE, &files);
    cr_assert_eq(result, -EMFILE);
    cr_assert_null(ring);
    spsc_destroy(NULL);
    LEAKS_NONE();
}
