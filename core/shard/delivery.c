/* From the logs to the peers: route new records by runs, give each run to its subscribers as one slice, send
 * once per peer and turn. */
#include "core/shard/moves.h"

/* ---- readers ---- */

bool delivery_attach(struct reader *reader) {
    for (int tries = 0; tries < 3; tries++) {
        uint64_t live = log_visible(reader->log);
        /* it may still stand where slices of an earlier subscription wait: that protects what is new, too */
        if (log_reader_gate(reader->log, reader->gate) == LOG_IDLE &&
            !log_reader_lower(reader->log, reader->gate, live))
            continue; /* the ring lapped within the call */
        reader->cursor = live;
        reader->attached = true;
        return true;
    }
    return false;
}

/* The gate stays where it is: outputs may still hold slices. delivery_gates lets go of it. */
void delivery_detach(struct reader *reader) {
    reader->attached = false;
}

uint64_t delivery_live_end(const struct reader *reader) {
    return reader->attached ? reader->cursor : log_visible(reader->log);
}

void delivery_position(void *user, struct position *out) {
    struct peer *peer = user;
    struct worker *worker = peer->worker;
    out->count = worker->log_count;
    out->undone = peer->at != NULL && peer->young ? starts_undone(peer) : 0;
    for (uint32_t i = 0; i < sizeof out->instance; i++)
        out->instance[i] = worker->shards->facts.instance[i];
    for (uint32_t i = 0; i < out->count; i++) {
        const struct reader *reader = &worker->readers[i];
        uint64_t at =
            peer->at != NULL && peer_reads(peer, i) ? starts_stand(peer, i) : delivery_live_end(reader);
        out->logs[i].number = log_number(reader->log);
        out->logs[i].next = sequence_make(log_epoch(worker->shards, i), at);
    }
}

/* ---- routing ---- */

#define RUN_BYTES_MAX (1u << 30)

static void run_end(struct worker *worker, const struct route *route, struct run *run, delivery_take *take,
                    void *context) {
    if (run->records > 0 && route != NULL) {
        counter_add(&worker->stats.runs, route->count > 0);
        take(context, route, run);
    }
    run->records = 0;
    run->length = 0;
}

static const struct route *route_entry(struct worker *worker, const struct log_view *view,
                                       const struct log_entry *entry) {
    const uint8_t *name = log_view_bytes(view, entry->offset) + log_flags_topic_at(entry->flags);
    return route_of(worker->routes, entry->topic, name, log_flags_topic_length(entry->flags));
}

void delivery_route(struct worker *worker, const struct log_view *view, uint64_t from, uint64_t to,
                    delivery_take *take, void *context) {
    const struct route *route = NULL; /* of the run */
    const struct route *next = NULL;  /* of `topic` */
    uint64_t topic = 0;               /* no event has it */
    struct run run = {0};
    for (uint64_t position = from; position < to; position++) {
        const struct log_entry *entry = log_view_entry(view, position);
        bool plain = log_flags_type(entry->flags) == LOG_EVENT;
        if (UNLIKELY(!plain && !log_flags_event(entry->flags))) {
            run_end(worker, route, &run, take, context);
            continue;
        }
        if (entry->topic != topic) {
            next = route_entry(worker, view, entry);
            topic = entry->topic;
        }
        bool expired =
            UNLIKELY(!plain) && next != NULL && next->count > 0 && expiry_over(worker, view, entry);
        if (run.records > 0 &&
            (next != route || expired != run.expired || run.length > RUN_BYTES_MAX - entry->length ||
             run.offset + run.length != entry->offset))
            run_end(worker, route, &run, take, context);
        if (run.records == 0) {
            route = next;
            run.first = position;
            run.offset = entry->offset;
            run.expired = expired;
        }
        run.length += entry->length;
        run.records++;
    }
    run_end(worker, route, &run, take, context);
}

/* ---- live ---- */

struct live {
    struct worker *worker;
    uint16_t log;
    bool traced; /* the run that is given has a traced event */
};

/* So many records of a run are given to all who are apart before the next ones. */
#define APART_RECORDS 1024u
static_assert(APART_RECORDS <= FILTER_SAID, "so that they share what a filter says: see filters.h");

/* The peer that holds the most items makes room for the others. */
static void pool_relieve(struct worker *worker) {
    struct peer *largest = NULL;
    for (struct list *node = worker->all.next; node != &worker->all; node = node->next) {
        struct peer *peer = LIST_OF(node, struct peer, all);
        if (peer->at == NULL && (largest == NULL || peer->conn.out.slices > largest->conn.out.slices))
            largest = peer;
    }
    counter_add(&worker->stats.pool_empty, 1);
    if (largest != NULL)
        catchup_enter(largest);
}

/* A laggard comes to these records by its own cursor. */
static inline void peer_take(struct live *live, struct peer *peer, const struct run *run) {
    struct worker *worker = live->worker;
    if (peer->at != NULL || peer->retired)
        return;
    if (run->expired) {
        counter_add(&worker->stats.events_expired, run->records);
        return;
    }
    if (output_slice(&peer->conn.out, &worker->pool, live->log, run->first, run->offset, run->length) == 0) {
        counter_add(&worker->stats.deliveries, run->records);
        peer->given += run->records;
        list_add(&worker->dirty, &peer->dirty);
        if (UNLIKELY(live->traced))
            trace_given(worker, peer, live->log, run);
        return;
    }
    pool_relieve(worker);
    if (peer->at == NULL)
        catchup_enter(peer); /* its cursor stands where this walk began, so it comes here again */
}

static void part_take(struct live *live, struct peer *peer, struct run *part) {
    if (part->records == 0)
        return;
    if (peer->block != NULL)
        block_note(peer, live->worker->readers[live->log].log, part);
    peer_take(live, peer, part);
    part->records = part->length = 0;
}

/* The parts of a run that pass. */
static void filtered_take(struct live *live, struct peer *peer, const struct run *run) {
    struct worker *worker = live->worker;
    const struct log_view *view = worker->views[live->log];
    struct run part = {.expired = run->expired};
    if (peer->retired || (peer->at != NULL && peer->block == NULL))
        return;
    for (uint64_t position = run->first; position < run->first + run->records; position++) {
        const struct log_entry *entry = log_view_entry(view, position);
        if (!starts_want(peer, live->log, position, view)) {
            part_take(live, peer, &part);
            continue;
        }
        if (part.records == 0) {
            part.first = position;
            part.offset = entry->offset;
        }
        part.length += entry->length;
        part.records++;
    }
    part_take(live, peer, &part);
}

/* Those who do not just get what all get. */
static void apart_take(struct live *live, const struct route *route, const struct run *run) {
    for (uint32_t i = 0; i < route->count; i++) {
        struct peer *peer = live->worker->peers[route->members[i]];
        if (peer == NULL || !peer->apart)
            continue;
        struct run whole = *run;
        if (peer->filtered)
            filtered_take(live, peer, run);
        else
            part_take(live, peer, &whole);
    }
}

static void apart_take_all(struct live *live, const struct route *route, const struct run *run) {
    const struct log_view *view = live->worker->views[live->log];
    for (uint32_t done = 0; done < run->records;) {
        uint32_t left = run->records - done, records = left < APART_RECORDS ? left : APART_RECORDS;
        uint64_t first = run->first + done;
        const struct log_entry *last = log_view_entry(view, first + records - 1);
        struct run some = {.first = first,
                           .offset = log_view_entry(view, first)->offset,
                           .records = records,
                           .expired = run->expired};
        some.length = (uint32_t)(last->offset + last->length - some.offset);
        apart_take(live, route, &some);
        done += records;
    }
}

static void live_take(void *context, const struct route *route, const struct run *run) {
    struct live *live = context;
    struct worker *worker = live->worker;
    bool apart = false;
    live->traced = UNLIKELY(worker->traces.count > 0) && trace_pass(worker, live->log, route, run);
    if (route->count == 0)
        unmatched_run(worker, live->log, run);
    for (uint32_t i = 0; i < route->count; i++) {
        struct peer *peer = worker->peers[route->members[i]];
        if (UNLIKELY(peer == NULL))
            keeper_offer(worker, route->members[i], live->log, run);
        else if (UNLIKELY(peer->apart))
            apart = true;
        else
            peer_take(live, peer, run);
    }
    if (UNLIKELY(apart))
        apart_take_all(live, route, run);
    if (UNLIKELY(live->traced))
        trace_routed(worker, live->log, run);
}

void delivery_walk_to(struct worker *worker, uint32_t log, uint64_t to) {
    struct reader *reader = &worker->readers[log];
    struct live live = {.worker = worker, .log = (uint16_t)log};
    if (!reader->attached || to <= reader->cursor)
        return;
    delivery_route(worker, worker->views[log], reader->cursor, to, live_take, &live);
    reader->cursor = reader->judged = to;
    worker->worked = true;
}

void delivery_walk(struct worker *worker) {
    for (uint32_t i = 0; i < worker->log_count; i++) {
        const struct reader *reader = &worker->readers[i];
        if (!reader->attached) {
            if (worker->home_of[i] != NULL)
                unmatched_look(worker, i, log_visible(reader->log));
            continue;
        }
        uint64_t visible = log_visible(reader->log);
        cuts_look(worker);
        delivery_walk_to(worker, i, visible);
    }
}

/* ---- sending ---- */

/* Hands one peer's output to io_send; false when staging or the pieces are used up and must be flushed first.
 */
static bool peer_send(struct worker *worker, struct peer *peer) {
    if (worker->iov_used == SENDS_PER_FLUSH_MAX)
        return false;
    struct iovec *iov = worker->iov[worker->iov_used];
    uint32_t pieces = output_gather(&peer->conn.out, worker->views, &worker->staging, iov);
    if (pieces == 0)
        return false;
    worker->iov_used++;
    for (uint32_t i = 0; i < pieces; i++)
        peer->conn.offered += (uint32_t)iov[i].iov_len;
    io_send(peer->conn.io, peer->conn.handle, iov, pieces);
    return true;
}

static void flush(struct worker *worker) {
    if (worker->iov_used > 0)
        io_flush(worker->io);
    counter_max(&worker->stats.staging_high_water, worker->staging.used_most);
    worker->staging.used = 0;
    worker->iov_used = 0;
}

static bool peer_sendable(const struct peer *peer) {
    return !peer->shut && !peer->conn.blocked && peer->conn.out.first != NULL;
}

void delivery_send(struct worker *worker) {
    struct list now;
    struct list *node;
    list_move(&worker->dirty, &now);
    while ((node = list_take(&now)) != NULL) {
        struct peer *peer = LIST_OF(node, struct peer, dirty);
        if (peer->conn.out.slices > 0)
            list_add(&worker->holding, &peer->holding);
        if (!peer_sendable(peer))
            continue;
        if (!peer_send(worker, peer)) {
            flush(worker); /* which may tell anything, also that this peer is gone */
            CHECK(!peer_sendable(peer) || peer_send(worker, peer)); /* staging is empty now */
        }
    }
    flush(worker);
}

/* All is sent. After a Goodbye that is the end; after a fatal Error we wait a little for the client to read
 * it and leave. */
static void peer_drained(struct peer *peer) {
    if (peer->farewell)
        peer_close(peer, false);
}

void delivery_sent(void *owner, void *user, int64_t result) {
    struct worker *worker = owner;
    struct peer *peer = user;
    struct conn *conn = &peer->conn;
    uint32_t offered = conn->offered;
    conn->offered = 0;
    if (result < 0) {
        peer_close(peer, true);
        return;
    }
    counter_add(&worker->stats.deliveries_bytes, (uint64_t)result);
    output_sent(&conn->out, &worker->pool, (uint64_t)result);
    peer->sent_bytes += (uint64_t)result;
    if (result > 0)
        peer->wrote_ns = worker->now_ns;
    if (UNLIKELY(worker->traces.count > 0))
        trace_sent(worker, peer, (uint64_t)result);
    if (conn->out.slices == 0) {
        list_remove(&peer->holding);
        if (peer->young && peer->at == NULL)
            starts_over(peer); /* nothing of before any subscription is left to go back to */
    }
    if ((uint64_t)result < offered) {
        conn->blocked = true;
        io_want_writable(conn->io, conn->handle);
    }
    if (conn->out.first == NULL)
        peer_drained(peer);
    peer_touch(peer);
}

/* ---- gates ---- */

/* How far behind the live end a slice may stay before its holder becomes a laggard: a quarter of the ring. */
static bool holds_too_much(const struct reader *reader, uint64_t position) {
    const struct log *log = reader->log;
    if (position >= reader->cursor)
        return false;
    uint64_t bytes = log_entry_at(log, reader->cursor - 1)->offset - log_entry_at(log, position)->offset;
    return bytes > log_data_bytes(log) / 4 || reader->cursor - position > log_records(log) / 4;
}

/* The lowest position that slices for this log still need, after those who hold too much (or all) have fallen
 * back. */
static uint64_t holders_lowest(struct worker *worker, const struct reader *reader, bool all) {
    uint64_t lowest = reader->cursor;
    struct list *next;
    for (struct list *node = worker->holding.next; node != &worker->holding; node = next) {
        struct peer *peer = LIST_OF(node, struct peer, holding);
        next = node->next;
        if (peer->conn.out.slices == 0)
            continue;
        uint64_t position =
            output_lowest(&peer->conn.out, worker->views[reader->index], (uint16_t)reader->index);
        if (position == UINT64_MAX)
            continue;
        if ((all || holds_too_much(reader, position)) && catchup_enter(peer))
            continue;
        if (peer->conn.out.slices > 0 && position < lowest)
            lowest = position;
    }
    return lowest;
}

/* Looking at all holders costs their number, so it is done once per claim step of the ring, and before a
 * sleep. */
static bool gate_behind(const struct reader *reader, uint64_t gate) {
    const struct log *log = reader->log;
    if (gate >= reader->cursor)
        return false;
    uint64_t bytes = log_entry_at(log, reader->cursor - 1)->offset - log_entry_at(log, gate)->offset;
    return bytes > log_data_bytes(log) / LOG_CLAIM_STEPS ||
           reader->cursor - gate > log_records(log) / LOG_CLAIM_STEPS;
}

/* Where a reader's gate may rise to. A log that nobody subscribes to here any more is held for what is still
 * to be sent of it, and that falls behind as the log goes on. */
static uint64_t gate_next(struct worker *worker, struct reader *reader, bool sleeping) {
    uint64_t gate = log_reader_gate(reader->log, reader->gate);
    if (gate == LOG_IDLE)
        return LOG_IDLE;
    if (!reader->attached)
        reader->cursor = log_visible(reader->log);
    if (worker->pool.used == 0)
        return reader->cursor;
    if (gate < reader->cursor && (sleeping || !reader->attached || gate_behind(reader, gate)))
        return holders_lowest(worker, reader, sleeping);
    return gate;
}

static void gate_rise(struct reader *reader, uint64_t to) {
    if (to == LOG_IDLE)
        return;
    if (!reader->attached && to == reader->cursor)
        log_reader_idle(reader->log, reader->gate);
    else
        log_reader_raise(reader->log, reader->gate, to);
}

void delivery_gates(struct worker *worker, bool sleeping) {
    uint32_t logs = worker->log_count;
    uint64_t fallen = counter_get(&worker->stats.catch_up_entered);
    uint64_t to[LOGS_MAX];
    for (uint32_t i = 0; i < logs; i++)
        to[i] = gate_next(worker, &worker->readers[i], sleeping);
    if (counter_get(&worker->stats.catch_up_entered) != fallen)
        catchup_floors(worker); /* first: behind the gates only the floors speak for those who fell back */
    for (uint32_t i = 0; i < logs; i++) {
        CHECK_HOT(!sleeping || to[i] == LOG_IDLE || to[i] == worker->readers[i].cursor);
        gate_rise(&worker->readers[i], to[i]);
    }
    counter_max(&worker->stats.slices_high_water, worker->pool.used_most);
}
