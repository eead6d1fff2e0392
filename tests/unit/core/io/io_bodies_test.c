/* The same tests over every body that talks to real sockets: epoll, io_uring, and io_uring without what is
 * newer than kernel 6.1. */
#include "tests/unit/core/io/io_world.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "tests/unit/leaks.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef void (*scene)(const struct io_variant *variant);

static void each_body(scene play) {
    const struct io_variant *variants;
    uint32_t count = io_world_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        play(&variants[i]);
    LEAKS_NONE();
}

static bool is_uring(const struct io_variant *variant) {
    return variant->body == IO_BODY_URING;
}

/* A connection that waits in the listener's queue. */
static int half_connect(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Clients write and read in steps of random size, at most `window` unread, until each got `total` back. */
static void echo_all(struct io_world *world, uint32_t count, uint64_t total, uint64_t window, size_t step) {
    uint32_t finished = 0;
    for (uint32_t turns = 0; finished < count; turns++) {
        cr_assert_lt(turns, 1000000u, "%s: stuck", world->name);
        finished = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct io_client *client = &world->clients[i];
            uint64_t room = window - (client->sent - client->got);
            if (room > total - client->sent)
                room = total - client->sent;
            size_t wanted = 1 + io_world_random(world) % step;
            if (room > 0)
                (void)io_client_write(client, wanted < room ? wanted : room);
            (void)io_client_read(client, 1 + io_world_random(world) % (2 * step));
            cr_assert(!client->ended, "%s: %s", world->name, strerror(client->error));
            finished += client->got == total;
        }
        io_world_turn(world, 0);
    }
}

/* --- Bytes ---------------------------------------------------------------------------------------------- */

static void echo_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    for (int i = 0; i < 8; i++)
        (void)io_world_connect(world);
    echo_all(world, 8, 600 * KIB, 128 * KIB, 12 * KIB);
    const struct io_counters *counters = io_counters_of(world->io);
    cr_assert_eq(counter_get(&counters->received_bytes), 8 * 600 * KIB);
    cr_assert_eq(counter_get(&counters->sent_bytes), 8 * 600 * KIB);
    cr_assert_eq(counter_get(&counters->accepts), 8);
    cr_assert_gt(counter_get(&counters->receives), 0);
    cr_assert_gt(counter_get(&counters->sends), 0);
    cr_assert_gt(counter_get(&counters->entries), 0);
    cr_assert_gt(counter_get(&counters->completions), 0);
    cr_assert_gt(counter_get(&counters->enters), 0);
    io_world_free(world);
}

Test(io_bodies, echo_every_byte_in_order_for_random_sizes) {
    each_body(echo_scene);
}

static void small_pool_scene(const struct io_variant *variant) {
    struct io_config config = {.light_count = 4};
    struct io_world *world = io_world_new(variant, &config);
    for (int i = 0; i < 64; i++)
        (void)io_world_connect(world);
    for (int round = 0; round < 100; round++) {
        for (uint32_t i = 0; i < 64; i++)
            cr_assert_eq(io_client_write(&world->clients[i], 100), 100);
        for (uint32_t i = 0; i < 64; i++)
            io_world_until(world, &world->ends[i]->received, world->clients[i].sent);
    }
    echo_all(world, 64, 64 * KIB, 16 * KIB, 12 * KIB);
    const struct io_counters *counters = io_counters_of(world->io);
    if (is_uring(variant)) {
        cr_assert_gt(counter_get(&counters->enobufs), 0, "%s", world->name);
        cr_assert_leq(counter_get(&counters->buffers_high_water), 4);
        cr_assert_gt(counter_get(&counters->buffers_high_water), 0);
    }
    io_world_free(world);
}

Test(io_bodies, live_with_a_pool_of_four_buffers) {
    each_body(small_pool_scene);
}

static void small_queue_scene(const struct io_variant *variant) {
    struct io_config config = {.cq_entries = 8};
    struct io_world *world = io_world_new(variant, &config);
    for (int i = 0; i < 64; i++)
        (void)io_world_connect(world);
    echo_all(world, 64, 40 * KIB, 16 * KIB, 4 * KIB);
    uint64_t one = 1;
    for (uint32_t i = 0; i < 64; i++)
        io_client_close(&world->clients[i], i % 2);
    cr_assert_eq(write(world->bell, &one, sizeof one), sizeof one);
    for (uint32_t i = 0; i < 64; i++)
        io_world_until(world, &world->ends[i]->ended, 1);
    io_world_until(world, &world->woken, 1);
    int waiting[40];
    for (int i = 0; i < 40; i++)
        waiting[i] = half_connect(world->port);
    for (uint32_t turns = 0; world->ends_count < 64 + 40; turns++) {
        cr_assert_lt(turns, 10000u, "%s: the listener was not armed again", world->name);
        io_world_turn(world, NS_PER_MS);
    }
    for (int i = 0; i < 40; i++)
        (void)close(waiting[i]);
    if (is_uring(variant)) {
        cr_assert_gt(counter_get(&io_counters_of(world->io)->overflows), 0, "%s", world->name);
        cr_assert_gt(counter_get(&io_counters_of(world->io)->rearms), 0, "%s", world->name);
    }
    io_world_free(world);
}

Test(io_bodies, live_with_a_completion_queue_of_eight) {
    each_body(small_queue_scene);
}

/* More completions at once than a ring of eight may put aside (256): a flush has to tell some to find its
 * sends. */
static void crowded_flush_scene(const struct io_variant *variant) {
    struct io_config config = {.cq_entries = 8};
    struct io_world *world = io_world_new(variant, &config);
    world->out_bytes = 4 * KIB;
    for (int i = 0; i < 400; i++)
        (void)io_world_connect(world);
    for (uint32_t i = 0; i < 400; i++) {
        uint8_t first = io_pattern(i, 0);
        world->ends[i]->echo = false;
        io_end_write(world->ends[i], &first, 1);
        cr_assert_eq(io_client_write(&world->clients[i], 300), 300);
    }
    for (uint32_t i = 0; i < 400; i++) {
        struct io_end *end = world->ends[i];
        end->iov[0] = (struct iovec){.iov_base = end->out, .iov_len = 1};
        end->iov[1].iov_len = 0;
        end->sending = true;
        io_send(world->io, end->handle, end->iov, 1);
    }
    io_flush(world->io);
    for (uint32_t i = 0; i < 400; i++) {
        cr_assert(!world->ends[i]->sending && world->ends[i]->sent == 1);
        io_world_until(world, &world->ends[i]->received, 300);
        cr_assert_eq(io_client_read(&world->clients[i], 100), 1);
    }
    io_world_free(world);
}

Test(io_bodies, finish_a_flush_among_more_completions_than_can_be_put_aside) {
    each_body(crowded_flush_scene);
}

/* --- Fairness ------------------------------------------------------------------------------------------- */

static void flood(struct io_client *flooder) {
    while (io_client_write(flooder, 16 * KIB) > 0)
        continue;
}

static void flooder_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    struct io_client *flooder = io_world_connect(world);
    world->ends[0]->echo = false;
    for (int i = 0; i < 100; i++)
        (void)io_world_connect(world);
    uint64_t before = 0;
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 1; i <= 100; i++)
            cr_assert_eq(io_client_write(&world->clients[i], 16), 16);
        uint32_t served = 0;
        for (uint32_t turns = 0; served < 100; turns++) {
            cr_assert_lt(turns, 20u, "%s: light connections wait for a flooder", world->name);
            flood(flooder);
            io_world_turn(world, 0);
            uint64_t taken = world->ends[0]->received - before;
            before = world->ends[0]->received;
            cr_assert_leq(taken, RECEIVE_LIGHT_COUNT * RECEIVE_LIGHT_BYTES + RECEIVE_BULK_BYTES, "%s",
                          world->name);
            served = 0;
            for (uint32_t i = 1; i <= 100; i++)
                served += world->ends[i]->received == world->clients[i].sent;
        }
    }
    cr_assert_gt(world->ends[0]->received, MIB);
    io_world_free(world);
}

Test(io_bodies, serve_light_connections_beside_a_flooder) {
    each_body(flooder_scene);
}

static void slow_reader_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->out_bytes = 8 * MIB;
    struct io_client *client = io_world_connect(world);
    struct io_end *end = world->ends[0];
    uint8_t *bytes = malloc(8 * MIB);
    cr_assert_not_null(bytes);
    for (uint64_t i = 0; i < 8 * MIB; i++)
        bytes[i] = io_pattern(0, i);
    io_end_write(end, bytes, 8 * MIB);
    free(bytes);
    for (int turns = 0; turns < 50; turns++)
        io_world_turn(world, 0); /* nobody reads: the socket fills */
    cr_assert_lt(end->sent, 8 * MIB, "%s: the socket never filled", world->name);
    cr_assert(end->waiting);
    uint64_t writables = end->writables;
    for (uint32_t turns = 0; client->got < 8 * MIB; turns++) {
        cr_assert_lt(turns, 1000000u);
        (void)io_client_read(client, turns < 200 ? 1000 : 60000);
        io_world_turn(world, 0);
    }
    cr_assert_gt(end->writables, writables);
    cr_assert_gt(counter_get(&io_counters_of(world->io)->short_sends), 0);
    cr_assert_eq(end->sent, 8 * MIB);
    io_world_free(world);
}

Test(io_bodies, fill_a_socket_and_give_a_slow_reader_every_byte) {
    each_body(slow_reader_scene);
}

/* --- Coming and going ----------------------------------------------------------------------------------- */

static void one_client(uint16_t port, bool reset) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger linger = {.l_onoff = reset, .l_linger = 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(send(fd, "0123456789", 10, MSG_NOSIGNAL), 10);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    cr_assert_eq(close(fd), 0);
}

/* Closes the ends that have ended and gives them back, so that a world can see any number of them. */
static uint64_t forget_ended(struct io_world *world) {
    uint64_t forgotten = 0;
    for (uint32_t i = 0; i < world->ends_count;) {
        struct io_end *end = world->ends[i];
        if (end->ended && !end->closed)
            io_close(world->io, end->handle, false);
        if (!end->closed) {
            i++;
            continue;
        }
        free(end->out);
        free(end);
        world->ends[i] = world->ends[--world->ends_count];
        forgotten++;
    }
    return forgotten;
}

static void coming_scene(const struct io_variant *variant) {
    const uint64_t total = 10000;
    struct io_world *world = io_world_new(variant, NULL);
    world->out_bytes = 64;
    world->plain = true; /* echoes to those that are gone by now: broken sends of every kind */
    uint32_t descriptors = io_open_descriptors();
    uint64_t made = 0;
    uint64_t gone = 0;
    for (uint32_t turns = 0; gone < total; turns++) {
        cr_assert_lt(turns, 10 * total, "%s: stuck at %lu", world->name, gone);
        for (uint32_t i = 0; i < 25 && made < total && made - gone < 200; i++, made++)
            one_client(world->port, made % 3 != 0);
        io_world_turn(world, made == total ? NS_PER_MS : 0);
        gone += forget_ended(world);
    }
    cr_assert_eq(world->ends_count, 0);
    cr_assert_eq(counter_get(&io_counters_of(world->io)->accepts), total);
    cr_assert_eq(io_open_descriptors(), descriptors, "%s", world->name);
    io_world_free(world);
}

Test(io_bodies, see_ten_thousand_connections_come_and_go_without_losing_a_descriptor) {
    uint32_t before = io_open_descriptors();
    each_body(coming_scene);
    cr_assert_eq(io_open_descriptors(), before);
}

/* A client that is gone in the same moment as its last bytes come: while the receive waits, or just before it
 * is armed again. */
static void parting_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    for (uint32_t i = 0; i < 40; i++) {
        struct io_client *client = io_world_connect(world);
        struct io_end *end = world->ends[i];
        bool pause = i % 4 < 2;
        end->paused = pause;
        if (pause)
            io_receive_pause(world->io, end->handle);
        for (int turns = 0; turns < 3; turns++)
            io_world_turn(world, 0); /* now it waits, or is cancelled */
        cr_assert_eq(io_client_write(client, 100 * (i + 1)), 100 * (i + 1));
        io_client_close(client, i % 2 == 0);
        end->paused = false;
        if (pause)
            io_receive_resume(world->io, end->handle);
    }
    for (uint32_t i = 0; i < 40; i++) {
        struct io_end *end = world->ends[i];
        io_world_until(world, &end->ended, 1);
        cr_assert_eq(end->end_error, i % 2 == 0 ? -ECONNRESET : 0);
        cr_assert_eq(end->received, 100 * (i + 1), "%s", world->name);
    }
    io_world_free(world);
}

Test(io_bodies, see_the_end_behind_the_last_bytes) {
    each_body(parting_scene);
}

/* The lowest limit that leaves room for `more` descriptors: the kernel gives out the lowest free numbers. */
static void descriptors_limit(uint32_t more) {
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int probe = dup(0);
    cr_assert_geq(probe, 0);
    limit.rlim_cur = (rlim_t)probe + more;
    (void)close(probe);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void descriptors_scene(const struct io_variant *variant) {
    struct rlimit before;
    int waiting[8];
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct io_world *world = io_world_new(variant, NULL);
    for (int i = 0; i < 8; i++)
        waiting[i] = half_connect(world->port);
    descriptors_limit(3);
    uint64_t start = clock_mono_ns();
    for (int turns = 0; turns < 30; turns++)
        io_world_turn(world, NS_PER_MS);
    uint64_t errors = counter_get(&io_counters_of(world->io)->accept_errors);
    cr_assert_eq(world->ends_count, 3, "%s: %u", world->name, world->ends_count);
    cr_assert_geq(errors, 1, "%s", world->name);
    /* Not a statement about time but about spinning: at most one error for each pause that has passed. */
    cr_assert_leq(errors, 1 + (clock_mono_ns() - start) / (50 * NS_PER_MS), "%s: %lu", world->name, errors);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (uint32_t turns = 0; world->ends_count < 8; turns++) {
        cr_assert_lt(turns, 10000u, "%s: the listener was not armed again", world->name);
        io_world_turn(world, NS_PER_MS);
    }
    for (int i = 0; i < 8; i++)
        (void)close(waiting[i]);
    io_world_free(world);
}

Test(io_bodies, survive_running_out_of_descriptors_and_accept_again_later) {
    each_body(descriptors_scene);
}

static void socket_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    uint32_t before = io_open_descriptors();
    (void)io_world_connect(world);
    cr_assert_eq(io_open_descriptors(), before + 2);
    uint32_t nodelay_count = 0;
    uint32_t own = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300];
        char target[100] = {0};
        (void)snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) < 0)
            continue;
        int fd = atoi(entry->d_name);
        bool ring = strstr(target, "io_uring") || strstr(target, "eventpoll") || strstr(target, "timerfd");
        int nodelay = 0;
        socklen_t size = sizeof nodelay;
        if (strncmp(target, "socket:", 7) == 0 &&
            getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) == 0)
            nodelay_count += nodelay != 0;
        else if (!ring)
            continue;
        /* Criterion's own sockets come from before. */
        if (ring || nodelay)
            cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC, "%s: %s stays open on exec", world->name, target);
        own += ring;
    }
    (void)closedir(dir);
    cr_assert_geq(nodelay_count, 2, "%s: the listener has TCP_NODELAY and the accepted socket inherits it",
                  world->name);
    cr_assert_geq(own, 1);
    io_world_free(world);
}

Test(io_bodies, give_sockets_their_options_and_close_everything_on_exec) {
    each_body(socket_scene);
}

/* --- Pausing -------------------------------------------------------------------------------------------- */

static void pause_at_once(struct io_end *end, const uint8_t *bytes, size_t length) {
    (void)bytes;
    (void)length;
    io_receive_pause(end->world->io, end->handle);
    io_receive_pause(end->world->io, end->handle); /* idempotent */
    end->paused = true;                            /* from here on the world refuses `received` and `ended` */
}

static void resume(struct io_end *end) {
    end->paused = false;
    io_receive_resume(end->world->io, end->handle);
    io_receive_resume(end->world->io, end->handle);
}

static void pause_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->on_received = pause_at_once;
    world->echo = false;
    struct io_client *client = io_world_connect(world);
    struct io_end *end = world->ends[0];
    while (io_client_write(client, 16 * KIB) > 0)
        io_world_turn(world, 0); /* until both sockets are full: it has paused at the first bytes */
    cr_assert_eq(end->receives, 1);
    io_client_close(client, false); /* the end comes behind everything */
    for (uint32_t turns = 0; !end->ended; turns++) {
        cr_assert_lt(turns, 200000u, "%s: stuck at %lu of %lu", world->name, end->received, client->sent);
        bool soon = io_world_random(world) % 3 == 0;
        if (!soon)
            io_world_turn(world, 0); /* some turns in silence, which the world watches over */
        if (end->paused)
            resume(end);
        io_world_turn(world, 0);
    }
    cr_assert_eq(end->received, client->sent, "%s", world->name);
    cr_assert_eq(end->end_error, 0);
    io_world_free(world);
}

Test(io_bodies, are_silent_between_pause_and_resume_and_lose_nothing) {
    each_body(pause_scene);
}

/* Resumes another inside the turn that has more of its bytes in hand. */
static void pause_and_resume_another(struct io_end *end, const uint8_t *bytes, size_t length) {
    struct io_end *other = end->world->ends[io_world_random(end->world) % end->world->ends_count];
    if (other->paused)
        resume(other);
    pause_at_once(end, bytes, length);
}

/* Sixteen small messages wait when the pause comes: what was already in the ring is kept for later. */
static void held_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->on_received = pause_and_resume_another;
    world->echo = false;
    for (int i = 0; i < 16; i++)
        (void)io_world_connect(world);
    for (int round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 16; i++)
            for (uint32_t k = 0; k < 1 + (i + (uint32_t)round) % 4; k++)
                (void)io_client_write(&world->clients[i], 1 + io_world_random(world) % (9 * KIB));
        io_world_turn(world, 0);
        for (uint32_t i = 0; i < 16; i++)
            if (world->ends[i]->paused && io_world_random(world) % 2)
                resume(world->ends[i]);
    }
    for (uint32_t i = 0; i < 16; i++) {
        for (uint32_t turns = 0; world->ends[i]->received < world->clients[i].sent; turns++) {
            cr_assert_lt(turns, 100000u, "%s", world->name);
            if (world->ends[i]->paused)
                resume(world->ends[i]);
            io_world_turn(world, 0);
        }
    }
    io_world_free(world);
}

Test(io_bodies, keep_in_order_what_was_underway_when_a_pause_came) {
    each_body(held_scene);
}

/* --- Closing -------------------------------------------------------------------------------------------- */

/* Reads to the end without another turn: when `closed` has been told, the socket is closed. */
static void client_drain(struct io_world *world, struct io_client *client) {
    while (!client->ended) {
        struct pollfd readable = {.fd = client->fd, .events = POLLIN};
        cr_assert_eq(poll(&readable, 1, 20000), 1, "%s: the client never saw an end", world->name);
        (void)io_client_read(client, 60000);
    }
}

static void close_armed(const struct io_variant *variant, bool abort, bool queued) {
    struct io_world *world = io_world_new(variant, NULL);
    world->out_bytes = 8 * MIB;
    struct io_client *client = io_world_connect(world);
    struct io_end *end = world->ends[0];
    uint8_t bytes[4096];
    for (uint32_t at = 0; !queued && at < 8 * MIB; at += sizeof bytes) {
        for (uint32_t i = 0; i < sizeof bytes; i++)
            bytes[i] = io_pattern(0, at + i);
        io_end_write(end, bytes, sizeof bytes);
    }
    for (int turns = 0; turns < 40; turns++)
        io_world_turn(world, 0);
    cr_assert_eq(end->waiting, !queued); /* the receive is armed, and so is writability */
    /* Bytes that nobody takes: closing over them must not reset what the client has not read yet. */
    end->paused = true;
    io_receive_pause(world->io, end->handle);
    (void)io_client_write(client, 10000);
    uint8_t last[2] = {io_pattern(0, 0), io_pattern(0, 1)};
    struct iovec iov[2] = {{.iov_base = &last[0], .iov_len = 1}, {.iov_base = &last[1], .iov_len = 1}};
    if (queued)
        io_send(world->io, end->handle, iov, 2);
    io_close(world->io, end->handle, abort);
    io_close(world->io, end->handle, abort); /* idempotent */
    uint64_t stale = counter_get(&io_counters_of(world->io)->stale);
    io_flush(world->io);
    io_world_until(world, &end->closed, 1);
    client_drain(world, client);
    cr_assert_eq(client->error, abort ? ECONNRESET : 0, "%s: %s", world->name, strerror(client->error));
    if (!abort)
        cr_assert_eq(client->got, queued ? 2 : end->sent, "%s: %lu", world->name, client->got);
    cr_assert_eq(counter_get(&io_counters_of(world->io)->stale), stale, "%s: it was closed too early",
                 world->name);
    io_world_free(world);
}

static void close_scene(const struct io_variant *variant) {
    close_armed(variant, false, false);
    close_armed(variant, false, true);
    close_armed(variant, true, false);
    close_armed(variant, true, true);
}

Test(io_bodies, join_everything_that_is_armed_before_closing) {
    each_body(close_scene);
}

/* The bytes of the call stay readable after their own connection was closed in it. */
static void close_in_received(struct io_end *end, const uint8_t *bytes, size_t length) {
    struct io_world *world = end->world;
    uint32_t other = (end->number + 1) % world->ends_count;
    uint32_t what = end->number % 3;
    uint64_t position = end->received - length;
    if (what != 1)
        io_close(world->io, end->handle, what == 2);
    if (what != 0)
        io_close(world->io, world->ends[other]->handle, false);
    for (size_t i = 0; i < length; i++)
        cr_assert_eq(bytes[i], io_pattern(end->number, position + i));
}

static void close_inside_scene(const struct io_variant *variant) {
    for (int round = 0; round < 20; round++) {
        struct io_world *world = io_world_new(variant, NULL);
        world->echo = false;
        for (int i = 0; i < 30; i++)
            (void)io_world_connect(world);
        for (uint32_t k = 0; k < 3; k++)
            for (uint32_t i = 0; i < 30; i++)
                (void)io_client_write(&world->clients[i], 1 + io_world_random(world) % (12 * KIB));
        if (round % 2)
            io_world_turn(world, 0);
        world->on_received = close_in_received;
        for (uint32_t i = 0; i < 30; i++)
            (void)io_client_write(&world->clients[i], 100);
        for (int turns = 0; turns < 10; turns++)
            io_world_turn(world, 0);
        uint32_t closed = 0;
        for (uint32_t i = 0; i < 30; i++)
            closed += world->ends[i]->closed == 1;
        cr_assert_geq(closed, 20, "%s: %u", world->name, closed);
        world->on_received = NULL;
        io_world_free(world);
    }
}

Test(io_bodies, allow_closing_itself_and_others_inside_a_receive) {
    each_body(close_inside_scene);
}

static void close_itself(struct io_end *end, const uint8_t *bytes, size_t length) {
    (void)bytes;
    (void)length;
    io_close(end->world->io, end->handle, false);
}

/* Readable and writable at once, and closed by the first of the two callbacks. */
static void close_both_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    world->on_received = close_itself;
    for (uint32_t i = 0; i < 20; i++) {
        struct io_client *client = io_world_connect(world);
        struct io_end *end = world->ends[i];
        (void)io_client_write(client, 1);
        end->waiting = true;
        io_want_writable(world->io, end->handle); /* it is, at once */
    }
    for (uint32_t i = 0; i < 20; i++)
        io_world_until(world, &world->ends[i]->closed, 1); /* the world refuses `writable` after it */
    io_world_free(world);
}

Test(io_bodies, tell_nothing_more_after_closed) {
    each_body(close_both_scene);
}

static void stale_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    struct io_client *client = io_world_connect(world);
    io_handle old = world->ends[0]->handle;
    io_close(world->io, old, false);
    io_world_until(world, &world->ends[0]->closed, 1);
    (void)io_world_connect(world); /* takes the slot */
    cr_assert_eq((uint32_t)world->ends[1]->handle, (uint32_t)old);
    cr_assert_neq(world->ends[1]->handle, old);
    struct iovec iov = {.iov_base = &iov, .iov_len = sizeof iov};
    uint64_t stale = counter_get(&io_counters_of(world->io)->stale);
    io_receive_pause(world->io, old);
    io_receive_resume(world->io, old);
    io_want_writable(world->io, old);
    io_send(world->io, old, &iov, 1);
    io_close(world->io, old, true);
    io_flush(world->io);
    cr_assert_eq(counter_get(&io_counters_of(world->io)->stale), stale + 5);
    cr_assert_eq(io_client_write(&world->clients[1], 100), 100);
    io_world_until(world, &world->ends[1]->received, 100);
    cr_assert_eq(world->ends[1]->sent, 100);
    cr_assert_eq(world->ends[1]->closed, 0);
    io_client_close(client, false);
    io_world_free(world);
}

Test(io_bodies, ignore_and_count_handles_of_an_earlier_generation) {
    each_body(stale_scene);
}

/* --- The bell ------------------------------------------------------------------------------------------- */

static void *ring_bell(void *arg) {
    uint64_t one = 1;
    struct timespec soon = {.tv_nsec = 5 * 1000 * 1000};
    (void)nanosleep(&soon, NULL);
    return (void *)(intptr_t)write(*(int *)arg, &one, sizeof one);
}

static void bell_scene(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    uint64_t one = 1;
    for (uint64_t i = 1; i <= 200; i++) {
        cr_assert_eq(write(world->bell, &one, sizeof one), sizeof one);
        io_world_until(world, &world->woken, i);
    }
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, ring_bell, &world->bell), 0);
    for (uint32_t turns = 0; world->woken < 201; turns++) {
        /* A wait that has no end but the bell; one or two may return for older reasons. */
        cr_assert_lt(turns, 5u, "%s: turns end without a reason", world->name);
        io_world_turn(world, UINT64_MAX);
    }
    cr_assert_eq(pthread_join(thread, NULL), 0);
    io_world_turn(world, 1500 * NS_PER_US); /* and one that ends by itself */
    io_world_free(world);
}

Test(io_bodies, wake_from_a_wait_when_the_bell_rings) {
    each_body(bell_scene);
}
