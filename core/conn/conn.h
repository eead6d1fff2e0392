/* conn.h: one connection's bytes: what came in and waits, what goes out, and whether reading and sending
 * are possible now.
 * Owner: the worker that serves it; its thread.
 * Knows no protocol and no shard: a session reads from it and adds replies to it, the worker adds slices
 * to it and sends.
 * Nothing blocks.
 * Fails as input.h and output.h say. */
#pragma once

#include "core/conn/input.h"
#include "core/conn/output.h"
#include "core/io/io.h"

/* Why a connection is not read now; it is read when no bit is set. */
enum conn_pause {
    CONN_PAUSE_RING = 1,    /* a ring was full: its unscanned bytes wait in `in` */
    CONN_PAUSE_PRIVATE = 2, /* it does not read its replies */
    CONN_PAUSE_TURN = 4,    /* frames behind a Subscribe wait until that is in force */
    CONN_PAUSE_DRAIN = 8,   /* the server stops */
    CONN_PAUSE_QUEUE = 16,  /* frames behind a Subscribe to a queue wait for what its keeper says */
};

struct conn {
    struct io *io; /* borrows: the worker's */
    io_handle handle;
    struct output out;
    uint32_t offered; /* bytes handed to io_send, result not told yet */
    uint8_t paused;   /* enum conn_pause bits */
    bool blocked;     /* the last send was short: wait for `writable` */
    bool broken;      /* nothing can be sent any more */
    struct input in;
};

/* Adds a reason and tells the I/O layer when it is the first. */
static inline void conn_pause(struct conn *conn, enum conn_pause why) {
    if (conn->paused == 0)
        io_receive_pause(conn->io, conn->handle);
    conn->paused = (uint8_t)(conn->paused | why);
}
