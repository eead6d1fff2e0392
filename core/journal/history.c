/* One thread for all disk logs. Requests come by a mailbox, and are answered in their order, each with no
 * more than a worker sends at once; so nobody waits longer than the others' requests take.
 *
 * The journal is read by whole groups, which may be much larger than an answer. So the thread keeps a few
 * readers, each with a group in memory: records are copied from there into an answer, once. What is asked for
 * next is found by the one that has it or stands before it, else by the one that was used the longest time
 * ago. When nothing was asked for a while, all are given up. */
#include "core/journal/history.h"

#include "core/base/clock.h"
#include "ring/mpsc.h"
#include "ring/wake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define HISTORY_REQUESTS 2048u /* a power of two, and more than all workers have */
#define HISTORY_KEEP_MS  2000
#define HISTORY_AHEAD    (4 * JOURNAL_GROUP_BYTES) /* the disk reads on while answers are sent */
static_assert(HISTORY_REQUESTS >= SHARDS_MAX * (HISTORY_STRETCHES + HISTORY_SEARCHES), "none is refused");

enum order { ORDER_REQUEST, ORDER_STOP };

struct place {
    struct journal_reader reader;
    uint64_t used;
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
};

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
    place->reader.ahead = HISTORY_AHEAD;
    int result = journal_scan(history->journal, log, request->from, &place->reader, record_take, request);
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
    place->reader.ahead = HISTORY_AHEAD;
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
    for (uint32_t i = 0; i < HISTORY_READERS; i++)
        journal_reader_free(&history->places[i].reader);
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
    places_give_up(history);
    mpsc_destroy(history->mailbox);
    if (history->waking)
        wake_deinit(&history->wake);
    free(history);
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
    if (result == 0 && pthread_create(&history->thread, NULL, history_main, history) != 0)
        result = -EAGAIN;
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
