/* The policy `block`: publishers wait for who reads too slowly.
 *
 * A subscriber with this policy that has fallen half a ring behind holds back the slots in which more events
 * for it arrive: the first event marks its slot, so that also those who subscribe by wildcards hold back
 * nothing but what they read. Its worker tells the home of the slot, the home counts the workers that hold it
 * (one writer for each slot), and every worker reads that count when it has hashed a topic: a connection that
 * publishes there is parked, with its bytes unread. When the subscriber is no more than a quarter of a ring
 * behind, is live again or is gone, it lets go of all its slots.
 *
 * A mark that is seen late parks late, and an end that is seen late is found by the next look at the parked:
 * nothing depends on the order in which others see the counts. Who holds a slot himself is not parked by
 * that: his own worker knows his share. Other slots of the log go on, so the ring may still overtake the
 * subscriber; then, and when its time is over, it is disconnected. */
#include "core/shard/worker.h"

#include <stdlib.h>

struct block {
    uint64_t since_ns;
    uint64_t slots[SLOT_COUNT / 64]; /* one bit for each that it holds */
};

static bool holds(const struct peer *peer, uint32_t slot) {
    return peer->block != NULL && (peer->block->slots[slot / 64] >> slot % 64 & 1u) != 0;
}

/* ---- the subscriber's worker ---- */

static void hold(struct peer *peer, uint32_t slot) {
    struct worker *worker = peer->worker;
    if (holds(peer, slot))
        return;
    peer->block->slots[slot / 64] |= UINT64_C(1) << slot % 64;
    worker->held[slot]++;
    worker->held_changed = true;
}

void block_note(struct peer *peer, const struct log *log, const struct run *run) {
    for (uint64_t position = run->first; position < run->first + run->records; position++)
        hold(peer, log_flags_slot(log_entry_at(log, position)->flags));
}

void block_end(struct peer *peer) {
    struct worker *worker = peer->worker;
    if (peer->block == NULL)
        return;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        worker->held[slot] -= holds(peer, slot);
    worker->held_changed = true;
    worker->worked = true; /* perhaps behind this turn's telling: no sleep before the next one */
    counter_add(&worker->stats.blocking, UINT64_MAX); /* minus one */
    free(peer->block);
    peer->block = NULL;
    peer_apart(peer);
}

static void block_begin(struct peer *peer) {
    struct worker *worker = peer->worker;
    peer->block = calloc(1, sizeof *peer->block);
    if (peer->block == NULL)
        return; /* it is tried again in the next turn */
    peer_apart(peer);
    peer->block->since_ns = worker->now_ns;
    counter_add(&worker->stats.blocking, 1);
    counter_add(&worker->stats.blocks, 1);
}

/* Whether it is further behind in some log than this share of the ring. */
static bool lags(const struct peer *peer, uint32_t share) {
    struct worker *worker = peer->worker;
    for (uint32_t i = 0; i < worker->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        uint64_t at = peer->at[i];
        if (!peer_reads(peer, i) || at >= reader->cursor)
            continue;
        if (reader->cursor - at > log_records(reader->log) / share ||
            !log_reader_lower(reader->log, reader->past, at))
            return true;
        uint64_t bytes =
            log_entry_at(reader->log, reader->cursor - 1)->offset - log_entry_at(reader->log, at)->offset;
        log_reader_idle(reader->log, reader->past);
        if (bytes > log_data_bytes(reader->log) / share)
            return true;
    }
    return false;
}

/* Who catches up after beginning in the past holds nobody back before it has been live. */
static void block_look(struct peer *peer) {
    if (peer->policy != ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_BLOCK || peer->retired)
        return;
    if (peer->block == NULL && !peer->resuming && lags(peer, BLOCK_BEGIN_SHARE))
        block_begin(peer);
    else if (peer->block != NULL && !lags(peer, BLOCK_END_SHARE))
        block_end(peer);
}

bool block_over(const struct peer *peer) {
    const struct worker *worker = peer->worker;
    return peer->block != NULL && worker->now_ns - peer->block->since_ns > worker->limits.block_ns;
}

/* The home learns whether somebody here holds its slot; a full mailbox is tried again in the next turn. */
static bool slot_tell(struct worker *worker, uint32_t slot) {
    uint32_t home = worker->shards->slots[slot];
    bool held = worker->held[slot] > 0;
    if (held == worker->held_told[slot])
        return true;
    struct worker *other = worker->shards->workers[home];
    struct mpsc_command command = {.kind = held ? COMMAND_HOLD : COMMAND_RELEASE, .small = slot};
    if (home == worker->number)
        block_count(worker, slot, held);
    else if (mpsc_push(other->mailbox, &command) != RING_OK)
        return false;
    else
        wake_signal(&other->wake);
    worker->held_told[slot] = held;
    return true;
}

void blocks_look(struct worker *worker) {
    struct list *next;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = next) {
        next = node->next;
        block_look(LIST_OF(node, struct peer, lagging));
    }
    if (!worker->held_changed)
        return;
    worker->held_changed = false;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (!slot_tell(worker, slot))
            worker->held_changed = worker->worked = true;
}

/* ---- the slot's home ---- */

void block_count(struct worker *worker, uint32_t slot, bool held) {
    struct counter *holders = &worker->shards->holders[slot];
    counter_add(holders, held ? 1 : UINT64_MAX);
    if (counter_get(holders) == (held ? 1 : 0))
        counter_add(&worker->stats.blocked_slots, held ? 1 : UINT64_MAX);
}

/* ---- the publisher's worker ---- */

bool block_holds_back(const struct peer *peer, uint32_t slot) {
    const struct worker *worker = peer->worker;
    uint64_t holders = counter_get(&worker->shards->holders[slot]);
    if (LIKELY(holders == 0))
        return false;
    if (worker->draining)
        return false; /* nothing is read any more, and nobody shall wait for it */
    return holders > worker->held_told[slot] || worker->held[slot] > (holds(peer, slot) ? 1u : 0u);
}
