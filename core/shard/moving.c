/* A worker's part in a change of the sharding.
 *
 * GROW. There are more workers and logs: it attaches a reader to each log, which wildcards read from its
 * first record on. HOLD. From here on it gives nothing more to slots that move; connections that publish
 * there are parked, with their bytes unread. Whoever subscribes to such a slot here, or will, reads the log
 * it moves to as well: before anything can come there. The step is done when all that this worker had given
 * to other workers' memory logs has been published by their homes; what it had appended itself it has
 * published in this turn. GO. The slots are where they are to be: it publishes there, and looks at the parked
 * again.
 *
 * A slot's old logs are read as long as they have something of it, which `slot_last` and `oldest` of a log
 * say, and no laggard or queue here could still want that. */
#include "core/shard/moves.h"

#include "core/shard/change_private.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

static bool held(const struct change *change, uint32_t slot) {
    return slots_have(change->held, slot);
}

/* ---- which logs a slot is read from ---- */

static void slot_logs_set(struct worker *worker, uint32_t slot, uint64_t logs) {
    uint64_t before = worker->slot_logs[slot];
    worker->slot_logs[slot] = logs;
    if (worker->interest[slot] == 0)
        return;
    for (uint64_t left = logs & ~before; left != 0; left &= left - 1)
        reader_want(worker, (uint32_t)__builtin_ctzll(left));
    for (uint64_t left = before & ~logs; left != 0; left &= left - 1)
        reader_unwant(worker, (uint32_t)__builtin_ctzll(left));
}

/* What of a slot's old logs may still be read. */
static uint64_t slot_logs_left(const struct worker *worker, uint32_t slot) {
    uint64_t logs = UINT64_C(1) << worker->places[slot].log;
    for (uint64_t old = worker->slot_logs[slot] & ~logs; old != 0; old &= old - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(old);
        const struct log *log = worker->readers[i].log;
        if (log_slot_last(log, slot) >= log_oldest(log) || !keeper_left(worker, slot, i))
            logs |= UINT64_C(1) << i;
    }
    return logs;
}

/* Who lags, or looks for its start, may stand in what is gone and has to be told. */
void moving_housekeeping(struct worker *worker) {
    bool any = false;
    cuts_housekeeping(worker);
    if (!worker->slots_old || worker->moving != NULL || !list_empty(&worker->lagging) ||
        !list_empty(&worker->changing))
        return;
    worker->slots_old = false;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint64_t logs = worker->slot_logs[slot];
        if ((logs & (logs - 1)) == 0)
            continue;
        logs = slot_logs_left(worker, slot);
        any |= logs != worker->slot_logs[slot];
        slot_logs_set(worker, slot, logs);
        worker->slots_old |= (logs & (logs - 1)) != 0;
    }
    if (!any)
        return;
    subs_renew(worker);
    bool renewed = keeper_renew(worker);
    CHECK(renewed); /* nothing is added, which alone could fail */
}

static uint64_t slot_logs_ever(const struct shards *shards, uint32_t slot) {
    uint64_t logs = 0;
    for (uint32_t i = 0; i < published_get(&shards->cuts_count); i++)
        if (cut_has(cut_at(shards, i), slot))
            logs |= UINT64_C(1) << cut_at(shards, i)->from;
    return logs;
}

void moving_recall(struct worker *worker, const uint8_t *pattern, uint32_t count) {
    bool any = false;
    for (uint32_t i = 0; i < count && worker->cuts_seen > 0; i++, pattern = pattern_next(pattern)) {
        uint64_t hash = topic_hash(pattern + 1, pattern[0], worker->shards->config.slot_seed);
        uint32_t slot = topic_slot(hash);
        uint64_t logs = worker->slot_logs[slot] | slot_logs_ever(worker->shards, slot);
        if (pattern_wild(pattern + 1, pattern[0]) || logs == worker->slot_logs[slot] ||
            !topic_place(worker, pattern + 1, pattern[0], hash).moves)
            continue;
        slot_logs_set(worker, slot, logs);
        any = true;
    }
    if (!any)
        return;
    worker->slots_old = true;
    subs_renew(worker);
}

/* ---- readers ---- */

static void reader_make(struct worker *worker, uint32_t i) {
    struct reader *reader = &worker->readers[i];
    reader->index = i;
    reader->log = worker->shards->logs[i];
    reader->floor = LOG_IDLE;
    reader->judged = log_visible(reader->log);
    worker->rings[i] = log_view_of(reader->log);
    worker->views[i] = &worker->rings[i];
    reader->gate = log_reader_attach(reader->log);
    reader->past = log_reader_attach(reader->log);
    CHECK(reader->gate >= 0 && reader->past >= 0); /* LOG_READERS_MAX counts two for each worker */
}

void moving_make(struct worker *worker) {
    const struct shards *shards = worker->shards;
    while (worker->log_count < LOGS_MAX && shards->log_homes[worker->log_count] != 0)
        worker->log_count++;
    worker->worker_count = (uint32_t)published_get(&shards->worker_count);
    if (worker->worker_count <= worker->number)
        worker->worker_count = worker->number + 1;
    worker->active_count = (uint32_t)published_get(&shards->active_count);
    worker->judged = shards->judged;
    memcpy(worker->places, shards->places, sizeof worker->places);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        worker->slot_logs[slot] = UINT64_C(1) << worker->places[slot].log;
    worker->cuts_seen = (uint32_t)published_get(&shards->cuts_count);
    worker->slots_old = worker->cuts_seen > 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT && worker->slots_old; slot++)
        worker->slot_logs[slot] |= slot_logs_ever(shards, slot);
}

void moving_attach(struct worker *worker) {
    if (worker->number < worker->shards->config.count) /* others are told by a step, when all are made */
        worker->judged = worker->shards->judged;
    for (uint32_t i = 0; i < worker->log_count; i++)
        reader_make(worker, i);
}

/* ---- the steps ---- */

static void pin(struct worker *worker, const struct change *change) {
    if (worker->number < change->count)
        worker_pin(worker, change->pins ? (int)change->cpus[worker->number] : -1);
}

static void grow(struct worker *worker, const struct change *change) {
    const struct shards *shards = worker->shards;
    uint32_t logs = (uint32_t)published_get(&shards->log_count);
    worker->worker_count = (uint32_t)published_get(&shards->worker_count);
    worker->judged = shards->judged;
    for (; worker->log_count < logs; worker->log_count++) {
        uint32_t i = worker->log_count;
        reader_make(worker, i);
        for (uint32_t wild = 0; wild < worker->interest_wild; wild++)
            reader_want(worker, i);
    }
    pin(worker, change);
}

static void hold(struct worker *worker, const struct change *change) {
    worker->moving = change->held;
    worker->slots_old = true;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (held(change, slot))
            slot_logs_set(worker, slot, worker->slot_logs[slot] | UINT64_C(1) << change->places[slot].log);
    for (uint32_t way = 0; way < ways_count(worker); way++)
        if (worker->out[way].ring != NULL)
            worker->moving_until[way] = spsc_committed(worker->out[way].ring);
}

static void go(struct worker *worker, const struct change *change) {
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (held(change, slot))
            worker->places[slot] = change->places[slot];
    worker->shape = (struct wire_shape){0}; /* where its topic goes is found out anew */
    worker->moving = NULL;
    worker->active_count = change->count;
}

/* What its home has learnt of these slots is on its way; nothing more comes to them. */
static void carry(const struct worker *worker, struct change *change) {
    change->carries[worker->number] =
        known_carry(&worker->homes[0], change->held, &change->carried[worker->number]);
}

static void take_over(const struct worker *worker, const struct change *change) {
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        if (i != worker->number)
            known_take_over(&worker->homes[0], change->carried[i], change->places);
}

void change_take(struct worker *worker, struct change *change, enum change_step step, uint64_t number) {
    CHECK(worker->change == NULL);
    worker->change = change;
    worker->change_step = step;
    worker->change_number = number;
    worker->change_reads = step != CHANGE_GROW && step != CHANGE_HOLD;
    if (step == CHANGE_GROW)
        grow(worker, change);
    else if (step == CHANGE_HOLD)
        hold(worker, change);
    else if (step == CHANGE_CARRY)
        carry(worker, change);
    else if (step == CHANGE_TAKE)
        take_over(worker, change);
    else
        go(worker, change);
    if (!worker->change_reads)
        subs_renew(worker);
}

/* Whatever was given to the memory logs of other workers is published there. */
static bool given_arrived(struct worker *worker) {
    for (uint32_t way = 0; way < ways_count(worker); way++) {
        struct link_out *link = &worker->out[way];
        if (link->ring == NULL || way_class(worker->shards, way) != TOPIC_MEMORY ||
            spsc_consumed(link->ring) >= worker->moving_until[way])
            continue;
        link_want(link);
        if (spsc_consumed(link->ring) < worker->moving_until[way])
            return false;
    }
    return true;
}

void change_turn(struct worker *worker) {
    if (LIKELY(worker->change == NULL))
        return;
    if (!worker->change_reads)
        worker->change_reads = keeper_renew(worker);
    if (!worker->change_reads || (worker->change_step == CHANGE_HOLD && !given_arrived(worker)))
        return;
    worker->change = NULL;
    published_set(&worker->taken, worker->change_number);
}
