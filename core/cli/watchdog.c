#include "core/cli/watchdog.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/logfmt.h"
#include "core/base/notify.h"
#include "core/base/thread.h"
#include "core/cli/args.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_PROOFS 3u                /* in each interval of the manager: one that is late does no harm */
#define WATCHDOG_LOOK   (10u * NS_PER_MS) /* how soon after the wake the turns are looked at */

struct watchdog {
    const struct shards *shards; /* borrowed */
    uint64_t interval_ns;        /* from proof to proof */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ending; /* under the lock */
    /* the thread's own */
    uint64_t turns[SHARDS_MAX]; /* as they were before the wake */
    uint64_t events_in;         /* at the last proof */
    uint64_t proved_ns;
    bool stalled;
};

/* ---- one proof ---- */

static uint64_t turns_of(const struct watchdog *watchdog, uint32_t shard) {
    return counter_get(&shards_worker_stats(watchdog->shards, shard)->turns);
}

/* Whether one of the first `count` shards has not turned since, and which. Shards may be taken away
 * meanwhile. */
static bool stands_still(const struct watchdog *watchdog, uint32_t count, uint32_t *shard) {
    for (*shard = 0; *shard < count && *shard < shards_count(watchdog->shards); ++*shard)
        if (turns_of(watchdog, *shard) == watchdog->turns[*shard])
            return true;
    return false;
}

static void tell(struct watchdog *watchdog) {
    uint64_t now_ns = clock_mono_ns(), events_in = 0, connections = 0;
    for (uint32_t i = 0; i < shards_count(watchdog->shards); i++) {
        const struct worker_stats *stats = shards_worker_stats(watchdog->shards, i);
        events_in += counter_get(&stats->events_in);
        connections += counter_get(&stats->connections);
    }
    uint64_t passed_ns = now_ns - watchdog->proved_ns;
    double rate = passed_ns > 0 && events_in >= watchdog->events_in
                      ? (double)(events_in - watchdog->events_in) * NS_PER_S / (double)passed_ns
                      : 0;
    (void)notify_send("WATCHDOG=1\nSTATUS=%" PRIu64 " connections, %.0f events/s in", connections, rate);
    watchdog->proved_ns = now_ns;
    watchdog->events_in = events_in;
}

/* ---- the thread ---- */

/* True: it is to end. */
static bool rest(struct watchdog *watchdog, uint64_t ns) {
    uint64_t until_ns = clock_mono_ns() + ns;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->ending && pthread_cond_timedwait(&watchdog->end, &watchdog->lock, &until) != ETIMEDOUT)
        continue;
    bool ending = watchdog->ending;
    pthread_mutex_unlock(&watchdog->lock);
    return ending;
}

static void stall_tell(struct watchdog *watchdog, uint32_t shard, uint64_t since_ns) {
    watchdog->stalled = true;
    logfmt(LOGFMT_ERROR, "a shard makes no turn: the service manager is not told that all is well",
           "shard=%" PRIu32 " ms=%" PRIu64, shard, (clock_mono_ns() - since_ns) / NS_PER_MS);
}

/* Waits until every worker has turned. False: it is to end. */
static bool prove(struct watchdog *watchdog) {
    uint32_t count = shards_count(watchdog->shards), shard;
    uint64_t begin_ns = clock_mono_ns();
    for (uint32_t i = 0; i < count; i++)
        watchdog->turns[i] = turns_of(watchdog, i);
    shards_nudge(watchdog->shards);
    while (stands_still(watchdog, count, &shard)) {
        if (!watchdog->stalled && clock_mono_ns() - begin_ns >= watchdog->interval_ns)
            stall_tell(watchdog, shard, begin_ns);
        if (rest(watchdog, WATCHDOG_LOOK))
            return false;
    }
    if (watchdog->stalled)
        logfmt(LOGFMT_INFO, "all shards turn again", "shards=%" PRIu32, count);
    watchdog->stalled = false;
    return true;
}

static void *watchdog_main(void *user) {
    struct watchdog *watchdog = user;
    while (prove(watchdog)) {
        tell(watchdog);
        if (rest(watchdog, watchdog->interval_ns))
            break;
    }
    return NULL;
}

/* ---- starting and ending ---- */

/* 0: nobody asks this process. */
static uint64_t interval_asked_ns(void) {
    const char *text = getenv("WATCHDOG_USEC"), *process = getenv("WATCHDOG_PID");
    uint64_t us, pid;
    if (!notify_wanted() || text == NULL || !args_number(text, 1, UINT64_MAX / NS_PER_US, &us))
        return 0;
    if (process != NULL && (!args_number(process, 1, INT32_MAX, &pid) || pid != (uint64_t)getpid()))
        return 0;
    return us * NS_PER_US / WATCHDOG_PROOFS;
}

/* It is waited for by the monotonic clock. */
static void lock_init(struct watchdog *watchdog) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_cond_init(&watchdog->end, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void watchdog_free(struct watchdog *watchdog) {
    pthread_mutex_destroy(&watchdog->lock);
    pthread_cond_destroy(&watchdog->end);
    free(watchdog);
}

int watchdog_start(struct watchdog **out, const struct shards *shards) {
    uint64_t interval_ns = interval_asked_ns();
    *out = NULL;
    if (interval_ns == 0)
        return 0;
    struct watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (watchdog == NULL)
        return -ENOMEM;
    watchdog->shards = shards;
    watchdog->interval_ns = interval_ns;
    watchdog->proved_ns = clock_mono_ns();
    lock_init(watchdog);
    int result = thread_start(&watchdog->thread, "rh-watchdog", watchdog_main, watchdog);
    if (result == 0)
        *out = watchdog;
    else
        watchdog_free(watchdog);
    return result;
}

void watchdog_stop(struct watchdog *watchdog) {
    if (watchdog == NULL)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->ending = true;
    pthread_cond_signal(&watchdog->end);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    watchdog_free(watchdog);
}
