/* io_libevent.c: the portable body. libevent says which descriptors are ready; this file turns readiness
 * into completion.
 *
 * One event per connection, level-triggered, its interest changed as needed (libevent's change list merges
 * the changes of one turn into at most one epoll_ctl). A readable connection gets ONE receive of at most
 * RECEIVE_BULK_BYTES per turn, into one hot buffer: a flooder is asked again only after all others. Sends
 * are issued at once and their results told in io_flush. */
#include "core/io/body.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/io/sent.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EPOLL_ACCEPTS_MAX 64u /* connections taken from one listener in one turn */

enum epoll_flag {
    EPOLL_LISTENER = 1 << 0,
    EPOLL_PAUSED = 1 << 1,
    EPOLL_ENDED = 1 << 2,    /* `ended` has been told */
    EPOLL_WANTED = 1 << 3,   /* writable is wanted */
    EPOLL_BACKOFF = 1 << 4,  /* a listener waits for descriptors */
    EPOLL_UNWATCHED = 1 << 5 /* libevent was out of memory; tried again each turn */
};

struct epoll_conn {
    struct io_slot slot;
    struct epoll *epoll;
    void *user;
    int fd;
    short interest; /* EV_READ | EV_WRITE as libevent knows it; 0 = not added */
    uint16_t flags;
    struct event event;
};

struct epoll {
    struct io io;
    struct event_base *base;
    struct event *bell;
    struct event *timer;
    int timer_fd;
    uint32_t budget; /* callbacks left in this turn */
    uint32_t backoff_count;
    uint32_t unwatched_count;
    uint64_t backoff_until_ns;
    struct io_table table;
    struct io_sent_list sent;
    uint8_t *hot; /* owns; RECEIVE_BULK_BYTES */
};

static struct epoll *epoll_of(struct io *io) {
    return (struct epoll *)io;
}

static void epoll_ready(evutil_socket_t fd, short what, void *arg);

/* --- Interest ------------------------------------------------------------------------------------------ */

static short conn_interest(const struct epoll_conn *conn) {
    short interest = 0;
    if (!(conn->flags & (EPOLL_PAUSED | EPOLL_ENDED | EPOLL_BACKOFF)))
        interest = EV_READ;
    if (conn->flags & EPOLL_WANTED)
        interest |= EV_WRITE;
    return interest;
}

static bool conn_watch(struct epoll_conn *conn) {
    short interest = conn_interest(conn);
    if (interest == conn->interest)
        return true;
    if (conn->interest)
        (void)event_del(&conn->event);
    conn->interest = 0;
    if (interest) {
        short what = (short)(interest | EV_PERSIST);
        if (event_assign(&conn->event, conn->epoll->base, conn->fd, what, epoll_ready, conn) != 0 ||
            event_add(&conn->event, NULL) != 0)
            return false;
    }
    conn->interest = interest;
    return true;
}

static void conn_update(struct epoll_conn *conn) {
    if (LIKELY(conn_watch(conn)) || (conn->flags & EPOLL_UNWATCHED))
        return;
    conn->flags |= EPOLL_UNWATCHED;
    conn->epoll->unwatched_count++;
}

/* Out of memory in libevent, or a listener out of descriptors: both are rare, so the table is searched. */
static void epoll_retry(struct epoll *epoll) {
    bool due = epoll->backoff_count > 0 && clock_mono_ns() >= epoll->backoff_until_ns;
    for (uint32_t i = 0; (due || epoll->unwatched_count > 0) && i < io_table_capacity(&epoll->table); i++) {
        struct epoll_conn *conn = (struct epoll_conn *)(void *)io_table_at(&epoll->table, i);
        if (!conn->slot.live)
            continue;
        if (due && (conn->flags & EPOLL_BACKOFF)) {
            conn->flags &= (uint16_t)~EPOLL_BACKOFF;
            epoll->backoff_count--;
            counter_add(&epoll->io.counters.rearms, 1);
            conn_update(conn);
        }
        if ((conn->flags & EPOLL_UNWATCHED) && conn_watch(conn)) {
            conn->flags &= (uint16_t)~EPOLL_UNWATCHED;
            epoll->unwatched_count--;
        }
    }
}

/* --- What became ready --------------------------------------------------------------------------------- */

static void epoll_accept_failed(struct epoll *epoll, struct epoll_conn *conn, int error) {
    counter_add(&epoll->io.counters.accept_errors, 1);
    if (io_accept_retry(error))
        return;
    conn->flags |= EPOLL_BACKOFF;
    epoll->backoff_count++;
    epoll->backoff_until_ns = clock_mono_ns() + IO_ACCEPT_BACKOFF_NS;
    conn_update(conn);
}

static void epoll_accept(struct epoll *epoll, struct epoll_conn *conn) {
    io_handle handle = io_slot_handle(&conn->slot);
    for (uint32_t i = 0; i < EPOLL_ACCEPTS_MAX; i++) {
        int fd = accept4(conn->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        counter_add(&epoll->io.counters.entries, 1);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                epoll_accept_failed(epoll, conn, errno);
            return;
        }
        counter_add(&epoll->io.counters.completions, 1);
        counter_add(&epoll->io.counters.accepts, 1);
        epoll->io.handlers->accepted(epoll->io.owner, conn->user, fd);
        if (io_table_find(&epoll->table, handle) != conn)
            return;
    }
}

static void epoll_receive(struct epoll *epoll, struct epoll_conn *conn) {
    struct io *io = &epoll->io;
    struct io_place place = io_place_ask(io, conn->user, epoll->hot);
    ssize_t n = recv(conn->fd, place.bytes, place.size, MSG_DONTWAIT);
    counter_add(&io->counters.entries, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    counter_add(&io->counters.completions, 1);
    if (n > 0) {
        counter_add(&io->counters.receives, 1);
        counter_add(&io->counters.received_bytes, (uint64_t)n);
        io->handlers->received(io->owner, conn->user, place.bytes, (size_t)n);
        return;
    }
    int error = n == 0 ? 0 : -errno;
    conn->flags |= EPOLL_ENDED;
    conn_update(conn);
    io->handlers->ended(io->owner, conn->user, error);
}

static void epoll_writable(struct epoll *epoll, struct epoll_conn *conn) {
    conn->flags &= (uint16_t)~EPOLL_WANTED;
    conn_update(conn);
    counter_add(&epoll->io.counters.completions, 1);
    epoll->io.handlers->writable(epoll->io.owner, conn->user);
}

static void epoll_spend(struct epoll *epoll) {
    /* The rest stays active in libevent and is served first in the next turn. */
    if (--epoll->budget == 0)
        (void)event_base_loopbreak(epoll->base);
}

static void epoll_ready(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    struct epoll_conn *conn = arg;
    struct epoll *epoll = conn->epoll;
    epoll_spend(epoll);
    if (conn->flags & EPOLL_LISTENER) {
        epoll_accept(epoll, conn);
        return;
    }
    io_handle handle = io_slot_handle(&conn->slot);
    if ((what & EV_READ) && (conn->interest & EV_READ))
        epoll_receive(epoll, conn);
    /* The callback may have closed the connection, and its slot may be another's by now. */
    if ((what & EV_WRITE) && io_table_find(&epoll->table, handle) == conn && (conn->flags & EPOLL_WANTED))
        epoll_writable(epoll, conn);
}

static void epoll_woken(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    struct epoll *epoll = arg;
    epoll_spend(epoll);
    counter_add(&epoll->io.counters.completions, 1);
    epoll->io.handlers->woken(epoll->io.owner);
}

static void epoll_timed(evutil_socket_t fd, short what, void *arg) {
    (void)what;
    (void)arg;
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);
    (void)n; /* EAGAIN when it was set again meanwhile */
}

/* --- Life cycle ---------------------------------------------------------------------------------------- */

static struct event_base *epoll_base(void) {
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    (void)event_config_avoid_method(config, "poll");
    (void)event_config_avoid_method(config, "select");
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
                                            EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void epoll_destroy(struct io *io) {
    struct epoll *epoll = epoll_of(io);
    for (uint32_t i = 0; i < io_table_capacity(&epoll->table); i++) {
        struct epoll_conn *conn = (struct epoll_conn *)(void *)io_table_at(&epoll->table, i);
        if (conn->slot.live && conn->interest)
            (void)event_del(&conn->event);
        if (conn->slot.live)
            (void)close(conn->fd);
    }
    io_table_deinit(&epoll->table);
    if (epoll->bell)
        event_free(epoll->bell);
    if (epoll->timer)
        event_free(epoll->timer);
    if (epoll->base)
        event_base_free(epoll->base);
    if (epoll->timer_fd >= 0)
        (void)close(epoll->timer_fd);
    free(epoll->hot);
    io_sent_deinit(&epoll->sent);
    free(epoll);
}

static struct event *epoll_watch(struct epoll *epoll, int fd, event_callback_fn callback) {
    struct event *event = event_new(epoll->base, fd, EV_READ | EV_PERSIST, callback, epoll);
    if (event && event_add(event, NULL) != 0) {
        event_free(event);
        return NULL;
    }
    return event;
}

static int epoll_create_body(struct io **out, const struct io_config *config) {
    struct epoll *epoll = aligned_alloc(64, (sizeof *epoll + 63) / 64 * 64);
    if (!epoll)
        return -ENOMEM;
    *epoll = (struct epoll){.timer_fd = -1};
    io_head_init(&epoll->io, &io_ops_epoll, config);
    io_table_init(&epoll->table, sizeof(struct epoll_conn));
    int error = -ENOMEM;
    epoll->hot = aligned_alloc(4096, RECEIVE_BULK_BYTES);
    epoll->base = epoll_base();
    if (!epoll->hot || !epoll->base)
        goto failed;
    epoll->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (epoll->timer_fd < 0) {
        error = -errno;
        goto failed;
    }
    epoll->timer = epoll_watch(epoll, epoll->timer_fd, epoll_timed);
    if (config->bell >= 0)
        epoll->bell = epoll_watch(epoll, config->bell, epoll_woken);
    if (!epoll->timer || (config->bell >= 0 && !epoll->bell))
        goto failed;
    *out = &epoll->io;
    return 0;
failed:
    epoll_destroy(&epoll->io);
    return error;
}

static int epoll_enable(struct io *io) {
    (void)io;
    return 0;
}

/* --- Connections --------------------------------------------------------------------------------------- */

static io_handle epoll_take(struct epoll *epoll, int fd, void *user, uint16_t flags) {
    struct epoll_conn *conn =
        io_sent_reserve(&epoll->sent, &epoll->table) ? io_table_take(&epoll->table) : NULL;
    if (!conn)
        return 0;
    conn->epoll = epoll;
    conn->user = user;
    conn->fd = fd;
    conn->flags = flags;
    if (!conn_watch(conn)) {
        io_table_give(&epoll->table, &conn->slot);
        return 0;
    }
    return io_slot_handle(&conn->slot);
}

static io_handle epoll_listen(struct io *io, int fd, void *user) {
    io_fd_blocking(fd, false);
    return epoll_take(epoll_of(io), fd, user, EPOLL_LISTENER);
}

static io_handle epoll_add(struct io *io, int fd, void *user) {
    /* Every call on it says MSG_DONTWAIT, so whether the descriptor blocks by itself does not matter. */
    return epoll_take(epoll_of(io), fd, user, 0);
}

static struct epoll_conn *epoll_find(struct io *io, io_handle handle) {
    struct epoll_conn *conn = io_table_find(&epoll_of(io)->table, handle);
    if (UNLIKELY(!conn))
        counter_add(&io->counters.stale, 1);
    return conn;
}

static void epoll_pause(struct io *io, io_handle handle) {
    struct epoll_conn *conn = epoll_find(io, handle);
    if (!conn)
        return;
    conn->flags |= EPOLL_PAUSED;
    conn_update(conn);
}

static void epoll_resume(struct io *io, io_handle handle) {
    struct epoll_conn *conn = epoll_find(io, handle);
    if (!conn)
        return;
    conn->flags &= (uint16_t)~EPOLL_PAUSED;
    conn_update(conn);
}

static void epoll_want_writable(struct io *io, io_handle handle) {
    struct epoll_conn *conn = epoll_find(io, handle);
    if (!conn)
        return;
    conn->flags |= EPOLL_WANTED;
    conn_update(conn);
}

static void epoll_close(struct io *io, io_handle handle, bool abort) {
    struct epoll *epoll = epoll_of(io);
    struct epoll_conn *conn = epoll_find(io, handle);
    if (!conn)
        return;
    if (conn->interest)
        (void)event_del(&conn->event);
    epoll->backoff_count -= (conn->flags & EPOLL_BACKOFF) != 0;
    epoll->unwatched_count -= (conn->flags & EPOLL_UNWATCHED) != 0;
    if (conn->flags & EPOLL_LISTENER)
        (void)close(conn->fd);
    else
        io_fd_end(conn->fd, abort);
    void *user = conn->user;
    io_table_give(&epoll->table, &conn->slot);
    io->handlers->closed(io->owner, user);
}

/* --- Sending ------------------------------------------------------------------------------------------- */

static void epoll_send(struct io *io, io_handle handle, const struct iovec *iov, uint32_t count) {
    struct epoll *epoll = epoll_of(io);
    struct epoll_conn *conn = epoll_find(io, handle);
    if (!conn)
        return;
    /* The field is not const in the system's struct, but sendmsg only reads through it. */
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    int64_t result = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (result < 0)
        result = io_send_refused(errno) ? 0 : -errno;
    counter_add(&io->counters.entries, 1);
    counter_add(&io->counters.completions, 1);
    counter_add(&io->counters.sends, 1);
    if (result >= 0) {
        counter_add(&io->counters.sent_bytes, (uint64_t)result);
        counter_add(&io->counters.short_sends, (uint64_t)result < io_iov_bytes(iov, count));
    }
    io_sent_push(&epoll->sent, handle, result);
}

static void epoll_flush(struct io *io) {
    struct epoll *epoll = epoll_of(io);
    uint32_t count = epoll->sent.count;
    for (uint32_t i = 0; i < count; i++) {
        /* By value and by index: a callback may add a connection, which may move the array. */
        struct io_sent sent = epoll->sent.items[i];
        struct epoll_conn *conn = io_table_find(&epoll->table, sent.handle);
        if (conn)
            io->handlers->sent(io->owner, conn->user, sent.result);
    }
    io_sent_drop(&epoll->sent, count);
}

/* --- The turn ------------------------------------------------------------------------------------------ */

/* libevent 2.1 waits in milliseconds unless every wait, also an idle one, sets a timer of its own; so the
 * turn that really waits sets this one. One left over from an earlier wait only ends a later one too soon. */
static void epoll_timer_set(struct epoll *epoll, uint64_t timeout_ns) {
    struct itimerspec spec = {0};
    if (timeout_ns != UINT64_MAX) {
        spec.it_value.tv_sec = (time_t)(timeout_ns / NS_PER_S);
        spec.it_value.tv_nsec = (long)(timeout_ns % NS_PER_S);
    }
    CHECK(timerfd_settime(epoll->timer_fd, 0, &spec, NULL) == 0);
}

static uint64_t epoll_timeout_cap(const struct epoll *epoll) {
    if (epoll->unwatched_count > 0)
        return NS_PER_MS;
    return epoll->backoff_count > 0 ? IO_ACCEPT_BACKOFF_NS : UINT64_MAX;
}

static int epoll_turn(struct io *io, uint64_t timeout_ns) {
    struct epoll *epoll = epoll_of(io);
    if (UNLIKELY(epoll->backoff_count + epoll->unwatched_count > 0)) {
        epoll_retry(epoll);
        if (timeout_ns > epoll_timeout_cap(epoll))
            timeout_ns = epoll_timeout_cap(epoll);
    }
    if (timeout_ns > 0)
        epoll_timer_set(epoll, timeout_ns);
    epoll->budget = TURN_COMPLETIONS_MAX;
    counter_add(&io->counters.enters, 1);
    /* Without EVLOOP_ONCE it would go on as long as anything is ready, which under a flood is for ever. */
    int result = event_base_loop(epoll->base, timeout_ns > 0 ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
    return UNLIKELY(result < 0) ? -EIO : 0;
}

const struct io_ops io_ops_epoll = {
    .create = epoll_create_body,
    .destroy = epoll_destroy,
    .enable = epoll_enable,
    .listen = epoll_listen,
    .add = epoll_add,
    .receive_pause = epoll_pause,
    .receive_resume = epoll_resume,
    .send = epoll_send,
    .flush = epoll_flush,
    .want_writable = epoll_want_writable,
    .close = epoll_close,
    .turn = epoll_turn,
};
