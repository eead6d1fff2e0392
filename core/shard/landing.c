/* Receiving straight into the log.
 *
 * A bulk publisher's frames are mostly records already, but for the sequence. So its bytes are received
 * beyond the last record of the log of this worker that they are for: a frame that turns out to be the next
 * record is committed where it lies, and never copied. The bytes of a frame that is not all there yet stay,
 * too, borrowed by the connection's input, and the next ones are received behind them.
 *
 * One connection at a time has bytes at each log, and a connection at one log. Whoever writes a record from
 * elsewhere clears the place first: bytes of another connection are copied into its input; bytes of the same
 * one are left out of the log, and handled from there before anybody else can write. */
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
static void landing_evict(struct home *home) {
    struct peer *peer = home->landing.peer;
    landing_forget(peer);
    if (input_own(&peer->conn.in) != 0)
        peer_close(peer, true);
}

uint8_t *landing_place(void *owner, void *user, size_t *size) {
    struct worker *worker = owner;
    struct peer *peer = user;
    if (peer == NULL || !lands(peer))
        return NULL;
    struct home *home = peer->homely_at;
    if (peer->landed != NULL && peer->landed != home)
        return NULL; /* a frame's beginning lies elsewhere; received beside it, it is copied */
    size_t kept = input_length(&peer->conn.in);
    if (!peer->conn.in.borrowed && kept > RECEIVE_BULK_BYTES / 2)
        return NULL; /* publishers in turn would copy a long frame's beginning again with each receive */
    size_t room = kept + *size;
    uint8_t *at = log_writer_ahead(home->log, &room, worker->now_ns);
    if (at == NULL || room < kept + landing_least(worker))
        return NULL;
    if (home->landing.peer != NULL && home->landing.peer != peer)
        landing_evict(home);
    if (!peer->conn.in.borrowed)
        input_move(&peer->conn.in, at);
    *size = room - kept;
    home->landing = (struct landing){.peer = peer, .end = log_writer_offset(home->log) + kept};
    peer->landed = home;
    return at + kept;
}

bool landing_stays(void *user, const uint8_t *bytes) {
    const struct peer *peer = user;
    return peer->landed != NULL && log_writer_is_next(peer->landed->log, bytes);
}

void landing_received(struct peer *peer, const uint8_t *bytes, size_t length) {
    struct home *home = peer->landed;
    if (home == NULL)
        return;
    const uint8_t *end = log_bytes_at(home->log, home->landing.end);
    uint64_t ring = log_data_bytes(home->log);
    if (bytes == end || bytes == end + ring)
        home->landing.end += length;
}

void landing_settle(struct peer *peer) {
    if (peer->landed != NULL && !peer->conn.in.borrowed)
        landing_forget(peer);
}

bool landing_clear(struct home *home, struct peer *peer, const uint8_t *from) {
    struct landing *landing = &home->landing;
    if (LIKELY(landing->peer == NULL))
        return false;
    if (landing->peer != peer) {
        landing_evict(home);
        return false;
    }
    if (from != NULL && log_writer_is_next(home->log, from))
        return true;
    counter_add(&peer->worker->stats.landing_skipped_bytes, landing->end - log_writer_offset(home->log));
    log_writer_skip(home->log, landing->end);
    landing_forget(peer);
    return false;
}

void landing_forget(struct peer *peer) {
    if (peer->landed != NULL)
        peer->landed->landing.peer = NULL;
    peer->landed = NULL;
}

uint32_t landing_train_most(struct peer *peer, const struct wire_event *first) {
    struct worker *worker = peer->worker;
    const struct topic_learnt *topic = &worker->learnt;
    const struct home *home = peer->landed;
    uint8_t *out;
    uint64_t retry_ns;
    uint32_t length = wire_record_size_of(first);
    if (home == NULL || topic->home != home || home->judge != NULL ||
        !log_writer_is_next(home->log, first->record) || topic->id == 0 ||
        topic->generation != intern_generation(home->intern) ||
        log_writer_reserve(home->log, length, worker->now_ns, &out, &retry_ns) != RING_OK)
        return 0;
    uint64_t most = log_writer_train_most(home->log, length);
    return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

void landing_train(struct peer *peer, const struct forward *train, const uint8_t *records) {
    struct worker *worker = peer->worker;
    struct home *home = worker->learnt.home;
    home_add_train(worker, home, train, records, worker->learnt.id);
    acks_note(peer, peer->session.ordinal, ACK_LOG + home->index, log_writer_next(home->log));
    counter_add(&worker->stats.events_landed, train->count);
}
