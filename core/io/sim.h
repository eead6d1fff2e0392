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
    uint32_t socket_bytes;  /* what the peer's receive side holds before sends are refused; 0 = 256 KiB */
};

struct io_sim_peer;

/* After io_create with IO_BODY_SIM. */
void io_sim_seed(struct io *io, uint64_t seed, const struct io_sim_faults *faults);
/* A client connects to the (single) listener; `accepted` comes in a later turn with a invented fd >=
 * 1000000 that io_add takes. */
struct io_sim_peer *io_sim_connect(struct io *io);
/* Bytes taken (0 = its socket is full), or -EPIPE. */
int64_t io_sim_write(struct io_sim_peer *peer, const void *bytes, size_t length);
/* Bytes, 0 = ended in order, -EAGAIN, -ECONNRESET. */
int64_t io_sim_read(struct io_sim_peer *peer, void *bytes, size_t length);
/* The client closes. */
void io_sim_end(struct io_sim_peer *peer, bool reset);
/* The test lets go of it (before or after io_destroy); resets it first if it has not ended. NULL is allowed.
 * */
void io_sim_forget(struct io_sim_peer *peer);
