/* io.h: the I/O seam: one completion-shaped contract, three bodies (io_uring.c, io_libevent.c, io_sim.c).
 * Owner: one worker thread per struct io. io_create may run in the main thread (errors early); all else in
 * the owner, after io_enable.
 * Nothing above this line asks which body runs. Callbacks run inside io_turn, io_flush or io_close, on the
 * owner's thread.
 * io_turn blocks for at most its timeout; nothing else blocks.
 * Set-up fails with negative errno; a connection's failure is its `ended` callback, once; running out of
 * kernel resources is survived and counted. */
#pragma once

#include "core/base/check.h"
#include "ring/counter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct io;

/* A connection's or listener's handle: index and generation, so that a stale completion is recognised. 0 is
 * none. */
typedef uint64_t io_handle;

enum io_choice {
    IO_AUTO,
    IO_URING,
    IO_EPOLL,
    IO_URING_ONESHOT
}; /* the last one is hidden: masks what kernels before 6.6 lack */
enum io_body { IO_BODY_URING, IO_BODY_EPOLL, IO_BODY_SIM };

/* What happened. `user` is what io_add was given; never called for it again after `closed`. A callback may
 * call any io_* function except io_turn, io_flush and io_destroy. */
struct io_handlers {
    /* A new connection on the listener added with `user`; the callee owns fd (close-on-exec, TCP_NODELAY
     * set, blocking as the body needs). */
    void (*accepted)(void *owner, void *user, int fd);
    /* Bytes have come; they are valid only during this call (a provided or hot buffer), so what is not
     * consumed must be copied, unless they lie at `place`, which is the owner's.
     * At most RECEIVE_BULK_BYTES a call. Between io_receive_pause and io_receive_resume neither this nor
     * `ended` is called. */
    void (*received)(void *owner, void *user, const uint8_t *bytes, size_t length);
    /* Where the next bytes of a connection are best received: at most *size of them, which comes as
     * RECEIVE_BULK_BYTES. They are then told by `received` at this address. NULL = nowhere in particular.
     * Asked right before a plain receive, which may bring nothing. Optional. */
    uint8_t *(*place)(void *owner, void *user, size_t *size);
    /* No more will be received: 0 = the peer ended in order, negative errno otherwise (-ECONNRESET ...).
     * Sending may still work after 0.
     * The owner still calls io_close. */
    void (*ended)(void *owner, void *user, int error);
    /* The result of one io_send, told inside the next io_flush: bytes taken (may be short, may be 0 when
     * refused with EAGAIN), or negative errno when the connection is broken. */
    void (*sent)(void *owner, void *user, int64_t result);
    /* Armed by io_want_writable; once. */
    void (*writable)(void *owner, void *user);
    /* Everything in flight has been joined and the descriptor is closed; `user` may be freed. */
    void (*closed)(void *owner, void *user);
    /* The bell became readable (config.bell); the callee drains it. */
    void (*woken)(void *owner);
};

struct io_config {
    enum io_body body;
    bool oneshot;         /* uring only: use nothing newer than kernel 6.1 */
    int bell;             /* eventfd to watch, or -1 */
    uint32_t connections; /* hint for tables; they grow */
    uint32_t light_count; /* provided buffers (uring); 0 = default */
    uint32_t cq_entries;  /* completion queue (uring); 0 = default; tests use 8 */
    const struct io_handlers *handlers;
    void *owner;
};

/* All written by the owner's thread, read by anyone. */
#define IO_COUNTERS(X)                                                                                       \
    X(enters, "system calls that entered the kernel to submit, wait or poll")                                \
    X(entries, "operations submitted")                                                                       \
    X(completions, "completions handled")                                                                    \
    X(received_bytes, "bytes received")                                                                      \
    X(sent_bytes, "bytes taken by the kernel from sends")                                                    \
    X(receives, "receives that returned bytes")                                                              \
    X(sends, "sends issued")                                                                                 \
    X(short_sends, "sends that took less than was offered")                                                  \
    X(enobufs, "receives that found no provided buffer")                                                     \
    X(rearms, "multishot operations armed again")                                                            \
    X(missed, "times a socket had something and its waiting receive had not been told")                      \
    X(overflows, "times the completion queue overflowed")                                                    \
    X(stale, "completions for a handle of an earlier generation")                                            \
    X(accepts, "connections accepted")                                                                       \
    X(accept_errors, "accepts that failed, mostly for want of descriptors")                                  \
    X(bulk_switches, "connections that turned from light to bulk receiving")                                 \
    X(buffers_high_water, "most provided buffers in use at once")

struct io_counters {
#define IO_COUNTER_FIELD(name, help) struct counter name;
    IO_COUNTERS(IO_COUNTER_FIELD)
#undef IO_COUNTER_FIELD
};

/* Which body to use. `reason` (at least 200 bytes) gets one sentence for the log, such as
 * "io_uring_setup: EPERM; kernel.io_uring_disabled=2" or "fits all features". IO_AUTO never fails; IO_URING
 * that can not be had is negative errno. Tries set-up, opcodes, the buffer ring and a short self-test on a
 * socket pair. */
int io_choose(enum io_choice choice, enum io_body *body, char *reason, size_t reason_size) MUST_USE;
bool io_choice_parse(const char *text, enum io_choice *out); /* auto | uring | epoll | uring:oneshot */
const char *io_body_name(enum io_body body);                 /* "io_uring", "epoll", "sim" */

int io_create(struct io **out, const struct io_config *config) MUST_USE;
void io_destroy(struct io *io);        /* all connections must be closed; NULL is allowed */
int io_enable(struct io *io) MUST_USE; /* first call of the owner's thread */

/* A listening socket (made by io_listen_socket); `accepted` gets `user`. On EMFILE it backs off and re-arms,
 * never spins. */
io_handle io_listen(struct io *io, int fd, void *user); /* 0 = out of memory */
/* Takes over a connected stream socket and begins to receive. 0 = out of memory (the caller still owns fd).
 * */
io_handle io_add(struct io *io, int fd, void *user);
void io_receive_pause(struct io *io, io_handle handle);  /* idempotent */
void io_receive_resume(struct io *io, io_handle handle); /* idempotent */
/* Queues one gathered send (MSG_NOSIGNAL | MSG_DONTWAIT). At most one per connection between flushes; `iov`
 * and its bytes stay valid until io_flush returns or calls back, and are not touched after: a callback may
 * free them. count <= SEND_IOV_MAX. */
void io_send(struct io *io, io_handle handle, const struct iovec *iov, uint32_t count);
/* Issues all queued sends, then tells each result by `sent`, perhaps among other things that have happened.
 * Nothing is in flight when it returns. */
void io_flush(struct io *io);
void io_want_writable(struct io *io, io_handle handle); /* one-shot; idempotent while armed */
/* shutdown, cancel, join, close; ends in `closed`, perhaps within this call, and nothing else is told after
 * it. A queued send still goes out first. Idempotent. `abort`: reset instead of an orderly end. */
void io_close(struct io *io, io_handle handle, bool abort);
/* Waits at most timeout_ns (0 = does not wait) for anything, then runs callbacks, at most
 * TURN_COMPLETIONS_MAX. Negative errno only when the body itself is broken. */
int io_turn(struct io *io, uint64_t timeout_ns) MUST_USE;

enum io_body io_body_of(const struct io *io);
const struct io_counters *io_counters_of(const struct io *io);

/* A bound, listening TCP socket with the options that accepted sockets inherit (TCP_NODELAY, REUSEADDR), or
 * negative errno.
 * `address` is "HOST:PORT" or "[V6]:PORT", numeric; port 0 = any free one, told in *port. */
int io_listen_socket(const char *address, uint16_t *port) MUST_USE;
/* Makes one that somebody else has bound and listens on like one of ours. -EADDRNOTAVAIL: it is bound to
 * another address (port 0 fits any), or is no such socket; then it is as it was. */
int io_listen_adopt(int fd, const char *address, uint16_t *port) MUST_USE;
