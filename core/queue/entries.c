#include "core/queue/queue_private.h"

#include "core/base/heap.h"
#include "core/base/limits.h"

#include <errno.h>
#include <string.h>

#define ENTRIES_CAPACITY_MIN 8u
#define REPLAY_ORDER         (UINT64_C(1) << 63)          /* what is replayed comes after all that is live */
#define REPLAY_KEY           UINT64_C(0x5bd1e9955bd1e995) /* ... and keeps an order of its own */

static bool entry_waits(const struct entry *entry) {
    return entry->state == ENTRY_PARKED || entry->state == ENTRY_READY || entry->state == ENTRY_PAUSED;
}

/* Out of where its state had put it, and counted as what it is. The caller puts it where it belongs. */
static void entry_state(struct queue *queue, uint32_t number, enum entry_state state) {
    struct queue_work *work = queue->work;
    struct entry *entry = &work->entries[number];
    timers_drop(&work->timers, number);
    timers_drop(&work->ready, number);
    work->parked -= entry_waits(entry);
    work->replays_parked -= entry->replay && entry_waits(entry);
    entry->state = (uint8_t)state;
    work->parked += entry_waits(entry);
    work->replays_parked += entry->replay && entry_waits(entry);
}

bool entry_left_over(const struct queue *queue, const struct entry *entry) {
    return entry->replay && entry->replay_of != queue->work->replay_number;
}

struct queue_replay *entry_replay(struct queue *queue, uint32_t number) {
    const struct entry *entry = &queue->work->entries[number];
    return entry->replay && !entry_left_over(queue, entry) ? &queue->work->replay : NULL;
}

static int entries_grow(struct queue *queue) {
    struct queue_work *work = queue->work;
    if (work->entries_free != NO_ENTRY || work->entries_used < work->entries_capacity)
        return 0;
    uint32_t capacity = work->entries_capacity ? 2 * work->entries_capacity : ENTRIES_CAPACITY_MIN;
    if (timers_reserve(&work->timers, capacity) || timers_reserve(&work->ready, capacity) ||
        lookup_reserve(&work->deliveries, capacity))
        return -ENOMEM;
    struct entry *entries = heap_take_raw(capacity * sizeof *entries);
    if (!entries)
        return -ENOMEM;
    if (work->entries_used)
        memcpy(entries, work->entries, work->entries_used * sizeof *entries);
    heap_give(work->entries);
    work->entries = entries;
    work->entries_capacity = capacity;
    return 0;
}

static uint32_t entry_new(struct queue *queue) {
    struct queue_work *work = queue->work;
    uint32_t number = work->entries_free;
    if (number == NO_ENTRY)
        return work->entries_used++;
    work->entries_free = work->entries[number].log_next;
    return number;
}

uint64_t event_key(const struct queue_event *event) {
    if (!event->key || !event->replay)
        return event->key;
    uint64_t key = event->key ^ REPLAY_KEY;
    return key ? key : 1;
}

static void entry_link_log(struct queue *queue, uint32_t number) {
    struct entry *entry = &queue->work->entries[number];
    struct queue_log *log = log_of(queue, entry->log);
    entry->log_prev = log->last;
    if (log->last == NO_ENTRY)
        log->first = number;
    else
        queue->work->entries[log->last].log_next = number;
    log->last = number;
}

static void entry_unlink_log(struct queue *queue, const struct entry *entry) {
    struct queue_log *log = log_of(queue, entry->log);
    if (entry->log_prev == NO_ENTRY)
        log->first = entry->log_next;
    else
        queue->work->entries[entry->log_prev].log_next = entry->log_next;
    if (entry->log_next == NO_ENTRY)
        log->last = entry->log_prev;
    else
        queue->work->entries[entry->log_next].log_prev = entry->log_prev;
}

/* Behind the others with its key, or as the first one. Whether there are others. */
static bool entry_link_key(struct queue *queue, uint32_t number) {
    struct queue_work *work = queue->work;
    struct entry *entry = &work->entries[number];
    uint32_t head = entry->key ? lookup_find(&work->keys, entry->key) : LOOKUP_NONE;
    if (head != LOOKUP_NONE) {
        work->entries[work->entries[head].key_last].key_next = number;
        work->entries[head].key_last = number;
        return true;
    }
    if (entry->key)
        lookup_put(&work->keys, entry->key, number);
    return false;
}

/* The first one with its key goes; the next one is the first then, and ready. */
static void entry_unlink_key(struct queue *queue, uint32_t number) {
    struct queue_work *work = queue->work;
    const struct entry *entry = &work->entries[number];
    if (!entry->key)
        return;
    CHECK_HOT(lookup_find(&work->keys, entry->key) == number);
    if (entry->key_next == NO_ENTRY) {
        lookup_drop(&work->keys, entry->key);
        return;
    }
    work->entries[entry->key_next].key_last = entry->key_last;
    lookup_put(&work->keys, entry->key, entry->key_next);
    entry_ready(queue, entry->key_next);
}

uint32_t entry_make(struct queue *queue, const struct queue_event *event) {
    struct queue_work *work = queue->work;
    uint64_t key = event_key(event);
    if (work->outstanding == QUEUE_OUTSTANDING_MAX || entries_grow(queue) ||
        (key && lookup_reserve(&work->keys, work->keys.count + 1)))
        return NO_ENTRY;
    uint32_t number = entry_new(queue);
    work->entries[number] = (struct entry){.position = event->position,
                                           .key = key,
                                           .order = ++work->next_order | (event->replay ? REPLAY_ORDER : 0),
                                           .time_ns = event->time_ns,
                                           .log = event->log,
                                           .size = event->size,
                                           .log_prev = NO_ENTRY,
                                           .log_next = NO_ENTRY,
                                           .member_prev = NO_ENTRY,
                                           .member_next = NO_ENTRY,
                                           .key_next = NO_ENTRY,
                                           .key_last = number,
                                           .replay_of = work->replay_number,
                                           .replay = event->replay};
    work->outstanding++;
    work->replays += event->replay;
    work->replay.outstanding += event->replay;
    if (!event->replay)
        entry_link_log(queue, number);
    if (entry_link_key(queue, number))
        entry_state(queue, number, ENTRY_PARKED);
    else
        entry_ready(queue, number);
    return number;
}

void entry_done(struct queue *queue, uint32_t number) {
    struct queue_work *work = queue->work;
    struct queue_replay *replay = entry_replay(queue, number);
    if (replay)
        replay->outstanding--;
    entry_unlink_key(queue, number);
    entry_state(queue, number, ENTRY_FREE);
    struct entry *entry = &work->entries[number];
    if (!entry->replay) {
        entry_unlink_log(queue, entry);
        queue->held -= queue->held > 0;
    }
    heap_give(entry->reason);
    entry->reason = NULL;
    entry->log_next = work->entries_free;
    work->entries_free = number;
    work->replays -= entry->replay;
    work->outstanding--;
}

void entry_ready(struct queue *queue, uint32_t number) {
    entry_state(queue, number, ENTRY_READY);
    timers_set(&queue->work->ready, number, queue->work->entries[number].order);
}

static uint64_t delivery_key(const struct member *member, uint64_t delivery) {
    return (uint64_t)(member->number + 1) << 48 | delivery;
}

uint32_t entry_of(const struct queue *queue, const struct member *member, uint64_t delivery) {
    uint32_t number = lookup_find(&queue->work->deliveries, delivery_key(member, delivery));
    return number == LOOKUP_NONE ? NO_ENTRY : number;
}

static void entry_link_member(struct queue *queue, uint32_t number, struct member *member) {
    struct entry *entry = &queue->work->entries[number];
    entry->member_prev = member->last;
    entry->member_next = NO_ENTRY;
    if (member->last == NO_ENTRY)
        member->first = number;
    else
        queue->work->entries[member->last].member_next = number;
    member->last = number;
}

static void entry_unlink_member(struct queue *queue, const struct entry *entry, struct member *member) {
    if (entry->member_prev == NO_ENTRY)
        member->first = entry->member_next;
    else
        queue->work->entries[entry->member_prev].member_next = entry->member_next;
    if (entry->member_next == NO_ENTRY)
        member->last = entry->member_prev;
    else
        queue->work->entries[entry->member_next].member_prev = entry->member_prev;
}

void entry_give(struct queue *queue, uint32_t number, struct member *member, struct queue_time now,
                struct queue_delivery *delivery) {
    struct queue_work *work = queue->work;
    entry_state(queue, number, ENTRY_OUT);
    struct entry *entry = &work->entries[number];
    entry->member = member->number;
    entry->serial = member->serial;
    entry->delivery = member->next_delivery++;
    struct queue_replay *replay = entry_replay(queue, number);
    if (replay && entry->attempt == 0)
        replay->delivered++;
    entry->attempt += entry->attempt < UINT32_MAX;
    entry->last_ns = now.wall_ns;
    if (!entry->first_ns)
        entry->first_ns = now.wall_ns;
    entry_link_member(queue, number, member);
    lookup_put(&work->deliveries, delivery_key(member, entry->delivery), number);
    timers_set(&work->timers, number, now.mono_ns + queue->terms.lease_ns);
    member->out++;
    member->bytes += entry->size;
    member->replays += entry->replay;
    list_remove(&member->willing); /* the others come first now */
    member_willing(queue, member);
    queue->totals.delivered++;
    *delivery = (struct queue_delivery){.owner = member->owner,
                                        .delivery = entry->delivery,
                                        .position = entry->position,
                                        .log = entry->log,
                                        .attempt = entry->attempt,
                                        .replay = entry->replay};
}

void entry_take_back(struct queue *queue, uint32_t number) {
    struct queue_work *work = queue->work;
    struct entry *entry = &work->entries[number];
    CHECK(entry->state == ENTRY_OUT);
    struct member *member = work->members[entry->member];
    entry_state(queue, number, ENTRY_PARKED);
    entry_unlink_member(queue, entry, member);
    lookup_drop(&work->deliveries, delivery_key(member, entry->delivery));
    member->out--;
    member->bytes -= entry->size;
    member->replays -= entry->replay;
    member_willing(queue, member);
}

/* What a consumer says may be long, and is cut between characters. */
static void entry_reason(struct entry *entry, struct queue_text reason) {
    uint32_t n = reason.n;
    if (n > QUEUE_REASON_BYTES_MAX)
        for (n = QUEUE_REASON_BYTES_MAX; n && (reason.p[n] & 0xc0) == 0x80;)
            n--;
    entry->reason = n ? heap_take_raw(n) : NULL; /* without memory it has no reason */
    entry->reason_bytes = entry->reason ? (uint16_t)n : 0;
    if (entry->reason)
        memcpy(entry->reason, reason.p, n);
}

void entry_dies(struct queue *queue, uint32_t number, struct queue_text reason, bool refused) {
    struct queue_work *work = queue->work;
    struct queue_replay *replay = entry_replay(queue, number);
    if (replay)
        replay->dead++;
    entry_state(queue, number, ENTRY_DEAD);
    struct entry *entry = &work->entries[number];
    entry->refused = refused;
    entry_reason(entry, reason);
    entry->member_next = NO_ENTRY;
    if (work->dead_first == NO_ENTRY)
        work->dead_first = number;
    else
        work->entries[work->dead_last].member_next = number;
    work->dead_last = number;
    work->dead_count++;
}

void entry_failed(struct queue *queue, uint32_t number, uint64_t pause_ns, struct queue_time now,
                  struct queue_text reason) {
    struct queue_work *work = queue->work;
    entry_take_back(queue, number);
    if (entry_left_over(queue, &work->entries[number])) {
        entry_done(queue, number);
        return;
    }
    if (work->entries[number].attempt >= queue->terms.attempts) {
        entry_dies(queue, number, reason, false);
        return;
    }
    entry_state(queue, number, ENTRY_PAUSED);
    timers_set(&work->timers, number, now.mono_ns + pause_ns);
}
