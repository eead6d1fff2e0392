/* The simulated body: the same seed gives the same run, each fault happens, and none of them loses or
 * changes a byte that was not reset. */
#include "core/io/sim.h"

#include "core/base/limits.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENDS  16u
#define TOTAL (64u * KIB) /* bytes that each client sends and wants back */

/* A server that echoes, and a diary of everything that it was told. */
struct echo {
    struct io *io;
    io_handle listener;
    uint64_t diary; /* FNV-1a over the callbacks */
    uint32_t count;
    uint32_t resets;
    uint32_t closed;
    uint64_t short_receives;
    struct echo_end {
        struct echo *echo;
        io_handle handle;
        uint64_t received;
        uint64_t sent;
        bool sending;
        bool waiting;
        bool over;
        struct iovec iov;
        uint8_t bytes[TOTAL];
    } ends[ENDS];
};

static void note(struct echo *echo, uint64_t what, uint64_t value) {
    const uint64_t words[2] = {what, value};
    const uint8_t *bytes = (const uint8_t *)words;
    for (size_t i = 0; i < sizeof words; i++)
        echo->diary = (echo->diary ^ bytes[i]) * UINT64_C(0x100000001b3);
}

static void accepted(void *owner, void *user, int fd) {
    struct echo *echo = owner;
    cr_assert_eq(user, (void *)echo);
    cr_assert_geq(fd, 1000000);
    cr_assert_lt(echo->count, ENDS);
    struct echo_end *end = &echo->ends[echo->count++];
    end->echo = echo;
    end->handle = io_add(echo->io, fd, end);
    cr_assert_neq(end->handle, 0);
    note(echo, 1, (uint64_t)fd);
}

static void received(void *owner, void *user, const uint8_t *bytes, size_t length) {
    struct echo_end *end = user;
    cr_assert(length > 0 && end->received + length <= TOTAL);
    memcpy(end->bytes + end->received, bytes, length);
    end->received += length;
    note(owner, 2, length);
}

static void over(struct echo_end *end) {
    if (end->over)
        return;
    end->over = true;
    io_close(end->echo->io, end->handle, false);
}

static void ended(void *owner, void *user, int error) {
    struct echo *echo = owner;
    cr_assert(error == 0 || error == -ECONNRESET, "%d", error);
    echo->resets += error != 0;
    note(echo, 3, (uint64_t)-error);
    over(user);
}

static void sent(void *owner, void *user, int64_t result) {
    struct echo_end *end = user;
    note(owner, 4, (uint64_t)result);
    end->sending = false;
    if (result < 0) {
        cr_assert(result == -ECONNRESET || result == -EPIPE);
        over(end);
        return;
    }
    end->sent += (uint64_t)result;
    if ((uint64_t)result < end->iov.iov_len) {
        end->waiting = true;
        io_want_writable(end->echo->io, end->handle);
    }
}

static void writable(void *owner, void *user) {
    struct echo_end *end = user;
    cr_assert(end->waiting);
    end->waiting = false;
    note(owner, 5, 0);
}

static void closed(void *owner, void *user) {
    struct echo *echo = owner;
    echo->closed += user != (void *)echo;
    note(echo, 6, 0);
}

static void woken(void *owner) {
    (void)owner;
}

static const struct io_handlers handlers = {
    .accepted = accepted,
    .received = received,
    .ended = ended,
    .sent = sent,
    .writable = writable,
    .closed = closed,
    .woken = woken,
};

static struct echo *echo_new(uint64_t seed, const struct io_sim_faults *faults) {
    struct echo *echo = calloc(1, sizeof *echo);
    cr_assert_not_null(echo);
    echo->diary = UINT64_C(0xcbf29ce484222325);
    struct io_config config = {.body = IO_BODY_SIM, .bell = -1, .handlers = &handlers, .owner = echo};
    cr_assert_eq(io_create(&echo->io, &config), 0);
    cr_assert_eq(io_enable(echo->io), 0);
    io_sim_seed(echo->io, seed, faults);
    echo->listener = io_listen(echo->io, -1, echo);
    cr_assert_neq(echo->listener, 0);
    return echo;
}

static void echo_free(struct echo *echo) {
    io_destroy(echo->io);
    free(echo);
}

static void echo_turn(struct echo *echo) {
    cr_assert_eq(io_turn(echo->io, NS_PER_S), 0);
    for (uint32_t i = 0; i < echo->count; i++) {
        struct echo_end *end = &echo->ends[i];
        if (end->over || end->sending || end->waiting || end->sent == end->received)
            continue;
        end->iov = (struct iovec){.iov_base = end->bytes + end->sent, .iov_len = end->received - end->sent};
        end->sending = true;
        io_send(echo->io, end->handle, &end->iov, 1);
    }
    io_flush(echo->io);
}

struct talker {
    struct io_sim_peer *peer;
    uint64_t written;
    uint64_t read;
    int64_t error;
    uint8_t mark; /* accepted in any order, so each client knows its own bytes */
};

static uint8_t talk_byte(const struct talker *talker, uint64_t position) {
    return (uint8_t)(talker->mark + position * 7 + position / 251);
}

static void talk_once(struct talker *talker) {
    uint8_t bytes[4096];
    size_t room = TOTAL - talker->written < sizeof bytes ? TOTAL - talker->written : sizeof bytes;
    for (size_t i = 0; i < room; i++)
        bytes[i] = talk_byte(talker, talker->written + i);
    int64_t n = room > 0 ? io_sim_write(talker->peer, bytes, room) : 0;
    if (n > 0)
        talker->written += (uint64_t)n;
    n = io_sim_read(talker->peer, bytes, sizeof bytes);
    for (int64_t i = 0; i < n; i++)
        cr_assert_eq(bytes[i], talk_byte(talker, talker->read + (uint64_t)i));
    if (n > 0)
        talker->read += (uint64_t)n;
    else if (n != -EAGAIN)
        talker->error = n == 0 ? -EPIPE : n;
}

/* All clients talk until each got everything back or was reset. Returns the diary; counts the resets seen by
 * clients. */
static uint64_t conversation(uint64_t seed, const struct io_sim_faults *faults, uint32_t *resets,
                             struct io_counters *out) {
    struct echo *echo = echo_new(seed, faults);
    struct talker talkers[ENDS] = {0};
    for (uint32_t i = 0; i < ENDS; i++) {
        talkers[i].peer = io_sim_connect(echo->io);
        talkers[i].mark = (uint8_t)(i * 31);
        cr_assert_not_null(talkers[i].peer);
    }
    uint32_t finished = 0;
    for (uint32_t turns = 0; finished < ENDS; turns++) {
        cr_assert_lt(turns, 100000u, "seed %lu: stuck", seed);
        finished = 0;
        for (uint32_t i = 0; i < ENDS; i++) {
            if (!talkers[i].error && talkers[i].read < TOTAL)
                talk_once(&talkers[i]);
            if (talkers[i].error || talkers[i].read == TOTAL) {
                finished++;
                io_sim_end(talkers[i].peer, false);
            }
        }
        echo_turn(echo);
    }
    for (uint32_t turns = 0; echo->closed < ENDS; turns++) {
        cr_assert_lt(turns, 100000u, "seed %lu: not closed", seed);
        echo_turn(echo);
    }
    *resets = 0;
    for (uint32_t i = 0; i < ENDS; i++) {
        *resets += talkers[i].error != 0;
        io_sim_forget(talkers[i].peer);
    }
    uint64_t diary = echo->diary;
    *out = *io_counters_of(echo->io);
    echo_free(echo);
    return diary;
}

Test(io_sim, gives_the_same_run_for_the_same_seed_and_another_for_another) {
    const struct io_sim_faults faults = {.short_receive = 300,
                                         .short_send = 300,
                                         .refuse_send = 200,
                                         .delay = 300,
                                         .reset = 3,
                                         .socket_bytes = 10000};
    uint32_t resets;
    uint32_t again;
    uint64_t reset_seeds = 0;
    struct io_counters counters;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t diary = conversation(seed, &faults, &resets, &counters);
        cr_assert_eq(conversation(seed, &faults, &again, &counters), diary, "seed %lu", seed);
        cr_assert_eq(resets, again);
        cr_assert_neq(conversation(seed + 1000, &faults, &again, &counters), diary, "seed %lu", seed);
        reset_seeds += resets > 0;
    }
    cr_assert_gt(reset_seeds, 0);
    LEAKS_NONE();
}

Test(io_sim, loses_no_byte_to_any_fault_but_a_reset) {
    static const struct io_sim_faults all[] = {
        {0},
        {.short_receive = 1024},
        {.short_send = 1024},
        {.refuse_send = 700},
        {.delay = 1024},
        {.socket_bytes = 100},
        {.short_receive = 500, .short_send = 500, .refuse_send = 500, .delay = 500, .socket_bytes = 5000},
    };
    uint32_t resets;
    struct io_counters plain;
    struct io_counters counters;
    for (uint64_t seed = 0; seed < 5; seed++) {
        (void)conversation(seed, NULL, &resets, &plain);
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            (void)conversation(seed, &all[i], &resets, &counters);
            cr_assert_eq(resets, 0);
            cr_assert_eq(counter_get(&counters.received_bytes), ENDS * TOTAL);
            cr_assert_eq(counter_get(&counters.sent_bytes), ENDS * TOTAL);
            if (all[i].short_receive)
                cr_assert_gt(counter_get(&counters.receives), counter_get(&plain.receives));
            if (all[i].short_send || all[i].refuse_send)
                cr_assert_gt(counter_get(&counters.short_sends), counter_get(&plain.short_sends));
            if (all[i].delay)
                cr_assert_gt(counter_get(&counters.enters), counter_get(&plain.enters));
        }
    }
    LEAKS_NONE();
}

Test(io_sim, resets_connections_on_both_sides) {
    const struct io_sim_faults faults = {.reset = 1024};
    uint32_t resets;
    struct io_counters counters;
    (void)conversation(5, &faults, &resets, &counters);
    cr_assert_eq(resets, ENDS);
    cr_assert_eq(counter_get(&counters.received_bytes), 0);
    LEAKS_NONE();
}

/* --- One connection at a time -------------------------------------------------------------------------- */

static struct echo_end *one_end(struct echo *echo, struct io_sim_peer **peer) {
    uint32_t before = echo->count;
    *peer = io_sim_connect(echo->io);
    cr_assert_not_null(*peer);
    cr_assert_eq(io_sim_write(*peer, "early", 5), 5); /* before it was accepted */
    for (uint32_t turns = 0; echo->count == before; turns++) {
        cr_assert_lt(turns, 100u);
        cr_assert_eq(io_turn(echo->io, 0), 0);
    }
    return &echo->ends[before];
}

Test(io_sim, ends_like_a_socket) {
    struct echo *echo = echo_new(1, NULL);
    struct io_sim_peer *peer;
    char bytes[16];
    struct echo_end *end = one_end(echo, &peer);
    for (int i = 0; i < 3; i++)
        echo_turn(echo);
    io_close(echo->io, end->handle, false); /* an orderly end: what was sent can still be read */
    end->over = true;
    io_close(echo->io, end->handle, false);
    cr_assert_eq(echo->closed, 1);
    cr_assert_eq(io_sim_write(peer, "x", 1), -EPIPE);
    cr_assert_eq(io_sim_read(peer, bytes, sizeof bytes), 5);
    cr_assert_eq(io_sim_read(peer, bytes, sizeof bytes), 0);
    io_sim_forget(peer);

    end = one_end(echo, &peer); /* an abort: nothing can */
    for (int i = 0; i < 3; i++)
        echo_turn(echo);
    io_close(echo->io, end->handle, true);
    end->over = true;
    cr_assert_eq(io_sim_read(peer, bytes, sizeof bytes), -ECONNRESET);
    io_sim_forget(peer);

    end = one_end(echo, &peer); /* the client's reset, with bytes underway */
    io_sim_end(peer, true);
    cr_assert_eq(io_sim_write(peer, "x", 1), -EPIPE);
    cr_assert_eq(io_sim_read(peer, bytes, sizeof bytes), 0);
    for (int i = 0; i < 3; i++)
        echo_turn(echo);
    cr_assert_eq(echo->resets, 1);
    cr_assert_eq(echo->closed, 3);
    io_sim_forget(peer);
    cr_assert(end->over);
    echo_free(echo);
    LEAKS_NONE();
}

Test(io_sim, is_silent_between_pause_and_resume) {
    struct echo *echo = echo_new(3, NULL);
    struct io_sim_peer *peer;
    struct echo_end *end = one_end(echo, &peer);
    io_receive_pause(echo->io, end->handle);
    uint64_t before = end->received;
    cr_assert_eq(io_sim_write(peer, "later", 5), 5);
    io_sim_end(peer, false);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(io_turn(echo->io, 0), 0);
    cr_assert_eq(end->received, before);
    cr_assert(!end->over);
    io_receive_resume(echo->io, end->handle);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(io_turn(echo->io, 0), 0);
    cr_assert_eq(end->received, 10);
    cr_assert(end->over);
    echo_free(echo); /* before the test lets go of the peer: either order is allowed */
    cr_assert_eq(io_sim_write(peer, "x", 1), -EPIPE);
    io_sim_forget(peer);
    LEAKS_NONE();
}

Test(io_sim, bounds_what_its_sockets_hold) {
    const struct io_sim_faults faults = {.socket_bytes = 100};
    struct echo *echo = echo_new(3, &faults);
    struct io_sim_peer *peer = io_sim_connect(echo->io);
    char bytes[150] = {0};
    cr_assert_not_null(peer);
    cr_assert_eq(io_sim_write(peer, bytes, sizeof bytes), 100);
    cr_assert_eq(io_sim_write(peer, bytes, sizeof bytes), 0);
    for (int i = 0; i < 10; i++)
        echo_turn(echo);
    cr_assert_eq(io_sim_write(peer, bytes, sizeof bytes), 100);
    for (int i = 0; i < 10; i++)
        echo_turn(echo);
    cr_assert_eq(echo->ends[0].sent, 100); /* the second hundred waits for the client to read */
    cr_assert(echo->ends[0].waiting);
    cr_assert_eq(io_sim_read(peer, bytes, sizeof bytes), 100);
    for (int i = 0; i < 10; i++)
        echo_turn(echo);
    cr_assert_eq(echo->ends[0].sent, 200);
    io_sim_forget(peer);
    for (int i = 0; i < 10; i++)
        echo_turn(echo);
    cr_assert_eq(echo->closed, 1);
    echo_free(echo);
    LEAKS_NONE();
}

/* --- What a simulation of several workers needs --------------------------------------------------------- */

/* Two io of one host: the door's listener hands what it accepts to the other one. */
struct host {
    struct io *door;
    struct io *other;
    struct echo_end end;
    uint64_t received;
    int ended; /* 1: told with `error` */
    int error;
};

static void host_accepted(void *owner, void *user, int fd) {
    struct host *host = owner;
    cr_assert_eq(user, (void *)host);
    host->end.handle = io_add(host->other, fd, &host->end);
    cr_assert_neq(host->end.handle, 0);
}

static void host_received(void *owner, void *user, const uint8_t *bytes, size_t length) {
    struct host *host = owner;
    (void)bytes;
    cr_assert_eq(user, (void *)&host->end);
    host->received += length;
}

static void host_ended(void *owner, void *user, int error) {
    struct host *host = owner;
    cr_assert_eq(user, (void *)&host->end);
    host->ended++;
    host->error = error;
}

static void host_sent(void *owner, void *user, int64_t result) {
    (void)owner;
    ((struct echo_end *)user)->sent += result > 0 ? (uint64_t)result : 0;
}

static void host_closed(void *owner, void *user) {
    (void)owner;
    (void)user;
}

static const struct io_handlers host_handlers = {
    .accepted = host_accepted,
    .received = host_received,
    .ended = host_ended,
    .sent = host_sent,
    .closed = host_closed,
    .woken = woken,
};

static void host_init(struct host *host) {
    struct io_config config = {.body = IO_BODY_SIM, .bell = -1, .handlers = &host_handlers, .owner = host};
    *host = (struct host){0};
    cr_assert_eq(io_create(&host->door, &config), 0);
    cr_assert_eq(io_create(&host->other, &config), 0);
    io_sim_share(host->other, host->door);
    cr_assert_neq(io_listen(host->door, -1, host), 0);
}

static void host_turns(struct host *host) {
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(io_turn(host->door, 0), 0);
        cr_assert_eq(io_turn(host->other, 0), 0);
    }
}

static void host_send(struct host *host) {
    host->end.iov = (struct iovec){.iov_base = (void *)(uintptr_t) "answer", .iov_len = 6};
    io_send(host->other, host->end.handle, &host->end.iov, 1);
    io_flush(host->other);
}

static void host_deinit(struct host *host, struct io_sim_peer *peer) {
    io_destroy(host->other);
    io_destroy(host->door);
    io_sim_forget(peer);
}

Test(io_sim, hands_a_connection_to_another_io_of_the_same_host) {
    struct host host;
    host_init(&host);
    struct io_sim_peer *peer = io_sim_connect(host.door);
    cr_assert(io_sim_due(host.door) && !io_sim_due(host.other));
    cr_assert_eq(io_sim_write(peer, "early", 5), 5);
    host_turns(&host);
    cr_assert_eq(host.received, 5);
    cr_assert(!io_sim_due(host.door) && !io_sim_due(host.other));
    cr_assert_eq(io_sim_write(peer, "x", 1), 1);
    cr_assert(io_sim_due(host.other));
    host_turns(&host);
    cr_assert_eq(host.received, 6);
    host_deinit(&host, peer);
    LEAKS_NONE();
}

Test(io_sim, lets_a_client_end_its_side_and_read_on) {
    struct host host;
    const uint8_t *bytes;
    char read[8];
    host_init(&host);
    struct io_sim_peer *peer = io_sim_connect(host.door);
    cr_assert_eq(io_sim_write(peer, "last", 4), 4);
    io_sim_shut(peer);
    cr_assert_eq(io_sim_write(peer, "x", 1), -EPIPE);
    host_turns(&host);
    cr_assert(host.received == 4 && host.ended == 1 && host.error == 0);
    host_send(&host);
    cr_assert_eq(host.end.sent, 6);
    cr_assert_eq(io_sim_unread(peer, &bytes), 6);
    cr_assert_arr_eq(bytes, "answer", 6);
    cr_assert_eq(io_sim_read(peer, read, sizeof read), 6);
    cr_assert_eq(io_sim_unread(peer, &bytes), 0);
    host_deinit(&host, peer);
    LEAKS_NONE();
}

Test(io_sim, tells_who_has_ended_a_connection) {
    static const struct io_sim_faults fate = {.reset = 1024};
    for (int who = 0; who < 4; who++) {
        static const enum io_sim_end ends[] = {IO_SIM_CLOSED, IO_SIM_ABORTED, IO_SIM_BROKEN, IO_SIM_LEFT};
        struct host host;
        host_init(&host);
        struct io_sim_peer *peer = io_sim_connect(host.door);
        host_turns(&host);
        cr_assert_eq(io_sim_ended(peer), IO_SIM_OPEN);
        if (who == 2)
            io_sim_seed(host.other, 1, &fate);
        if (who == 3)
            io_sim_end(peer, true);
        if (who >= 2)
            host_send(&host);
        io_close(host.other, host.end.handle, who == 1);
        host_turns(&host);
        cr_assert_eq(io_sim_ended(peer), ends[who], "%d", who);
        host_deinit(&host, peer);
    }
    LEAKS_NONE();
}
