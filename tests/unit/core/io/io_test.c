/* The listening socket. */
#include "core/io/io.h"
#include "tests/unit/leaks.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

Test(io_listen_socket, listens_on_a_free_port_with_the_options_that_are_inherited) {
    uint16_t port = 0;
    int fd = io_listen_socket("127.0.0.1:0", &port);
    cr_assert_geq(fd, 0);
    cr_assert_gt(port, 0);
    int value = 0;
    socklen_t size = sizeof value;
    cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    cr_assert(value);
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &size), 0);
    cr_assert(value);
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
    cr_assert(value);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    char same[32];
    (void)snprintf(same, sizeof same, "127.0.0.1:%u", port);
    cr_assert_eq(io_listen_socket(same, NULL), -EADDRINUSE);
    cr_assert_eq(close(fd), 0);
    fd = io_listen_socket(same, NULL);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    fd = io_listen_socket("[::1]:0", &port);
    cr_assert(fd >= 0 || fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT, "%d",
              fd); /* a machine may have no IPv6 */
    if (fd >= 0)
        cr_assert_eq(close(fd), 0);
    LEAKS_NONE();
}

Test(io_listen_socket, refuses_what_is_not_a_numeric_address_and_port) {
    static const char *const bad[] = {"",
                                      ":1",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "[::1]",
                                      "[::1]:",
                                      "::1:80",
                                      "[::1:80",
                                      "127.0.0.1:65536",
                                      "host:80",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:+1",
                                      "127.0.0.1: 80",
                                      "127.0.0.1:99999999999999",
                                      "256.0.0.1:0",
                                      "[]:1",
                                      "[127.0.0.1:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(io_listen_socket(bad[i], NULL), -EINVAL, "%s", bad[i]);
    cr_assert_eq(io_listen_socket("192.0.2.1:0", NULL),
                 -EADDRNOTAVAIL); /* a documentation address is nobody's */
}

static int adopt(int fd, const char *host, unsigned port, uint16_t *told) {
    char address[64];
    (void)snprintf(address, sizeof address, "%s:%u", host, port);
    return io_listen_adopt(fd, address, told);
}

Test(io_listen_adopt, takes_a_socket_that_is_bound_to_the_address_and_no_other) {
    uint16_t port = 0, told = 0;
    int fd = io_listen_socket("127.0.0.1:0", &port);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fcntl(fd, F_SETFD, 0), 0);
    cr_assert_eq(adopt(fd, "127.0.0.2", port, &told), -EADDRNOTAVAIL);
    cr_assert_eq(adopt(fd, "127.0.0.1", port ^ 1u, &told), -EADDRNOTAVAIL);
    cr_assert_eq(adopt(fd, "[::1]", port, &told), -EADDRNOTAVAIL);
    cr_assert_eq(adopt(fd, "no address", port, &told), -EADDRNOTAVAIL);
    cr_assert_eq(told, 0);
    cr_assert_eq(fcntl(fd, F_GETFD), 0, "it is as it was");
    cr_assert_eq(adopt(fd, "127.0.0.1", port, &told), 0);
    cr_assert_eq(told, port);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    told = 0;
    cr_assert_eq(adopt(fd, "127.0.0.1", 0, &told), 0);
    cr_assert_eq(told, port);
    cr_assert_eq(close(fd), 0);
}

Test(io_listen_adopt, refuses_what_is_no_listening_stream_socket) {
    int fds[2], plain = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(io_listen_adopt(fds[0], "127.0.0.1:0", NULL), -EADDRNOTAVAIL);
    cr_assert_eq(io_listen_adopt(plain, "0.0.0.0:0", NULL), -EADDRNOTAVAIL);
    cr_assert_eq(io_listen_adopt(datagrams, "0.0.0.0:0", NULL), -EADDRNOTAVAIL);
    cr_assert_eq(io_listen_adopt(-1, "127.0.0.1:0", NULL), -EADDRNOTAVAIL);
    int all[] = {fds[0], fds[1], plain, datagrams};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cr_assert_eq(close(all[i]), 0);
}
