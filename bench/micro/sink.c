#include "bench/micro/sink.h"

#include "core/base/limits.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (64u * KIB)
#define EVENTS       64

struct client {
    struct client *next;
    int fd;
    uint32_t kept;   /* bytes in the buffer */
    uint64_t length; /* of a body that is being read: what is missing of it */
    char buffer[BUFFER_BYTES];
};

struct sink {
    struct client *clients; /* owns */
    int listener, poll;
    uint16_t port;
    uint64_t answered, bytes;
    sink_on_head *on_head; /* NULL: nobody looks */
    void *user;
};

/* `error`: as in errno; 0: it is well. */
static void must(int error, const char *what) {
    if (error == 0)
        return;
    (void)fprintf(stderr, "sink: %s: %s\n", what, strerror(error));
    exit(EXIT_FAILURE);
}

static void *zeroed(size_t bytes) {
    void *memory = calloc(1, bytes);
    must(memory ? 0 : ENOMEM, "memory");
    return memory;
}

static void watch(const struct sink *sink, int fd, void *whose) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
    must(epoll_ctl(sink->poll, EPOLL_CTL_ADD, fd, &event) != 0 ? errno : 0, "epoll_ctl");
}

struct sink *sink_open(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct sink *sink = zeroed(sizeof *sink);
    sink->poll = epoll_create1(EPOLL_CLOEXEC);
    must(sink->poll < 0 ? errno : 0, "epoll_create1");
    sink->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(sink->listener < 0 ? errno : 0, "socket");
    must(bind(sink->listener, (struct sockaddr *)&address, length) != 0 ? errno : 0, "bind");
    must(listen(sink->listener, SOMAXCONN) != 0 ? errno : 0, "listen");
    getsockname(sink->listener, (struct sockaddr *)&address, &length);
    sink->port = ntohs(address.sin_port);
    watch(sink, sink->listener, NULL);
    return sink;
}

uint16_t sink_port(const struct sink *sink) {
    return sink->port;
}

static void accept_one(struct sink *sink) {
    const int on = 1;
    int fd = accept4(sink->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct client *client = zeroed(sizeof *client);
    client->fd = fd;
    client->next = sink->clients;
    sink->clients = client;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(sink, fd, client);
}

/* The number of the head's Content-Length, 0 without one. */
static uint64_t length_of(char *head, char *end) {
    static const char name[] = "\r\nContent-Length: ";
    char *found = memmem(head, (size_t)(end - head), name, sizeof name - 1);
    return found ? strtoull(found + sizeof name - 1, NULL, 10) : 0;
}

static void answer(struct sink *sink, struct client *client) {
    static const char text[] = "HTTP/1.1 204 No Content\r\n\r\n";
    ssize_t n = send(client->fd, text, sizeof text - 1, MSG_NOSIGNAL);
    must(n != sizeof text - 1 ? EIO : 0, "an answer");
    sink->answered++;
}

/* Takes what there is of bodies and whole heads off the buffer. */
static void take(struct sink *sink, struct client *client) {
    char *at = client->buffer, *end = at + client->kept;
    for (;;) {
        uint64_t n = client->length < (uint64_t)(end - at) ? client->length : (uint64_t)(end - at);
        at += n;
        sink->bytes += n;
        if (client->length && (client->length -= n) == 0)
            answer(sink, client);
        char *close = client->length ? NULL : memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (!close)
            break;
        client->length = length_of(at, close + 2);
        if (sink->on_head)
            sink->on_head(sink->user, at, (size_t)(close + 2 - at));
        at = close + 4;
        if (client->length == 0)
            answer(sink, client);
    }
    client->kept = (uint32_t)(end - at);
    memmove(client->buffer, at, client->kept);
}

static void receive(struct sink *sink, struct client *client) {
    ssize_t n = recv(client->fd, client->buffer + client->kept, BUFFER_BYTES - client->kept, 0);
    if (n > 0) {
        client->kept += (uint32_t)n;
        take(sink, client);
    } else if (n == 0) {
        epoll_ctl(sink->poll, EPOLL_CTL_DEL, client->fd, NULL);
    }
}

void sink_look(struct sink *sink, sink_on_head *on_head, void *user) {
    sink->on_head = on_head;
    sink->user = user;
}

uint64_t sink_serve_until(struct sink *sink, uint64_t requests, int silence_ms) {
    struct epoll_event events[EVENTS];
    uint64_t before = sink->answered, until = before + requests;
    while (sink->answered < until) {
        int n = epoll_wait(sink->poll, events, EVENTS, silence_ms);
        must(n < 0 && errno != EINTR ? errno : 0, "epoll_wait");
        if (n == 0)
            break;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                receive(sink, events[i].data.ptr);
            else
                accept_one(sink);
        }
    }
    return sink->answered - before;
}

void sink_serve(struct sink *sink, uint64_t requests) {
    (void)sink_serve_until(sink, requests, -1);
}

uint64_t sink_bytes(const struct sink *sink) {
    return sink->bytes;
}

void sink_close(struct sink *sink) {
    for (struct client *client = sink->clients, *next; client; client = next) {
        next = client->next;
        close(client->fd);
        free(client);
    }
    close(sink->listener);
    close(sink->poll);
    free(sink);
}
