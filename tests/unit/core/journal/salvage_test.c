/* verify, export and cut, on damage of all kinds, and a cut that is interrupted at each of its steps. */
#include "core/journal/salvage.h"

#include "core/base/logfmt.h"
#include "core/journal/parts.h"
#include "tests/unit/core/journal/life.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_NS (UINT64_C(1800000000) * NS_PER_S) /* 2027-01-15T08:00:00Z */

/* Lines, one behind the other, and records that were exported. */
struct told {
    char text[8192];
    size_t used;
    uint64_t records, first, last;
    uint64_t most;
};

static void tell(void *user, const char *text) {
    struct told *told = user;
    int more = snprintf(told->text + told->used, sizeof told->text - told->used, "%s\n", text);
    cr_assert(more > 0 && (size_t)more < sizeof told->text - told->used);
    told->used += (size_t)more;
}

static bool take(void *user, uint32_t log, const struct format_record *record, const uint8_t *bytes) {
    struct told *told = user;
    (void)log;
    (void)bytes;
    cr_assert_gt(record->number, told->last);
    told->first = told->records == 0 ? record->number : told->first;
    told->last = record->number;
    return ++told->records < told->most;
}

static struct life *life_long(uint64_t seed) {
    struct life *life = life_make(seed);
    logfmt_level_set((enum logfmt_level)(LOGFMT_ERROR + 1));
    (void)snprintf(life->where, sizeof life->where, "seed %lu", (unsigned long)seed);
    cr_assert(life_live(life, 50, true));
    sim_reboot(life->sim, SIM_ALL);
    return life;
}

static int verify(struct life *life, struct told *told) {
    struct salvage salvage;
    struct journal_trouble trouble;
    struct salvage_lines lines = {tell, told};
    memset(told, 0, sizeof *told);
    cr_assert_eq(salvage_open(&salvage, "sim", sim_disk(life->sim), false, &trouble), 0);
    uint64_t before = sim_operations(life->sim);
    int result = salvage_verify(&salvage, &lines, &trouble);
    if (result < 0)
        tell(told, trouble.text);
    cr_assert_eq(sim_operations(life->sim), before, "verify changes nothing");
    salvage_close(&salvage);
    return result;
}

static int export(struct life *life, uint32_t log, uint64_t from, uint64_t most, struct told *told) {
    struct salvage salvage;
    struct journal_trouble trouble;
    struct salvage_lines lines = {tell, told};
    struct salvage_sink sink = {take, told};
    memset(told, 0, sizeof *told);
    told->most = most;
    cr_assert_eq(salvage_open(&salvage, "sim", sim_disk(life->sim), false, &trouble), 0);
    uint64_t before = sim_operations(life->sim);
    int result = salvage_export(&salvage, log, from, &sink, &lines, &trouble);
    cr_assert_eq(sim_operations(life->sim), before, "export changes nothing");
    salvage_close(&salvage);
    return result;
}

static int cut(struct life *life, struct told *told) {
    struct salvage salvage;
    struct journal_trouble trouble;
    struct salvage_lines lines = {tell, told};
    memset(told, 0, sizeof *told);
    if (salvage_open(&salvage, "sim", sim_disk(life->sim), true, &trouble) != 0)
        return -1;
    int result = salvage_cut(&salvage, WALL_NS, &lines, &trouble);
    if (result < 0)
        tell(told, trouble.text);
    salvage_close(&salvage);
    return result;
}

static void expect(const struct told *told, const char *words) {
    cr_assert_not_null(strstr(told->text, words), "`%s` is not in: %s", words, told->text);
}

static void damage(struct life *life, const char *name, uint64_t offset, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++)
        sim_bytes(life->sim, name)[offset + i] ^= 0x5a;
    sim_touched(life->sim, name);
}

/* ---- verify and export ---- */

Test(salvage, verify_and_export_find_all_of_a_whole_journal) {
    struct life *life = life_long(31);
    struct told told;
    cr_assert_eq(verify(life, &told), 0);
    expect(&told, "MANIFEST: good: 2 logs, opened 1 times");
    expect(&told, "log 0: good: ");
    expect(&told, ", sealed");
    uint64_t next = life->logs[0].acknowledged;
    cr_assert_eq(export(life, 0, 0, UINT64_MAX, &told), 0, "%s", told.text);
    cr_assert(told.first == 1 && told.records == next - 1 && told.used == 0);
    cr_assert_eq(export(life, 0, 20, UINT64_MAX, &told), 0);
    cr_assert(told.first == 20 && told.records == next - 20);
    cr_assert_eq(export(life, 0, 20, 5, &told), 0, "the caller ends it");
    cr_assert(told.first == 20 && told.records == 5);
    cr_assert_eq(export(life, 7, 0, UINT64_MAX, &told), 0, "there is no such log");
    cr_assert_eq(told.records, 0);
    life_free(life);
    LEAKS_NONE();
}

Test(salvage, verify_calls_a_torn_group_explained) {
    struct life *life = life_long(31);
    struct told told;
    uint64_t size = sim_size(life->sim, "0/000000000001.jnl");
    cr_assert_gt(size, 0);
    char name[DISK_NAME_BYTES];
    uint32_t number = 1;
    do
        (void)snprintf(name, sizeof name, "0/%012u.jnl", ++number);
    while (sim_exists(life->sim, name));
    (void)snprintf(name, sizeof name, "0/%012u.jnl", number - 1);
    damage(life, name, size - 700, 100);
    cr_assert_eq(verify(life, &told), 0);
    expect(&told, "log 0: a group was being written when the router ended");
    life_check(life);
    life_free(life);
}

Test(salvage, export_gives_what_lies_around_the_damage) {
    struct life *life = life_long(31);
    struct told told;
    damage(life, "0/000000000001.jnl", 3 * JOURNAL_BLOCK_BYTES + 100, 50);
    cr_assert_eq(verify(life, &told), 1);
    expect(&told, "log 0: DAMAGED: 0/000000000001.jnl at byte ");
    expect(&told, "log 1: good");
    uint64_t next = life->logs[0].acknowledged;
    cr_assert_eq(export(life, 0, 0, UINT64_MAX, &told), 1);
    expect(&told, "can not be read and are left out");
    expect(&told, "are missing before group");
    cr_assert(told.first == 1 && told.last == next - 1 && told.records < next - 1 && told.records > next / 2);
    life_free(life);
}

Test(salvage, export_needs_neither_manifest_nor_headers) {
    struct life *life = life_long(31);
    struct told told;
    sim_remove(life->sim, "MANIFEST");
    damage(life, "0/000000000001.jnl", 0, 100);
    cr_assert_eq(verify(life, &told), -1);
    expect(&told, "there is no MANIFEST in it");
    cr_assert_eq(cut(life, &told), -1);
    expect(&told, "there is no MANIFEST in it");
    cr_assert_eq(export(life, 0, 0, UINT64_MAX, &told), 0);
    cr_assert_eq(told.records, life->logs[0].acknowledged - 1);
    life_free(life);
}

/* ---- cut ---- */

static void nothing(void *user) {
    (void)user;
}

static void write_one(struct journal *journal) {
    struct log_config config = {
        .data_bytes = 65536, .records = 256, .first = journal_next(journal, 0), .journalled = true};
    struct log *ring;
    uint64_t retry_ns;
    uint8_t *out;
    cr_assert_eq(log_create(&ring, &config), 0);
    cr_assert_eq(commit_attach(&journal->logs[0], ring, nothing, NULL), 0);
    cr_assert_eq(log_writer_reserve(ring, 5, 0, &out, &retry_ns), RING_OK);
    memcpy(out, "after", 5);
    log_writer_commit(ring, 5, log_flags(LOG_EVENT, 1, 0, 0), 1, 1);
    log_writer_publish(ring);
    (void)house_turn(journal, 0, 0);
    cr_assert_eq(commit_turn(&journal->logs[0]), 1);
    cr_assert_eq(log_visible(ring), log_produced(ring));
    commit_detach(&journal->logs[0]);
    log_destroy(ring);
}

/* After a cut: what is before the damage is there, positions go on far behind, and the journal lives. */
static void lives_on(struct life *life, uint64_t kept) {
    struct journal *journal = NULL;
    struct journal_trouble trouble;
    struct journal_config config = life_config(life);
    struct told told;
    cr_assert_eq(verify(life, &told), 0, "%s: %s", life->where, told.text);
    cr_assert_eq(journal_open(&journal, &config, &trouble), 0, "%s: %s", life->where, trouble.text);
    cr_assert_geq(journal_next(journal, 0), life->logs[0].acknowledged + JOURNAL_CUT_SKIP,
                  "%s: a position may be used twice", life->where);
    struct journal_stretch stretch = {0};
    uint64_t from = journal_oldest(journal, 0), read = 0;
    while (from < kept) {
        cr_assert_eq(journal_read(journal, 0, from, &stretch), 0);
        read += stretch.count;
        from = stretch.next;
    }
    cr_assert(kept == 0 || (from == kept && read == kept - 1), "%s: %lu", life->where, (unsigned long)from);
    if (kept != 0) { /* what was cut is a hole, and told as one */
        cr_assert_eq(journal_read(journal, 0, from, &stretch), 0);
        cr_assert(stretch.count == 0 && stretch.next == journal_next(journal, 0));
    }
    write_one(journal);
    from = journal_next(journal, 0) - 1;
    cr_assert_eq(journal_read(journal, 0, from, &stretch), 0);
    cr_assert(stretch.count == 1 && stretch.first == from);
    journal_stretch_free(&stretch);
    journal_close(journal);
}

Test(salvage, cut_of_a_whole_journal_changes_nothing) {
    struct life *life = life_long(31);
    struct told told;
    cr_assert_eq(cut(life, &told), 0);
    cr_assert_eq(told.used, 0);
    life_check(life);
    life_free(life);
    LEAKS_NONE();
}

/* ---- kinds of damage ---- */

enum harm {
    HARM_GROUP,
    HARM_FIRST_HEADER,
    HARM_LATER_HEADER,
    HARM_MISSING,
    HARM_MISSING_LAST,
    HARM_CUT_SHORT,
    HARM_DIRECTORY,
    HARM_LAST_GROUP,
    HARM_UNKNOWN,
    HARMS,
};

static void name_of(char name[DISK_NAME_BYTES], uint32_t number) {
    (void)snprintf(name, DISK_NAME_BYTES, "0/%012u.jnl", number);
}

static uint32_t segments_of(struct life *life) {
    char name[DISK_NAME_BYTES];
    uint32_t number = 1;
    do
        name_of(name, ++number);
    while (sim_exists(life->sim, name));
    return number - 1;
}

static void harm_directory(struct life *life) {
    char name[DISK_NAME_BYTES];
    for (uint32_t number = segments_of(life); number > 0; number--) {
        name_of(name, number);
        sim_remove(life->sim, name);
    }
    sim_remove(life->sim, "0/spare");
    sim_remove(life->sim, "0/mark");
    sim_remove(life->sim, "0");
}

static void harm_unknown(struct life *life) {
    struct format_manifest manifest;
    memcpy(&manifest, sim_bytes(life->sim, "MANIFEST"), sizeof manifest);
    manifest.oldest[0] = 0;
    manifest.generation += 100;
    format_manifest_close(&manifest);
    memcpy(sim_bytes(life->sim, "MANIFEST"), &manifest, sizeof manifest);
    sim_touched(life->sim, "MANIFEST");
}

static void harm(struct life *life, enum harm kind) {
    char last[DISK_NAME_BYTES];
    name_of(last, segments_of(life));
    switch (kind) {
    case HARM_GROUP:
        damage(life, "0/000000000001.jnl", 3 * JOURNAL_BLOCK_BYTES + 100, 50);
        break;
    case HARM_FIRST_HEADER:
        damage(life, "0/000000000001.jnl", 8, 3);
        break;
    case HARM_LATER_HEADER:
        damage(life, "0/000000000002.jnl", 8, 3);
        break;
    case HARM_MISSING:
        sim_remove(life->sim, "0/000000000002.jnl");
        break;
    case HARM_MISSING_LAST:
        sim_remove(life->sim, last);
        break;
    case HARM_CUT_SHORT:
        sim_cut(life->sim, "0/000000000002.jnl", 3 * JOURNAL_BLOCK_BYTES);
        break;
    case HARM_DIRECTORY:
        harm_directory(life);
        break;
    case HARM_LAST_GROUP:
        memset(sim_bytes(life->sim, last) + JOURNAL_BLOCK_BYTES, 0, LIFE_SEGMENT - JOURNAL_BLOCK_BYTES);
        sim_touched(life->sim, last);
        break;
    default:
        harm_unknown(life);
    }
}

static uint64_t kept_of(const struct told *told) {
    const char *at = strstr(told->text, "kept are the positions below ");
    cr_assert_not_null(at, "%s", told->text);
    return strtoull(at + strlen("kept are the positions below "), NULL, 10);
}

/* Of a log whose every record is gone nobody knows how many there were. */
static void harm_known(struct life *life, enum harm kind) {
    if (kind == HARM_DIRECTORY)
        life->logs[0].acknowledged = 1;
}

Test(salvage, cut_gives_up_what_lies_behind_the_damage_and_keeps_the_original) {
    for (int kind = 0; kind < HARMS; kind++) {
        struct life *life = life_long(31);
        struct told told;
        cr_assert_gt(segments_of(life), 2);
        harm(life, (enum harm)kind);
        harm_known(life, (enum harm)kind);
        (void)snprintf(life->where, sizeof life->where, "harm %d", kind);
        life_refused(life, 65, (const char *const[]){"journal cut sim --accept-loss"}, 1);
        uint8_t original[LIFE_SEGMENT] = {0};
        bool copied = kind == HARM_GROUP;
        if (copied)
            memcpy(original, sim_bytes(life->sim, "0/000000000001.jnl"), LIFE_SEGMENT);
        cr_assert_eq(cut(life, &told), 1, "%s: %s", life->where, told.text);
        cr_assert(sim_exists(life->sim, "loss-20270115T080000Z.txt"));
        cr_assert_eq(sim_size(life->sim, "loss-20270115T080000Z.txt"), told.used);
        cr_assert_eq(memcmp(sim_bytes(life->sim, "loss-20270115T080000Z.txt"), told.text, told.used), 0);
        if (copied)
            cr_assert_eq(memcmp(original, sim_bytes(life->sim, "0/000000000001.jnl.cut-20270115T080000Z"),
                                LIFE_SEGMENT),
                         0);
        uint64_t kept = kept_of(&told);
        lives_on(life, kept == 1 ? 0 : kept);
        life_free(life);
    }
    LEAKS_NONE();
}

/* At each operation, with what survives chosen in all ways: until the cut has ended the journal is refused.
 */
Test(salvage, cut_that_is_interrupted_is_refused_and_can_be_run_again) {
    struct life *whole = life_long(31);
    for (int kind = 0; kind < HARMS; kind++)
        for (uint64_t k = 1;; k++) {
            struct life *life = life_copy(whole);
            struct told told;
            harm(life, (enum harm)kind);
            harm_known(life, (enum harm)kind);
            (void)snprintf(life->where, sizeof life->where, "harm %d, operation %lu", kind, (unsigned long)k);
            sim_crash_at(life->sim, sim_operations(life->sim) + k);
            int first = cut(life, &told);
            bool crashed = sim_crashed(life->sim);
            cr_assert(crashed || first == 1);
            sim_reboot(life->sim, (enum sim_fate)(k % SIM_FATES));
            int state = verify(life, &told);
            cr_assert(state == 0 || state == 1, "%s: %s", life->where, told.text);
            if (state == 1) {
                life_refused(life, 65, (const char *const[]){"journal cut sim --accept-loss"}, 1);
                cr_assert_eq(cut(life, &told), 1, "%s: %s", life->where, told.text);
            }
            lives_on(life, 0);
            life_free(life);
            if (!crashed)
                break;
        }
    life_free(whole);
    LEAKS_NONE();
}

Test(salvage, cut_does_not_cut_what_the_disk_does_not_read) {
    struct life *life = life_long(31);
    struct told told;
    sim_fail_read(life->sim, "0/000000000001.jnl", 20000, -EIO);
    cr_assert_eq(verify(life, &told), -1);
    expect(&told, "Input/output error");
    cr_assert_eq(cut(life, &told), -1);
    expect(&told, "copy what can be read to another first");
    cr_assert_eq(export(life, 0, 0, UINT64_MAX, &told), 1);
    expect(&told, "what lies behind is left out");
    life_free(life);
}
