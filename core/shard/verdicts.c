/* What homes say against events: that they are duplicates, or that there is no room for them.
 *
 * An event that its home may answer carries its publisher's address, and what the home says travels back in a
 * ring of its own beside the link. Nothing ever waits in front of it there, so two workers whose links are
 * full can not wait for each other. A verdict is published before the link is released past its event; and
 * whoever settles acknowledgements first looks how far the links are released, then reads what has come back,
 * and settles no further than that look. So no event is acknowledged before what is said of it is known. */
#include "core/shard/worker.h"

#include <string.h>

struct verdict_record {
    struct forward_from from;
    struct verdict verdict;
};

struct forward_from verdict_address(const struct peer *peer, uint64_t ordinal) {
    return (struct forward_from){.peer = (uint64_t)peer->serial << 32 | peer->member, .ordinal = ordinal};
}

/* NULL: it is gone. */
static struct peer *peer_at(const struct worker *worker, uint64_t address) {
    uint32_t member = (uint32_t)address;
    struct peer *peer = member < worker->peers_capacity ? worker->peers[member] : NULL;
    return peer != NULL && peer->serial == (uint32_t)(address >> 32) ? peer : NULL;
}

/* ---- at the home ---- */

bool verdict_send(struct link_in *link, const struct forward_from *from, const struct verdict *verdict) {
    struct verdict_record record = {.from = *from, .verdict = *verdict};
    uint8_t *out;
    CHECK(link->back != NULL);
    if (spsc_reserve(link->back, sizeof record, &out) != RING_OK) {
        wanted_set(spsc_wanted(link->back));
        link->back_waits = true;
        if (spsc_reserve(link->back, sizeof record, &out) != RING_OK)
            return false;
    }
    memcpy(out, &record, sizeof record);
    spsc_commit(link->back, sizeof record);
    link->said = true;
    return true;
}

void verdicts_publish(struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        struct link_in *link = &worker->in[i];
        link->back_waits = false;
        if (!link->said)
            continue;
        link->said = false;
        if (spsc_publish(link->back))
            wake_signal(&way_worker(worker->shards, i)->wake);
    }
}

/* ---- at the publisher's worker ---- */

void verdict_tell(struct peer *peer, uint64_t ordinal, const struct verdict *verdict) {
    struct worker_stats *stats = &peer->worker->stats;
    struct session_exception exception = {.ordinal = ordinal, .duplicate_of = verdict->duplicate_of};
    if (verdict->fault != NULL) {
        exception.fault = *verdict->fault;
        counter_add(&stats->events_refused, 1);
        counter_add(&stats->errors_event, 1);
    } else {
        counter_add(&stats->events_duplicate, 1);
    }
    if (peer->session.acks) {
        if (!acks_except(peer, &exception))
            peer_close(peer, true); /* what became of its events it must find out by sending them again */
    } else if (verdict->fault != NULL && !peer->shut) {
        session_error(&peer->session, &exception.fault, ordinal, 0);
        peer_touch(peer);
    }
}

static void verdicts_take(struct worker *worker, struct link_out *link) {
    const uint8_t *bytes;
    uint32_t length;
    bool any = false;
    while ((bytes = spsc_peek(link->back, &length)) != NULL) {
        struct verdict_record record;
        memcpy(&record, bytes, sizeof record);
        struct peer *peer = peer_at(worker, record.from.peer);
        if (peer != NULL)
            verdict_tell(peer, record.from.ordinal, &record.verdict);
        any = true;
    }
    if (any)
        spsc_consume(link->back);
}

void verdicts_read(struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        struct link_out *link = &worker->out[i];
        if (link->ring == NULL)
            continue;
        link->consumed = spsc_consumed(link->ring);
        link->settled = spsc_settled(link->ring);
        if (link->back == NULL)
            continue;
        verdicts_take(worker, link);
        if (wanted_take(spsc_wanted(link->back)))
            wake_signal(&way_worker(worker->shards, i)->wake);
    }
}

bool verdicts_news(const struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        const struct link_out *out = &worker->out[i];
        const struct link_in *in = &worker->in[i];
        if (out->back != NULL && spsc_pending(out->back))
            return true;
        if (in->back_waits && !wanted_waits(spsc_wanted(in->back)))
            return true; /* room was made, and perhaps rung for while we were awake */
    }
    return false;
}
