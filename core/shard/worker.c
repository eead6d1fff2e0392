/* One worker: a thread, its event loop, its connections, the writer side of its logs and its cursors on all
 * logs.
 *
 * THE TURN, in this order and no other:
 *   1. receive    io_turn's callbacks: sessions scan frames, events are appended to a home log or put on a
 * link (links.c)
 *   2. mailbox    new connections, new links, the orders of the main thread
 *   3. links in   what other workers sent is appended
 *   4. publish    `produced` moves once, links are published, readers and homes are woken
 *   5. settle     publishers are told (acks.c)
 *   6. route      every attached log up to `visible`: runs become slices of the live subscribers (delivery.c)
 *   7. subscribe  what was staged in step 1 is put in force at the cursors: one generation (subs.c)
 *      queues     what members said, what is due, deliveries to members (keeper.c, memberships.c)
 *   8. catch up   one stretch for the laggards of each log (catchup.c)
 *   9. send       one gathered send per connection that has something
 *  10. gates      rise to what is still needed; parked publishers try again
 * Then the worker sleeps, if the turn found nothing to do and nothing is left: it announces its sleep, looks
 * again, and waits in step 1. */
#include "core/shard/moves.h"

#include "core/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

#define PARKED_RETRY_NS (1u * NS_PER_MS)
#define LEAVE_NS        (300u * NS_PER_MS) /* for the last frames of a stop */
#define SLICES_DEFAULT  ((uint32_t)(SLICE_POOL_BYTES / sizeof(struct output_item)))

/* ---- making ---- */

static void worker_woken(void *owner) {
    struct worker *worker = owner;
    worker->rung = true;
    wake_drain(&worker->wake);
}

static const struct io_handlers handlers = {
    .accepted = peer_accepted,
    .received = peer_received,
    .place = landing_place,
    .ended = peer_ended,
    .sent = delivery_sent,
    .writable = peer_writable,
    .closed = peer_closed,
    .woken = worker_woken,
};

static int worker_make_io(struct worker *worker) {
    const struct shards_config *config = &worker->shards->config;
    struct io_config io = {.body = config->body,
                           .oneshot = config->oneshot,
                           .bell = worker->wake.bell,
                           .connections = config->connections / config->count + 1,
                           .handlers = &handlers,
                           .owner = worker};
    return io_create(&worker->io, &io);
}

static int worker_make_tables(struct worker *worker) {
    const struct shards_config *config = &worker->shards->config;
    struct route_config routes = {.topics = config->topics,
                                  .subscriptions = config->subscriptions,
                                  .seed = worker->shards->table_seed + worker->number};
    int result = route_create(&worker->routes, &routes);
    if (result == 0)
        result = output_pool_init(&worker->pool, config->slices != 0 ? config->slices : SLICES_DEFAULT);
    if (result == 0)
        result = mpsc_create(&worker->mailbox, MAILBOX_COMMANDS);
    if (result == 0)
        result = history_make(worker);
    worker->staging.bytes = malloc(STAGING_BYTES);
    worker->iov = malloc(SENDS_PER_FLUSH_MAX * sizeof *worker->iov);
    return result != 0 || worker->staging.bytes == NULL || worker->iov == NULL ? -ENOMEM : 0;
}

static void worker_lists_init(struct worker *worker) {
    struct list *heads[] = {&worker->all,      &worker->dirty,  &worker->parked,  &worker->lagging,
                            &worker->changing, &worker->acking, &worker->holding, &worker->leaving,
                            &worker->told,     &worker->surveys};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        list_init(heads[i]);
}

/* Newer kernels count the rings as locked memory, which mostly has a limit. */
static const char *io_name(const struct worker *worker) {
    return worker->shards->config.body == IO_BODY_URING ? "event loop (of io_uring: see ulimit -l)"
                                                        : "event loop";
}

int worker_create(struct worker **out, struct shards *shards, uint32_t number, char *error) {
    struct worker *worker = aligned_alloc(64, (sizeof *worker + 63) / 64 * 64);
    if (worker == NULL)
        return -ENOMEM;
    memset(worker, 0, sizeof *worker);
    *out = worker;
    worker->shards = shards;
    worker->number = number;
    moving_make(worker);
    worker->clock_ns = clock_mono_ns;
    worker->clock_wall = clock_wall_ns;
    limits_init(worker);
    worker_lists_init(worker);
    keeper_init(&worker->keeper);
    const char *what = "tables";
    int result = unmatched_init(&worker->unmatched);
    if (result == 0)
        what = "wake", result = wake_init(&worker->wake);
    if (result == 0 && (result = homes_make(worker, &what)) == 0 &&
        (what = "tables", result = worker_make_tables(worker)) == 0)
        what = io_name(worker), result = worker_make_io(worker);
    if (result != 0)
        snprintf(error, 200, "shard %u: the %s can not be made: %s", number, what, strerror(-result));
    return result;
}

void worker_destroy(struct worker *worker) {
    if (worker == NULL)
        return;
    links_deinit(worker);
    talk_deinit(worker);
    lags_deinit(worker);
    keeper_deinit(worker);
    unmatched_deinit(&worker->unmatched);
    io_destroy(worker->io);
    mpsc_destroy(worker->mailbox);
    filters_deinit(worker);
    route_destroy(worker->routes);
    output_pool_deinit(&worker->pool);
    free(worker->staging.bytes);
    free(worker->iov);
    free(worker->peers);
    free(worker->spare);
    homes_destroy(worker);
    history_destroy(worker);
    wake_deinit(&worker->wake);
    free(worker);
}

/* ---- orders ---- */

static void drain(struct worker *worker) {
    worker->draining = true;
    worker_listener_close(worker, &worker->listener);
    worker_listener_close(worker, &worker->listener_next);
    for (struct list *node = worker->all.next; node != &worker->all; node = node->next)
        conn_pause(&LIST_OF(node, struct peer, all)->conn, CONN_PAUSE_DRAIN);
}

/* What a peer is still owed, in bytes: exact for what is in its output, an upper bound for what a laggard is
 * owed of the rings. */
static uint64_t owed_bytes(const struct peer *peer) {
    const struct worker *worker = peer->worker;
    uint64_t bytes = peer->conn.out.bytes;
    bool lags = peer->at != NULL && !peer->retired;
    for (uint32_t i = 0; lags && i < worker->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        uint64_t at = peer->at[i];
        if (!peer_reads(peer, i) || at >= reader->cursor)
            continue;
        if (at < log_oldest(reader->log) && history_has(worker, i))
            at = log_oldest(reader->log); /* of what lies behind the ring the length is not known here */
        if (at >= reader->cursor || at < log_oldest(reader->log))
            continue;
        bytes +=
            log_entry_at(reader->log, reader->cursor - 1)->offset - log_entry_at(reader->log, at)->offset;
    }
    return bytes;
}

static void leave(struct worker *worker) {
    struct list *next;
    worker->saying_goodbye = true;
    for (struct list *node = worker->all.next; node != &worker->all; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, all);
        next = node->next;
        if (peer->shut)
            continue;
        counter_add(&worker->stats.drain_cut_bytes, owed_bytes(peer));
        peer_retire(peer);
        peer->close_at_ns = worker->now_ns + LEAVE_NS;
        if (peer->conn.blocked || peer->at != NULL)
            peer_close(peer, true);
        else if (!peer->farewell && peer->session.state == SESSION_OPEN)
            session_goodbye(&peer->session, "the server stops", false);
        peer->farewell = true;
        if (!peer->shut && peer->conn.out.first == NULL)
            peer_close(peer, false);
        peer_touch(peer);
    }
}

static void mailbox_read(struct worker *worker) {
    struct mpsc_command command;
    while (mpsc_pop(worker->mailbox, &command)) {
        worker->worked = true;
        switch ((enum command_kind)command.kind) {
        case COMMAND_CONNECTION:
            peer_adopt(worker, (int)command.word[0], command.small != 0);
            break;
        case COMMAND_LINK:
            link_add(worker, command.small, &command);
            break;
        case COMMAND_NOTES:
            talk_take(worker, (struct note *)(uintptr_t)command.word[0]);
            break;
        case COMMAND_DRAIN:
            drain(worker);
            break;
        case COMMAND_LEAVE:
            leave(worker);
            break;
        case COMMAND_HISTORY:
            history_came(worker, command.small);
            break;
        case COMMAND_SURVEY:
            surveys_take(worker, (struct survey *)(uintptr_t)command.word[0]);
            break;
        case COMMAND_LIMITS:
        case COMMAND_GRACE:
        case COMMAND_LISTEN:
        case COMMAND_LISTEN_END:
            limits_obey(worker, &command);
            break;
        case COMMAND_WANTED:
            unmatched_question(worker, (struct unmatched_question *)(uintptr_t)command.word[0]);
            break;
        case COMMAND_TRACE:
            trace_take(worker, (struct trace *)(uintptr_t)command.word[0]);
            break;
        case COMMAND_UNTRACE:
            trace_drop(worker, (struct trace *)(uintptr_t)command.word[0]);
            break;
        case COMMAND_CHANGE:
            change_take(worker, (struct change *)(uintptr_t)command.word[0], (enum change_step)command.small,
                        command.word[1]);
            break;
        case COMMAND_HOLD:
        case COMMAND_RELEASE:
            block_count(worker, command.small, command.kind == COMMAND_HOLD);
            break;
        }
    }
}

/* ---- the turn ---- */

/* Something that needs no event of the kernel to be done. */
static bool worker_news(struct worker *worker) {
    if (mpsc_pending(worker->mailbox) || acks_waiting(worker) || verdicts_news(worker) ||
        durable_news(worker) || keeper_news(worker))
        return true;
    for (uint32_t i = 0; i < worker->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        if (reader->attached && log_visible(reader->log) != reader->cursor)
            return true;
    }
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        const struct link_in *link = &worker->in[i];
        const struct link_out *out = &worker->out[i];
        if (out->refused && spsc_consumed(out->ring) != out->refused_at)
            return true; /* its home made room, and perhaps rang while we were awake */
        if (link->ring != NULL && link->held == NULL && spsc_pending(link->ring))
            return true;
    }
    return homes_refused_moved(worker);
}

static bool worker_held(const struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker); i++)
        if (worker->in[i].held != NULL)
            return true;
    return !list_empty(&worker->parked);
}

static uint64_t sleep_ns(const struct worker *worker) {
    uint64_t longest = worker->now_ns + SLEEP_BACKSTOP_NS;
    uint64_t until = longest;
    if (!list_empty(&worker->all) && worker->housekeeping_ns < until)
        until = worker->housekeeping_ns;
    if (worker_held(worker) && worker->now_ns + PARKED_RETRY_NS < until)
        until = worker->now_ns + PARKED_RETRY_NS;
    if (worker->retry_ns != 0 && worker->retry_ns < until)
        until = worker->retry_ns;
    if (keeper_due_ns(worker) < until)
        until = keeper_due_ns(worker);
    return until > worker->now_ns ? until - worker->now_ns : 0;
}

/* News after a whole sleep that nobody rang for: either the bell is on its way, or a wake was lost. The naps
 * between retries are left out: so short a time says nothing about a bell. */
static void backstop_look(struct worker *worker, uint64_t slept_ns, uint64_t wait_ns) {
    struct pollfd bell = {.fd = worker->wake.bell, .events = POLLIN};
    if (slept_ns < wait_ns || wait_ns <= PARKED_RETRY_NS || worker->rung || worker->worked ||
        !worker_news(worker))
        return;
    if (poll(&bell, 1, 1) == 0)
        counter_add(&worker->stats.backstop_hits, 1);
}

/* Whoever is refused again says so again. */
static void refusals_forget(struct worker *worker) {
    worker->retry_ns = 0;
    for (uint32_t i = 0; i < worker->homes_count; i++)
        worker->homes[i].refused = false;
    for (uint32_t i = 0; i < ways_count(worker); i++)
        worker->out[i].refused = false;
}

/* What a worker looks at of a disk log is what is visible: whoever reads it, and its home, which settles what
 * is durable. They ask for its next move behind the announcement of their sleep and before the look. So a
 * move that takes the word finds the announcement, and rings; one that finds nobody asking was made before
 * the worker asked, and the look sees it. Asking first would not do: a move that the worker has seen already
 * may take the word and find it awake, and the next one then finds nobody asking. A word that is still set,
 * no move has taken since an earlier sleep. tests/models/moves.pml */
static void moves_want(struct worker *worker) {
    uint32_t first = worker->shards->config.count;
    for (uint32_t i = first; i < first + worker->shards->config.disk_logs; i++) {
        struct wanted *move = &worker->moves[i - first];
        if ((worker->readers[i].attached || worker->home_of[i] != NULL) && !wanted_waits(move))
            wanted_set(move);
    }
}

uint64_t worker_rest(struct worker *worker) {
    uint64_t wait_ns = worker->worked ? 0 : sleep_ns(worker);
    if (wait_ns == 0)
        return 0;
    delivery_gates(worker, true);
    wake_announce(&worker->wake);
    moves_want(worker);
    if (!worker->worked && !worker_news(worker))
        return wait_ns;
    wake_resume(&worker->wake);
    return 0;
}

void worker_clock(struct worker *worker) {
    if (worker->clock_read)
        return;
    worker->clock_read = true;
    worker->now_ns = worker->clock_ns();
    worker->wall_ns = worker->clock_wall();
}

static int worker_wait(struct worker *worker, uint64_t wait_ns) {
    uint64_t before_ns = worker->now_ns;
    worker->worked = worker->rung = worker->clock_read = false;
    refusals_forget(worker);
    if (wait_ns > 0)
        counter_add(&worker->stats.sleeps, 1);
    int result = io_turn(worker->io, wait_ns);
    if (wait_ns > 0)
        wake_resume(&worker->wake);
    worker_clock(worker);
    if (wait_ns > 0)
        backstop_look(worker, worker->now_ns - before_ns, wait_ns);
    return result;
}

/* How much of its time the worker has been at work: it waits in the kernel only. */
static void busy_look(struct worker *worker) {
    struct timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0)
        return;
    uint64_t cpu_ns = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
    uint64_t passed_ns = worker->now_ns - worker->ticked_ns;
    uint64_t used_ns = cpu_ns - counter_get(&worker->stats.cpu_ns);
    if (worker->ticked_ns != 0 && passed_ns > 0) {
        uint64_t ppm = used_ns < passed_ns ? used_ns * 1000000 / passed_ns : 1000000;
        counter_set(&worker->busy_ppm, (7 * counter_get(&worker->busy_ppm) + ppm) / 8);
    }
    counter_set(&worker->stats.cpu_ns, cpu_ns);
}

static void housekeeping(struct worker *worker) {
    struct route_counts counts;
    if (worker->now_ns < worker->housekeeping_ns)
        return;
    worker->housekeeping_ns = worker->now_ns + HOUSEKEEPING_NS;
    busy_look(worker);
    peers_tick(worker);
    lags_looked(worker);
    worker->ticked_ns = worker->now_ns;
    route_counts(worker->routes, &counts);
    counter_set(&worker->stats.routes, counts.routes);
    counter_set(&worker->stats.routes_evicted, counts.evicted);
    homes_housekeeping(worker);
    history_housekeeping(worker);
    moving_housekeeping(worker);
}

static void parked_retry(struct worker *worker) {
    uint64_t parked = 0;
    if (!list_empty(&worker->parked))
        ingress_retry(worker);
    for (struct list *node = worker->parked.next; node != &worker->parked; node = node->next)
        parked++;
    counter_set(&worker->stats.parked, parked);
}

int worker_wake(struct worker *worker, uint64_t wait_ns) {
    int result = worker_wait(worker, wait_ns);
    counter_add(&worker->stats.turns, 1);
    mailbox_read(worker);
    talk_own(worker);
    memberships_turn(worker);
    if (links_take(worker))
        worker->worked = true;
    ingress_publish_all(worker);
    change_turn(worker);
    if (UNLIKELY(worker->traces.count > 0))
        trace_turn(worker);
    acks_settle(worker);
    delivery_walk(worker);
    subs_apply(worker);
    cuts_look(worker); /* logs that are read since then show more than was walked */
    keeper_turn(worker);
    talk_own(worker);
    memberships_turn(worker);
    talk_flush(worker);
    cuts_look(worker); /* the same */
    unmatched_turn(worker);
    if (catchup_step(worker))
        worker->worked = true;
    delivery_send(worker);
    catchup_floors(worker);
    blocks_look(worker);
    delivery_gates(worker, false);
    parked_retry(worker);
    peers_leave(worker);
    housekeeping(worker);
    surveys_turn(worker);
    return result;
}

int worker_turn(struct worker *worker) {
    return worker_wake(worker, worker_rest(worker));
}

/* Draining and nothing left: what is queued has been sent as far as sockets take it. */
static bool worker_quiet(struct worker *worker) {
    if (!worker->draining || worker->worked || worker_held(worker) || !links_idle(worker) ||
        worker_news(worker) || !durable_all(worker) || !list_empty(&worker->acking) ||
        !list_empty(&worker->changing) || !states_idle(worker))
        return false;
    for (struct list *node = worker->all.next; node != &worker->all; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, all);
        if (!peer->retired && (peer->conn.out.first != NULL || peer->at != NULL))
            return false;
    }
    return true;
}

int worker_attach(struct worker *worker) {
    struct shards *shards = worker->shards;
    moving_attach(worker);
    int result = io_enable(worker->io);
    if (result == 0 && worker->number == 0) {
        worker->listener = io_listen(worker->io, shards->listener, NULL);
        worker->listeners = worker->listener != 0;
        result = worker->listeners != 0 ? 0 : -ENOMEM;
    }
    return result;
}

void worker_detach(struct worker *worker) {
    for (uint32_t i = 0; i < worker->log_count; i++) {
        log_reader_detach(worker->readers[i].log, worker->readers[i].gate);
        log_reader_detach(worker->readers[i].log, worker->readers[i].past);
    }
}

void worker_pin(struct worker *worker, int cpu) {
    cpu_set_t set;
    bool pinned = counter_get(&worker->pinned) != 0;
    if (cpu < 0 && !pinned)
        return;
    CPU_ZERO(&set);
    if (cpu >= 0)
        CPU_SET((unsigned)cpu, &set);
    else if (sched_getaffinity(getpid(), sizeof set, &set) != 0) /* the main thread never is */
        return;
    counter_set(&worker->pinned, (uint64_t)cpu + 1u);
    if (sched_setaffinity(0, sizeof set, &set) == 0)
        return;
    counter_set(&worker->pinned, 0);
    logfmt(LOGFMT_WARN, "a worker can not be pinned", "shard=%u cpu=%d error=\"%s\"", worker->number, cpu,
           strerror(errno));
}

void *worker_main(void *user) {
    struct worker *worker = user;
    const struct shards_config *config = &worker->shards->config;
    if (config->cpus != NULL && worker->number < config->count)
        worker_pin(worker, config->cpus[worker->number]);
    worker->now_ns = worker->clock_ns();
    int result = worker_attach(worker);
    /* The listener, too: one whose close is under way would take connections from whoever gets the socket
     * next. */
    while (result == 0 && !(worker->saying_goodbye && list_empty(&worker->all) && worker->listeners == 0)) {
        result = worker_turn(worker);
        counter_set(&worker->quiet, worker_quiet(worker) ? 1 : 0);
    }
    if (result != 0) {
        logfmt(LOGFMT_ERROR, "a worker's event loop is broken", "shard=%u error=\"%s\"", worker->number,
               strerror(-result));
        abort();
    }
    worker_detach(worker);
    return NULL;
}
