/* Receiving straight into the log.
 *
 * A bulk publisher's frames are mostly records already, but for the sequence. So its bytes are received
 * beyond the last record of the home log: a frame that turns out to be the next record is committed where it
 * lies, and never copied. The bytes of a frame that is not all there yet stay, too, borrowed by the
 * connection's input, and the next ones are received behind them.
 *
 * One connection at a time has bytes there. Whoever writes a record from elsewhere clears the place first:
 * bytes of another connection are copied into its input; bytes of the same one are left out of the log, and
 * handled from there before anybody else can write. */
#include "core/shard/worker.h"

#include "core/base/topic.h"

static bool lands(const struct peer *peer) {
    return peer->homely == LANDING_EVENTS_MIN && peer->session.state == SESSION_OPEN && !peer->retired &&
           peer->conn.paused == 0;
}

static uint32_t landing_least(const struct worker *worker) {
    uint32_t bytes = worker->shards->config.landing_bytes;
    return bytes != 0 ? bytes : LANDING_BYTES_MIN;
}

/* Another connection's bytes lie there: it gets a copy. */
static void landing_evict(struct worker *worker) {
    struct peer *peer = worker->landing.peer;
    worker->landing.peer = NULL;
    if (input_own(&peer->conn.in) != 0)
        peer_close(peer, true);
}

uint8_t *landing_place(void *owner, void *user, size_t *size) {
    struct worker *worker = owner;
    struct peer *peer = user;
    if (peer == NULL || !lands(peer))
        return NULL;
    size_t kept = input_length(&peer->conn.in);
    if (!peer->conn.in.borrowed && kept > RECEIVE_BULK_BYTES)
        return NULL; /* publishers in turn would copy a long frame's beginning again with each receive */
    size_t room = kept + *size;
    uint8_t *at = log_writer_ahead(worker->log, &room, worker->now_ns);
    if (at == NULL || room < kept + landing_least(worker))
        return NULL;
    if (worker->landing.peer != NULL && worker->landing.peer != peer)
        landing_evict(worker);
    if (!peer->conn.in.borrowed)
        input_move(&peer->conn.in, at);
    *size = room - kept;
    worker->landing = (struct landing){.peer = peer, .end = log_writer_offset(worker->log) + kept};
    return at + kept;
}

bool landing_stays(void *user, const uint8_t *bytes) {
    const struct peer *peer = user;
    return peer->worker->landing.peer == peer && log_writer_is_next(peer->worker->log, bytes);
}

void landing_received(struct peer *peer, const uint8_t *bytes, size_t length) {
    struct landing *landing = &peer->worker->landing;
    if (landing->peer != peer)
        return;
    const uint8_t *end = log_bytes_at(peer->worker->log, landing->end);
    uint64_t ring = log_data_bytes(peer->worker->log);
    if (bytes == end || bytes == end + ring)
        landing->end += length;
}

void landing_settle(struct peer *peer) {
    if (peer->worker->landing.peer == peer && !peer->conn.in.borrowed)
        peer->worker->landing.peer = NULL;
}

bool landing_clear(struct worker *worker, struct peer *peer, const uint8_t *from) {
    struct landing *landing = &worker->landing;
    if (LIKELY(landing->peer == NULL))
        return false;
    if (landing->peer != peer) {
        landing_evict(worker);
        return false;
    }
    if (from != NULL && log_writer_is_next(worker->log, from))
        return true;
    counter_add(&worker->stats.landing_skipped_bytes, landing->end - log_writer_offset(worker->log));
    log_writer_skip(worker->log, landing->end);
    landing->peer = NULL;
    return false;
}

void landing_forget(struct peer *peer) {
    if (peer->worker->landing.peer == peer)
        peer->worker->landing.peer = NULL;
}

uint32_t landing_train_most(void *user, const struct wire_event *first) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    const struct topic_learnt *topic = &worker->learnt;
    uint8_t *out;
    uint64_t retry_ns;
    uint32_t length = wire_record_size_of(first);
    if (worker->landing.peer != peer || !log_writer_is_next(worker->log, first->record) ||
        topic->home != worker->number || topic->id == 0 ||
        topic->generation != intern_generation(worker->intern) || !acks_ready(peer) ||
        log_writer_reserve(worker->log, length, worker->now_ns, &out, &retry_ns) != RING_OK)
        return 0;
    uint64_t most = log_writer_train_most(worker->log, length);
    return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

void landing_train(void *user, const struct wire_event *first, uint32_t count) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    uint32_t length = wire_record_size_of(first);
    struct log_train train = {.count = count,
                              .length = length,
                              .flags =
                                  log_flags(LOG_EVENT, topic_slot(worker->learnt.hash),
                                            (uint32_t)(first->topic - first->record), first->topic_length),
                              .sequence_at = wire_record_sequence_at(first->record),
                              .sequence = SEQUENCE_OF(log_writer_next(worker->log)),
                              .topic = worker->learnt.id,
                              .time_ns = worker->wall_ns};
    log_writer_train(worker->log, &train);
    if (log_writer_news(worker->log))
        ingress_publish_home(worker); /* the turn may still be long, and the ring full before its end */
    acks_note(peer, peer->session.ordinal, worker->number, log_writer_next(worker->log));
    counter_add(&worker->stats.events_in, count);
    counter_add(&worker->stats.events_in_bytes, (uint64_t)count * length);
    counter_add(&worker->stats.events_appended, count);
    counter_add(&worker->stats.events_landed, count);
    worker->worked = true;
}
