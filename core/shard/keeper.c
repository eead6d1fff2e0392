/* The queues that this worker keeps.
 *
 * A queue with members stands in the route table like a connection. While it is live in a log it is offered
 * each event as it is routed; when its members have no credit it stops there, and comes back by its own
 * cursor (keeper_turn), a bounded step in each turn. Without members it is in no table and costs nothing per
 * event. It holds positions only: what is delivered again is read from the log again, from the journal where
 * the ring has it no more (look.c), and what is nowhere is lost, with a Gap. It holds no writer back. What is
 * durable of it is in states.c. */
#include "core/shard/moves.h"

#include "core/base/heap.h"
#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

#define INBOX "@inbox" /* mailboxes of those who wait for replies begin so */

/* ---- finding and making ---- */

static uint64_t name_hash(const struct worker *worker, struct queue_text name) {
    uint64_t hash = topic_hash(name.p, name.n, worker->shards->table_seed);
    return hash == 0 ? 1 : hash;
}

static bool name_is(const struct kept *kept, struct queue_text name) {
    const struct queue_text *own = &queue_terms(kept->queue)->name;
    return own->n == name.n && memcmp(own->p, name.p, name.n) == 0;
}

struct kept *keeper_find(const struct worker *worker, struct queue_text name) {
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

uint32_t keeper_patterns(const struct kept *kept, uint8_t room[1 + TOPIC_BYTES_MAX],
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
    uint32_t count = keeper_patterns(kept, room, &patterns);
    kept->logs = subs_logs(worker, patterns, count);
    kept->only = SLOT_COUNT;
    if (count == 1 && !pattern_wild(patterns + 1, patterns[0]))
        kept->only = topic_slot(topic_hash(patterns + 1, patterns[0], worker->shards->config.slot_seed));
}

static void queues_count(struct worker *worker) {
    counter_set(&worker->stats.queues, worker->keeper.count);
    counter_set(&worker->stats.queues_durable, worker->keeper.durable);
}

/* False: there is no memory, or they are none. */
static bool kept_filter(struct worker *worker, const struct queue *queue, struct kept *kept) {
    struct queue_text filters = queue_terms(queue)->filters;
    struct filter *made;
    struct fault fault;
    if (filters.n == 0)
        return true;
    if (filter_unpack(filters.p, filters.n, &made, &fault))
        kept->filter = filters_hold(worker, made);
    return kept->filter != NULL;
}

/* Takes the queue over. NULL: there is no room. */
static struct kept *kept_add(struct worker *worker, struct queue *queue) {
    struct keeper *keeper = &worker->keeper;
    const struct queue_terms *terms = queue_terms(queue);
    uint64_t hash = name_hash(worker, terms->name);
    struct kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL || keeper->count == QUEUES_MAX || lookup_find(&keeper->names, hash) != LOOKUP_NONE ||
        !keeper_room(keeper) || !kept_filter(worker, queue, kept)) {
        free(kept);
        return NULL;
    }
    list_init(&kept->pumping);
    list_init(&kept->saving);
    list_init(&kept->removing);
    list_init(&kept->waiting);
    kept->queue = queue;
    kept->slot = slot_free(keeper);
    keeper->slots[kept->slot] = kept;
    lookup_put(&keeper->names, hash, kept->slot);
    keeper->count++;
    if (!terms->is_volatile)
        kept->home = worker->home_of[queue_log_of(worker, terms->name)];
    keeper->durable += kept->home != NULL;
    kept_logs(worker, kept);
    audience_waits(worker, kept, true);
    queues_count(worker);
    return kept;
}

static struct kept *kept_make(struct worker *worker, struct queue_terms *terms) {
    struct queue *queue;
    terms_settle(terms);
    if (queue_create(&queue, terms) != 0)
        return NULL;
    struct kept *kept = kept_add(worker, queue);
    if (kept == NULL)
        queue_destroy(queue);
    return kept;
}

/* Where it begins in the logs that it has no cursor in yet. */
static bool kept_begin(struct worker *worker, const struct kept *kept, bool oldest) {
    for (uint32_t i = 0; i < worker->log_count; i++) {
        uint64_t position = oldest ? log_kept(worker, i) : delivery_live_end(&worker->readers[i]);
        if ((kept->logs >> i & 1u) != 0 &&
            queue_begin(kept->queue, log_number(worker->readers[i].log), position) != 0)
            return false;
    }
    return true;
}

/* What it got of memory logs went with the run before. */
static bool restored_begin(const struct shards *shards, const struct kept *kept) {
    queue_forget_below(kept->queue, LOG_NUMBER_DISK);
    queue_forget_from(kept->queue, LOG_NUMBER_ADDED);
    for (uint32_t i = 0; i < published_get(&shards->log_count); i++)
        if ((kept->logs >> i & 1u) != 0 &&
            queue_begin(kept->queue, log_number(shards->logs[i]), log_oldest(shards->logs[i])) != 0)
            return false;
    return true;
}

struct kept *keeper_restore(struct worker *worker, struct queue *queue) {
    struct kept *kept = keeper_find(worker, queue_terms(queue)->name);
    struct queue *before = NULL;
    if (kept == NULL) {
        kept = kept_add(worker, queue);
    } else {
        before = kept->queue;
        kept->queue = queue;
    }
    if (kept == NULL)
        return NULL;
    queue_destroy(before);
    kept->stated = 1;
    return restored_begin(worker->shards, kept) ? kept : NULL;
}

static void kept_destroy(struct worker *worker, struct kept *kept) {
    struct keeper *keeper = &worker->keeper;
    CHECK(!kept->attached);
    replays_drop(worker, kept);
    list_remove(&kept->pumping);
    list_remove(&kept->saving);
    list_remove(&kept->removing);
    audience_waits(worker, kept, false);
    keeper->durable -= kept->home != NULL;
    timers_drop(&keeper->timers, kept->slot);
    lookup_drop(&keeper->names, name_hash(worker, queue_terms(kept->queue)->name));
    keeper->slots[kept->slot] = NULL;
    keeper->count--;
    queue_destroy(kept->queue);
    filters_let_go(worker, kept->filter);
    free(kept);
    queues_count(worker);
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

static bool cursors_begin(struct worker *worker, struct kept *kept) {
    for (uint32_t i = 0; i < worker->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        if ((kept->logs >> i & 1u) == 0)
            continue;
        uint32_t number = log_number(reader->log);
        if (queue_begin(kept->queue, number, reader->cursor) != 0)
            return false;
        if (queue_cursor(kept->queue, number) >= reader->cursor)
            kept->live |= UINT64_C(1) << i;
    }
    /* Where slots have come from a log that it has not seen to the end, it waits for that one. */
    for (uint64_t left = kept->live; left != 0; left &= left - 1) {
        uint32_t log = (uint32_t)__builtin_ctzll(left);
        if (keeper_bound(worker, kept, log) != UINT64_MAX)
            kept->live &= ~(UINT64_C(1) << log);
    }
    return true;
}

static void detach(struct worker *worker, struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = keeper_patterns(kept, room, &patterns);
    for (uint32_t i = 0; i < worker->log_count; i++)
        if ((kept->live >> i & 1u) != 0)
            queue_pass(kept->queue, log_number(worker->readers[i].log), worker->readers[i].cursor);
    audience_waits(worker, kept, kept->remover == 0);
    subs_patterns_remove(worker, kept->member, patterns, count);
    worker->keeper.of_member[kept->member] = NULL;
    peer_member_give(worker, kept->member);
    kept->attached = false;
    kept->live = 0;
    kept->owes = false; /* whoever it was for has left */
    list_remove(&kept->pumping);
    queue_trim(kept->queue);
}

static bool attach(struct worker *worker, struct kept *kept) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = keeper_patterns(kept, room, &patterns);
    if (!peer_member_take(worker, &kept->member))
        return false;
    if (!of_member_room(&worker->keeper, worker->peers_capacity) ||
        !subs_patterns_add(worker, kept->member, patterns, count)) {
        peer_member_give(worker, kept->member);
        return false;
    }
    worker->keeper.of_member[kept->member] = kept;
    kept->attached = true;
    audience_waits(worker, kept, false);
    if (cursors_begin(worker, kept))
        return true;
    detach(worker, kept);
    return false;
}

/* ---- delivering ---- */

void keeper_fault(struct worker *worker, uint64_t owner, enum note_kind kind, struct fault fault) {
    struct note *note = note_new(kind, owner, NULL, 0);
    if (note != NULL)
        note->as.fault = fault;
    talk_send(worker, owner_shard(owner), note);
}

/* Without memory nothing is sent: the lease ends, and the event comes again. */
void keeper_deliver(struct worker *worker, const struct kept *kept, const struct queue_delivery *delivery,
                    const struct log_view *view, const struct log_entry *entry) {
    struct note *note =
        note_new(NOTE_DELIVER, delivery->owner, log_view_bytes(view, entry->offset), entry->length);
    if (note == NULL)
        return;
    note->as.deliver.traced = trace_delivered(worker, kept, delivery);
    note->as.deliver.delivery = delivery->delivery;
    note->as.deliver.attempt = delivery->attempt;
    note->as.deliver.replay = delivery->replay;
    note->as.deliver.lease_ns = queue_terms(kept->queue)->lease_ns;
    talk_send(worker, owner_shard(delivery->owner), note);
}

static bool kept_passes(struct worker *worker, const struct kept *kept, uint32_t log,
                        const struct log_view *view, uint64_t position) {
    return kept->filter == NULL || filters_pass(worker, kept->filter, log, view, position);
}

/* False: nobody has credit. */
static bool offer(struct worker *worker, struct kept *kept, const struct reader *reader,
                  const struct log_view *view, uint64_t position) {
    struct queue_delivery delivery;
    struct queue_event event = keeper_event(worker, kept, reader, view, position);
    enum queue_offer answer = queue_offer(kept->queue, &event, keeper_now(worker), &delivery);
    if (answer == OFFER_GIVEN)
        keeper_deliver(worker, kept, &delivery, view, log_view_entry(view, position));
    if (answer != OFFER_WAIT)
        return true;
    queue_pass(kept->queue, event.log, position);
    return false;
}

static void timer_set(struct worker *worker, const struct kept *kept) {
    uint64_t due_ns = queue_due(kept->queue), replay_ns = replays_due_ns(kept);
    if (replay_ns < due_ns)
        due_ns = replay_ns;
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
    states_changed(worker, kept);
    for (uint32_t i = 0; i < run->records; i++) {
        if (!kept_passes(worker, kept, log, worker->views[log], run->first + i))
            continue;
        if (!offer(worker, kept, &worker->readers[log], worker->views[log], run->first + i)) {
            kept->live &= ~(UINT64_C(1) << log);
            break;
        }
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
    counter_add(&worker->stats.queue_lost_records, to - from);
    uint32_t left_out;
    const struct queue_text *name = &queue_terms(kept->queue)->name;
    if (kept->home != NULL && logfmt_allowed(&worker->slow_limit, worker->now_ns, &left_out))
        logfmt(LOGFMT_WARN, "a durable queue had not seen all when it was given up: its members get a Gap",
               "queue=%.*s log=%u from=%llu to=%llu more=%u", (int)name->n, (const char *)name->p,
               log_number(reader->log), (unsigned long long)from, (unsigned long long)to - 1, left_out);
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

bool keeper_wants(struct worker *worker, const struct kept *kept, uint32_t log, const struct log_view *view,
                  uint64_t position) {
    const struct log_entry *entry = log_view_entry(view, position);
    if (!log_flags_event(entry->flags))
        return false;
    const uint8_t *name = log_view_bytes(view, entry->offset) + log_flags_topic_at(entry->flags);
    return route_has(route_of(worker->routes, entry->topic, name, log_flags_topic_length(entry->flags)),
                     kept->member) &&
           kept_passes(worker, kept, log, view, position);
}

/* Counts anew what a mailbox holds, after some of it was lost. Under the gate. */
static void mailbox_count(struct worker *worker, const struct kept *kept, const struct reader *reader) {
    const struct log_view *view = worker->views[reader->index];
    struct queue_counts counts = queue_counts(kept->queue);
    uint64_t held = counts.out + counts.parked + counts.dead - counts.replays;
    uint64_t end = log_produced(reader->log);
    for (uint64_t at = queue_cursor(kept->queue, log_number(reader->log)); at < end; at++)
        held += keeper_wants(worker, kept, reader->index, view, at);
    queue_hold(kept->queue, held);
}

/* The same when it has seen all that was sent to it. */
static void mailbox_recount(struct worker *worker, struct kept *kept) {
    uint32_t log = (uint32_t)__builtin_ctzll(kept->logs);
    bool all =
        kept->live == kept->logs && worker->readers[log].cursor == log_writer_next(worker->home_of[log]->log);
    struct queue_counts counts = queue_counts(kept->queue);
    if (all)
        queue_hold(kept->queue, counts.out + counts.parked + counts.dead - counts.replays);
    kept->recount = !all;
}

/* Some of what it has not seen yet is no longer there. */
static void step_gap(struct worker *worker, struct kept *kept, struct reader *reader, uint64_t from,
                     uint64_t to) {
    if (to > reader->cursor)
        to = reader->cursor;
    if (to <= from)
        return;
    queue_pass(kept->queue, log_number(reader->log), to);
    gap_tell(worker, kept, reader, from, to);
    if (!terms_mailbox(queue_terms(kept->queue)))
        return;
    kept->recount = !log_reader_lower(reader->log, reader->past, to);
    if (kept->recount)
        return;
    mailbox_count(worker, kept, reader);
    log_reader_idle(reader->log, reader->past);
}

/* At most so many records; false: it waits for credit. */
static bool step_records(struct worker *worker, struct kept *kept, const struct reader *reader,
                         const struct look_at *look, uint64_t from, uint64_t bound) {
    uint64_t end = look->end < reader->cursor ? look->end : reader->cursor;
    end = bound < end ? bound : end;
    uint64_t to = end - from > CATCHUP_RECORDS_MAX ? from + CATCHUP_RECORDS_MAX : end;
    for (uint64_t position = from; position < to; position++) {
        const struct log_entry *entry = log_view_entry(look->view, position);
        if (!keeper_wants(worker, kept, reader->index, look->view, position))
            continue;
        if (log_flags_type(entry->flags) != LOG_EVENT && expiry_over(worker, look->view, entry))
            expired_pass(worker, kept, 1);
        else if (!offer(worker, kept, reader, look->view, position))
            return false;
    }
    queue_pass(kept->queue, log_number(reader->log), to);
    return true;
}

/* True: there is more to be done in the next turn. */
static bool step(struct worker *worker, struct kept *kept, struct reader *reader) {
    uint32_t number = log_number(reader->log);
    uint64_t from = queue_cursor(kept->queue, number);
    uint64_t bound = keeper_bound(worker, kept, reader->index);
    struct look_at look;
    if (from < reader->cursor && kept->only != SLOT_COUNT && log_slot_last(reader->log, kept->only) < from)
        queue_pass(kept->queue, number, from = reader->cursor);
    if (from >= reader->cursor) {
        bool waits = bound != UINT64_MAX; /* in that other log it is not so far */
        kept->live |= waits ? 0 : UINT64_C(1) << reader->index;
        return waits;
    }
    if (from >= bound)
        return true;
    enum look found = look_begin(worker, reader, from, &look);
    if (found == LOOK_LATER)
        return true;
    worker->worked = true;
    states_changed(worker, kept);
    if (found == LOOK_GONE || look.first > from) {
        look_end(&look);
        step_gap(worker, kept, reader, from, look.first < bound ? look.first : bound);
        return true;
    }
    bool more = step_records(worker, kept, reader, &look, from, bound);
    look_end(&look);
    return more;
}

static void owed_deliver(struct worker *worker, struct kept *kept, const struct reader *reader,
                         const struct look_at *look, bool there) {
    const struct queue_delivery *owed = &kept->owed;
    if (there && look->first == owed->position) {
        keeper_deliver(worker, kept, owed, look->view, log_view_entry(look->view, owed->position));
        return;
    }
    queue_lost(kept->queue, owed->owner, owed->delivery);
    if (!owed->replay) /* whoever asked for the replay is told */
        gap_tell(worker, kept, reader, owed->position, owed->position + 1);
}

/* What has to be delivered again is read again, one after the other. False: it waits for the journal. */
static bool deliver_again(struct worker *worker, struct kept *kept) {
    for (;;) {
        if (!kept->owes && !queue_take(kept->queue, keeper_now(worker), &kept->owed))
            return true;
        const struct queue_delivery *owed = &kept->owed;
        struct reader *reader = reader_of_number(worker, owed->log);
        struct look_at look;
        kept->owes = queue_holds(kept->queue, owed->owner, owed->delivery); /* its lease may be over */
        if (!kept->owes)
            continue;
        states_changed(worker, kept);
        enum look found = look_begin(worker, reader, owed->position, &look);
        if (found == LOOK_LATER)
            return false;
        owed_deliver(worker, kept, reader, &look, found == LOOK_THERE);
        kept->owes = false;
        look_end(&look);
    }
}

/* True: again in the next turn. */
static bool pump(struct worker *worker, struct kept *kept) {
    bool more = !dead_letters_send(worker, kept);
    if (!kept->attached)
        return replays_step(worker, kept) || more;
    if (!deliver_again(worker, kept))
        more = true;
    for (uint32_t i = 0; i < worker->log_count; i++)
        if (((kept->logs & ~kept->live) >> i & 1u) != 0 && step(worker, kept, &worker->readers[i]))
            more = true;
    if (kept->recount)
        mailbox_recount(worker, kept);
    return replays_step(worker, kept) || more;
}

void keeper_pump(struct worker *worker, struct kept *kept) {
    list_add(&worker->keeper.pumping, &kept->pumping);
    timer_set(worker, kept);
    worker->worked = true;
}

static void expire(struct worker *worker) {
    struct keeper *keeper = &worker->keeper;
    while (timers_due(&keeper->timers) <= worker->now_ns) {
        struct kept *kept = keeper->slots[timers_first(&keeper->timers)];
        struct queue_expired expired;
        bool due = queue_due(kept->queue) <= worker->now_ns;
        while (queue_expire(kept->queue, keeper_now(worker), &expired)) {
            struct note *note = note_new(NOTE_EXPIRED, expired.owner, NULL, 0);
            counter_add(&worker->stats.queue_leases_ended, 1);
            trace_ended(worker, expired.owner, expired.delivery, TRACE_LEASE_ENDED);
            if (note != NULL)
                note->as.delivery = expired.delivery;
            talk_send(worker, owner_shard(expired.owner), note);
        }
        replays_expired(worker, kept);
        if (due)
            states_changed(worker, kept);
        keeper_pump(worker, kept);
    }
}

static void joins_try(struct worker *worker);

void keeper_turn(struct worker *worker) {
    struct list now;
    struct list *node;
    removals_turn(worker);
    joins_try(worker);
    expire(worker);
    list_move(&worker->keeper.pumping, &now);
    while ((node = list_take(&now)) != NULL) {
        struct kept *kept = LIST_OF(node, struct kept, pumping);
        if (pump(worker, kept))
            list_add(&worker->keeper.pumping, &kept->pumping);
        timer_set(worker, kept);
    }
    states_turn(worker);
}

uint64_t keeper_due_ns(const struct worker *worker) {
    uint64_t due_ns = timers_due(&worker->keeper.timers);
    if (states_due_ns(worker) < due_ns)
        due_ns = states_due_ns(worker);
    uint64_t retry_ns = worker->now_ns + NS_PER_MS; /* a dead letter that had no room */
    return !list_empty(&worker->keeper.pumping) && retry_ns < due_ns ? retry_ns : due_ns;
}

/* ---- what members say ---- */

static struct fault exhausted(void) {
    return (struct fault){.code = RH_CODE_EXHAUSTED,
                          .text = "the server has no room for this queue or its member now",
                          .field = "subscribe.queue"};
}

static bool join_made(struct worker *worker, struct kept *kept, const struct note *note,
                      struct fault *fault) {
    if (kept->home != NULL && !states_fit(kept)) {
        *fault = (struct fault){.code = RH_CODE_TOO_LARGE,
                                .text = "what is to be kept of this queue is longer than a record of the "
                                        "journal may be here (logs.data): give it fewer patterns",
                                .field = "subscribe.patterns"};
        return false;
    }
    if (kept->home != NULL && note->as.join.window > QUEUE_WINDOW_MAX) {
        *fault = queue_fault(QUEUE_NO_WINDOW);
        return false;
    }
    if (kept->home == NULL && !note->as.join.oldest)
        return true; /* it begins when it is attached */
    if (!kept_begin(worker, kept, note->as.join.oldest))
        return false;
    if (kept->home != NULL)
        states_made(worker, kept);
    return true;
}

/* NULL: refused, as `fault` says. `made`: it is new. */
static struct kept *join_find(struct worker *worker, struct note *note, bool *made, struct fault *fault) {
    struct queue_terms *terms = &note->as.join.terms;
    struct kept *kept = keeper_find(worker, terms->name);
    *made = kept == NULL;
    if (kept != NULL)
        return terms_agree(queue_terms(kept->queue), terms, fault) ? kept : NULL;
    if (!terms_whole(terms, fault))
        return NULL;
    *fault = exhausted();
    kept = kept_make(worker, terms);
    if (kept == NULL || join_made(worker, kept, note, fault))
        return kept;
    kept_destroy(worker, kept);
    return NULL;
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

/* Nobody is told that a queue is there which a crash could still forget. */
static void join_later(struct worker *worker, struct note *note) {
    struct note *held = note_new(NOTE_JOIN, note->owner, NULL, 0);
    if (held == NULL) {
        keeper_fault(worker, note->owner, NOTE_REFUSED, exhausted());
        return;
    }
    held->as = note->as;
    note->as.join.texts = NULL;
    struct note **last = &worker->keeper.joining;
    while (*last != NULL)
        last = &(*last)->next;
    *last = held;
}

static void join(struct worker *worker, struct note *note) {
    static const struct fault taken = {
        .code = RH_CODE_UNAVAILABLE,
        .text = "another connection has taken this queue over: its events go there",
        .field = "subscribe.queue.name"};
    struct fault fault;
    uint64_t lost;
    bool made;
    struct kept *kept = join_find(worker, note, &made, &fault);
    if (kept != NULL && !states_durable(kept)) {
        join_later(worker, note);
        return;
    }
    if (kept == NULL || !join_do(worker, kept, note, &lost, &fault)) {
        if (kept != NULL && made)
            kept_destroy(worker, kept);
        keeper_fault(worker, note->owner, NOTE_REFUSED, fault);
        return;
    }
    if (lost != 0)
        trace_ended(worker, lost, 0, TRACE_LEFT), keeper_fault(worker, lost, NOTE_OUT, taken);
    struct note *answer = note_new(NOTE_JOINED, note->owner, NULL, 0);
    talk_send(worker, owner_shard(note->owner), answer);
    keeper_pump(worker, kept);
}

static bool join_ready(const struct worker *worker, const struct note *note) {
    const struct kept *kept = keeper_find(worker, note->as.join.terms.name);
    return kept == NULL || states_durable(kept);
}

static void joins_try(struct worker *worker) {
    struct note *left = NULL, **last = &left;
    struct note *note = worker->keeper.joining;
    worker->keeper.joining = NULL;
    while (note != NULL) {
        struct note *next = note->next;
        note->next = NULL;
        if (join_ready(worker, note)) {
            join(worker, note);
            talk_free(note);
        } else {
            *last = note;
            last = &note->next;
        }
        note = next;
    }
    worker->keeper.joining = left;
}

bool keeper_news(const struct worker *worker) {
    for (const struct note *note = worker->keeper.joining; note != NULL; note = note->next)
        if (join_ready(worker, note))
            return true;
    return removals_news(worker);
}

static void join_forget(struct worker *worker, uint64_t owner) {
    struct note **at = &worker->keeper.joining;
    while (*at != NULL && (*at)->owner != owner)
        at = &(*at)->next;
    struct note *note = *at;
    if (note == NULL)
        return;
    *at = note->next;
    note->next = NULL;
    talk_free(note);
}

/* The queue that the owner is a member of, or NULL. */
static struct kept *kept_of_owner(const struct worker *worker, uint64_t owner) {
    uint32_t slot = lookup_find(&worker->keeper.owners, owner);
    return slot == LOOKUP_NONE ? NULL : worker->keeper.slots[slot];
}

static void leave(struct worker *worker, uint64_t owner) {
    struct kept *kept = kept_of_owner(worker, owner);
    join_forget(worker, owner);
    if (kept == NULL)
        return;
    lookup_drop(&worker->keeper.owners, owner);
    if (replays_leave(worker, kept, owner))
        return;
    queue_leave(kept->queue, owner);
    trace_ended(worker, owner, 0, TRACE_LEFT);
    keeper_pump(worker, kept);
    if (queue_members(kept->queue) > 0)
        return;
    detach(worker, kept);
    if (queue_terms(kept->queue)->ephemeral)
        kept_destroy(worker, kept);
    else if (kept->replay != NULL)
        keeper_pump(worker, kept); /* whoever has asked for it is told that it waits */
}

void keeper_put_out(struct worker *worker, struct kept *kept, const struct fault *why) {
    replays_drop(worker, kept);
    for (uint32_t i = 0; i < queue_places(kept->queue); i++) {
        uint64_t owner = queue_owner(kept->queue, i);
        if (owner == 0)
            continue;
        lookup_drop(&worker->keeper.owners, owner);
        queue_leave(kept->queue, owner);
        trace_ended(worker, owner, 0, TRACE_LEFT);
        keeper_fault(worker, owner, NOTE_OUT, *why);
    }
    if (kept->attached)
        detach(worker, kept);
    list_remove(&kept->pumping);
    list_remove(&kept->saving);
    timers_drop(&worker->keeper.timers, kept->slot);
}

void keeper_drop(struct worker *worker, struct kept *kept) {
    kept_destroy(worker, kept);
}

static void acked(struct worker *worker, const struct note *note) {
    struct kept *kept = kept_of_owner(worker, note->owner);
    struct queue_ack ack = {.owner = note->owner,
                            .delivery = note->as.ack.delivery,
                            .after_ns = note->as.ack.after_ns,
                            .kind = note->as.ack.kind,
                            .reason = {note->bytes, note->length}};
    enum queue_answer answer =
        kept == NULL ? QUEUE_STRANGER : queue_ack(kept->queue, &ack, keeper_now(worker));
    if (answer != QUEUE_OK)
        keeper_fault(worker, note->owner, NOTE_ANSWER, queue_fault(answer));
    else
        trace_acked(worker, &ack), states_changed(worker, kept), keeper_pump(worker, kept);
}

void keeper_note(struct worker *worker, struct note *note) {
    switch (note->kind) {
    case NOTE_JOIN:
        join(worker, note);
        break;
    case NOTE_LEAVE:
        leave(worker, note->owner);
        break;
    case NOTE_REMOVE:
        removals_note(worker, note);
        break;
    case NOTE_REPLAY:
        replays_begin(worker, note);
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
    struct kept *kept = keeper_find(worker, (struct queue_text){event->topic, event->topic_length});
    if (kept != NULL && kept->remover != 0)
        kept = NULL;
    if (kept != NULL && !queue_full(kept->queue))
        return false;
    bool inbox = event->topic_length >= sizeof INBOX - 1 && !memcmp(event->topic, INBOX, sizeof INBOX - 1);
    counter_add(&worker->stats.mailbox_full, kept != NULL);
    *verdict = (struct verdict){.fault = kept != NULL ? &full : inbox ? &gone : &unknown};
    return true;
}

void keeper_admit(struct worker *worker, const struct wire_event *event) {
    struct kept *kept = keeper_find(worker, (struct queue_text){event->topic, event->topic_length});
    CHECK(kept != NULL && queue_admit(kept->queue) == QUEUE_OK); /* keeper_refuses has been asked */
}

void keeper_init(struct keeper *keeper) {
    list_init(&keeper->pumping);
    list_init(&keeper->removing);
    list_init(&keeper->waiting);
    list_init(&keeper->urgent);
    list_init(&keeper->saving);
    for (uint32_t i = 0; i < DISK_LOGS_MAX; i++)
        keeper->segments[i] = UINT64_MAX; /* all is written once after a start */
}

void keeper_deinit(struct worker *worker) {
    struct keeper *keeper = &worker->keeper;
    for (uint32_t i = 0; i < keeper->capacity; i++) {
        if (keeper->slots[i] == NULL)
            continue;
        queue_destroy(keeper->slots[i]->queue);
        filters_let_go(worker, keeper->slots[i]->filter);
        replays_free(keeper->slots[i]->replay);
        free(keeper->slots[i]);
    }
    talk_free(keeper->joining);
    free(keeper->slots);
    free(keeper->of_member);
    lookup_deinit(&keeper->names);
    lookup_deinit(&keeper->owners);
    timers_deinit(&keeper->timers);
}
