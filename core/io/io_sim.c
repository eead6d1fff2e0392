/* io_sim.c: the simulated body: byte queues instead of sockets, and a seeded fate for every operation.
 *
 * A turn is the unit of simulated time: it serves every connection at most once for each kind of event, in
 * the order of their slots, so the same seed and the same calls give the same run. Each receive hands out
 * memory of its own that is freed when the callback returns, so that a sanitizer sees whoever keeps a
 * pointer. */
#include "core/io/body.h"
#include "core/io/sim.h"

#include "core/base/limits.h"
#include "core/io/sent.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define SIM_FD_FIRST        1000000
#define SIM_SOCKET_BYTES    (256u * KIB)
#define SIM_DELAY_TURNS_MAX 8u

enum sim_flag {
    SIM_LISTENER = 1 << 0,
    SIM_PAUSED = 1 << 1,
    SIM_ENDED = 1 << 2,
    SIM_WANTED = 1 << 3,
    SIM_SEND = 1 << 4,
    SIM_CLOSING = 1 << 5,
    SIM_ABORT = 1 << 6
};

struct sim_bytes { /* a queue of bytes; grows up to the socket's size */
    uint8_t *data; /* owns */
    size_t length;
    size_t capacity;
};

struct io_sim_peer {
    struct sim *sim; /* the one that serves it, before that the door; NULL once that is destroyed */
    struct io_sim_peer *waiting_next;
    struct sim_bytes to_server;
    struct sim_bytes to_client;
    int fd;
    uint64_t due;     /* the turn from which `accepted` may be told */
    bool accepted;    /* told, waits for io_add */
    bool claimed;     /* io_add was called */
    bool client_shut; /* sends no more, still reads */
    bool client_ended;
    bool server_ended;
    bool reset; /* by either side or by fate */
    enum io_sim_end ended;
    bool forgotten;
};

struct sim_conn {
    struct io_slot slot;
    void *user;
    struct io_sim_peer *peer; /* NULL for the listener */
    const struct iovec *iov;  /* borrows until the flush */
    uint32_t iov_count;
    uint32_t flags;
    uint64_t receive_due; /* turns from which each may happen */
    uint64_t writable_due;
    uint64_t close_due;
    bool receive_drawn; /* the delay of what is waiting has been drawn */
    bool writable_drawn;
};

struct sim {
    struct io io;
    struct io_table table;
    struct io_sent_list queued;  /* handles of this flush, in order */
    struct io_sim_peer *waiting; /* connected, not yet claimed by io_add; oldest first */
    struct sim *door;            /* whose `waiting` io_add looks at: mostly its own */
    struct io_sim_faults faults;
    uint64_t random;
    uint64_t turn;
    uint32_t budget;
    int fd_next;
};

static struct sim *sim_of(struct io *io) {
    return (struct sim *)io;
}

/* --- Fate ---------------------------------------------------------------------------------------------- */

static uint64_t sim_random(struct sim *sim) { /* xorshift64* (Vigna 2014) */
    sim->random ^= sim->random >> 12;
    sim->random ^= sim->random << 25;
    sim->random ^= sim->random >> 27;
    return sim->random * UINT64_C(2685821657736338717);
}

static bool sim_chance(struct sim *sim, uint32_t per_1024) {
    return per_1024 > 0 && (sim_random(sim) >> 32) % 1024 < per_1024;
}

static size_t sim_part(struct sim *sim, size_t whole) {
    return whole <= 1 ? whole : 1 + (size_t)(sim_random(sim) >> 16) % (whole - 1);
}

static uint64_t sim_due(struct sim *sim) {
    return sim_chance(sim, sim->faults.delay) ? sim->turn + 1 + (sim_random(sim) >> 32) % SIM_DELAY_TURNS_MAX
                                              : sim->turn;
}

static size_t sim_socket_bytes(const struct sim *sim) {
    return sim->faults.socket_bytes ? sim->faults.socket_bytes : SIM_SOCKET_BYTES;
}

/* --- Queues of bytes ----------------------------------------------------------------------------------- */

static bool bytes_put(struct sim_bytes *bytes, const void *data, size_t length) {
    if (length > bytes->capacity - bytes->length) {
        size_t capacity = 2 * bytes->capacity + length;
        uint8_t *grown = realloc(bytes->data, capacity);
        if (!grown)
            return false;
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return true;
}

static void bytes_get(struct sim_bytes *bytes, void *data, size_t length) {
    CHECK(length <= bytes->length);
    memcpy(data, bytes->data, length);
    bytes->length -= length;
    memmove(bytes->data, bytes->data + length, bytes->length);
}

static size_t bytes_space(const struct sim *sim, const struct sim_bytes *bytes) {
    size_t most = sim_socket_bytes(sim);
    return bytes->length < most ? most - bytes->length : 0;
}

/* --- The other end ------------------------------------------------------------------------------------- */

static void peer_free(struct io_sim_peer *peer) {
    free(peer->to_server.data);
    free(peer->to_client.data);
    free(peer);
}

/* Called when the server's side lets go of it. */
static void peer_release(struct io_sim_peer *peer, bool abort) {
    if (peer->ended == IO_SIM_OPEN)
        peer->ended = peer->client_ended ? IO_SIM_LEFT : abort ? IO_SIM_ABORTED : IO_SIM_CLOSED;
    peer->server_ended = true;
    peer->reset |= abort;
    if (peer->forgotten)
        peer_free(peer);
}

void io_sim_seed(struct io *io, uint64_t seed, const struct io_sim_faults *faults) {
    CHECK(io->body == IO_BODY_SIM);
    struct sim *sim = sim_of(io);
    sim->random = seed ^ UINT64_C(0x9e3779b97f4a7c15);
    if (sim->random == 0)
        sim->random = 1;
    sim->faults = faults ? *faults : (struct io_sim_faults){0};
}

static void peer_break(struct io_sim_peer *peer) {
    if (!peer->client_ended && peer->ended == IO_SIM_OPEN)
        peer->ended = IO_SIM_BROKEN;
    peer->reset = true;
}

void io_sim_share(struct io *io, struct io *door) {
    CHECK(io->body == IO_BODY_SIM && door->body == IO_BODY_SIM);
    sim_of(io)->door = sim_of(door);
}

struct io_sim_peer *io_sim_connect(struct io *io) {
    CHECK(io->body == IO_BODY_SIM);
    struct sim *sim = sim_of(io);
    struct io_sim_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->sim = sim;
    peer->fd = sim->fd_next++;
    peer->due = sim_due(sim) + 1;
    struct io_sim_peer **last = &sim->waiting;
    while (*last)
        last = &(*last)->waiting_next;
    *last = peer;
    return peer;
}

int64_t io_sim_write(struct io_sim_peer *peer, const void *bytes, size_t length) {
    if (peer->client_shut || peer->client_ended || peer->server_ended || peer->reset || !peer->sim)
        return -EPIPE;
    size_t space = bytes_space(peer->sim, &peer->to_server);
    size_t taken = length < space ? length : space;
    return bytes_put(&peer->to_server, bytes, taken) ? (int64_t)taken : 0;
}

int64_t io_sim_read(struct io_sim_peer *peer, void *bytes, size_t length) {
    if (peer->client_ended)
        return 0;
    if (peer->reset)
        return -ECONNRESET;
    if (peer->to_client.length == 0)
        return peer->server_ended ? 0 : -EAGAIN;
    size_t taken = length < peer->to_client.length ? length : peer->to_client.length;
    bytes_get(&peer->to_client, bytes, taken);
    return (int64_t)taken;
}

size_t io_sim_unread(const struct io_sim_peer *peer, const uint8_t **bytes) {
    *bytes = peer->to_client.data;
    return peer->to_client.length;
}

enum io_sim_end io_sim_ended(const struct io_sim_peer *peer) {
    return peer->ended;
}

void io_sim_shut(struct io_sim_peer *peer) {
    peer->client_shut = true;
}

void io_sim_end(struct io_sim_peer *peer, bool reset) {
    if (peer->client_ended)
        return;
    peer->client_ended = true;
    peer->reset |= reset;
}

void io_sim_forget(struct io_sim_peer *peer) {
    if (!peer)
        return;
    io_sim_end(peer, true);
    peer->forgotten = true;
    if (peer->server_ended)
        peer_free(peer);
}

/* --- Life cycle ---------------------------------------------------------------------------------------- */

static int sim_create(struct io **out, const struct io_config *config) {
    struct sim *sim = aligned_alloc(64, (sizeof *sim + 63) / 64 * 64);
    if (!sim)
        return -ENOMEM;
    *sim = (struct sim){.fd_next = SIM_FD_FIRST};
    sim->door = sim;
    io_head_init(&sim->io, &io_ops_sim, config);
    io_table_init(&sim->table, sizeof(struct sim_conn));
    io_sim_seed(&sim->io, 1, NULL);
    *out = &sim->io;
    return 0;
}

static void sim_abandon(struct io_sim_peer *peer) {
    peer->sim = NULL;
    peer_release(peer, true);
}

static void sim_destroy(struct io *io) {
    struct sim *sim = sim_of(io);
    for (uint32_t i = 0; i < io_table_capacity(&sim->table); i++) {
        struct sim_conn *conn = (struct sim_conn *)(void *)io_table_at(&sim->table, i);
        if (conn->slot.live && conn->peer)
            sim_abandon(conn->peer);
    }
    for (struct io_sim_peer *peer = sim->waiting, *next; peer; peer = next) {
        next = peer->waiting_next;
        sim_abandon(peer);
    }
    io_table_deinit(&sim->table);
    io_sent_deinit(&sim->queued);
    free(sim);
}

static int sim_enable(struct io *io) {
    (void)io;
    return 0;
}

/* --- Connections --------------------------------------------------------------------------------------- */

static struct sim_conn *sim_take(struct sim *sim, void *user) {
    struct sim_conn *conn = io_sent_reserve(&sim->queued, &sim->table) ? io_table_take(&sim->table) : NULL;
    if (conn)
        conn->user = user;
    return conn;
}

static io_handle sim_listen(struct io *io, int fd, void *user) {
    (void)fd;
    struct sim_conn *conn = sim_take(sim_of(io), user);
    if (!conn)
        return 0;
    conn->flags = SIM_LISTENER;
    return io_slot_handle(&conn->slot);
}

static io_handle sim_add(struct io *io, int fd, void *user) {
    struct sim *sim = sim_of(io);
    struct io_sim_peer **link = &sim->door->waiting;
    while (*link && (*link)->fd != fd)
        link = &(*link)->waiting_next;
    CHECK(*link && (*link)->accepted); /* only what `accepted` handed out can be added */
    struct sim_conn *conn = sim_take(sim, user);
    if (!conn)
        return 0;
    conn->peer = *link;
    conn->peer->claimed = true;
    conn->peer->sim = sim;
    *link = conn->peer->waiting_next;
    return io_slot_handle(&conn->slot);
}

static struct sim_conn *sim_find(struct io *io, io_handle handle) {
    struct sim_conn *conn = io_table_find(&sim_of(io)->table, handle);
    if (!conn)
        counter_add(&io->counters.stale, 1);
    return conn && !(conn->flags & SIM_CLOSING) ? conn : NULL;
}

static void sim_pause(struct io *io, io_handle handle) {
    struct sim_conn *conn = sim_find(io, handle);
    if (conn)
        conn->flags |= SIM_PAUSED;
}

static void sim_resume(struct io *io, io_handle handle) {
    struct sim_conn *conn = sim_find(io, handle);
    if (conn)
        conn->flags &= ~(uint32_t)SIM_PAUSED;
}

static void sim_want_writable(struct io *io, io_handle handle) {
    struct sim_conn *conn = sim_find(io, handle);
    if (conn)
        conn->flags |= SIM_WANTED;
}

static void sim_close_finish(struct sim *sim, struct sim_conn *conn) {
    void *user = conn->user;
    if (conn->peer)
        peer_release(conn->peer, (conn->flags & SIM_ABORT) != 0);
    io_table_give(&sim->table, &conn->slot);
    sim->io.handlers->closed(sim->io.owner, user);
}

static void sim_close_begin(struct sim *sim, struct sim_conn *conn) {
    if (conn->flags & SIM_SEND)
        return; /* what is queued goes out first */
    conn->close_due = sim_due(sim);
    if (conn->close_due <= sim->turn)
        sim_close_finish(sim, conn);
}

static void sim_close(struct io *io, io_handle handle, bool abort) {
    struct sim_conn *conn = sim_find(io, handle);
    if (!conn)
        return;
    conn->flags |= SIM_CLOSING | (abort ? SIM_ABORT : 0u);
    sim_close_begin(sim_of(io), conn);
}

/* --- Sending ------------------------------------------------------------------------------------------- */

static void sim_send(struct io *io, io_handle handle, const struct iovec *iov, uint32_t count) {
    struct sim_conn *conn = sim_find(io, handle);
    if (!conn)
        return;
    CHECK(!(conn->flags & SIM_SEND));
    conn->flags |= SIM_SEND;
    conn->iov = iov;
    conn->iov_count = count;
    io_sent_push(&sim_of(io)->queued, handle, 0);
    counter_add(&io->counters.entries, 1);
    counter_add(&io->counters.sends, 1);
}

static int64_t sim_transfer(struct sim *sim, const struct sim_conn *conn, size_t most) {
    size_t taken = 0;
    for (uint32_t i = 0; i < conn->iov_count && taken < most; i++) {
        size_t piece = conn->iov[i].iov_len < most - taken ? conn->iov[i].iov_len : most - taken;
        if (!bytes_put(&conn->peer->to_client, conn->iov[i].iov_base, piece))
            break;
        taken += piece;
    }
    counter_add(&sim->io.counters.sent_bytes, taken);
    return (int64_t)taken;
}

static int64_t sim_send_fate(struct sim *sim, struct sim_conn *conn) {
    struct io_sim_peer *peer = conn->peer;
    CHECK(peer);
    if (sim_chance(sim, sim->faults.reset))
        peer_break(peer);
    if (peer->reset)
        return -ECONNRESET;
    if (peer->client_ended)
        return -EPIPE;
    uint64_t offered = io_iov_bytes(conn->iov, conn->iov_count);
    size_t most = bytes_space(sim, &peer->to_client);
    if (offered < most)
        most = offered;
    if (sim_chance(sim, sim->faults.refuse_send))
        most = 0;
    else if (sim_chance(sim, sim->faults.short_send))
        most = sim_part(sim, most);
    int64_t taken = sim_transfer(sim, conn, most);
    counter_add(&sim->io.counters.short_sends, (uint64_t)taken < offered);
    return taken;
}

/* --- The turn ------------------------------------------------------------------------------------------ */

static bool sim_spend(struct sim *sim) {
    if (sim->budget == 0)
        return false;
    sim->budget--;
    counter_add(&sim->io.counters.completions, 1);
    return true;
}

/* Tells one of the connections that are due, any of them: the kernel promises no order either. */
static bool sim_accept_one(struct sim *sim, struct sim_conn *listener) {
    uint64_t due = 0;
    for (const struct io_sim_peer *peer = sim->waiting; peer; peer = peer->waiting_next)
        due += !peer->accepted && peer->due <= sim->turn;
    if (due == 0 || !sim_spend(sim))
        return false;
    uint64_t chosen = (sim_random(sim) >> 32) % due;
    for (struct io_sim_peer *peer = sim->waiting; peer; peer = peer->waiting_next) {
        if (peer->accepted || peer->due > sim->turn || chosen-- > 0)
            continue;
        peer->accepted = true;
        counter_add(&sim->io.counters.accepts, 1);
        sim->io.handlers->accepted(sim->io.owner, listener->user, peer->fd);
        return true;
    }
    return false;
}

static void sim_accept(struct sim *sim, struct sim_conn *listener) {
    io_handle handle = io_slot_handle(&listener->slot);
    while (sim_accept_one(sim, listener)) {
        listener = io_table_find(&sim->table, handle);
        if (!listener || (listener->flags & SIM_CLOSING))
            return;
    }
}

static void sim_give(struct sim *sim, struct sim_conn *conn) {
    struct sim_bytes *bytes = &conn->peer->to_server;
    size_t length = bytes->length < RECEIVE_BULK_BYTES ? bytes->length : RECEIVE_BULK_BYTES;
    if (sim_chance(sim, sim->faults.short_receive))
        length = sim_part(sim, length);
    uint8_t *copy = malloc(length);
    if (!copy)
        return; /* the bytes stay where they are, for a later turn */
    struct io_place place = io_place_ask(&sim->io, conn->user, copy);
    length = length < place.size ? length : place.size;
    bytes_get(bytes, place.bytes, length);
    counter_add(&sim->io.counters.receives, 1);
    counter_add(&sim->io.counters.received_bytes, length);
    sim->io.handlers->received(sim->io.owner, conn->user, place.bytes, length);
    free(copy);
}

static bool sim_readable(const struct sim_conn *conn) {
    const struct io_sim_peer *peer = conn->peer;
    bool something = peer->to_server.length > 0 || peer->client_shut || peer->client_ended || peer->reset;
    return something && !(conn->flags & (SIM_PAUSED | SIM_ENDED | SIM_CLOSING));
}

static void sim_receive(struct sim *sim, struct sim_conn *conn) {
    struct io_sim_peer *peer = conn->peer;
    if (!sim_readable(conn))
        return;
    if (!conn->receive_drawn)
        conn->receive_due = sim_due(sim);
    conn->receive_drawn = true;
    if (conn->receive_due > sim->turn || !sim_spend(sim))
        return;
    conn->receive_drawn = false;
    counter_add(&sim->io.counters.entries, 1);
    if (sim_chance(sim, sim->faults.reset))
        peer_break(peer);
    if (!peer->reset && peer->to_server.length > 0) {
        sim_give(sim, conn);
        return;
    }
    conn->flags |= SIM_ENDED;
    sim->io.handlers->ended(sim->io.owner, conn->user, peer->reset ? -ECONNRESET : 0);
}

static bool sim_has_room(const struct sim *sim, const struct sim_conn *conn) {
    const struct io_sim_peer *peer = conn->peer;
    if (!(conn->flags & SIM_WANTED) || (conn->flags & SIM_CLOSING))
        return false;
    return peer->reset || peer->client_ended ||
           bytes_space(sim, &peer->to_client) >= sim_socket_bytes(sim) / 3;
}

static void sim_writable(struct sim *sim, struct sim_conn *conn) {
    if (!sim_has_room(sim, conn))
        return;
    if (!conn->writable_drawn)
        conn->writable_due = sim_due(sim);
    conn->writable_drawn = true;
    if (conn->writable_due > sim->turn || !sim_spend(sim))
        return;
    conn->writable_drawn = false;
    conn->flags &= ~(uint32_t)SIM_WANTED;
    sim->io.handlers->writable(sim->io.owner, conn->user);
}

static void sim_serve(struct sim *sim, struct sim_conn *conn) {
    io_handle handle = io_slot_handle(&conn->slot);
    if ((conn->flags & SIM_CLOSING) && !(conn->flags & SIM_SEND)) {
        if (conn->close_due <= sim->turn)
            sim_close_finish(sim, conn);
        return;
    }
    if (conn->flags & SIM_LISTENER) {
        sim_accept(sim, conn);
        return;
    }
    sim_receive(sim, conn);
    /* The callback may have closed it, and its slot may be another's by now. */
    if (io_table_find(&sim->table, handle) == conn)
        sim_writable(sim, conn);
}

static bool sim_rung(const struct sim *sim) {
    struct pollfd bell = {.fd = sim->io.bell, .events = POLLIN};
    return bell.fd >= 0 && poll(&bell, 1, 0) > 0;
}

static bool sim_conn_due(const struct sim *sim, const struct sim_conn *conn) {
    if (conn->flags & SIM_CLOSING)
        return true;
    if (!(conn->flags & SIM_LISTENER))
        return sim_readable(conn) || sim_has_room(sim, conn);
    for (const struct io_sim_peer *peer = sim->waiting; peer; peer = peer->waiting_next)
        if (!peer->accepted)
            return true;
    return false;
}

bool io_sim_due(struct io *io) {
    const struct sim *sim = sim_of(io);
    for (uint32_t i = 0; i < io_table_capacity(&sim->table); i++) {
        const struct sim_conn *conn = (const struct sim_conn *)(const void *)io_table_at(&sim->table, i);
        if (conn->slot.live && sim_conn_due(sim, conn))
            return true;
    }
    return sim_rung(sim);
}

static void sim_bell(struct sim *sim) {
    if (sim_rung(sim) && sim_spend(sim))
        sim->io.handlers->woken(sim->io.owner);
}

static void sim_serve_all(struct sim *sim) {
    for (uint32_t i = 0; i < io_table_capacity(&sim->table); i++) {
        struct sim_conn *conn = (struct sim_conn *)(void *)io_table_at(&sim->table, i);
        if (conn->slot.live)
            sim_serve(sim, conn);
    }
}

static void sim_flush_tell(struct sim *sim, uint32_t count) {
    struct io *io = &sim->io;
    for (uint32_t i = 0; i < count; i++) {
        /* By value and by index: a callback may add a connection, which may move the array. */
        struct io_sent sent = sim->queued.items[i];
        struct sim_conn *conn = io_table_find(&sim->table, sent.handle);
        CHECK(conn && (conn->flags & SIM_SEND));
        conn->flags &= ~(uint32_t)SIM_SEND;
        counter_add(&io->counters.completions, 1);
        if (conn->flags & SIM_CLOSING)
            sim_close_begin(sim, conn);
        else
            io->handlers->sent(io->owner, conn->user, sent.result);
    }
}

/* All sends, then what else is due, then their results: so the io_uring body does it when it has more
 * completions than it can put aside. */
static void sim_flush(struct io *io) {
    struct sim *sim = sim_of(io);
    uint32_t count = sim->queued.count;
    for (uint32_t i = 0; i < count; i++) {
        struct sim_conn *conn = io_table_find(&sim->table, sim->queued.items[i].handle);
        CHECK(conn && (conn->flags & SIM_SEND));
        sim->queued.items[i].result = sim_send_fate(sim, conn);
    }
    if (count > 0 && sim_chance(sim, sim->faults.early))
        sim_serve_all(sim);
    sim_flush_tell(sim, count);
    io_sent_drop(&sim->queued, count);
}

static int sim_turn(struct io *io, uint64_t timeout_ns) {
    (void)timeout_ns;
    struct sim *sim = sim_of(io);
    sim->turn++;
    sim->budget = TURN_COMPLETIONS_MAX;
    counter_add(&io->counters.enters, 1);
    sim_bell(sim);
    sim_serve_all(sim);
    return 0;
}

const struct io_ops io_ops_sim = {
    .create = sim_create,
    .destroy = sim_destroy,
    .enable = sim_enable,
    .listen = sim_listen,
    .add = sim_add,
    .receive_pause = sim_pause,
    .receive_resume = sim_resume,
    .send = sim_send,
    .flush = sim_flush,
    .want_writable = sim_want_writable,
    .close = sim_close,
    .turn = sim_turn,
};
