/* Offers, acknowledgements, and what becomes of events whose time is over. */
#include "core/queue/queue_private.h"

#include "core/base/limits.h"

#define TEXT(literal) ((struct queue_text){(const uint8_t *)(literal), sizeof(literal) - 1})

/* Whether something is to go out before this event does. */
static bool offer_later(const struct queue *queue, const struct queue_event *event) {
    const struct queue_work *work = queue->work;
    return work->ready.count && (event->replay || !work->entries[timers_first(&work->ready)].replay);
}

/* Room beside all others to be put aside; a replay leaves half of it to what is live. */
static bool room_to_park(const struct queue *queue, bool replay) {
    return queue->work->parked < QUEUE_PARKED_MAX &&
           (!replay || queue->work->replays_parked < QUEUE_PARKED_MAX / 2);
}

static bool key_busy(const struct queue *queue, const struct queue_event *event) {
    uint64_t key = event_key(event);
    return key && lookup_find(&queue->work->keys, key) != LOOKUP_NONE;
}

/* One that was delivered before the restart goes on with its attempts. */
static void entry_remember(struct entry *entry, const struct hole_run *hole) {
    entry->attempt = hole->attempt;
    entry->first_ns = hole->first_ns;
    entry->last_ns = hole->last_ns;
}

static enum queue_offer offer_take(struct queue *queue, const struct queue_event *event,
                                   const struct hole_run *hole, struct queue_time now,
                                   struct queue_delivery *delivery) {
    bool parked = key_busy(queue, event);
    if (parked ? !room_to_park(queue, event->replay) : offer_later(queue, event))
        return OFFER_WAIT;
    if (event->replay && queue->work->replays >= QUEUE_REPLAYS_MAX)
        return OFFER_WAIT;
    struct member *member = parked ? NULL : member_choose(queue, event->replay, 0);
    if (!parked && !member)
        return OFFER_WAIT;
    uint32_t entry = entry_make(queue, event);
    if (entry == NO_ENTRY)
        return OFFER_WAIT;
    if (hole)
        entry_remember(&queue->work->entries[entry], hole);
    if (parked)
        return OFFER_PARKED;
    entry_give(queue, entry, member, now, delivery);
    return OFFER_GIVEN;
}

enum queue_offer queue_offer(struct queue *queue, const struct queue_event *event, struct queue_time now,
                             struct queue_delivery *delivery) {
    if (event->replay)
        return offer_take(queue, event, NULL, now, delivery);
    struct queue_log *log = log_of(queue, event->log);
    CHECK(log && event->position >= log->cursor);
    bool restored = event->position < log->restored_to;
    const struct hole_run *hole = restored ? log_hole(log, event->position) : NULL;
    enum queue_offer offer = restored && !hole ? OFFER_DONE : offer_take(queue, event, hole, now, delivery);
    if (offer != OFFER_WAIT)
        log_cursor(log, event->position + 1);
    return offer;
}

bool queue_take(struct queue *queue, struct queue_time now, struct queue_delivery *delivery) {
    struct queue_work *work = queue->work;
    if (!work->ready.count)
        return false;
    uint32_t number = timers_first(&work->ready);
    const struct entry *entry = &work->entries[number];
    struct member *member = member_choose(queue, entry->replay, entry->serial);
    if (!member)
        return false;
    entry_give(queue, number, member, now, delivery);
    return true;
}

static void delivery_done(struct queue *queue, uint32_t entry) {
    entry_take_back(queue, entry);
    entry_done(queue, entry);
}

static void delivery_acked(struct queue *queue, uint32_t entry) {
    struct queue_replay *replay = entry_replay(queue, entry);
    if (replay)
        replay->done++;
    delivery_done(queue, entry);
    queue->totals.done++;
}

void queue_lost(struct queue *queue, uint64_t owner, uint64_t delivery) {
    const struct member *member = member_of(queue, owner);
    CHECK(member);
    uint32_t entry = entry_of(queue, member, delivery);
    CHECK(entry != NO_ENTRY);
    struct queue_replay *replay = entry_replay(queue, entry);
    if (replay)
        replay->lost++;
    delivery_done(queue, entry);
    queue->totals.lost++;
}

bool queue_holds(const struct queue *queue, uint64_t owner, uint64_t delivery) {
    const struct member *member = member_of(queue, owner);
    return member && entry_of(queue, member, delivery) != NO_ENTRY;
}

/* The queue's pause after this attempt: doubled each time, up to an end. */
static uint64_t entry_pause(const struct queue *queue, const struct entry *entry) {
    uint64_t pause_ns = queue->terms.backoff_ns;
    for (uint32_t i = 1; i < entry->attempt && pause_ns < QUEUE_BACKOFF_NS_MAX; i++)
        pause_ns *= 2;
    return pause_ns < QUEUE_BACKOFF_NS_MAX ? pause_ns : QUEUE_BACKOFF_NS_MAX;
}

static enum queue_answer ack_through(struct queue *queue, const struct member *member, uint64_t delivery) {
    if (member->first == NO_ENTRY || queue->work->entries[member->first].delivery > delivery)
        return QUEUE_OVER;
    while (member->first != NO_ENTRY && queue->work->entries[member->first].delivery <= delivery)
        delivery_acked(queue, member->first);
    return QUEUE_OK;
}

static enum queue_answer ack_retry(struct queue *queue, uint32_t entry, const struct queue_ack *ack,
                                   struct queue_time now) {
    if (ack->after_ns > QUEUE_BACKOFF_NS_MAX)
        return QUEUE_PAUSE;
    uint64_t pause_ns = ack->after_ns ? ack->after_ns : entry_pause(queue, &queue->work->entries[entry]);
    struct queue_text reason = ack->reason.n ? ack->reason : TEXT("put back at its last attempt");
    entry_failed(queue, entry, pause_ns, now, reason);
    queue->totals.retried++;
    return QUEUE_OK;
}

static enum queue_answer ack_refuse(struct queue *queue, uint32_t entry, const struct queue_ack *ack) {
    entry_take_back(queue, entry);
    entry_dies(queue, entry, ack->reason, true);
    queue->totals.refused++;
    return QUEUE_OK;
}

static enum queue_answer ack_one(struct queue *queue, uint32_t entry, const struct queue_ack *ack,
                                 struct queue_time now) {
    switch (ack->kind) {
    case QUEUE_ACK_RETRY:
        return ack_retry(queue, entry, ack, now);
    case QUEUE_ACK_REFUSE:
        return ack_refuse(queue, entry, ack);
    case QUEUE_ACK_EXTEND:
        timers_set(&queue->work->timers, entry, now.mono_ns + queue->terms.lease_ns);
        return QUEUE_OK;
    default:
        delivery_acked(queue, entry);
        return QUEUE_OK;
    }
}

enum queue_answer queue_ack(struct queue *queue, const struct queue_ack *ack, struct queue_time now) {
    const struct member *member = member_of(queue, ack->owner);
    if (!member)
        return QUEUE_STRANGER;
    if (ack->kind > QUEUE_ACK_EXTEND)
        return QUEUE_KIND;
    if (ack->delivery == 0 || ack->delivery >= member->next_delivery)
        return QUEUE_NEVER;
    if (ack->kind == QUEUE_ACK_DONE_THROUGH)
        return ack_through(queue, member, ack->delivery);
    uint32_t entry = entry_of(queue, member, ack->delivery);
    return entry == NO_ENTRY ? QUEUE_OVER : ack_one(queue, entry, ack, now);
}

uint64_t queue_due(const struct queue *queue) {
    return timers_due(&queue->work->timers);
}

bool queue_expire(struct queue *queue, struct queue_time now, struct queue_expired *expired) {
    struct queue_work *work = queue->work;
    while (timers_due(&work->timers) <= now.mono_ns) {
        uint32_t number = timers_first(&work->timers);
        const struct entry *entry = &work->entries[number];
        if (entry->state == ENTRY_PAUSED) {
            entry_ready(queue, number);
            continue;
        }
        *expired = (struct queue_expired){work->members[entry->member]->owner, entry->delivery};
        entry_failed(queue, number, entry_pause(queue, entry), now,
                     TEXT("not acknowledged before its lease ended"));
        queue->totals.expired++;
        return true;
    }
    return false;
}

bool queue_dead(const struct queue *queue, struct queue_dead *dead) {
    const struct queue_work *work = queue->work;
    if (work->dead_first == NO_ENTRY)
        return false;
    const struct entry *entry = &work->entries[work->dead_first];
    *dead = (struct queue_dead){.position = entry->position,
                                .first_ns = entry->first_ns,
                                .last_ns = entry->last_ns,
                                .log = entry->log,
                                .attempts = entry->attempt,
                                .refused = entry->refused,
                                .reason = {entry->reason, entry->reason_bytes}};
    return true;
}

void queue_buried(struct queue *queue) {
    struct queue_work *work = queue->work;
    uint32_t number = work->dead_first;
    CHECK(number != NO_ENTRY);
    work->dead_first = work->entries[number].member_next;
    if (work->dead_first == NO_ENTRY)
        work->dead_last = NO_ENTRY;
    work->dead_count--;
    queue->totals.buried++;
    entry_done(queue, number);
}
