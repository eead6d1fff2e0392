/* The queues that this worker keeps.
 *
 * A queue with members stands in the route table like a connection. While it is live in a log it is offered
 * each event as it is routed; when its members have no credit it stops there, and comes back by its own
 * cursor (keeper_turn), a bounded step in each turn. Without members it is in no table and costs nothing per
 * event. It holds positions only: what is delivered again is read from the log again, and what is there no
 * more is lost, with a Gap. It holds no writer back. */
#include "core/shard/worker.h"

#include "codecs/event/attributes.h"
#include "core/base/heap.h"
#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

#define INBOX "@inbox" /* mailboxes of those who wait for replies begin so */

static struct queue_time now_of(const struct worker *worker) {
    return (struct queue_time){.mono_ns = worker->now_ns, .wall_ns = worker->wall_ns};
}

/* ---- finding and making ---- */

static uint64_t name_hash(const struct worker *worker, struct queue_text name) {
    uint64_t hash = topic_hash(name.p, name.n, worker->shards->table_seed);
    return hash == 0 ? 1 : hash;
}

static bool name_is(const struct kept *kept, struct queue_text name) {
    const struct queue_text *own = &queue_terms(kept->queue)->name;
    return own->n == name.n && memcmp(own->p, name.p, name.n) == 0;
}

static struct kept *kept_find(const struct worker *worker, struct queue_text name) {
    const struct keeper *keeper = &worker->keeper;
    uint32_t slot = lookup_find(&keeper->names, name_hash(worker, name));
    struct kept *kept = slot == LOOKUP_NONE ? NULL : keeper->slots[slot];
    return kept != NULL && name_is(kept, name) ? kept : NULL;
}

/* Room for one more in every table of queues. */
static bool keeper_room(struct keeper *keeper) {
    if (lookup_reserve(&keeper->names, keeper->count + 1) != 0)
        return false;
    if (keeper->count < keeper->capacity)
        return true;
    uint32_t capacity = keeper->capacity == 0 ? 8 : 2 * keeper->capacity;
    struct kept **slots = realloc(keeper->slots, capacity * sizeof(struct kept *));
    if (slots == NULL)
        return false;
    memset(slots + keeper->capacity, 0, (capacity - keeper->capacity) * sizeof(struct kept *));
    keeper->slots = slots;
    keeper->capacity = capacity;
    return timers_reserve(&keeper->timers, capacity) == 0;
}

static uint32_t slot_free(const struct keeper *keeper) {
    uint32_t slot = 0;
    while (keeper->slots[slot] != NULL)
        slot++;
    return slot;
}

/* A mailbox has its name as its only pattern. */
static uint32_t patterns_of(const struct kept *kept, uint8_t room[1 + TOPIC_BYTES_MAX],
                            const uint8_t **patterns) {
    const struct queue_terms *terms = queue_terms(kept->queue);
    *patterns = terms->patterns.p;
    if (!terms_mailbox(terms))
        return terms->pattern_count;
    room[0] = (uint8_t)terms->name.n;
    memcpy(room + 1, terms->name.p, terms->name.n);
    *patterns = room;
    return 1;
}

static void kept_logs(const struct worker *worker, struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = patterns_of(kept, room, &patterns);
    kept->logs = subs_logs(worker, patterns, count);
    kept->only = SLOT_COUNT;
    if (count == 1 && !pattern_wild(patterns + 1, patterns[0]))
        kept->only = topic_slot(topic_hash(patterns + 1, patterns[0], worker->shards->config.slot_seed));
}

static struct kept *kept_make(struct worker *worker, struct queue_terms *terms) {
    struct keeper *keeper = &worker->keeper;
    uint64_t hash = name_hash(worker, terms->name);
    struct kept *kept = calloc(1, sizeof *kept);
    terms_settle(terms);
    if (kept == NULL || keeper->count == QUEUES_MAX || lookup_find(&keeper->names, hash) != LOOKUP_NONE ||
        !keeper_room(keeper) || queue_create(&kept->queue, terms) != 0) {
        free(kept);
        return NULL;
    }
    list_init(&kept->pumping);
    memcpy(kept->key, terms->key.p, terms->key.n);
    kept->hash = hash;
    kept->slot = slot_free(keeper);
    keeper->slots[kept->slot] = kept;
    lookup_put(&keeper->names, hash, kept->slot);
    keeper->count++;
    kept_logs(worker, kept);
    return kept;
}

static void kept_destroy(struct worker *worker, struct kept *kept) {
    struct keeper *keeper = &worker->keeper;
    CHECK(!kept->attached);
    list_remove(&kept->pumping);
    timers_drop(&keeper->timers, kept->slot);
    lookup_drop(&keeper->names, kept->hash);
    keeper->slots[kept->slot] = NULL;
    keeper->count--;
    queue_destroy(kept->queue);
    free(kept);
}

/* ---- in the route table, and out of it ---- */

static bool of_member_room(struct keeper *keeper, uint32_t capacity) {
    if (capacity <= keeper->of_member_capacity)
        return true;
    struct kept **of_member = realloc(keeper->of_member, capacity * sizeof(struct kept *));
    if (of_member == NULL)
        return false;
    memset(of_member + keeper->of_member_capacity, 0,
           (capacity - keeper->of_member_capacity) * sizeof(struct kept *));
    keeper->of_member = of_member;
    keeper->of_member_capacity = capacity;
    return true;
}

/* A new queue begins with the oldest event that is kept, and comes to what is live by its own cursor. */
static bool cursors_begin_oldest(struct worker *worker, struct kept *kept) {
    for (uint32_t i = 0; i < worker->shards->log_count; i++) {
        const struct log *log = worker->readers[i].log;
        if ((kept->logs >> i & 1u) != 0 && queue_begin(kept->queue, log_number(log), log_oldest(log)) != 0)
            return false;
    }
    return true;
}

static bool cursors_begin(struct worker *worker, struct kept *kept) {
    for (uint32_t i = 0; i < worker->shards->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        if ((kept->logs >> i & 1u) == 0)
            continue;
        uint32_t number = log_number(reader->log);
        if (queue_begin(kept->queue, number, reader->cursor) != 0)
            return false;
        if (queue_cursor(kept->queue, number) >= reader->cursor)
            kept->live |= UINT64_C(1) << i;
    }
    return true;
}

static void detach(struct worker *worker, struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = patterns_of(kept, room, &patterns);
    for (uint32_t i = 0; i < worker->shards->log_count; i++)
        if ((kept->live >> i & 1u) != 0)
            queue_pass(kept->queue, log_number(worker->readers[i].log), worker->readers[i].cursor);
    subs_patterns_remove(worker, kept->member, patterns, count);
    worker->keeper.of_member[kept->member] = NULL;
    peer_member_give(worker, kept->member);
    kept->attached = false;
    kept->live = 0;
    list_remove(&kept->pumping);
    queue_trim(kept->queue);
}

static bool attach(struct worker *worker, struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = patterns_of(kept, room, &patterns);
    if (!peer_member_take(worker, &kept->member))
        return false;
    if (!of_member_room(&worker->keeper, worker->peers_capacity) ||
        !subs_patterns_add(worker, kept->member, patterns, count)) {
        peer_member_give(worker, kept->member);
        return false;
    }
    worker->keeper.of_member[kept->member] = kept;
    kept->attached = true;
    if (cursors_begin(worker, kept))
        return true;
    detach(worker, kept);
    return false;
}

/* ---- delivering ---- */

static void fault_send(struct worker *worker, uint64_t owner, enum note_kind kind, struct fault fault) {
    struct note *note = note_new(kind, owner, NULL, 0);
    if (note != NULL)
        note->as.fault = fault;
    talk_send(worker, owner_shard(owner), note);
}

/* Without memory nothing is sent: the lease ends, and the event comes again. */
static void deliver(struct worker *worker, const struct kept *kept, const struct queue_delivery *delivery,
                    const struct log *log, const struct log_entry *entry) {
    struct note *note =
        note_new(NOTE_DELIVER, delivery->owner, log_bytes_at(log, entry->offset), entry->length);
    if (note == NULL)
        return;
    note->as.deliver.delivery = delivery->delivery;
    note->as.deliver.attempt = delivery->attempt;
    note->as.deliver.replay = delivery->replay;
    note->as.deliver.lease_ns = queue_terms(kept->queue)->lease_ns;
    talk_send(worker, owner_shard(delivery->owner), note);
}

/* Of the value of the attribute that keeps the order; 0 = the event has none. */
static uint64_t key_of(const struct worker *worker, const struct kept *kept, const uint8_t *record,
                       uint32_t length) {
    struct wire_event event;
    struct attribute found;
    uint64_t sequence;
    wire_record_read(record, length, &sequence, &event);
    if (!attribute_find(event.event, event.event_length, kept->key, &found))
        return 0;
    const void *value = found.data != NULL ? (const void *)found.data : &found.number;
    uint64_t hash = topic_hash(value, found.data != NULL ? found.length : sizeof found.number,
                               worker->shards->config.slot_seed);
    return hash == 0 ? 1 : hash;
}

/* False: nobody has credit. */
static bool offer(struct worker *worker, struct kept *kept, const struct reader *reader, uint64_t position) {
    const struct log_entry *entry = log_entry_at(reader->log, position);
    const uint8_t *record = log_bytes_at(reader->log, entry->offset);
    struct queue_delivery delivery;
    struct queue_event event = {.position = position,
                                .key = key_of(worker, kept, record, entry->length),
                                .time_ns = entry->time,
                                .log = log_number(reader->log),
                                .size = entry->length};
    enum queue_offer answer = queue_offer(kept->queue, &event, now_of(worker), &delivery);
    if (answer == OFFER_GIVEN)
        deliver(worker, kept, &delivery, reader->log, entry);
    if (answer != OFFER_WAIT)
        return true;
    queue_pass(kept->queue, event.log, position);
    return false;
}

static void timer_set(struct worker *worker, const struct kept *kept) {
    uint64_t due_ns = queue_due(kept->queue);
    if (due_ns == TIMERS_NEVER)
        timers_drop(&worker->keeper.timers, kept->slot);
    else
        timers_set(&worker->keeper.timers, kept->slot, due_ns);
}

/* Their time is over: nobody gets them, and in a mailbox they take no room any more. */
static void expired_pass(struct worker *worker, struct kept *kept, uint32_t records) {
    uint64_t held = queue_counts(kept->queue).held;
    counter_add(&worker->stats.events_expired, records);
    queue_hold(kept->queue, held > records ? held - records : 0);
}

void keeper_offer(struct worker *worker, route_member member, uint32_t log, const struct run *run) {
    struct kept *kept = worker->keeper.of_member[member];
    if ((kept->live >> log & 1u) == 0)
        return; /* it comes to these by its own cursor */
    if (run->expired) {
        expired_pass(worker, kept, run->records);
        return;
    }
    for (uint32_t i = 0; i < run->records; i++)
        if (!offer(worker, kept, &worker->readers[log], run->first + i)) {
            kept->live &= ~(UINT64_C(1) << log);
            break;
        }
    timer_set(worker, kept);
}

/* ---- by its own cursor ---- */

static void gap_tell(struct worker *worker, const struct kept *kept, const struct reader *reader,
                     uint64_t from, uint64_t to) {
    for (uint32_t i = 0; i < queue_places(kept->queue); i++) {
        uint64_t owner = queue_owner(kept->queue, i);
        struct note *note = owner == 0 ? NULL : note_new(NOTE_GAP, owner, NULL, 0);
        if (note == NULL)
            continue;
        note->as.gap.from = from;
        note->as.gap.to = to - 1;
        note->as.gap.log = reader->index;
        talk_send(worker, owner_shard(owner), note);
    }
    counter_add(&worker->stats.gap_records, to - from);
}

static bool route_has(const struct route *route, route_member member) {
    uint32_t low = 0, high = route->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (route->members[middle] < member)
            low = middle + 1;
        else
            high = middle;
    }
    return low < route->count && route->members[low] == member;
}

static bool wants(struct worker *worker, const struct kept *kept, const struct log *log,
                  const struct log_entry *entry) {
    if (!log_flags_event(entry->flags))
        return false;
    const uint8_t *name = log_bytes_at(log, entry->offset) + log_flags_topic_at(entry->flags);
    return route_has(route_of(worker->routes, entry->topic, name, log_flags_topic_length(entry->flags)),
                     kept->member);
}

/* Counts anew what a mailbox holds, after some of it was lost. Under the gate. */
static void mailbox_count(struct worker *worker, const struct kept *kept, const struct reader *reader) {
    struct queue_counts counts = queue_counts(kept->queue);
    uint64_t held = counts.out + counts.parked + counts.dead;
    uint64_t end = log_produced(reader->log);
    for (uint64_t at = queue_cursor(kept->queue, log_number(reader->log)); at < end; at++)
        held += wants(worker, kept, reader->log, log_entry_at(reader->log, at));
    queue_hold(kept->queue, held);
}

/* Some of what it has not seen yet is no longer there. */
static void step_gap(struct worker *worker, struct kept *kept, struct reader *reader, uint64_t from) {
    uint64_t oldest = log_oldest(reader->log);
    uint64_t to = oldest < reader->cursor ? oldest : reader->cursor;
    if (to <= from)
        return;
    queue_pass(kept->queue, log_number(reader->log), to);
    gap_tell(worker, kept, reader, from, to);
    if (terms_mailbox(queue_terms(kept->queue)) && log_reader_lower(reader->log, reader->past, to)) {
        mailbox_count(worker, kept, reader);
        log_reader_idle(reader->log, reader->past);
    }
}

/* At most so many records; false: it waits for credit. Under the gate. */
static bool step_records(struct worker *worker, struct kept *kept, struct reader *reader, uint64_t from) {
    uint64_t to = reader->cursor - from > CATCHUP_RECORDS_MAX ? from + CATCHUP_RECORDS_MAX : reader->cursor;
    for (uint64_t position = from; position < to; position++) {
        const struct log_entry *entry = log_entry_at(reader->log, position);
        if (!wants(worker, kept, reader->log, entry))
            continue;
        if (log_flags_type(entry->flags) != LOG_EVENT &&
            expiry_over(worker, worker->views[reader->index], entry))
            expired_pass(worker, kept, 1);
        else if (!offer(worker, kept, reader, position))
            return false;
    }
    queue_pass(kept->queue, log_number(reader->log), to);
    return true;
}

/* True: there is more to be done in the next turn. */
static bool step(struct worker *worker, struct kept *kept, struct reader *reader) {
    uint32_t number = log_number(reader->log);
    uint64_t from = queue_cursor(kept->queue, number);
    if (from < reader->cursor && kept->only != SLOT_COUNT && log_slot_last(reader->log, kept->only) < from)
        queue_pass(kept->queue, number, from = reader->cursor);
    if (from >= reader->cursor) {
        kept->live |= UINT64_C(1) << reader->index;
        return false;
    }
    worker->worked = true;
    if (!log_reader_lower(reader->log, reader->past, from)) {
        step_gap(worker, kept, reader, from);
        return true;
    }
    bool more = step_records(worker, kept, reader, from);
    log_reader_idle(reader->log, reader->past);
    return more;
}

/* What has to be delivered again is read again; false: it is gone. */
static bool deliver_again(struct worker *worker, struct kept *kept, const struct queue_delivery *delivery) {
    struct reader *reader = reader_of_number(worker, delivery->log);
    if (!log_reader_lower(reader->log, reader->past, delivery->position)) {
        queue_lost(kept->queue, delivery->owner, delivery->delivery);
        gap_tell(worker, kept, reader, delivery->position, delivery->position + 1);
        return false;
    }
    deliver(worker, kept, delivery, reader->log, log_entry_at(reader->log, delivery->position));
    log_reader_idle(reader->log, reader->past);
    return true;
}

/* True: again in the next turn. */
static bool pump(struct worker *worker, struct kept *kept) {
    struct queue_delivery delivery;
    bool more = !dead_letters_send(worker, kept);
    if (!kept->attached)
        return more;
    while (queue_take(kept->queue, now_of(worker), &delivery))
        (void)deliver_again(worker, kept, &delivery);
    for (uint32_t i = 0; i < worker->shards->log_count; i++)
        if (((kept->logs & ~kept->live) >> i & 1u) != 0 && step(worker, kept, &worker->readers[i]))
            more = true;
    return more;
}

static void pump_later(struct worker *worker, struct kept *kept) {
    list_add(&worker->keeper.pumping, &kept->pumping);
    timer_set(worker, kept);
    worker->worked = true;
}

static void expire(struct worker *worker) {
    struct keeper *keeper = &worker->keeper;
    while (timers_due(&keeper->timers) <= worker->now_ns) {
        struct kept *kept = keeper->slots[timers_first(&keeper->timers)];
        struct queue_expired expired;
        while (queue_expire(kept->queue, now_of(worker), &expired)) {
            struct note *note = note_new(NOTE_EXPIRED, expired.owner, NULL, 0);
            if (note != NULL)
                note->as.delivery = expired.delivery;
            talk_send(worker, owner_shard(expired.owner), note);
        }
        pump_later(worker, kept);
    }
}

void keeper_turn(struct worker *worker) {
    struct list now;
    struct list *node;
    expire(worker);
    list_move(&worker->keeper.pumping, &now);
    while ((node = list_take(&now)) != NULL) {
        struct kept *kept = LIST_OF(node, struct kept, pumping);
        if (pump(worker, kept))
            list_add(&worker->keeper.pumping, &kept->pumping);
        timer_set(worker, kept);
    }
}

uint64_t keeper_due_ns(const struct worker *worker) {
    uint64_t due_ns = timers_due(&worker->keeper.timers);
    uint64_t retry_ns = worker->now_ns + NS_PER_MS; /* a dead letter that had no room */
    return !list_empty(&worker->keeper.pumping) && retry_ns < due_ns ? retry_ns : due_ns;
}

/* ---- what members say ---- */

static struct fault exhausted(void) {
    return (struct fault){.code = RH_CODE_EXHAUSTED,
                          .text = "the server has no room for this queue or its member now",
                          .field = "subscribe.queue"};
}

/* NULL: refused, as `fault` says. `made`: it is new. */
static struct kept *join_find(struct worker *worker, struct queue_terms *terms, bool *made,
                              struct fault *fault) {
    struct kept *kept = kept_find(worker, terms->name);
    *made = kept == NULL;
    if (kept != NULL)
        return terms_agree(queue_terms(kept->queue), terms, fault) ? kept : NULL;
    if (!terms_whole(terms, fault))
        return NULL;
    *fault = exhausted();
    return kept_make(worker, terms);
}

static bool join_do(struct worker *worker, struct kept *kept, const struct note *note, uint64_t *lost,
                    struct fault *fault) {
    struct lookup *owners = &worker->keeper.owners;
    enum queue_answer answer = QUEUE_NO_MEMORY;
    if (lookup_reserve(owners, owners->count + 1) == 0)
        answer = queue_join(kept->queue, note->owner, note->as.join.window, note->as.join.take_over, lost);
    if (answer != QUEUE_OK) {
        *fault = queue_fault(answer);
        return false;
    }
    if (kept->attached || attach(worker, kept)) {
        lookup_drop(owners, *lost);
        lookup_put(owners, note->owner, kept->slot);
        return true;
    }
    queue_leave(kept->queue, note->owner);
    *fault = exhausted();
    return false;
}

static void join(struct worker *worker, struct note *note) {
    static const struct fault taken = {
        .code = RH_CODE_UNAVAILABLE,
        .text = "another connection has taken this queue over: its events go there",
        .field = "subscribe.queue.name"};
    struct fault fault;
    uint64_t lost;
    bool made;
    struct kept *kept = join_find(worker, &note->as.join.terms, &made, &fault);
    if (kept != NULL && made && note->as.join.oldest && !cursors_begin_oldest(worker, kept)) {
        kept_destroy(worker, kept);
        kept = NULL;
        fault = exhausted();
    }
    if (kept == NULL || !join_do(worker, kept, note, &lost, &fault)) {
        if (kept != NULL && made)
            kept_destroy(worker, kept);
        fault_send(worker, note->owner, NOTE_REFUSED, fault);
        return;
    }
    if (lost != 0)
        fault_send(worker, lost, NOTE_OUT, taken);
    struct note *answer = note_new(NOTE_JOINED, note->owner, NULL, 0);
    talk_send(worker, owner_shard(note->owner), answer);
    pump_later(worker, kept);
}

/* The queue that the owner is a member of, or NULL. */
static struct kept *kept_of_owner(const struct worker *worker, uint64_t owner) {
    uint32_t slot = lookup_find(&worker->keeper.owners, owner);
    return slot == LOOKUP_NONE ? NULL : worker->keeper.slots[slot];
}

static void leave(struct worker *worker, uint64_t owner) {
    struct kept *kept = kept_of_owner(worker, owner);
    if (kept == NULL)
        return;
    lookup_drop(&worker->keeper.owners, owner);
    queue_leave(kept->queue, owner);
    pump_later(worker, kept);
    if (queue_members(kept->queue) > 0)
        return;
    detach(worker, kept);
    if (queue_terms(kept->queue)->ephemeral)
        kept_destroy(worker, kept);
}

static void acked(struct worker *worker, const struct note *note) {
    struct kept *kept = kept_of_owner(worker, note->owner);
    struct queue_ack ack = {.owner = note->owner,
                            .delivery = note->as.ack.delivery,
                            .after_ns = note->as.ack.after_ns,
                            .kind = note->as.ack.kind,
                            .reason = {note->bytes, note->length}};
    enum queue_answer answer = kept == NULL ? QUEUE_STRANGER : queue_ack(kept->queue, &ack, now_of(worker));
    if (answer != QUEUE_OK)
        fault_send(worker, note->owner, NOTE_ANSWER, queue_fault(answer));
    else
        pump_later(worker, kept);
}

void keeper_note(struct worker *worker, struct note *note) {
    switch (note->kind) {
    case NOTE_JOIN:
        join(worker, note);
        break;
    case NOTE_LEAVE:
        leave(worker, note->owner);
        break;
    default:
        acked(worker, note);
    }
}

/* ---- what senders are told ---- */

bool keeper_refuses(struct worker *worker, const struct wire_event *event, struct verdict *verdict) {
    static const struct fault unknown = {
        .code = RH_CODE_INVALID,
        .text = "there is no mailbox of this name: its receiver has to subscribe to it first",
        .field = "topic"};
    static const struct fault full = {
        .code = RH_CODE_EXHAUSTED,
        .text = "the mailbox is full (queue.capacity): its receiver has to catch up first",
        .field = "topic"};
    static const struct fault gone = {.code = RH_CODE_UNAVAILABLE,
                                      .text = "the requester is gone: nobody waits for this reply any more",
                                      .field = "topic"};
    struct kept *kept = kept_find(worker, (struct queue_text){event->topic, event->topic_length});
    if (kept != NULL && !queue_full(kept->queue))
        return false;
    bool inbox = event->topic_length >= sizeof INBOX - 1 && !memcmp(event->topic, INBOX, sizeof INBOX - 1);
    *verdict = (struct verdict){.fault = kept != NULL ? &full : inbox ? &gone : &unknown};
    return true;
}

void keeper_admit(struct worker *worker, const struct wire_event *event) {
    struct kept *kept = kept_find(worker, (struct queue_text){event->topic, event->topic_length});
    CHECK(kept != NULL && queue_admit(kept->queue) == QUEUE_OK); /* keeper_refuses has been asked */
}

void keeper_init(struct keeper *keeper) {
    list_init(&keeper->pumping);
}

void keeper_deinit(struct worker *worker) {
    struct keeper *keeper = &worker->keeper;
    for (uint32_t i = 0; i < keeper->capacity; i++) {
        if (keeper->slots[i] == NULL)
            continue;
        queue_destroy(keeper->slots[i]->queue);
        free(keeper->slots[i]);
    }
    free(keeper->slots);
    free(keeper->of_member);
    lookup_deinit(&keeper->names);
    lookup_deinit(&keeper->owners);
    timers_deinit(&keeper->timers);
}
