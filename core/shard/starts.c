/* Where subscriptions begin.
 *
 * A connection has one cursor per log, and each of its subscriptions may have a start per log: below it
 * nothing is delivered for it. A subscription needs starts when its connection stands, or may go back, below
 * the point where it begins: the connection lags, holds unsent slices, or goes back for another one that
 * resumes. A connection with starts is young; it is served record by record while it lags, and is young no
 * more when all that was queued before has been sent. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

/* ---- beginning ---- */

static uint64_t *starts_new(const struct worker *worker) {
    CHECK(worker->shards->log_count > 0);
    return calloc(worker->shards->log_count, sizeof(uint64_t));
}

static bool sub_reads(const struct subscription *sub, uint32_t log) {
    return (sub->logs >> log & 1u) != 0;
}

/* Every subscription so far has been served up to where the connection stands; while it goes back for another
 * one they must not get that again. */
static bool others_start(struct peer *peer) {
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        if (sub->start == NULL && (sub->start = starts_new(peer->worker)) == NULL)
            return false;
        for (uint32_t i = 0; i < peer->worker->shards->log_count; i++)
            if (sub->start[i] < peer->at[i])
                sub->start[i] = peer->at[i];
    }
    return true;
}

#define NEVER_SEEN UINT64_MAX

/* Where a Position stands in a log. NEVER_SEEN: it says nothing of it, or of an earlier run of it. */
static uint64_t resume_at(const struct worker *worker, const struct position *resume, uint32_t log) {
    uint16_t number = log_number(worker->readers[log].log);
    for (uint32_t i = 0; i < resume->count; i++)
        if (resume->logs[i].number == number)
            return sequence_epoch(resume->logs[i].next) == log_epoch(worker->shards, log)
                       ? sequence_position(resume->logs[i].next)
                       : NEVER_SEEN;
    return NEVER_SEEN;
}

/* What of the logs that it reads its Position can not speak of. */
static void strangeness(const struct worker *worker, struct subscription *sub) {
    const struct session_facts *facts = &worker->shards->facts;
    sub->stranger = memcmp(sub->resume->instance, facts->instance, sizeof facts->instance) != 0;
    for (uint32_t i = 0; i < worker->shards->log_count; i++)
        if (sub_reads(sub, i) && (sub->stranger || resume_at(worker, sub->resume, i) == NEVER_SEEN))
            sub->strange |= UINT64_C(1) << i;
}

/* A laggard reads a log from now on: there it stands at the live end. */
static void read_anew(struct peer *peer, const struct subscription *sub) {
    for (uint32_t i = 0; peer->at != NULL && i < peer->worker->shards->log_count; i++)
        if (sub_reads(sub, i) && !peer_reads(peer, i))
            peer->at[i] = peer->worker->readers[i].cursor;
}

/* The connection's cursors go back to the Position, and only this subscription gets what lies between. Where
 * the others stand is known once the connection has a cursor: what is queued for them and unsent goes back
 * into it. */
static bool resume_begin(struct peer *peer, struct subscription *sub) {
    uint32_t logs = peer->worker->shards->log_count;
    bool back = false;
    for (uint32_t i = 0; i < logs; i++) {
        uint64_t next = sub_reads(sub, i) ? resume_at(peer->worker, sub->resume, i) : NEVER_SEEN;
        if (next == NEVER_SEEN || next >= sub->start[i])
            continue;
        sub->start[i] = next == 0 ? 1 : next;
        back = true;
    }
    if (!back)
        return true;
    if ((peer->at == NULL && !catchup_enter(peer)) || !others_start(peer))
        return false;
    for (uint32_t i = 0; i < logs; i++)
        if (sub_reads(sub, i) && sub->start[i] < peer->at[i])
            peer->at[i] = sub->start[i];
    peer->resuming = true;
    return true;
}

bool starts_set(struct peer *peer, struct subscription *sub) {
    const struct worker *worker = peer->worker;
    if (sub->resume != NULL)
        strangeness(worker, sub);
    bool resumes = sub->resume != NULL && sub->strange != sub->logs;
    read_anew(peer, sub);
    if (peer->at == NULL && peer->conn.out.slices == 0 && !resumes)
        return true; /* live, and all before it is sent: nothing lies between */
    sub->start = starts_new(worker);
    if (sub->start == NULL)
        return false;
    for (uint32_t i = 0; i < worker->shards->log_count; i++)
        if (sub_reads(sub, i))
            sub->start[i] = worker->readers[i].cursor;
    peer->young = true;
    return !resumes || resume_begin(peer, sub);
}

void starts_over(struct peer *peer) {
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        free(sub->start);
        sub->start = NULL;
    }
    peer->young = false;
}

/* ---- questions of the catch-up ---- */

static bool subscription_matches(const struct subscription *sub, const uint8_t *topic, uint32_t length) {
    const uint8_t *pattern = sub->pattern;
    for (uint32_t i = 0; i < sub->patterns; i++, pattern = pattern_next(pattern))
        if (pattern_matches(pattern + 1, pattern[0], topic, length))
            return true;
    return false;
}

bool starts_want(const struct peer *peer, uint32_t log, uint64_t position, const uint8_t *topic,
                 uint32_t length) {
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        if ((sub->start == NULL || sub->start[log] <= position) && subscription_matches(sub, topic, length))
            return true;
    }
    return false;
}

static uint64_t start_of(const struct subscription *sub, uint32_t log, uint64_t from) {
    return sub->start != NULL && sub->start[log] > from ? sub->start[log] : from;
}

/* Only literals, whose slots have had nothing since. */
static bool missed_nothing(const struct worker *worker, const struct subscription *sub, uint32_t log,
                           uint64_t from) {
    const uint8_t *pattern = sub->pattern;
    for (uint32_t i = 0; i < sub->patterns; i++, pattern = pattern_next(pattern)) {
        if (pattern_wild(pattern + 1, pattern[0]))
            return false;
        uint64_t hash = topic_hash(pattern + 1, pattern[0], worker->shards->config.slot_seed);
        if (topic_log(worker, pattern + 1, pattern[0], hash) == log &&
            log_slot_last(worker->readers[log].log, topic_slot(hash)) >= from)
            return false;
    }
    return true;
}

uint64_t starts_needed(const struct peer *peer, uint32_t log, uint64_t from) {
    uint64_t needed = UINT64_MAX;
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        uint64_t start = start_of(sub, log, from);
        if (sub_reads(sub, log) && start < needed && !missed_nothing(peer->worker, sub, log, start))
            needed = start;
    }
    return needed;
}

/* Per log: nothing below is due to any subscription; UINT64_MAX where none reads. */
static void lowest_starts(const struct peer *peer, uint64_t *lowest) {
    uint32_t logs = peer->worker->shards->log_count;
    for (uint32_t i = 0; i < logs; i++)
        lowest[i] = peer_reads(peer, i) && !peer->young ? 0 : UINT64_MAX;
    if (!peer->young)
        return;
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        for (uint32_t i = 0; i < logs; i++)
            if (sub_reads(sub, i) && start_of(sub, i, 0) < lowest[i])
                lowest[i] = start_of(sub, i, 0);
    }
}

bool starts_ended(struct peer *peer) {
    if (peer->ended_at == NULL)
        peer->ended_at = starts_new(peer->worker);
    if (peer->ended_at != NULL)
        lowest_starts(peer, peer->ended_at);
    return peer->ended_at != NULL;
}

void starts_skip(struct peer *peer) {
    uint64_t lowest[LOGS_MAX];
    if (peer->at == NULL)
        return;
    lowest_starts(peer, lowest);
    for (uint32_t i = 0; i < peer->worker->shards->log_count; i++) {
        if (!peer_reads(peer, i))
            peer->at[i] = delivery_live_end(&peer->worker->readers[i]);
        else if (peer->at[i] < lowest[i])
            peer->at[i] = lowest[i];
    }
}
