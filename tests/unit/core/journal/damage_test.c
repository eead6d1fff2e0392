/* Damage that no crash explains, and faults of the disk while it runs: refused with a message that says what
 * is lost, or told; never silently less than what was acknowledged. */
#include "core/base/logfmt.h"
#include "core/journal/format.h"
#include "core/journal/parts.h"
#include "tests/unit/core/journal/life.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST "0/000000000001.jnl"
#define WORDS(...)                                                                                           \
    (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

static void quiet(void) {
    logfmt_level_set((enum logfmt_level)(LOGFMT_ERROR + 1));
}

/* ---- a journal with some segments in log 0 ---- */

static struct life *life_long(uint64_t seed, uint32_t steps, bool seal) {
    struct life *life = life_make(seed);
    quiet();
    (void)snprintf(life->where, sizeof life->where, "seed %lu", (unsigned long)seed);
    cr_assert(life_live(life, steps, seal));
    sim_reboot(life->sim, SIM_ALL);
    return life;
}

/* Offset of group i (0 = the first) of a segment, and how long it is; 0 when there are fewer. */
static uint64_t group_offset(struct life *life, const char *name, uint32_t i, uint64_t *bytes) {
    uint8_t *at = sim_bytes(life->sim, name);
    uint64_t offset = JOURNAL_BLOCK_BYTES, size = sim_size(life->sim, name);
    *bytes = 0;
    for (;; i--) {
        const struct format_group *group = (const struct format_group *)(const void *)(at + offset);
        if (offset + JOURNAL_BLOCK_BYTES > size || group->magic == 0)
            return 0;
        *bytes = format_group_bytes(group->body);
        if (i == 0)
            return offset;
        offset += *bytes;
    }
}

static uint32_t groups_of(struct life *life, const char *name) {
    uint64_t bytes;
    uint32_t count = 0;
    while (group_offset(life, name, count, &bytes) != 0)
        count++;
    return count;
}

static void name_of(char name[DISK_NAME_BYTES], uint32_t log, uint32_t number) {
    (void)snprintf(name, DISK_NAME_BYTES, "%u/%012u.jnl", log, number);
}

static uint32_t last_segment(struct life *life, uint32_t log) {
    char name[DISK_NAME_BYTES];
    uint32_t number = 1;
    do
        name_of(name, log, ++number);
    while (sim_exists(life->sim, name));
    return number - 1;
}

static void flip(struct life *life, const char *name, uint64_t offset, uint32_t bit) {
    sim_bytes(life->sim, name)[offset] ^= (uint8_t)(1u << bit % 8);
    sim_touched(life->sim, name);
}

/* ---- flipped bits ---- */

/* Whatever byte it is, the group is damaged and those behind it show that it was durable. */
Test(damage, of_any_byte_of_a_middle_group_is_refused) {
    struct life *life = life_long(11, 30, true);
    uint64_t bytes, offset = group_offset(life, FIRST, 2, &bytes);
    cr_assert(groups_of(life, FIRST) > 4 && bytes <= 4 * JOURNAL_BLOCK_BYTES);
    char at[64], group[64];
    (void)snprintf(at, sizeof at, FIRST " at byte %lu", (unsigned long)offset);
    (void)snprintf(group, sizeof group, "group 3 expected");
    for (uint64_t i = 0; i < bytes; i++) {
        flip(life, FIRST, offset + i, (uint32_t)i);
        (void)snprintf(life->where, sizeof life->where, "byte %lu of %lu", (unsigned long)i,
                       (unsigned long)bytes);
        life_refused(
            life, 65,
            WORDS(at, group, "valid groups", "journal verify", "journal export", "cut sim --accept-loss"));
        flip(life, FIRST, offset + i, (uint32_t)i);
    }
    life_check(life);
    life_free(life);
    LEAKS_NONE();
}

Test(damage, of_any_byte_of_a_header_is_refused) {
    struct life *life = life_long(11, 30, true);
    for (uint64_t i = 0; i < JOURNAL_BLOCK_BYTES; i++) {
        flip(life, FIRST, i, (uint32_t)i);
        life_refused(life, 65, WORDS(FIRST " at byte 0", "valid groups"));
        flip(life, FIRST, i, (uint32_t)i);
    }
    life_check(life);
    life_free(life);
}

/* The last group with records is followed by a SEAL: the seal shows that it had been durable. */
Test(damage, of_any_byte_of_the_last_group_is_refused_when_it_is_sealed) {
    struct life *life = life_long(12, 6, true);
    sim_remove(life->sim, "0/mark");
    uint32_t count = groups_of(life, FIRST);
    uint64_t bytes, offset = group_offset(life, FIRST, count - 2, &bytes);
    cr_assert(last_segment(life, 0) == 1 && count > 2);
    for (uint64_t i = 0; i < bytes; i++) {
        flip(life, FIRST, offset + i, (uint32_t)i);
        life_refused(life, 65, WORDS(FIRST, "group", "1 valid groups with 0 records"));
        flip(life, FIRST, offset + i, (uint32_t)i);
    }
    life_check(life);
    life_free(life);
}

Test(damage, of_any_byte_of_the_last_group_is_refused_when_a_mark_names_it) {
    struct life *life = life_long(13, 6, true);
    uint64_t bytes, offset = group_offset(life, FIRST, groups_of(life, FIRST) - 1, &bytes);
    cr_assert(last_segment(life, 0) == 1 && bytes == JOURNAL_BLOCK_BYTES, "it is the seal");
    for (uint64_t i = 0; i < bytes; i++) {
        flip(life, FIRST, offset + i, (uint32_t)i);
        life_refused(life, 65, WORDS(i / 8 == 1 ? "group" : "the mark says")); /* its number: a later one? */
        flip(life, FIRST, offset + i, (uint32_t)i);
    }
    memset(sim_bytes(life->sim, FIRST) + offset, 0, bytes);
    sim_touched(life->sim, FIRST);
    life_refused(life, 65, WORDS("the mark says"));
    life_free(life);
}

/* What remains: it looks like a torn write, which was never acknowledged. The page of guarantees says so. */
Test(damage, of_the_very_last_group_without_seal_and_mark_looks_torn) {
    struct life *life = life_long(12, 6, true);
    uint64_t bytes, offset = group_offset(life, FIRST, groups_of(life, FIRST) - 1, &bytes);
    sim_remove(life->sim, "0/mark");
    for (uint64_t i = 0; i < bytes; i++) { /* the seal: no record is lost with it */
        if (i / 8 == 1)
            continue; /* its number: it may say that it is a later one, and that is refused */
        struct life *copy = life_copy(life);
        flip(copy, FIRST, offset + i, (uint32_t)i);
        life_check(copy);
        cr_assert(life_live(copy, 2, true));
        life_check(copy);
        life_free(copy);
    }
    life_free(life);
    LEAKS_NONE();
}

Test(damage, of_a_mark_is_no_matter) {
    struct life *life = life_long(13, 6, true);
    for (uint64_t i = 0; i < sizeof(struct format_mark); i++) {
        flip(life, "0/mark", i, (uint32_t)i);
        life_check(life);
        flip(life, "0/mark", i, (uint32_t)i);
    }
    sim_cut(life->sim, "0/mark", 3);
    life_check(life);
    life_free(life);
}

/* Zeros in the middle are no end, and neither is a block of another place. */
Test(damage, by_zeros_and_by_other_blocks_is_refused) {
    struct life *life = life_long(11, 30, true);
    uint64_t bytes = 0, offset = group_offset(life, FIRST, 2, &bytes), before, before_bytes;
    before = group_offset(life, FIRST, 1, &before_bytes);
    struct life *copy = life_copy(life);
    memset(sim_bytes(copy->sim, FIRST) + offset, 0, bytes);
    sim_touched(copy->sim, FIRST);
    life_refused(copy, 65, WORDS("group 3 expected: there are zeros"));
    memcpy(sim_bytes(copy->sim, FIRST) + offset, sim_bytes(life->sim, FIRST) + before, JOURNAL_BLOCK_BYTES);
    sim_touched(copy->sim, FIRST);
    life_refused(copy, 65, WORDS("group 3 expected"));
    life_free(copy);
    life_free(life);
}

/* ---- missing and cut ---- */

Test(damage, missing_segments_are_refused) {
    struct life *life = life_long(11, 40, true);
    uint32_t last = last_segment(life, 0);
    char name[DISK_NAME_BYTES];
    cr_assert_gt(last, 2);
    for (uint32_t number = 1; number <= last; number++) {
        struct life *copy = life_copy(life);
        name_of(name, 0, number);
        sim_remove(copy->sim, name);
        if (number < last)
            life_refused(copy, 65, WORDS(name, "it is missing", "valid groups"));
        else
            life_refused(copy, 65, WORDS("the mark says that this group had been written"));
        life_free(copy);
    }
    life_free(life);
    LEAKS_NONE();
}

Test(damage, a_missing_log_is_refused) {
    struct life *life = life_long(11, 20, true);
    char name[DISK_NAME_BYTES];
    for (uint32_t number = 1; number <= last_segment(life, 0) + 1; number++) {
        name_of(name, 0, number);
        sim_remove(life->sim, name);
    }
    sim_remove(life->sim, "0/mark");
    life_refused(life, 65, WORDS(FIRST, "it is missing"));
    sim_remove(life->sim, "0/spare");
    sim_remove(life->sim, "0");
    life_refused(life, 65, WORDS("the directory of this log is missing"));
    life_free(life);
}

Test(damage, cut_segments_are_refused_at_every_block) {
    struct life *life = life_long(11, 40, true);
    char name[DISK_NAME_BYTES];
    for (uint32_t number = 1; number <= last_segment(life, 0); number++)
        for (uint64_t bytes = 0; bytes < LIFE_SEGMENT; bytes += 512) {
            struct life *copy = life_copy(life);
            name_of(name, 0, number);
            sim_cut(copy->sim, name, bytes);
            life_refused(copy, 65,
                         WORDS(name, bytes < JOURNAL_BLOCK_BYTES ? "it is cut short" : "not as long"));
            life_free(copy);
        }
    life_free(life);
    LEAKS_NONE();
}

Test(damage, a_segment_of_another_log_or_journal_is_refused) {
    struct life *life = life_long(11, 20, true), *other = life_long(14, 20, true);
    struct life *copy = life_copy(life);
    memcpy(sim_bytes(copy->sim, FIRST), sim_bytes(life->sim, "1/000000000001.jnl"), LIFE_SEGMENT);
    sim_touched(copy->sim, FIRST);
    life_refused(copy, 65, WORDS("of another segment"));
    memcpy(sim_bytes(copy->sim, FIRST), sim_bytes(other->sim, FIRST), LIFE_SEGMENT);
    sim_touched(copy->sim, FIRST);
    life_refused(copy, 65, WORDS("of another journal"));
    life_free(copy);
    life_free(life);
    life_free(other);
}

/* ---- MANIFEST ---- */

Test(manifest, with_one_damaged_copy_is_whole) {
    struct life *life = life_long(11, 10, true);
    for (uint64_t i = 0; i < 2 * JOURNAL_BLOCK_BYTES; i++) {
        struct life *copy = life_copy(life);
        flip(copy, "MANIFEST", i, (uint32_t)i);
        life_check(copy);
        life_free(copy);
    }
    life_free(life);
}

Test(manifest, with_both_copies_damaged_or_none_is_refused) {
    struct life *life = life_long(11, 10, true);
    for (uint64_t i = 0; i < JOURNAL_BLOCK_BYTES; i += 37) {
        struct life *copy = life_copy(life);
        flip(copy, "MANIFEST", i, 3);
        flip(copy, "MANIFEST", JOURNAL_BLOCK_BYTES + (i * 7) % JOURNAL_BLOCK_BYTES, 4);
        life_refused(copy, 65, WORDS("both copies in MANIFEST are damaged", "journal export"));
        life_free(copy);
    }
    cr_assert_neq(sim_bytes(life->sim, "MANIFEST")[JOURNAL_BLOCK_BYTES - 2], 0, "of the checksum");
    for (uint64_t bytes = JOURNAL_BLOCK_BYTES - 2; bytes > 0; bytes--) {
        sim_cut(life->sim, "MANIFEST", bytes);
        (void)snprintf(life->where, sizeof life->where, "cut to %lu", (unsigned long)bytes);
        life_refused(life, 65, WORDS("both copies in MANIFEST are damaged"));
    }
    sim_remove(life->sim, "MANIFEST");
    life_refused(life, 65, WORDS("there is no MANIFEST in it, but other files"));
    life_free(life);
}

Test(manifest, of_a_later_version_is_refused_by_name) {
    struct life *life = life_long(11, 3, true);
    struct format_manifest manifest;
    memcpy(&manifest, sim_bytes(life->sim, "MANIFEST"), sizeof manifest);
    format_manifest_close(&manifest);
    manifest.version = 9;
    manifest.check = format_manifest_sum(&manifest);
    memcpy(sim_bytes(life->sim, "MANIFEST"), &manifest, sizeof manifest);
    sim_touched(life->sim, "MANIFEST");
    life_refused(life, 65, WORDS("its version is 9, this program knows 1"));
    life_free(life);
}

Test(manifest, whose_epochs_are_used_up_is_refused) {
    struct life *life = life_long(11, 3, true);
    struct format_manifest manifest;
    memcpy(&manifest, sim_bytes(life->sim, "MANIFEST"), sizeof manifest);
    manifest.boot_epoch = JOURNAL_BOOT_EPOCH_MAX;
    manifest.generation += 100;
    format_manifest_close(&manifest);
    memcpy(sim_bytes(life->sim, "MANIFEST"), &manifest, sizeof manifest);
    sim_touched(life->sim, "MANIFEST");
    life_refused(life, 65, WORDS("no sequence may be used twice"));
    life_free(life);
}

Test(manifest, is_not_made_where_other_files_are) {
    struct life *life = life_make(1);
    sim_put(life->sim, "letter.txt", "dear", 4);
    life_refused(life, 65, WORDS("such as letter.txt", "name an empty or new directory"));
    cr_assert(!sim_exists(life->sim, "MANIFEST"));
    life_free(life);
}

Test(manifest, that_calls_a_log_unused_which_is_not_is_refused) {
    struct life *life = life_long(11, 20, true);
    struct format_manifest manifest;
    memcpy(&manifest, sim_bytes(life->sim, "MANIFEST"), sizeof manifest);
    manifest.oldest[0] = 0;
    manifest.generation += 100;
    format_manifest_close(&manifest);
    memcpy(sim_bytes(life->sim, "MANIFEST"), &manifest, sizeof manifest);
    sim_touched(life->sim, "MANIFEST");
    life_refused(life, 65, WORDS("MANIFEST says that this log was never used", "valid groups"));
    life_free(life);
}

/* ---- a disk that fails ---- */

Test(fault, a_read_error_is_never_an_end) {
    struct life *life = life_long(11, 30, true);
    for (uint64_t offset = 0; offset < LIFE_SEGMENT; offset += 4096) {
        sim_fail_read(life->sim, FIRST, offset, -EIO);
        life_refused(life, 70, WORDS(FIRST, "Input/output error"));
    }
    sim_fail_read(life->sim, "", 0, 0);
    life_check(life);
    life_free(life);
}

/* The failing operation, whichever it is, once or for good: nothing that was acknowledged is missing when
 * only the process starts again, nor when the power fails after that. */
static void fail_everywhere(bool no_direct, int error, uint32_t times) {
    quiet();
    for (uint64_t k = 1;; k++) {
        struct life *life = life_make(21);
        if (no_direct)
            sim_no_direct(life->sim);
        (void)snprintf(life->where, sizeof life->where, "operation %lu, error %d, %u times", (unsigned long)k,
                       error, times);
        sim_fail_at(life->sim, k, error, times);
        bool whole = life_live(life, 25, true);
        bool reached = sim_operations(life->sim) >= k;
        sim_reboot(life->sim, SIM_KILL);
        life_check(life);
        sim_reboot(life->sim, k % 2 == 0 ? SIM_NONE : SIM_RANDOM);
        life_check(life);
        cr_assert(life_live(life, 3, true), "%s", life->where);
        life_free(life);
        cr_assert(whole || reached);
        if (!reached)
            break;
        cr_assert_lt(k, 1000);
    }
    LEAKS_NONE();
}

Test(fault, an_operation_that_fails_loses_nothing_acknowledged) {
    fail_everywhere(false, -EIO, 1);
    fail_everywhere(false, -ENOSPC, 3);
}

/* The pages of a failed sync stay in the cache, clean: the next sync answers "good", and nothing is there. */
Test(fault, a_sync_that_fails_and_then_succeeds_is_not_believed) {
    fail_everywhere(true, -EIO, 1);
    fail_everywhere(true, -EIO, 1000000);
}

Test(fault, a_failed_group_is_the_last_that_is_tried) {
    quiet();
    struct life *life = life_make(22);
    struct journal *journal;
    struct journal_config config = life_config(life);
    struct journal_trouble trouble;
    struct log *ring;
    cr_assert_eq(journal_open(&journal, &config, &trouble), 0);
    struct log_config ring_config = {.data_bytes = 65536, .records = 256, .first = 1, .journalled = true};
    cr_assert_eq(log_create(&ring, &ring_config), 0);
    cr_assert_eq(commit_attach(&journal->logs[0], ring, (void (*)(void *))quiet, NULL), 0);
    uint8_t *out;
    uint64_t retry_ns;
    cr_assert_eq(log_writer_reserve(ring, 40, 0, &out, &retry_ns), RING_OK);
    memset(out, 7, 40);
    log_writer_commit(ring, 40, log_flags(LOG_EVENT, 1, 0, 0), 1, 1);
    log_writer_publish(ring);
    sim_fail_at(life->sim, sim_operations(life->sim) + 1, -EIO, 1);
    cr_assert_eq(commit_turn(&journal->logs[0]), -EIO);
    cr_assert(journal_failed(journal, &trouble));
    cr_assert_eq(trouble.status, 70);
    cr_assert_not_null(strstr(trouble.text, "a group could not be written: " FIRST ": Input/output error"));
    cr_assert_eq(log_visible(ring), 1, "it is not acknowledged");
    commit_detach(&journal->logs[0]);
    log_destroy(ring);
    journal_close(journal);
    life_free(life);
}

/* ---- a full disk ---- */

Test(fault, a_full_disk_refuses_a_new_journal_and_says_so) {
    quiet();
    struct life *life = life_make(23);
    sim_capacity(life->sim, LIFE_SEGMENT);
    life_refused(life, 70, WORDS("No space left on device", "make room"));
    sim_capacity(life->sim, UINT64_MAX);
    life_check(life);
    life_free(life);
}

/* While there is no room for a spare nothing fails and nothing is lost; with room it goes on. */
Test(fault, a_disk_that_fills_up_while_running_loses_nothing) {
    quiet();
    struct life *life = life_make(24);
    sim_capacity(life->sim, 2 * JOURNAL_BLOCK_BYTES + 200 + 4 * LIFE_SEGMENT);
    cr_assert(!life_live(life, 60, true), "there was room for all of it");
    uint64_t kept = life->logs[0].acknowledged + life->logs[1].acknowledged;
    cr_assert_gt(kept, 20);
    sim_reboot(life->sim, SIM_NONE);
    life_check(life);
    sim_capacity(life->sim, UINT64_MAX);
    cr_assert(life_live(life, 20, true));
    life_check(life);
    life_free(life);
    LEAKS_NONE();
}
