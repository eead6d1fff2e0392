/* What changes while the workers run: limits, the grace of the logs, the socket that is listened on. An order
 * goes through the mailboxes, and each worker carries it out in a turn of its own, between two receives: so
 * nothing of a worker is written by another thread, and nobody waits for a lock. Who gives orders waits until
 * all have told the number of the last one; that is a counter, which orders nothing, and nothing has to be
 * ordered: an order carries all of its values. */
#include "core/shard/moves.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define OBEY_POLL_NS ((long)NS_PER_MS)

void limits_init(struct worker *worker) {
    const struct shards_config *config = &worker->shards->config;
    worker->facts = worker->shards->facts;
    worker->limits = (struct shards_limits){.connections = config->connections,
                                            .subscriptions = config->subscriptions,
                                            .handshake_ns = config->handshake_ns,
                                            .block_ns = config->block_ns,
                                            .idle_ns = config->idle_ns,
                                            .private_bytes = config->private_bytes,
                                            .grace_ns = config->grace_ns};
    worker->idle_ns[0] = config->idle_ns;
    worker->idle_times = 1;
}

/* ---- the worker ---- */

/* Who has been told a time may be silent for so long, whatever is told to others later. */
static void idle_take(struct worker *worker, uint64_t idle_ns) {
    uint64_t *last = &worker->idle_ns[worker->idle_times - 1];
    worker->facts.idle_ns = worker->limits.idle_ns = idle_ns;
    if (*last == idle_ns)
        return;
    if (worker->idle_times < IDLE_TIMES_MAX)
        worker->idle_ns[worker->idle_times++] = idle_ns;
    else if (idle_ns == 0 || (*last != 0 && idle_ns > *last))
        *last = idle_ns; /* there is no more place: the longest of those that were told */
}

static void limits_take(struct worker *worker, const struct mpsc_command *command) {
    struct shards_limits *limits = &worker->limits;
    limits->connections = command->small;
    limits->subscriptions = (uint32_t)command->word[0];
    limits->handshake_ns = command->word[1];
    limits->block_ns = command->word[2];
    limits->private_bytes = worker->facts.private_bytes = command->word[4];
    idle_take(worker, command->word[3]);
    route_limit(worker->routes, limits->subscriptions);
}

static void grace_take(struct worker *worker, uint64_t grace_ns) {
    worker->limits.grace_ns = grace_ns;
    for (uint32_t i = 0; i < worker->homes_count; i++)
        log_writer_grace(worker->homes[i].log, grace_ns);
}

static bool listener_add(struct worker *worker, int fd) {
    worker->listener_next = io_listen(worker->io, fd, NULL);
    if (worker->listener_next == 0)
        return false;
    worker->listeners++;
    return true;
}

void worker_listener_close(struct worker *worker, io_handle *listener) {
    if (*listener != 0)
        io_close(worker->io, *listener, false);
    *listener = 0;
}

/* Where the worker drains meanwhile, both are closed already. */
static void listener_choose(struct worker *worker, bool moved) {
    if (moved && worker->listener_next != 0) {
        worker_listener_close(worker, &worker->listener);
        worker->listener = worker->listener_next;
        worker->listener_next = 0;
    }
    worker_listener_close(worker, &worker->listener_next);
}

void limits_obey(struct worker *worker, const struct mpsc_command *command) {
    bool done = true;
    if (command->kind == COMMAND_LIMITS) {
        limits_take(worker, command);
        return; /* COMMAND_GRACE follows, and tells */
    }
    if (command->kind == COMMAND_GRACE)
        grace_take(worker, command->word[0]);
    else if (command->kind == COMMAND_LISTEN_END)
        listener_choose(worker, command->small != 0);
    else
        done = !worker->draining && listener_add(worker, (int)command->small);
    counter_set(&worker->obeyed, command->word[1] << 1 | (done ? 0 : 1));
}

/* ---- who gives orders ---- */

static void tell(struct worker *worker, const struct mpsc_command *command) {
    while (mpsc_push(worker->mailbox, command) == RING_FULL)
        nanosleep(&(struct timespec){.tv_nsec = OBEY_POLL_NS}, NULL);
    wake_signal(&worker->wake);
}

/* Whether the order could be carried out. */
static bool await(const struct worker *worker, uint64_t number) {
    uint64_t obeyed;
    while ((obeyed = counter_get(&worker->obeyed)) >> 1 != number)
        nanosleep(&(struct timespec){.tv_nsec = OBEY_POLL_NS}, NULL);
    return (obeyed & 1) == 0;
}

void shards_limit(struct shards *shards, const struct shards_limits *limits) {
    changes_lock(shards); /* the workers are those that there are */
    uint64_t number = ++shards->orders;
    struct mpsc_command command = {.kind = COMMAND_LIMITS,
                                   .small = limits->connections,
                                   .word = {limits->subscriptions, limits->handshake_ns, limits->block_ns,
                                            limits->idle_ns, limits->private_bytes}};
    struct mpsc_command grace = {.kind = COMMAND_GRACE, .word = {limits->grace_ns, number}};
    struct shards_config *config = &shards->config; /* for workers that are made later */
    config->connections = limits->connections;
    config->subscriptions = limits->subscriptions;
    config->handshake_ns = limits->handshake_ns;
    config->block_ns = limits->block_ns;
    config->idle_ns = shards->facts.idle_ns = limits->idle_ns;
    config->private_bytes = shards->facts.private_bytes = limits->private_bytes;
    config->grace_ns = limits->grace_ns;
    for (uint32_t i = 0; i < shards_count(shards); i++) {
        tell(shards->workers[i], &command);
        tell(shards->workers[i], &grace);
    }
    for (uint32_t i = 0; i < shards_count(shards); i++)
        (void)await(shards->workers[i], number);
    changes_unlock(shards);
}

/* To the worker that accepts. */
static bool acceptor_order(struct shards *shards, enum command_kind kind, uint32_t value) {
    uint64_t number = ++shards->orders;
    const struct mpsc_command command = {.kind = kind, .small = value, .word = {0, number}};
    tell(shards->workers[0], &command);
    return await(shards->workers[0], number);
}

int shards_listen(struct shards *shards, int listener) {
    return acceptor_order(shards, COMMAND_LISTEN, (uint32_t)listener) ? 0 : -ENOMEM;
}

void shards_listen_end(struct shards *shards, bool moved) {
    (void)acceptor_order(shards, COMMAND_LISTEN_END, moved);
}
