#include "core/io/body.h"

#include "core/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int io_create(struct io **out, const struct io_config *config) {
    CHECK(config->handlers);
    switch (config->body) {
    case IO_BODY_URING:
        return io_ops_uring.create(out, config);
    case IO_BODY_EPOLL:
        return io_ops_epoll.create(out, config);
    case IO_BODY_SIM:
        return io_ops_sim.create(out, config);
    }
    return -EINVAL;
}

void io_destroy(struct io *io) {
    if (io)
        io->ops->destroy(io);
}

int io_enable(struct io *io) {
    return io->ops->enable(io);
}

io_handle io_listen(struct io *io, int fd, void *user) {
    return io->ops->listen(io, fd, user);
}

io_handle io_add(struct io *io, int fd, void *user) {
    return io->ops->add(io, fd, user);
}

void io_receive_pause(struct io *io, io_handle handle) {
    io->ops->receive_pause(io, handle);
}

void io_receive_resume(struct io *io, io_handle handle) {
    io->ops->receive_resume(io, handle);
}

void io_send(struct io *io, io_handle handle, const struct iovec *iov, uint32_t count) {
    CHECK(count > 0 && count <= SEND_IOV_MAX);
    io->ops->send(io, handle, iov, count);
}

void io_flush(struct io *io) {
    io->ops->flush(io);
}

void io_want_writable(struct io *io, io_handle handle) {
    io->ops->want_writable(io, handle);
}

void io_close(struct io *io, io_handle handle, bool abort) {
    io->ops->close(io, handle, abort);
}

int io_turn(struct io *io, uint64_t timeout_ns) {
    return io->ops->turn(io, timeout_ns);
}

enum io_body io_body_of(const struct io *io) {
    return io->body;
}

const struct io_counters *io_counters_of(const struct io *io) {
    return &io->counters;
}

const char *io_body_name(enum io_body body) {
    static const char *const names[] = {
        [IO_BODY_URING] = "io_uring", [IO_BODY_EPOLL] = "epoll", [IO_BODY_SIM] = "sim"};
    return (unsigned)body < sizeof names / sizeof names[0] ? names[body] : "unknown";
}

bool io_choice_parse(const char *text, enum io_choice *out) {
    static const struct {
        const char *text;
        enum io_choice choice;
    } choices[] = {
        {"auto", IO_AUTO}, {"uring", IO_URING}, {"epoll", IO_EPOLL}, {"uring:oneshot", IO_URING_ONESHOT}};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (strcmp(text, choices[i].text) == 0) {
            *out = choices[i].choice;
            return true;
        }
    }
    return false;
}

/* --- What the bodies share ----------------------------------------------------------------------------- */

void io_head_init(struct io *io, const struct io_ops *ops, const struct io_config *config) {
    io->ops = ops;
    io->handlers = config->handlers;
    io->owner = config->owner;
    io->bell = config->bell;
    io->body = config->body;
}

void io_fd_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) == 0) == blocking)
        return;
    (void)fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

void io_fd_end(int fd, bool abort) {
    if (abort) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    } else {
        uint8_t rest[16 * KIB];
        (void)shutdown(fd, SHUT_WR);
        for (int i = 0; i < 64 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
            continue;
    }
    (void)close(fd);
}

bool io_send_refused(int error) {
    return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

bool io_accept_retry(int error) {
    return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == ENETUNREACH || error == EHOSTUNREACH || error == EHOSTDOWN ||
           error == ENONET || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

/* --- The listening socket ------------------------------------------------------------------------------ */

/* Splits "HOST:PORT" or "[V6]:PORT"; false when it is neither. */
static bool listen_split(const char *address, char *host, size_t host_size, char *port, size_t port_size) {
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || strlen(colon + 1) >= port_size || colon[1] == '\0')
        return false;
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1) || strtoul(colon + 1, NULL, 10) > UINT16_MAX)
        return false;
    const char *first = address;
    size_t length = (size_t)(colon - address);
    if (address[0] == '[') {
        if (length < 2 || colon[-1] != ']')
            return false;
        first++;
        length -= 2;
    } else if (memchr(address, ':', length)) {
        return false;
    }
    if (length == 0 || length >= host_size)
        return false;
    memcpy(host, first, length);
    host[length] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static int listen_open(const struct addrinfo *info) {
    static const int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, info->ai_addr, info->ai_addrlen) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) || listen(fd, SOMAXCONN)) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

union listen_name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static uint16_t listen_name_port(const union listen_name *name) {
    return ntohs(name->any.sa_family == AF_INET6 ? name->v6.sin6_port : name->v4.sin_port);
}

static uint16_t listen_port(int fd) {
    union listen_name bound = {.v6 = {0}};
    socklen_t size = sizeof bound;
    CHECK(getsockname(fd, &bound.any, &size) == 0);
    return listen_name_port(&bound);
}

/* NULL: the address is none. To be freed. */
static struct addrinfo *listen_resolve(const char *address) {
    char host[64];
    char service[8];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    if (!listen_split(address, host, sizeof host, service, sizeof service) ||
        getaddrinfo(host, service, &hints, &info) != 0)
        return NULL;
    return info;
}

int io_listen_socket(const char *address, uint16_t *port) {
    struct addrinfo *info = listen_resolve(address);
    if (info == NULL)
        return -EINVAL;
    int fd = listen_open(info);
    freeaddrinfo(info);
    if (fd >= 0 && port)
        *port = listen_port(fd);
    return fd;
}

static bool listen_bound_to(const union listen_name *bound, const struct addrinfo *info) {
    union listen_name wanted = {.v6 = {0}};
    if (info->ai_addrlen > sizeof wanted || bound->any.sa_family != info->ai_family)
        return false;
    memcpy(&wanted, info->ai_addr, info->ai_addrlen);
    bool same_host = info->ai_family == AF_INET6
                         ? memcmp(&bound->v6.sin6_addr, &wanted.v6.sin6_addr, sizeof wanted.v6.sin6_addr) == 0
                         : bound->v4.sin_addr.s_addr == wanted.v4.sin_addr.s_addr;
    return same_host &&
           (listen_name_port(&wanted) == 0 || listen_name_port(bound) == listen_name_port(&wanted));
}

int io_listen_adopt(int fd, const char *address, uint16_t *port) {
    static const int one = 1;
    union listen_name bound = {.v6 = {0}};
    socklen_t size = sizeof bound, int_size = sizeof(int);
    int listens = 0, type = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_size) != 0 || listens == 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_size) != 0 || type != SOCK_STREAM ||
        getsockname(fd, &bound.any, &size) != 0)
        return -EADDRNOTAVAIL;
    struct addrinfo *info = listen_resolve(address);
    bool fits = info != NULL && listen_bound_to(&bound, info);
    if (info != NULL)
        freeaddrinfo(info);
    if (!fits || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        return -EADDRNOTAVAIL;
    if (port)
        *port = listen_name_port(&bound);
    return 0;
}
