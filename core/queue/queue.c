#include "core/queue/queue_private.h"

#include "core/base/heap.h"
#include "core/base/limits.h"

#include <errno.h>

static const struct fault faults[QUEUE_ANSWERS] = {
    [QUEUE_NO_MEMORY] = {RH_CODE_EXHAUSTED, "no memory for one more member: try again later",
                         "subscribe.queue"},
    [QUEUE_NO_WINDOW] = {RH_CODE_INVALID, "a window is from 1 to 8,192 events", "subscribe.queue.window"},
    [QUEUE_TAKEN] = {RH_CODE_UNAVAILABLE, "another connection holds this queue: set take_over to put it out",
                     "subscribe.queue.name"},
    [QUEUE_TWICE] = {RH_CODE_INVALID, "this connection has a subscription to this queue already",
                     "subscribe.queue.name"},
    [QUEUE_MEMBERS_FULL] = {RH_CODE_EXHAUSTED, "this queue has 1,024 members: as many as one may have",
                            "subscribe.queue.name"},
    [QUEUE_STRANGER] = {RH_CODE_INVALID, "this connection is not, or no longer, a member of the queue",
                        "ack.subscription"},
    [QUEUE_NEVER] = {RH_CODE_INVALID, "no event with this number has been delivered to this subscription",
                     "ack.delivery"},
    [QUEUE_OVER] = {RH_CODE_INVALID, "this delivery is over: acknowledged before, or its lease has ended",
                    "ack.delivery"},
    [QUEUE_KIND] = {RH_CODE_INVALID, "no such kind of acknowledgement", "ack.kind"},
    [QUEUE_PAUSE] = {RH_CODE_INVALID, "must be at most 3,600,000, or 0 for the queue's own pause",
                     "ack.after_ms"},
    [QUEUE_CAPACITY] = {RH_CODE_EXHAUSTED,
                        "the mailbox is full (queue.capacity): its receiver has to catch up first", "topic"},
};

struct queue_work queue_idle = {.willing = {&queue_idle.willing, &queue_idle.willing},
                                .entries_free = NO_ENTRY,
                                .dead_first = NO_ENTRY,
                                .dead_last = NO_ENTRY};

struct fault queue_fault(enum queue_answer answer) {
    CHECK(answer > QUEUE_OK && answer < QUEUE_ANSWERS);
    return faults[answer];
}

int queue_create(struct queue **out, const struct queue_terms *terms) {
    struct queue *queue = heap_take_packed(sizeof *queue + terms_bytes(terms));
    if (!queue)
        return -ENOMEM;
    terms_place(&queue->terms, terms, queue->texts);
    queue->work = &queue_idle;
    *out = queue;
    return 0;
}

int queue_wake(struct queue *queue) {
    if (queue->work != &queue_idle)
        return 0;
    struct queue_work *work = heap_take_packed(sizeof *work);
    if (!work)
        return -ENOMEM;
    list_init(&work->willing);
    work->entries_free = work->dead_first = work->dead_last = NO_ENTRY;
    queue->work = work;
    return 0;
}

static void entries_give(struct queue_work *work) {
    for (uint32_t i = 0; i < work->entries_used; i++)
        heap_give(work->entries[i].reason);
    heap_give(work->entries);
    lookup_deinit(&work->deliveries);
    lookup_deinit(&work->keys);
    timers_deinit(&work->timers);
    timers_deinit(&work->ready);
}

static void work_give(struct queue_work *work) {
    if (work == &queue_idle)
        return;
    entries_give(work);
    for (uint32_t i = 0; i < work->members_capacity; i++)
        heap_give(work->members[i]);
    heap_give(work->members);
    lookup_deinit(&work->owners);
    heap_give(work);
}

void queue_destroy(struct queue *queue) {
    if (!queue)
        return;
    work_give(queue->work);
    for (uint32_t i = 0; i < queue->log_count; i++)
        heap_give(queue->logs[i].runs);
    heap_give(queue->logs);
    heap_give(queue);
}

const struct queue_terms *queue_terms(const struct queue *queue) {
    return &queue->terms;
}

void queue_trim(struct queue *queue) {
    struct queue_work *work = queue->work;
    if (work == &queue_idle || work->outstanding)
        return;
    if (!work->member_count && !work->replay.delivered) {
        work_give(work);
        queue->work = &queue_idle;
        return;
    }
    entries_give(work);
    work->entries = NULL;
    work->entries_capacity = work->entries_used = 0;
    work->entries_free = NO_ENTRY;
}

bool queue_full(const struct queue *queue) {
    return queue->held >= queue->terms.capacity;
}

enum queue_answer queue_admit(struct queue *queue) {
    if (queue_full(queue))
        return QUEUE_CAPACITY;
    queue->held++;
    return QUEUE_OK;
}

void queue_hold(struct queue *queue, uint64_t held) {
    queue->held = held;
}

uint64_t queue_held(const struct queue *queue) {
    return queue->held;
}

/* What was outstanding when the state was saved, and lies before the cursor still. */
static uint64_t log_restored(const struct queue_log *log) {
    uint64_t count = 0;
    for (uint32_t i = log->run_at; i < log->run_count; i++) {
        uint64_t passed = log->cursor > log->runs[i].from ? log->cursor - log->runs[i].from : 0;
        count += log->runs[i].count > passed ? log->runs[i].count - passed : 0;
    }
    return count;
}

struct queue_counts queue_counts(const struct queue *queue) {
    const struct queue_work *work = queue->work;
    struct queue_counts counts = {.totals = queue->totals,
                                  .parked = work->parked,
                                  .dead = work->dead_count,
                                  .out = work->outstanding - work->parked - work->dead_count,
                                  .replays = work->replays,
                                  .held = queue->held};
    for (uint32_t i = 0; i < queue->log_count; i++) {
        const struct queue_log *log = &queue->logs[i];
        counts.restored += log_restored(log);
        uint64_t oldest_ns = log->first == NO_ENTRY ? 0 : work->entries[log->first].time_ns;
        if (oldest_ns && (!counts.oldest_ns || oldest_ns < counts.oldest_ns))
            counts.oldest_ns = oldest_ns;
    }
    for (uint32_t i = 0; i < work->members_capacity; i++)
        counts.bytes += work->members[i] ? work->members[i]->bytes : 0;
    return counts;
}

static void member_check(const struct queue *queue, const struct member *member) {
    uint32_t out = 0, replays = 0;
    uint64_t before = 0, bytes = 0;
    for (uint32_t i = member->first; i != NO_ENTRY; i = queue->work->entries[i].member_next) {
        const struct entry *entry = &queue->work->entries[i];
        CHECK(entry->state == ENTRY_OUT && entry->member == member->number && entry->delivery > before);
        CHECK(entry_of(queue, member, entry->delivery) == i);
        before = entry->delivery;
        out++;
        replays += entry->replay;
        bytes += entry->size;
    }
    CHECK(before < member->next_delivery && out == member->out && bytes == member->bytes);
    CHECK(replays == member->replays && out <= member->window);
    bool credit = out < member->window && (bytes < QUEUE_MEMBER_BYTES_MAX || out == 0);
    CHECK(credit == list_in(&member->willing));
}

static void log_check(const struct queue *queue, const struct queue_log *log) {
    const struct queue_work *work = queue->work;
    uint64_t next = 0;
    for (uint32_t i = log->first; i != NO_ENTRY; i = work->entries[i].log_next) {
        CHECK(work->entries[i].log == log->log && work->entries[i].position >= next);
        next = work->entries[i].position + 1;
    }
    CHECK(next <= log->cursor);
    CHECK(!log->runs || log->cursor < log->restored_to);
}

/* The chain of a key: the first is anything but parked, all others are. */
static void key_check(const struct queue *queue, const struct entry *entry, uint32_t number) {
    bool head = lookup_find(&queue->work->keys, entry->key) == number;
    CHECK(head == (entry->state != ENTRY_PARKED));
    if (entry->key_next != NO_ENTRY) {
        const struct entry *next = &queue->work->entries[entry->key_next];
        CHECK(next->key == entry->key && next->order > entry->order && next->state == ENTRY_PARKED);
    } else if (head)
        CHECK(entry->key_last == number);
}

void queue_check(const struct queue *queue) {
    const struct queue_work *work = queue->work;
    lookup_check(&work->owners);
    lookup_check(&work->deliveries);
    lookup_check(&work->keys);
    timers_check(&work->timers);
    timers_check(&work->ready);
    uint32_t states[ENTRY_DEAD + 1] = {0}, members = 0, replays = 0, replays_parked = 0;
    for (uint32_t i = 0; i < work->entries_used; i++) {
        const struct entry *entry = &work->entries[i];
        bool waits =
            entry->state == ENTRY_PARKED || entry->state == ENTRY_READY || entry->state == ENTRY_PAUSED;
        states[entry->state]++;
        replays += entry->state != ENTRY_FREE && entry->replay;
        replays_parked += waits && entry->replay;
        CHECK(timers_has(&work->timers, i) == (entry->state == ENTRY_OUT || entry->state == ENTRY_PAUSED));
        CHECK(timers_has(&work->ready, i) == (entry->state == ENTRY_READY));
        CHECK(entry->state != ENTRY_PARKED || entry->key);
        if (entry->state != ENTRY_FREE && entry->key)
            key_check(queue, entry, i);
    }
    CHECK(work != &queue_idle || (!work->members_capacity && !work->entries_capacity));
    CHECK(work->entries_used == states[ENTRY_FREE] + work->outstanding);
    CHECK(work->parked == states[ENTRY_PARKED] + states[ENTRY_READY] + states[ENTRY_PAUSED]);
    CHECK(work->replays == replays && work->replays_parked == replays_parked);
    CHECK(work->replay.outstanding <= replays);
    CHECK(work->dead_count == states[ENTRY_DEAD] && work->deliveries.count == states[ENTRY_OUT]);
    for (uint32_t i = 0; i < work->members_capacity; i++)
        if (work->members[i]) {
            member_check(queue, work->members[i]);
            members++;
        }
    CHECK(members == work->member_count && members == work->owners.count);
    for (uint32_t i = 0; i < queue->log_count; i++)
        log_check(queue, &queue->logs[i]);
}
