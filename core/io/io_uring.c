/* io_uring.c: the io_uring body of the seam: accepts, sends, writability, closing, the bell, and the turn.
 *
 * One enter serves a turn: the one in io_flush submits the sends, which complete inside it (MSG_DONTWAIT),
 * and brings in what else has completed, for the next turn to tell. A turn enters by itself only to wait, or
 * when the kernel says that it has something.
 *
 * Closing joins: a descriptor is closed when no operation of ours is in flight on it, and its slot's
 * generation changes then. A completion for an earlier generation still gives back its buffer or its
 * accepted descriptor. */
#include "core/io/uring.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Life cycle ---------------------------------------------------------------------------------------- */

static void uring_destroy(struct io *io) {
    struct uring *uring = uring_of(io);
    for (uint32_t i = 0; i < io_table_capacity(&uring->table); i++) {
        struct uring_conn *conn = (struct uring_conn *)(void *)io_table_at(&uring->table, i);
        if (!conn->slot.live)
            continue;
        /* The ring holds the socket a little longer than we do; shutting it down ends it now. */
        (void)shutdown(conn->fd, SHUT_RDWR);
        (void)close(conn->fd);
        free(conn->held);
    }
    uring_ring_deinit(uring);
    io_table_deinit(&uring->table);
    io_sent_deinit(&uring->sent);
    free(uring);
}

int uring_create_at(struct io **out, const struct io_config *config, const char **step) {
    struct uring *uring = aligned_alloc(64, (sizeof *uring + 63) / 64 * 64);
    *step = "io_uring memory";
    if (!uring)
        return -ENOMEM;
    *uring = (struct uring){.oneshot = config->oneshot || !uring_kernel_multishot(),
                            .look_every_ns = URING_LOOK_NS};
    io_head_init(&uring->io, &io_ops_uring, config);
    io_table_init(&uring->table, sizeof(struct uring_conn));
    int error = uring_ring_init(uring, config, step);
    if (error) {
        uring_destroy(&uring->io);
        return error;
    }
    *out = &uring->io;
    return 0;
}

static int uring_create(struct io **out, const struct io_config *config) {
    const char *step;
    return uring_create_at(out, config, &step);
}

static void bell_arm(struct uring *uring) {
    struct io_uring_sqe *entry = uring_entry(uring);
    io_uring_prep_poll_multishot(entry, uring->io.bell, POLLIN);
    entry->user_data = (uint64_t)URING_BELL << IO_TABLE_INDEX_BITS;
}

static int uring_enable(struct io *io) {
    struct uring *uring = uring_of(io);
    int error = uring_ring_enable(uring);
    if (!error && io->bell >= 0)
        bell_arm(uring);
    return error;
}

/* --- Connections and listeners ------------------------------------------------------------------------- */

static struct uring_conn *uring_take(struct uring *uring, int fd, void *user) {
    struct uring_conn *conn =
        io_sent_reserve(&uring->sent, &uring->table) ? io_table_take(&uring->table) : NULL;
    if (!conn)
        return NULL;
    conn->user = user;
    conn->fd = fd;
    /* A descriptor that does not block makes the kernel answer EAGAIN where it should wait for us. */
    io_fd_blocking(fd, true);
    return conn;
}

static void accept_arm(struct uring *uring, struct uring_conn *conn) {
    struct io_uring_sqe *entry = uring_entry(uring);
    io_uring_prep_multishot_accept(entry, conn->fd, NULL, NULL, SOCK_CLOEXEC);
    entry->user_data = uring_data(&conn->slot, URING_ACCEPT);
    counter_add(&uring->io.counters.rearms, (conn->flags & URING_F_AGAIN) != 0);
    conn->flags |= URING_F_ACCEPT | URING_F_AGAIN;
}

static io_handle uring_listen(struct io *io, int fd, void *user) {
    struct uring *uring = uring_of(io);
    struct uring_conn *conn = uring_take(uring, fd, user);
    if (!conn)
        return 0;
    conn->flags |= URING_F_LISTENER;
    accept_arm(uring, conn);
    return io_slot_handle(&conn->slot);
}

static io_handle uring_add(struct io *io, int fd, void *user) {
    struct uring *uring = uring_of(io);
    struct uring_conn *conn = uring_take(uring, fd, user);
    if (!conn)
        return 0;
    uring_receive_arm(uring, conn);
    return io_slot_handle(&conn->slot);
}

/* NULL for a stale handle, and for one whose close has begun: nothing more may be asked of it. */
static struct uring_conn *uring_find(struct io *io, io_handle handle) {
    struct uring_conn *conn = io_table_find(&uring_of(io)->table, handle);
    if (UNLIKELY(!conn))
        counter_add(&io->counters.stale, 1);
    return conn && !(conn->flags & URING_F_CLOSING) ? conn : NULL;
}

static void uring_pause(struct io *io, io_handle handle) {
    struct uring_conn *conn = uring_find(io, handle);
    if (conn && !(conn->flags & URING_F_PAUSED))
        uring_receive_pause(uring_of(io), conn);
}

static void uring_resume(struct io *io, io_handle handle) {
    struct uring_conn *conn = uring_find(io, handle);
    if (conn && (conn->flags & URING_F_PAUSED))
        uring_receive_resume(uring_of(io), conn);
}

static void accept_failed(struct uring *uring, struct uring_conn *conn, int error) {
    counter_add(&uring->io.counters.accept_errors, 1);
    if (io_accept_retry(error) || (conn->flags & URING_F_CLOSING))
        return;
    conn->flags |= URING_F_BACKOFF;
    uring->backoff_count++;
    uring->backoff_until_ns = uring_now_ns(uring) + IO_ACCEPT_BACKOFF_NS;
}

static void accept_done(struct uring *uring, struct uring_conn *conn, const struct uring_done *done) {
    struct io *io = &uring->io;
    io_handle handle = io_slot_handle(&conn->slot);
    bool last = !(done->flags & IORING_CQE_F_MORE);
    if (last)
        conn->flags &= ~(uint32_t)URING_F_ACCEPT;
    if (done->result >= 0 && (conn->flags & URING_F_CLOSING)) {
        (void)close(done->result);
    } else if (done->result >= 0) {
        counter_add(&io->counters.accepts, 1);
        io->handlers->accepted(io->owner, conn->user, done->result);
    } else if (done->result != -ECANCELED) {
        accept_failed(uring, conn, -done->result);
    }
    conn = last ? io_table_find(&uring->table, handle) : NULL;
    if (!conn)
        return;
    if (conn->flags & URING_F_CLOSING)
        uring_close_finish(uring, conn);
    else if (!(conn->flags & URING_F_BACKOFF))
        accept_arm(uring, conn);
}

/* Listeners are few and the case is rare, so the table is searched. */
static void backoff_end(struct uring *uring) {
    if (uring_now_ns(uring) < uring->backoff_until_ns)
        return;
    for (uint32_t i = 0; uring->backoff_count > 0 && i < io_table_capacity(&uring->table); i++) {
        struct uring_conn *conn = (struct uring_conn *)(void *)io_table_at(&uring->table, i);
        if (!conn->slot.live || !(conn->flags & URING_F_BACKOFF))
            continue;
        conn->flags &= ~(uint32_t)URING_F_BACKOFF;
        uring->backoff_count--;
        accept_arm(uring, conn);
    }
}

/* --- Closing ------------------------------------------------------------------------------------------- */

void uring_close_finish(struct uring *uring, struct uring_conn *conn) {
    CHECK_HOT(conn->flags & URING_F_CLOSING);
    if (conn->flags & URING_F_IN_FLIGHT)
        return;
    if (conn->flags & URING_F_LISTENER)
        (void)close(conn->fd);
    else
        io_fd_end(conn->fd, (conn->flags & URING_F_ABORT) != 0);
    void *user = conn->user;
    io_table_give(&uring->table, &conn->slot);
    uring->io.handlers->closed(uring->io.owner, user);
}

/* A send that is queued goes out first, so this waits for the flush that tells its result. */
static void close_begin(struct uring *uring, struct uring_conn *conn) {
    if (conn->flags & URING_F_SEND)
        return;
    if (!(conn->flags & (URING_F_ABORT | URING_F_LISTENER)))
        (void)shutdown(conn->fd, SHUT_WR);
    if ((conn->flags & URING_F_RECEIVE) && !(conn->flags & URING_F_CANCELLING))
        uring_cancel(uring, conn, URING_RECEIVE);
    if (conn->flags & URING_F_POLL_IN)
        uring_cancel(uring, conn, URING_POLL_IN);
    if (conn->flags & URING_F_WRITABLE)
        uring_cancel(uring, conn, URING_WRITABLE);
    if (conn->flags & URING_F_ACCEPT)
        uring_cancel(uring, conn, URING_ACCEPT);
    uring_close_finish(uring, conn);
}

static void uring_close(struct io *io, io_handle handle, bool abort) {
    struct uring *uring = uring_of(io);
    struct uring_conn *conn = uring_find(io, handle);
    if (!conn)
        return;
    conn->flags |= URING_F_CLOSING | (abort ? URING_F_ABORT : 0u);
    uring->backoff_count -= (conn->flags & URING_F_BACKOFF) != 0;
    uring_receive_forget(uring, conn);
    close_begin(uring, conn);
}

/* A cancel that found nothing, or found it busy. If what it was for is still in flight, it is asked for
 * again. */
static void cancel_done(struct uring *uring, struct uring_conn *conn, uint32_t kind) {
    static const uint32_t flags[] = {[URING_RECEIVE] = URING_F_RECEIVE,
                                     [URING_POLL_IN] = URING_F_POLL_IN,
                                     [URING_WRITABLE] = URING_F_WRITABLE,
                                     [URING_ACCEPT] = URING_F_ACCEPT};
    bool wanted =
        (conn->flags & URING_F_CLOSING) || (kind == URING_RECEIVE && (conn->flags & URING_F_CANCELLING));
    if (wanted && (conn->flags & flags[kind]))
        uring_cancel(uring, conn, (enum uring_kind)kind);
}

/* --- Sending ------------------------------------------------------------------------------------------- */

static void uring_send(struct io *io, io_handle handle, const struct iovec *iov, uint32_t count) {
    struct uring *uring = uring_of(io);
    struct uring_conn *conn = uring_find(io, handle);
    if (!conn)
        return;
    CHECK(!(conn->flags & URING_F_SEND));
    struct io_uring_sqe *entry = uring_entry(uring);
    if (count == 1) {
        io_uring_prep_send(entry, conn->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        struct msghdr *message = &uring->messages[entry - uring->ring.sq.sqes];
        *message = (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
        io_uring_prep_sendmsg(entry, conn->fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    entry->user_data = uring_data(&conn->slot, URING_SEND);
    conn->flags |= URING_F_SEND;
    conn->send_bytes = (uint32_t)io_iov_bytes(iov, count);
    uring->sends_open++;
    counter_add(&io->counters.sends, 1);
}

static void send_done(struct uring *uring, io_handle handle, int64_t result) {
    struct io *io = &uring->io;
    struct uring_conn *conn = io_table_find(&uring->table, handle);
    CHECK(conn && (conn->flags & URING_F_SEND));
    conn->flags &= ~(uint32_t)URING_F_SEND;
    if (result < 0 && io_send_refused((int)-result))
        result = 0;
    counter_add(&io->counters.completions, 1);
    if (result >= 0) {
        counter_add(&io->counters.sent_bytes, (uint64_t)result);
        counter_add(&io->counters.short_sends, (uint64_t)result < conn->send_bytes);
    }
    if (conn->flags & URING_F_CLOSING)
        close_begin(uring, conn);
    else
        io->handlers->sent(io->owner, conn->user, result);
}

static uint32_t turn_tell(struct uring *uring, uint32_t budget);

static void uring_flush(struct io *io) {
    struct uring *uring = uring_of(io);
    while (uring->sends_open > 0) {
        if (uring_enter(uring, 0) != 0)
            return; /* broken; io_turn says so */
        uring_harvest(uring);
        if (LIKELY(uring->sends_open == 0))
            break;
        if (!uring_submitted(uring))
            (void)sched_yield(); /* the kernel is out of memory for requests: let somebody free some */
        /* Sends may be behind more completions than can be put aside: telling those makes room. But not
         * before the kernel has what is sent: who is told something may free it. */
        else if (uring_done_count(uring) > uring->done_mask)
            (void)turn_tell(uring, TURN_COMPLETIONS_MAX);
    }
    uint32_t count = uring->sent.count;
    for (uint32_t i = 0; i < count; i++) {
        /* By value and by index: a callback may add a connection, which may move the array. */
        struct io_sent sent = uring->sent.items[i];
        send_done(uring, sent.handle, sent.result);
    }
    io_sent_drop(&uring->sent, count);
}

static void uring_want_writable(struct io *io, io_handle handle) {
    struct uring *uring = uring_of(io);
    struct uring_conn *conn = uring_find(io, handle);
    if (!conn || (conn->flags & URING_F_WRITABLE))
        return;
    struct io_uring_sqe *entry = uring_entry(uring);
    io_uring_prep_poll_add(entry, conn->fd, POLLOUT);
    entry->user_data = uring_data(&conn->slot, URING_WRITABLE);
    conn->flags |= URING_F_WRITABLE;
}

static void writable_done(struct uring *uring, struct uring_conn *conn) {
    conn->flags &= ~(uint32_t)URING_F_WRITABLE;
    if (conn->flags & URING_F_CLOSING)
        uring_close_finish(uring, conn);
    else
        uring->io.handlers->writable(uring->io.owner, conn->user);
}

/* --- The turn ------------------------------------------------------------------------------------------ */

static void bell_done(struct uring *uring, const struct uring_done *done) {
    if (done->result < 0 && done->result != -ECANCELED) {
        uring->broken = done->result; /* without its bell the owner could sleep for ever */
        return;
    }
    if (!(done->flags & IORING_CQE_F_MORE)) {
        counter_add(&uring->io.counters.rearms, 1);
        bell_arm(uring);
    }
    uring->io.handlers->woken(uring->io.owner);
}

static void stale_done(struct uring *uring, uint32_t kind, const struct uring_done *done) {
    /* A cancel that came too late is no news: what it was for had ended by itself. */
    counter_add(&uring->io.counters.stale, !(kind & URING_CANCEL));
    uring_pool_return(uring, done->flags);
    if (kind == URING_ACCEPT && done->result >= 0)
        (void)close(done->result);
}

static void turn_tell_one(struct uring *uring, const struct uring_done *done) {
    uint32_t kind = uring_kind_of(done->user_data) & 0xffu;
    if (kind == URING_BELL) {
        bell_done(uring, done);
        return;
    }
    struct uring_conn *conn = io_table_find(&uring->table, done->user_data);
    if (UNLIKELY(!conn)) {
        stale_done(uring, kind, done);
        return;
    }
    switch (kind) {
    case URING_RECEIVE:
        uring_receive_done(uring, conn, done);
        break;
    case URING_POLL_IN:
        uring_poll_in_done(uring, conn, done);
        break;
    case URING_WRITABLE:
        writable_done(uring, conn);
        break;
    case URING_ACCEPT:
        accept_done(uring, conn, done);
        break;
    default:
        cancel_done(uring, conn, kind & ~(uint32_t)URING_CANCEL);
    }
}

static uint32_t turn_tell(struct uring *uring, uint32_t budget) {
    uint32_t told = 0;
    for (; told < budget && uring_done_count(uring) > 0; told++) {
        struct uring_done done = uring->done[uring->done_consumed++ & uring->done_mask];
        turn_tell_one(uring, &done);
    }
    counter_add(&uring->io.counters.completions, told);
    return told;
}

static int uring_turn(struct io *io, uint64_t timeout_ns) {
    struct uring *uring = uring_of(io);
    uring->now_ns = 0;
    uint32_t budget = TURN_COMPLETIONS_MAX;
    if (uring->held.count > 0)
        budget -= uring_held_tell(uring, budget);
    if (uring->starved.count > 0)
        uring_starved_arm(uring);
    if (UNLIKELY(uring->backoff_count > 0)) {
        backoff_end(uring);
        if (uring->backoff_count > 0 && timeout_ns > IO_ACCEPT_BACKOFF_NS)
            timeout_ns = IO_ACCEPT_BACKOFF_NS;
    }
    uring_look(uring);
    if (uring->looking && timeout_ns > uring->look_every_ns)
        timeout_ns = uring->look_every_ns;
    if (uring_done_count(uring) > 0 || uring->held.count > 0)
        timeout_ns = 0;
    if ((timeout_ns > 0 || uring_enter_due(uring)) && uring_enter(uring, timeout_ns) == 0)
        uring->now_ns = 0; /* it may have waited */
    uring_harvest(uring);
    (void)turn_tell(uring, budget);
    return uring->broken;
}

const struct io_ops io_ops_uring = {
    .create = uring_create,
    .destroy = uring_destroy,
    .enable = uring_enable,
    .listen = uring_listen,
    .add = uring_add,
    .receive_pause = uring_pause,
    .receive_resume = uring_resume,
    .send = uring_send,
    .flush = uring_flush,
    .want_writable = uring_want_writable,
    .close = uring_close,
    .turn = uring_turn,
};
