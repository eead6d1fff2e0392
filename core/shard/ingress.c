/* From a publisher into a log: here, or through a link to the worker that is its home.
 *
 * A link is a byte ring (ring/spsc.h); there is one for each class of topics, as a log that waits for its
 * disk must not hold up what goes into memory. Each of its records is a `struct forward`, the publisher's
 * address if the event is judged (verdicts.c), and the frame as the log will hold it, or, when that is larger
 * than SPSC_INLINE_MAX, the address of a buffer that holds it. Such a buffer is lent: it is freed when the
 * home has consumed past it, which is also when its publisher is told. Addresses take little of the ring, so
 * what is lent has a bound of its own. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

struct forward {
    uint64_t hash;
    uint64_t time_ns;
    const uint8_t *large; /* the record when it is not inline */
    uint32_t length;      /* of the record */
    uint8_t log;
    bool judged : 1; /* a struct forward_from follows */
    bool expiring : 1;
    uint8_t topic_at;
    uint8_t topic_length;
};
static_assert(sizeof(struct forward) == 32, "little beside the frame");

struct lent {
    struct lent *next;
    uint64_t until;
    uint32_t length;
    uint8_t bytes[];
};

/* ---- at home ---- */

/* Where a record of `length` goes; NULL = not now. What landed there has been cleared away. */
static uint8_t *log_room(struct worker *worker, struct home *home, uint32_t length) {
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
    for (uint32_t i = 0; i < shards->config.count; i++)
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

static void log_add(struct worker *worker, struct home *home, const struct forward *forward, uint64_t id) {
    uint32_t flags = log_flags(forward->expiring ? LOG_EVENT_EXPIRING : LOG_EVENT, topic_slot(forward->hash),
                               forward->topic_at, forward->topic_length);
    log_writer_commit(home->log, forward->length, flags, id, forward->time_ns);
    if (UNLIKELY(log_writer_news(home->log)))
        home_publish(worker, home); /* the turn may still be long, and the ring full before its end */
    counter_add(&worker->stats.events_appended, 1);
    worker->worked = true;
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

/* Whether there is something against it. A home may take what it lets pass for stored, so it is asked last;
 * what is stored for a mailbox counts as held there. */
static bool judged(struct worker *worker, struct home *home, const struct wire_event *event, uint64_t hash,
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
    uint8_t *out = log_room(worker, home, forward->length);
    struct verdict verdict;
    if (out == NULL)
        return PLACED_NOT;
    uint64_t sequence = sequence_make(home->epoch, log_writer_next(home->log));
    if (UNLIKELY(forward->judged) && judged(worker, home, event, forward->hash, sequence, &verdict)) {
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
    log_add(worker, home, forward, topic_id(worker, home, event, forward->hash));
    return PLACED;
}

/* ---- to another home ---- */

static struct link_out *link_to(struct worker *worker, uint32_t way) {
    const struct shards *shards = worker->shards;
    struct link_out *link = &worker->out[way];
    uint64_t bytes = shards->config.link_bytes;
    if (link->ring == NULL && spsc_create(&link->ring, bytes != 0 ? bytes : SPSC_BYTES) != 0)
        return NULL;
    if (link->back == NULL && spsc_create(&link->back, VERDICT_BYTES) != 0)
        return NULL;
    if (!link->announced) {
        struct worker *other = way_worker(shards, way);
        struct mpsc_command command = {.kind = COMMAND_LINK, .small = way - other->number + worker->number};
        command.word[0] = (uint64_t)(uintptr_t)link->ring;
        command.word[1] = (uint64_t)(uintptr_t)link->back;
        link->announced = mpsc_push(other->mailbox, &command) == RING_OK;
        wake_signal(&other->wake);
    }
    return link->announced ? link : NULL;
}

/* Asks the home for a wake, and remembers how far it was: worker_news compares before a sleep. The caller
 * looks for room again after this. */
static void link_want(struct link_out *link) {
    wanted_set(spsc_wanted(link->ring));
    if (!link->refused)
        link->refused_at = spsc_consumed(link->ring);
    link->refused = true;
}

static enum ring_result link_reserve(struct link_out *link, uint32_t length, uint8_t **out) {
    if (spsc_reserve(link->ring, length, out) == RING_OK)
        return RING_OK;
    link_want(link);
    return spsc_reserve(link->ring, length, out);
}

static void lent_free_until(struct link_out *link, uint64_t consumed) {
    while (link->lent != NULL && link->lent->until <= consumed) {
        struct lent *next = link->lent->next;
        link->lent_bytes -= link->lent->length;
        free(link->lent);
        link->lent = next;
    }
}

/* One may always be lent, however large. */
static bool lent_fits(struct link_out *link, uint32_t length) {
    lent_free_until(link, spsc_consumed(link->ring));
    return link->lent_bytes == 0 || link->lent_bytes + length <= LENT_BYTES_MAX;
}

static bool lent_room(struct link_out *link, uint32_t length) {
    if (lent_fits(link, length))
        return true;
    link_want(link);
    return lent_fits(link, length);
}

static struct lent *lent_new(const struct forward *forward) {
    struct lent *lent = malloc(sizeof(struct lent) + forward->length);
    if (lent != NULL)
        lent->length = forward->length;
    return lent;
}

static void lent_add(struct link_out *link, struct lent *lent) {
    lent->until = spsc_committed(link->ring);
    lent->next = NULL;
    link->lent_bytes += lent->length;
    if (link->lent == NULL)
        link->lent = lent;
    else
        link->lent_last->next = lent;
    link->lent_last = lent;
}

/* Bytes in front of the frame. */
static uint32_t forward_head(const struct forward *forward) {
    return (uint32_t)(sizeof *forward + (forward->judged ? sizeof(struct forward_from) : 0));
}

static void forward_write(uint8_t *out, const struct forward *forward, const struct peer *peer) {
    memcpy(out, forward, sizeof *forward);
    if (!forward->judged)
        return;
    struct forward_from from = verdict_address(peer, peer->session.ordinal);
    memcpy(out + sizeof *forward, &from, sizeof from);
}

static bool forward_large(const struct peer *peer, struct link_out *link, struct forward *forward,
                          const struct wire_event *event) {
    uint8_t *out;
    uint32_t head = forward_head(forward);
    if (!lent_room(link, forward->length) || link_reserve(link, head, &out) != RING_OK)
        return false;
    struct lent *lent = lent_new(forward);
    if (lent == NULL)
        return false;
    forward->topic_at = (uint8_t)wire_record_write(lent->bytes, 1, event);
    forward->large = lent->bytes;
    forward_write(out, forward, peer);
    spsc_commit(link->ring, head);
    lent_add(link, lent);
    return true;
}

static bool forward_inline(const struct peer *peer, struct link_out *link, struct forward *forward,
                           const struct wire_event *event) {
    uint8_t *out;
    uint32_t head = forward_head(forward);
    if (link_reserve(link, head + forward->length, &out) != RING_OK)
        return false;
    forward->topic_at = (uint8_t)wire_record_write(out + head, 1, event);
    forward_write(out, forward, peer);
    spsc_commit(link->ring, head + forward->length);
    return true;
}

/* `peer` is NULL for an event of the router itself, which nobody judges. */
static enum placed append_there(struct worker *worker, const struct peer *peer, uint32_t way,
                                struct forward *forward, const struct wire_event *event) {
    struct link_out *link = link_to(worker, way);
    if (link == NULL)
        return PLACED_NOT;
    bool large = forward->length > SPSC_INLINE_MAX;
    if (!(large ? forward_large(peer, link, forward, event) : forward_inline(peer, link, forward, event)))
        return PLACED_NOT;
    link->fresh = true;
    worker->worked = true; /* perhaps behind this turn's publishing: no sleep before the next one */
    counter_add(&worker->stats.events_forwarded, 1);
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
    uint32_t log = topic_log(worker, event->topic, event->topic_length, hash);
    enum topic_class class = log_is_disk(shards, log) ? TOPIC_DISK : TOPIC_MEMORY;
    *found = (struct topic_learnt){.hash = hash,
                                   .home = worker->home_of[log],
                                   .rule = topic_rule_of(worker, event->topic, event->topic_length, hash),
                                   .way = (uint16_t)way_of(shards, log_home(shards, log), class),
                                   .log = (uint8_t)log,
                                   .judged = (shards->judged >> log & 1u) != 0 || event->topic[0] == '@'};
    if (event->known == WIRE_TOPIC_LEARNT)
        worker->learnt = *found;
    return found;
}

/* Parked for a slow subscriber; it is looked at again only when the slot is free. */
static enum session_verdict park_held(struct peer *peer, uint32_t slot) {
    if (!peer->held_back) {
        counter_add(&peer->worker->stats.held_back, 1);
        peer->held_ns = peer->worker->now_ns;
    }
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

enum session_verdict ingress_publish(void *user, const struct wire_event *event) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    struct topic_learnt found;
    const struct topic_learnt *topic = topic_find(worker, event, &found);
    struct home *home = topic->home;
    if (UNLIKELY(peer->session.disk) && !disk_can(worker, topic))
        return disk_refused(peer);
    struct forward forward = {.hash = topic->hash,
                              .time_ns = worker->wall_ns,
                              .length = wire_record_size_of(event),
                              .log = topic->log,
                              .judged = topic->judged,
                              .expiring = expiry_asked(event, topic->rule),
                              .topic_length = (uint8_t)event->topic_length};
    if (UNLIKELY(block_holds_back(peer, topic_slot(topic->hash))))
        return park_held(peer, topic_slot(topic->hash));
    if (!acks_ready(peer))
        return park(peer);
    enum placed placed = home != NULL ? append_here(peer, home, &forward, event)
                                      : append_there(worker, peer, topic->way, &forward, event);
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
    struct forward forward = {.hash = topic->hash,
                              .time_ns = worker->wall_ns,
                              .length = wire_record_size_of(event),
                              .log = topic->log,
                              .expiring = expiry_asked(event, topic->rule),
                              .topic_length = (uint8_t)event->topic_length};
    if (placed == NULL)
        placed = &unasked;
    placed->disk = log_is_disk(worker->shards, topic->log);
    if (home == NULL) {
        placed->by = topic->way;
        if (append_there(worker, NULL, topic->way, &forward, event) != PLACED)
            return false;
        placed->until = spsc_committed(worker->out[topic->way].ring);
        return true;
    }
    (void)landing_clear(home, NULL, NULL);
    uint8_t *out = log_room(worker, home, forward.length);
    if (out == NULL)
        return false;
    forward.topic_at =
        (uint8_t)wire_record_write(out, sequence_make(home->epoch, log_writer_next(home->log)), event);
    log_add(worker, home, &forward, topic_id(worker, home, event, forward.hash));
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
    uint8_t *out = log_room(worker, home, length);
    if (out == NULL)
        return false;
    uint32_t topic_at = wire_record_write(out, sequence_make(home->epoch, log_writer_next(home->log)), state);
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
        if (peer->held_back && !peer->shut && block_holds_back(peer, peer->held_slot)) {
            list_add(&worker->parked, node);
            continue;
        }
        peer->held_back = false;
        peer_go_on(peer, CONN_PAUSE_RING);
    }
}

/* ---- from other workers ---- */

void ingress_link_add(struct worker *worker, uint32_t way, const struct mpsc_command *command) {
    worker->in[way].ring = (struct spsc *)(uintptr_t)command->word[0];
    worker->in[way].back = (struct spsc *)(uintptr_t)command->word[1];
}

/* Whether the home has something against it; *said: the publisher's worker will know. */
static bool link_judge(struct worker *worker, struct home *home, struct link_in *link,
                       const struct forward *forward, const uint8_t *frame, const struct forward_from *from,
                       bool *said) {
    struct wire_event event;
    struct verdict verdict;
    uint64_t none;
    wire_record_read(frame, forward->length, &none, &event);
    if (!judged(worker, home, &event, forward->hash, sequence_make(home->epoch, log_writer_next(home->log)),
                &verdict))
        return false;
    *said = verdict_send(link, from, &verdict);
    return true;
}

static bool link_append(struct worker *worker, struct link_in *link, const uint8_t *bytes) {
    struct forward forward;
    struct forward_from from;
    memcpy(&forward, bytes, sizeof forward);
    struct home *home = worker->home_of[forward.log];
    const uint8_t *frame = forward.large != NULL ? forward.large : bytes + forward_head(&forward);
    (void)landing_clear(home, NULL, NULL);
    uint8_t *out = log_room(worker, home, forward.length);
    if (out == NULL)
        return false;
    if (UNLIKELY(forward.judged)) {
        memcpy(&from, bytes + sizeof forward, sizeof from);
        bool said = true;
        if (link_judge(worker, home, link, &forward, frame, &from, &said)) {
            link->appended |= said;
            return said;
        }
    }
    log_writer_warm(home->log, forward.length);
    memcpy(out, frame, forward.length);
    wire_record_sequence(out, sequence_make(home->epoch, log_writer_next(home->log)));
    log_add(worker, home, &forward,
            intern_id(home->intern, out + forward.topic_at, forward.topic_length, forward.hash));
    link->appended = true;
    return true;
}

static bool link_drain(struct worker *worker, struct link_in *link) {
    bool any = false;
    for (;;) {
        if (link->held == NULL)
            link->held = spsc_peek(link->ring, &link->held_length);
        if (link->held == NULL || !link_append(worker, link, link->held))
            return any;
        link->held = NULL;
        any = true;
    }
}

bool ingress_links(struct worker *worker) {
    bool any = false;
    for (uint32_t i = 0; i < ways_count(worker->shards); i++)
        if (worker->in[i].ring != NULL && link_drain(worker, &worker->in[i]))
            any = true;
    return any;
}

/* ---- once per turn ---- */

static void links_release(struct worker *worker) {
    bool disk = false;
    for (uint32_t i = 0; i < ways_count(worker->shards); i++) {
        struct link_in *link = &worker->in[i];
        if (link->ring == NULL || !link->appended || link->held != NULL)
            continue; /* with a record in hand nothing is released: it lies in the ring */
        spsc_consume(link->ring);
        link->appended = false;
        disk |= i >= worker->shards->config.count;
        if (wanted_take(spsc_wanted(link->ring)))
            wake_signal(&way_worker(worker->shards, i)->wake);
    }
    if (disk)
        durable_note(worker);
    if (worker->marks_count > 0)
        durable_settle(worker);
}

static void links_publish(struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker->shards); i++) {
        struct link_out *link = &worker->out[i];
        if (link->lent != NULL)
            lent_free_until(link, spsc_consumed(link->ring));
        if (!link->fresh)
            continue;
        link->fresh = false;
        if (spsc_publish(link->ring))
            wake_signal(&way_worker(worker->shards, i)->wake);
    }
}

void ingress_publish_all(struct worker *worker) {
    for (uint32_t i = 0; i < worker->homes_count; i++)
        home_publish(worker, &worker->homes[i]);
    verdicts_publish(worker);
    links_release(worker);
    links_publish(worker);
}

bool ingress_idle(const struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker->shards); i++) {
        const struct link_out *out = &worker->out[i];
        const struct link_in *in = &worker->in[i];
        if (out->ring != NULL && spsc_consumed(out->ring) != spsc_committed(out->ring))
            return false;
        if (in->ring != NULL && (in->held != NULL || spsc_pending(in->ring)))
            return false;
    }
    return true;
}

void ingress_deinit(struct worker *worker) {
    for (uint32_t i = 0; i < WAYS_MAX; i++) {
        lent_free_until(&worker->out[i], UINT64_MAX);
        spsc_destroy(worker->out[i].ring);
        spsc_destroy(worker->out[i].back);
    }
}
