/* change_private.h: a change as its parts see it: the thread that makes it, workers that take part, tests
 * that go through its steps themselves. Owner: who made it, from change_make to change_free; workers borrow
 * it from a step's command until they have said that the step is done. Private to core/shard and its tests.
 * Thread: that of the maker. change_go_on never blocks, but for making shards and the journal's sync. Fails
 * as core/shard/change.h says. */
#pragma once

#include "core/shard/change.h"
#include "core/shard/moves.h"

struct change {
    struct shards *shards; /* borrows */
    uint32_t count;
    bool pins;
    uint16_t cpus[SHARDS_MAX];
    uint8_t shards_of[SLOT_COUNT];             /* what was asked for */
    struct slot_place places[SLOT_COUNT];      /* once it is done */
    uint64_t held[SLOT_COUNT / 64];            /* one bit for each slot that moves */
    struct known_carried *carried[SHARDS_MAX]; /* owns; by the worker that wrote it, */
    bool carries[SHARDS_MAX];                  /* ... and whether it could */
    uint32_t moved;                            /* how many these are */
    int phase;
    uint32_t told;             /* so many workers have been sent the step that goes on */
    uint64_t number;           /* of that step */
    uint64_t begun_ns;         /* mono clock, */
    uint64_t held_ns, gone_ns; /* ... when the slots were held, and were free again */
    int error;
    const char *why; /* static; with `error` */
};

/* -EINVAL, -ENOMEM, -EOVERFLOW: as shards_change. */
int change_make(struct change **out, struct shards *shards, const struct shards_change *asked) MUST_USE;
/* As far as it goes now; the steps are numbered on from *steps. True: it is over, well or not. */
bool change_go_on(struct change *change, uint64_t *steps);
void change_free(struct change *change);
