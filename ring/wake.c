/* THE WAKE PROTOCOL
 *
 * Who. One sleeper (the owner), any number of wakers. State: one word, AWAKE or SLEEPING, and an eventfd, the
 * bell.
 *
 * Steps.   Sleeper                                   Waker
 *          A1  state = SLEEPING                      B1  publish something (a release store of its own)
 *          A2  full fence       [WAKE_ANNOUNCE]      B2  full fence       [WAKE_LOOK]
 *          A3  look for anything published           B3  load state
 *          A4  found: state = AWAKE, go on           B4  SLEEPING: exchange it for AWAKE;
 *              not found: sleep on the bell              who got SLEEPING out of it rings the bell
 *
 * Why no wake is lost. The two fences are ordered. If A2 comes first, B3 sees A1 (or something later), so the
 * bell rings, or somebody else's exchange already took SLEEPING away and that one rings it. If B2 comes
 * first, A3 sees B1 and the sleeper does not sleep. Without A2 the store A1 may still wait in the store
 * buffer while A3 looks; without B2 the same happens to B1: then both look too early and the sleeper sleeps
 * on news. Each alone is fatal; tests/models/wake.pml says so, and the mutants show it.
 *
 * Why the bell can not be lost. An eventfd keeps its count: a bell rung between A4's decision and the poll
 * makes the poll return at once. A bell rung for a sleeper who resumed by itself stays in the eventfd and
 * costs one poll that finds nothing. The count can not overflow: a bell is rung at most once per SLEEPING,
 * and the sleeper drains before it announces again or at the next poll.
 *
 * WANTED is the same argument with the roles named by what they do: the wanter stores 1, fences [WANTED_SET]
 * and looks again at what it waits for; the mover moves it (a gate, `consumed`), fences [WANTED_TAKE] and
 * loads the word. One who takes the 1 signals, and releases with it what it has moved [WANTED_TAKEN]: a
 * wanter that finds the word taken sees the move when it tries again.
 *
 * Promised: after a signal the sleeper runs and sees what was published before the signal. Not promised: one
 * bell per signal, no spurious wake, exact counters. Nothing wraps but counters. The backstop timer of a
 * worker's sleep is there to make a mistake in this file a counted event; nothing relies on it. */
#include "ring/wake.h"

#include "ring/counter.h"
#include "ring/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum wake_state { WAKE_AWAKE = 0, WAKE_SLEEPING = 1 };

_Static_assert(offsetof(struct wake, bell) % 64 == 0, "what is written once lies apart from the sleep word");
_Static_assert(offsetof(struct wake, sent) % 64 == 0, "what wakers count lies apart from the sleep word");

/* Descriptor 0 means "none", so an eventfd that got it (standard input was closed) moves up. */
static int wake_bell(void) {
    int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell != 0)
        return bell < 0 ? -errno : bell;
    int moved = fcntl(bell, F_DUPFD_CLOEXEC, 3);
    int result = moved < 0 ? -errno : moved;
    close(bell);
    return result;
}

int wake_init(struct wake *wake) {
    *wake = (struct wake){0};
    int bell = wake_bell();
    if (bell < 0)
        return bell;
    wake->bell = bell;
    return 0;
}

void wake_deinit(struct wake *wake) {
    if (wake->bell != 0)
        close(wake->bell);
    wake->bell = 0;
}

void wake_announce(struct wake *wake) {
    __atomic_store_n(&wake->state, WAKE_SLEEPING, __ATOMIC_RELAXED); /* relaxed: the fence below orders it */
    ring_fence(&wake->state);                                        /* WAKE_ANNOUNCE, pairs with WAKE_LOOK */
}

void wake_resume(struct wake *wake) {
    /* relaxed: a waker that still reads SLEEPING rings a bell nobody needs; what it published is found by
     * looking */
    __atomic_store_n(&wake->state, WAKE_AWAKE, __ATOMIC_RELAXED);
}

void wake_drain(struct wake *wake) {
    uint64_t count;
    ssize_t got = read(wake->bell, &count, sizeof count);
    CHECK_HOT(got > 0 || errno == EAGAIN || errno == EINTR);
    (void)got;
}

static void wake_ring(struct wake *wake) {
    uint64_t one = 1;
    ssize_t put = write(wake->bell, &one, sizeof one);
    CHECK(put == (ssize_t)sizeof one ||
          errno == EAGAIN); /* EAGAIN: the count is at its limit, so the bell rings already */
    __atomic_fetch_add(&wake->sent, 1,
                       __ATOMIC_RELAXED); /* relaxed: a counter; beside a system call its lock is free */
}

void wake_signal(struct wake *wake) {
    ring_fence(&wake->state); /* WAKE_LOOK, pairs with WAKE_ANNOUNCE */
    /* relaxed load: the fence orders it; it only decides who tries. acq_rel exchange: one waker takes the
     * sleep away. */
    if (__atomic_load_n(&wake->state, __ATOMIC_RELAXED) == WAKE_SLEEPING &&
        __atomic_exchange_n(&wake->state, WAKE_AWAKE, __ATOMIC_ACQ_REL) == WAKE_SLEEPING) {
        wake_ring(wake);
        return;
    }
    /* relaxed load and store: an approximate counter; a locked add would cost every signal to an awake
     * sleeper */
    __atomic_store_n(&wake->elided, __atomic_load_n(&wake->elided, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

void wanted_set(struct wanted *wanted) {
    __atomic_store_n(&wanted->word, 1, __ATOMIC_RELAXED); /* relaxed: the fence below orders it */
    ring_fence(&wanted->word);                            /* WANTED_SET, pairs with WANTED_TAKE */
}

bool wanted_take(struct wanted *wanted) {
    ring_fence(&wanted->word); /* WANTED_TAKE, pairs with WANTED_SET */
    /* relaxed load: the fence orders it; the exchange decides who signals */
    return __atomic_load_n(&wanted->word, __ATOMIC_RELAXED) != 0 &&
           __atomic_exchange_n(&wanted->word, 0, __ATOMIC_ACQ_REL) != 0; /* WANTED_TAKEN */
}

bool wanted_waits(const struct wanted *wanted) {
    return __atomic_load_n(&wanted->word, __ATOMIC_ACQUIRE) != 0; /* WANTED_TAKEN */
}

void wanted_drop(struct wanted *wanted) {
    /* relaxed: a mover that has already taken it signals once for nothing */
    __atomic_store_n(&wanted->word, 0, __ATOMIC_RELAXED);
}

/* Counters: relaxed, nothing is ordered by them. */
uint64_t wake_sent(const struct wake *wake) {
    return __atomic_load_n(&wake->sent, __ATOMIC_RELAXED);
}

uint64_t wake_elided(const struct wake *wake) {
    return __atomic_load_n(&wake->elided, __ATOMIC_RELAXED);
}
