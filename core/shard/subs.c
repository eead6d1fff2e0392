/* Subscriptions: staged while frames are read, put in force together at the end of the turn, when every
 * cursor stands at the live end.
 *
 * So a subscription begins exactly at this worker's cursors, and all changes of one turn are one generation
 * of the route table. A connection that has staged something is not read further until it is in force: what
 * it sends behind a Subscribe sees the subscription. */
#include "core/shard/moves.h"

#include "core/base/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- patterns of one subscription ---- */

static struct subscription *subscription_new(const Roundhouse__V1__Subscribe *subscribe) {
    size_t bytes = 0;
    for (size_t i = 0; i < subscribe->n_patterns; i++)
        bytes += 1 + strlen(subscribe->patterns[i]);
    struct subscription *sub = malloc(sizeof *sub + bytes);
    if (sub == NULL)
        return NULL;
    *sub = (struct subscription){
        .id = subscribe->id, .patterns = (uint32_t)subscribe->n_patterns, .bytes = (uint32_t)bytes};
    list_init(&sub->node);
    uint8_t *to = sub->pattern;
    for (size_t i = 0; i < subscribe->n_patterns; i++) {
        size_t length = strlen(subscribe->patterns[i]);
        *to++ = (uint8_t)length;
        memcpy(to, subscribe->patterns[i], length);
        to += length;
    }
    return sub;
}

static void subscription_free(struct worker *worker, struct subscription *sub) {
    starts_free(worker, sub);
    filters_let_go(worker, sub->filter);
    free(sub);
}

/* ---- where it can match ---- */

static uint64_t literal_hash(const struct worker *worker, const uint8_t *pattern) {
    return topic_hash(pattern + 1, pattern[0], worker->shards->config.slot_seed);
}

uint64_t subs_logs(const struct worker *worker, const uint8_t *pattern, uint32_t count) {
    uint64_t logs = 0;
    for (uint32_t i = 0; i < count; i++, pattern = pattern_next(pattern)) {
        if (pattern_wild(pattern + 1, pattern[0]))
            return UINT64_MAX >> (64 - worker->log_count);
        logs |= topic_logs(worker, pattern + 1, pattern[0], literal_hash(worker, pattern));
    }
    return logs;
}

/* ---- staging ---- */

static enum session_verdict refuse(struct peer *peer, uint64_t id, struct fault fault) {
    counter_add(&peer->worker->stats.errors_event, 1);
    session_error(&peer->session, &fault, 0, id);
    peer_touch(peer);
    return SESSION_GO;
}

static struct subscription *find(const struct list *head, uint64_t id) {
    for (struct list *node = head->next; node != head; node = node->next) {
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        if (sub->id == id && !sub->remove)
            return sub;
    }
    return NULL;
}

bool subs_has(const struct peer *peer, uint64_t id) {
    return find(&peer->subscriptions, id) != NULL;
}

static bool fault_set(struct fault *fault, enum rh_code code, const char *text, const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

static bool patterns_valid(const Roundhouse__V1__Subscribe *subscribe, struct fault *fault) {
    for (size_t i = 0; i < subscribe->n_patterns; i++) {
        const char *pattern = subscribe->patterns[i];
        if (!pattern_valid((const uint8_t *)pattern, strlen(pattern), fault)) {
            fault->field = "subscribe.patterns";
            return false;
        }
        if (pattern[0] == '@')
            return fault_set(
                fault, RH_CODE_NOT_ALLOWED,
                "this is a mailbox, which only its receiver reads: join it as a queue of this name",
                "subscribe.patterns");
    }
    return true;
}

static bool subscribe_valid(const struct peer *peer, const Roundhouse__V1__Subscribe *subscribe,
                            struct fault *fault) {
    const struct worker *worker = peer->worker;
    uint64_t taken = workers_sum(worker->shards, offsetof(struct worker_stats, subscriptions));
    if (subscribe->n_patterns == 0)
        return fault_set(fault, RH_CODE_INVALID, "a Subscribe needs at least one pattern",
                         "subscribe.patterns");
    if (subscribe->n_patterns > SUBSCRIBE_PATTERNS_MAX)
        return fault_set(fault, RH_CODE_TOO_LARGE,
                         "more patterns in one Subscribe than patterns_max of Connected allows",
                         "subscribe.patterns");
    if ((unsigned)subscribe->policy > ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_BLOCK)
        return fault_set(fault, RH_CODE_INVALID, "unknown policy: use DISCONNECT, SKIP or BLOCK",
                         "subscribe.policy");
    if (!list_empty(&peer->subscriptions) && peer->policy != (uint8_t)subscribe->policy)
        return fault_set(fault, RH_CODE_INVALID,
                         "all subscriptions of one connection must have the same policy", "subscribe.policy");
    if (find(&peer->subscriptions, subscribe->id) != NULL || memberships_has(peer, subscribe->id))
        return fault_set(fault, RH_CODE_INVALID,
                         "this id is in use by another subscription of this connection", "subscribe.id");
    if (taken + subscribe->n_patterns > worker->limits.subscriptions)
        return fault_set(fault, RH_CODE_EXHAUSTED,
                         "the server's limit of subscribed patterns (limits.subscriptions) is reached",
                         "subscribe.patterns");
    return patterns_valid(subscribe, fault);
}

static bool filters_read(struct worker *worker, const Roundhouse__V1__Subscribe *subscribe,
                         struct subscription *sub, struct fault *fault) {
    struct filter *made;
    if (subscribe->n_filters == 0)
        return true;
    if (!filter_compile(subscribe->filters, subscribe->n_filters, &made, fault))
        return false;
    sub->filter = filters_hold(worker, made);
    return sub->filter != NULL ||
           fault_set(fault, RH_CODE_EXHAUSTED, "the server has no memory for this subscription now", NULL);
}

static void stage(struct peer *peer, struct subscription *sub) {
    list_add(&peer->staged, &sub->node);
    list_add(&peer->worker->changing, &peer->changing);
    conn_pause(&peer->conn, CONN_PAUSE_TURN);
    peer->worker->worked = true;
}

static enum session_verdict queue_subscribe(struct peer *peer, const Roundhouse__V1__Subscribe *subscribe) {
    struct fault fault = memberships_subscribe(peer, subscribe);
    return fault.code == RH_CODE_NONE ? SESSION_WAIT : refuse(peer, subscribe->id, fault);
}

enum session_verdict subs_subscribe(void *user, const Roundhouse__V1__Subscribe *subscribe) {
    struct peer *peer = user;
    struct fault fault;
    if (subscribe->queue != NULL)
        return queue_subscribe(peer, subscribe);
    if (!subscribe_valid(peer, subscribe, &fault))
        return refuse(peer, subscribe->id, fault);
    struct subscription *sub = subscription_new(subscribe);
    if (sub == NULL)
        return refuse(peer, subscribe->id,
                      (struct fault){.code = RH_CODE_EXHAUSTED,
                                     .text = "the server has no memory for this subscription now"});
    if (subscribe->position.len > 0 || subscribe->start != NULL)
        moving_recall(peer->worker, sub->pattern, sub->patterns);
    sub->logs = subs_logs(peer->worker, sub->pattern, sub->patterns);
    if (!filters_read(peer->worker, subscribe, sub, &fault) ||
        !starts_read(peer->worker, subscribe, sub, &fault)) {
        subscription_free(peer->worker, sub);
        return refuse(peer, subscribe->id, fault);
    }
    peer->policy = (uint8_t)subscribe->policy;
    stage(peer, sub);
    return SESSION_WAIT;
}

enum session_verdict subs_unsubscribe(void *user, const Roundhouse__V1__Unsubscribe *unsubscribe) {
    struct peer *peer = user;
    uint64_t id = unsubscribe->id;
    if (unsubscribe->remove[0] != '\0') {
        struct fault fault = memberships_remove(peer, unsubscribe);
        return fault.code == RH_CODE_NONE ? SESSION_WAIT : refuse(peer, id, fault);
    }
    if (memberships_unsubscribe(peer, id))
        return SESSION_GO;
    if (find(&peer->subscriptions, id) == NULL)
        return refuse(peer, id,
                      (struct fault){.code = RH_CODE_INVALID,
                                     .text = "there is no subscription with this id on this connection",
                                     .field = "unsubscribe.id"});
    struct subscription *sub = malloc(sizeof *sub);
    if (sub == NULL)
        return refuse(
            peer, id,
            (struct fault){.code = RH_CODE_EXHAUSTED, .text = "the server has no memory for this now"});
    *sub = (struct subscription){.id = id, .remove = true};
    list_init(&sub->node);
    stage(peer, sub);
    return SESSION_WAIT;
}

/* ---- interest: which logs have to be read ---- */

void reader_want(struct worker *worker, uint32_t log) {
    struct reader *reader = &worker->readers[log];
    if (reader->interest++ > 0)
        return;
    audience_reads(worker, log, true);
    while (!delivery_attach(reader))
        ;                             /* the ring has lapped within the call */
    if (worker->home_of[log] != NULL) /* what has become visible in this turn, where a disk says when */
        unmatched_look(worker, log, reader->cursor);
    if (UNLIKELY(worker->traces.count > 0))
        trace_attached(worker, log);
}

void reader_unwant(struct worker *worker, uint32_t log) {
    struct reader *reader = &worker->readers[log];
    CHECK(reader->interest > 0);
    reader->interest--;
    if (reader->interest > 0)
        return;
    delivery_detach(reader);
    audience_reads(worker, log, false);
}

static void peer_reads_anew(struct peer *peer) {
    peer->logs = 0;
    peer->filtered = false;
    for (struct list *node = peer->subscriptions.next; node != &peer->subscriptions; node = node->next) {
        const struct subscription *sub = LIST_OF(node, struct subscription, node);
        peer->logs |= sub->logs;
        peer->filtered = peer->filtered || sub->filter != NULL;
    }
    peer_apart(peer);
}

typedef void interest_change(struct worker *worker, uint32_t log);

static void each_log(struct worker *worker, uint64_t logs, interest_change *change) {
    for (; logs != 0; logs &= logs - 1)
        change(worker, (uint32_t)__builtin_ctzll(logs));
}

/* For topics whose slots may move the slots are counted, so that what they ask for follows them. */
static void literal_want(struct worker *worker, const uint8_t *pattern, bool want) {
    uint64_t hash = literal_hash(worker, pattern);
    struct topic_place place = topic_place(worker, pattern + 1, pattern[0], hash);
    uint32_t *interest = &worker->interest[topic_slot(hash)];
    uint64_t logs = place.moves ? worker->slot_logs[topic_slot(hash)] : UINT64_C(1) << place.log;
    CHECK(want || !place.moves || *interest > 0);
    bool changes = !place.moves || *interest == (want ? 0 : 1);
    if (place.moves)
        *interest += want ? 1 : UINT32_MAX; /* minus one */
    if (changes)
        each_log(worker, logs, want ? reader_want : reader_unwant);
}

static void pattern_want(struct worker *worker, const uint8_t *pattern, bool want) {
    if (!pattern_wild(pattern + 1, pattern[0])) {
        literal_want(worker, pattern, want);
        return;
    }
    worker->interest_wild += want ? 1 : UINT32_MAX; /* minus one */
    each_log(worker, UINT64_MAX >> (64 - worker->log_count), want ? reader_want : reader_unwant);
}

/* ---- in force ---- */

void subs_patterns_remove(struct worker *worker, route_member member, const uint8_t *pattern,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++, pattern = pattern_next(pattern)) {
        route_unsubscribe(worker->routes, pattern + 1, pattern[0], member);
        pattern_want(worker, pattern, false);
    }
    counter_add(&worker->stats.subscriptions, -(uint64_t)count);
    audience_changed(worker);
}

bool subs_patterns_add(struct worker *worker, route_member member, const uint8_t *patterns, uint32_t count) {
    const uint8_t *pattern = patterns;
    audience_changed(worker);
    for (uint32_t i = 0; i < count; i++, pattern = pattern_next(pattern)) {
        pattern_want(worker, pattern, true);
        if (route_subscribe(worker->routes, pattern + 1, pattern[0], member) == 0) {
            counter_add(&worker->stats.subscriptions, 1);
            continue;
        }
        pattern_want(worker, pattern, false);
        subs_patterns_remove(worker, member, patterns, i);
        return false;
    }
    return true;
}

static void begin_gap(struct peer *peer, const struct session_gap *gap, const struct position *position) {
    counter_add(&peer->worker->stats.gaps, 1);
    if (gap->from != 0)
        counter_add(&peer->worker->stats.gap_records, gap->to - gap->from + 1);
    session_gap(&peer->session, gap, position);
}

static void gap_of_instance(struct peer *peer, uint32_t log, const struct position *position) {
    struct session_gap gap = {.log = log, .reason = ROUNDHOUSE__V1__GAP__REASON__REASON_INSTANCE};
    begin_gap(peer, &gap, position);
}

/* What was received at the time asked for, or later, and lies before the oldest record. */
static void lost_tell(struct peer *peer, const struct subscription *sub) {
    struct position position;
    delivery_position(peer, &position);
    for (uint32_t i = 0; i < position.count; i++) {
        struct session_gap gap = {.log = position.logs[i].number,
                                  .from = search_lost(sub, i),
                                  .reason = ROUNDHOUSE__V1__GAP__REASON__REASON_EXPIRED};
        if (gap.from == 0)
            continue;
        gap.to = search_found(sub, i) - 1;
        begin_gap(peer, &gap, &position);
    }
}

static void subscribed_tell(struct peer *peer, const struct subscription *sub) {
    struct position position;
    delivery_position(peer, &position);
    position.undone = sub->picks == NULL ? 0 : subscription_undone(sub, peer->at);
    for (uint32_t i = 0; i < position.count && sub->start != NULL; i++)
        if (sub->start[i] != 0)
            position.logs[i].next = sequence_make(log_epoch(peer->worker->shards, i), sub->start[i]);
    session_subscribed(&peer->session, sub->id, &position);
    if (sub->stranger)
        gap_of_instance(peer, 0, &position);
    for (uint32_t i = 0; i < position.count && !sub->stranger; i++)
        if ((sub->strange >> i & 1u) != 0)
            gap_of_instance(peer, position.logs[i].number, &position);
    if (sub->begin != NULL)
        lost_tell(peer, sub);
}

/* In force, or the fault says why not. */
static bool begin_try(struct peer *peer, struct subscription *sub, struct fault *fault) {
    if (!starts_allowed(peer->worker, sub, fault))
        return false;
    if (!subs_patterns_add(peer->worker, peer->member, sub->pattern, sub->patterns))
        return fault_set(fault, RH_CODE_EXHAUSTED, "the server has no room for this subscription now", NULL);
    if (starts_set(peer, sub, fault))
        return true;
    subs_patterns_remove(peer->worker, peer->member, sub->pattern, sub->patterns);
    return false;
}

static void begin(struct peer *peer, struct subscription *sub) {
    struct fault fault;
    if (begin_try(peer, sub, &fault)) {
        list_add(&peer->subscriptions, &sub->node);
        peer->subscribed++;
        peer->logs |= sub->logs;
        peer->filtered = peer->filtered || sub->filter != NULL;
        peer_apart(peer);
        memberships_context_end(peer);
        subscribed_tell(peer, sub);
        starts_begun(sub);
        return;
    }
    if (!peer->retired)
        refuse(peer, sub->id, fault);
    subscription_free(peer->worker, sub);
}

/* Slices in front of the end of a subscription may have been for it alone. One such end at a time is kept in
 * mind; for a second one the connection falls back first. */
static void end(struct peer *peer, struct subscription *staged) {
    struct output *out = &peer->conn.out;
    struct subscription *sub = find(&peer->subscriptions, staged->id);
    if (out->slices > 0 && output_has_ended(out))
        (void)catchup_enter(peer);
    survey_passes(peer->worker, &sub->node);
    list_remove(&sub->node);
    peer->subscribed--;
    subs_patterns_remove(peer->worker, peer->member, sub->pattern, sub->patterns);
    peer_reads_anew(peer);
    starts_skip(peer);
    session_unsubscribed(&peer->session, sub->id);
    if (out->slices > 0 && starts_ended(peer))
        output_ended(out);
    subscription_free(peer->worker, sub);
    subscription_free(peer->worker, staged);
}

/* It can not be known where it would begin. */
static void unfound(struct peer *peer, struct subscription *sub, enum search_result why) {
    struct fault fault;
    (void)search_refused(why, &fault);
    refuse(peer, sub->id, fault);
    subscription_free(peer->worker, sub);
}

static void staged_apply(struct peer *peer, struct subscription *sub, enum search_result found) {
    if (peer->retired)
        subscription_free(peer->worker, sub);
    else if (found != SEARCH_DONE)
        unfound(peer, sub, found);
    else if (sub->remove)
        end(peer, sub);
    else
        begin(peer, sub);
}

/* False: where the first one that is left begins still has to be looked for. */
static bool peer_apply(struct peer *peer, uint32_t *work) {
    struct list now;
    struct list *node;
    list_move(&peer->staged, &now);
    while ((node = list_take(&now)) != NULL) {
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        bool waits = !list_empty(&peer->staged);
        enum search_result found =
            peer->retired || waits ? SEARCH_DONE : search_step(peer->worker, sub, work);
        if (waits || found == SEARCH_GOES_ON)
            list_add(&peer->staged, node);
        else
            staged_apply(peer, sub, found);
    }
    return list_empty(&peer->staged);
}

void subs_apply(struct worker *worker) {
    uint32_t work = worker->shards->config.search_work;
    struct list now;
    struct list *next;
    if (list_empty(&worker->changing))
        return;
    if (work == 0)
        work = SEARCH_WORK_MAX;
    list_move(&worker->changing, &now);
    for (struct list *node = now.next; node != &now; node = next) {
        next = node->next;
        if (peer_apply(LIST_OF(node, struct peer, changing), &work))
            continue;
        list_remove(node);
        list_add(&worker->changing, node); /* in their order: the first one gets on until it is done */
    }
    route_end_generation(worker->routes);
    while ((next = list_take(&now)) != NULL) {
        struct peer *peer = LIST_OF(next, struct peer, changing);
        peer_touch(peer); /* it is told also when there is another reason not to read it */
        peer_go_on(peer, CONN_PAUSE_TURN);
    }
}

void subs_drop_all(struct peer *peer) {
    uint32_t work = 0;
    (void)peer_apply(peer, &work); /* retired: frees what is staged */
    while (!list_empty(&peer->subscriptions)) {
        survey_passes(peer->worker, peer->subscriptions.next);
        struct list *node = list_take(&peer->subscriptions);
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        peer->subscribed--;
        subs_patterns_remove(peer->worker, peer->member, sub->pattern, sub->patterns);
        subscription_free(peer->worker, sub);
    }
    peer->logs = 0;
}

/* ---- other logs ---- */

/* New logs of a slot have had nothing of it, or nothing that is still there: so nothing in them lies before
 * any subscription's start. */
static void list_renew(const struct peer *peer, const struct list *head) {
    for (struct list *node = head->next; node != head; node = node->next) {
        struct subscription *sub = LIST_OF(node, struct subscription, node);
        if (sub->remove)
            continue;
        sub->logs = subs_logs(peer->worker, sub->pattern, sub->patterns);
        if (sub->begin != NULL)
            starts_renew(peer->worker, sub);
    }
}

static void peer_renew(struct peer *peer) {
    uint64_t before = peer->logs;
    list_renew(peer, &peer->subscriptions);
    list_renew(peer, &peer->staged);
    peer_reads_anew(peer);
    for (uint64_t left = peer->logs & ~before; peer->at != NULL && left != 0; left &= left - 1) {
        uint32_t log = (uint32_t)__builtin_ctzll(left);
        peer->at[log] = delivery_live_end(&peer->worker->readers[log]);
    }
}

void subs_renew(struct worker *worker) {
    for (struct list *node = worker->all.next; node != &worker->all; node = node->next)
        peer_renew(LIST_OF(node, struct peer, all));
}
