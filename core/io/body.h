/* body.h: what the bodies share behind the seam: the operations table, and the head that each body's struct
 * begins with.
 * Owner: core/io, private to it; nothing above includes this file.
 * The owner's thread calls everything here, as io.h says.
 * Nothing blocks but `turn`, for at most its timeout.
 * Failures are those of io.h. */
#pragma once

#include "core/base/limits.h"
#include "core/io/io.h"

struct io_ops {
    int (*create)(struct io **out, const struct io_config *config);
    void (*destroy)(struct io *io);
    int (*enable)(struct io *io);
    io_handle (*listen)(struct io *io, int fd, void *user);
    io_handle (*add)(struct io *io, int fd, void *user);
    void (*receive_pause)(struct io *io, io_handle handle);
    void (*receive_resume)(struct io *io, io_handle handle);
    void (*send)(struct io *io, io_handle handle, const struct iovec *iov, uint32_t count);
    void (*flush)(struct io *io);
    void (*want_writable)(struct io *io, io_handle handle);
    void (*close)(struct io *io, io_handle handle, bool abort);
    int (*turn)(struct io *io, uint64_t timeout_ns);
};

extern const struct io_ops io_ops_epoll;
extern const struct io_ops io_ops_uring;
extern const struct io_ops io_ops_sim;

/* Every body's struct begins with this; the body fills it in create (io_head_init) and io.c reads it. */
struct io {
    const struct io_ops *ops;
    const struct io_handlers *handlers; /* borrowed for the life of the io */
    void *owner;
    int bell;
    enum io_body body;
    struct io_counters counters __attribute__((aligned(64)));
};

/* Where a plain receive puts its bytes: where the owner wants them, else into `hot`. */
struct io_place {
    uint8_t *bytes;
    size_t size;
};
static inline struct io_place io_place_ask(const struct io *io, void *user, uint8_t *hot) {
    struct io_place place = {.size = RECEIVE_BULK_BYTES};
    place.bytes = io->handlers->place != NULL ? io->handlers->place(io->owner, user, &place.size) : NULL;
    return place.bytes != NULL ? place : (struct io_place){hot, RECEIVE_BULK_BYTES};
}

void io_head_init(struct io *io, const struct io_ops *ops, const struct io_config *config);

/* Sets or clears O_NONBLOCK where it is not so already; a descriptor that refuses is left as it is. */
void io_fd_blocking(int fd, bool blocking);
/* The last system calls of a connection. Orderly: ends our direction and throws away (boundedly) what the
 * peer has sent meanwhile, because closing over unread bytes would reset the connection and take from the
 * peer what it has not read yet. Abort: resets. */
void io_fd_end(int fd, bool abort);
/* Whether a send's errno means "not now" (the caller then waits for writability) and not "broken". */
bool io_send_refused(int error);
/* Whether an accept's errno concerns one connection only, so that the next accept may be tried at once. */
bool io_accept_retry(int error);

#define IO_ACCEPT_BACKOFF_NS (50u * NS_PER_MS) /* a listener without descriptors looks again after this */
