/* Connections come and go: accepting and placing them, what the I/O layer tells of them, their timeouts,
 * their end. */
#include "core/shard/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the session's host ---- */

static bool peer_admit(void *user, struct fault *fault) {
    struct peer *peer = user;
    peer->idle = (uint8_t)(peer->worker->idle_times - 1); /* it is about to be told */
    if (!peer->worker->draining)
        return true;
    *fault = (struct fault){.code = RH_CODE_UNAVAILABLE,
                            .text = "the server is stopping: connect again in a moment"};
    return false;
}

const struct session_host peer_host = {
    .admit = peer_admit,
    .publish = ingress_publish,
    .train_most = ingress_train_most,
    .publish_train = ingress_train,
    .refused = ingress_refused,
    .subscribe = subs_subscribe,
    .unsubscribe = subs_unsubscribe,
    .acked = memberships_acked,
    .replay = replayers_replay,
    .stays = landing_stays,
    .position = delivery_position,
    .goodbye = acks_goodbye,
    .failed = peer_failed,
};

/* ---- making and freeing ---- */

#define PEERS_FIRST 64u

static bool members_grow(struct worker *worker) {
    uint32_t capacity = worker->peers_capacity == 0 ? PEERS_FIRST : worker->peers_capacity * 2;
    struct peer **peers = realloc(worker->peers, capacity * sizeof(struct peer *));
    if (peers == NULL)
        return false;
    worker->peers = peers;
    memset(peers + worker->peers_capacity, 0, (capacity - worker->peers_capacity) * sizeof(struct peer *));
    route_member *spare = realloc(worker->spare, capacity * sizeof *spare);
    if (spare == NULL)
        return false;
    worker->spare = spare;
    for (uint32_t i = capacity; i > worker->peers_capacity; i--)
        spare[worker->spare_count++] = i - 1;
    worker->peers_capacity = capacity;
    return true;
}

bool peer_member_take(struct worker *worker, route_member *member) {
    if (worker->spare_count == 0 && !members_grow(worker))
        return false;
    *member = worker->spare[--worker->spare_count];
    worker->peers[*member] = NULL;
    return true;
}

void peer_member_give(struct worker *worker, route_member member) {
    worker->spare[worker->spare_count++] = member;
}

static void peer_lists_init(struct peer *peer) {
    struct list *nodes[] = {&peer->all,           &peer->dirty,  &peer->parked,  &peer->lagging,
                            &peer->changing,      &peer->acking, &peer->holding, &peer->leaving,
                            &peer->subscriptions, &peer->staged};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        list_init(nodes[i]);
}

static struct peer *peer_new(struct worker *worker) {
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL || (worker->spare_count == 0 && !members_grow(worker))) {
        free(peer);
        return NULL;
    }
    peer_lists_init(peer);
    peer->worker = worker;
    peer->conn.io = worker->io;
    peer->member = worker->spare[--worker->spare_count];
    peer->opened_ns = peer->heard_ns = peer->wrote_ns = worker->now_ns;
    peer->serial = worker->peers_made++;
    worker->peers[peer->member] = peer;
    session_init(&peer->session, &worker->facts, &peer->conn, &worker->shape, peer);
    list_add(&worker->all, &peer->all);
    counter_add(&worker->stats.connections, 1);
    return peer;
}

static void peer_free(struct peer *peer) {
    struct worker *worker = peer->worker;
    struct list *nodes[] = {&peer->all,      &peer->dirty,  &peer->parked,  &peer->lagging,
                            &peer->changing, &peer->acking, &peer->holding, &peer->leaving};
    catchup_forget(peer);
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        list_remove(nodes[i]);
    input_deinit(&peer->conn.in);
    output_deinit(&peer->conn.out, &worker->pool);
    session_deinit(&peer->session);
    acks_free(peer->acks);
    memberships_free(peer);
    free(peer->ended_at);
    worker->peers[peer->member] = NULL;
    worker->spare[worker->spare_count++] = peer->member;
    counter_add(&worker->stats.connections, UINT64_MAX); /* minus one */
    counter_add(&worker->stats.connections_closed, 1);
    free(peer);
}

/* ---- accepting: worker 0 ---- */

static uint64_t load_of(const struct worker *acceptor, uint32_t shard) {
    const struct worker_stats *stats = &acceptor->shards->workers[shard]->stats;
    return acceptor->placed[shard] - counter_get(&stats->connections_closed);
}

static uint32_t least_loaded(const struct worker *acceptor, uint64_t *total) {
    uint32_t best = 0;
    *total = 0;
    for (uint32_t i = 0; i < acceptor->worker_count; i++) {
        *total += load_of(acceptor, i);
        if (i < acceptor->active_count && load_of(acceptor, i) < load_of(acceptor, best))
            best = i;
    }
    return best;
}

void peer_accepted(void *owner, void *user, int fd) {
    struct worker *worker = owner;
    uint64_t total;
    (void)user;
    worker_clock(worker);
    uint32_t shard = least_loaded(worker, &total);
    bool refuse = total >= worker->limits.connections;
    if (refuse)
        counter_add(&worker->stats.connections_refused, 1);
    if (worker->draining || total >= (uint64_t)worker->limits.connections + REFUSED_CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    worker->placed[shard]++;
    if (shard == worker->number) {
        peer_adopt(worker, fd, refuse);
        return;
    }
    struct worker *other = worker->shards->workers[shard];
    struct mpsc_command command = {.kind = COMMAND_CONNECTION, .small = refuse};
    command.word[0] = (uint64_t)fd;
    if (mpsc_push(other->mailbox, &command) == RING_OK) {
        wake_signal(&other->wake);
        return;
    }
    worker->placed[shard]--; /* its mailbox is full: it is in trouble, the client tries again */
    counter_add(&worker->stats.connections_refused, 1);
    close(fd);
}

void peer_adopt(struct worker *worker, int fd, bool refuse) {
    static const struct fault full = {
        .code = RH_CODE_EXHAUSTED,
        .text = "the server's limit of connections (limits.connections) is reached: try again later"};
    struct peer *peer = peer_new(worker);
    if (peer == NULL) {
        close(fd);
        counter_add(&worker->stats.connections_closed, 1);
        return;
    }
    peer->fd = fd;
    peer->conn.handle = io_add(worker->io, fd, peer);
    if (peer->conn.handle == 0) {
        close(fd);
        peer_free(peer);
        return;
    }
    counter_add(&worker->stats.connections_accepted, 1);
    if (refuse)
        session_fail(&peer->session, &full);
}

/* ---- what the I/O layer tells ---- */

static void frames_count(struct peer *peer) {
    struct worker_stats *stats = &peer->worker->stats;
    counter_add(&stats->frames_in, peer->session.frames);
    counter_add(&stats->frames_unknown, peer->session.frames_unknown);
    peer->session.frames = peer->session.frames_unknown = 0;
}

void peer_received(void *owner, void *user, const uint8_t *bytes, size_t length) {
    struct worker *worker = owner;
    struct peer *peer = user;
    worker->worked = true;
    worker_clock(worker);
    if (peer->shut)
        return;
    peer->heard_ns = worker->now_ns;
    landing_received(peer, bytes, length);
    session_received(&peer->session, bytes, length);
    landing_settle(peer);
    frames_count(peer);
    peer_touch(peer);
}

/* The client has ended its side. What it sent before is still handled and settled, as after a Goodbye. */
void peer_ended(void *owner, void *user, int error) {
    struct peer *peer = user;
    (void)owner;
    if (error != 0 || peer->session.state == SESSION_HANDSHAKE) {
        peer_close(peer, error != 0);
        return;
    }
    if (peer->session.state == SESSION_OVER) {
        peer->farewell = true; /* the Error still goes out */
        if (peer->conn.out.first == NULL)
            peer_close(peer, false);
        return;
    }
    peer->ended = true;
    if (peer->conn.paused == 0)
        peer_go_on(peer, 0);
}

static void peer_end_settle(struct peer *peer) {
    if (!peer->ended || peer->goodbye || peer->conn.paused != 0 || peer->session.state != SESSION_OPEN)
        return;
    input_deinit(&peer->conn.in); /* at most the beginning of a frame */
    peer->session.state = SESSION_LEAVING;
    acks_goodbye(peer);
}

void peer_writable(void *owner, void *user) {
    struct peer *peer = user;
    (void)owner;
    peer->conn.blocked = false;
    peer->worker->worked = true;
    peer_touch(peer);
}

void peer_closed(void *owner, void *user) {
    struct worker *worker = owner;
    struct peer *peer = user;
    if (peer == NULL) {
        worker->listeners--;
        return;
    }
    peer->closed = true;
    peer->worker->worked = true;
}

/* ---- going on and ending ---- */

void peer_go_on(struct peer *peer, enum conn_pause why) {
    struct conn *conn = &peer->conn;
    bool was_paused = conn->paused != 0;
    conn->paused = (uint8_t)(conn->paused & ~(unsigned)why);
    if (conn->paused != 0 || peer->shut)
        return;
    session_resume(&peer->session);
    landing_settle(peer);
    frames_count(peer);
    if (was_paused && conn->paused == 0 && !peer->shut && !peer->ended) {
        peer->heard_ns = peer->worker->now_ns; /* it could not be heard meanwhile */
        io_receive_resume(conn->io, conn->handle);
    }
    peer_end_settle(peer);
    peer_touch(peer);
}

static void private_bound(struct peer *peer) {
    uint64_t limit = peer->worker->limits.private_bytes;
    uint32_t length = output_replies(&peer->conn.out);
    counter_max(&peer->worker->stats.private_high_water, length);
    if (length > limit && peer->private_since_ns == 0) {
        peer->private_since_ns = peer->worker->now_ns;
        conn_pause(&peer->conn, CONN_PAUSE_PRIVATE);
    } else if (peer->private_since_ns != 0 && length <= limit / 2) {
        peer->private_since_ns = 0;
        peer_go_on(peer, CONN_PAUSE_PRIVATE);
    }
}

void peer_touch(struct peer *peer) {
    if (peer->shut)
        return;
    if (peer->conn.broken) {
        peer_close(peer, true);
        return;
    }
    private_bound(peer);
    if (peer->conn.out.first == NULL || peer->conn.blocked)
        return;
    list_add(&peer->worker->dirty, &peer->dirty);
    peer->worker->worked = true;
}

void peer_retire(struct peer *peer) {
    block_end(peer);
    peer->retired = true;
    list_add(&peer->worker->leaving, &peer->leaving);
    peer->worker->worked = true;
}

void peer_close(struct peer *peer, bool abort) {
    if (peer->shut)
        return;
    peer_retire(peer);
    landing_forget(peer);
    if (UNLIKELY(peer->worker->traces.count > 0))
        trace_lost(peer->worker, peer, true);
    peer->shut = true;
    peer->session.state = SESSION_OVER; /* what else it has sent is not handled, also in the middle of it */
    output_deinit(&peer->conn.out, &peer->worker->pool); /* its slices must not hold the gate */
    list_remove(&peer->holding);
    list_remove(&peer->dirty);
    io_close(peer->conn.io, peer->conn.handle, abort);
}

void peer_failed(void *user, enum rh_code code) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    uint32_t left_out;
    counter_add(&worker->stats.errors_fatal, 1);
    peer_retire(peer);
    peer->close_at_ns = worker->now_ns + LINGER_NS;
    peer_touch(peer);
    if (!logfmt_allowed(&worker->error_limit, worker->now_ns, &left_out))
        return;
    char name[2 * CLIENT_NAME_BYTES_MAX];
    const char *text = peer->session.name == NULL ? "" : peer->session.name;
    logfmt(LOGFMT_WARN, "connection refused or ended by an error", "code=%s client=%s shard=%u left_out=%u",
           rh_code_name(code),
           logfmt_quote(name, sizeof name, text, CLIENT_NAME_BYTES_MAX > 0 ? __builtin_strlen(text) : 0),
           worker->number, left_out);
}

void peers_leave(struct worker *worker) {
    struct list *next;
    for (struct list *node = worker->leaving.next; node != &worker->leaving; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, leaving);
        next = node->next;
        lag_gone(peer); /* first: it is told what it had subscribed to */
        subs_drop_all(peer);
        memberships_drop_all(peer);
        if (peer->closed)
            peer_free(peer);
    }
    route_end_generation(worker->routes); /* in every turn: forgotten topics leave sets behind, too */
}

/* ---- timeouts ---- */

static void timeout_fail(struct peer *peer, const char *text) {
    session_fail(&peer->session, &(struct fault){.code = RH_CODE_TIMEOUT, .text = text});
}

static bool handshake_over(const struct peer *peer) {
    const struct worker *worker = peer->worker;
    return peer->session.state == SESSION_HANDSHAKE &&
           worker->now_ns - peer->opened_ns > worker->limits.handshake_ns;
}

static bool idle_over(const struct peer *peer) {
    const struct worker *worker = peer->worker;
    uint64_t idle_ns = limits_idle_ns(worker, peer);
    return idle_ns > 0 && peer->session.state == SESSION_OPEN && peer->conn.paused == 0 &&
           worker->now_ns - peer->heard_ns > idle_ns;
}

static void peer_tick(struct peer *peer) {
    struct worker *worker = peer->worker;
    uint64_t now_ns = worker->now_ns;
    lag_tick(peer, now_ns - worker->ticked_ns);
    if (handshake_over(peer)) {
        counter_add(&worker->stats.handshake_timeouts, 1);
        timeout_fail(peer, "no Connect came in time");
    } else if (idle_over(peer)) {
        counter_add(&worker->stats.idle_timeouts, 1);
        timeout_fail(peer,
                     "nothing was heard for longer than idle_ms of Connected: send a Ping now and then");
    }
    if (block_over(peer))
        catchup_too_long(peer);
    if (peer->held_back && now_ns - peer->held_ns > HELD_PING_NS) {
        peer->held_ns = now_ns; /* it is not read, so none of its Pings is answered */
        session_ping(&peer->session);
        peer_touch(peer);
    }
    if (peer->private_since_ns != 0 && now_ns - peer->private_since_ns > PRIVATE_STALL_NS) {
        counter_add(&worker->stats.private_stalls, 1);
        peer_close(peer, true);
    }
    if (peer->close_at_ns != 0 && now_ns > peer->close_at_ns)
        peer_close(peer, peer->conn.blocked);
    if (now_ns - peer->heard_ns > NS_PER_S)
        input_rest(&peer->conn.in);
}

void peers_tick(struct worker *worker) {
    struct list *next;
    for (struct list *node = worker->all.next; node != &worker->all; node = next) {
        next = node->next;
        peer_tick(LIST_OF(node, struct peer, all));
    }
}
