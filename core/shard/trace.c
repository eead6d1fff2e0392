/* Following events on their way.
 *
 * A trace is made of one part for each worker, which that worker alone writes. The home of a log finds the
 * events: before it commits a record it looks at the topic, and when that matches it puts the event into its
 * part. Publishing the log publishes the part: a reader who sees the position sees the event, and marks at
 * its own place what it does with it. The asker reads what the part publishes, and tells of an event only
 * when it has seen that its position is published, too. */
#include "core/shard/traces.h"

#include "codecs/event/attributes.h"
#include "core/base/topic.h"
#include "core/shard/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trace_told { /* in the order in which they were found */
    uint32_t part, event;
};

struct trace {
    const struct shards *shards;
    uint32_t workers; /* when it began */
    uint32_t count;   /* events wanted, and room for them in each part */
    char pattern[TOPIC_BYTES_MAX + 1];
    uint32_t pattern_length;
    struct trace_part *parts;          /* owns; by worker */
    struct trace_event *events;        /* owns; of all parts */
    struct trace_mark *marks;          /* owns; the same, by worker */
    struct trace_follow *follows;      /* owns */
    struct trace_delivery *deliveries; /* owns */
    struct trace_handed *hands;        /* owns */
    struct mpsc *answers;              /* owns: of workers that have let go */
    /* the asker's */
    uint64_t known;  /* one bit for each worker that has been told of it, and has not let go */
    uint64_t untold; /* ... that is still to be told: of its begin, or of its end */
    bool ending;
    uint32_t taken[SHARDS_MAX]; /* events of each part that are in `told` */
    struct trace_told *told;    /* owns; `count` */
    uint32_t told_count;
};

/* ---- the asker ---- */

static uint32_t power_of_two(uint32_t least) {
    uint32_t power = 2;
    while (power < least)
        power *= 2;
    return power;
}

static int trace_room(struct trace *trace) {
    size_t workers = trace->workers, count = trace->count;
    trace->parts = aligned_alloc(64, workers * sizeof *trace->parts);
    trace->events = calloc(workers * count, sizeof *trace->events);
    trace->marks = calloc(workers * count * workers, sizeof *trace->marks);
    trace->follows = calloc(workers * TRACE_FOLLOWS_MAX, sizeof *trace->follows);
    trace->told = calloc(count, sizeof *trace->told);
    trace->deliveries = calloc(workers * TRACE_DELIVERIES_MAX, sizeof *trace->deliveries);
    trace->hands = calloc(workers * TRACE_DELIVERIES_MAX, sizeof *trace->hands);
    if (trace->parts == NULL || trace->events == NULL || trace->marks == NULL || trace->follows == NULL ||
        trace->told == NULL || trace->deliveries == NULL || trace->hands == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < workers * count; i++)
        trace->events[i].marks = trace->marks + i * workers;
    for (size_t i = 0; i < workers; i++)
        trace->parts[i] = (struct trace_part){.events = trace->events + i * count,
                                              .follows = trace->follows + i * TRACE_FOLLOWS_MAX,
                                              .deliveries = trace->deliveries + i * TRACE_DELIVERIES_MAX,
                                              .hands = trace->hands + i * TRACE_DELIVERIES_MAX};
    return mpsc_create(&trace->answers, power_of_two((uint32_t)workers));
}

int trace_begin(struct trace **out, const struct shards *shards, const char *pattern, uint32_t count) {
    size_t length = strlen(pattern);
    struct trace *trace = calloc(1, sizeof *trace);
    if (count == 0 || count > TRACE_EVENTS_MAX || length > TOPIC_BYTES_MAX) {
        free(trace);
        return -EINVAL;
    }
    if (trace == NULL)
        return -ENOMEM;
    trace->shards = shards;
    trace->workers = shards_count(shards);
    trace->count = count;
    trace->pattern_length = (uint32_t)length;
    memcpy(trace->pattern, pattern, length + 1);
    int result = trace_room(trace);
    if (result != 0) {
        trace_destroy(trace);
        return result;
    }
    trace->untold = UINT64_MAX >> (64 - trace->workers);
    (void)trace_serve(trace);
    *out = trace;
    return 0;
}

static void workers_tell(struct trace *trace) {
    struct mpsc_command command = {.kind = trace->ending ? COMMAND_UNTRACE : COMMAND_TRACE};
    command.word[0] = (uint64_t)(uintptr_t)trace;
    for (uint32_t i = 0; i < trace->workers; i++) {
        struct worker *worker = trace->shards->workers[i];
        uint64_t bit = UINT64_C(1) << i;
        if ((trace->untold & bit) == 0 || mpsc_push(worker->mailbox, &command) != RING_OK)
            continue;
        wake_signal(&worker->wake);
        trace->untold &= ~bit;
        trace->known |= bit;
    }
}

static void answers_take(struct trace *trace) {
    struct mpsc_command command;
    while (mpsc_pop(trace->answers, &command))
        trace->known &= ~(UINT64_C(1) << command.small);
}

static const struct trace_event *event_of(const struct trace *trace, uint32_t part, uint32_t event) {
    return &trace->parts[part].events[event];
}

/* Its position is published: so is all that was written before. */
static bool event_there(const struct trace *trace, uint32_t part, uint32_t event) {
    const struct trace_event *found = event_of(trace, part, event);
    if (published_get(&trace->parts[part].found) <= event)
        return false;
    const struct log *log = trace->shards->logs[counter_get(&found->log)];
    return log_produced(log) > counter_get(&found->position);
}

/* The next one of all parts that was appended first. */
static bool event_next(const struct trace *trace, struct trace_told *out) {
    bool there = false;
    uint64_t first = UINT64_MAX;
    for (uint32_t part = 0; part < trace->workers; part++) {
        uint32_t event = trace->taken[part];
        if (event == trace->count || !event_there(trace, part, event) ||
            event_of(trace, part, event)->appended_ns >= first)
            continue;
        first = event_of(trace, part, event)->appended_ns;
        *out = (struct trace_told){part, event};
        there = true;
    }
    return there;
}

uint32_t trace_serve(struct trace *trace) {
    struct trace_told next;
    workers_tell(trace);
    answers_take(trace);
    while (trace->told_count < trace->count && event_next(trace, &next)) {
        trace->told[trace->told_count++] = next;
        trace->taken[next.part]++;
    }
    return trace->told_count;
}

static void text_copy(char *to, const uint8_t *from, uint8_t length) {
    memcpy(to, from, length);
    to[length] = '\0';
}

/* What is counted first is read last, so that no sum is beyond its whole. */
static void fate_add(struct trace_fate *fate, const struct trace_mark *mark) {
    uint64_t first_ns = counter_get(&mark->first_ns), last_ns = counter_get(&mark->last_ns);
    uint64_t routed_ns = counter_get(&mark->routed_ns);
    fate->sent += counter_get(&mark->sent);
    fate->behind += counter_get(&mark->behind);
    fate->lost += counter_get(&mark->lost);
    fate->unfollowed += counter_get(&mark->unfollowed);
    fate->lagging += counter_get(&mark->lagging);
    fate->settled += counter_get(&mark->settled);
    fate->untold += counter_get(&mark->untold);
    fate->queues += counter_get(&mark->queues);
    fate->filtered += counter_get(&mark->filtered);
    fate->expired += counter_get(&mark->expired);
    fate->connections += counter_get(&mark->connections);
    if (first_ns != 0 && (fate->first_ns == 0 || first_ns < fate->first_ns))
        fate->first_ns = first_ns;
    if (last_ns > fate->last_ns)
        fate->last_ns = last_ns;
    if (routed_ns != 0 && (fate->routed_ns == 0 || routed_ns < fate->routed_ns))
        fate->routed_ns = routed_ns;
}

static bool all_passed(const struct trace *trace, const struct trace_event *event, uint32_t log) {
    for (uint32_t i = 0; i < trace->workers; i++) {
        const struct trace_mark *mark = &event->marks[i];
        bool reads = (counter_get(&trace->shards->workers[i]->audience.reading) >> log & 1u) != 0;
        if (reads && counter_get(&mark->routed_ns) == 0 && counter_get(&mark->behind_it) == 0)
            return false;
    }
    return true;
}

void trace_read(const struct trace *trace, uint32_t number, struct trace_seen *out) {
    CHECK(number < trace->told_count);
    const struct trace_told *told = &trace->told[number];
    const struct trace_event *event = event_of(trace, told->part, told->event);
    const struct shards *shards = trace->shards;
    uint32_t log = (uint32_t)counter_get(&event->log);
    *out = (struct trace_seen){.sequence = event->sequence,
                               .log = log_number(shards->logs[log]),
                               .shard = told->part,
                               .slot = event->slot,
                               .bytes = event->bytes,
                               .disk = log_is_disk(shards, log),
                               .received_ns = event->received_ns,
                               .appended_ns = event->appended_ns,
                               .synced_ns = counter_get(&event->synced_ns)};
    text_copy(out->topic, event->topic, event->topic_length);
    text_copy(out->source, event->source, event->source_length);
    text_copy(out->id, event->id, event->id_length);
    text_copy(out->type, event->type, event->type_length);
    bool passed = all_passed(trace, event, log);
    for (uint32_t i = 0; i < trace->workers; i++)
        fate_add(&out->fate, &event->marks[i]);
    const struct trace_fate *fate = &out->fate;
    out->over = passed && (!out->disk || out->synced_ns != 0) &&
                fate->sent + fate->behind + fate->lost + fate->unfollowed == fate->connections &&
                fate->settled >= fate->queues;
}

/* What the worker of the member has said of a delivery. */
static void handed_read(const struct trace *trace, const struct trace_delivery *delivery,
                        struct trace_given *out) {
    out->shard = owner_shard(delivery->owner);
    if (out->shard >= trace->workers)
        return; /* a worker that came later */
    const struct trace_part *part = &trace->parts[out->shard];
    uint64_t handed = published_get(&part->handed);
    for (uint64_t i = 0; i < handed && !out->known; i++) {
        const struct trace_handed *hand = &part->hands[i];
        if (hand->owner != delivery->owner || hand->delivery != delivery->delivery)
            continue;
        out->known = true;
        out->serial = hand->serial;
        out->sent_ns = counter_get(&hand->sent_ns);
        memcpy(out->client, hand->client, sizeof out->client);
    }
}

static void delivery_read(const struct trace *trace, const struct trace_delivery *delivery,
                          struct trace_given *out) {
    *out = (struct trace_given){.outcome = (enum trace_outcome)published_get(&delivery->outcome),
                                .ended_ns = counter_get(&delivery->ended_ns),
                                .extended = (uint32_t)counter_get(&delivery->extended),
                                .attempt = delivery->attempt,
                                .lease_ns = delivery->lease_ns,
                                .given_ns = delivery->given_ns};
    memcpy(out->queue, delivery->queue, sizeof out->queue);
    handed_read(trace, delivery, out);
}

bool trace_delivery(const struct trace *trace, uint32_t number, uint32_t *at, struct trace_given *out) {
    CHECK(number < trace->told_count);
    const struct trace_event *event = event_of(trace, trace->told[number].part, trace->told[number].event);
    for (; *at < trace->workers * TRACE_DELIVERIES_MAX; ++*at) {
        const struct trace_part *part = &trace->parts[*at / TRACE_DELIVERIES_MAX];
        uint32_t place = *at % TRACE_DELIVERIES_MAX;
        if (place >= published_get(&part->delivered) || part->deliveries[place].event != event)
            continue;
        delivery_read(trace, &part->deliveries[place], out);
        ++*at;
        return true;
    }
    return false;
}

void trace_end(struct trace *trace) {
    if (trace->ending)
        return;
    trace->ending = true;
    trace->untold = trace->known; /* whoever has not heard of it needs not hear of its end */
    (void)trace_serve(trace);
}

bool trace_gone(const struct trace *trace) {
    return trace->ending && trace->known == 0;
}

void trace_destroy(struct trace *trace) {
    if (trace == NULL)
        return;
    mpsc_destroy(trace->answers);
    free(trace->parts);
    free(trace->events);
    free(trace->marks);
    free(trace->follows);
    free(trace->deliveries);
    free(trace->hands);
    free(trace->told);
    free(trace);
}

/* ---- workers ---- */

void trace_take(struct worker *worker, struct trace *trace) {
    struct traces *traces = &worker->traces;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        if (traces->slots[i].trace != NULL)
            continue;
        traces->slots[i] = (struct trace_slot){.trace = trace, .part = &trace->parts[worker->number]};
        traces->count++;
        published_set(&trace->parts[worker->number].known, 1);
        return;
    }
}

void trace_drop(struct worker *worker, struct trace *trace) {
    struct traces *traces = &worker->traces;
    struct mpsc_command command = {.small = worker->number};
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (traces->slots[i].trace == trace) {
            traces->slots[i] = (struct trace_slot){0};
            traces->count--;
        }
    CHECK(mpsc_push(trace->answers, &command) == RING_OK); /* a place for each worker */
}

static uint8_t text_take(uint8_t out[TRACE_TEXT_BYTES], const struct wire_event *event, const char *name) {
    return (uint8_t)attribute_copy(event->event, event->event_length, name, out, TRACE_TEXT_BYTES);
}

static void event_found(struct worker *worker, const struct home *home, const struct forward *forward,
                        struct trace_part *part, uint32_t ahead) {
    uint32_t number = (uint32_t)published_get(&part->found);
    struct trace_event *event = &part->events[number];
    const uint8_t *record =
        log_bytes_at(home->log, log_writer_offset(home->log) + (uint64_t)ahead * forward->length);
    uint64_t position = log_writer_next(home->log) + ahead, unused;
    struct wire_event wire;
    wire_record_read(record, forward->length, &unused, &wire);
    event->sequence = sequence_make(forward->epoch, position);
    event->received_ns = forward->time_ns;
    event->appended_ns = worker->clock_wall();
    event->bytes = forward->length;
    event->slot = (uint16_t)topic_slot(forward->hash);
    event->topic_length = (uint8_t)wire.topic_length;
    memcpy(event->topic, wire.topic, wire.topic_length);
    event->source_length = text_take(event->source, &wire, "source");
    event->id_length = text_take(event->id, &wire, "id");
    event->type_length = text_take(event->type, &wire, "type");
    counter_set(&event->log, home->index);
    counter_set(&event->position, position);
    part->unsynced += home->journalled;
    published_set(&part->found, number + 1);
}

static bool all_know(struct trace_slot *slot) {
    for (uint32_t i = 0; !slot->all_know && i < slot->trace->workers; i++)
        if (published_get(&slot->trace->parts[i].known) == 0)
            return false;
    slot->all_know = true;
    return true;
}

void trace_append(struct worker *worker, struct home *home, const struct forward *forward) {
    const uint8_t *topic = log_bytes_at(home->log, log_writer_offset(home->log)) + forward->topic_at;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        const struct trace *trace = worker->traces.slots[i].trace;
        struct trace_part *part = worker->traces.slots[i].part;
        if (trace == NULL || published_get(&part->found) == trace->count ||
            !pattern_matches((const uint8_t *)trace->pattern, trace->pattern_length, topic,
                             forward->topic_length) ||
            !all_know(&worker->traces.slots[i]))
            continue;
        for (uint32_t ahead = 0; ahead < forward->count && published_get(&part->found) < trace->count;
             ahead++)
            event_found(worker, home, forward, part, ahead);
    }
}

static void part_turn(struct worker *worker, struct trace_part *part) {
    uint64_t found = published_get(&part->found);
    for (uint64_t i = 0; i < found && part->unsynced > 0; i++) {
        struct trace_event *event = &part->events[i];
        const struct home *home = worker->home_of[counter_get(&event->log)];
        if (counter_get(&event->synced_ns) != 0 || !home->journalled ||
            log_visible(home->log) <= counter_get(&event->position))
            continue;
        counter_set(&event->synced_ns, worker->clock_wall());
        part->unsynced--;
    }
}

void trace_turn(struct worker *worker) {
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (worker->traces.slots[i].trace != NULL)
            part_turn(worker, worker->traces.slots[i].part);
}

/* Calls for each traced event in a stretch of a log, at this worker's mark of it. */
typedef void each_event(struct worker *worker, const struct trace_slot *slot, const struct trace_event *event,
                        const void *context);
static bool events_between(struct worker *worker, uint32_t log, uint64_t from, uint64_t to, each_event *call,
                           const void *context) {
    bool any = false;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        const struct trace_slot *slot = &worker->traces.slots[i];
        for (uint32_t p = 0; slot->trace != NULL && p < slot->trace->workers; p++) {
            const struct trace_part *part = &slot->trace->parts[p];
            uint64_t found = published_get(&part->found);
            for (uint64_t k = 0; k < found; k++) {
                const struct trace_event *event = &part->events[k];
                uint64_t position = counter_get(&event->position);
                if (counter_get(&event->log) != log || position < from || position >= to)
                    continue;
                call(worker, slot, event, context);
                any = true;
            }
        }
    }
    return any;
}

static bool events_in(struct worker *worker, uint32_t log, const struct run *run, each_event *call,
                      const void *context) {
    return events_between(worker, log, run->first, run->first + run->records, call, context);
}

static void event_behind(struct worker *worker, const struct trace_slot *slot,
                         const struct trace_event *event, const void *context) {
    (void)slot;
    (void)context;
    counter_set(&event->marks[worker->number].behind_it, 1);
}

void trace_attached(struct worker *worker, uint32_t log) {
    (void)events_between(worker, log, 0, worker->readers[log].cursor, event_behind, NULL);
}

struct passing {
    uint32_t log;
    const struct route *route;
    const struct run *run;
};

static bool queue_filters(struct worker *worker, route_member member, uint32_t log, uint64_t position) {
    const struct kept *kept = worker->keeper.of_member[member];
    return kept->filter != NULL && !filters_pass(worker, kept->filter, log, worker->views[log], position);
}

static void event_passed(struct worker *worker, const struct trace_slot *slot,
                         const struct trace_event *event, const void *context) {
    const struct passing *passing = context;
    struct trace_mark *mark = &event->marks[worker->number];
    uint64_t position = counter_get(&event->position);
    (void)slot;
    for (uint32_t i = 0; i < passing->route->count; i++) {
        route_member member = passing->route->members[i];
        const struct peer *peer = worker->peers[member];
        if (peer == NULL)
            counter_add(
                queue_filters(worker, member, passing->log, position) ? &mark->filtered : &mark->queues, 1);
        else if (peer->retired)
            continue;
        else if (peer->filtered && !starts_want(peer, passing->log, position, worker->views[passing->log]))
            counter_add(&mark->filtered, 1);
        else if (peer->at != NULL)
            counter_add(&mark->lagging, 1);
        else if (passing->run->expired)
            counter_add(&mark->expired, 1);
    }
}

static void event_routed(struct worker *worker, const struct trace_slot *slot,
                         const struct trace_event *event, const void *context) {
    (void)slot;
    (void)context;
    counter_set(&event->marks[worker->number].routed_ns, worker->clock_wall());
}

void trace_routed(struct worker *worker, uint32_t log, const struct run *run) {
    (void)events_in(worker, log, run, event_routed, NULL);
}

bool trace_pass(struct worker *worker, uint32_t log, const struct route *route, const struct run *run) {
    struct passing passing = {log, route, run};
    return events_in(worker, log, run, event_passed, &passing);
}

struct giving {
    const struct peer *peer;
    uint32_t log;
    const struct run *run;
};

static void event_given(struct worker *worker, const struct trace_slot *slot, const struct trace_event *event,
                        const void *context) {
    const struct giving *giving = context;
    struct trace_mark *mark = &event->marks[worker->number];
    struct trace_part *part = slot->part;
    const struct log_entry *entry = log_view_entry(worker->views[giving->log], counter_get(&event->position));
    uint64_t behind = giving->run->offset + giving->run->length - entry->offset - entry->length;
    counter_add(&mark->connections, 1);
    if (part->follows_count == TRACE_FOLLOWS_MAX) {
        counter_add(&mark->unfollowed, 1);
        return;
    }
    part->follows[part->follows_count++] =
        (struct trace_follow){.peer = worker->peers[giving->peer->member],
                              .mark = mark,
                              .left = giving->peer->conn.out.bytes - behind};
}

void trace_given(struct worker *worker, const struct peer *peer, uint32_t log, const struct run *run) {
    struct giving giving = {peer, log, run};
    (void)events_in(worker, log, run, event_given, &giving);
}

/* What each send of a peer has come to; true = it is over. */
static void follows_each(struct worker *worker, const struct peer *peer,
                         bool (*over)(struct trace_follow *follow, uint64_t bytes, uint64_t now_ns),
                         uint64_t bytes) {
    uint64_t now_ns = worker->clock_wall();
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct trace_part *part = worker->traces.slots[i].part;
        for (uint32_t k = 0; part != NULL && k < part->follows_count;) {
            struct trace_follow *follow = &part->follows[k];
            if (follow->peer == peer && over(follow, bytes, now_ns))
                *follow = part->follows[--part->follows_count];
            else
                k++;
        }
    }
}

static bool follow_sent(struct trace_follow *follow, uint64_t bytes, uint64_t now_ns) {
    follow->left -= bytes < follow->left ? bytes : follow->left;
    if (follow->left > 0)
        return false;
    if (follow->handed != NULL) {
        counter_set(&follow->handed->sent_ns, now_ns);
        return true;
    }
    if (counter_get(&follow->mark->first_ns) == 0)
        counter_set(&follow->mark->first_ns, now_ns);
    counter_set(&follow->mark->last_ns, now_ns);
    counter_add(&follow->mark->sent, 1);
    return true;
}

static bool follow_behind(struct trace_follow *follow, uint64_t bytes, uint64_t now_ns) {
    (void)bytes;
    (void)now_ns;
    if (follow->handed == NULL) /* else it is not seen when that is sent: what was in front has changed */
        counter_add(&follow->mark->behind, 1);
    return true;
}

static bool follow_closed(struct trace_follow *follow, uint64_t bytes, uint64_t now_ns) {
    (void)bytes;
    (void)now_ns;
    if (follow->handed == NULL)
        counter_add(&follow->mark->lost, 1);
    return true;
}

void trace_sent(struct worker *worker, const struct peer *peer, uint64_t bytes) {
    follows_each(worker, peer, follow_sent, bytes);
}

void trace_lost(struct worker *worker, const struct peer *peer, bool closed) {
    follows_each(worker, peer, closed ? follow_closed : follow_behind, 0);
}

/* ---- queues ---- */

/* The traced event that lies there, or NULL; whoever has read it from its log finds it. */
static const struct trace_event *event_at(const struct worker *worker, const struct trace *trace,
                                          uint32_t log, uint64_t position) {
    for (uint32_t p = 0; p < trace->workers; p++) {
        const struct trace_part *part = &trace->parts[p];
        uint64_t found = published_get(&part->found);
        for (uint64_t k = 0; k < found; k++) {
            const struct trace_event *event = &part->events[k];
            if (counter_get(&event->position) == position &&
                log_number(worker->shards->logs[counter_get(&event->log)]) == log)
                return event;
        }
    }
    return NULL;
}

static void delivery_add(struct worker *worker, struct trace_part *part, const struct kept *kept,
                         const struct queue_delivery *from, const struct trace_event *event) {
    const struct queue_terms *terms = queue_terms(kept->queue);
    uint64_t count = published_get(&part->delivered);
    if (count == TRACE_DELIVERIES_MAX) {
        counter_add(&event->marks[worker->number].untold, 1);
        return;
    }
    struct trace_delivery *delivery = &part->deliveries[count];
    delivery->event = event;
    delivery->owner = from->owner;
    delivery->delivery = from->delivery;
    delivery->attempt = from->attempt;
    delivery->lease_ns = terms->lease_ns;
    delivery->given_ns = worker->clock_wall();
    memcpy(delivery->queue, terms->name.p,
           terms->name.n < sizeof delivery->queue ? terms->name.n : sizeof delivery->queue - 1);
    published_set(&part->delivered, count + 1);
}

bool trace_delivered(struct worker *worker, const struct kept *kept, const struct queue_delivery *delivery) {
    bool any = false;
    if (LIKELY(worker->traces.count == 0) || delivery->replay)
        return false;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        const struct trace_slot *slot = &worker->traces.slots[i];
        const struct trace_event *event =
            slot->trace != NULL ? event_at(worker, slot->trace, delivery->log, delivery->position) : NULL;
        if (event == NULL)
            continue;
        delivery_add(worker, slot->part, kept, delivery, event);
        any = true;
    }
    return any;
}

/* Of what a member holds. */
enum which { WHICH_ONE, WHICH_THROUGH, WHICH_ALL };

static void deliveries_end(struct worker *worker, uint64_t owner, uint64_t number, enum which which,
                           enum trace_outcome outcome) {
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        const struct trace_part *part = worker->traces.slots[i].part;
        uint64_t count = part != NULL ? published_get(&part->delivered) : 0;
        for (uint64_t k = 0; k < count; k++) {
            struct trace_delivery *delivery = &part->deliveries[k];
            bool meant = which == WHICH_ALL || delivery->delivery == number ||
                         (which == WHICH_THROUGH && delivery->delivery < number);
            if (delivery->owner != owner || !meant || published_get(&delivery->outcome) != TRACE_HELD)
                continue;
            if (outcome == TRACE_HELD) {
                counter_add(&delivery->extended, 1);
                continue;
            }
            counter_set(&delivery->ended_ns, worker->clock_wall());
            published_set(&delivery->outcome, outcome);
            if (outcome == TRACE_DONE || outcome == TRACE_REFUSED)
                counter_add(&delivery->event->marks[worker->number].settled, 1);
        }
    }
}

void trace_acked(struct worker *worker, const struct queue_ack *ack) {
    static const enum trace_outcome outcomes[] = {[QUEUE_ACK_DONE] = TRACE_DONE,
                                                  [QUEUE_ACK_DONE_THROUGH] = TRACE_DONE,
                                                  [QUEUE_ACK_RETRY] = TRACE_RETRIED,
                                                  [QUEUE_ACK_REFUSE] = TRACE_REFUSED,
                                                  [QUEUE_ACK_EXTEND] = TRACE_HELD};
    if (LIKELY(worker->traces.count == 0))
        return;
    deliveries_end(worker, ack->owner, ack->delivery,
                   ack->kind == QUEUE_ACK_DONE_THROUGH ? WHICH_THROUGH : WHICH_ONE, outcomes[ack->kind]);
}

void trace_ended(struct worker *worker, uint64_t owner, uint64_t delivery, enum trace_outcome outcome) {
    if (UNLIKELY(worker->traces.count > 0))
        deliveries_end(worker, owner, delivery, delivery == 0 ? WHICH_ALL : WHICH_ONE, outcome);
}

void trace_handed(struct peer *peer, uint64_t owner, uint64_t delivery) {
    struct worker *worker = peer->worker;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct trace_part *part = worker->traces.slots[i].part;
        uint64_t count = part != NULL ? published_get(&part->handed) : TRACE_DELIVERIES_MAX;
        if (count == TRACE_DELIVERIES_MAX)
            continue;
        struct trace_handed *hand = &part->hands[count];
        hand->owner = owner;
        hand->delivery = delivery;
        hand->serial = peer->serial;
        if (peer->session.name != NULL)
            (void)snprintf(hand->client, sizeof hand->client, "%s", peer->session.name);
        published_set(&part->handed, count + 1);
        if (part->follows_count < TRACE_FOLLOWS_MAX)
            part->follows[part->follows_count++] =
                (struct trace_follow){.peer = peer, .handed = hand, .left = peer->conn.out.bytes};
    }
}
