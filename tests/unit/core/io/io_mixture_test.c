/* Everything at once, by chance: connections come, talk, pause, end, reset and are closed from inside and
 * outside of callbacks, with little to live on and, for io_uring, a kernel that often refuses. The world
 * checks each callback and each byte; in the end nothing may be left over. */
#include "core/io/uring.h" /* first: liburing's header must come before other kernel headers */

#include "core/base/limits.h"
#include "tests/unit/core/io/io_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define TOGETHER 24u

static uint64_t enter_random;

/* Refuses, takes only some, or does as it is told. */
static int enter_moody(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *arg,
                       size_t size) {
    static const int errors[] = {-EINTR, -EBUSY, -EAGAIN};
    enter_random = enter_random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    uint64_t mood = enter_random >> 40;
    if (mood % 5 == 0)
        return errors[mood / 5 % 3];
    if (mood % 5 == 1 && submit > 1)
        return io_uring_enter2(fd, submit / 2, 0, flags & ~IORING_ENTER_EXT_ARG, NULL, 0);
    return io_uring_enter2(fd, submit, wait, flags, arg, size);
}

static uint64_t dice(struct io_world *world, uint64_t of) {
    return (io_world_random(world) >> 20) % of;
}

static struct io_end *anybody(struct io_world *world) {
    return world->ends[world->ends_count - 1 -
                       dice(world, world->ends_count < TOGETHER ? world->ends_count : TOGETHER)];
}

static void end_pause(struct io_end *end, bool pause) {
    if (end->closing || end->closed)
        return;
    end->paused = pause;
    if (pause)
        io_receive_pause(end->world->io, end->handle);
    else
        io_receive_resume(end->world->io, end->handle);
}

static void end_close(struct io_end *end) {
    end->closing = true;
    io_close(end->world->io, end->handle, dice(end->world, 2));
}

/* Something that an owner may do at any time, also inside a callback. */
static void end_act(struct io_end *end) {
    uint8_t bytes[3000];
    uint64_t what = dice(end->world, 12);
    if (what < 3)
        end_pause(end, true);
    else if (what < 8)
        end_pause(end, false);
    else if (what == 8 && dice(end->world, 8) == 0)
        end_close(end);
    else if (!end->closing && !end->closed && end->out_length < 20 * KIB) {
        size_t length = dice(end->world, sizeof bytes);
        for (size_t i = 0; i < length; i++)
            bytes[i] = io_pattern(end->number, end->sent + (end->out_length - end->out_done) + i);
        io_end_write(end, bytes, length);
    }
}

static void act_in_received(struct io_end *end, const uint8_t *bytes, size_t length) {
    (void)bytes, (void)length;
    if (dice(end->world, 3) == 0)
        end_act(end);
    if (dice(end->world, 3) == 0)
        end_act(anybody(end->world));
}

static void client_act(struct io_world *world, struct io_client *client) {
    uint64_t what = dice(world, 40);
    if (client->fd < 0 || client->ended)
        return;
    if (what < 25)
        (void)io_client_write(client, 1 + dice(world, dice(world, 6) == 0 ? 16 * KIB : 500));
    else if (what == 25)
        (void)shutdown(client->fd, SHUT_WR);
    else if (what == 26 && dice(world, 4) == 0)
        io_client_close(client, dice(world, 2));
    else
        (void)io_client_read(client, 1 + dice(world, 20000));
}

/* Every end that was not closed resumes, and hears of its client's end. */
static void mixture_settle(struct io_world *world) {
    world->on_received = NULL;
    for (uint32_t i = 0; i < world->clients_count; i++)
        io_client_close(&world->clients[i], false);
    for (uint32_t i = 0; i < world->ends_count; i++)
        end_pause(world->ends[i], false);
    for (uint32_t i = 0; i < world->ends_count; i++)
        io_world_until(world, world->ends[i]->closing ? &world->ends[i]->closed : &world->ends[i]->ended, 1);
}

static void mixture_check(const struct io_world *world) {
    const struct uring *uring = uring_of(world->io);
    if (io_body_of(world->io) != IO_BODY_URING)
        return;
    cr_assert_eq(uring->pool_used, 0, "%s: %u buffers are not back", world->name, uring->pool_used);
    cr_assert(uring->starved.count == 0 && uring->held.count == 0 && uring->backoff_count == 0);
    cr_assert(uring->sends_open == 0 && uring->sent.count == 0);
    io_table_check(&uring->table);
}

static void mixture_play(const struct io_variant *variant, uint64_t seed) {
    struct io_config config = {.light_count = 5, .cq_entries = seed % 2 ? 16 : 0};
    struct io_world *world = io_world_new(variant, &config);
    world->out_bytes = 64 * KIB;
    world->echo = false;
    world->random += seed << 32;
    enter_random = seed;
    for (uint32_t i = 0; i < TOGETHER; i++)
        (void)io_world_connect(world);
    world->on_received = act_in_received;
    if (variant->body == IO_BODY_URING)
        uring_enter_replace(world->io, enter_moody);
    for (uint32_t step = 0; step < 1500; step++) {
        for (uint32_t i = 0; i < 6; i++)
            client_act(world, &world->clients[anybody(world)->number]);
        end_act(anybody(world));
        if (step % 25 == 24)
            (void)io_world_connect(world);
        io_world_turn(world, 0);
    }
    mixture_settle(world);
    mixture_check(world);
    io_world_free(world);
}

Test(io_mixture, leaves_nothing_over) {
    const struct io_variant *variants;
    uint32_t count = io_world_variants(&variants);
    uint32_t descriptors = io_open_descriptors();
    const char *rounds = getenv("RH_ROUNDS");
    for (uint64_t seed = 0; seed < (rounds ? strtoul(rounds, NULL, 10) : 4); seed++)
        for (uint32_t i = 0; i < count; i++)
            mixture_play(&variants[i], seed);
    cr_assert_eq(io_open_descriptors(), descriptors);
    LEAKS_NONE();
}
