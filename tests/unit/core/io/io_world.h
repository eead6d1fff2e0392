/* io_world.h: one io of any body with its listener, server ends and non-blocking clients, all turned by one
 * thread.
 * Owner: the test. One world per io.
 * Only the test's thread calls.
 * Nothing blocks longer than the timeout given to io_world_turn.
 * A call that fails fails the running Criterion test. */
#pragma once

#include "core/io/io.h"

#define IO_WORLD_ENDS 1024u

struct io_world;

/* The server's side of a connection; `user` of the io. What it receives is compared with the pattern of its
 * number. */
struct io_end {
    struct io_world *world;
    io_handle handle;
    uint32_t number;
    bool echo;  /* sends back what it receives */
    bool plain; /* does not compare what it receives */
    bool in_received;
    bool sending; /* between io_send and `sent` */
    bool waiting; /* for writable */
    bool paused;
    bool closing; /* the test has closed it: nothing is sent or told any more */
    uint64_t received;
    uint64_t sent;
    uint64_t receives;
    uint64_t writables;
    uint64_t ended;
    uint64_t closed;
    int end_error;
    int64_t send_error;
    uint8_t *out; /* what is to be sent, out_done .. out_length; never moves while a send is in flight */
    size_t out_length;
    size_t out_done;
    size_t out_capacity;
    struct iovec iov[2];
};

struct io_client {
    int fd;
    uint32_t number;
    uint64_t sent;
    uint64_t got;
    bool ended;
    int error;
};

struct io_world {
    struct io *io;
    const char *name;
    uint16_t port;
    int bell;
    io_handle listener;
    uint64_t listener_closed;
    uint32_t ends_count;
    uint32_t clients_count;
    uint64_t woken;
    uint64_t random;
    size_t out_bytes; /* of each end made from now on */
    bool echo;        /* ... */
    bool plain;       /* ... */
    /* What a test wants to happen besides; may be NULL. */
    void (*on_received)(struct io_end *end, const uint8_t *bytes, size_t length);
    void (*on_sent)(struct io_end *end, int64_t result);
    struct io_end *ends[IO_WORLD_ENDS];
    struct io_client clients[IO_WORLD_ENDS];
};

/* The bodies that talk to real sockets, one after the other; those this kernel refuses are left out, epoll
 * never is. */
struct io_variant {
    const char *name;
    enum io_body body;
    bool oneshot;
};
uint32_t io_world_variants(const struct io_variant **variants);

struct io_world *io_world_new(const struct io_variant *variant, const struct io_config *config);
void io_world_free(struct io_world *world); /* closes everything in order and waits for it */
/* io_turn, then everybody's pending output, then io_flush. */
void io_world_turn(struct io_world *world, uint64_t timeout_ns);
/* Turns until *value >= least; gives up (and fails the test) after so many turns without an end that no
 * machine needs them. */
void io_world_until(struct io_world *world, const uint64_t *value, uint64_t least);

struct io_client *io_world_connect(struct io_world *world); /* and waits until it was accepted */
struct io_end *io_world_end_of(struct io_world *world, const struct io_client *client);
void io_end_write(struct io_end *end, const void *bytes, size_t length); /* queues output */

uint64_t io_world_random(struct io_world *world);
uint8_t io_pattern(uint32_t number, uint64_t position);
/* One non-blocking step each; bytes follow the pattern and are compared with it. Return bytes moved. */
size_t io_client_write(struct io_client *client, size_t length);
size_t io_client_read(struct io_client *client, size_t length);
void io_client_close(struct io_client *client, bool reset);

uint32_t io_open_descriptors(void);
