#include "tests/unit/core/io/io_world.h"

#include "core/base/limits.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_MAX 20000u

uint8_t io_pattern(uint32_t number, uint64_t position) {
    uint64_t mixed = (position + 1) * UINT64_C(0x9e3779b97f4a7c15) + number * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(mixed >> 56);
}

uint64_t io_world_random(struct io_world *world) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random;
}

/* --- Handlers ------------------------------------------------------------------------------------------- */

static void on_accepted(void *owner, void *user, int fd) {
    struct io_world *world = owner;
    cr_assert_eq(user, (void *)world);
    cr_assert_lt(world->ends_count, IO_WORLD_ENDS);
    struct io_end *end = calloc(1, sizeof *end);
    cr_assert_not_null(end);
    end->world = world;
    end->number = world->ends_count;
    end->echo = world->echo;
    end->plain = world->plain;
    end->handle = io_add(world->io, fd, end);
    cr_assert_neq(end->handle, 0);
    world->ends[world->ends_count++] = end;
}

static void compare(struct io_end *end, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != io_pattern(end->number, end->received + i))
            cr_assert_fail("%s: end %u: byte %lu differs", end->world->name, end->number, end->received + i);
}

static void on_received(void *owner, void *user, const uint8_t *bytes, size_t length) {
    struct io_end *end = user;
    cr_assert_eq(owner, (void *)end->world);
    cr_assert(!end->closed && !end->ended && !end->paused && !end->in_received, "%s", end->world->name);
    cr_assert(length > 0 && length <= RECEIVE_BULK_BYTES);
    if (!end->plain)
        compare(end, bytes, length);
    end->received += length;
    end->receives++;
    if (end->echo)
        io_end_write(end, bytes, length);
    end->in_received = true;
    if (end->world->on_received)
        end->world->on_received(end, bytes, length);
    end->in_received = false;
}

static void on_ended(void *owner, void *user, int error) {
    struct io_end *end = user;
    cr_assert_eq(owner, (void *)end->world);
    cr_assert(!end->closed && !end->ended && !end->paused);
    end->ended++;
    end->end_error = error;
}

static void on_sent(void *owner, void *user, int64_t result) {
    struct io_end *end = user;
    cr_assert_eq(owner, (void *)end->world);
    cr_assert(end->sending && !end->closed);
    end->sending = false;
    if (result < 0) {
        end->send_error = result;
        return;
    }
    cr_assert_leq((size_t)result, end->out_length - end->out_done);
    end->sent += (uint64_t)result;
    bool all = (size_t)result == end->iov[0].iov_len + end->iov[1].iov_len;
    end->out_done += (size_t)result;
    if (!all) {
        end->waiting = true;
        io_want_writable(end->world->io, end->handle);
        io_want_writable(end->world->io, end->handle); /* idempotent */
    }
    if (end->world->on_sent)
        end->world->on_sent(end, result);
}

static void on_writable(void *owner, void *user) {
    struct io_end *end = user;
    cr_assert_eq(owner, (void *)end->world);
    cr_assert(end->waiting && !end->closed);
    end->waiting = false;
    end->writables++;
}

static void on_closed(void *owner, void *user) {
    struct io_world *world = owner;
    if (user == (void *)world) {
        world->listener_closed++;
        return;
    }
    struct io_end *end = user;
    cr_assert(!end->closed);
    end->closed++;
    end->sending = end->waiting = false;
}

static void on_woken(void *owner) {
    struct io_world *world = owner;
    uint64_t count;
    ssize_t n = read(world->bell, &count, sizeof count);
    world->woken += n == sizeof count ? count : 0;
}

static const struct io_handlers handlers = {
    .accepted = on_accepted,
    .received = on_received,
    .ended = on_ended,
    .sent = on_sent,
    .writable = on_writable,
    .closed = on_closed,
    .woken = on_woken,
};

/* --- The world ------------------------------------------------------------------------------------------ */

uint32_t io_world_variants(const struct io_variant **variants) {
    static const struct io_variant all[] = {{"epoll", IO_BODY_EPOLL, false},
                                            {"io_uring", IO_BODY_URING, false},
                                            {"one-shot", IO_BODY_URING, true}};
    char reason[200];
    enum io_body body;
    *variants = all;
    return io_choose(IO_URING, &body, reason, sizeof reason) == 0 ? 3 : 1;
}

struct io_world *io_world_new(const struct io_variant *variant, const struct io_config *config) {
    struct io_world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    world->name = variant->name;
    world->random = UINT64_C(88172645463325252);
    world->out_bytes = MIB;
    world->echo = true;
    world->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct io_config made = config ? *config : (struct io_config){0};
    made.body = variant->body;
    made.oneshot = variant->oneshot;
    made.bell = world->bell;
    made.handlers = &handlers;
    made.owner = world;
    cr_assert_eq(io_create(&world->io, &made), 0, "%s", variant->name);
    cr_assert_eq(io_enable(world->io), 0);
    cr_assert_eq(io_body_of(world->io), variant->body);
    int fd = io_listen_socket("127.0.0.1:0", &world->port);
    cr_assert_geq(fd, 0);
    world->listener = io_listen(world->io, fd, world);
    cr_assert_neq(world->listener, 0);
    return world;
}

void io_world_free(struct io_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        io_client_close(&world->clients[i], false);
    io_close(world->io, world->listener, false);
    for (uint32_t i = 0; i < world->ends_count; i++)
        io_close(world->io, world->ends[i]->handle, false);
    io_world_until(world, &world->listener_closed, 1);
    for (uint32_t i = 0; i < world->ends_count; i++)
        io_world_until(world, &world->ends[i]->closed, 1);
    io_destroy(world->io);
    for (uint32_t i = 0; i < world->ends_count; i++) {
        free(world->ends[i]->out);
        free(world->ends[i]);
    }
    (void)close(world->bell);
    free(world);
}

void io_end_write(struct io_end *end, const void *bytes, size_t length) {
    if (!end->out) {
        end->out_capacity = end->world->out_bytes;
        end->out = malloc(end->out_capacity);
        cr_assert_not_null(end->out);
    }
    if (!end->sending && end->out_done > 0) {
        memmove(end->out, end->out + end->out_done, end->out_length - end->out_done);
        end->out_length -= end->out_done;
        end->out_done = 0;
    }
    cr_assert_leq(length, end->out_capacity - end->out_length, "%s", end->world->name);
    memcpy(end->out + end->out_length, bytes, length);
    end->out_length += length;
}

/* One gathered send of everything that is pending, in two pieces where there is enough for two. */
static void end_send(struct io_end *end) {
    size_t pending = end->out_length - end->out_done;
    if (end->sending || end->waiting || end->closing || end->closed || end->send_error || pending == 0)
        return;
    if (pending > SEND_BYTES_MAX)
        pending = SEND_BYTES_MAX;
    size_t first = pending > 64 ? 1 + io_world_random(end->world) % (pending - 1) : pending;
    end->iov[0] = (struct iovec){.iov_base = end->out + end->out_done, .iov_len = first};
    end->iov[1] = (struct iovec){.iov_base = end->out + end->out_done + first, .iov_len = pending - first};
    end->sending = true;
    io_send(end->world->io, end->handle, end->iov, pending > first ? 2 : 1);
}

void io_world_turn(struct io_world *world, uint64_t timeout_ns) {
    cr_assert_eq(io_turn(world->io, timeout_ns), 0, "%s", world->name);
    for (uint32_t i = 0; i < world->ends_count; i++)
        end_send(world->ends[i]);
    io_flush(world->io);
    for (uint32_t i = 0; i < world->ends_count; i++)
        cr_assert(!world->ends[i]->sending, "%s: a flush told no result", world->name);
}

void io_world_until(struct io_world *world, const uint64_t *value, uint64_t least) {
    for (uint32_t i = 0; *value < least; i++) {
        cr_assert_lt(i, TURNS_MAX, "%s: stuck at %lu of %lu", world->name, *value, least);
        io_world_turn(world, i < 100 ? 0 : NS_PER_MS);
    }
}

/* --- Clients -------------------------------------------------------------------------------------------- */

struct io_client *io_world_connect(struct io_world *world) {
    cr_assert_lt(world->clients_count, IO_WORLD_ENDS);
    struct io_client *client = &world->clients[world->clients_count];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(world->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->number = world->clients_count++;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(client->fd, 0);
    cr_assert_eq(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0, "%s", strerror(errno));
    cr_assert_eq(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
    for (uint32_t i = 0; world->ends_count < world->clients_count; i++) {
        cr_assert_lt(i, TURNS_MAX);
        io_world_turn(world, NS_PER_MS);
    }
    return client;
}

struct io_end *io_world_end_of(struct io_world *world, const struct io_client *client) {
    return world->ends[client->number];
}

size_t io_client_write(struct io_client *client, size_t length) {
    uint8_t bytes[16 * KIB];
    if (length > sizeof bytes)
        length = sizeof bytes;
    for (size_t i = 0; i < length; i++)
        bytes[i] = io_pattern(client->number, client->sent + i);
    ssize_t n = send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return 0;
    client->sent += (uint64_t)n;
    return (size_t)n;
}

size_t io_client_read(struct io_client *client, size_t length) {
    uint8_t bytes[64 * KIB];
    ssize_t n = recv(client->fd, bytes, length < sizeof bytes ? length : sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        client->ended = true;
        client->error = n < 0 ? errno : 0;
        return 0;
    }
    for (ssize_t i = 0; i < n; i++)
        if (bytes[i] != io_pattern(client->number, client->got + (uint64_t)i))
            cr_assert_fail("client %u: byte %lu differs", client->number, client->got + (uint64_t)i);
    client->got += (uint64_t)n;
    return (size_t)n;
}

void io_client_close(struct io_client *client, bool reset) {
    if (client->fd < 0)
        return;
    struct linger linger = {.l_onoff = reset, .l_linger = 0};
    cr_assert_eq(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    cr_assert_eq(close(client->fd), 0);
    client->fd = -1;
}

uint32_t io_open_descriptors(void) {
    uint32_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}
