/* What must not hold up a commit: the next segment is filled with zeros before it is needed, the mark is
 * written, and old segments go. */
#include "core/journal/parts.h"

#include "core/base/clock.h"
#include "core/base/logfmt.h"

#include <errno.h>

#define HOUSE_IDLE_NS NS_PER_S /* without anything to do it looks at ages so often */

static void house_failed(struct journal *journal, int error, const char *what, const struct chain *chain,
                         const char *file) {
    char name[DISK_NAME_BYTES];
    chain_file_name(chain, name, file);
    journal_fail(journal, error, what, name);
}

/* ---- spares ---- */

static void spare_made(struct commit *commit, bool made) {
    pthread_mutex_lock(&commit->journal->lock);
    commit->chain.spare = made;
    commit->spare_refused = !made;
    pthread_cond_broadcast(&commit->journal->spare);
    pthread_mutex_unlock(&commit->journal->lock);
}

/* No room is not the end: what is there stays good, publishers wait when the segment and the ring are full.
 */
static void spare_refused(struct commit *commit, int error, uint64_t now_ns) {
    bool told = commit->spare_retry_ns != 0;
    commit->spare_retry_ns = now_ns + JOURNAL_SPARE_RETRY_NS;
    counter_add(&commit->chain.counters.spares_refused, 1);
    if (!told)
        logfmt(LOGFMT_ERROR, "no room for the journal's next segment, publishers wait when this one is full",
               "log=%u bytes=%lu errno=%d", commit->chain.log, (unsigned long)commit->chain.segment_bytes,
               -error);
    spare_made(commit, false);
}

/* Whether it is tried again soon. */
static bool house_spare(struct commit *commit, uint64_t now_ns) {
    struct journal *journal = commit->journal;
    pthread_mutex_lock(&journal->lock);
    bool needed = !commit->chain.spare && !journal->failed;
    pthread_mutex_unlock(&journal->lock);
    if (!needed || now_ns < commit->spare_retry_ns)
        return needed;
    int result = chain_make_spare(&commit->chain);
    if (result == -ENOSPC || result == -EDQUOT) {
        spare_refused(commit, result, now_ns);
        return true;
    }
    if (result != 0) {
        house_failed(journal, result, "a spare segment could not be made:", &commit->chain, "spare");
        return false;
    }
    if (commit->spare_retry_ns != 0)
        logfmt(LOGFMT_INFO, "there is room for the journal's next segment again", "log=%u",
               commit->chain.log);
    commit->spare_retry_ns = 0;
    spare_made(commit, true);
    return false;
}

/* ---- marks ---- */

static void house_mark(struct commit *commit) {
    struct chain *chain = &commit->chain;
    pthread_mutex_lock(&commit->journal->lock);
    bool due = chain->mark_due;
    struct format_mark mark = chain->mark;
    chain->mark_due = false;
    pthread_mutex_unlock(&commit->journal->lock);
    if (due)
        chain_write_mark(chain, &mark);
}

/* ---- trimming ---- */

/* The current segment and the one before it stay, and what somebody needs. */
static bool segment_may_go(const struct commit *commit) {
    const struct chain *chain = &commit->chain;
    return chain->segments_count > 2 && chain->segments[1].first <= counter_get(&commit->keep);
}

static uint64_t house_bytes(const struct journal *journal) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < journal->facts.logs; i++) {
        const struct chain *chain = &journal->logs[i].chain;
        for (uint32_t k = 0; k + 1 < chain->segments_count; k++)
            bytes += chain->segments[k].bytes;
    }
    return bytes;
}

/* The log whose oldest segment ends earliest. */
static struct commit *house_oldest(const struct journal *journal) {
    struct commit *found = NULL;
    for (uint32_t i = 0; i < journal->facts.logs; i++) {
        struct commit *commit = &journal->logs[i];
        if (segment_may_go(commit) &&
            (found == NULL || commit->chain.segments[0].time < found->chain.segments[0].time))
            found = commit;
    }
    return found;
}

static bool house_too_old(const struct journal *journal, const struct commit *commit, uint64_t wall_ns) {
    uint64_t time = commit->chain.segments[0].time;
    return journal->retain_ns != 0 && wall_ns > time && wall_ns - time > journal->retain_ns;
}

/* Takes one segment out of what readers see; the log it was of, or NULL. */
static struct commit *house_pick(struct journal *journal, uint64_t wall_ns, uint64_t *number) {
    pthread_mutex_lock(&journal->lock);
    struct commit *commit = house_oldest(journal);
    bool much = journal->retain_bytes != 0 && house_bytes(journal) > journal->retain_bytes;
    if (commit != NULL && !journal->failed && (much || house_too_old(journal, commit, wall_ns))) {
        *number = commit->chain.segments[0].number;
        chain_drop_oldest(&commit->chain);
        counter_set(&commit->chain.counters.oldest, commit->chain.segments[0].first);
    } else {
        commit = NULL;
    }
    pthread_mutex_unlock(&journal->lock);
    return commit;
}

static int oldest_store(struct journal *journal, uint32_t log, uint64_t number) {
    pthread_mutex_lock(&journal->manifest_lock);
    journal->manifest.oldest[log] = number;
    int result = manifest_store(&journal->manifest, journal->disk);
    pthread_mutex_unlock(&journal->manifest_lock);
    return result;
}

/* MANIFEST first: a segment that it names must be there. */
static bool house_trim(struct journal *journal, uint64_t wall_ns) {
    char name[DISK_NAME_BYTES], directory[DISK_NAME_BYTES];
    uint64_t number;
    struct commit *commit = house_pick(journal, wall_ns, &number);
    if (commit == NULL)
        return false;
    struct chain *chain = &commit->chain;
    int result = oldest_store(journal, chain->log, number + 1);
    chain_name(chain, name, number);
    chain_directory_name(chain, directory);
    if (result == 0)
        result = journal->disk->calls->unlink(journal->disk, name);
    if (result == 0)
        result = journal->disk->calls->sync_directory(journal->disk, directory);
    if (result != 0) {
        journal_fail(journal, result, "an old segment could not be trimmed:", name);
        return false;
    }
    counter_add(&chain->counters.trimmed, 1);
    return true;
}

static void house_count(struct commit *commit) {
    uint64_t bytes = 0;
    pthread_mutex_lock(&commit->journal->lock);
    uint32_t count = commit->chain.segments_count;
    for (uint32_t k = 0; k < count; k++)
        bytes += commit->chain.segments[k].bytes;
    pthread_mutex_unlock(&commit->journal->lock);
    counter_set(&commit->chain.counters.segments, count);
    counter_set(&commit->chain.counters.segments_bytes, bytes);
}

/* ---- the thread ---- */

uint64_t house_turn(struct journal *journal, uint64_t now_ns, uint64_t wall_ns) {
    uint64_t wait_ns = HOUSE_IDLE_NS;
    for (uint32_t i = 0; i < journal->facts.logs; i++) {
        struct commit *commit = &journal->logs[i];
        if (house_spare(commit, now_ns))
            wait_ns = JOURNAL_MARK_NS;
        house_mark(commit);
    }
    while (house_trim(journal, wall_ns)) {
    }
    for (uint32_t i = 0; i < journal->facts.logs; i++)
        house_count(&journal->logs[i]);
    return wait_ns;
}

/* Whether something waits for the thread that is not only a mark. */
static bool house_is_wanted(const struct journal *journal) {
    for (uint32_t i = 0; i < journal->facts.logs; i++)
        if (!journal->logs[i].chain.spare && !journal->logs[i].spare_refused)
            return !journal->failed;
    return journal->house_stopping;
}

static bool house_has_marks(const struct journal *journal) {
    for (uint32_t i = 0; i < journal->facts.logs; i++)
        if (journal->logs[i].chain.mark_due)
            return true;
    return false;
}

static void house_wait(struct journal *journal, uint64_t wait_ns) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t at = (uint64_t)until.tv_sec * NS_PER_S + (uint64_t)until.tv_nsec + wait_ns;
    until.tv_sec = (time_t)(at / NS_PER_S);
    until.tv_nsec = (long)(at % NS_PER_S);
    pthread_cond_timedwait(&journal->work, &journal->lock, &until);
}

/* Between two rounds: a mark is due at most every JOURNAL_MARK_NS, a spare at once. */
static bool house_sleep(struct journal *journal, uint64_t wait_ns) {
    pthread_mutex_lock(&journal->lock);
    if (!house_is_wanted(journal))
        house_wait(journal, house_has_marks(journal) ? JOURNAL_MARK_NS : wait_ns);
    if (!house_is_wanted(journal) && house_has_marks(journal))
        house_wait(journal, JOURNAL_MARK_NS);
    bool goes_on = !journal->house_stopping;
    pthread_mutex_unlock(&journal->lock);
    return goes_on;
}

static void *house_main(void *argument) {
    struct journal *journal = argument;
    uint64_t wait_ns;
    do
        wait_ns = house_turn(journal, clock_mono_ns(), clock_wall_ns());
    while (house_sleep(journal, wait_ns));
    return NULL;
}

int house_start(struct journal *journal) {
    journal->house_running = pthread_create(&journal->house, NULL, house_main, journal) == 0;
    if (!journal->house_running)
        return -EAGAIN;
    pthread_setname_np(journal->house, "rh-house");
    return 0;
}

void house_stop(struct journal *journal) {
    if (!journal->house_running)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->house_stopping = true;
    pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->house, NULL);
    journal->house_running = false;
    (void)house_turn(journal, clock_mono_ns(), clock_wall_ns());
}
