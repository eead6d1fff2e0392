/* uring_receive.c: how bytes come in: light connections by (multishot) receives into provided buffers, bulk
 * ones by poll and a plain receive into the hot buffer.
 *
 * Light to bulk: a connection that fills its buffer twice in a row; the multishot is cancelled and drained
 * to its last completion before the first poll, so the order of bytes is kept. Bulk to light: when bytes
 * come after a second of silence, the multishot takes them; so no timer is needed, and an armed poll costs
 * no more than an armed receive.
 *
 * After a pause no byte is told: what was already in the queue is held (copied) and told when the connection
 * is resumed. */
#include "core/io/uring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* --- Lists --------------------------------------------------------------------------------------------- */

static struct uring_conn *conn_at(const struct uring *uring, uint32_t index) {
    return (struct uring_conn *)(void *)io_table_at(&uring->table, index);
}

static void list_push(struct uring *uring, struct uring_list *list, struct uring_conn *conn) {
    conn->list_prev = list->last;
    conn->list_next = IO_TABLE_NONE;
    if (list->count++ == 0)
        list->first = conn->slot.index;
    else
        conn_at(uring, list->last)->list_next = conn->slot.index;
    list->last = conn->slot.index;
}

static void list_remove(struct uring *uring, struct uring_list *list, struct uring_conn *conn) {
    CHECK_HOT(list->count > 0);
    if (list->first == conn->slot.index)
        list->first = conn->list_next;
    else
        conn_at(uring, conn->list_prev)->list_next = conn->list_next;
    if (list->last == conn->slot.index)
        list->last = conn->list_prev;
    else
        conn_at(uring, conn->list_next)->list_prev = conn->list_prev;
    list->count--;
}

static void starved_push(struct uring *uring, struct uring_conn *conn) {
    CHECK_HOT(!(conn->flags & (URING_F_STARVED | URING_F_HELD)));
    conn->flags |= URING_F_STARVED;
    list_push(uring, &uring->starved, conn);
}

static void held_push(struct uring *uring, struct uring_conn *conn) {
    CHECK_HOT(!(conn->flags & (URING_F_STARVED | URING_F_HELD)));
    conn->flags |= URING_F_HELD;
    list_push(uring, &uring->held, conn);
}

static void listed_remove(struct uring *uring, struct uring_conn *conn) {
    if (conn->flags & URING_F_STARVED)
        list_remove(uring, &uring->starved, conn);
    if (conn->flags & URING_F_HELD)
        list_remove(uring, &uring->held, conn);
    conn->flags &= ~(uint32_t)(URING_F_STARVED | URING_F_HELD);
}

void uring_receive_forget(struct uring *uring, struct uring_conn *conn) {
    listed_remove(uring, conn);
    free(conn->held);
    conn->held = NULL;
}

/* --- Arming -------------------------------------------------------------------------------------------- */

static void arm_poll_in(struct uring *uring, struct uring_conn *conn) {
    struct io_uring_sqe *entry = uring_entry(uring);
    io_uring_prep_poll_add(entry, conn->fd, POLLIN);
    entry->user_data = uring_data(&conn->slot, URING_POLL_IN);
    conn->flags |= URING_F_POLL_IN;
}

static void arm_light(struct uring *uring, struct uring_conn *conn) {
    struct io_uring_sqe *entry = uring_entry(uring);
    io_uring_prep_recv(entry, conn->fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = URING_GROUP;
    entry->user_data = uring_data(&conn->slot, URING_RECEIVE);
    /* A multishot never polls first: armed over bytes with a reset behind them, it would give the bytes and
     * then wait for a wake that has been. A one-shot is armed again after each receive, and may. */
    if (!uring->oneshot) {
        entry->ioprio |= IORING_RECV_MULTISHOT;
        counter_add(&uring->io.counters.rearms, (conn->flags & URING_F_AGAIN) != 0);
    } else if ((conn->flags & URING_F_AGAIN) && !(conn->flags & URING_F_NONEMPTY)) {
        entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    conn->flags |= URING_F_RECEIVE | URING_F_AGAIN;
    conn->flags &= ~(uint32_t)URING_F_NONEMPTY;
}

void uring_receive_arm(struct uring *uring, struct uring_conn *conn) {
    const uint32_t against = URING_F_PAUSED | URING_F_END_HELD | URING_F_ENDED | URING_F_CLOSING |
                             URING_F_STARVED | URING_F_RECEIVE | URING_F_POLL_IN;
    if ((conn->flags & against) || conn->held)
        return;
    if (conn->flags & URING_F_BULK)
        arm_poll_in(uring, conn);
    else
        arm_light(uring, conn);
}

static void receive_cancel(struct uring *uring, struct uring_conn *conn) {
    if (!(conn->flags & URING_F_RECEIVE) || (conn->flags & URING_F_CANCELLING))
        return;
    conn->flags |= URING_F_CANCELLING;
    uring_cancel(uring, conn, URING_RECEIVE);
}

void uring_starved_arm(struct uring *uring) {
    if (uring->pool_used > uring->pool_count / 2)
        return;
    /* No more than there are buffers for: the others would only be refused again. */
    uint32_t count = uring->pool_count - uring->pool_used;
    for (; count > 0 && uring->starved.count > 0; count--) {
        struct uring_conn *conn = conn_at(uring, uring->starved.first);
        listed_remove(uring, conn);
        uring_receive_arm(uring, conn);
    }
}

/* --- Pausing ------------------------------------------------------------------------------------------- */

void uring_receive_pause(struct uring *uring, struct uring_conn *conn) {
    conn->flags |= URING_F_PAUSED;
    /* A one-shot receive brings one buffer at most, which is held; an armed poll brings nothing. */
    if (!uring->oneshot)
        receive_cancel(uring, conn);
}

void uring_receive_resume(struct uring *uring, struct uring_conn *conn) {
    conn->flags &= ~(uint32_t)URING_F_PAUSED;
    if (!conn->held && !(conn->flags & URING_F_END_HELD))
        uring_receive_arm(uring, conn);
    else if (!(conn->flags & URING_F_HELD))
        held_push(uring, conn);
}

/* False when out of memory. */
static bool held_append(struct uring_conn *conn, const uint8_t *bytes, uint32_t length) {
    struct uring_held *held = conn->held;
    if (!held || held->capacity - held->length < length) {
        uint32_t used = held ? held->length : 0;
        uint32_t capacity = 2 * used + length;
        held = realloc(held, sizeof *held + capacity);
        if (!held)
            return false;
        if (used == 0)
            held->length = held->consumed = 0;
        held->capacity = capacity;
        conn->held = held;
    }
    memcpy(held->bytes + held->length, bytes, length);
    held->length += length;
    return true;
}

static void conn_end(struct uring *uring, struct uring_conn *conn, int error) {
    if (conn->flags & (URING_F_ENDED | URING_F_END_HELD | URING_F_CLOSING))
        return;
    if ((conn->flags & URING_F_PAUSED) || conn->held) {
        conn->flags |= URING_F_END_HELD;
        conn->end_error = error;
        return;
    }
    conn->flags |= URING_F_ENDED;
    uring->io.handlers->ended(uring->io.owner, conn->user, error);
}

/* Tells at most RECEIVE_BULK_BYTES of what is held. The callback may close the connection and still read the
 * bytes, so they are detached meanwhile. */
static void held_tell_bytes(struct uring *uring, struct uring_conn *conn) {
    io_handle handle = io_slot_handle(&conn->slot);
    struct uring_held *held = conn->held;
    uint32_t length = held->length - held->consumed;
    if (length > RECEIVE_BULK_BYTES)
        length = RECEIVE_BULK_BYTES;
    conn->held = NULL;
    held->consumed += length;
    uring->io.handlers->received(uring->io.owner, conn->user, held->bytes + held->consumed - length, length);
    conn = io_table_find(&uring->table, handle);
    if (conn && !(conn->flags & URING_F_CLOSING) && held->consumed < held->length)
        conn->held = held;
    else
        free(held);
}

static void held_tell_one(struct uring *uring, struct uring_conn *conn) {
    io_handle handle = io_slot_handle(&conn->slot);
    if (conn->held)
        held_tell_bytes(uring, conn);
    conn = io_table_find(&uring->table, handle);
    if (!conn || (conn->flags & (URING_F_CLOSING | URING_F_PAUSED)))
        return;
    if (conn->held) {
        if (!(conn->flags & URING_F_HELD))
            held_push(uring, conn);
        return;
    }
    if (conn->flags & URING_F_END_HELD) {
        conn->flags &= ~(uint32_t)URING_F_END_HELD;
        conn_end(uring, conn, conn->end_error);
        return;
    }
    uring_receive_arm(uring, conn);
}

uint32_t uring_held_tell(struct uring *uring, uint32_t budget) {
    uint32_t count = uring->held.count < budget ? uring->held.count : budget;
    uint32_t told = 0;
    /* Callbacks may remove others from the list, so the count is a bound and the list is looked at anew. */
    for (; told < count && uring->held.count > 0; told++) {
        struct uring_conn *conn = conn_at(uring, uring->held.first);
        listed_remove(uring, conn);
        if (!(conn->flags & URING_F_PAUSED))
            held_tell_one(uring, conn);
    }
    return told;
}

/* --- Silence -------------------------------------------------------------------------------------------- */

static void fed(struct uring *uring, struct uring_conn *conn) {
    conn->flags |= URING_F_FED;
    if (uring->looking)
        return;
    uring->looking = true;
    uring->look_ns = uring_now_ns(uring) + uring->look_every_ns;
}

/* Whether the socket has something although its receive waits. Asking takes nothing away, not even an error.
 */
static bool silence_is_wrong(const struct uring_conn *conn) {
    struct pollfd socket = {.fd = conn->fd, .events = POLLIN};
    return poll(&socket, 1, 0) > 0;
}

/* True if it is to be looked at again. */
static bool look_at(struct uring *uring, struct uring_conn *conn) {
    uint32_t flags = conn->flags;
    conn->flags &= ~(uint32_t)(URING_F_FED | URING_F_SILENT);
    if (flags & URING_F_FED)
        conn->flags |= URING_F_SILENT;
    else if ((flags & URING_F_SILENT) && (flags & URING_F_RECEIVE) && silence_is_wrong(conn)) {
        counter_add(&uring->io.counters.missed, 1);
        receive_cancel(uring, conn);
    }
    return flags & URING_F_FED;
}

/* Some kernels (axboe/liburing issue 1549) forget a waiting multishot when its last bytes and a reset come at
 * once: the bytes are given, the end never. So each connection that has received and then fell silent is
 * asked once, a second or two later; what is there is found by arming again. Busy ones cost nothing. */
void uring_look(struct uring *uring) {
    bool again = false;
    if (!uring->looking || uring_now_ns(uring) < uring->look_ns)
        return;
    for (uint32_t i = 0; i < io_table_capacity(&uring->table); i++) {
        struct uring_conn *conn = conn_at(uring, i);
        if (conn->slot.live && (conn->flags & (URING_F_FED | URING_F_SILENT)))
            again |= look_at(uring, conn);
    }
    uring->looking = again;
    uring->look_ns = uring_now_ns(uring) + uring->look_every_ns;
}

/* --- Light --------------------------------------------------------------------------------------------- */

static void turn_bulk(struct uring *uring, struct uring_conn *conn) {
    conn->flags |= URING_F_BULK;
    conn->run = 0;
    conn->bulk_ms = (uint32_t)(uring_now_ns(uring) / NS_PER_MS);
    counter_add(&uring->io.counters.bulk_switches, 1);
    receive_cancel(uring, conn);
}

static void light_received(struct uring *uring, struct uring_conn *conn, const uint8_t *bytes,
                           uint32_t length) {
    struct io *io = &uring->io;
    counter_add(&io->counters.receives, 1);
    counter_add(&io->counters.received_bytes, length);
    if (!(conn->flags & URING_F_BULK)) {
        conn->run = length == RECEIVE_LIGHT_BYTES ? conn->run + 1 : 0;
        if (conn->run >= URING_LIGHT_FULL_RUN)
            turn_bulk(uring, conn);
    }
    const uint32_t over = URING_F_END_HELD | URING_F_ENDED;
    if (LIKELY(!(conn->flags & (URING_F_PAUSED | over)) && !conn->held)) {
        io->handlers->received(io->owner, conn->user, bytes, length);
    } else if (!(conn->flags & over) && !held_append(conn, bytes, length)) {
        conn->flags |= URING_F_END_HELD; /* bytes are lost, so nothing after them may be told */
        conn->end_error = -ENOMEM;
        receive_cancel(uring, conn);
    }
}

/* The last completion of a receive that brought no bytes. */
static void light_finished(struct uring *uring, struct uring_conn *conn, int result) {
    const uint32_t against =
        URING_F_PAUSED | URING_F_BULK | URING_F_CLOSING | URING_F_END_HELD | URING_F_ENDED;
    switch (result) {
    case -ENOBUFS:
        counter_add(&uring->io.counters.enobufs, 1);
        if (!conn->held && !(conn->flags & against))
            starved_push(uring, conn);
        break;
    case -ECANCELED:
    case -EINTR:
    case -EAGAIN:
        break; /* armed again below, unless something stands against it */
    default:
        conn_end(uring, conn, result);
    }
}

void uring_receive_done(struct uring *uring, struct uring_conn *conn, const struct uring_done *done) {
    io_handle handle = io_slot_handle(&conn->slot);
    bool last = !(done->flags & IORING_CQE_F_MORE);
    if (last)
        conn->flags &= ~(uint32_t)(URING_F_RECEIVE | URING_F_CANCELLING);
    conn->flags &= ~(uint32_t)URING_F_NONEMPTY;
    if (done->flags & IORING_CQE_F_SOCK_NONEMPTY)
        conn->flags |= URING_F_NONEMPTY;
    if (!last && done->result > 0)
        fed(uring, conn);
    if (done->result > 0 && !(conn->flags & URING_F_CLOSING))
        light_received(uring, conn, uring_pool_buffer(uring, done->flags), (uint32_t)done->result);
    else if (last && done->result <= 0)
        light_finished(uring, conn, done->result);
    uring_pool_return(uring, done->flags);
    conn = last ? io_table_find(&uring->table, handle) : NULL;
    if (!conn)
        return;
    if (conn->flags & URING_F_CLOSING)
        uring_close_finish(uring, conn);
    else
        uring_receive_arm(uring, conn);
}

/* --- Bulk ---------------------------------------------------------------------------------------------- */

static bool bulk_is_over(struct uring *uring, struct uring_conn *conn) {
    uint32_t now_ms = (uint32_t)(uring_now_ns(uring) / NS_PER_MS);
    if (conn->run < URING_BULK_SMALL_RUN && now_ms - conn->bulk_ms < URING_BULK_IDLE_MS) {
        conn->bulk_ms = now_ms;
        return false;
    }
    conn->flags &= ~(uint32_t)URING_F_BULK;
    conn->flags |= URING_F_NONEMPTY; /* that is what the poll said */
    conn->run = 0;
    return true;
}

static void bulk_receive(struct uring *uring, struct uring_conn *conn) {
    struct io *io = &uring->io;
    struct io_place place = io_place_ask(io, conn->user, uring->hot);
    ssize_t n = recv(conn->fd, place.bytes, place.size, MSG_DONTWAIT);
    if (n > 0) {
        conn->run = n < (ssize_t)RECEIVE_LIGHT_BYTES ? conn->run + 1 : 0;
        counter_add(&io->counters.receives, 1);
        counter_add(&io->counters.received_bytes, (uint64_t)n);
        io->handlers->received(io->owner, conn->user, place.bytes, (size_t)n);
    } else if (n == 0) {
        conn_end(uring, conn, 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_end(uring, conn, -errno);
    }
}

void uring_poll_in_done(struct uring *uring, struct uring_conn *conn, const struct uring_done *done) {
    io_handle handle = io_slot_handle(&conn->slot);
    conn->flags &= ~(uint32_t)URING_F_POLL_IN;
    if (conn->flags & URING_F_CLOSING) {
        uring_close_finish(uring, conn);
        return;
    }
    if (done->result > 0 && !(conn->flags & URING_F_PAUSED) && !bulk_is_over(uring, conn))
        bulk_receive(uring, conn);
    conn = io_table_find(&uring->table, handle);
    if (conn)
        uring_receive_arm(uring, conn);
}
