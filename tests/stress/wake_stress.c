/* Stress of ring/wake.c: two threads meet at the announcement again and again, then sleep and wake for real.
 *
 * The meetings need no time limit to find a lost wake: when the waker's signal has returned and the sleeper,
 * who announced and looked, did not see the news, then the bell must have rung by now. */
#include "tests/stress/ring_stress.h"

/* ---- meetings: is it possible that both look too early? ---- */

struct meeting {
    uint64_t rounds;
    uint64_t announcer __attribute__((aligned(64))); /* rounds begun by the one who announces or wants */
    uint64_t mover __attribute__((aligned(64)));     /* rounds begun by the one who publishes */
    uint64_t news __attribute__((aligned(64)));      /* what is published: the number of the round */
    uint64_t done __attribute__((aligned(64)));      /* rounds that the publisher has finished */
    uint64_t told;                                   /* rounds in which the mover took the want */
    uint64_t missed; /* announcer only: rounds in which the look came too early */
    struct wake wake;
    struct wanted wanted __attribute__((aligned(64)));
};

/* Both sides leave this within some nanoseconds of each other, plus a small delay by chance. */
static void meeting_begin(uint64_t *mine, const uint64_t *other, uint64_t round, uint64_t *random) {
    uint32_t turns = 0;
    __atomic_store_n(mine, round, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(other, __ATOMIC_SEQ_CST) < round)
        stress_pause(&turns);
    for (uint64_t spin = stress_random(random) % 1024; spin != 0; spin--)
        __asm__ volatile("");
}

static void meeting_end(const struct meeting *meeting, uint64_t round) {
    uint32_t turns = 0;
    while (__atomic_load_n(&meeting->done, __ATOMIC_ACQUIRE) < round)
        stress_pause(&turns);
}

static void meet_sleeper(void *context) {
    struct meeting *meeting = context;
    uint64_t random = 1;
    for (uint64_t round = 1; round <= meeting->rounds; round++) {
        uint64_t rung = meeting->wake.sent; /* the waker is between two rounds */
        meeting_begin(&meeting->announcer, &meeting->mover, round, &random);
        wake_announce(&meeting->wake);
        bool seen = __atomic_load_n(&meeting->news, __ATOMIC_ACQUIRE) == round;
        meeting_end(meeting, round);
        rung = meeting->wake.sent - rung;
        STRESS(rung <= 1 && (seen || rung == 1), "lost a wake in round %lu", (unsigned long)round);
        if (rung == 1)
            stress_sleep(&meeting->wake); /* the bell is there already */
        else
            wake_resume(&meeting->wake);
        meeting->missed += !seen;
    }
}

static void meet_waker(void *context) {
    struct meeting *meeting = context;
    uint64_t random = 2;
    for (uint64_t round = 1; round <= meeting->rounds; round++) {
        meeting_begin(&meeting->mover, &meeting->announcer, round, &random);
        __atomic_store_n(&meeting->news, round, __ATOMIC_RELEASE);
        wake_signal(&meeting->wake);
        __atomic_store_n(&meeting->done, round, __ATOMIC_RELEASE);
    }
}

static void meet_wanter(void *context) {
    struct meeting *meeting = context;
    uint64_t random = 3;
    for (uint64_t round = 1; round <= meeting->rounds; round++) {
        meeting_begin(&meeting->announcer, &meeting->mover, round, &random);
        wanted_set(&meeting->wanted);
        bool seen = __atomic_load_n(&meeting->news, __ATOMIC_ACQUIRE) == round;
        meeting_end(meeting, round);
        bool told =
            __atomic_load_n(&meeting->told, __ATOMIC_RELAXED) == round; /* relaxed: `done` orders it */
        STRESS(seen || told, "lost a want in round %lu", (unsigned long)round);
        STRESS(told != wanted_waits(&meeting->wanted), "a want was taken twice or not at all");
        wanted_drop(&meeting->wanted);
        meeting->missed += !seen;
    }
}

static void meet_mover(void *context) {
    struct meeting *meeting = context;
    uint64_t random = 4;
    for (uint64_t round = 1; round <= meeting->rounds; round++) {
        meeting_begin(&meeting->mover, &meeting->announcer, round, &random);
        __atomic_store_n(&meeting->news, round, __ATOMIC_RELEASE);
        if (wanted_take(&meeting->wanted))
            __atomic_store_n(&meeting->told, round, __ATOMIC_RELAXED); /* relaxed: `done` orders it */
        __atomic_store_n(&meeting->done, round, __ATOMIC_RELEASE);
    }
}

static void meetings(const char *name, uint64_t rounds, void (*const bodies[2])(void *)) {
    struct meeting *meeting = aligned_alloc(64, sizeof *meeting);
    STRESS(meeting != NULL, "no memory");
    *meeting = (struct meeting){.rounds = rounds};
    STRESS(wake_init(&meeting->wake) == 0, "no wake");
    uint64_t elapsed_ns = stress_run(meeting, 2, bodies);
    stress_report(name, rounds, elapsed_ns);
    printf("  of these %lu looked before the news\n", (unsigned long)meeting->missed);
    wake_deinit(&meeting->wake);
    free(meeting);
}

/* ---- naps: one sleeper, two wakers, real sleep ---- */

struct naps {
    uint64_t rounds;
    uint64_t news[2] __attribute__((aligned(64)));  /* each written by its waker */
    uint64_t taken[2] __attribute__((aligned(64))); /* written by the sleeper */
    struct wake sleeper, wakers[2];
};

static uint64_t naps_look(struct naps *naps) {
    uint64_t found = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t news = __atomic_load_n(&naps->news[i], __ATOMIC_ACQUIRE);
        if (news == naps->taken[i])
            continue;
        STRESS(news == naps->taken[i] + 1, "news %lu after %lu", (unsigned long)news,
               (unsigned long)naps->taken[i]);
        __atomic_store_n(&naps->taken[i], news, __ATOMIC_RELEASE);
        wake_signal(&naps->wakers[i]);
        found++;
    }
    return found;
}

static void nap(void *context) {
    struct naps *naps = context;
    for (uint64_t found = 0; found < 2 * naps->rounds;) {
        uint64_t now = naps_look(naps);
        if (now == 0) {
            wake_announce(&naps->sleeper);
            now = naps_look(naps);
            if (now == 0)
                stress_sleep(&naps->sleeper);
            else
                wake_resume(&naps->sleeper);
        }
        found += now;
    }
}

static void disturb(struct naps *naps, int who) {
    struct wake *wake = &naps->wakers[who];
    for (uint64_t round = 1; round <= naps->rounds; round++) {
        __atomic_store_n(&naps->news[who], round, __ATOMIC_RELEASE);
        wake_signal(&naps->sleeper);
        while (__atomic_load_n(&naps->taken[who], __ATOMIC_ACQUIRE) != round) {
            wake_announce(wake);
            if (__atomic_load_n(&naps->taken[who], __ATOMIC_ACQUIRE) == round)
                wake_resume(wake);
            else
                stress_sleep(wake);
        }
    }
}

static void disturb_first(void *context) {
    disturb(context, 0);
}

static void disturb_second(void *context) {
    disturb(context, 1);
}

static void napping(uint64_t rounds) {
    struct naps *naps = aligned_alloc(64, sizeof *naps);
    STRESS(naps != NULL, "no memory");
    *naps = (struct naps){.rounds = rounds};
    STRESS(wake_init(&naps->sleeper) == 0 && wake_init(&naps->wakers[0]) == 0 &&
               wake_init(&naps->wakers[1]) == 0,
           "no wake");
    uint64_t elapsed_ns = stress_run(naps, 3, (void (*const[])(void *)){nap, disturb_first, disturb_second});
    stress_report("naps: wake and answer, sleeping for real", 2 * rounds, elapsed_ns);
    printf("  bells rung %lu, elided %lu\n", (unsigned long)naps->sleeper.sent,
           (unsigned long)naps->sleeper.elided);
    wake_deinit(&naps->sleeper);
    wake_deinit(&naps->wakers[0]);
    wake_deinit(&naps->wakers[1]);
    free(naps);
}

int main(int argc, char **argv) {
    uint64_t rounds = stress_count(argc, argv, 200000);
    meetings("meetings: announce against signal", rounds,
             (void (*const[2])(void *)){meet_sleeper, meet_waker});
    meetings("meetings: want against move", 2 * rounds, (void (*const[2])(void *)){meet_wanter, meet_mover});
    napping(rounds / 10 + 1);
    return 0;
}
