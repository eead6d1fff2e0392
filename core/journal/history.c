/* One thread for all disk logs, and one that reads ahead for it. Requests come by a mailbox, and are answered
 * in their order, each with no more than a worker sends at once; so nobody waits longer than the others'
 * requests take.
 *
 * The journal is read by whole groups, which may be much larger than an answer. So the thread keeps a few
 * readers, each with a group in memory: records are copied from there into an answer, once. What is asked for
 * next is found by the one that has it or stands before it, else by the one that was used the longest time
 * ago. When nothing was asked for a while, all are given up.
 *
 * While what a reader has is answered, the loader fills the place's other reader with what comes behind it;
 * then they change places. So the disk and the checksums work beside the copies. The other reader is the
 * loader's while the place is AHEAD_ASKED, which only the answering thread makes it, and the answering
 * thread's else. */
#include "core/journal/history.h"

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "ring/mpsc.h"
#include "ring/wake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define HISTORY_REQUESTS 2048u /* a power of two, and more than all workers have */
#define HISTORY_KEEP_MS  2000
static_assert(HISTORY_REQUESTS >= SHARDS_MAX * (HISTORY_STRETCHES + HISTORY_SEARCHES), "none is refused");

enum order { ORDER_REQUEST, ORDER_STOP };

enum ahead { AHEAD_NONE, AHEAD_ASKED, AHEAD_THERE };

struct place {
    struct journal_reader reader;
    uint64_t used;
    /* under the lock */
    enum ahead state;
    uint32_t log;
    uint64_t from; /* where `ahead` begins */
    int result;    /* THERE: of reading it */
    struct journal_reader ahead;
};

struct journal_history {
    struct journal *journal; /* borrows */
    struct history table;
    struct mpsc *mailbox;
    struct wake wake;
    pthread_t thread;
    bool waking; /* `wake` is made */
    struct counter stopping;
    /* the thread's */
    struct place places[HISTORY_READERS];
    uint64_t answers;
    /* shared with the loader */
    pthread_t loader;
    bool locked;  /* the lock and its conditions are made, */
    bool loading; /* ... and the loader runs */
    pthread_mutex_t lock;
    pthread_cond_t wanted; /* a place is ASKED, or it is to end */
    pthread_cond_t loaded; /* a place is THERE */
    bool ending;
};

/* ---- reading ahead ---- */

static struct place *place_asked(struct journal_history *history) {
    for (uint32_t i = 0; i < HISTORY_READERS; i++)
        if (history->places[i].state == AHEAD_ASKED)
            return &history->places[i];
    return NULL;
}

static void *loader_main(void *argument) {
    struct journal_history *history = argument;
    pthread_mutex_lock(&history->lock);
    while (!history->ending) {
        struct place *place = place_asked(history);
        if (place == NULL) {
            pthread_cond_wait(&history->wanted, &history->lock);
            continue;
        }
        pthread_mutex_unlock(&history->lock);
        int result = journal_load(history->journal, place->log, place->from, &place->ahead);
        pthread_mutex_lock(&history->lock);
        place->result = result;
        place->state = AHEAD_THERE;
        pthread_cond_signal(&history->loaded);
    }
    pthread_mutex_unlock(&history->lock);
    return NULL;
}

static bool ahead_is(const struct place *place, uint32_t log, uint64_t from) {
    return place->state != AHEAD_NONE && place->log == log && place->from == from;
}

/* What lies behind what is being answered from. One that is being read for somebody else is left to the
 * loader. */
static void ahead_ask(struct journal_history *history, struct place *place) {
    uint64_t from = journal_reader_end(&place->reader);
    uint32_t log = place->reader.log;
    pthread_mutex_lock(&history->lock);
    if (from != 0 && place->state != AHEAD_ASKED && !ahead_is(place, log, from)) {
        place->ahead.in_order = true;
        journal_reader_follow(&place->ahead, &place->reader);
        place->state = AHEAD_ASKED;
        place->log = log;
        place->from = from;
        pthread_cond_signal(&history->wanted);
    }
    pthread_mutex_unlock(&history->lock);
}

/* What was read ahead is the next to be answered from, if it begins there. If it could not be read, the
 * caller finds out why. */
static void ahead_take(struct journal_history *history, struct place *place, uint32_t log, uint64_t from) {
    pthread_mutex_lock(&history->lock);
    while (ahead_is(place, log, from) && place->state == AHEAD_ASKED)
        pthread_cond_wait(&history->loaded, &history->lock);
    if (ahead_is(place, log, from)) {
        place->state = AHEAD_NONE;
        if (place->result == 0) {
            struct journal_reader reader = place->reader;
            place->reader = place->ahead;
            place->ahead = reader;
        }
    }
    pthread_mutex_unlock(&history->lock);
}

static void ahead_end(struct journal_history *history) {
    if (!history->loading)
        return;
    pthread_mutex_lock(&history->lock);
    history->ending = true;
    pthread_cond_signal(&history->wanted);
    pthread_mutex_unlock(&history->lock);
    pthread_join(history->loader, NULL);
}

/* ---- answering ---- */

/* One that has the record, or goes on with it. */
static struct place *place_pick(struct journal_history *history, uint32_t log, uint64_t position) {
    struct place *found = &history->places[0];
    for (uint32_t i = 0; i < HISTORY_READERS; i++) {
        struct place *place = &history->places[i];
        const struct journal_reader *reader = &place->reader;
        if (journal_reader_has(reader, log, position) || (reader->log == log && reader->next == position)) {
            found = place;
            break;
        }
        if (place->used < found->used)
            found = place;
    }
    found->used = ++history->answers;
    return found;
}

static bool record_take(void *user, uint64_t position, const struct log_entry *entry, uint64_t identity,
                        const uint8_t *bytes) {
    (void)identity;
    return history_add(user, position, entry, bytes);
}

static int answer_records(struct journal_history *history, struct history_request *request) {
    uint32_t log = request->disk;
    struct place *place = place_pick(history, log, request->from);
    history_begin(request);
    if (request->from < journal_oldest(history->journal, log))
        return -ERANGE; /* also where a group still has it: what is trimmed is gone for everybody */
    bool near = journal_reader_has(&place->reader, log, request->from);
    if (!near)
        ahead_take(history, place, log, request->from);
    place->reader.in_order = request->bytes_max >= HISTORY_BYTES;
    int result = journal_scan(history->journal, log, request->from, &place->reader, record_take, request);
    if (result == 0 && !near && place->reader.in_order)
        ahead_ask(history, place); /* it is answered from another piece than before */
    return result != 0 ? result : request->result;
}

struct since {
    uint64_t time_ns;
    uint64_t position;
    bool found;
};

static bool since_take(void *user, uint64_t position, const struct log_entry *entry, uint64_t identity,
                       const uint8_t *bytes) {
    struct since *since = user;
    (void)identity;
    (void)bytes;
    since->found = entry->time >= since->time_ns;
    since->position = since->found ? position : position + 1;
    return !since->found;
}

/* Every record from the waypoint on is looked at: the clock may have been set back in between. */
static int answer_since(struct journal_history *history, struct history_request *request) {
    uint32_t log = request->disk;
    struct since since = {.time_ns = request->from,
                          .position = journal_since(history->journal, log, request->from)};
    struct place *place = place_pick(history, log, since.position);
    int result = 0;
    place->reader.in_order = false;
    while (result == 0 && !since.found)
        result = journal_scan(history->journal, log, since.position, &place->reader, since_take, &since);
    request->first = since.position;
    return result;
}

static void answer(struct journal_history *history, struct history_request *request) {
    request->result =
        request->kind == HISTORY_READ ? answer_records(history, request) : answer_since(history, request);
    request->oldest = journal_oldest(history->journal, request->disk);
    while (!request->answered(request) && counter_get(&history->stopping) == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)NS_PER_MS}, NULL); /* its mailbox is full */
}

/* ---- the thread ---- */

static void places_give_up(struct journal_history *history) {
    pthread_mutex_lock(&history->lock);
    for (uint32_t i = 0; i < HISTORY_READERS; i++) {
        struct place *place = &history->places[i];
        journal_reader_free(&place->reader);
        if (place->state == AHEAD_ASKED)
            continue; /* the next time */
        journal_reader_free(&place->ahead);
        place->state = AHEAD_NONE;
    }
    pthread_mutex_unlock(&history->lock);
}

static void history_sleep(struct journal_history *history) {
    struct pollfd bell = {.fd = history->wake.bell, .events = POLLIN};
    wake_announce(&history->wake);
    if (!mpsc_pending(history->mailbox)) {
        if (poll(&bell, 1, HISTORY_KEEP_MS) == 0)
            places_give_up(history);
        wake_drain(&history->wake);
    }
    wake_resume(&history->wake);
}

static void *history_main(void *argument) {
    struct journal_history *history = argument;
    struct mpsc_command command;
    for (;;) {
        if (!mpsc_pop(history->mailbox, &command))
            history_sleep(history);
        else if (command.kind == ORDER_STOP)
            return NULL;
        else
            answer(history, (struct history_request *)(uintptr_t)command.word[0]);
    }
}

/* ---- for workers ---- */

static void order(struct journal_history *history, const struct mpsc_command *command) {
    CHECK(mpsc_push(history->mailbox, command) == RING_OK); /* HISTORY_REQUESTS: a place for each */
    wake_signal(&history->wake);
}

static void ask(void *user, struct history_request *request) {
    order(user, &(struct mpsc_command){.kind = ORDER_REQUEST, .word = {(uintptr_t)request}});
}

static uint64_t oldest(void *user, uint32_t disk) {
    const struct journal_history *history = user;
    return counter_get(&journal_counters(history->journal, disk)->oldest);
}

const struct history *journal_history_table(const struct journal_history *history) {
    return &history->table;
}

/* ---- for main ---- */

static void history_deinit(struct journal_history *history) {
    ahead_end(history);
    if (history->locked) {
        places_give_up(history);
        pthread_cond_destroy(&history->loaded);
        pthread_cond_destroy(&history->wanted);
        pthread_mutex_destroy(&history->lock);
    }
    mpsc_destroy(history->mailbox);
    if (history->waking)
        wake_deinit(&history->wake);
    free(history);
}

static int loader_start(struct journal_history *history) {
    history->locked = pthread_mutex_init(&history->lock, NULL) == 0 &&
                      pthread_cond_init(&history->wanted, NULL) == 0 &&
                      pthread_cond_init(&history->loaded, NULL) == 0; /* none of them fails here */
    if (!history->locked)
        return -ENOMEM;
    int result = thread_start(&history->loader, "rh-load", loader_main, history);
    history->loading = result == 0;
    return result;
}

int journal_history_start(struct journal_history **out, struct journal *journal) {
    struct journal_history *history = aligned_alloc(64, (sizeof *history + 63) / 64 * 64);
    if (history == NULL)
        return -ENOMEM;
    *history = (struct journal_history){.journal = journal};
    history->table = (struct history){.user = history, .ask = ask, .oldest = oldest};
    int result = mpsc_create(&history->mailbox, HISTORY_REQUESTS);
    if (result == 0)
        result = wake_init(&history->wake);
    history->waking = result == 0;
    if (result == 0)
        result = loader_start(history);
    if (result == 0)
        result = thread_start(&history->thread, "rh-history", history_main, history);
    if (result == 0)
        *out = history;
    else
        history_deinit(history);
    return result;
}

void journal_history_stop(struct journal_history *history) {
    if (history == NULL)
        return;
    counter_set(&history->stopping, 1);
    order(history, &(struct mpsc_command){.kind = ORDER_STOP});
    pthread_join(history->thread, NULL);
    history_deinit(history);
}
