/* sim.h: how a test drives the simulated body: the other end of every connection, and a seeded fate for
 * every operation.
 * Owner: the test, on the same thread as the struct io.
 * Deterministic: the same seed and calls give the same short reads, short writes, EAGAINs, delays, resets
 * and accept order.
 * Nothing blocks; io_turn on a sim never sleeps: a turn is the unit of simulated time.
 * Calls on a peer that has ended answer -EPIPE or 0 like a socket. */
#pragma once

#include "core/io/io.h"

struct io_sim_faults {      /* chances in 1/1024 per operation */
    uint32_t short_receive; /* give fewer bytes than there are */
    uint32_t short_send;    /* take fewer bytes than offered (at least 1) */
    uint32_t refuse_send;   /* EAGAIN */
    uint32_t delay;         /* completion comes in a later turn */
    uint32_t reset;         /* connection breaks */
    uint32_t early;         /* a flush tells what else is due before the results of its sends */
    uint32_t socket_bytes;  /* what the peer's receive side holds before sends are refused; 0 = 256 KiB */
};

struct io_sim_peer;

/* After io_create with IO_BODY_SIM. */
void io_sim_seed(struct io *io, uint64_t seed, const struct io_sim_faults *faults);
/* A client connects to the (single) listener; `accepted` comes in a later turn with a invented fd >=
 * 1000000 that io_add takes. */
struct io_sim_peer *io_sim_connect(struct io *io);
/* Several io of one test are one host: what the listener of `door` accepts may be given to io_add of any of
 * them. Before the first io_sim_connect; `door` is destroyed last. */
void io_sim_share(struct io *io, struct io *door);
/* Whether a turn would tell something, at once or, for what is delayed, after some turns: a worker that
 * sleeps on this io has a reason to wake. */
bool io_sim_due(struct io *io);
/* Bytes taken (0 = its socket is full), or -EPIPE. */
int64_t io_sim_write(struct io_sim_peer *peer, const void *bytes, size_t length);
/* Bytes, 0 = ended in order, -EAGAIN, -ECONNRESET. */
int64_t io_sim_read(struct io_sim_peer *peer, void *bytes, size_t length);
/* What the server has sent and the client has not read; valid until the next call for this peer or its io.
 * Also what a reset has thrown away. */
size_t io_sim_unread(const struct io_sim_peer *peer, const uint8_t **bytes);
/* The client ends its sending side and goes on reading. */
void io_sim_shut(struct io_sim_peer *peer);
/* The client closes. */
void io_sim_end(struct io_sim_peer *peer, bool reset);
/* Whether the connection is over, and who has ended it first. */
enum io_sim_end {
    IO_SIM_OPEN,
    IO_SIM_CLOSED,  /* by the server, in order */
    IO_SIM_ABORTED, /* by the server, with a reset */
    IO_SIM_BROKEN,  /* by fate */
    IO_SIM_LEFT,    /* by the client, and the server has let go of it */
};
enum io_sim_end io_sim_ended(const struct io_sim_peer *peer);
/* The test lets go of it (before or after io_destroy); resets it first if it has not ended. NULL is allowed.
 * */
void io_sim_forget(struct io_sim_peer *peer);
