/* One thread for all disk logs. Requests come by a mailbox, and are answered in their order, each with no
 * more than a worker sends at once; so nobody waits longer than the others' requests take.
 *
 * The journal is read by whole groups, which may be much larger than an answer. So the thread keeps a few
 * stretches: an answer is copied from one that has the position, else the one that was used the longest time
 * ago reads on from there. When nothing was asked for a while, all are given up. */
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
    struct journal_stretch stretch;
    uint32_t log;
    bool valid; /* the stretch has records */
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

static bool place_has(const struct place *place, uint32_t log, uint64_t position) {
    return place->valid && place->log == log && position >= place->stretch.first &&
           position < place->stretch.next;
}

/* One that ends where it goes on knows its place in the segment. */
static struct place *place_pick(struct journal_history *history, uint32_t log, uint64_t position) {
    struct place *found = &history->places[0];
    for (uint32_t i = 0; i < HISTORY_READERS; i++) {
        struct place *place = &history->places[i];
        if (place_has(place, log, position) ||
            (place->valid && place->log == log && place->stretch.next == position))
            return place;
        if (place->used < found->used)
            found = place;
    }
    return found;
}

static int place_read(struct journal_history *history, struct place *place, uint32_t log, uint64_t from) {
    place->stretch.ahead = HISTORY_AHEAD;
    int result = journal_read(history->journal, log, from, &place->stretch);
    place->log = log;
    place->valid = result == 0;
    return result;
}

static int answer_records(struct journal_history *history, struct history_request *request) {
    uint32_t log = request->disk;
    struct place *place = place_pick(history, log, request->from);
    int result = 0;
    place->used = ++history->answers;
    if (request->from < journal_oldest(history->journal, log))
        return -ERANGE; /* also where a stretch still has it: what is trimmed is gone for everybody */
    if (!place_has(place, log, request->from))
        result = place_read(history, place, log, request->from);
    if (result != 0)
        return result;
    const struct journal_stretch *stretch = &place->stretch;
    uint64_t first = request->from > stretch->first ? request->from : stretch->first;
    uint32_t skipped = (uint32_t)(first - stretch->first);
    return history_fill(request, first, stretch->entries + skipped, stretch->count - skipped,
                        stretch->frames);
}

/* Every record from the waypoint on is looked at: the clock may have been set back in between. */
static int answer_since(struct journal_history *history, struct history_request *request) {
    uint32_t log = request->disk;
    uint64_t at = journal_since(history->journal, log, request->from);
    struct place *place = place_pick(history, log, at);
    place->used = ++history->answers;
    for (;;) {
        request->first = at;
        int result = place_has(place, log, at) ? 0 : place_read(history, place, log, at);
        if (result != 0)
            return result;
        const struct journal_stretch *stretch = &place->stretch;
        for (at = at > stretch->first ? at : stretch->first; at < stretch->next; at++)
            if (stretch->entries[at - stretch->first].time >= request->from) {
                request->first = at;
                return 0;
            }
    }
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
    for (uint32_t i = 0; i < HISTORY_READERS; i++) {
        journal_stretch_free(&history->places[i].stretch);
        history->places[i].valid = false;
    }
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
