/* Members of queues, at the worker of their connection: Subscribe and Ack become notes for the keeper, what
 * the keeper says becomes frames.
 *
 * Events of a queue are copied into the connection's output, behind a Context that says whose they are. Where
 * a connection has other subscriptions too, the Context is taken back as soon as all that came together has
 * been written: so the slices of the others, which know nothing of it, always lie outside. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

#define MEMBER_BITS 24u
static_assert(CONNECTIONS_MAX <= 1u << MEMBER_BITS, "a connection's number fits into an owner");

/* ---- finding ---- */

static struct membership *membership_of_id(const struct peer *peer, uint64_t id) {
    if (peer->memberships == NULL)
        return NULL;
    const struct list *head = &peer->memberships->all;
    for (struct list *node = head->next; node != head; node = node->next) {
        struct membership *membership = LIST_OF(node, struct membership, node);
        if (membership->id == id)
            return membership;
    }
    return NULL;
}

bool memberships_has(const struct peer *peer, uint64_t id) {
    return membership_of_id(peer, id) != NULL;
}

/* NULL: it has left. */
static struct membership *membership_of_owner(const struct worker *worker, uint64_t owner,
                                              struct peer **out) {
    uint32_t member = (uint32_t)(owner >> 32) & ((1u << MEMBER_BITS) - 1);
    struct peer *peer = member < worker->peers_capacity ? worker->peers[member] : NULL;
    *out = peer;
    if (peer == NULL || peer->memberships == NULL)
        return NULL;
    const struct list *head = &peer->memberships->all;
    for (struct list *node = head->next; node != head; node = node->next) {
        struct membership *membership = LIST_OF(node, struct membership, node);
        if (membership->owner == owner)
            return membership;
    }
    return NULL;
}

/* ---- joining ---- */

static struct queue_text text_of(const char *text) {
    return (struct queue_text){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static uint64_t ms_to_ns(uint64_t ms) {
    return ms > UINT64_MAX / NS_PER_MS ? UINT64_MAX : ms * NS_PER_MS;
}

/* `patterns` gets the packed patterns, which the terms borrow. False: too many to be looked at. */
static bool patterns_pack(const Roundhouse__V1__Subscribe *subscribe, uint8_t **patterns,
                          struct queue_terms *terms, struct fault *fault) {
    size_t bytes = 0;
    for (size_t i = 0; i < subscribe->n_patterns; i++) {
        size_t length = strlen(subscribe->patterns[i]);
        if (!pattern_valid((const uint8_t *)subscribe->patterns[i], length, fault)) {
            fault->field = "subscribe.patterns";
            return false;
        }
        if (subscribe->patterns[i][0] == '@' && subscribe->queue->name[0] != '@') {
            *fault = (struct fault){.code = RH_CODE_NOT_ALLOWED,
                                    .field = "subscribe.patterns",
                                    .text = "this is a mailbox, which only its receiver reads: join it as a "
                                            "queue of this name"};
            return false;
        }
        bytes += 1 + length;
    }
    *patterns = malloc(bytes + 1);
    if (*patterns == NULL)
        return true; /* told by the caller */
    uint8_t *to = *patterns;
    for (size_t i = 0; i < subscribe->n_patterns; i++) {
        *to = (uint8_t)strlen(subscribe->patterns[i]);
        memcpy(to + 1, subscribe->patterns[i], *to);
        to += 1 + *to;
    }
    terms->patterns = (struct queue_text){*patterns, (uint32_t)bytes};
    terms->pattern_count = (uint32_t)subscribe->n_patterns;
    return true;
}

/* The terms borrow what the filter has. */
static bool filters_pack(const Roundhouse__V1__Subscribe *subscribe, struct filter **filter,
                         struct queue_terms *terms, struct fault *fault) {
    size_t length;
    if (subscribe->n_filters == 0)
        return true;
    if (!filter_compile(subscribe->filters, subscribe->n_filters, filter, fault))
        return false;
    terms->filters.p = filter_packed(*filter, &length);
    terms->filters.n = (uint32_t)length;
    return true;
}

static void terms_read(const Roundhouse__V1__Queue *queue, struct queue_terms *terms) {
    *terms = (struct queue_terms){
        .name = text_of(queue->name),
        .dead_letter = text_of(queue->dead_letter),
        .key = text_of(queue->key),
        .lease_ns = ms_to_ns(queue->lease_ms),
        .backoff_ns = ms_to_ns(queue->backoff_ms),
        .attempts = queue->attempts,
        .capacity = queue->capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)queue->capacity,
        .group = queue->group,
        .is_volatile = queue->volatile_ || queue->ephemeral,
        .ephemeral = queue->ephemeral,
    };
}

/* The worker that keeps a queue of this name. */
static uint32_t keeper_shard(const struct worker *worker, struct queue_text name) {
    return log_home(worker->shards, queue_log_of(worker, name));
}

static struct fault no_memory_now(void) {
    return (struct fault){.code = RH_CODE_EXHAUSTED,
                          .text = "the server has no memory for this subscription now"};
}

static bool start_oldest(const Roundhouse__V1__Subscribe *subscribe) {
    return subscribe->start != NULL && subscribe->start->from_case == ROUNDHOUSE__V1__START__FROM_OLDEST;
}

/* What a Subscribe says of its start holds for a queue that it makes; how a member that is too slow is
 * treated is said by the window. */
static bool start_valid(const Roundhouse__V1__Subscribe *subscribe, const struct queue_terms *terms,
                        struct fault *fault) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .field = "subscribe.start"};
    fault->text =
        "a queue that is made begins live or at the oldest event there is: nothing else can be said";
    if (subscribe->start != NULL && subscribe->start->from_case != ROUNDHOUSE__V1__START__FROM_OLDEST &&
        subscribe->start->from_case != ROUNDHOUSE__V1__START__FROM__NOT_SET)
        return false;
    fault->text = "a mailbox begins when it is made: leave the start out";
    if (start_oldest(subscribe) && terms_mailbox(terms))
        return false;
    fault->field = "subscribe.policy";
    fault->text = "a queue holds back or skips nothing, its window says how much a member gets: leave it out";
    if (subscribe->policy != ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_DISCONNECT)
        return false;
    fault->field = "subscribe.gone";
    fault->text = "a queue tells what is gone by a Gap: leave this out";
    return subscribe->gone == 0;
}

static bool kept_valid(const struct worker *worker, const struct queue_terms *terms, struct fault *fault) {
    if (terms->is_volatile || worker->shards->config.disk_logs > 0)
        return true;
    *fault =
        (struct fault){.code = RH_CODE_UNSUPPORTED,
                       .field = "subscribe.queue.volatile",
                       .text = "this server has no journal, so it keeps queues in memory only: ask for a "
                               "volatile one, or start it with --journal"};
    return false;
}

static bool join_valid(const struct peer *peer, const Roundhouse__V1__Subscribe *subscribe,
                       const struct queue_terms *terms, struct fault *fault) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .field = "subscribe.id"};
    if (subscribe->id == 0) {
        fault->text = "a subscription to a queue needs an id other than 0, which Context uses";
        return false;
    }
    if (subs_has(peer, subscribe->id) || memberships_has(peer, subscribe->id)) {
        fault->text = "this id is in use by another subscription of this connection";
        return false;
    }
    if (subscribe->position.len > 0) {
        *fault = (struct fault){.code = RH_CODE_INVALID,
                                .field = "subscribe.position",
                                .text = "a queue knows by itself where it goes on: leave the Position out"};
        return false;
    }
    return start_valid(subscribe, terms, fault) && terms_valid(terms, fault) &&
           kept_valid(peer->worker, terms, fault);
}

/* Made for whoever joins first. False: no memory. */
static bool memberships_make(struct peer *peer) {
    if (peer->memberships != NULL)
        return true;
    struct memberships *made = calloc(1, sizeof *made);
    if (made == NULL)
        return false;
    made->peer = peer;
    list_init(&made->all);
    list_init(&made->telling);
    peer->memberships = made;
    return true;
}

void memberships_free(struct peer *peer) {
    if (peer->memberships == NULL)
        return;
    CHECK(list_empty(&peer->memberships->all));
    list_remove(&peer->memberships->telling);
    free(peer->memberships);
    peer->memberships = NULL;
}

struct membership *membership_new(struct peer *peer, uint64_t id, struct queue_text name) {
    struct worker *worker = peer->worker;
    struct membership *membership = memberships_make(peer) ? malloc(sizeof *membership + name.n) : NULL;
    uint64_t owner =
        (uint64_t)(worker->number + 1) << 56 | (uint64_t)peer->member << 32 | ++worker->memberships_made;
    if (membership == NULL)
        return NULL;
    *membership = (struct membership){
        .id = id, .owner = owner, .keeper = keeper_shard(worker, name), .name_length = (uint8_t)name.n};
    memcpy(membership->name, name.p, name.n);
    list_init(&membership->node);
    return membership;
}

void membership_send(struct peer *peer, struct membership *membership, struct note *note) {
    list_add(&peer->memberships->all, &membership->node);
    talk_send(peer->worker, membership->keeper, note);
    conn_pause(&peer->conn, CONN_PAUSE_QUEUE);
}

static struct fault joined_send(struct peer *peer, const Roundhouse__V1__Subscribe *subscribe,
                                const struct queue_terms *terms) {
    struct membership *membership = membership_new(peer, subscribe->id, terms->name);
    struct note *note = membership == NULL ? NULL : note_new(NOTE_JOIN, membership->owner, NULL, 0);
    if (note != NULL)
        note->as.join.texts = terms_copy(&note->as.join.terms, terms);
    if (note == NULL || note->as.join.texts == NULL) {
        free(membership);
        free(note);
        return no_memory_now();
    }
    uint32_t window = subscribe->queue->window;
    note->as.join.window = window == 0 ? QUEUE_WINDOW_DEFAULT : window;
    note->as.join.take_over = subscribe->queue->take_over;
    note->as.join.oldest = start_oldest(subscribe);
    membership_send(peer, membership, note);
    return (struct fault){.code = RH_CODE_NONE};
}

/* RH_CODE_NONE: it is on its way, and the connection waits for the answer. */
struct fault memberships_subscribe(struct peer *peer, const Roundhouse__V1__Subscribe *subscribe) {
    struct queue_terms terms;
    struct fault fault;
    uint8_t *patterns = NULL;
    struct filter *filter = NULL;
    terms_read(subscribe->queue, &terms);
    if (subscribe->n_patterns > SUBSCRIBE_PATTERNS_MAX)
        return (struct fault){.code = RH_CODE_TOO_LARGE,
                              .text = "more patterns in one Subscribe than patterns_max of Connected allows",
                              .field = "subscribe.patterns"};
    if (!patterns_pack(subscribe, &patterns, &terms, &fault))
        return fault;
    if (patterns == NULL)
        return no_memory_now();
    if (filters_pack(subscribe, &filter, &terms, &fault) && join_valid(peer, subscribe, &terms, &fault))
        fault = joined_send(peer, subscribe, &terms);
    filter_free(filter);
    free(patterns);
    return fault;
}

/* ---- ending a queue ---- */

static bool remove_valid(const struct peer *peer, const Roundhouse__V1__Unsubscribe *unsubscribe,
                         struct fault *fault) {
    struct queue_terms terms = {.name = text_of(unsubscribe->remove)};
    struct fault reason;
    *fault = (struct fault){.code = RH_CODE_INVALID, .field = "unsubscribe.id"};
    fault->text = "an Unsubscribe that removes a queue needs an id other than 0, by which it is answered";
    if (unsubscribe->id == 0)
        return false;
    fault->text = "this id is in use by a subscription of this connection: a queue is removed by another one";
    if (subs_has(peer, unsubscribe->id) || memberships_has(peer, unsubscribe->id))
        return false;
    *fault = (struct fault){
        .code = RH_CODE_INVALID, .field = "unsubscribe.remove", .text = "no queue can have this name"};
    return terms_valid(&terms, &reason);
}

struct fault memberships_remove(struct peer *peer, const Roundhouse__V1__Unsubscribe *unsubscribe) {
    struct queue_text name = text_of(unsubscribe->remove);
    struct fault fault;
    if (!remove_valid(peer, unsubscribe, &fault))
        return fault;
    struct membership *membership = membership_new(peer, unsubscribe->id, name);
    struct note *note = membership == NULL ? NULL : note_new(NOTE_REMOVE, membership->owner, name.p, name.n);
    if (note == NULL) {
        free(membership);
        return (struct fault){.code = RH_CODE_EXHAUSTED, .text = "the server has no memory for this now"};
    }
    note->as.take_over = unsubscribe->take_over;
    membership_send(peer, membership, note);
    return (struct fault){.code = RH_CODE_NONE};
}

/* ---- leaving ---- */

static void membership_free(const struct worker *worker, struct membership *membership) {
    survey_passes(worker, &membership->node);
    list_remove(&membership->node);
    free(membership);
}

static void membership_leave(struct peer *peer, struct membership *membership) {
    talk_send(peer->worker, membership->keeper, note_new(NOTE_LEAVE, membership->owner, NULL, 0));
    membership_free(peer->worker, membership);
}

bool memberships_unsubscribe(struct peer *peer, uint64_t id) {
    struct membership *membership = membership_of_id(peer, id);
    if (membership == NULL)
        return false;
    if (membership->replay) { /* its last Replayed is the answer */
        talk_send(peer->worker, membership->keeper, note_new(NOTE_LEAVE, membership->owner, NULL, 0));
        return true;
    }
    membership_leave(peer, membership);
    session_unsubscribed(&peer->session, id);
    peer_touch(peer);
    return true;
}

void memberships_drop_all(struct peer *peer) {
    struct list *node;
    while (peer->memberships != NULL && (node = list_take(&peer->memberships->all)) != NULL)
        membership_leave(peer, LIST_OF(node, struct membership, node));
}

/* ---- acknowledging ---- */

static void error_tell(struct peer *peer, const struct fault *fault, uint64_t id) {
    counter_add(&peer->worker->stats.errors_event, 1);
    session_error(&peer->session, fault, 0, id);
    peer_touch(peer);
}

void memberships_acked(void *user, const Roundhouse__V1__Ack *ack) {
    static const struct fault stranger = {
        .code = RH_CODE_INVALID,
        .text = "there is no subscription to a queue with this id on this connection",
        .field = "ack.subscription"};
    struct peer *peer = user;
    const struct membership *membership = membership_of_id(peer, ack->subscription);
    if (membership == NULL || membership->replay) {
        error_tell(peer, &stranger, ack->subscription);
        return;
    }
    size_t length = strlen(ack->reason);
    if (length > QUEUE_REASON_BYTES_MAX + 1)
        length = QUEUE_REASON_BYTES_MAX + 1; /* one more than is kept: it is seen that it was cut */
    struct note *note = note_new(NOTE_ACK, membership->owner, (const uint8_t *)ack->reason, (uint32_t)length);
    if (note == NULL)
        return; /* its lease ends, and it comes again */
    note->as.ack.delivery = ack->delivery;
    note->as.ack.kind = (uint32_t)ack->kind;
    note->as.ack.after_ns = ms_to_ns(ack->after_ms);
    talk_send(peer->worker, membership->keeper, note);
}

/* ---- what the keeper says ---- */

static void context_tell(struct peer *peer, const struct context_told *told) {
    session_context(&peer->session, &(struct session_context){.subscription = told->subscription,
                                                              .delivery = told->delivery,
                                                              .lease_ns = told->lease_ns,
                                                              .attempt = told->attempt,
                                                              .replay = told->replay});
    peer->memberships->told = *told;
}

void memberships_context_end(struct peer *peer) {
    if (peer->memberships != NULL && peer->memberships->told.subscription != 0)
        context_tell(peer, &(struct context_told){.subscription = 0});
}

static bool context_holds(const struct context_told *told, const struct context_told *next) {
    return told->subscription == next->subscription && told->delivery == next->delivery &&
           told->attempt == next->attempt && told->replay == next->replay && told->lease_ns == next->lease_ns;
}

static void deliver(struct peer *peer, const struct membership *membership, const struct note *note) {
    struct context_told next = {.subscription = membership->id,
                                .delivery = note->as.deliver.delivery,
                                .lease_ns = note->as.deliver.lease_ns,
                                .attempt = note->as.deliver.attempt,
                                .replay = note->as.deliver.replay};
    if (!context_holds(&peer->memberships->told, &next))
        context_tell(peer, &next);
    session_carry(&peer->session, note->bytes, note->length);
    peer->memberships->told.delivery++;
    counter_add(&peer->worker->stats.deliveries, 1);
    peer->given++;
    list_add(&peer->worker->told, &peer->memberships->telling);
    if (UNLIKELY(note->as.deliver.traced))
        trace_handed(peer, membership->owner, note->as.deliver.delivery);
    peer_touch(peer);
}

static void joined(struct peer *peer, struct membership *membership) {
    struct position position;
    membership->joined = true;
    delivery_position(peer, &position);
    session_subscribed(&peer->session, membership->id, &position);
}

/* The membership ends: before it began, or because the keeper says so. */
static void ended(struct peer *peer, struct membership *membership, const struct fault *fault) {
    uint64_t id = membership->id;
    bool was_joined = membership->joined && !membership->replay;
    membership_free(peer->worker, membership);
    error_tell(peer, fault, id);
    if (was_joined)
        session_unsubscribed(&peer->session, id);
}

static void gap(struct peer *peer, const struct membership *membership, const struct note *note) {
    struct worker *worker = peer->worker;
    struct position position;
    struct session_gap told = {.log = log_number(worker->readers[note->as.gap.log].log),
                               .from = note->as.gap.from,
                               .to = note->as.gap.to,
                               .reason = ROUNDHOUSE__V1__GAP__REASON__REASON_EXPIRED};
    delivery_position(peer, &position);
    context_tell(peer, &(struct context_told){.subscription = membership->id});
    session_gap(&peer->session, &told, &position);
    list_add(&worker->told, &peer->memberships->telling);
    counter_add(&worker->stats.gaps, 1);
}

void memberships_note(struct worker *worker, const struct note *note) {
    struct peer *peer;
    struct membership *membership = membership_of_owner(worker, note->owner, &peer);
    if (membership == NULL || peer->retired)
        return; /* it has left, or is about to: the keeper will be told, or has been */
    switch (note->kind) {
    case NOTE_JOINED:
        joined(peer, membership);
        break;
    case NOTE_REMOVED:
        session_unsubscribed(&peer->session, membership->id);
        membership_free(peer->worker, membership);
        break;
    case NOTE_REFUSED:
    case NOTE_OUT:
        ended(peer, membership, &note->as.fault);
        break;
    case NOTE_ANSWER:
        error_tell(peer, &note->as.fault, membership->id);
        break;
    case NOTE_DELIVER:
        deliver(peer, membership, note);
        return;
    case NOTE_EXPIRED:
        session_lease_expired(&peer->session, membership->id, note->as.delivery);
        break;
    case NOTE_GAP:
        gap(peer, membership, note);
        break;
    case NOTE_REPLAYED:
        replayers_replayed(peer, membership, note);
        break;
    default:
        break;
    }
    peer_touch(peer);
    if (note->kind == NOTE_JOINED || note->kind == NOTE_REFUSED || note->kind == NOTE_REMOVED)
        peer_go_on(peer, CONN_PAUSE_QUEUE);
}

void memberships_turn(struct worker *worker) {
    struct list *node;
    while ((node = list_take(&worker->told)) != NULL) {
        struct peer *peer = LIST_OF(node, struct memberships, telling)->peer;
        if (list_empty(&peer->subscriptions) && list_empty(&peer->staged))
            continue; /* nobody else's events can come behind it */
        memberships_context_end(peer);
        peer_touch(peer);
    }
}
