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

/* Made for whoever is first owed something. NULL: no memory. */
static struct acks *acks_of(struct peer *peer) {
    if (UNLIKELY(peer->acks == NULL))
        peer->acks = calloc(1, sizeof *peer->acks);
    return peer->acks;
}

static uint32_t runs_count(const struct peer *peer) {
    return peer->acks == NULL ? 0 : peer->acks->count;
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
    if (!peer->session.acks)
        return true;
    struct acks *acks = acks_of(peer);
    if (acks == NULL || acks->count == PUBLISH_RUNS_MAX)
        return false;
    return (acks->count < acks->capacity || runs_grow(acks)) &&
           (acks->exceptions_count < acks->exceptions_capacity || exceptions_grow(acks));
}

static void run_add(struct peer *peer, struct ack_run run) {
    struct acks *acks = peer->acks; /* acks_ready has made it */
    *run_at(acks, acks->count++) = run;
    acks->growing = true;
    list_add(&peer->worker->acking, &peer->acking);
}

void acks_note(struct peer *peer, uint64_t ordinal, uint32_t by, uint64_t until) {
    struct acks *acks = peer->acks;
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

void acks_note_again(struct peer *peer, uint64_t ordinal, uint32_t by, uint64_t until) {
    if (peer->session.acks)
        run_add(peer, (struct ack_run){.last = ordinal, .until = until, .by = (uint16_t)by});
}

bool acks_except(struct peer *peer, const struct session_exception *exception) {
    struct acks *acks = acks_of(peer);
    if (acks == NULL)
        return false;
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

static bool log_done(const struct log *log, const struct ack_run *run, bool disk) {
    return (disk ? log_visible(log) : log_produced(log)) >= run->until;
}

/* As of the last look at what homes say against events. */
static bool run_settled(const struct peer *peer, const struct ack_run *run) {
    const struct worker *worker = peer->worker;
    if (run->by == ACK_REFUSED)
        return true;
    if (run->by >= ACK_LOG)
        return log_done(worker->home_of[run->by - ACK_LOG]->log, run, peer->session.disk);
    CHECK(run->by < WAYS_MAX);
    const struct link_out *link = &worker->out[run->by];
    return (peer->session.disk ? link->settled : link->consumed) >= run->until;
}

/* ... and as of now. */
static bool run_moved(const struct peer *peer, const struct ack_run *run) {
    if (run->by >= ACK_LOG)
        return run_settled(peer, run);
    CHECK(run->by < WAYS_MAX);
    const struct spsc *ring = peer->worker->out[run->by].ring;
    return (peer->session.disk ? spsc_settled(ring) : spsc_consumed(ring)) >= run->until;
}

static uint32_t exceptions_settled(const struct acks *acks) {
    uint32_t n = 0;
    while (n < acks->exceptions_count && acks->exceptions[n].ordinal <= acks->settled)
        n++;
    return n;
}

static void peer_tell(struct peer *peer) {
    struct acks *acks = peer->acks;
    uint32_t told = exceptions_settled(acks);
    session_ack(&peer->session, acks->settled, acks->exceptions, told);
    acks->told = acks->settled;
    acks->exceptions_count -= told;
    if (told > 0) /* an empty list may have no memory at all */
        memmove(acks->exceptions, acks->exceptions + told, acks->exceptions_count * sizeof *acks->exceptions);
    peer_touch(peer);
}

static bool waits_in_vain(const struct peer *peer) {
    return peer->session.disk && counter_get(&peer->worker->shards->journal_failed) != 0;
}

/* The journal has failed: of what is not on disk by its word nobody can say whether it is there. */
static bool give_up(struct peer *peer) {
    static const struct fault unknown = {
        .code = RH_CODE_UNKNOWN_OUTCOME,
        .text = "the journal has failed: this event may be stored or not. Send it again with the same source "
                "and id when the server is back"};
    struct acks *acks = peer->acks;
    uint64_t last = run_at(acks, acks->count - 1)->last;
    uint32_t kept = exceptions_settled(acks), used = kept;
    uint32_t capacity = kept + (uint32_t)(last - acks->settled);
    struct session_exception *all = malloc(capacity * sizeof *all);
    if (all == NULL)
        return false;
    for (uint32_t i = 0; i < kept; i++)
        all[i] = acks->exceptions[i];
    for (uint64_t ordinal = acks->settled + 1; ordinal <= last; ordinal++) {
        bool answered = kept < acks->exceptions_count && acks->exceptions[kept].ordinal == ordinal;
        all[used++] = answered ? acks->exceptions[kept++]
                               : (struct session_exception){.ordinal = ordinal, .fault = unknown};
    }
    free(acks->exceptions);
    acks->exceptions = all;
    acks->exceptions_count = acks->exceptions_capacity = used;
    acks->settled = last;
    acks->count = 0;
    return true;
}

static void runs_settle(struct peer *peer) {
    struct acks *acks = peer->acks;
    acks->growing = false;
    while (acks->count > 0 && run_settled(peer, run_at(acks, 0))) {
        acks->settled = run_at(acks, 0)->last;
        acks->begin = (acks->begin + 1) & (acks->capacity - 1);
        acks->count--;
    }
    if (acks->count > 0 && waits_in_vain(peer) && !give_up(peer))
        peer_close(peer, true);
    if (peer->session.acks && acks->settled > acks->told)
        peer_tell(peer);
}

static void peer_settle(struct peer *peer) {
    if (peer->acks != NULL)
        runs_settle(peer);
    if (runs_count(peer) > 0)
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
    struct acks *acks = acks_of(peer);
    if (acks == NULL || (acks->count == acks->capacity && !runs_grow(acks)))
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
    for (uint32_t way = 0; way < ways_count(worker); way++)
        if (worker->out[way].ring != NULL && !run_add_all(peer, way, spsc_committed(worker->out[way].ring)))
            return;
}

bool acks_waiting(struct worker *worker) {
    if (list_empty(&worker->acking))
        return false;
    for (uint32_t i = 0; i < ways_count(worker); i++)
        if (worker->out[i].ring != NULL)
            wanted_set(spsc_wanted(worker->out[i].ring));
    for (struct list *node = worker->acking.next; node != &worker->acking; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, acking);
        if (runs_count(peer) == 0 || run_moved(peer, run_at(peer->acks, 0)) || waits_in_vain(peer))
            return true;
    }
    return false;
}

void acks_free(struct acks *acks) {
    if (acks == NULL)
        return;
    free(acks->runs);
    free(acks->exceptions);
    free(acks);
}
