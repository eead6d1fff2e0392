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

struct fault queue_fault(enum queue_answer answer) {
    CHECK(answer > QUEUE_OK && answer < QUEUE_ANSWERS);
    return faults[answer];
}

int queue_create(struct queue **out, const struct queue_terms *terms) {
    struct queue *queue = heap_take(sizeof *queue);
    if (!queue)
        return -ENOMEM;
    queue->texts = terms_copy(&queue->terms, terms);
    if (!queue->texts) {
        heap_give(queue);
        return -ENOMEM;
    }
    list_init(&queue->willing);
    queue->entries_free = queue->dead_first = queue->dead_last = NO_ENTRY;
    *out = queue;
    return 0;
}

void queue_destroy(struct queue *queue) {
    if (!queue)
        return;
    for (uint32_t i = 0; i < queue->members_capacity; i++)
        heap_give(queue->members[i]);
    for (uint32_t i = 0; i < queue->log_count; i++)
        heap_give(queue->logs[i].runs);
    for (uint32_t i = 0; i < queue->entries_used; i++)
        heap_give(queue->entries[i].reason);
    heap_give(queue->members);
    heap_give(queue->logs);
    heap_give(queue->entries);
    lookup_deinit(&queue->owners);
    lookup_deinit(&queue->deliveries);
    lookup_deinit(&queue->keys);
    timers_deinit(&queue->timers);
    timers_deinit(&queue->ready);
    heap_give(queue->texts);
    heap_give(queue);
}

const struct queue_terms *queue_terms(const struct queue *queue) {
    return &queue->terms;
}

void queue_trim(struct queue *queue) {
    if (queue->outstanding)
        return;
    heap_give(queue->entries);
    queue->entries = NULL;
    queue->entries_capacity = queue->entries_used = 0;
    queue->entries_free = NO_ENTRY;
    lookup_deinit(&queue->deliveries);
    lookup_deinit(&queue->keys);
    timers_deinit(&queue->timers);
    timers_deinit(&queue->ready);
    if (queue->member_count)
        return;
    lookup_deinit(&queue->owners);
    heap_give(queue->members);
    queue->members = NULL;
    queue->members_capacity = 0;
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
    struct queue_counts counts = queue->counts;
    counts.parked = queue->parked;
    counts.dead = queue->dead_count;
    counts.out = queue->outstanding - queue->parked - queue->dead_count;
    counts.replays = queue->replays;
    counts.held = queue->held;
    for (uint32_t i = 0; i < queue->log_count; i++) {
        const struct queue_log *log = &queue->logs[i];
        counts.restored += log_restored(log);
        uint64_t oldest_ns = log->first == NO_ENTRY ? 0 : queue->entries[log->first].time_ns;
        if (oldest_ns && (!counts.oldest_ns || oldest_ns < counts.oldest_ns))
            counts.oldest_ns = oldest_ns;
    }
    for (uint32_t i = 0; i < queue->members_capacity; i++)
        counts.bytes += queue->members[i] ? queue->members[i]->bytes : 0;
    return counts;
}

static void member_check(const struct queue *queue, const struct member *member) {
    uint32_t out = 0, replays = 0;
    uint64_t before = 0, bytes = 0;
    for (uint32_t i = member->first; i != NO_ENTRY; i = queue->entries[i].member_next) {
        const struct entry *entry = &queue->entries[i];
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
    uint64_t next = 0;
    for (uint32_t i = log->first; i != NO_ENTRY; i = queue->entries[i].log_next) {
        CHECK(queue->entries[i].log == log->log && queue->entries[i].position >= next);
        next = queue->entries[i].position + 1;
    }
    CHECK(next <= log->cursor);
    CHECK(!log->runs || log->cursor < log->restored_to);
}

/* The chain of a key: the first is anything but parked, all others are. */
static void key_check(const struct queue *queue, const struct entry *entry, uint32_t number) {
    bool head = lookup_find(&queue->keys, entry->key) == number;
    CHECK(head == (entry->state != ENTRY_PARKED));
    if (entry->key_next != NO_ENTRY) {
        const struct entry *next = &queue->entries[entry->key_next];
        CHECK(next->key == entry->key && next->order > entry->order && next->state == ENTRY_PARKED);
    } else if (head)
        CHECK(entry->key_last == number);
}

void queue_check(const struct queue *queue) {
    lookup_check(&queue->owners);
    lookup_check(&queue->deliveries);
    lookup_check(&queue->keys);
    timers_check(&queue->timers);
    timers_check(&queue->ready);
    uint32_t states[ENTRY_DEAD + 1] = {0}, members = 0, replays = 0, replays_parked = 0;
    for (uint32_t i = 0; i < queue->entries_used; i++) {
        const struct entry *entry = &queue->entries[i];
        bool waits =
            entry->state == ENTRY_PARKED || entry->state == ENTRY_READY || entry->state == ENTRY_PAUSED;
        states[entry->state]++;
        replays += entry->state != ENTRY_FREE && entry->replay;
        replays_parked += waits && entry->replay;
        CHECK(timers_has(&queue->timers, i) == (entry->state == ENTRY_OUT || entry->state == ENTRY_PAUSED));
        CHECK(timers_has(&queue->ready, i) == (entry->state == ENTRY_READY));
        CHECK(entry->state != ENTRY_PARKED || entry->key);
        if (entry->state != ENTRY_FREE && entry->key)
            key_check(queue, entry, i);
    }
    CHECK(queue->entries_used == states[ENTRY_FREE] + queue->outstanding);
    CHECK(queue->parked == states[ENTRY_PARKED] + states[ENTRY_READY] + states[ENTRY_PAUSED]);
    CHECK(queue->replays == replays && queue->replays_parked == replays_parked);
    CHECK(queue->replay.outstanding <= replays);
    CHECK(queue->dead_count == states[ENTRY_DEAD] && queue->deliveries.count == states[ENTRY_OUT]);
    for (uint32_t i = 0; i < queue->members_capacity; i++)
        if (queue->members[i]) {
            member_check(queue, queue->members[i]);
            members++;
        }
    CHECK(members == queue->member_count && members == queue->owners.count);
    for (uint32_t i = 0; i < queue->log_count; i++)
        log_check(queue, &queue->logs[i]);
}
