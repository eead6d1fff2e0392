/* To the homes of other workers, and from other workers.
 *
 * A link is a byte ring (ring/spsc.h); there is one for each class of topics, as a log that waits for its
 * disk must not hold up what goes into memory. Each of its records is a `struct forward`, the publisher's
 * address if the event is judged (verdicts.c), and the frame as the log will hold it, or, when that is larger
 * than SPSC_INLINE_MAX, the address of a buffer that holds it. Such a buffer is lent: it is freed when the
 * home has consumed past it, which is also when its publisher is told. Addresses take little of the ring, so
 * what is lent has a bound of its own.
 *
 * Events of one shape and topic that follow each other travel as a train: one `struct forward` for all of
 * their frames, which are copied in one piece on either side. */
#include "core/shard/worker.h"

#include <stdlib.h>
#include <string.h>

struct lent {
    struct lent *next;
    uint64_t until;
    uint32_t length;
    uint8_t bytes[];
};

/* ---- to another home ---- */

static struct link_out *link_to(struct worker *worker, uint32_t way) {
    const struct shards *shards = worker->shards;
    struct link_out *link = &worker->out[way];
    uint64_t bytes = shards->config.link_bytes;
    if (link->ring == NULL && spsc_create(&link->ring, bytes != 0 ? bytes : SPSC_BYTES) != 0)
        return NULL;
    if (link->back == NULL && spsc_create(&link->back, VERDICT_BYTES) != 0)
        return NULL;
    if (!link->announced) {
        struct worker *other = way_worker(shards, way);
        struct mpsc_command command = {.kind = COMMAND_LINK,
                                       .small = way_of(shards, worker->number, way_class(shards, way))};
        command.word[0] = (uint64_t)(uintptr_t)link->ring;
        command.word[1] = (uint64_t)(uintptr_t)link->back;
        link->announced = mpsc_push(other->mailbox, &command) == RING_OK;
        wake_signal(&other->wake);
    }
    return link->announced ? link : NULL;
}

void link_want(struct link_out *link) {
    wanted_set(spsc_wanted(link->ring));
    if (!link->refused)
        link->refused_at = spsc_consumed(link->ring);
    link->refused = true;
}

static enum ring_result link_reserve(struct link_out *link, uint32_t length, uint8_t **out) {
    if (spsc_reserve(link->ring, length, out) == RING_OK)
        return RING_OK;
    link_want(link);
    return spsc_reserve(link->ring, length, out);
}

static void lent_free_until(struct link_out *link, uint64_t consumed) {
    while (link->lent != NULL && link->lent->until <= consumed) {
        struct lent *next = link->lent->next;
        link->lent_bytes -= link->lent->length;
        free(link->lent);
        link->lent = next;
    }
}

/* One may always be lent, however large. */
static bool lent_fits(struct link_out *link, uint32_t length) {
    lent_free_until(link, spsc_consumed(link->ring));
    return link->lent_bytes == 0 || link->lent_bytes + length <= LENT_BYTES_MAX;
}

static bool lent_room(struct link_out *link, uint32_t length) {
    if (lent_fits(link, length))
        return true;
    link_want(link);
    return lent_fits(link, length);
}

static struct lent *lent_new(const struct forward *forward) {
    struct lent *lent = malloc(sizeof(struct lent) + forward->length);
    if (lent != NULL)
        lent->length = forward->length;
    return lent;
}

static void lent_add(struct link_out *link, struct lent *lent) {
    lent->until = spsc_committed(link->ring);
    lent->next = NULL;
    link->lent_bytes += lent->length;
    if (link->lent == NULL)
        link->lent = lent;
    else
        link->lent_last->next = lent;
    link->lent_last = lent;
}

/* Bytes in front of the frame. */
static uint32_t forward_head(const struct forward *forward) {
    return (uint32_t)(sizeof *forward + (forward->judged ? sizeof(struct forward_from) : 0));
}

static void forward_write(uint8_t *out, const struct forward *forward, const struct peer *peer) {
    memcpy(out, forward, sizeof *forward);
    if (!forward->judged)
        return;
    struct forward_from from = verdict_address(peer, peer->session.ordinal);
    memcpy(out + sizeof *forward, &from, sizeof from);
}

static void link_given(struct worker *worker, struct link_out *link, uint32_t count) {
    link->fresh = true;
    worker->worked = true; /* perhaps behind this turn's publishing: no sleep before the next one */
    counter_add(&worker->stats.events_forwarded, count);
}

static bool forward_large(const struct peer *peer, struct link_out *link, struct forward *forward,
                          const struct wire_event *event) {
    uint8_t *out;
    uint32_t head = forward_head(forward);
    if (!lent_room(link, forward->length) || link_reserve(link, head, &out) != RING_OK)
        return false;
    struct lent *lent = lent_new(forward);
    if (lent == NULL)
        return false;
    forward->topic_at = (uint8_t)wire_record_write(lent->bytes, 1, event);
    forward->large = lent->bytes;
    forward_write(out, forward, peer);
    spsc_commit(link->ring, head);
    lent_add(link, lent);
    return true;
}

static bool forward_inline(const struct peer *peer, struct link_out *link, struct forward *forward,
                           const struct wire_event *event) {
    uint8_t *out;
    uint32_t head = forward_head(forward);
    if (link_reserve(link, head + forward->length, &out) != RING_OK)
        return false;
    forward->topic_at = (uint8_t)wire_record_write(out + head, 1, event);
    forward_write(out, forward, peer);
    spsc_commit(link->ring, head + forward->length);
    return true;
}

bool link_give(struct worker *worker, const struct peer *peer, uint32_t way, struct forward *forward,
               const struct wire_event *event) {
    struct link_out *link = link_to(worker, way);
    if (link == NULL)
        return false;
    bool large = forward->length > SPSC_INLINE_MAX;
    if (!(large ? forward_large(peer, link, forward, event) : forward_inline(peer, link, forward, event)))
        return false;
    link_given(worker, link, 1);
    return true;
}

uint32_t link_train_most(struct worker *worker, uint32_t way, uint32_t length) {
    struct link_out *link = link_to(worker, way);
    if (link == NULL)
        return 0;
    uint32_t bytes = spsc_record_most(link->ring);
    uint32_t head = sizeof(struct forward);
    if (bytes > SPSC_INLINE_MAX)
        bytes = SPSC_INLINE_MAX;
    uint32_t most = (bytes - head) / length;
    uint8_t *out;
    return most > 1 && spsc_reserve(link->ring, head + most * length, &out) == RING_OK ? most : 0;
}

void link_train(struct peer *peer, uint32_t way, const struct forward *train, const uint8_t *records) {
    struct worker *worker = peer->worker;
    struct link_out *link = &worker->out[way];
    uint32_t bytes = train->count * train->length;
    uint8_t *out;
    CHECK(spsc_reserve(link->ring, (uint32_t)sizeof *train + bytes, &out) == RING_OK);
    memcpy(out, train, sizeof *train);
    memcpy(out + sizeof *train, records, bytes);
    spsc_commit(link->ring, (uint32_t)sizeof *train + bytes);
    acks_note(peer, peer->session.ordinal, way, spsc_committed(link->ring));
    peer->homely = 0; /* its bytes need not lie in a log */
    link_given(worker, link, train->count);
}

/* ---- from other workers ---- */

void link_add(struct worker *worker, uint32_t way, const struct mpsc_command *command) {
    worker->in[way].ring = (struct spsc *)(uintptr_t)command->word[0];
    worker->in[way].back = (struct spsc *)(uintptr_t)command->word[1];
}

/* Whether the home has something against it; *said: the publisher's worker will know. */
static bool link_judge(struct worker *worker, struct home *home, struct link_in *link,
                       const struct forward *forward, const uint8_t *frame, const struct forward_from *from,
                       bool *said) {
    struct wire_event event;
    struct verdict verdict;
    uint64_t none;
    wire_record_read(frame, forward->length, &none, &event);
    if (!home_judged(worker, home, &event, forward->hash,
                     sequence_make(forward->epoch, log_writer_next(home->log)), &verdict))
        return false;
    *said = verdict_send(link, from, &verdict);
    return true;
}

/* Those of a train that are not in the log yet: as many at a time as it has room for. */
static bool link_append_train(struct worker *worker, struct link_in *link, const struct forward *forward,
                              const uint8_t *frames) {
    struct home *home = worker->home_of[forward->log];
    struct forward part = *forward;
    (void)landing_clear(home, NULL, NULL);
    while (link->held_done < forward->count) {
        uint32_t left = forward->count - link->held_done;
        size_t ahead = (size_t)left * forward->length;
        (void)log_writer_ahead(home->log, &ahead, worker->now_ns);
        uint8_t *out = home_room(worker, home, forward->length);
        if (out == NULL)
            return false;
        uint64_t most = log_writer_train_most(home->log, forward->length);
        uint64_t fit = ahead / forward->length;
        part.count = (uint32_t)(fit < 1 ? 1 : fit < most ? fit : most);
        memcpy(out, frames + (size_t)link->held_done * forward->length, (size_t)part.count * forward->length);
        uint64_t id = intern_id(home->intern, out + forward->topic_at, forward->topic_length, forward->hash);
        home_add_train(worker, home, &part, out, id);
        link->held_done += part.count;
        link->appended = true;
    }
    link->held_done = 0;
    return true;
}

static bool link_append(struct worker *worker, struct link_in *link, const uint8_t *bytes) {
    struct forward forward;
    struct forward_from from;
    memcpy(&forward, bytes, sizeof forward);
    if (forward.count > 1)
        return link_append_train(worker, link, &forward, bytes + sizeof forward);
    struct home *home = worker->home_of[forward.log];
    const uint8_t *frame = forward.large != NULL ? forward.large : bytes + forward_head(&forward);
    (void)landing_clear(home, NULL, NULL);
    uint8_t *out = home_room(worker, home, forward.length);
    if (out == NULL)
        return false;
    if (UNLIKELY(forward.judged)) {
        memcpy(&from, bytes + sizeof forward, sizeof from);
        bool said = true;
        if (link_judge(worker, home, link, &forward, frame, &from, &said)) {
            link->appended |= said;
            return said;
        }
    }
    log_writer_warm(home->log, forward.length);
    memcpy(out, frame, forward.length);
    wire_record_sequence(out, sequence_make(forward.epoch, log_writer_next(home->log)));
    home_add(worker, home, &forward,
             intern_id(home->intern, out + forward.topic_at, forward.topic_length, forward.hash));
    link->appended = true;
    return true;
}

static bool link_drain(struct worker *worker, struct link_in *link) {
    bool any = false;
    for (;;) {
        if (link->held == NULL)
            link->held = spsc_peek(link->ring, &link->held_length);
        if (link->held == NULL || !link_append(worker, link, link->held))
            return any;
        link->held = NULL;
        any = true;
    }
}

bool links_take(struct worker *worker) {
    bool any = false;
    for (uint32_t i = 0; i < ways_count(worker); i++)
        if (worker->in[i].ring != NULL && link_drain(worker, &worker->in[i]))
            any = true;
    return any;
}

/* ---- once per turn ---- */

void links_release(struct worker *worker) {
    bool disk = false;
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        struct link_in *link = &worker->in[i];
        if (link->ring == NULL || !link->appended || link->held != NULL)
            continue; /* with a record in hand nothing is released: it lies in the ring */
        spsc_consume(link->ring);
        link->appended = false;
        disk |= way_class(worker->shards, i) == TOPIC_DISK;
        if (wanted_take(spsc_wanted(link->ring)))
            wake_signal(&way_worker(worker->shards, i)->wake);
    }
    if (disk)
        durable_note(worker);
    if (worker->marks_count > 0)
        durable_settle(worker);
}

void links_publish(struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        struct link_out *link = &worker->out[i];
        if (link->lent != NULL)
            lent_free_until(link, spsc_consumed(link->ring));
        if (!link->fresh)
            continue;
        link->fresh = false;
        if (spsc_publish(link->ring))
            wake_signal(&way_worker(worker->shards, i)->wake);
    }
}

bool links_idle(const struct worker *worker) {
    for (uint32_t i = 0; i < ways_count(worker); i++) {
        const struct link_out *out = &worker->out[i];
        const struct link_in *in = &worker->in[i];
        if (out->ring != NULL && spsc_consumed(out->ring) != spsc_committed(out->ring))
            return false;
        if (in->ring != NULL && (in->held != NULL || spsc_pending(in->ring)))
            return false;
    }
    return true;
}

void links_deinit(struct worker *worker) {
    for (uint32_t i = 0; i < WAYS_MAX; i++) {
        lent_free_until(&worker->out[i], UINT64_MAX);
        spsc_destroy(worker->out[i].ring);
        spsc_destroy(worker->out[i].back);
    }
}
