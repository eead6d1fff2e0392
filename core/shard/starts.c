/* Where subscriptions begin.
 *
 * A connection has one cursor per log, and each of its subscriptions may have a start per log: below it
 * nothing is delivered for it. A subscription needs starts when its connection stands, or may go back, below
 * the point where it begins: the connection lags, holds unsent slices, or goes back for another one that
 * begins in the past. A connection with starts is young; it is served record by record while it lags, and is
 * young no more when all that was queued before has been sent.
 *
 * Whoever begins in the past goes back with the connection's cursor, and what has been overwritten by then is
 * found out, and told by a Gap, by the catch-up. A subscription to the last events of topics starts at the
 * cursors, and has picks below them. Its Positions say in which logs picks were left over: there it is begun
 * anew when it resumes, while elsewhere it goes on exactly.
 *
 * A Position speaks of each log by its number and epoch. Of a log that it does not know, or knows from an
 * earlier run, it is a stranger: there a subscription begins as one without a Position, and is told so. */
#include "core/shard/moves.h"

#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

static bool refused(struct fault *fault, enum rh_code code, const char *text, const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

static bool sub_reads(const struct subscription *sub, uint32_t log) {
    return (sub->logs >> log & 1u) != 0;
}

/* ---- what is asked for ---- */

static bool start_read(const Roundhouse__V1__Start *from, struct start *start) {
    switch (from->from_case) {
    case ROUNDHOUSE__V1__START__FROM_OLDEST:
        start->kind = START_OLDEST;
        return from->oldest;
    case ROUNDHOUSE__V1__START__FROM_SEQUENCE:
        start->kind = START_SEQUENCE;
        start->value = from->sequence;
        return true;
    case ROUNDHOUSE__V1__START__FROM_TIME_NS:
        start->kind = START_TIME;
        start->value = from->time_ns;
        return true;
    case ROUNDHOUSE__V1__START__FROM_LAST_PER_TOPIC:
        start->kind = START_LAST;
        return from->last_per_topic;
    default:
        return false;
    }
}

static bool start_valid(const struct subscription *sub, const struct start *start, struct fault *fault) {
    if (start->kind != START_SEQUENCE)
        return true;
    if (sub->patterns != 1 || pattern_wild(sub->pattern + 1, sub->pattern[0]))
        return refused(fault, RH_CODE_INVALID,
                       "a sequence belongs to one topic: ask with one pattern without wildcards",
                       "subscribe.start");
    if (start->value == 0)
        return refused(fault, RH_CODE_INVALID, "no event has the sequence 0", "subscribe.start");
    return true;
}

#define NEVER_SEEN UINT64_MAX

/* The log is younger than the Position: all of it comes behind. */
static bool position_before(const struct worker *worker, const struct position *position, uint32_t log) {
    const struct shards *shards = worker->shards;
    return log >= shards->config.count + shards->config.disk_logs && position->count > 0 &&
           position->logs[0].number == log_number(worker->readers[0].log) &&
           sequence_epoch(position->logs[0].next) == log_epoch(shards, 0);
}

/* The sequence at which a Position stands in a log, or NEVER_SEEN. *undone: last events are left over there.
 */
static uint64_t position_next(const struct worker *worker, const struct position *position, uint32_t log,
                              bool *undone) {
    uint16_t number = log_number(worker->readers[log].log);
    *undone = false;
    for (uint32_t i = 0; i < position->count; i++)
        if (position->logs[i].number == number) {
            *undone = (position->undone >> i & 1u) != 0;
            return position->logs[i].next;
        }
    if (position_before(worker, position, log))
        return sequence_make(log_epoch(worker->shards, log), 1);
    return NEVER_SEEN;
}

/* It is of an earlier run of the log. Of a later one there can be no sequence, but a Position there may: of a
 * server that has been set back. */
static bool epoch_strange(const struct worker *worker, const struct start *start, uint32_t log,
                          uint64_t sequence) {
    uint16_t epoch = log_epoch(worker->shards, log);
    if (start->resumes)
        return sequence == NEVER_SEEN || sequence_epoch(sequence) != epoch;
    return sequence_epoch(sequence) < epoch;
}

/* What of the logs that it reads its Position or sequence can not speak of. */
static void strangeness(const struct worker *worker, struct subscription *sub) {
    struct start *start = sub->begin;
    bool undone;
    for (uint32_t i = 0; i < worker->log_count; i++) {
        uint64_t next = start->value;
        if (start->resumes)
            next = position_next(worker, &start->position, i, &undone);
        if (start->resumes && undone)
            start->undone |= UINT64_C(1) << i;
        if (sub_reads(sub, i) && (sub->stranger || epoch_strange(worker, start, i, next)))
            sub->strange |= UINT64_C(1) << i;
    }
}

void starts_renew(const struct worker *worker, struct subscription *sub) {
    if (sub->begin->resumes || sub->begin->kind == START_SEQUENCE)
        strangeness(worker, sub);
}

static bool position_read(const struct worker *worker, const Roundhouse__V1__Subscribe *subscribe,
                          struct subscription *sub, struct fault *fault) {
    struct start *start = sub->begin;
    const uint8_t *instance = worker->shards->facts.instance;
    start->resumes = subscribe->position.len > 0;
    if (start->resumes &&
        !position_unpack(subscribe->position.data, subscribe->position.len, &start->position, fault))
        return false;
    sub->stranger =
        start->resumes && memcmp(start->position.instance, instance, sizeof start->position.instance) != 0;
    if (start->resumes || start->kind == START_SEQUENCE)
        strangeness(worker, sub);
    return true;
}

bool starts_read(const struct worker *worker, const Roundhouse__V1__Subscribe *subscribe,
                 struct subscription *sub, struct fault *fault) {
    if ((unsigned)subscribe->gone > ROUNDHOUSE__V1__GONE_POLICY__GONE_POLICY_REFUSE)
        return refused(fault, RH_CODE_INVALID, "unknown policy for what is gone: use GAP or REFUSE",
                       "subscribe.gone");
    if (subscribe->position.len == 0 && subscribe->start == NULL)
        return true;
    sub->begin = calloc(1, sizeof *sub->begin);
    if (sub->begin == NULL)
        return refused(fault, RH_CODE_EXHAUSTED, "the server has no memory for this subscription now", NULL);
    sub->begin->refuse = subscribe->gone == ROUNDHOUSE__V1__GONE_POLICY__GONE_POLICY_REFUSE;
    if (subscribe->start != NULL && !start_read(subscribe->start, sub->begin))
        return refused(fault, RH_CODE_INVALID,
                       "a start says one of oldest, sequence, time_ns and last_per_topic, and a flag is true",
                       "subscribe.start");
    return start_valid(sub, sub->begin, fault) && position_read(worker, subscribe, sub, fault);
}

void starts_begun(struct subscription *sub) {
    if (sub->begin != NULL)
        search_free(sub->begin->search);
    free(sub->begin);
    sub->begin = NULL;
}

void starts_free(struct worker *worker, struct subscription *sub) {
    starts_begun(sub);
    if (sub->picks != NULL)
        worker->picks -= sub->picks->count;
    free(sub->picks);
    free(sub->start);
    sub->picks = NULL;
    sub->start = NULL;
}

/* ---- whether it can be had ---- */

/* Only literals, whose slots have had nothing since. */
static bool missed_nothing(const struct worker *worker, const struct subscription *sub, uint32_t log,
                           uint64_t from) {
    const uint8_t *pattern = sub->pattern;
    for (uint32_t i = 0; i < sub->patterns; i++, pattern = pattern_next(pattern)) {
        if (pattern_wild(pattern + 1, pattern[0]))
            return false;
        uint64_t hash = topic_hash(pattern + 1, pattern[0], worker->shards->config.slot_seed);
        if ((topic_logs(worker, pattern + 1, pattern[0], hash) >> log & 1u) != 0 &&
            log_slot_last(worker->readers[log].log, topic_slot(hash)) >= from)
            return false;
    }
    return true;
}

static bool sub_strange(const struct subscription *sub, uint32_t log) {
    return (sub->strange >> log & 1u) != 0;
}

/* The sequence that a resumed one, or one with a sequence, names in a log; 0 = it names none. */
static uint64_t start_names(const struct worker *worker, const struct subscription *sub, uint32_t log) {
    const struct start *start = sub->begin;
    bool undone;
    if (sub_strange(sub, log))
        return 0;
    if (!start->resumes)
        return start->kind == START_SEQUENCE ? start->value : 0;
    uint64_t next = position_next(worker, &start->position, log, &undone);
    return undone && start->kind == START_LAST ? 0 : next;
}

/* Whether it has a sequence of a topic that moves with its slot, and so may be of another log. */
static bool start_moves(const struct worker *worker, const struct subscription *sub, uint32_t *slot) {
    const uint8_t *topic = sub->pattern + 1;
    if (sub->begin->resumes || sub->begin->kind != START_SEQUENCE)
        return false;
    uint64_t hash = topic_hash(topic, sub->pattern[0], worker->shards->config.slot_seed);
    *slot = topic_slot(hash);
    return topic_place(worker, topic, sub->pattern[0], hash).moves;
}

/* ... and the position of it, or, of a log that its slot has moved to later, where that begins. */
static uint64_t start_position(const struct worker *worker, const struct subscription *sub, uint32_t log) {
    uint64_t named = start_names(worker, sub, log);
    uint32_t slot;
    if (named != 0 && start_moves(worker, sub, &slot))
        return cuts_start(worker->shards, slot, named, log);
    return named != 0 && sequence_position(named) == 0 ? 1 : sequence_position(named);
}

static bool start_to_come(const struct worker *worker, const struct subscription *sub, uint32_t log) {
    uint64_t named = start_names(worker, sub, log);
    uint16_t epoch = log_epoch(worker->shards, log);
    uint32_t slot;
    if (named == 0)
        return false;
    if (start_moves(worker, sub, &slot)) {
        epoch = cuts_epoch(worker->shards, slot);
        if (cuts_log(worker->shards, slot, named) != log)
            return sequence_epoch(named) > epoch;
    }
    return sequence_epoch(named) > epoch || sequence_position(named) > log_visible(worker->readers[log].log);
}

static bool start_gone(const struct worker *worker, const struct subscription *sub, uint32_t log) {
    uint64_t named = start_position(worker, sub, log);
    if (named == 0)
        return search_lost(sub, log) != 0;
    return named < log_kept(worker, log) && !missed_nothing(worker, sub, log, named);
}

static bool to_come(const struct start *start, struct fault *fault) {
    if (start->resumes)
        return refused(fault, RH_CODE_INVALID,
                       "this Position lies in the future: it is not of this run of the server",
                       "subscribe.position");
    return refused(fault, RH_CODE_INVALID,
                   start->kind == START_TIME
                       ? "this time lies in the future by the server's clock"
                       : "this sequence lies in the future: it is not of this run of the server",
                   "subscribe.start");
}

bool starts_allowed(const struct worker *worker, const struct subscription *sub, struct fault *fault) {
    const struct start *start = sub->begin;
    if (start == NULL)
        return true;
    if (!start->resumes && start->kind == START_TIME && start->value > worker->clock_wall())
        return to_come(start, fault);
    bool gone = sub->strange != 0;
    for (uint32_t i = 0; i < worker->log_count; i++) {
        if (sub_reads(sub, i) && start_to_come(worker, sub, i))
            return to_come(start, fault);
        gone = gone || (sub_reads(sub, i) && start_gone(worker, sub, i));
    }
    return !gone || !start->refuse ||
           refused(
               fault, RH_CODE_INVALID,
               "what this subscription would begin with is no longer kept, and its policy for that is REFUSE",
               "subscribe.gone");
}

/* ---- beginning ---- */

static uint64_t *starts_new(void) {
    return calloc(LOGS_MAX, sizeof(uint64_t)); /* there may be more of them before it is over */
}

/* Every subscription so far has been served up to where the connection stands; while it goes back for another
 * one they must not get that again. */
static bool others_start(struct peer *peer) {
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        if (sub->start == NULL && (sub->start = starts_new()) == NULL)
            return false;
        for (uint32_t i = 0; i < peer->worker->log_count; i++) {
            if (sub->start[i] < peer->at[i])
                sub->start[i] = peer->at[i];
            picks_drop(sub->picks, i, peer->at[i]);
        }
    }
    return true;
}

/* A laggard reads a log from now on: there it stands at the live end. */
static void read_anew(struct peer *peer, const struct subscription *sub) {
    for (uint32_t i = 0; peer->at != NULL && i < peer->worker->log_count; i++)
        if (sub_reads(sub, i) && !peer_reads(peer, i))
            peer->at[i] = peer->worker->readers[i].cursor;
}

/* Where it begins in a log; no later than at the cursor. */
static uint64_t begins(const struct worker *worker, const struct subscription *sub, uint32_t log) {
    const struct start *start = sub->begin;
    uint64_t live = worker->readers[log].cursor;
    uint64_t named = start == NULL ? 0 : start_position(worker, sub, log);
    bool anew = start != NULL && (!start->resumes || sub_strange(sub, log));
    if (named == 0 && anew && start->kind == START_OLDEST)
        named = cuts_oldest(worker, sub, log);
    if (named == 0 && anew && start->kind == START_TIME)
        named = search_found(sub, log);
    return named != 0 && named < live ? named : live;
}

/* The lowest position that is due to it from `from` on, as far as its start says. */
static uint64_t start_of(const struct subscription *sub, uint32_t log, uint64_t from) {
    uint64_t start = sub->start != NULL && sub->start[log] > from ? sub->start[log] : from;
    uint64_t pick = picks_from(sub->picks, log, from);
    return pick < start ? pick : start;
}

/* The connection's cursors go back, and only this subscription gets what lies between. Where the others stand
 * is known once the connection has a cursor: what is queued for them and unsent goes back into it. */
static bool go_back(struct peer *peer, const struct subscription *sub) {
    uint32_t logs = peer->worker->log_count;
    bool back = false;
    for (uint32_t i = 0; i < logs; i++)
        back = back || (sub_reads(sub, i) && start_of(sub, i, 0) < peer->worker->readers[i].cursor);
    if (!back)
        return true;
    if ((peer->at == NULL && !catchup_enter(peer)) || !others_start(peer))
        return false;
    for (uint32_t i = 0; i < logs; i++)
        if (sub_reads(sub, i) && start_of(sub, i, 0) < peer->at[i])
            peer->at[i] = start_of(sub, i, 0);
    peer->resuming = true;
    return true;
}

static bool begins_live(const struct subscription *sub) {
    const struct start *start = sub->begin;
    if (start == NULL)
        return true;
    bool named = sub->strange != sub->logs; /* somewhere a Position or a sequence has a say */
    return (start->kind == START_LIVE || start->kind == START_SEQUENCE) &&
           (!named || (!start->resumes && start->kind == START_LIVE));
}

bool search_refused(enum search_result result, struct fault *fault) {
    if (result == SEARCH_TOO_MANY)
        return refused(fault, RH_CODE_EXHAUSTED,
                       "more than 65536 topics match, too many for last_per_topic: use narrower patterns",
                       "subscribe.start");
    if (result == SEARCH_UNREAD)
        return refused(fault, RH_CODE_INTERNAL,
                       "the journal can not be read, so it is not known where this would begin: the "
                       "server's log says why",
                       "subscribe.start");
    return refused(fault, RH_CODE_EXHAUSTED, "the server has no room for this subscription now", NULL);
}
static_assert(LAST_TOPICS_MAX == 65536, "the text names the limit");

bool starts_set(struct peer *peer, struct subscription *sub, struct fault *fault) {
    struct worker *worker = peer->worker;
    enum search_result result = SEARCH_DONE;
    read_anew(peer, sub);
    if (peer->at == NULL && peer->conn.out.slices == 0 && begins_live(sub))
        return true; /* live, and all before it is sent: nothing lies between */
    sub->start = starts_new();
    if (sub->start == NULL)
        return search_refused(SEARCH_NO_ROOM, fault);
    if (sub->begin != NULL && sub->begin->kind == START_LAST && search_logs(sub) != 0)
        result = search_picks(worker, sub);
    if (result != SEARCH_DONE)
        return search_refused(result, fault);
    for (uint32_t i = 0; i < worker->log_count; i++)
        if (sub_reads(sub, i))
            sub->start[i] = begins(worker, sub, i);
    peer->young = true;
    peer->picking = peer->picking || sub->picks != NULL;
    return go_back(peer, sub) || search_refused(SEARCH_NO_ROOM, fault);
}

void starts_over(struct peer *peer) {
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next)
        starts_free(peer->worker, LIST_OF(node, struct subscription, node));
    peer->young = peer->picking = false;
}

/* ---- where it stands ---- */

uint64_t starts_stand(const struct peer *peer, uint32_t log) {
    uint64_t at = peer->at[log];
    uint64_t lowest = UINT64_MAX;
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        uint64_t start = sub->start != NULL && sub->start[log] > at ? sub->start[log] : at;
        if (sub_reads(sub, log) && start < lowest)
            lowest = start;
    }
    return lowest == UINT64_MAX ? at : lowest;
}

uint64_t subscription_undone(const struct subscription *sub, const uint64_t *at) {
    uint64_t undone = 0;
    for (uint32_t i = 0; sub->picks != NULL && i < LOGS_MAX; i++)
        if (sub->picks->next[i] < sub->picks->end[i] && picks_from(sub->picks, i, at[i]) != UINT64_MAX)
            undone |= UINT64_C(1) << i;
    return undone;
}

uint64_t starts_undone(const struct peer *peer) {
    uint64_t undone = 0;
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next)
        undone |= subscription_undone(LIST_OF(node, struct subscription, node), peer->at);
    return undone;
}

/* ---- questions of the catch-up ---- */

bool subscription_matches(const struct subscription *sub, const uint8_t *topic, uint32_t length) {
    const uint8_t *pattern = sub->pattern;
    for (uint32_t i = 0; i < sub->patterns; i++, pattern = pattern_next(pattern))
        if (pattern_matches(pattern + 1, pattern[0], topic, length))
            return true;
    return false;
}

static bool sub_began(const struct subscription *sub, uint32_t log, uint64_t position) {
    return sub->start == NULL || start_of(sub, log, position) == position;
}

bool starts_want(const struct peer *peer, uint32_t log, uint64_t position, const struct log_view *view) {
    const struct log_entry *entry = log_view_entry(view, position);
    const uint8_t *topic = log_view_bytes(view, entry->offset) + log_flags_topic_at(entry->flags);
    const struct list *head = &peer->subscriptions;
    bool alone = head->next->next == head; /* then it matches: the route says so */
    for (struct list *node = head->next; node != head; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        if (sub_began(sub, log, position) &&
            (alone || subscription_matches(sub, topic, log_flags_topic_length(entry->flags))) &&
            (sub->filter == NULL || filters_pass(peer->worker, sub->filter, log, view, position)))
            return true;
    }
    return false;
}

static uint64_t sub_needs(const struct peer *peer, const struct subscription *sub, uint32_t log,
                          uint64_t from) {
    uint64_t start = start_of(sub, log, from);
    bool picked = picks_from(sub->picks, log, from) == start;
    return picked || !missed_nothing(peer->worker, sub, log, start) ? start : UINT64_MAX;
}

uint64_t starts_needed(const struct peer *peer, uint32_t log, uint64_t from) {
    uint64_t needed = UINT64_MAX;
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        if (!sub_reads(sub, log) || start_of(sub, log, from) >= needed)
            continue;
        uint64_t needs = sub_needs(peer, sub, log, from);
        needed = needs < needed ? needs : needed;
    }
    return needed;
}

/* Per log: nothing below is due to any subscription; UINT64_MAX where none reads. */
static void lowest_starts(const struct peer *peer, uint64_t *lowest) {
    uint32_t logs = peer->worker->log_count;
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
        peer->ended_at = starts_new();
    if (peer->ended_at != NULL)
        lowest_starts(peer, peer->ended_at);
    return peer->ended_at != NULL;
}

void starts_skip(struct peer *peer) {
    uint64_t lowest[LOGS_MAX];
    if (peer->at == NULL)
        return;
    lowest_starts(peer, lowest);
    for (uint32_t i = 0; i < peer->worker->log_count; i++) {
        if (!peer_reads(peer, i))
            peer->at[i] = delivery_live_end(&peer->worker->readers[i]);
        else if (peer->at[i] < lowest[i])
            peer->at[i] = lowest[i];
    }
}
