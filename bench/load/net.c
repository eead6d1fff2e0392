#include "bench/load/net.h"

#include "bench/load/quit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BYTES   65536u
#define NOISE_SECONDS   6.0
#define BYTES_SHOWN_MAX 80u

uint64_t net_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *role_name(const struct party *who) {
    return who->role == ROLE_PUBLISHER ? "publisher" : "subscriber";
}

const char *net_shown(const uint8_t *p, size_t n) {
    static char text[4 * BYTES_SHOWN_MAX + 1];
    size_t used = 0;
    for (size_t i = 0; i < n && i < BYTES_SHOWN_MAX; i++)
        used += (size_t)snprintf(text + used, 5, p[i] < 0x20 || p[i] > 0x7e ? "\\x%02x" : "%c", p[i]);
    text[used] = '\0';
    return text;
}

/* Waits until something can be done; false when the time is over. */
static bool wait_for(int fd, short events, double seconds) {
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, (int)(seconds * 1000)) > 0;
}

static int dial(const struct options *options, const struct party *who) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0)
        quit(QUIT_INTERNAL, "no socket for %s %u: %s", role_name(who), who->number, strerror(errno));
    if (connect(fd, (const struct sockaddr *)&options->address, sizeof options->address) != 0)
        quit(QUIT_UNAVAILABLE, "%s %u can not connect: %s", role_name(who), who->number, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void net_send(const struct options *options, int fd, const struct buffer *bytes) {
    for (size_t sent = 0; sent < bytes->length;) {
        ssize_t n = send(fd, bytes->data + sent, bytes->length - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            quit(QUIT_UNAVAILABLE, "a connection broke: %s", strerror(errno));
        else if (!wait_for(fd, POLLOUT, options->stall_seconds))
            quit(QUIT_UNAVAILABLE, "the server has read nothing for %g s", options->stall_seconds);
    }
}

/* One receive into the buffer; ends the program when the connection has. */
static void receive(const struct options *options, int fd, const struct party *who, struct buffer *in) {
    if (!wait_for(fd, POLLIN, options->stall_seconds))
        quit(QUIT_WRONG, "%s %u got no answer within %g s, only %zu bytes: %s", role_name(who), who->number,
             options->stall_seconds, in->length, net_shown(in->data, in->length));
    uint8_t *room = buffer_grow(in, RECEIVE_BYTES);
    ssize_t n = recv(fd, room, RECEIVE_BYTES, 0);
    in->length -= RECEIVE_BYTES;
    if (n > 0)
        in->length += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        quit(QUIT_UNAVAILABLE, "the server closed the connection of %s %u; it had said: %s", role_name(who),
             who->number, net_shown(in->data, in->length));
}

/* Are these bytes the answer that is waited for, with nothing around it but what may always come? */
static enum reply replies_take(const struct protocol *protocol, const uint8_t *p, size_t n) {
    enum reply reply = REPLY_MORE;
    bool done = false;
    for (size_t used = 0, one = 0; used < n; used += one) {
        reply = protocol->reply(p + used, n - used, &one);
        if (reply == REPLY_MORE || reply == REPLY_BAD || (reply == REPLY_DONE && done))
            return reply == REPLY_MORE ? REPLY_MORE : REPLY_BAD;
        done |= reply == REPLY_DONE;
    }
    return done ? REPLY_DONE : REPLY_MORE;
}

/* Reads until the answer has come. Returns how many bytes came before it: 0, or `lent`. */
static size_t await(const struct options *options, int fd, const struct party *who, size_t lent) {
    struct buffer in = {0};
    size_t before = 0;
    enum reply reply = REPLY_MORE;
    while (reply == REPLY_MORE) {
        receive(options, fd, who, &in);
        before = 0;
        reply = replies_take(options->protocol, in.data, in.length);
        if (reply == REPLY_BAD && lent > 0 && in.length > lent) {
            before = lent;
            reply = replies_take(options->protocol, in.data + lent, in.length - lent);
        } else if (reply == REPLY_BAD && in.length <= lent) {
            reply = REPLY_MORE;
        }
    }
    if (reply == REPLY_BAD)
        quit(QUIT_WRONG, "%s %u got what may not come here: %s", role_name(who), who->number,
             net_shown(in.data, in.length));
    buffer_free(&in);
    return before;
}

size_t net_ask(const struct options *options, int fd, const struct party *who, size_t lent) {
    struct buffer question = {0};
    if (options->protocol->ask == NULL)
        return 0;
    options->protocol->ask(&question);
    net_send(options, fd, &question);
    buffer_free(&question);
    return await(options, fd, who, lent);
}

int net_open(const struct options *options, const struct party *who, const struct interest *interest) {
    static uint32_t connections;
    const struct protocol *protocol = options->protocol;
    struct party party = *who;
    struct buffer out = {0};
    int fd = dial(options, who);
    party.connection = connections++;
    if (protocol->hello != NULL)
        protocol->hello(&out, &party);
    if (interest != NULL)
        protocol->subscribe(&out, interest);
    if (protocol->ask != NULL)
        protocol->ask(&out);
    net_send(options, fd, &out);
    (void)await(options, fd, who, 0);
    out.length = 0;
    if (who->role == ROLE_PUBLISHER && protocol->hush != NULL && who->ack == ACK_NONE) {
        protocol->hush(&out);
        net_send(options, fd, &out);
    }
    buffer_free(&out);
    return fd;
}

void net_await_answer(const struct options *options, int fd, const struct party *who) {
    uint8_t bytes[4096];
    size_t used = 0;
    enum reply reply = REPLY_MORE;
    while (reply == REPLY_MORE) {
        if (!wait_for(fd, POLLIN, options->stall_seconds))
            quit(QUIT_WRONG, "%s %u got no answer within %g s", role_name(who), who->number,
                 options->stall_seconds);
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_PEEK);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            quit(QUIT_UNAVAILABLE, "the server closed the connection of %s %u", role_name(who), who->number);
        reply = n > 0 ? options->protocol->reply(bytes, (size_t)n, &used) : REPLY_MORE;
        if (reply == REPLY_BAD || (reply == REPLY_MORE && n == sizeof bytes))
            quit(QUIT_WRONG, "the server told %s %u: %s", role_name(who), who->number,
                 net_shown(bytes, (size_t)n));
    }
    if (recv(fd, bytes, used, 0) != (ssize_t)used)
        quit(QUIT_INTERNAL, "what was there is gone");
}

bool net_skip(const struct options *options, int fd, const struct party *who) {
    uint8_t bytes[4096];
    size_t used;
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    if (n > 0 && options->protocol->reply(bytes, (size_t)n, &used) == REPLY_BAD)
        quit(QUIT_WRONG, "the server told %s %u: %s", role_name(who), who->number,
             net_shown(bytes, (size_t)n));
    return true;
}

void net_await_noise(const struct options *options, const int *fds, uint32_t count) {
    const char *noise = options->protocol->noise;
    if (noise == NULL)
        return;
    uint64_t end_ns = net_now_ns() + (uint64_t)(NOISE_SECONDS * 1e9);
    for (uint32_t i = 0; i < count; i++) {
        char got[16] = "";
        uint64_t now_ns = net_now_ns();
        double left = now_ns < end_ns ? (double)(end_ns - now_ns) / 1e9 : 0;
        if (!wait_for(fds[i], POLLIN, left) ||
            recv(fds[i], got, strlen(noise), 0) != (ssize_t)strlen(noise) || strcmp(got, noise) != 0)
            quit(QUIT_WRONG, "the server's %.4s did not come", noise);
    }
}
