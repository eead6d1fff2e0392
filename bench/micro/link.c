#include "bench/micro/link.h"

#include "bench/micro/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_BYTES (1 * MIB)

static void must(int result, const char *what) {
    bench_must(result < 0 ? -errno : 0, what);
}

static void prepare(int fd) {
    static const char reno[] =
        "reno"; /* always there; others pace even loopback, and their timers would count */
    int one = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof reno - 1), "TCP_CONGESTION");
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    must(fcntl(fd, F_SETFL, O_NONBLOCK), "a non-blocking socket");
}

struct link link_open(void) {
    struct link link = {.spare = bench_memory(DRAIN_BYTES)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(listener, "a socket");
    must(bind(listener, (struct sockaddr *)&address, sizeof address), "binding to loopback");
    must(listen(listener, 1), "listening");
    must(getsockname(listener, (struct sockaddr *)&address, &size), "a port");
    must(link.from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "a socket");
    must(connect(link.from, (struct sockaddr *)&address, sizeof address), "connecting over loopback");
    must(link.to = accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accepting");
    close(listener);
    prepare(link.from);
    prepare(link.to);
    return link;
}

void link_close(struct link *link) {
    close(link->from);
    close(link->to);
    free(link->spare);
}

size_t link_drain(struct link *link, uint64_t *sum) {
    size_t all = 0;
    for (;;) {
        ssize_t got = recv(link->to, link->spare, DRAIN_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return all;
        must((int)got, "receiving");
        for (ssize_t i = 0; sum != NULL && i < got; i++)
            *sum += link->spare[i];
        all += (size_t)got;
    }
}

size_t link_waiting(const struct link *link) {
    int bytes;
    must(ioctl(link->to, FIONREAD, &bytes), "FIONREAD");
    return (size_t)bytes;
}
