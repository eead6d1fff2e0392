#include "tests/unit/core/journal/life.h"

#include "core/journal/parts.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct life *life_make(uint64_t seed) {
    struct life *life = calloc(1, sizeof *life);
    cr_assert_not_null(life);
    life->seed = seed;
    life->sim = sim_make(seed);
    for (uint32_t i = 0; i < LIFE_LOGS; i++)
        life->logs[i].acknowledged = life->logs[i].produced = life->logs[i].oldest = 1;
    return life;
}

void life_free(struct life *life) {
    cr_assert_eq(sim_open_files(life->sim), 0, "a file was left open");
    sim_free(life->sim);
    free(life);
}

struct life *life_copy(const struct life *life) {
    struct life *copy = malloc(sizeof *copy);
    cr_assert_not_null(copy);
    *copy = *life;
    copy->sim = sim_copy(life->sim);
    return copy;
}

static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t life_record(const struct life *life, uint32_t log, uint64_t position, uint32_t born, uint8_t *out) {
    uint64_t key = mix(life->seed + mix(position << 16 | log << 12 | born));
    uint32_t length = (uint32_t)(key % (key >> 40 & 7 ? 300 : LIFE_RECORD_MAX));
    for (uint32_t i = 0; i < length; i += 8) {
        uint64_t word = mix(key + i);
        memcpy(out + i, &word, length - i < 8 ? length - i : 8);
    }
    return length;
}

static uint32_t life_flags(uint64_t position, uint32_t length) {
    return log_flags(position % 5 == 0 ? LOG_OPEN : LOG_EVENT, (uint32_t)(mix(position) % 7),
                     length > 9 ? 2 : 0, length > 9 ? 4 : 0);
}

struct journal_config life_config(const struct life *life) {
    return (struct journal_config){.directory = "sim",
                                   .disk = sim_disk(life->sim),
                                   .logs = LIFE_LOGS,
                                   .slot_seed = 4711,
                                   .segment_bytes = LIFE_SEGMENT,
                                   .record_max = LIFE_RECORD_MAX,
                                   .retain_bytes = life->retain_bytes};
}

/* ---- promises ---- */

static void record_check(const struct life *life, uint32_t log, uint64_t position,
                         const struct journal_stretch *stretch, uint32_t i) {
    uint8_t wanted[LIFE_RECORD_MAX];
    const struct log_entry *entry = &stretch->entries[i];
    uint32_t length = life_record(life, log, position, life->logs[log].born[position], wanted);
    cr_assert(entry->length == length && memcmp(stretch->frames + entry->offset, wanted, length) == 0 &&
                  entry->time == position * 1000 && entry->flags == life_flags(position, length),
              "%s: record %lu of log %u is not what was written", life->where, (unsigned long)position, log);
}

/* Reads it all, in stretches of many sizes. */
static void log_check_all(const struct life *life, struct journal *journal, uint32_t log) {
    struct journal_stretch stretch = {.bytes_max = 1 + sim_random(life->sim, 40000)};
    uint64_t from = journal_oldest(journal, log), next = journal_next(journal, log);
    while (from < next) {
        int result = journal_read(journal, log, from, &stretch);
        cr_assert_eq(result, 0, "%s: reading %lu of log %u: %d", life->where, (unsigned long)from, log,
                     result);
        cr_assert(stretch.first == from && stretch.count > 0 && stretch.next == from + stretch.count);
        for (uint32_t i = 0; i < stretch.count; i++)
            record_check(life, log, from + i, &stretch, i);
        from = stretch.next;
    }
    cr_assert_eq(journal_read(journal, log, next, &stretch), -ENODATA);
    journal_stretch_free(&stretch);
}

static void promises_check(struct life *life, struct journal *journal) {
    const struct journal_facts *facts = journal_facts(journal);
    cr_assert(facts->logs == LIFE_LOGS && facts->slot_seed == 4711);
    cr_assert_gt(facts->boot_epoch, life->epoch, "%s: an epoch was used twice", life->where);
    life->epoch = facts->boot_epoch;
    for (uint32_t i = 0; i < LIFE_LOGS; i++) {
        uint64_t next = journal_next(journal, i), oldest = journal_oldest(journal, i);
        cr_assert_geq(next, life->logs[i].acknowledged, "%s: log %u ends at %lu, %lu was acknowledged",
                      life->where, i, (unsigned long)next, (unsigned long)life->logs[i].acknowledged);
        cr_assert_leq(next, life->logs[i].produced, "%s: something was invented", life->where);
        cr_assert_leq(oldest, life->logs[i].oldest, "%s: more than was trimmed is gone", life->where);
        life->logs[i].acknowledged = life->logs[i].produced = next;
        log_check_all(life, journal, i);
    }
}

/* ---- living ---- */

struct living {
    struct life *life;
    struct journal *journal;
    struct log *rings[LIFE_LOGS];
    uint32_t moves;
};

static void moved(void *user) {
    ((struct living *)user)->moves++;
}

static void living_begin(struct living *living) {
    for (uint32_t i = 0; i < LIFE_LOGS; i++) {
        struct log_config config = {.number = (uint16_t)(64 + i),
                                    .data_bytes = 64 * KIB,
                                    .records = 256,
                                    .first = journal_next(living->journal, i),
                                    .journalled = true};
        cr_assert_eq(log_create(&living->rings[i], &config), 0);
        cr_assert_eq(commit_attach(&living->journal->logs[i], living->rings[i], moved, living), 0);
    }
}

static void living_end(struct living *living) {
    for (uint32_t i = 0; i < LIFE_LOGS; i++) {
        struct life *life = living->life;
        life->logs[i].acknowledged = log_visible(living->rings[i]);
        life->logs[i].oldest = journal_oldest(living->journal, i);
        commit_detach(&living->journal->logs[i]);
        log_destroy(living->rings[i]);
    }
}

/* One record into the ring; not published. */
static bool living_append(struct living *living, uint32_t log) {
    struct life *life = living->life;
    uint8_t bytes[LIFE_RECORD_MAX], *out;
    uint64_t retry_ns, position = log_writer_next(living->rings[log]);
    cr_assert_lt(position, LIFE_RECORDS);
    uint32_t length = life_record(life, log, position, life->number, bytes);
    if (log_writer_reserve(living->rings[log], length, 0, &out, &retry_ns) != RING_OK)
        return false;
    memcpy(out, bytes, length);
    log_writer_commit(living->rings[log], length, life_flags(position, length), position, position * 1000);
    life->logs[log].born[position] = life->number;
    life->logs[log].produced = position + 1;
    return true;
}

/* Commits what there is. false: the journal has failed. */
static bool living_commit(struct living *living, uint32_t log) {
    struct commit *commit = &living->journal->logs[log];
    int64_t done;
    uint32_t tries = 0;
    while ((done = commit_turn(commit)) > 0 || done == -EAGAIN) {
        if (done == -EAGAIN)
            (void)house_turn(living->journal, 0, 0);
        if (done == -EAGAIN && ++tries > 3)
            return false;
    }
    return done == 0 && !journal_failed(living->journal, NULL);
}

static bool living_seal(struct living *living, uint32_t log) {
    int result = commit_seal(&living->journal->logs[log]);
    if (result == -EAGAIN) {
        (void)house_turn(living->journal, 0, 0);
        result = commit_seal(&living->journal->logs[log]);
    }
    return result == 0;
}

static bool living_step(struct living *living) {
    struct sim_disk *sim = living->life->sim;
    uint32_t log = (uint32_t)sim_random(sim, LIFE_LOGS);
    uint64_t count = 1 + sim_random(sim, sim_random(sim, 4) == 0 ? 60 : 6);
    while (count-- > 0 && living_append(living, log)) {
    }
    log_writer_publish(living->rings[log]);
    if (!living_commit(living, log))
        return false;
    if (sim_random(sim, 4) == 0 && !living_seal(living, log))
        return false;
    if (sim_random(sim, 3) == 0)
        (void)house_turn(living->journal, 0, UINT64_C(1) << 60);
    return !journal_failed(living->journal, NULL);
}

static bool living_run(struct living *living, uint32_t steps, bool seal) {
    (void)house_turn(living->journal, 0, 0);
    for (uint32_t i = 0; i < steps; i++)
        if (!living_step(living))
            return false;
    for (uint32_t i = 0; seal && i < LIFE_LOGS; i++)
        if (!living_commit(living, i) || !living_seal(living, i))
            return false;
    (void)house_turn(living->journal, 0, 0);
    return !journal_failed(living->journal, NULL);
}

bool life_live(struct life *life, uint32_t steps, bool seal) {
    struct living living = {.life = life};
    struct journal_config config = life_config(life);
    struct journal_trouble trouble;
    life->number++;
    if (journal_open(&living.journal, &config, &trouble) != 0) {
        cr_assert_eq(trouble.status, 70, "%s: %s", life->where, trouble.text);
        return false;
    }
    promises_check(life, living.journal);
    living_begin(&living);
    bool whole = living_run(&living, steps, seal);
    living_end(&living);
    journal_close(living.journal);
    return whole;
}

void life_check(struct life *life) {
    struct journal *journal = NULL;
    struct journal_config config = life_config(life);
    struct journal_trouble trouble;
    int result = journal_open(&journal, &config, &trouble);
    cr_assert_eq(result, 0, "%s: %s", life->where, trouble.text);
    promises_check(life, journal);
    journal_close(journal);
}

void life_refused(struct life *life, int status, const char *const words[], uint32_t count) {
    struct journal *journal = NULL;
    struct journal_config config = life_config(life);
    struct journal_trouble trouble = {0};
    cr_assert_neq(journal_open(&journal, &config, &trouble), 0, "%s: not refused", life->where);
    cr_assert_eq(trouble.status, status, "%s: %s", life->where, trouble.text);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_not_null(strstr(trouble.text, words[i]), "%s: `%s` is not in: %s", life->where, words[i],
                           trouble.text);
}
