/* choose.c: which body runs here: asks the kernel by doing, not by version alone.
 *
 * A kernel may have io_uring and refuse it (sysctl, seccomp, LSM), or have it and lack what we need. So the
 * probe creates the very ring that a worker would run, and sends a few bytes to and fro over a socket pair
 * with it. */
#include "core/io/body.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/io/uring_compat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_TIMEOUT_NS                                                                                     \
    (2u * NS_PER_S) /* the self-test needs microseconds; this ends a kernel that never answers */

struct probe {
    char text[8];
    size_t received;
    int64_t sent;
    bool ended;
    bool closed;
};

static void probe_accepted(void *owner, void *user, int fd) {
    (void)owner;
    (void)user;
    (void)close(fd);
}

static void probe_received(void *owner, void *user, const uint8_t *bytes, size_t length) {
    (void)owner;
    struct probe *probe = user;
    for (size_t i = 0; i < length && probe->received < sizeof probe->text; i++)
        probe->text[probe->received++] = (char)bytes[i];
}

static void probe_ended(void *owner, void *user, int error) {
    (void)owner;
    (void)error;
    ((struct probe *)user)->ended = true;
}

static void probe_sent(void *owner, void *user, int64_t result) {
    (void)owner;
    ((struct probe *)user)->sent = result;
}

static void probe_writable(void *owner, void *user) {
    (void)owner;
    (void)user;
}

static void probe_closed(void *owner, void *user) {
    (void)owner;
    ((struct probe *)user)->closed = true;
}

static void probe_woken(void *owner) {
    (void)owner;
}

static const struct io_handlers probe_handlers = {
    .accepted = probe_accepted,
    .received = probe_received,
    .ended = probe_ended,
    .sent = probe_sent,
    .writable = probe_writable,
    .closed = probe_closed,
    .woken = probe_woken,
};

static int __attribute__((format(printf, 3, 4))) say(char *reason, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(reason, size, format, arguments);
    va_end(arguments);
    return n;
}

static const char *error_name(int error) {
    const char *name = strerrorname_np(error);
    return name ? name : "unknown error";
}

/* The sysctl, or -1 where there is none (kernels before 6.6, unless back-ported). */
static int uring_disabled(void) {
    char text[16] = {0};
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return n > 0 && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : -1;
}

static void say_refused(char *reason, size_t size, int error) {
    int disabled = uring_disabled();
    if (error == EPERM && disabled > 0)
        (void)say(reason, size, "io_uring_setup: %s; kernel.io_uring_disabled=%d", error_name(error),
                  disabled);
    else if (error == EPERM)
        (void)say(reason, size, "io_uring_setup: %s; a seccomp filter or security module refuses it",
                  error_name(error));
    else if (error == ENOMEM) /* newer kernels count the rings as locked memory */
        (void)say(reason, size, "io_uring_setup: %s; raise the limit on locked memory (ulimit -l)",
                  error_name(error));
    else
        (void)say(reason, size, "io_uring_setup: %s", error_name(error));
}

/* Waits until `done` becomes true; what is waited for is all on this machine and at hand. */
static int probe_turns(struct io *io, const bool *done) {
    uint64_t end = clock_mono_ns() + PROBE_TIMEOUT_NS;
    while (!*done) {
        int error = io_turn(io, 10 * NS_PER_MS);
        if (error)
            return error;
        if (clock_mono_ns() > end)
            return -ETIMEDOUT;
    }
    return 0;
}

/* One end of the pair is the io's, the other is ours: a send, a receive, an end and a close. */
static int probe_talk(struct io *io, struct probe *probe, io_handle handle, int peer) {
    char text[8] = {0};
    const struct iovec iov[2] = {{.iov_base = (char[]){"pi"}, .iov_len = 2},
                                 {.iov_base = (char[]){"ng"}, .iov_len = 2}};
    int error = io_turn(io, 0); /* a ring that can not be entered says so here */
    if (error)
        return error;
    io_send(io, handle, iov, 2);
    io_flush(io);
    if (probe->sent != 4 || recv(peer, text, sizeof text, MSG_DONTWAIT) != 4 || memcmp(text, "ping", 4) != 0)
        return -EPROTO;
    if (send(peer, "pong", 4, MSG_NOSIGNAL | MSG_DONTWAIT) != 4 || shutdown(peer, SHUT_WR) != 0)
        return -EPROTO;
    error = probe_turns(io, &probe->ended);
    if (error)
        return error;
    return probe->received == 4 && memcmp(probe->text, "pong", 4) == 0 ? 0 : -EPROTO;
}

static int probe_pair(struct io *io) {
    struct probe probe = {0};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    int error = io_enable(io);
    io_handle handle = error ? 0 : io_add(io, pair[0], &probe);
    if (!handle) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return error ? error : -ENOMEM;
    }
    error = probe_talk(io, &probe, handle, pair[1]);
    io_close(io, handle, false);
    int close_error = probe_turns(io, &probe.closed);
    (void)close(pair[1]);
    return error ? error : close_error;
}

static int probe_uring(enum io_choice choice, char *reason, size_t size) {
    unsigned major = 0;
    unsigned minor = 0;
    uring_kernel(&major, &minor);
    if (major < 6 || (major == 6 && minor < 1)) {
        (void)say(reason, size, "kernel %u.%u is older than 6.1", major, minor);
        return -ENOSYS;
    }
    struct io_config config = {.body = IO_BODY_URING,
                               .oneshot = choice == IO_URING_ONESHOT,
                               .bell = -1,
                               .handlers = &probe_handlers};
    struct io *io = NULL;
    const char *step = "io_uring_setup";
    int error = uring_create_at(&io, &config, &step);
    if (error) {
        if (strcmp(step, "io_uring_setup") == 0)
            say_refused(reason, size, -error);
        else
            (void)say(reason, size, "%s: %s", step, error_name(-error));
        return error;
    }
    error = probe_pair(io);
    bool oneshot = choice == IO_URING_ONESHOT || !uring_kernel_multishot();
    io_destroy(io);
    if (error)
        (void)say(reason, size, "io_uring self-test: %s", error_name(-error));
    else if (choice == IO_URING_ONESHOT)
        (void)say(reason, size, "one-shot receives, as asked");
    else if (oneshot)
        (void)say(reason, size, "one-shot receives: kernel %u.%u is older than 6.6", major, minor);
    else
        (void)say(reason, size, "fits all features");
    return error;
}

int io_choose(enum io_choice choice, enum io_body *body, char *reason, size_t reason_size) {
    if (choice == IO_EPOLL) {
        *body = IO_BODY_EPOLL;
        (void)say(reason, reason_size, "as asked");
        return 0;
    }
    *body = IO_BODY_URING;
    int error = probe_uring(choice, reason, reason_size);
    if (error && choice == IO_AUTO) {
        *body = IO_BODY_EPOLL;
        return 0;
    }
    return error;
}
