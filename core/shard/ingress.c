/* From a publisher into a log: here, or through a link (links.c) to the worker that is its home.
 */
#include "core/shard/moves.h"

#include "core/base/topic.h"

/* ---- at home ---- */

uint8_t *home_room(struct worker *worker, struct home *home, uint32_t length) {
    uint8_t *out;
    uint64_t retry_ns = 0;
    if (log_writer_reserve(home->log, length, worker->now_ns, &out, &retry_ns) == RING_OK)
        return out;
    home->refused = true;
    if (retry_ns != 0 && (worker->retry_ns == 0 || retry_ns < worker->retry_ns))
        worker->retry_ns = retry_ns;
    return NULL;
}

static void wake_readers(struct worker *worker) {
    struct shards *shards = worker->shards;
    for (uint32_t i = 0; i < worker->worker_count; i++)
        if (i != worker->number)
            wake_signal(&shards->workers[i]->wake);
}

/* What goes to disk first is news for nobody but the journal. */
void home_publish(struct worker *worker, struct home *home) {
    if (!log_writer_publish(home->log))
        return;
    counter_add(&worker->stats.batches, 1);
    if (!home->journalled)
        wake_readers(worker);
    else if (home->journal != NULL)
        wake_signal(home->journal);
}

static uint32_t forward_flags(const struct forward *forward) {
    return log_flags(forward->expiring ? LOG_EVENT_EXPIRING : LOG_EVENT, topic_slot(forward->hash),
                     forward->topic_at, forward->topic_length);
}

static void home_added(struct worker *worker, struct home *home, uint32_t count) {
    if (UNLIKELY(log_writer_news(home->log)))
        home_publish(worker, home); /* the turn may still be long, and the ring full before its end */
    counter_add(&worker->stats.events_appended, count);
    worker->worked = true;
}

void home_add(struct worker *worker, struct home *home, const struct forward *forward, uint64_t id) {
    if (UNLIKELY(worker->traces.count > 0))
        trace_append(worker, home, forward);
    log_writer_commit(home->log, forward->length, forward_flags(forward), id, forward->time_ns);
    home_added(worker, home, 1);
}

void home_add_train(struct worker *worker, struct home *home, const struct forward *forward,
                    const uint8_t *records, uint64_t id) {
    struct log_train train = {.count = forward->count,
                              .length = forward->length,
                              .flags = forward_flags(forward),
                              .sequence_at = wire_record_sequence_at(records),
                              .sequence = sequence_make(forward->epoch, log_writer_next(home->log)),
                              .topic = id,
                              .time_ns = forward->time_ns};
    if (UNLIKELY(worker->traces.count > 0))
        trace_append(worker, home, forward);
    log_writer_train(home->log, &train);
    home_added(worker, home, forward->count);
}

static uint64_t topic_id(struct worker *worker, struct home *home, const struct wire_event *event,
                         uint64_t hash) {
    struct topic_learnt *learnt = &worker->learnt;
    uint64_t generation = intern_generation(home->intern);
    if (LIKELY(event->known == WIRE_TOPIC_AGAIN && learnt->id != 0 && learnt->generation == generation))
        return learnt->id;
    uint64_t id = intern_id(home->intern, event->topic, event->topic_length, hash);
    if (event->known != WIRE_TOPIC_ANY) {
        learnt->id = id;
        learnt->generation = intern_generation(home->intern);
    }
    return id;
}

bool home_judged(struct worker *worker, struct home *home, const struct wire_event *event, uint64_t hash,
                 uint64_t sequence, struct verdict *verdict) {
    bool mailbox = event->topic[0] == '@';
    if (mailbox && keeper_refuses(worker, event, verdict))
        return true;
    if (home->judge != NULL && home->judge(home, event, hash, sequence, verdict))
        return true;
    if (mailbox)
        keeper_admit(worker, event);
    return false;
}

/* What became of an event that a session has given. */
enum placed { PLACED, PLACED_ANSWERED, PLACED_NOT };

/* What is in the log already may be so since this turn: it settles when the log is so far. */
static void note_answered(struct peer *peer, const struct home *home, const struct verdict *verdict) {
    if (verdict->fault != NULL)
        acks_note_settled(peer, peer->session.ordinal);
    else
        acks_note_again(peer, peer->session.ordinal, ACK_LOG + home->index, log_writer_next(home->log));
}

static enum placed append_here(struct peer *peer, struct home *home, struct forward *forward,
                               const struct wire_event *event) {
    struct worker *worker = peer->worker;
    bool landed = landing_clear(home, peer, event->record);
    uint8_t *out = home_room(worker, home, forward->length);
    struct verdict verdict;
    if (out == NULL)
        return PLACED_NOT;
    uint64_t sequence = sequence_make(forward->epoch, log_writer_next(home->log));
    if (UNLIKELY(forward->judged) && home_judged(worker, home, event, forward->hash, sequence, &verdict)) {
        note_answered(peer, home, &verdict);
        verdict_tell(peer, peer->session.ordinal, &verdict);
        return PLACED_ANSWERED;
    }
    if (landed) {
        wire_record_sequence(out, sequence);
        forward->topic_at = (uint8_t)(event->topic - event->record);
        counter_add(&worker->stats.events_landed, 1);
    } else {
        log_writer_warm(home->log, forward->length);
        forward->topic_at = (uint8_t)wire_record_write(out, sequence, event);
    }
    home_add(worker, home, forward, topic_id(worker, home, event, forward->hash));
    return PLACED;
}

/* ---- from the session ---- */

static enum session_verdict park(struct peer *peer) {
    struct worker *worker = peer->worker;
    if (!list_in(&peer->parked)) {
        list_add(&worker->parked, &peer->parked);
        counter_add(&worker->stats.ring_full, 1);
    }
    conn_pause(&peer->conn, CONN_PAUSE_RING);
    return SESSION_PARK;
}

/* The topic's hash and home, if need be in `found`. */
static const struct topic_learnt *topic_find(struct worker *worker, const struct wire_event *event,
                                             struct topic_learnt *found) {
    const struct shards *shards = worker->shards;
    if (LIKELY(event->known == WIRE_TOPIC_AGAIN))
        return &worker->learnt;
    uint64_t hash = topic_hash(event->topic, event->topic_length, shards->config.slot_seed);
    struct topic_place place = topic_place(worker, event->topic, event->topic_length, hash);
    uint32_t log = place.log;
    enum topic_class class = log_is_disk(shards, log) ? TOPIC_DISK : TOPIC_MEMORY;
    *found = (struct topic_learnt){.hash = hash,
                                   .home = worker->home_of[log],
                                   .rule = topic_rule_of(worker, event->topic, event->topic_length, hash),
                                   .way = (uint16_t)way_of(shards, log_home(shards, log), class),
                                   .epoch = place.epoch,
                                   .log = (uint8_t)log,
                                   .judged = (worker->judged >> log & 1u) != 0 || event->topic[0] == '@',
                                   .moves = place.moves};
    if (event->known == WIRE_TOPIC_LEARNT)
        worker->learnt = *found;
    return found;
}

/* Nothing can be given to its slot now. */
static bool slot_holds(const struct peer *peer, const struct topic_learnt *topic) {
    return moving_holds(peer->worker, topic) || block_holds_back(peer, topic_slot(topic->hash));
}

/* Parked for a slow subscriber, or a slot that moves; it is looked at again only when the slot is free. */
static enum session_verdict park_held(struct peer *peer, const struct topic_learnt *topic) {
    struct worker_stats *stats = &peer->worker->stats;
    uint32_t slot = topic_slot(topic->hash);
    if (!peer->held_back) {
        counter_add(moving_holds(peer->worker, topic) ? &stats->move_parked : &stats->held_back, 1);
        peer->held_ns = peer->worker->now_ns;
    }
    peer->moving = moving_holds(peer->worker, topic);
    peer->held_back = true;
    peer->held_slot = (uint16_t)slot;
    if (!list_in(&peer->parked))
        list_add(&peer->worker->parked, &peer->parked);
    conn_pause(&peer->conn, CONN_PAUSE_RING);
    return SESSION_PARK;
}

/* `home`: where its event could have been taken over where it lay; NULL = nowhere. */
static void homely_count(struct peer *peer, struct home *home) {
    if (home == NULL)
        peer->homely = 0;
    else if (home != peer->homely_at)
        peer->homely = 1;
    else if (peer->homely < LANDING_EVENTS_MIN)
        peer->homely++;
    peer->homely_at = home;
}

bool disk_can(const struct worker *worker, const struct topic_learnt *topic) {
    return log_is_disk(worker->shards, topic->log) && counter_get(&worker->shards->journal_failed) == 0;
}

static enum session_verdict disk_refused(struct peer *peer) {
    static const struct fault memory = {
        .code = RH_CODE_INVALID,
        .text =
            "this topic is kept in memory (class memory in the server's configuration), so its events can "
            "not be acknowledged as on disk: publish it over a connection with ack level ROUTED",
        .field = "topic"};
    static const struct fault failed = {
        .code = RH_CODE_UNAVAILABLE,
        .text = "the journal has failed, and the server ends: send this event again when it is back"};
    bool over = counter_get(&peer->worker->shards->journal_failed) != 0;
    return ingress_refused(peer, over ? &failed : &memory);
}

static struct forward ingress_forward(const struct worker *worker, const struct topic_learnt *topic,
                                      const struct wire_event *event) {
    return (struct forward){.hash = topic->hash,
                            .time_ns = worker->wall_ns,
                            .length = wire_record_size_of(event),
                            .count = 1,
                            .epoch = topic->epoch,
                            .log = topic->log,
                            .judged = topic->judged,
                            .expiring = expiry_asked(event, topic->rule),
                            .topic_at = (uint8_t)(event->record != NULL ? event->topic - event->record : 0),
                            .topic_length = (uint8_t)event->topic_length};
}

enum session_verdict ingress_publish(void *user, const struct wire_event *event) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    struct topic_learnt found;
    const struct topic_learnt *topic = topic_find(worker, event, &found);
    struct home *home = topic->home;
    if (UNLIKELY(peer->session.disk) && !disk_can(worker, topic))
        return disk_refused(peer);
    struct forward forward = ingress_forward(worker, topic, event);
    if (UNLIKELY(slot_holds(peer, topic)))
        return park_held(peer, topic);
    if (!acks_ready(peer))
        return park(peer);
    enum placed placed = home != NULL ? append_here(peer, home, &forward, event)
                         : link_give(worker, peer, topic->way, &forward, event) ? PLACED
                                                                                : PLACED_NOT;
    if (placed == PLACED_NOT)
        return park(peer);
    if (placed == PLACED_ANSWERED)
        return SESSION_GO;
    if (home != NULL)
        acks_note(peer, peer->session.ordinal, ACK_LOG + home->index, log_writer_next(home->log));
    else
        acks_note(peer, peer->session.ordinal, topic->way, spsc_committed(worker->out[topic->way].ring));
    homely_count(peer, event->record != NULL ? home : NULL);
    counter_add(&worker->stats.events_in, 1);
    counter_add(&worker->stats.events_in_bytes, forward.length);
    return SESSION_GO;
}

uint32_t ingress_train_most(void *user, const struct wire_event *first) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    const struct topic_learnt *topic = &worker->learnt;
    if (topic->judged || (peer->session.disk && !disk_can(worker, topic)) || slot_holds(peer, topic) ||
        !acks_ready(peer))
        return 0;
    return topic->home != NULL ? landing_train_most(peer, first)
                               : link_train_most(worker, topic->way, wire_record_size_of(first));
}

void ingress_train(void *user, const struct wire_event *first, uint32_t count) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    const struct topic_learnt *topic = &worker->learnt;
    struct forward forward = ingress_forward(worker, topic, first);
    forward.count = count;
    if (topic->home != NULL)
        landing_train(peer, &forward, first->record);
    else
        link_train(peer, topic->way, &forward, first->record);
    counter_add(&worker->stats.events_in, count);
    counter_add(&worker->stats.events_in_bytes, (uint64_t)count * forward.length);
}

enum session_verdict ingress_refused(void *user, const struct fault *fault) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    if (!acks_ready(peer))
        return park(peer);
    counter_add(&worker->stats.events_refused, 1);
    counter_add(&worker->stats.errors_event, 1);
    if (peer->session.acks)
        acks_refused(peer, peer->session.ordinal, fault);
    else
        session_error(&peer->session, fault, peer->session.ordinal, 0);
    peer_touch(peer);
    return SESSION_GO;
}

bool ingress_own(struct worker *worker, const struct wire_event *event, struct own_placed *placed) {
    struct own_placed unasked;
    struct topic_learnt found;
    const struct topic_learnt *topic = topic_find(worker, event, &found);
    struct home *home = topic->home;
    struct forward forward = ingress_forward(worker, topic, event);
    if (moving_holds(worker, topic))
        return false;
    forward.judged = false;
    if (placed == NULL)
        placed = &unasked;
    placed->disk = log_is_disk(worker->shards, topic->log);
    if (home == NULL) {
        placed->by = topic->way;
        if (!link_give(worker, NULL, topic->way, &forward, event))
            return false;
        placed->until = spsc_committed(worker->out[topic->way].ring);
        return true;
    }
    (void)landing_clear(home, NULL, NULL);
    uint8_t *out = home_room(worker, home, forward.length);
    if (out == NULL)
        return false;
    forward.topic_at =
        (uint8_t)wire_record_write(out, sequence_make(forward.epoch, log_writer_next(home->log)), event);
    home_add(worker, home, &forward, topic_id(worker, home, event, forward.hash));
    placed->by = (uint16_t)(ACK_LOG + home->index);
    placed->until = log_writer_next(home->log);
    return true;
}

bool ingress_own_settled(const struct worker *worker, const struct own_placed *placed) {
    if (placed->by >= ACK_LOG) {
        const struct log *log = worker->home_of[placed->by - ACK_LOG]->log;
        return (placed->disk ? log_visible(log) : log_produced(log)) >= placed->until;
    }
    CHECK(placed->by < WAYS_MAX);
    const struct spsc *ring = worker->out[placed->by].ring;
    return (placed->disk ? spsc_settled(ring) : spsc_consumed(ring)) >= placed->until;
}

bool ingress_state(struct worker *worker, struct home *home, const struct wire_event *state) {
    uint64_t hash = topic_hash(state->topic, state->topic_length, worker->shards->config.slot_seed);
    uint32_t length = wire_record_size_of(state);
    (void)landing_clear(home, NULL, NULL);
    uint8_t *out = home_room(worker, home, length);
    if (out == NULL)
        return false;
    uint64_t sequence = sequence_make(EPOCH_FIRST, log_writer_next(home->log)); /* it is on disk */
    uint32_t topic_at = wire_record_write(out, sequence, state);
    uint32_t flags = log_flags(LOG_STATE, topic_slot(hash), topic_at, state->topic_length);
    log_writer_commit(home->log, length, flags, 0, worker->wall_ns);
    if (log_writer_news(home->log))
        home_publish(worker, home);
    worker->worked = true;
    counter_add(&worker->stats.queue_states, 1);
    return true;
}

void ingress_retry(struct worker *worker) {
    struct list again;
    struct list *node;
    list_move(&worker->parked, &again);
    while ((node = list_take(&again)) != NULL) {
        struct peer *peer = LIST_OF(node, struct peer, parked);
        if (peer->held_back && !peer->shut &&
            (peer->moving ? worker->moving != NULL : block_holds_back(peer, peer->held_slot))) {
            list_add(&worker->parked, node);
            continue;
        }
        peer->held_back = false;
        peer_go_on(peer, CONN_PAUSE_RING);
    }
}

/* ---- once per turn ---- */

void ingress_publish_all(struct worker *worker) {
    for (uint32_t i = 0; i < worker->homes_count; i++)
        home_publish(worker, &worker->homes[i]);
    verdicts_publish(worker);
    links_release(worker);
    links_publish(worker);
}
