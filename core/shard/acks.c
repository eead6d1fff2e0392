/* Who has been told what of his events.
 *
 * The worker that received an event owns its acknowledgement: a FIFO of runs per connection. A run is settled
 * when its home says so: a log of this worker has published it, or the home at the other end of a link has
 * consumed it, which it does after publishing. The settled prefix is told in one PublishAck per turn. A run
 * grows for one turn at most, or the end of one from a publisher that never pauses would never be reached.
 * The FIFO is bounded by PUBLISH_RUNS_MAX; a full one parks the connection. */
#include "core/shard/worker.h"

#include <stdlib.h>
#include <string.h>

#define ACK_RUNS_FIRST 8u

static struct ack_run *run_at(const struct acks *acks, uint32_t i) {
    return &acks->runs[(acks->begin + i) & (acks->capacity - 1)];
}

static bool runs_grow(struct acks *acks) {
    uint32_t capacity = acks->capacity == 0 ? ACK_RUNS_FIRST : acks->capacity * 2;
    struct ack_run *runs = malloc(capacity * sizeof *runs);
    if (runs == NULL)
        return false;
    for (uint32_t i = 0; i < acks->count; i++)
        runs[i] = *run_at(acks, i);
    free(acks->runs);
    acks->runs = runs;
    acks->begin = 0;
    acks->capacity = capacity;
    return true;
}

static bool exceptions_grow(struct acks *acks) {
    uint32_t capacity = acks->exceptions_capacity == 0 ? ACK_RUNS_FIRST : acks->exceptions_capacity * 2;
    struct session_exception *exceptions = realloc(acks->exceptions, capacity * sizeof *exceptions);
    if (exceptions == NULL)
        return false;
    acks->exceptions = exceptions;
    acks->exceptions_capacity = capacity;
    return true;
}

bool acks_ready(struct peer *peer) {
    struct acks *acks = &peer->acks;
    if (!peer->session.acks)
        return true;
    if (acks->count == PUBLISH_RUNS_MAX)
        return false;
    return (acks->count < acks->capacity || runs_grow(acks)) &&
           (acks->exceptions_count < acks->exceptions_capacity || exceptions_grow(acks));
}

static void run_add(struct peer *peer, struct ack_run run) {
    struct acks *acks = &peer->acks;
    *run_at(acks, acks->count++) = run;
    acks->growing = true;
    list_add(&peer->worker->acking, &peer->acking);
}

void acks_note(struct peer *peer, uint64_t ordinal, uint32_t by, uint64_t until) {
    struct acks *acks = &peer->acks;
    if (!peer->session.acks)
        return;
    struct ack_run *last = acks->growing ? run_at(acks, acks->count - 1) : NULL;
    if (last != NULL && last->by == by) {
        last->last = ordinal;
        last->until = until;
        return;
    }
    run_add(peer, (struct ack_run){.last = ordinal, .until = until, .by = (uint16_t)by});
}

void acks_note_settled(struct peer *peer, uint64_t ordinal) {
    if (peer->session.acks)
        run_add(peer, (struct ack_run){.last = ordinal, .by = ACK_REFUSED});
}

bool acks_except(struct peer *peer, const struct session_exception *exception) {
    struct acks *acks = &peer->acks;
    if (acks->exceptions_count == acks->exceptions_capacity && !exceptions_grow(acks))
        return false;
    uint32_t at = acks->exceptions_count++;
    for (; at > 0 && acks->exceptions[at - 1].ordinal > exception->ordinal; at--)
        acks->exceptions[at] = acks->exceptions[at - 1]; /* homes answer in any order */
    acks->exceptions[at] = *exception;
    return true;
}

void acks_refused(struct peer *peer, uint64_t ordinal, const struct fault *fault) {
    struct session_exception exception = {.ordinal = ordinal, .fault = *fault};
    CHECK(acks_except(peer, &exception)); /* acks_ready has made room */
    acks_note_settled(peer, ordinal);
}

/* `consumed`: of the link that it is by, if it is by one. */
static bool run_done(const struct worker *worker, const struct ack_run *run, uint64_t consumed) {
    if (run->by == ACK_REFUSED)
        return true;
    if (run->by >= ACK_LOG)
        return log_produced(worker->home_of[run->by - ACK_LOG]->log) >= run->until;
    return consumed >= run->until;
}

/* As of the last look at what homes say against events. */
static bool run_settled(const struct worker *worker, const struct ack_run *run) {
    return run_done(worker, run, run->by < ACK_LOG ? worker->out[run->by].consumed : 0);
}

/* ... and as of now. */
static bool run_moved(const struct worker *worker, const struct ack_run *run) {
    return run_done(worker, run, run->by < ACK_LOG ? spsc_consumed(worker->out[run->by].ring) : 0);
}

static uint32_t exceptions_settled(const struct acks *acks) {
    uint32_t n = 0;
    while (n < acks->exceptions_count && acks->exceptions[n].ordinal <= acks->settled)
        n++;
    return n;
}

static void peer_tell(struct peer *peer) {
    struct acks *acks = &peer->acks;
    uint32_t told = exceptions_settled(acks);
    session_ack(&peer->session, acks->settled, acks->exceptions, told);
    acks->told = acks->settled;
    acks->exceptions_count -= told;
    if (told > 0) /* an empty list may have no memory at all */
        memmove(acks->exceptions, acks->exceptions + told, acks->exceptions_count * sizeof *acks->exceptions);
    peer_touch(peer);
}

static void peer_settle(struct peer *peer) {
    struct acks *acks = &peer->acks;
    acks->growing = false;
    while (acks->count > 0 && run_settled(peer->worker, run_at(acks, 0))) {
        acks->settled = run_at(acks, 0)->last;
        acks->begin = (acks->begin + 1) & (acks->capacity - 1);
        acks->count--;
    }
    if (peer->session.acks && acks->settled > acks->told)
        peer_tell(peer);
    if (acks->count > 0)
        return;
    list_remove(&peer->acking);
    if (peer->goodbye && !peer->farewell) {
        peer->farewell = true;
        session_goodbye(&peer->session, "all that you published is settled", true);
        peer_touch(peer);
    }
}

void acks_settle(struct worker *worker) {
    struct list *next;
    verdicts_read(worker);
    for (struct list *node = worker->acking.next; node != &worker->acking; node = next) {
        next = node->next;
        peer_settle(LIST_OF(node, struct peer, acking));
    }
}

static bool run_add_all(struct peer *peer, uint32_t by, uint64_t until) {
    if (peer->acks.count == peer->acks.capacity && !runs_grow(&peer->acks))
        return false;
    run_add(peer, (struct ack_run){.last = peer->session.ordinal, .until = until, .by = (uint16_t)by});
    return true;
}

void acks_goodbye(void *user) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    peer->goodbye = true;
    peer_retire(peer);
    list_add(&worker->acking, &peer->acking);
    if (peer->session.acks)
        return;
    /* Without acknowledgement no runs were kept: one for every way and home says when all is there. */
    for (uint32_t i = 0; i < worker->homes_count; i++) {
        const struct home *home = &worker->homes[i];
        if (!run_add_all(peer, ACK_LOG + home->index, log_writer_next(home->log)))
            return;
    }
    for (uint32_t way = 0; way < ways_count(worker->shards); way++)
        if (worker->out[way].ring != NULL && !run_add_all(peer, way, spsc_committed(worker->out[way].ring)))
            return;
}

bool acks_waiting(struct worker *worker) {
    if (list_empty(&worker->acking))
        return false;
    for (uint32_t i = 0; i < ways_count(worker->shards); i++)
        if (worker->out[i].ring != NULL)
            wanted_set(spsc_wanted(worker->out[i].ring));
    for (struct list *node = worker->acking.next; node != &worker->acking; node = node->next) {
        const struct acks *acks = &LIST_OF(node, struct peer, acking)->acks;
        if (acks->count == 0 || run_moved(worker, run_at(acks, 0)))
            return true;
    }
    return false;
}

void acks_deinit(struct acks *acks) {
    free(acks->runs);
    free(acks->exceptions);
    *acks = (struct acks){0};
}
