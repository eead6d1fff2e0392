/* THE MAILBOX
 *
 * After Dmitry Vyukov's bounded queue (2010), with one consumer, so popping needs no compare-and-swap.
 *
 * Who. mpsc_push from any thread, mpsc_pop and mpsc_pending from the owner.
 *
 * State. `produced` is the next ticket; `consumed` the owner's own count; each cell has a sequence. For
 * ticket t in cell t & mask:
 *          sequence == t                 free, waiting for the push with ticket t
 *          sequence == t + 1             filled by ticket t, waiting for the owner
 *          sequence == t + commands      popped: free for the ticket of the next round
 *
 * Invariants. consumed <= produced <= consumed + commands. A cell's content is written only by who holds its
 * ticket, and read only by the owner when the sequence says filled. `commands` is at least 2, else "filled"
 * and "free for the next round" are the same number.
 *
 * Steps. Push takes a ticket by compare-and-swap only when the cell of that ticket is free, so a ticket is
 * never given back. It writes the command, then stores the sequence with release [MPSC_FILL]; pop loads it
 * with acquire and sees the command. Pop copies, then stores the sequence of the next round with release
 * [MPSC_FREE]; push loads it with acquire, so the owner's copy is over before the cell is written again.
 * `produced` carries no data and is relaxed.
 *
 * Why wrap is safe. Tickets are 64 bits and never wrap in practice; comparisons are by signed difference,
 * which would survive it.
 *
 * Promised: order per sender; nothing lost; full is told. Not promised: order between senders; and a command
 * behind a push that is still being written waits for that push. Its sender signals the owner after it, so no
 * wake is lost by this. */
#include "ring/mpsc.h"

#include "core/base/limits.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define MPSC_COMMANDS_MIN 2u

struct mpsc_cell {
    uint64_t sequence;
    struct mpsc_command command;
} __attribute__((aligned(64)));
static_assert(sizeof(struct mpsc_cell) == 64, "a cell is a cache line");

struct mpsc {
    /* written once */
    uint64_t mask;
    /* written by senders */
    uint64_t produced __attribute__((aligned(64)));
    /* written by the owner */
    uint64_t consumed __attribute__((aligned(64)));
    /* each written in turn by a sender and the owner */
    struct mpsc_cell cells[];
};
static_assert(offsetof(struct mpsc, produced) % 64 == 0, "senders contend on a line of their own");
static_assert(offsetof(struct mpsc, consumed) % 64 == 0, "the owner's line is its own");
static_assert(offsetof(struct mpsc, cells) % 64 == 0, "cells do not share lines");

int mpsc_create(struct mpsc **out, uint32_t commands) {
    if (commands < MPSC_COMMANDS_MIN || (commands & (commands - 1)) != 0)
        return -EINVAL;
    struct mpsc *box = aligned_alloc(64, sizeof *box + (size_t)commands * sizeof box->cells[0]);
    if (box == NULL)
        return -ENOMEM;
    *box = (struct mpsc){.mask = commands - 1};
    for (uint64_t i = 0; i < commands; i++)
        box->cells[i] = (struct mpsc_cell){.sequence = i};
    *out = box;
    return 0;
}

void mpsc_destroy(struct mpsc *box) {
    free(box);
}

enum ring_result mpsc_push(struct mpsc *box, const struct mpsc_command *command) {
    uint64_t ticket =
        __atomic_load_n(&box->produced, __ATOMIC_RELAXED); /* relaxed: a guess, the exchange decides */
    for (;;) {
        struct mpsc_cell *cell = &box->cells[ticket & box->mask];
        int64_t ahead =
            (int64_t)(__atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE) - ticket); /* MPSC_FREE */
        if (ahead < 0)
            return RING_FULL; /* the owner has not popped the command of the round before */
        /* relaxed: the ticket carries no data; a failed exchange brings the newer ticket */
        if (ahead == 0 && __atomic_compare_exchange_n(&box->produced, &ticket, ticket + 1, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            cell->command = *command;
            __atomic_store_n(&cell->sequence, ticket + 1, __ATOMIC_RELEASE); /* MPSC_FILL */
            return RING_OK;
        }
        if (ahead > 0)
            ticket = __atomic_load_n(&box->produced, __ATOMIC_RELAXED); /* relaxed: as above */
    }
}

static bool mpsc_filled(const struct mpsc *box) {
    const struct mpsc_cell *cell = &box->cells[box->consumed & box->mask];
    return __atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE) == box->consumed + 1; /* MPSC_FILL */
}

bool mpsc_pop(struct mpsc *box, struct mpsc_command *out) {
    if (!mpsc_filled(box))
        return false;
    struct mpsc_cell *cell = &box->cells[box->consumed & box->mask];
    *out = cell->command;
    __atomic_store_n(&cell->sequence, box->consumed + box->mask + 1, __ATOMIC_RELEASE); /* MPSC_FREE */
    box->consumed++;
    return true;
}

bool mpsc_pending(const struct mpsc *box) {
    return mpsc_filled(box);
}
