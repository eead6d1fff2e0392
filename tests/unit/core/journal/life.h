/* life.h: lives of a journal on a simulated disk, and what must be true after each of them.
 * Owner: the test that includes it.
 * One thread: the steps of the journal's threads are made one by one, so that a crash can be put at each.
 * Nothing blocks.
 * A promise that does not hold fails the test, with the place of the crash in the message. */
#pragma once

#include "core/journal/journal.h"
#include "tests/unit/core/journal/sim_disk.h"

#include <stdbool.h>
#include <stdint.h>

#define LIFE_LOGS       2u
#define LIFE_RECORDS    4096u /* positions that are remembered per log */
#define LIFE_RECORD_MAX 6000u /* bytes */
#define LIFE_SEGMENT    (64u * KIB)

/* What was promised, over all lives of one journal. */
struct life {
    struct sim_disk *sim;
    uint64_t seed;   /* of the contents */
    uint32_t number; /* of the life */
    uint32_t epoch;  /* the highest that was given out */
    uint64_t retain_bytes;
    struct {
        uint64_t acknowledged;       /* positions below were visible */
        uint64_t produced;           /* ... were handed over, in this or an earlier life */
        uint64_t oldest;             /* ... may have been trimmed */
        uint32_t born[LIFE_RECORDS]; /* the life in which each position was last produced */
    } logs[LIFE_LOGS];
    char where[128]; /* for messages */
};

struct life *life_make(uint64_t seed);
void life_free(struct life *life);
/* The same promises over a copy of the disk, which may be damaged. */
struct life *life_copy(const struct life *life);

/* Opens the journal, checks all promises, writes `steps` batches of records, closes it. `seal`: stops cleanly
 * at the end. True: it came to its end; false: it crashed, or the disk failed, on the way. */
bool life_live(struct life *life, uint32_t steps, bool seal);
/* Opens, which must go well, checks, closes. */
void life_check(struct life *life);
/* Opens, which must be refused with that status; the message must have each of the words. */
void life_refused(struct life *life, int status, const char *const words[], uint32_t count);
struct journal_config life_config(const struct life *life);

/* A record of a position, as it was produced in a life. */
uint32_t life_record(const struct life *life, uint32_t log, uint64_t position, uint32_t born, uint8_t *out);
