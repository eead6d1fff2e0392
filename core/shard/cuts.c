/* Where slots have moved from one log to another, and in which order their logs are read.
 *
 * A cut says: the events of these slots lie in the log `from` below `close`, and in `to` from `open` on. It
 * is written when nothing more can come to them in `from`, and before anything comes in `to`; so whoever sees
 * an event of theirs behind `open` finds the cut. Whoever reads both logs does not pass `open` before it has
 * passed `close`: a live cursor walks the old log that far first, which it can at once, as all of it is
 * visible; a laggard, a queue that is not live and a replay wait, each for itself. What a reader waits for is
 * always older than where it stands, so no two waits can close a circle.
 *
 * Cuts are in the order of time, also of each log's positions, and are kept for ever: a sequence names its
 * log by its epoch. tests/models/slots.pml, docs/decisions/0028-moving-slots.md */
#include "core/shard/moves.h"

#include "core/base/topic.h"

#include <string.h>

/* ---- who passes what ---- */

void cuts_meet(struct worker *worker) {
    uint32_t count = (uint32_t)published_get(&worker->shards->cuts_count);
    while (worker->cuts_seen < count) {
        const struct cut *cut = cut_at(worker->shards, worker->cuts_seen);
        worker->cuts_seen++;
        /* no further: behind `close` may lie what a later cut has brought there */
        delivery_walk_to(worker, cut->from, cut->close);
        if (worker->readers[cut->to].attached)
            keeper_cut(worker, cut);
    }
}

/* Whoever has been carried beyond where a slot came in, because what lay there is gone, may still have to see
 * where it came from: so it counts as standing there. The cuts are in the order of time, so what is behind so
 * far is so by cuts that opened there before this one closed: once through is enough. */
uint64_t cuts_bound(const struct worker *worker, uint32_t log, uint64_t logs, const uint64_t *at) {
    uint64_t bound[LOGS_MAX];
    for (uint32_t i = 0; i < worker->log_count; i++)
        bound[i] = UINT64_MAX;
    for (uint32_t i = worker->cuts_first; i < worker->cuts_seen; i++) {
        const struct cut *cut = cut_at(worker->shards, i);
        bool behind = (logs >> cut->from & 1u) != 0 && at[cut->from] < cut->close;
        if ((behind || bound[cut->from] != UINT64_MAX) && cut->open < bound[cut->to])
            bound[cut->to] = cut->open;
    }
    return bound[log];
}

/* Who still has to be told what he has missed in front of it. */
static bool somebody_waits(const struct worker *worker, const struct cut *cut) {
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, lagging);
        if (peer_reads(peer, cut->from) && peer->at[cut->from] < cut->close)
            return true;
    }
    return keeper_waits(worker, cut);
}

/* Where all that lies in front of a cut has been overwritten, and is nobody's concern any more. */
void cuts_housekeeping(struct worker *worker) {
    while (worker->cuts_first < worker->cuts_seen) {
        const struct cut *cut = cut_at(worker->shards, worker->cuts_first);
        if (log_oldest(worker->readers[cut->from].log) < cut->close || somebody_waits(worker, cut))
            return;
        worker->cuts_first++;
    }
}

bool cuts_open_at(const struct worker *worker, uint32_t log, uint64_t position) {
    for (uint32_t i = worker->cuts_first; i < worker->cuts_seen; i++) {
        const struct cut *cut = cut_at(worker->shards, i);
        if (cut->to == log && cut->open == position)
            return true;
    }
    return false;
}

/* The slots of what it asks for, as far as they move; one bit each. */
static void slots_of(const struct worker *worker, const struct subscription *sub,
                     uint64_t slots[SLOT_COUNT / 64]) {
    const uint8_t *pattern = sub->pattern;
    memset(slots, 0, SLOT_COUNT / 8);
    for (uint32_t i = 0; i < sub->patterns; i++, pattern = pattern_next(pattern)) {
        if (pattern_wild(pattern + 1, pattern[0])) {
            memset(slots, 0xff, SLOT_COUNT / 8);
            return;
        }
        uint64_t hash = topic_hash(pattern + 1, pattern[0], worker->shards->config.slot_seed);
        uint32_t slot = topic_slot(hash);
        if (topic_place(worker, pattern + 1, pattern[0], hash).moves)
            slots[slot / 64] |= UINT64_C(1) << slot % 64;
    }
}

static bool cut_has_any(const struct cut *cut, const uint64_t slots[SLOT_COUNT / 64]) {
    uint64_t any = 0;
    for (uint32_t i = 0; i < SLOT_COUNT / 64; i++)
        any |= cut->slots[i] & slots[i];
    return any != 0;
}

uint64_t cuts_oldest(const struct worker *worker, const struct subscription *sub, uint32_t log) {
    uint64_t oldest = log_kept(worker, log), slots[SLOT_COUNT / 64];
    bool known = false;
    for (uint32_t i = worker->cuts_first; i < worker->cuts_seen; i++) {
        const struct cut *cut = cut_at(worker->shards, i);
        if (cut->to != log || cut->open >= oldest || log_oldest(worker->readers[cut->from].log) >= cut->close)
            continue;
        if (!known)
            slots_of(worker, sub, slots);
        known = true;
        if (cut_has_any(cut, slots))
            oldest = cut->open;
    }
    return oldest;
}

/* ---- the history of a slot ---- */

/* The last cut that the slot had gone through when it had that epoch; NULL = none. */
static const struct cut *cut_of(const struct shards *shards, uint32_t slot, uint16_t epoch) {
    const struct cut *found = NULL;
    for (uint32_t i = 0; i < published_get(&shards->cuts_count); i++) {
        const struct cut *cut = cut_at(shards, i);
        if (cut->epoch > epoch)
            break;
        if (cut_has(cut, slot))
            found = cut;
    }
    return found;
}

uint16_t cuts_epoch(const struct shards *shards, uint32_t slot) {
    const struct cut *cut = cut_of(shards, slot, UINT16_MAX);
    return cut != NULL ? cut->epoch : log_epoch(shards, shards->slots[slot]);
}

uint32_t cuts_log(const struct shards *shards, uint32_t slot, uint64_t sequence) {
    const struct cut *cut = cut_of(shards, slot, sequence_epoch(sequence));
    return cut != NULL ? cut->to : shards->slots[slot];
}

uint64_t cuts_start(const struct shards *shards, uint32_t slot, uint64_t sequence, uint32_t log) {
    uint64_t position = sequence_position(sequence);
    if (cuts_log(shards, slot, sequence) == log)
        return position == 0 ? 1 : position;
    for (uint32_t i = 0; i < published_get(&shards->cuts_count); i++) {
        const struct cut *cut = cut_at(shards, i);
        if (cut->epoch > sequence_epoch(sequence) && cut->to == log && cut_has(cut, slot))
            return cut->open;
    }
    return 0;
}
