/* A change of the sharding, step by step: docs/decisions/0028-moving-slots.md has the protocol.
 *
 * make   the epoch of what will come is on the disk; shards that are not there yet are made and started
 * grow   every worker reads the new logs
 * hold   no worker gives anything more to the slots that move, and all that was given is published
 * carry, take   where rules ask for events that come again, what old homes know of them goes to the new ones
 * cut    so the old logs have all of these slots below where they end now, and the new ones will have them
 *        from where they end now: that is written down (struct cut), with the new places
 * go     every worker gives to the new places
 *
 * A step is a command to each worker, and a number that each sets when it has done it; all of a step are
 * waited for before the next one begins. What orders the cut before everything that comes in the new logs is
 * that the commands of `go` are sent behind it. */
#include "core/shard/change.h"

#include "core/base/clock.h"
#include "core/shard/change_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum phase { PHASE_MAKE, PHASE_GROW, PHASE_HOLD, PHASE_CARRY, PHASE_TAKE, PHASE_GO, PHASE_OVER };

#define POLL_NS      (20 * (long)NS_PER_US) /* between two looks at the workers, */
#define POLL_NS_LONG (1 * (long)NS_PER_MS)  /* ... when many were in vain */
#define POLLS_SHORT  500u

/* ---- what is asked for ---- */

static uint32_t shard_log(const struct shards *shards, uint32_t shard) {
    return shard < shards->config.count ? shard : shard + shards->config.disk_logs;
}

static bool asked_well(const struct shards *shards, const struct shards_change *asked) {
    if (asked->count < 1 || asked->count > SHARDS_MAX || asked->count + shards->config.disk_logs > LOGS_MAX)
        return false;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (asked->slots[slot] >= asked->count)
            return false;
    return true;
}

static void places_set(struct change *change) {
    const struct shards *shards = change->shards;
    uint16_t epoch = (uint16_t)(shards->epoch + 1);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint32_t log = shard_log(shards, change->shards_of[slot]);
        change->places[slot] = shards->places[slot];
        if (shards->places[slot].log == log)
            continue;
        change->places[slot] = (struct slot_place){.log = (uint8_t)log, .epoch = epoch};
        change->held[slot / 64] |= UINT64_C(1) << slot % 64;
        change->moved++;
    }
}

static bool room_left(const struct shards *shards) {
    return shards->epoch < CHANGE_EPOCH_MAX &&
           published_get(&shards->cuts_count) + (uint64_t)SHARDS_MAX * SHARDS_MAX <= CUTS_MAX;
}

int change_make(struct change **out, struct shards *shards, const struct shards_change *asked) {
    if (!asked_well(shards, asked))
        return -EINVAL;
    struct change *change = calloc(1, sizeof *change);
    if (change == NULL)
        return -ENOMEM;
    change->shards = shards;
    change->count = asked->count;
    change->pins = asked->cpus != NULL;
    for (uint32_t i = 0; change->pins && i < asked->count; i++)
        change->cpus[i] = asked->cpus[i];
    memcpy(change->shards_of, asked->slots, sizeof change->shards_of);
    places_set(change);
    if (change->moved > 0 && !room_left(shards)) {
        free(change);
        return -EOVERFLOW;
    }
    *out = change;
    return 0;
}

void change_free(struct change *change) {
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        known_carried_free(change->carried[i]);
    free(change);
}

/* ---- making ---- */

static bool fails(struct change *change, int error, const char *why) {
    change->error = error;
    change->why = why;
    return false;
}

static bool chunk_make(struct shards *shards, uint32_t chunk) {
    if (shards->cuts[chunk] == NULL)
        shards->cuts[chunk] = calloc(CUTS_OF_CHUNK, sizeof(struct cut));
    return shards->cuts[chunk] != NULL;
}

/* Room for as many cuts as there can be, and an epoch that no later run will use again. */
static bool cuts_prepare(struct change *change) {
    struct shards *shards = change->shards;
    const struct shards_config *config = &shards->config;
    uint32_t first = (uint32_t)published_get(&shards->cuts_count);
    uint32_t most = change->moved < SHARDS_MAX * SHARDS_MAX ? change->moved : SHARDS_MAX * SHARDS_MAX;
    if (change->moved == 0)
        return true;
    for (uint32_t chunk = first / CUTS_OF_CHUNK; chunk <= (first + most - 1) / CUTS_OF_CHUNK; chunk++)
        if (!chunk_make(shards, chunk))
            return fails(change, -ENOMEM, "there is no memory for it");
    uint16_t epoch = (uint16_t)(shards->epoch + 1);
    if (config->epoch_raise != NULL && config->epoch_raise(config->recall_user, epoch) != 0)
        return fails(change, -EIO, "the journal can not say that sequences go on in a new epoch");
    return true;
}

static bool worker_add(struct change *change, uint32_t number) {
    struct shards *shards = change->shards;
    uint32_t log = shard_log(shards, number);
    char error[200] = "no memory";
    shards->log_homes[log] = (uint8_t)(number + 1);
    int result = worker_create(&shards->workers[number], shards, number, error);
    if (result != 0) {
        worker_destroy(shards->workers[number]);
        shards->workers[number] = NULL;
        shards->logs[log] = NULL;
        shards->log_homes[log] = 0;
        logfmt(LOGFMT_ERROR, "a shard can not be added", "error=\"%s\"", error);
        return fails(change, result, "a shard can not be made: the server's log says why");
    }
    published_set(&shards->log_count, log + 1);
    published_set(&shards->worker_count, number + 1);
    result = shards->begin != NULL ? shards->begin(shards->begin_user, shards->workers[number])
                                   : worker_start(shards->workers[number]);
    if (result == 0)
        return true;
    /* Nobody may wait for it. Its memory stays: who looked meanwhile may still read it. */
    published_set(&shards->worker_count, number);
    published_set(&shards->log_count, log);
    shards->log_homes[log] = 0;
    return fails(change, result, "the thread of a shard can not be started");
}

static bool worker_add_locked(struct change *change, uint32_t number) {
    changes_lock(change->shards);
    bool added = worker_add(change, number);
    changes_unlock(change->shards);
    return added;
}

static bool make(struct change *change) {
    bool good = cuts_prepare(change);
    for (uint32_t i = (uint32_t)published_get(&change->shards->worker_count); good && i < change->count; i++)
        good = worker_add_locked(change, i);
    return good;
}

/* ---- steps ---- */

/* Sends it to whoever has not got it yet. True: all have done it. */
static bool step(struct change *change, enum change_step step, uint64_t *steps) {
    const struct shards *shards = change->shards;
    uint32_t workers = (uint32_t)published_get(&shards->worker_count);
    if (change->told == 0)
        change->number = ++*steps;
    struct mpsc_command command = {.kind = COMMAND_CHANGE, .small = step};
    command.word[0] = (uint64_t)(uintptr_t)change;
    command.word[1] = change->number;
    for (; change->told < workers; change->told++) {
        struct worker *worker = shards->workers[change->told];
        if (mpsc_push(worker->mailbox, &command) != RING_OK)
            return false;
        wake_signal(&worker->wake);
    }
    for (uint32_t i = 0; i < workers; i++)
        if (published_get(&shards->workers[i]->taken) < change->number)
            return false;
    change->told = 0;
    return true;
}

/* ---- the cut ---- */

static struct cut *cut_to(struct change *change, uint32_t *count, uint32_t first, uint8_t from, uint8_t to) {
    struct shards *shards = change->shards;
    for (uint32_t i = first; i < *count; i++) {
        struct cut *cut = &shards->cuts[i / CUTS_OF_CHUNK][i % CUTS_OF_CHUNK];
        if (cut->from == from && cut->to == to)
            return cut;
    }
    struct cut *cut = &shards->cuts[*count / CUTS_OF_CHUNK][*count % CUTS_OF_CHUNK];
    ++*count;
    *cut = (struct cut){.close = log_produced(shards->logs[from]),
                        .open = log_produced(shards->logs[to]),
                        .epoch = (uint16_t)(shards->epoch + 1),
                        .from = from,
                        .to = to};
    return cut;
}

/* Nothing of these slots is on its way, and nothing comes before `go`: whatever else the logs get meanwhile.
 */
static void cut_all(struct change *change) {
    struct shards *shards = change->shards;
    uint32_t first = (uint32_t)published_get(&shards->cuts_count), count = first;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if ((change->held[slot / 64] >> slot % 64 & 1u) == 0)
            continue;
        struct cut *cut = cut_to(change, &count, first, shards->places[slot].log, change->places[slot].log);
        cut->slots[slot / 64] |= UINT64_C(1) << slot % 64;
        shards->places[slot] = change->places[slot];
    }
    shards->epoch++;
    published_set(&shards->cuts_count, count);
}

/* ---- all of it ---- */

static bool grown(struct change *change, uint64_t *steps) {
    if (!step(change, CHANGE_GROW, steps))
        return false;
    change->phase = change->moved > 0 ? PHASE_HOLD : PHASE_GO;
    change->held_ns = clock_mono_ns();
    return true;
}

static bool held(struct change *change, uint64_t *steps) {
    if (!step(change, CHANGE_HOLD, steps))
        return false;
    change->phase = change->shards->judged != 0 ? PHASE_CARRY : PHASE_GO;
    if (change->phase == PHASE_GO)
        cut_all(change);
    return true;
}

/* Everything goes on where it was. */
static void give_up(struct change *change) {
    memcpy(change->places, change->shards->places, sizeof change->places);
    change->count = (uint32_t)published_get(&change->shards->active_count);
    change->phase = PHASE_GO;
    (void)fails(change, -ENOMEM,
                "there is no memory to take along what is known of events that may come again");
}

static bool carried(struct change *change, uint64_t *steps) {
    if (!step(change, CHANGE_CARRY, steps))
        return false;
    change->phase = PHASE_TAKE;
    for (uint32_t i = 0; i < published_get(&change->shards->worker_count); i++)
        if (!change->carries[i] && change->phase == PHASE_TAKE)
            give_up(change);
    return true;
}

static bool taken(struct change *change, uint64_t *steps) {
    if (!step(change, CHANGE_TAKE, steps))
        return false;
    cut_all(change);
    change->phase = PHASE_GO;
    return true;
}

static bool gone(struct change *change, uint64_t *steps) {
    if (change->told == 0)
        published_set(&change->shards->active_count, change->count);
    if (!step(change, CHANGE_GO, steps))
        return false;
    change->gone_ns = clock_mono_ns();
    change->phase = PHASE_OVER;
    return true;
}

bool change_go_on(struct change *change, uint64_t *steps) {
    if (change->phase == PHASE_MAKE) {
        change->begun_ns = change->held_ns = change->gone_ns = clock_mono_ns();
        change->phase = make(change) ? PHASE_GROW : PHASE_OVER;
    }
    bool on = true;
    while (on && change->phase != PHASE_OVER) {
        if (change->phase == PHASE_GROW)
            on = grown(change, steps);
        else if (change->phase == PHASE_HOLD)
            on = held(change, steps);
        else if (change->phase == PHASE_CARRY)
            on = carried(change, steps);
        else if (change->phase == PHASE_TAKE)
            on = taken(change, steps);
        else
            on = gone(change, steps);
    }
    return change->phase == PHASE_OVER;
}

/* ---- in a thread of its own ---- */

struct changes {
    pthread_mutex_t making; /* held while a worker is made */
    pthread_mutex_t mutex;  /* of all below; workers know nothing of it */
    pthread_t thread;
    bool joinable;
    bool closed;           /* the router stops */
    struct change *change; /* owns; that goes on */
    shards_change_done *done;
    void *user;
    uint64_t steps; /* the thread's */
    uint8_t slots[SLOT_COUNT];
    struct shards_change_progress progress;
};

void changes_lock(const struct shards *shards) {
    if (shards->changes != NULL)
        pthread_mutex_lock(&shards->changes->making);
}

void changes_unlock(const struct shards *shards) {
    if (shards->changes != NULL)
        pthread_mutex_unlock(&shards->changes->making);
}

int changes_create(struct shards *shards) {
    struct changes *changes = calloc(1, sizeof *changes);
    if (changes == NULL)
        return -ENOMEM;
    pthread_mutex_init(&changes->making, NULL);
    pthread_mutex_init(&changes->mutex, NULL);
    memcpy(changes->slots, shards->slots, sizeof changes->slots);
    shards->changes = changes;
    return 0;
}

void changes_close(struct shards *shards) {
    struct changes *changes = shards->changes;
    if (changes == NULL)
        return;
    pthread_mutex_lock(&changes->mutex);
    changes->closed = true;
    bool joinable = changes->joinable;
    changes->joinable = false;
    pthread_mutex_unlock(&changes->mutex);
    if (joinable)
        pthread_join(changes->thread, NULL);
}

void changes_destroy(struct shards *shards) {
    for (uint32_t i = 0; i < CUT_CHUNKS; i++)
        free(shards->cuts[i]);
    if (shards->changes == NULL)
        return;
    pthread_mutex_destroy(&shards->changes->making);
    pthread_mutex_destroy(&shards->changes->mutex);
    free(shards->changes);
}

static void progress_end(struct changes *changes, const struct change *change) {
    struct shards_change_progress *progress = &changes->progress;
    uint64_t now_ns = clock_mono_ns();
    if (change->error == 0) {
        memcpy(changes->slots, change->shards_of, sizeof changes->slots);
        progress->changes++;
        progress->slots += change->moved;
        progress->slots_moved = change->moved;
        progress->held_ns = change->moved > 0 ? change->gone_ns - change->held_ns : 0;
    }
    progress->last_ns = now_ns - change->begun_ns;
}

static void say(const struct change *change, const struct shards_change_progress *progress) {
    if (change->error != 0)
        logfmt(LOGFMT_ERROR, "the sharding could not be changed", "error=\"%s\"", change->why);
    else
        logfmt(LOGFMT_INFO, "the sharding is changed", "shards=%u slots_moved=%u ms=%llu held_us=%llu",
               change->count, change->moved, (unsigned long long)(progress->last_ns / NS_PER_MS),
               (unsigned long long)(progress->held_ns / NS_PER_US));
}

static void *change_main(void *user) {
    struct changes *changes = user;
    struct change *change = changes->change;
    for (uint32_t polls = 0; !change_go_on(change, &changes->steps); polls++)
        nanosleep(&(struct timespec){.tv_nsec = polls < POLLS_SHORT ? POLL_NS : POLL_NS_LONG}, NULL);
    pthread_mutex_lock(&changes->mutex);
    progress_end(changes, change);
    struct shards_change_progress progress = changes->progress;
    pthread_mutex_unlock(&changes->mutex);
    say(change, &progress);
    if (changes->done != NULL)
        changes->done(changes->user, change->error, change->why);
    pthread_mutex_lock(&changes->mutex);
    changes->change = NULL;
    changes->progress.going_on = false;
    pthread_mutex_unlock(&changes->mutex);
    change_free(change);
    return NULL;
}

/* Under the mutex. */
static int begin(struct changes *changes, struct shards *shards, const struct shards_change *asked) {
    if (changes->closed)
        return -ESHUTDOWN;
    if (changes->change != NULL)
        return -EBUSY;
    int result = change_make(&changes->change, shards, asked);
    if (result != 0)
        return result;
    if (changes->joinable)
        pthread_join(changes->thread, NULL); /* it has nothing more to do */
    result = -pthread_create(&changes->thread, NULL, change_main, changes);
    changes->joinable = result == 0;
    if (result == 0) {
        pthread_setname_np(changes->thread, "rh-change");
        changes->progress.going_on = true;
        changes->progress.slots_moved = 0;
        changes->progress.slots_total = changes->change->moved;
        return 0;
    }
    change_free(changes->change);
    changes->change = NULL;
    return result;
}

int shards_change(struct shards *shards, const struct shards_change *change, shards_change_done *done,
                  void *user) {
    struct changes *changes = shards->changes;
    pthread_mutex_lock(&changes->mutex);
    if (changes->change == NULL) {
        changes->done = done;
        changes->user = user;
    }
    int result = begin(changes, shards, change);
    pthread_mutex_unlock(&changes->mutex);
    return result;
}

void shards_change_progress(const struct shards *shards, struct shards_change_progress *out) {
    struct changes *changes = shards->changes;
    pthread_mutex_lock(&changes->mutex);
    *out = changes->progress;
    pthread_mutex_unlock(&changes->mutex);
}

uint32_t shards_active(const struct shards *shards) {
    return (uint32_t)published_get(&shards->active_count);
}

void shards_slots(const struct shards *shards, uint8_t *slots) {
    struct changes *changes = shards->changes;
    pthread_mutex_lock(&changes->mutex);
    memcpy(slots, changes->slots, sizeof changes->slots);
    pthread_mutex_unlock(&changes->mutex);
}
