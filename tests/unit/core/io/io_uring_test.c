/* What only the io_uring body has: its two ways to receive, and a kernel that interrupts and refuses. */
#include "core/io/uring.h" /* first: liburing's header must come before other kernel headers */

#include "core/base/limits.h"
#include "tests/unit/core/io/io_world.h"
#include "tests/unit/leaks.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The two variants of io_uring, where the kernel has it; `missing` says loudly why nothing was tested. */
static uint32_t uring_variants(const struct io_variant **variants) {
    char reason[200];
    enum io_body body;
    if (io_choose(IO_URING, &body, reason, sizeof reason) != 0) {
        (void)fprintf(stderr, "io_uring is not tested here: %s\n", reason);
        return 0;
    }
    uint32_t count = io_world_variants(variants);
    *variants += 1; /* without epoll */
    return count - 1;
}

static uint64_t bulk_switches(const struct io_world *world) {
    return counter_get(&io_counters_of(world->io)->bulk_switches);
}

static void flood(struct io_world *world, uint64_t bytes) {
    struct io_client *client = &world->clients[0];
    uint64_t goal = client->sent + bytes;
    while (client->sent < goal) {
        (void)io_client_write(client, goal - client->sent);
        if (client->sent % 3 == 0)
            io_world_turn(world, 0);
    }
    io_world_until(world, &world->ends[0]->received, goal);
}

static bool is_bulk(const struct io_world *world) {
    const struct uring_conn *conn = io_table_find(&uring_of(world->io)->table, world->ends[0]->handle);
    return conn->flags & URING_F_BULK;
}

static void bulk_play(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    struct io_client *client = io_world_connect(world);
    cr_assert_eq(io_client_write(client, 100), 100);
    io_world_until(world, &world->ends[0]->received, 100);
    cr_assert(!is_bulk(world));

    flood(world, 4 * MIB);
    cr_assert(is_bulk(world));
    cr_assert_eq(bulk_switches(world), 1, "%s", world->name);
    uint64_t receives = world->ends[0]->receives;
    flood(world, 4 * MIB);
    cr_assert_lt(world->ends[0]->receives - receives, 4 * MIB / RECEIVE_LIGHT_BYTES,
                 "%s: not in large pieces", world->name);

    struct timespec idle = {.tv_sec = 1, .tv_nsec = 20 * 1000 * 1000};
    (void)nanosleep(&idle, NULL);
    cr_assert_eq(io_client_write(client, 100), 100);
    io_world_until(world, &world->ends[0]->received, client->sent);
    cr_assert(!is_bulk(world), "%s: still bulk after a second of silence", world->name);

    flood(world, 2 * MIB);
    cr_assert(is_bulk(world));
    cr_assert_eq(bulk_switches(world), 2);
    for (uint32_t i = 0; i < URING_BULK_SMALL_RUN + 2; i++) {
        cr_assert_eq(io_client_write(client, 100), 100);
        io_world_until(world, &world->ends[0]->received, client->sent);
    }
    cr_assert(!is_bulk(world), "%s: still bulk after many small messages", world->name);
    io_world_free(world);
}

Test(io_uring, turns_a_connection_from_light_to_bulk_and_back_without_losing_a_byte) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        bulk_play(&variants[i]);
    LEAKS_NONE();
}

/* Bulk connections are paused, resumed, echoed and closed like others. */
static void bulk_pause_play(const struct io_variant *variant, bool abort) {
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    struct io_client *client = io_world_connect(world);
    struct io_end *end = world->ends[0];
    flood(world, 4 * MIB);
    for (int round = 0; round < 20; round++) {
        end->paused = true;
        io_receive_pause(world->io, end->handle);
        for (int i = 0; i < 4; i++) {
            (void)io_client_write(client, 10000);
            io_world_turn(world, 0); /* the world refuses `received` while paused */
        }
        end->paused = false;
        io_receive_resume(world->io, end->handle);
        io_world_until(world, &end->received, client->sent);
    }
    cr_assert(is_bulk(world));
    io_close(world->io, end->handle, abort);
    io_world_until(world, &end->closed, 1);
    io_world_free(world);
}

Test(io_uring, pauses_and_closes_bulk_connections) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < 2 * count; i++)
        bulk_pause_play(&variants[i / 2], i % 2);
    LEAKS_NONE();
}

/* End 0 pauses at its first bytes, end 1 resumes it. */
static void pause_or_resume(struct io_end *end, const uint8_t *bytes, size_t length) {
    (void)bytes;
    (void)length;
    struct io_end *first = end->world->ends[0];
    first->paused = end == first && end->receives == 1;
    if (first->paused)
        io_receive_pause(first->world->io, first->handle);
    else
        io_receive_resume(first->world->io, first->handle);
}

/* One turn finds: two buffers of end 0 from the flush before, one of end 1, and again some of end 0. So bytes
 * are held while newer ones come in after the resume, and must not overtake them. */
static void overtaking_play(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    for (int i = 0; i < 3; i++)
        (void)io_world_connect(world);
    for (int i = 0; i < 3; i++)
        io_world_turn(world, 0);
    world->on_received = pause_or_resume;
    cr_assert_eq(io_client_write(&world->clients[0], 12 * KIB), 12 * KIB);
    io_end_write(world->ends[2], "send", 4);
    struct io_end *sender = world->ends[2];
    sender->iov[0] = (struct iovec){.iov_base = sender->out, .iov_len = 4};
    sender->sending = true;
    io_send(world->io, sender->handle, sender->iov, 1);
    io_flush(world->io); /* enters, so the first bytes are in hand */
    cr_assert_eq(world->ends[0]->receives, 0);
    cr_assert_eq(io_client_write(&world->clients[1], 10), 10);
    cr_assert_eq(io_client_write(&world->clients[0], 12 * KIB), 12 * KIB);
    io_world_until(world, &world->ends[0]->received, 24 * KIB); /* every byte is compared */
    io_world_free(world);
}

Test(io_uring, keeps_newer_bytes_behind_those_held_at_a_pause) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        overtaking_play(&variants[i]);
    LEAKS_NONE();
}

/* --- A kernel that says no ------------------------------------------------------------------------------ */

static unsigned enter_calls;
static unsigned enter_refused;

/* Two calls of three fail: before the kernel took anything, as it does when it is interrupted or short of
 * memory. */
static int enter_refusing(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *arg,
                          size_t size) {
    static const int errors[] = {-EINTR, -EBUSY, -EAGAIN};
    if (++enter_calls % 3 != 0) {
        enter_refused++;
        return errors[enter_refused % 3];
    }
    return io_uring_enter2(fd, submit, wait, flags, arg, size);
}

/* The kernel takes only some of what is offered. */
static int enter_partly(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *arg,
                        size_t size) {
    enter_calls++;
    return io_uring_enter2(fd, submit > 1 ? submit / 2 : submit, submit > 1 ? 0 : wait, flags, arg, size);
}

static int enter_broken(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *arg,
                        size_t size) {
    (void)fd, (void)submit, (void)wait, (void)flags, (void)arg, (void)size;
    return -EBADFD;
}

static void echo_rounds(struct io_world *world, uint32_t count) {
    for (int round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < count; i++)
            cr_assert_gt(io_client_write(&world->clients[i], 1 + io_world_random(world) % 9000), 0);
        for (uint32_t i = 0; i < count; i++) {
            io_world_until(world, &world->ends[i]->sent, world->clients[i].sent);
            for (uint32_t turns = 0; world->clients[i].got < world->clients[i].sent; turns++) {
                cr_assert_lt(turns, 100000u);
                (void)io_client_read(&world->clients[i], 60000);
                io_world_turn(world, 0);
            }
        }
    }
}

static void injected_play(const struct io_variant *variant, uring_enter_fn enter) {
    struct io_config config = {.cq_entries = 64};
    struct io_world *world = io_world_new(variant, &config);
    for (int i = 0; i < 20; i++)
        (void)io_world_connect(world);
    enter_calls = enter_refused = 0;
    uring_enter_replace(world->io, enter);
    echo_rounds(world, 20);
    cr_assert_gt(enter_calls, 100);
    for (uint32_t i = 0; i < 20; i++)
        io_close(world->io, world->ends[i]->handle, i % 2);
    for (uint32_t i = 0; i < 20; i++)
        io_world_until(world, &world->ends[i]->closed, 1);
    io_world_free(world);
}

Test(io_uring, keeps_everything_queued_when_an_enter_is_interrupted_or_refused) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++) {
        injected_play(&variants[i], enter_refusing);
        cr_assert_gt(enter_refused, 100);
        injected_play(&variants[i], enter_partly);
    }
    LEAKS_NONE();
}

Test(io_uring, says_from_every_turn_that_its_ring_is_broken) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++) {
        struct io_world *world = io_world_new(&variants[i], NULL);
        (void)io_world_connect(world);
        uring_enter_replace(world->io, enter_broken);
        cr_assert_eq(io_turn(world->io, NS_PER_MS), -EBADFD);
        cr_assert_eq(io_turn(world->io, 0), -EBADFD);
        uring_enter_replace(world->io, io_uring_enter2);
        uring_of(world->io)->broken = 0;
        io_world_free(world);
    }
    LEAKS_NONE();
}

/* --- Corners -------------------------------------------------------------------------------------------- */

/* One send, so that a flush enters and what has completed is in hand before a turn tells it. */
static void flush_send(struct io_world *world, struct io_end *end) {
    uint8_t next = io_pattern(end->number, end->sent);
    io_end_write(end, &next, 1);
    end->iov[0] = (struct iovec){.iov_base = end->out + end->out_done, .iov_len = 1};
    end->iov[1].iov_len = 0;
    end->sending = true;
    io_send(world->io, end->handle, end->iov, 1);
    io_flush(world->io);
}

static void refused_listener_play(const struct io_variant *variant) {
    struct rlimit before;
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    (void)io_world_connect(world);
    uint16_t port;
    int second = io_listen_socket("127.0.0.1:0", &port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(waiting, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)waiting + 1, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    io_handle listener = io_listen(world->io, second, world);
    flush_send(world, world->ends[0]); /* brings the refused accept in */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    io_close(world->io, listener, false);
    io_world_until(world, &world->listener_closed, 1);
    world->listener_closed = 0;
    cr_assert_eq(counter_get(&io_counters_of(world->io)->accept_errors), 1, "%s", world->name);
    cr_assert_eq(uring_of(world->io)->backoff_count, 0, "%s: it waits for a listener that is gone",
                 world->name);
    (void)close(waiting);
    io_world_free(world);
}

Test(io_uring, does_not_wait_for_a_listener_that_was_closed_when_it_had_no_descriptors) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        refused_listener_play(&variants[i]);
    LEAKS_NONE();
}

/* What becomes of a connection whose held bytes found no memory: nothing after them may be told but the end.
 */
static void unheld_play(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    world->echo = false;
    struct io_client *client = io_world_connect(world);
    struct io_end *end = world->ends[0];
    struct uring_conn *conn = io_table_find(&uring_of(world->io)->table, end->handle);
    end->paused = true;
    io_receive_pause(world->io, end->handle);
    conn->flags |= URING_F_END_HELD; /* as when the bytes of a completion could not be kept */
    conn->end_error = -ENOMEM;
    cr_assert_eq(io_client_write(client, 100), 100);
    end->paused = false;
    io_receive_resume(world->io, end->handle);
    struct uring *uring = uring_of(world->io);
    /* one more completion of the armed receive, which was in the queue already */
    uring->pool_used++;
    uring->done[uring->done_produced++ & uring->done_mask] =
        (struct uring_done){.user_data = uring_data(&conn->slot, URING_RECEIVE),
                            .result = 100,
                            .flags = IORING_CQE_F_BUFFER | IORING_CQE_F_MORE};
    for (int turns = 0; turns < 10; turns++) {
        io_world_turn(world, 0);
        (void)io_client_write(client, 100);
    }
    cr_assert_eq(end->received, 0, "%s: bytes were told behind some that are lost", world->name);
    cr_assert_eq(end->ended, 1);
    cr_assert_eq(end->end_error, -ENOMEM);
    io_world_free(world);
}

Test(io_uring, tells_nothing_behind_bytes_that_it_could_not_hold) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        unheld_play(&variants[i]);
    LEAKS_NONE();
}

#define ENTERS_WITHOUT 80u /* each brings in eight completions, and 256 can be put aside */

/* The kernel runs what has completed, and takes no entry, the first times. */
static int enter_taking_nothing(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *arg,
                                size_t size) {
    if (++enter_calls > ENTERS_WITHOUT)
        return io_uring_enter2(fd, submit, wait, flags, arg, size);
    (void)io_uring_enter2(fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    return -EAGAIN;
}

static void spoil(struct io_end *end, const uint8_t *bytes, size_t length) {
    struct io_end *sender = end->world->ends[399];
    (void)bytes, (void)length;
    if (sender->sending)
        sender->out[sender->out_done] ^= 0xff;
}

/* An owner may free what it sends as soon as it is told anything: by then the kernel has taken the bytes. */
static void untaken_play(const struct io_variant *variant) {
    struct io_config config = {.cq_entries = 8};
    struct io_world *world = io_world_new(variant, &config);
    world->out_bytes = 64;
    world->echo = false;
    world->on_received = spoil;
    for (int i = 0; i < 400; i++)
        (void)io_world_connect(world);
    for (uint32_t i = 0; i < 400; i++)
        cr_assert_eq(io_client_write(&world->clients[i], 300), 300);
    enter_calls = 0;
    uring_enter_replace(world->io, enter_taking_nothing);
    flush_send(world, world->ends[399]);
    uring_enter_replace(world->io, io_uring_enter2);
    cr_assert_gt(enter_calls, ENTERS_WITHOUT);
    cr_assert_eq(world->ends[399]->sent, 1);
    for (uint32_t i = 0; i < 400; i++)
        io_world_until(world, &world->ends[i]->received, 300);
    cr_assert_eq(io_client_read(&world->clients[399], 100), 1, "%s", world->name); /* compared */
    io_world_free(world);
}

Test(io_uring, tells_nothing_in_a_flush_before_the_kernel_has_what_is_sent) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        untaken_play(&variants[i]);
    LEAKS_NONE();
}

/* A receive that the kernel forgets: armed with poll-first over bytes and a reset, it gives the bytes, and
 * then waits for a wake that has been. Kernels that have mended that tell the end by themselves. */
static void forgotten_play(const struct io_variant *variant) {
    struct io_world *world = io_world_new(variant, NULL);
    struct uring *uring = uring_of(world->io);
    world->echo = false;
    struct io_client *client = io_world_connect(world);
    struct io_end *end = world->ends[0];
    uring->look_every_ns = NS_PER_MS;
    end->paused = true;
    io_receive_pause(world->io, end->handle);
    for (int turns = 0; turns < 3; turns++)
        io_world_turn(world, 0);
    cr_assert_eq(io_client_write(client, 100), 100);
    io_client_close(client, true);
    end->paused = false;
    io_receive_resume(world->io, end->handle);
    struct io_uring_sqe *entry =
        &uring->ring.sq.sqes[(uring->ring.sq.sqe_tail - 1) & uring->ring.sq.ring_mask];
    if (!variant->oneshot) {
        cr_assert_eq(entry->opcode, IORING_OP_RECV);
        entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    io_world_until(world, &end->ended, 1);
    cr_assert_eq(end->received, 100);
    cr_assert_eq(end->end_error, -ECONNRESET);
    cr_assert_leq(counter_get(&uring->io.counters.missed), 1);
    io_world_free(world);
}

Test(io_uring, finds_an_end_that_the_kernel_forgot_to_tell) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++)
        forgotten_play(&variants[i]);
    LEAKS_NONE();
}

/* Every buffer that was lent has come back, whatever became of the connections. */
Test(io_uring, gets_every_provided_buffer_back) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t v = 0; v < count; v++) {
        struct io_config config = {.light_count = 7};
        struct io_world *world = io_world_new(&variants[v], &config);
        world->echo = false;
        for (int i = 0; i < 40; i++)
            (void)io_world_connect(world);
        for (int round = 0; round < 30; round++) {
            for (uint32_t i = 0; i < 40; i++)
                (void)io_client_write(&world->clients[i], 3000);
            io_world_turn(world, 0);
            if (round == 10)
                for (uint32_t i = 0; i < 10; i++)
                    io_close(world->io, world->ends[i]->handle, true);
        }
        for (uint32_t i = 10; i < 40; i++)
            io_world_until(world, &world->ends[i]->received, world->clients[i].sent);
        for (uint32_t i = 0; i < 10; i++)
            cr_assert_eq(world->ends[i]->closed, 1);
        const struct uring *uring = uring_of(world->io);
        cr_assert_eq(uring->pool_used, 0);
        cr_assert_eq(uring->starved.count, 0);
        cr_assert_gt(counter_get(&uring->io.counters.enobufs), 0);
        io_table_check(&uring->table);
        io_world_free(world);
    }
    LEAKS_NONE();
}

/* A turn that has nothing to ask and nothing to hear does not enter the kernel. */
Test(io_uring, enters_the_kernel_only_for_a_reason) {
    const struct io_variant *variants;
    uint32_t count = uring_variants(&variants);
    for (uint32_t i = 0; i < count; i++) {
        struct io_world *world = io_world_new(&variants[i], NULL);
        (void)io_world_connect(world);
        for (int turns = 0; turns < 5; turns++)
            io_world_turn(world, 0);
        uint64_t enters = counter_get(&io_counters_of(world->io)->enters);
        for (int turns = 0; turns < 1000; turns++)
            io_world_turn(world, 0);
        cr_assert_eq(counter_get(&io_counters_of(world->io)->enters), enters);
        io_world_free(world);
    }
    LEAKS_NONE();
}
