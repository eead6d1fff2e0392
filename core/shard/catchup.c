/* Subscribers that can not keep up: each is a position per log, and at most the rest of one frame.
 *
 * Catch-up goes by stretch, not by subscriber: the lowest stretch that a laggard needs whose socket takes
 * bytes is routed once, for all who stand there; those who meet stay together. Whatever a socket does not
 * take is given back at once (the position goes back), so no laggard holds ring memory across a turn. The
 * step works under a gate of its own, so that a lowering that comes too late leaves the live gate alone.
 *
 * Of a disk log with a journal nobody falls off the ring: who stands below it is served in the same way from
 * stretches that the journal has given (history.c), up to where the ring begins by then. So the writer does
 * not wait for such laggards either. They miss only what the journal has given up. */
#include "core/shard/moves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- entering and leaving ---- */

/* Gives up the slices; at[] goes down to where the first unsent one of each log begins. */
static bool retreat(struct peer *peer, uint64_t *at) {
    struct worker *worker = peer->worker;
    struct output *out = &peer->conn.out;
    struct output_retreat how = {.views = worker->views,
                                 .count = worker->log_count,
                                 .mend = position_lower,
                                 .ended = peer->ended_at,
                                 .next = at};
    list_remove(&peer->holding);
    lag_taken_back(peer, out->bytes - out->private_length);
    return output_retreat(out, &worker->pool, &how) == 0;
}

static uint64_t *live_ends(const struct worker *worker) {
    uint32_t logs = worker->log_count;
    uint64_t *at = calloc(LOGS_MAX, sizeof *at); /* there may be more logs before it is live */
    for (uint32_t i = 0; at != NULL && i < logs; i++)
        at[i] = delivery_live_end(&worker->readers[i]);
    return at;
}

bool catchup_enter(struct peer *peer) {
    struct worker *worker = peer->worker;
    uint64_t *at = live_ends(worker);
    if (at == NULL || !retreat(peer, at)) {
        free(at);
        peer_close(peer, true);
        return false;
    }
    if (UNLIKELY(worker->traces.count > 0))
        trace_lost(worker, peer, false);
    if (peer->retired) { /* its last frames still go out, and the record that it has begun */
        free(at);
        return true;
    }
    peer->at = at;
    starts_skip(peer);
    list_add(&worker->lagging, &peer->lagging);
    counter_add(&worker->stats.catch_up_entered, 1);
    counter_add(&worker->stats.laggards, 1);
    return true;
}

void catchup_forget(struct peer *peer) {
    if (peer->at == NULL)
        return;
    block_end(peer);
    free(peer->at);
    peer->at = NULL;
    peer->resuming = false;
    list_remove(&peer->lagging);
    counter_add(&peer->worker->stats.laggards, UINT64_MAX); /* minus one */
}

static void catchup_leave(struct peer *peer) {
    counter_add(&peer->worker->stats.catch_up_left, 1);
    catchup_forget(peer);
    starts_over(peer);
}

static bool peer_ready(const struct peer *peer) {
    const struct conn *conn = &peer->conn;
    return !peer->retired && !conn->blocked && conn->out.slices == 0 && conn->out.bytes < SEND_BYTES_MAX;
}

/* ---- falling off the ring ---- */

static void slow_disconnect(struct peer *peer) {
    static const struct fault fault = {.code = RH_CODE_SLOW_CONSUMER,
                                       .text = "too slow: events were overwritten before you read them. "
                                               "Subscribe with policy SKIP to be told of gaps instead"};
    counter_add(&peer->worker->stats.slow_disconnects, 1);
    session_fail(&peer->session, &fault);
}

void catchup_too_long(struct peer *peer) {
    static const struct fault fault = {
        .code = RH_CODE_SLOW_CONSUMER,
        .text = "too slow: publishers were held back for you for as long as limits.block allows"};
    counter_add(&peer->worker->stats.slow_disconnects, 1);
    counter_add(&peer->worker->stats.block_timeouts, 1);
    session_fail(&peer->session, &fault);
}

/* Where to go on: a little above the oldest, or the next claim would overtake it again. */
static uint64_t gap_end(const struct reader *reader) {
    uint64_t oldest = log_oldest(reader->log);
    return oldest >= reader->cursor ? reader->cursor : oldest + (reader->cursor - oldest) / 16;
}

/* ... but who has begun where a slot came in gets all that is left here: it is the hole that he is told of.
 */
static uint64_t fallen_end(const struct peer *peer, const struct reader *reader) {
    uint32_t log = reader->index;
    uint64_t end = gap_end(reader), bound = cuts_bound(peer->worker, log, peer->logs, peer->at);
    uint64_t oldest = log_oldest(reader->log);
    if (peer->resuming && oldest < end && cuts_open_at(peer->worker, log, peer->at[log]))
        end = oldest;
    return bound < end ? bound : end; /* what is gone behind that is told when it comes to it */
}

static void gap_tell(struct peer *peer, uint32_t log, uint64_t from, uint64_t to, bool expired) {
    struct worker *worker = peer->worker;
    struct position position;
    struct session_gap gap = {.log = log_number(worker->readers[log].log),
                              .from = from,
                              .to = to - 1,
                              .reason = expired ? ROUNDHOUSE__V1__GAP__REASON__REASON_EXPIRED
                                                : ROUNDHOUSE__V1__GAP__REASON__REASON_SLOW};
    delivery_position(peer, &position);
    session_gap(&peer->session, &gap, &position);
    counter_add(&worker->stats.gaps, 1);
    counter_add(&worker->stats.gap_records, to - from);
    peer_touch(peer);
}

/* The peer stands below what the log still has. */
static void fell_off(struct peer *peer, const struct reader *reader) {
    uint32_t log = reader->index;
    uint64_t needed = starts_needed(peer, log, peer->at[log]);
    if (needed >= log_oldest(reader->log)) { /* nothing of it was due */
        peer->at[log] = needed < reader->cursor ? needed : reader->cursor;
        return;
    }
    if (peer->policy != ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP && !peer->resuming) {
        slow_disconnect(peer);
        return;
    }
    peer->at[log] = fallen_end(peer, reader);
    if (needed < peer->at[log])
        gap_tell(peer, log, needed, peer->at[log], peer->resuming);
}

static void fell_off_all(struct worker *worker, const struct reader *reader) {
    uint64_t oldest = log_oldest(reader->log);
    struct list *next;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        next = node->next;
        uint32_t log = reader->index;
        if (peer_ready(peer) && peer_reads(peer, log) && !peer->waits && peer->at[log] < oldest)
            fell_off(peer, reader);
    }
}

/* ---- one stretch ---- */

struct stretch {
    struct worker *worker;
    struct reader *reader;
    const struct log_view *view; /* of the ring, or of a copy */
    uint32_t log;
    uint16_t source; /* index of the view */
    uint64_t from;
    uint64_t to;
};

/* The lowest position in [low, high) of those who are ready, and up to where they can be served together. */
static bool stretch_find(struct stretch *stretch, uint64_t low, uint64_t high) {
    struct worker *worker = stretch->worker;
    stretch->from = stretch->to = high;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, lagging);
        uint64_t at = peer->at[stretch->log];
        if (!peer_ready(peer) || !peer_reads(peer, stretch->log) || peer->waits || at < low ||
            at >= stretch->to)
            continue;
        if (at < stretch->from) {
            stretch->to = stretch->from;
            stretch->from = at;
        } else if (at > stretch->from) {
            stretch->to = at;
        }
    }
    return stretch->from < high;
}

/* Not beyond where another log comes first for somebody who is served. */
static void stretch_cut(struct stretch *stretch) {
    struct worker *worker = stretch->worker;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, lagging);
        if (!peer_reads(peer, stretch->log) || peer->waits || peer->at[stretch->log] != stretch->from)
            continue;
        uint64_t bound = cuts_bound(worker, stretch->log, peer->logs, peer->at);
        stretch->to = bound < stretch->to ? bound : stretch->to;
    }
}

/* Not more than a send takes, but at least one record. Under the gate. */
static void stretch_bound(struct stretch *stretch) {
    const struct log_view *view = stretch->view;
    uint64_t begin = log_view_entry(view, stretch->from)->offset;
    uint64_t position = stretch->from + 1;
    while (position < stretch->to && position - stretch->from < CATCHUP_RECORDS_MAX &&
           log_view_entry(view, position)->offset - begin < SEND_BYTES_MAX)
        position++;
    stretch->to = position;
}

/* A peer with young or filtered subscriptions gets a run record by record. Returns where it could not go on,
 * or the run's end. */
static uint64_t young_take(const struct stretch *stretch, struct peer *peer, uint64_t first, uint64_t end,
                           uint64_t *given) {
    const struct log_view *view = stretch->view;
    for (uint64_t position = first; position < end; position++) {
        const struct log_entry *entry = log_view_entry(view, position);
        if (!starts_want(peer, stretch->log, position, view))
            continue;
        if (output_slice(&peer->conn.out, &stretch->worker->pool, stretch->source, position, entry->offset,
                         entry->length) != 0)
            return position;
        ++*given;
    }
    return end;
}

/* The same; `*given` is how many events of it are on their way. */
static uint64_t run_take(const struct stretch *stretch, struct peer *peer, const struct run *run,
                         uint64_t *given) {
    uint64_t end = run->first + run->records;
    *given = 0;
    if (peer->young || peer->filtered)
        return young_take(stretch, peer, run->first, end, given);
    int added = output_slice(&peer->conn.out, &stretch->worker->pool, stretch->source, run->first,
                             run->offset, run->length);
    *given = added == 0 ? run->records : 0;
    return run->first + *given;
}

/* Takes part in this stretch; what the stretch itself has queued for it does not count against it. */
static bool stretch_serves(const struct stretch *stretch, const struct peer *peer) {
    return peer->at != NULL && !peer->starved && !peer->waits && !peer->retired && !peer->conn.blocked &&
           peer->at[stretch->log] == stretch->from;
}

static void stretch_take(void *context, const struct route *route, const struct run *run) {
    struct stretch *stretch = context;
    struct worker *worker = stretch->worker;
    for (uint32_t i = 0; i < route->count; i++) {
        struct peer *peer = worker->peers[route->members[i]];
        if (peer == NULL || !stretch_serves(stretch, peer))
            continue; /* a queue has a cursor of its own */
        if (run->expired) {
            counter_add(&worker->stats.events_expired, run->records);
            continue;
        }
        uint64_t given, reached = run_take(stretch, peer, run, &given);
        counter_add(&worker->stats.deliveries, given);
        peer->given += given;
        list_add(&worker->dirty, &peer->dirty);
        if (reached == run->first + run->records)
            continue;
        counter_add(&worker->stats.pool_empty, 1); /* it goes on from here in a later turn */
        peer->starved = true;
        peer->at[stretch->log] = reached;
    }
}

/* Where it goes on behind a stretch: who only waits for single records passes over what lies between. */
static uint64_t stretch_next(const struct stretch *stretch, const struct peer *peer) {
    uint64_t cursor = stretch->reader->cursor;
    if (!peer->picking)
        return stretch->to;
    uint64_t needed = starts_needed(peer, stretch->log, stretch->to);
    return needed < cursor ? needed : cursor;
}

/* Those who stood at the beginning now stand at the end; what is not sent takes them back. */
static void stretch_advance(struct stretch *stretch) {
    struct worker *worker = stretch->worker;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = node->next) {
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        if (stretch_serves(stretch, peer))
            peer->at[stretch->log] = stretch_next(stretch, peer);
        peer->starved = false;
    }
}

static void stretch_retreat(struct stretch *stretch) {
    struct worker *worker = stretch->worker;
    struct list *next;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        next = node->next;
        if (peer->conn.out.slices > 0 && !retreat(peer, peer->at))
            peer_close(peer, true);
    }
}

static void stretch_serve(struct stretch *stretch) {
    struct worker *worker = stretch->worker;
    if (worker->cuts_first < worker->cuts_seen)
        stretch_cut(stretch);
    stretch_bound(stretch);
    delivery_route(worker, stretch->view, stretch->from, stretch->to, stretch_take, stretch);
    counter_add(&worker->stats.catch_up_records, stretch->to - stretch->from);
    stretch_advance(stretch);
    delivery_send(worker);
    stretch_retreat(stretch);
}

static bool step_ring(struct worker *worker, struct reader *reader) {
    struct stretch stretch = {.worker = worker,
                              .reader = reader,
                              .view = worker->views[reader->index],
                              .log = reader->index,
                              .source = (uint16_t)reader->index};
    bool history = history_has(worker, reader->index);
    if (!stretch_find(&stretch, history ? log_oldest(reader->log) : 0, reader->cursor))
        return false;
    if (!log_reader_lower(reader->log, reader->past, stretch.from)) {
        if (!history)
            fell_off_all(worker, reader);
        return true;
    }
    stretch_serve(&stretch);
    log_reader_idle(reader->log, reader->past);
    return true;
}

/* ---- behind the ring ---- */

/* Calls for those who can be served and stand in [from, to) of a log. */
static void each_ready(struct worker *worker, uint32_t log, uint64_t from, uint64_t to,
                       void (*call)(struct peer *, uint32_t, const struct history_request *),
                       const struct history_request *request) {
    struct list *next;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        next = node->next;
        if (peer_ready(peer) && peer_reads(peer, log) && peer->at[log] >= from && peer->at[log] < to)
            call(peer, log, request);
    }
}

/* Goes on at `to`: what is due before is nowhere any more. False: nothing was, or the peer goes. */
static bool passes(struct peer *peer, uint32_t log, uint64_t to, uint64_t *needed) {
    uint64_t cursor = peer->worker->readers[log].cursor;
    *needed = starts_needed(peer, log, peer->at[log]);
    bool misses = *needed < to;
    if (!misses)
        to = *needed;
    peer->at[log] = to < cursor ? to : cursor;
    return misses;
}

/* A cut has left a hole: that is nobody's fault who reads. */
static void hole_tell(struct peer *peer, uint32_t log, const struct history_request *request) {
    uint64_t needed;
    if (passes(peer, log, request->first, &needed))
        gap_tell(peer, log, needed, peer->at[log], true);
}

static void expired_tell(struct peer *peer, uint32_t log, const struct history_request *request) {
    static const struct fault fault = {.code = RH_CODE_SLOW_CONSUMER,
                                       .text = "too slow: the journal no longer keeps what you have not "
                                               "read. Subscribe with policy SKIP to be told of gaps instead"};
    uint64_t needed;
    if (!passes(peer, log, request->oldest, &needed))
        return;
    if (peer->policy == ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP || peer->resuming) {
        gap_tell(peer, log, needed, peer->at[log], true);
        return;
    }
    counter_add(&peer->worker->stats.slow_disconnects, 1);
    session_fail(&peer->session, &fault);
}

static void unread_tell(struct peer *peer, uint32_t log, const struct history_request *request) {
    static const struct fault fault = {.code = RH_CODE_INTERNAL,
                                       .text = "the journal can not be read at your position: the server's "
                                               "log says why"};
    (void)log;
    (void)request;
    counter_add(&peer->worker->stats.history_failures, 1);
    session_fail(&peer->session, &fault);
}

/* The journal may keep less than the ring: then who stands in the ring misses nothing. */
static void stretch_expired(struct worker *worker, struct behind *behind) {
    const struct reader *reader = &worker->readers[behind->log];
    struct history_request *request = &behind->request;
    uint64_t below = log_oldest(reader->log);
    if (request->oldest < below)
        below = request->oldest;
    else if (request->oldest > gap_end(reader))
        request->oldest = gap_end(reader);
    each_ready(worker, behind->log, 0, below, expired_tell, request);
}

static void stretch_refused(struct worker *worker, struct behind *behind) {
    const struct history_request *request = &behind->request;
    behind->state = BEHIND_FREE;
    if (request->result == -ERANGE && request->oldest > request->from) {
        stretch_expired(worker, behind);
        return;
    }
    uint32_t left_out;
    if (logfmt_allowed(&worker->error_limit, worker->now_ns, &left_out))
        logfmt(LOGFMT_ERROR, "the journal can not be read: subscribers who need it are disconnected",
               "log=%u position=%llu error=\"%s\" left_out=%u", log_number(worker->readers[behind->log].log),
               (unsigned long long)request->from, strerror(-request->result), left_out);
    each_ready(worker, behind->log, request->from, request->from + 1, unread_tell, request);
}

static bool step_copy(struct worker *worker, struct reader *reader, struct behind *behind) {
    const struct history_request *request = &behind->request;
    uint64_t high = request->end < reader->cursor ? request->end : reader->cursor;
    struct stretch stretch = {.worker = worker,
                              .reader = reader,
                              .view = &behind->view,
                              .log = reader->index,
                              .source = (uint16_t)(OUTPUT_COPY + reader->index)};
    if (request->first > request->from)
        each_ready(worker, behind->log, request->from, request->first, hole_tell, request);
    if (!stretch_find(&stretch, request->first, high))
        return false;
    worker->views[stretch.source] = stretch.view;
    stretch_serve(&stretch);
    behind->used = counter_get(&worker->stats.turns);
    return true;
}

/* Somebody can go on in it now. */
static bool stretch_wanted(const struct worker *worker, const struct behind *behind) {
    const struct history_request *request = &behind->request;
    uint64_t oldest = log_oldest(worker->readers[behind->log].log);
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, lagging);
        uint64_t at = peer->at[behind->log];
        if (peer_ready(peer) && peer_reads(peer, behind->log) && at >= request->from && at < request->end &&
            at < oldest)
            return true;
    }
    return false;
}

/* A place for another one: the one that nobody wants for the longest time. */
static struct behind *stretch_spare(const struct worker *worker) {
    struct behind *found = NULL;
    for (uint32_t i = 0; i < HISTORY_STRETCHES; i++) {
        struct behind *behind = &worker->behind[i];
        if (behind->state == BEHIND_FREE)
            return behind;
        if (behind->state == BEHIND_THERE && (found == NULL || behind->used < found->used) &&
            !stretch_wanted(worker, behind))
            found = behind;
    }
    return found;
}

/* Asks for what a laggard needs; who has asked stands behind the others. False: there is no place. */
static bool peer_asks(struct peer *peer, uint32_t log) {
    struct worker *worker = peer->worker;
    struct reader *reader = &worker->readers[log];
    uint64_t needed = starts_needed(peer, log, peer->at[log]);
    peer->at[log] = needed < reader->cursor ? needed : reader->cursor;
    worker->worked = worker->worked || peer->at[log] >= log_oldest(reader->log);
    if (peer->at[log] >= log_oldest(reader->log))
        return true;
    if (history_at(worker, log, peer->at[log]) != NULL) {
        worker->worked = true;
        return true;
    }
    struct behind *spare = stretch_spare(worker);
    if (spare == NULL)
        return false;
    history_ask(worker, spare, log, HISTORY_READ, peer->at[log],
                peer->picking ? HISTORY_PICK_BYTES : HISTORY_BYTES);
    list_remove(&peer->lagging);
    list_add(&worker->lagging, &peer->lagging);
    return true;
}

/* False: some must wait for a place. */
static bool peers_ask(struct worker *worker, const struct reader *reader) {
    uint64_t oldest = log_oldest(reader->log);
    uint32_t log = reader->index;
    struct list *last = worker->lagging.prev; /* of those who were here; who asks comes behind it */
    struct list *next = worker->lagging.next;
    for (struct list *node = &worker->lagging; node != last;) {
        node = next;
        next = node->next;
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        if (peer_ready(peer) && peer_reads(peer, log) && peer->at[log] < oldest &&
            peer->at[log] < reader->cursor && history_at(worker, log, peer->at[log]) == NULL &&
            !peer_asks(peer, log))
            return false;
    }
    return true;
}

/* Behind a stretch that is being read comes the next one, while that one is sent. */
static void stretch_ahead(struct worker *worker, const struct reader *reader, const struct behind *behind) {
    uint64_t end = behind->request.end;
    if (behind->state != BEHIND_THERE || behind->log != reader->index || end >= reader->cursor ||
        end >= log_oldest(reader->log) || behind->request.bytes_max < HISTORY_BYTES ||
        behind->used != counter_get(&worker->stats.turns) || history_at(worker, behind->log, end) != NULL)
        return;
    struct behind *spare = stretch_spare(worker);
    if (spare != NULL && spare != behind)
        history_ask(worker, spare, behind->log, HISTORY_READ, end, HISTORY_BYTES);
}

static bool step_behind(struct worker *worker, struct reader *reader) {
    bool any = false;
    if (!history_has(worker, reader->index))
        return false;
    for (uint32_t i = 0; i < HISTORY_STRETCHES; i++) {
        struct behind *behind = &worker->behind[i];
        if (behind->log != reader->index)
            continue;
        if (behind->state == BEHIND_REFUSED) {
            stretch_refused(worker, behind);
            any = true;
        } else if (behind->state == BEHIND_THERE && step_copy(worker, reader, behind)) {
            any = true;
        }
    }
    bool room = peers_ask(worker, reader);
    for (uint32_t i = 0; room && i < HISTORY_STRETCHES; i++)
        stretch_ahead(worker, reader, &worker->behind[i]);
    return any;
}

/* Who stands where a slot has come in, and has not seen the end of it in the log where it was, waits. */
static void waits_note(struct worker *worker, uint32_t log) {
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = node->next) {
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        peer->waits = peer_reads(peer, log) && cuts_bound(worker, log, peer->logs, peer->at) <= peer->at[log];
    }
}

static bool step_log(struct worker *worker, struct reader *reader) {
    if (worker->cuts_seen > 0)
        waits_note(worker, reader->index);
    bool behind = step_behind(worker, reader);
    return step_ring(worker, reader) || behind;
}

/* ---- once per turn ---- */

static bool peer_caught_up(const struct peer *peer) {
    const struct worker *worker = peer->worker;
    if (!peer_ready(peer))
        return false;
    for (uint32_t i = 0; i < worker->log_count; i++)
        if (peer_reads(peer, i) && peer->at[i] < worker->readers[i].cursor)
            return false;
    return true;
}

bool catchup_step(struct worker *worker) {
    bool any = false;
    struct list *next;
    if (list_empty(&worker->lagging))
        return false;
    for (uint32_t i = 0; i < worker->log_count; i++)
        if (worker->readers[i].attached && step_log(worker, &worker->readers[i]))
            any = true;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, lagging);
        next = node->next;
        if (peer_caught_up(peer))
            catchup_leave(peer);
    }
    return any;
}

static void floor_peer(struct peer *peer, const struct reader *reader, uint64_t oldest, uint64_t *floor) {
    uint32_t log = reader->index;
    uint64_t at = peer->at[log];
    bool disconnects = peer->policy != ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP && !peer->resuming;
    if (peer->retired || !peer_reads(peer, log))
        return;
    if (at >= oldest)
        *floor = at < *floor ? at : *floor;
    else if (disconnects && !peer_ready(peer))
        fell_off(peer, reader);
}

static uint64_t floor_of(struct worker *worker, const struct reader *reader) {
    uint64_t floor = LOG_IDLE;
    uint64_t oldest = log_oldest(reader->log);
    struct list *next;
    for (struct list *node = worker->lagging.next; node != &worker->lagging; node = next) {
        next = node->next;
        floor_peer(LIST_OF(node, struct peer, lagging), reader, oldest, &floor);
    }
    return floor >= reader->cursor ? LOG_IDLE : floor;
}

void catchup_floors(struct worker *worker) {
    bool laggards = !list_empty(&worker->lagging);
    for (uint32_t i = 0; i < worker->log_count; i++) {
        struct reader *reader = &worker->readers[i];
        /* nobody waits for what nobody here subscribes to any more, or can be read behind the ring */
        bool waits = laggards && reader->attached && !history_has(worker, i);
        uint64_t floor = waits ? floor_of(worker, reader) : LOG_IDLE;
        if (floor != reader->floor)
            log_reader_laggard(reader->log, reader->past, floor);
        reader->floor = floor;
    }
}
