/* The relay limit: receives bytes and sends the same bytes on to N sockets. No frames, no topics, no checks:
 * what a router could reach on this machine if routing cost nothing.
 *
 *   relay [--plain] [--buffer BYTES]     prints "ready IP:PORT relay"; SIGTERM ends it
 *
 * A connection begins with four bytes, P or S and the number of its group (16 bits, low byte first) and a
 * newline, and is answered with '!'. What a publisher sends goes to all subscribers of its group, of which it
 * is the only publisher. One receive of up to BYTES (768 KiB), then one send to each subscriber, all
 * submitted at once; the buffer is used again when the last of them is done. --plain does the same with poll,
 * recv and send, where io_uring is forbidden. */
#include <liburing.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX   1024u
#define RING_ENTRIES 4096u
#define HELLO_BYTES  4u

struct group {
    int publisher; /* -1: none */
    uint8_t *buffer;
    uint32_t sending; /* sends not done yet */
    int *subscribers; /* -1: gone */
    uint32_t subscribers_count;
};

static struct group groups[GROUPS_MAX];
static uint32_t groups_count;
static size_t buffer_bytes = 768u << 10;
static struct io_uring ring;

static _Noreturn void die(const char *what, int error) {
    fprintf(stderr, "relay: %s: %s\n", what, strerror(error));
    exit(EXIT_FAILURE);
}

static int listen_open(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 1024) != 0)
        die("listen", errno);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
    (void)getsockname(fd, (struct sockaddr *)&address, &length);
    printf("ready 127.0.0.1:%u relay\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* ---- who is there ---- */

static void *grown(void *memory, size_t bytes) {
    void *larger = realloc(memory, bytes);
    if (larger == NULL)
        die("memory", ENOMEM);
    return larger;
}

static void subscriber_add(struct group *group, int fd) {
    uint32_t count = group->subscribers_count;
    group->subscribers = grown(group->subscribers, (count + 1) * sizeof *group->subscribers);
    group->subscribers[count] = fd;
    group->subscribers_count = count + 1;
}

/* Reads the four bytes and answers. Returns the group whose publisher this is, or NULL. */
static struct group *welcome(int fd) {
    uint8_t hello[HELLO_BYTES];
    if (recv(fd, hello, sizeof hello, MSG_WAITALL) != HELLO_BYTES) {
        close(fd);
        return NULL;
    }
    uint32_t number = (uint32_t)(hello[1] | hello[2] << 8);
    if (number >= GROUPS_MAX)
        die("a group number is too large", EINVAL);
    for (; groups_count <= number; groups_count++)
        groups[groups_count].publisher = -1;
    struct group *group = &groups[number];
    bool publishes = hello[0] == 'P';
    if (publishes && group->publisher >= 0)
        die("a group has a publisher already", EINVAL);
    if (publishes) {
        group->publisher = fd;
        group->buffer = group->buffer == NULL ? grown(NULL, buffer_bytes) : group->buffer;
    } else {
        subscriber_add(group, fd);
    }
    if (send(fd, "!", 1, MSG_NOSIGNAL) != 1)
        die("answer", errno);
    return publishes ? group : NULL;
}

/* ---- io_uring ---- */

/* Which operation a completion belongs to: the kind, the group, the number of the subscriber. */
enum kind { ACCEPT, RECEIVE, SEND };

static uint64_t token(enum kind kind, size_t group, uint32_t subscriber) {
    return (uint64_t)kind << 56 | (uint64_t)group << 32 | subscriber;
}

static struct io_uring_sqe *entry(void) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL) {
        (void)io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    if (sqe == NULL)
        die("the submission queue is full", EBUSY);
    return sqe;
}

static void accept_start(int listener) {
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, token(ACCEPT, 0, 0));
}

static void receive_start(struct group *group) {
    struct io_uring_sqe *sqe = entry();
    io_uring_prep_recv(sqe, group->publisher, group->buffer, buffer_bytes, 0);
    io_uring_sqe_set_data64(sqe, token(RECEIVE, (size_t)(group - groups), 0));
}

static void sends_start(struct group *group, size_t length) {
    for (uint32_t i = 0; i < group->subscribers_count; i++) {
        if (group->subscribers[i] < 0)
            continue;
        struct io_uring_sqe *sqe = entry();
        io_uring_prep_send(sqe, group->subscribers[i], group->buffer, length, MSG_WAITALL | MSG_NOSIGNAL);
        io_uring_sqe_set_data64(sqe, token(SEND, (size_t)(group - groups), i));
        group->sending++;
    }
    if (group->sending == 0)
        receive_start(group);
}

static void publisher_end(struct group *group) {
    close(group->publisher);
    group->publisher = -1;
}

static void sent(struct group *group, uint32_t subscriber, int result) {
    if (result < 0) {
        close(group->subscribers[subscriber]);
        group->subscribers[subscriber] = -1;
    }
    if (--group->sending == 0)
        receive_start(group);
}

static void completed(int listener, const struct io_uring_cqe *cqe) {
    struct group *group = &groups[cqe->user_data >> 32 & 0xffffff];
    switch ((enum kind)(cqe->user_data >> 56)) {
    case ACCEPT:
        if (cqe->res < 0)
            die("accept", -cqe->res);
        group = welcome(cqe->res);
        if (group != NULL)
            receive_start(group);
        accept_start(listener);
        break;
    case RECEIVE:
        if (cqe->res > 0)
            sends_start(group, (size_t)cqe->res);
        else
            publisher_end(group);
        break;
    case SEND:
        sent(group, (uint32_t)cqe->user_data, cqe->res);
        break;
    }
}

static _Noreturn void uring_run(int listener) {
    accept_start(listener);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        int result = io_uring_submit_and_wait(&ring, 1);
        if (result < 0 && result != -EINTR)
            die("io_uring_enter", -result);
        io_uring_for_each_cqe(&ring, head, cqe) {
            completed(listener, cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}

/* The newest mode that the kernel has: all work on this thread, when it asks for completions. */
static bool uring_open(void) {
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
                                     .cq_entries = 4 * RING_ENTRIES};
    struct io_uring_params newer = params;
    newer.flags |= 1u << 12 | 1u << 13; /* SINGLE_ISSUER, DEFER_TASKRUN: kernel 6.1 */
    return io_uring_queue_init_params(RING_ENTRIES, &ring, &newer) == 0 ||
           io_uring_queue_init_params(RING_ENTRIES, &ring, &params) == 0;
}

/* ---- poll, recv, send ---- */

static void plain_relay(struct group *group) {
    ssize_t n = recv(group->publisher, group->buffer, buffer_bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        publisher_end(group);
    for (uint32_t i = 0; n > 0 && i < group->subscribers_count; i++)
        for (ssize_t done = 0, taken = 0; group->subscribers[i] >= 0 && done < n; done += taken) {
            taken = send(group->subscribers[i], group->buffer + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (taken < 0) {
                close(group->subscribers[i]);
                group->subscribers[i] = -1;
            }
        }
}

static _Noreturn void plain_run(int listener) {
    static struct pollfd polls[GROUPS_MAX + 1];
    for (;;) {
        for (uint32_t i = 0; i < groups_count; i++)
            polls[i] = (struct pollfd){.fd = groups[i].publisher, .events = POLLIN};
        uint32_t count = groups_count;
        polls[count] = (struct pollfd){.fd = listener, .events = POLLIN};
        if (poll(polls, count + 1, -1) < 0 && errno != EINTR)
            die("poll", errno);
        for (uint32_t i = 0; i < count; i++)
            if (polls[i].revents != 0)
                plain_relay(&groups[i]);
        if (polls[count].revents != 0) {
            int fd = accept(listener, NULL, NULL);
            if (fd >= 0)
                (void)welcome(fd);
        }
    }
}

int main(int argc, char **argv) {
    bool plain = false;
    struct rlimit limit;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--plain") == 0)
            plain = true;
        else if (strcmp(argv[i], "--buffer") == 0 && i + 1 < argc)
            buffer_bytes = strtoul(argv[++i], NULL, 10);
        else {
            fprintf(stderr, "usage: relay [--plain] [--buffer BYTES]\n");
            return 64;
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (buffer_bytes < 1024)
        die("--buffer", EINVAL);
    int listener = listen_open();
    if (plain || !uring_open())
        plain_run(listener);
    uring_run(listener);
}
