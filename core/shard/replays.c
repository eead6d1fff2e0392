/* Replays: a stretch of the logs is offered to a queue's members once more.
 *
 * A replay is a second cursor beside the queue's own, with an end: where the queue stood when the replay
 * began, because what is behind that comes anyway. It offers what it reads as replayed; the queue gives that
 * to its members within their windows, after all that is live and in half of each window at most, and keeps
 * it apart from what has to be done. The cursor takes a bounded step in a turn and stops where there is no
 * credit, so a replay has as much memory as its windows, however long it is. It is no part of the queue's
 * state: it ends with the router, with its queue, and with the connection that has asked for it. */
#include "core/shard/moves.h"

#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

struct replay {
    uint64_t owner;
    struct replay_order order;
    struct subscription *from, *to; /* own; a time that is looked for; NULL = there is none */
    uint64_t logs;                  /* one bit for each that it reads */
    uint64_t at[LOGS_MAX], end[LOGS_MAX];
    uint64_t gone;    /* positions of the stretch that are no longer kept, so far */
    uint64_t next_ns; /* with a rate: no event before */
    uint64_t tell_ns; /* nothing is told before */
    uint64_t due_ns;
    uint64_t counted;             /* of what was delivered, in the metrics */
    struct session_replayed told; /* last */
    bool placed;                  /* it is known where it begins and ends */
    uint32_t filter_length;
    uint8_t filter[TOPIC_BYTES_MAX];
};

static bool refused(struct fault *fault, enum rh_code code, const char *text, const char *field) {
    *fault = (struct fault){.code = code, .text = text, .field = field};
    return false;
}

static struct fault no_memory(void) {
    return (struct fault){.code = RH_CODE_EXHAUSTED, .text = "the server has no memory for this replay now"};
}

/* ---- making and freeing ---- */

static void time_free(struct subscription *sub) {
    if (sub != NULL)
        starts_begun(sub);
    free(sub);
}

void replays_free(struct replay *replay) {
    if (replay == NULL)
        return;
    time_free(replay->from);
    time_free(replay->to);
    free(replay);
}

/* What search.c looks for a time by. */
static struct subscription *time_new(uint64_t logs, uint64_t time_ns) {
    struct subscription *sub = calloc(1, sizeof *sub);
    if (sub == NULL)
        return NULL;
    list_init(&sub->node);
    sub->logs = logs;
    sub->begin = calloc(1, sizeof *sub->begin);
    if (sub->begin == NULL) {
        free(sub);
        return NULL;
    }
    sub->begin->kind = START_TIME;
    sub->begin->value = time_ns;
    return sub;
}

/* It is over, whatever its owner has been told. */
static void end(struct worker *worker, struct kept *kept) {
    struct keeper *keeper = &worker->keeper;
    lookup_drop(&keeper->owners, kept->replay->owner);
    queue_replay_end(kept->queue);
    replays_free(kept->replay);
    kept->replay = NULL;
    counter_set(&worker->stats.replays, --keeper->replays);
}

static void fail(struct worker *worker, struct kept *kept, const struct fault *fault) {
    keeper_fault(worker, kept->replay->owner, NOTE_OUT, *fault);
    end(worker, kept);
}

void replays_drop(struct worker *worker, struct kept *kept) {
    static const struct fault gone = {.code = RH_CODE_UNAVAILABLE,
                                      .text =
                                          "the queue is gone: it was removed, or went with its connection",
                                      .field = "replay.queue"};
    if (kept->replay != NULL)
        fail(worker, kept, &gone);
}

/* ---- whether it may begin ---- */

static bool filter_meets(const struct kept *kept, const uint8_t *filter, uint32_t length) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *patterns;
    uint32_t count = keeper_patterns(kept, room, &patterns);
    for (uint32_t i = 0; i < count; i++, patterns = pattern_next(patterns))
        if (length == 0 || patterns_meet(patterns + 1, patterns[0], filter, length))
            return true;
    return false;
}

static bool allowed(const struct kept *kept, const struct note *note, struct fault *fault) {
    const struct replay_order *order = &note->as.replay;
    if (kept == NULL || kept->remover != 0)
        return refused(fault, RH_CODE_INVALID, REPLAY_NO_QUEUE, "replay.queue");
    if (kept->replay != NULL)
        return refused(fault, RH_CODE_UNAVAILABLE,
                       "a replay to this queue goes on: one at a time, so wait for its end or end it",
                       "replay.queue");
    if (!filter_meets(kept, note->bytes + order->name, note->length - order->name))
        return refused(fault, RH_CODE_INVALID, "this queue gets no topic that the filter could match",
                       "replay.filter");
    if (queue_members(kept->queue) == 0 && !order->wait)
        return refused(fault, RH_CODE_UNAVAILABLE,
                       "nobody is a member of this queue now: start its consumer first, or set wait "
                       "(--wait) to wait for one",
                       "replay.wait");
    return true;
}

/* ---- where it begins and ends ---- */

/* Up to where the queue has been offered what there is. */
static uint64_t stands(const struct kept *kept, const struct reader *reader) {
    if ((kept->live >> reader->index & 1u) != 0)
        return reader->cursor;
    uint64_t reached = queue_reached(kept->queue, log_number(reader->log));
    uint64_t end = delivery_live_end(reader);
    return reached < end ? reached : end;
}

static void ends_set(const struct worker *worker, const struct kept *kept, struct replay *replay) {
    for (uint32_t i = 0; i < worker->log_count; i++)
        if ((replay->logs >> i & 1u) != 0)
            replay->end[i] = stands(kept, &worker->readers[i]);
}

/* The only topic that it can be about, packed as a pattern; NULL = there is no such. */
static const uint8_t *topic_only(const struct kept *kept, const struct replay *replay,
                                 uint8_t room[1 + TOPIC_BYTES_MAX]) {
    const uint8_t *patterns;
    if (replay->filter_length > 0 && !pattern_wild(replay->filter, replay->filter_length)) {
        room[0] = (uint8_t)replay->filter_length;
        memcpy(room + 1, replay->filter, replay->filter_length);
        return room;
    }
    uint32_t count = keeper_patterns(kept, room, &patterns);
    return count == 1 && !pattern_wild(patterns + 1, patterns[0]) ? patterns : NULL;
}

static bool sequence_place(const struct worker *worker, const struct kept *kept, struct replay *replay,
                           struct fault *fault) {
    uint8_t room[1 + TOPIC_BYTES_MAX];
    const uint8_t *topic = topic_only(kept, replay, room);
    uint64_t sequence = replay->order.value, position = sequence_position(sequence);
    if (topic == NULL)
        return refused(fault, RH_CODE_INVALID,
                       "a sequence belongs to one topic: give that as the filter, without wildcards",
                       "replay.start");
    uint64_t hash = topic_hash(topic + 1, topic[0], worker->shards->config.slot_seed);
    struct topic_place place = topic_place(worker, topic + 1, topic[0], hash);
    uint32_t log = place.moves ? cuts_log(worker->shards, topic_slot(hash), sequence) : place.log;
    uint16_t epoch = place.moves ? cuts_epoch(worker->shards, topic_slot(hash)) : place.epoch;
    if (sequence_epoch(sequence) < log_epoch(worker->shards, log))
        return refused(fault, RH_CODE_INVALID,
                       "this sequence is of an earlier run of the server, which has kept nothing of it",
                       "replay.start");
    if (sequence_epoch(sequence) > epoch || position > log_visible(worker->readers[log].log))
        return refused(fault, RH_CODE_INVALID,
                       "this sequence lies in the future: it is not of this run of the server",
                       "replay.start");
    for (uint32_t i = 0; place.moves && i < worker->log_count; i++) {
        replay->at[i] = cuts_start(worker->shards, topic_slot(hash), sequence, i);
        if (replay->at[i] == 0)
            replay->logs &= ~(UINT64_C(1) << i);
    }
    if (!place.moves) {
        replay->logs &= UINT64_C(1) << log;
        replay->at[log] = position == 0 ? 1 : position;
    }
    return true;
}

/* False: it can not begin there. */
static bool start_place(const struct worker *worker, const struct kept *kept, struct replay *replay,
                        struct fault *fault) {
    if (replay->order.start == START_SEQUENCE)
        return sequence_place(worker, kept, replay, fault);
    if (replay->order.start == START_TIME && replay->order.value > worker->clock_wall())
        return refused(fault, RH_CODE_INVALID, "this time lies in the future by the server's clock",
                       "replay.start");
    if (replay->order.start == START_OLDEST)
        for (uint32_t i = 0; i < worker->log_count; i++)
            replay->at[i] = log_kept(worker, i);
    return true;
}

/* An end in the future is none. */
static bool times_look(const struct worker *worker, struct replay *replay) {
    uint64_t to_ns = replay->order.to_ns;
    if (replay->order.start == START_TIME &&
        (replay->from = time_new(replay->logs, replay->order.value)) == NULL)
        return false;
    if (to_ns != 0 && to_ns <= worker->clock_wall() && (replay->to = time_new(replay->logs, to_ns)) == NULL)
        return false;
    return true;
}

static struct replay *replay_new(const struct worker *worker, const struct kept *kept,
                                 const struct note *note, struct fault *fault) {
    uint8_t packed[1 + TOPIC_BYTES_MAX];
    struct replay *replay = calloc(1, sizeof *replay);
    *fault = no_memory();
    if (replay == NULL)
        return NULL;
    replay->owner = note->owner;
    replay->order = note->as.replay;
    replay->due_ns = TIMERS_NEVER;
    replay->logs = kept->logs;
    replay->filter_length = note->length - note->as.replay.name;
    if (replay->filter_length > 0) {
        packed[0] = (uint8_t)replay->filter_length;
        memcpy(packed + 1, note->bytes + note->as.replay.name, replay->filter_length);
        memcpy(replay->filter, packed + 1, replay->filter_length);
        replay->logs &= subs_logs(worker, packed, 1);
    }
    if (start_place(worker, kept, replay, fault)) {
        ends_set(worker, kept, replay);
        if (times_look(worker, replay))
            return replay;
    }
    replays_free(replay);
    return NULL;
}

void replays_begin(struct worker *worker, const struct note *note) {
    struct keeper *keeper = &worker->keeper;
    struct queue_text name = {note->bytes, note->as.replay.name};
    struct kept *kept = keeper_find(worker, name);
    struct fault fault;
    struct replay *replay = NULL;
    if (allowed(kept, note, &fault))
        replay = replay_new(worker, kept, note, &fault);
    struct note *told = replay == NULL ? NULL : note_new(NOTE_REPLAYED, note->owner, NULL, 0);
    if (told == NULL || lookup_reserve(&keeper->owners, keeper->owners.count + 1) != 0) {
        replays_free(replay);
        free(told);
        keeper_fault(worker, note->owner, NOTE_REFUSED, fault);
        return;
    }
    lookup_put(&keeper->owners, note->owner, kept->slot);
    kept->replay = replay;
    counter_set(&worker->stats.replays, ++keeper->replays);
    replay->told.waiting = queue_members(kept->queue) == 0;
    replay->next_ns = worker->now_ns;
    replay->tell_ns = worker->now_ns + REPLAY_TELL_NS;
    told->as.replayed = replay->told;
    talk_send(worker, owner_shard(note->owner), told);
    keeper_pump(worker, kept);
}

/* ---- looking for its times ---- */

static uint64_t lowest(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* What was asked for and is gone already. */
static void start_lost(const struct worker *worker, struct replay *replay, uint32_t log) {
    uint64_t kept = log_kept(worker, log), from = replay->at[log];
    if (replay->from != NULL) {
        from = search_lost(replay->from, log);
        kept = replay->at[log];
    }
    kept = lowest(kept, replay->end[log]);
    if (from != 0 && from < kept)
        replay->gone += kept - from;
    if (replay->at[log] < kept)
        replay->at[log] = kept;
}

static void place(const struct worker *worker, struct replay *replay) {
    for (uint32_t i = 0; i < worker->log_count; i++) {
        if ((replay->logs >> i & 1u) == 0)
            continue;
        if (replay->to != NULL)
            replay->end[i] = lowest(replay->end[i], search_found(replay->to, i));
        if (replay->from != NULL)
            replay->at[i] = search_found(replay->from, i);
        start_lost(worker, replay, i);
        replay->at[i] = lowest(replay->at[i], replay->end[i]);
    }
    replay->placed = true;
}

/* Looks for what is not known yet. */
static enum search_result look_for(struct worker *worker, struct replay *replay) {
    uint32_t work = worker->shards->config.search_work;
    enum search_result found = SEARCH_DONE;
    if (work == 0)
        work = SEARCH_WORK_MAX;
    if (replay->from != NULL)
        found = search_step(worker, replay->from, &work);
    if (found == SEARCH_DONE && replay->to != NULL)
        found = search_step(worker, replay->to, &work);
    return found;
}

/* False: not yet, or it has failed. */
static bool placed(struct worker *worker, struct kept *kept) {
    struct replay *replay = kept->replay;
    struct fault fault;
    if (replay->placed)
        return true;
    enum search_result found = look_for(worker, replay);
    if (found == SEARCH_GOES_ON)
        return false;
    if (found != SEARCH_DONE) {
        (void)search_refused(found, &fault);
        fault.field = "replay.start";
        fail(worker, kept, &fault);
        return false;
    }
    place(worker, replay);
    if (replay->gone == 0 || !replay->order.refuse)
        return true;
    refused(&fault, RH_CODE_INVALID,
            "what this replay would begin with is no longer kept, and its policy for that is REFUSE",
            "replay.gone");
    fail(worker, kept, &fault);
    return false;
}

/* ---- the cursor ---- */

static bool wanted(struct worker *worker, const struct kept *kept, uint32_t log, const struct log_view *view,
                   uint64_t position) {
    const struct replay *replay = kept->replay;
    const struct log_entry *entry = log_view_entry(view, position);
    if (!keeper_wants(worker, kept, log, view, position))
        return false;
    if (log_flags_type(entry->flags) != LOG_EVENT && expiry_over(worker, view, entry))
        return false;
    const uint8_t *name = log_view_bytes(view, entry->offset) + log_flags_topic_at(entry->flags);
    return replay->filter_length == 0 ||
           pattern_matches(replay->filter, replay->filter_length, name, log_flags_topic_length(entry->flags));
}

/* One event of its rate is used. Time in which it had to wait is not caught up, but for a moment. */
static void rate_spend(const struct worker *worker, struct replay *replay) {
    uint64_t least_ns = worker->now_ns > REPLAY_SLACK_NS ? worker->now_ns - REPLAY_SLACK_NS : 0;
    if (replay->next_ns < least_ns)
        replay->next_ns = least_ns;
    replay->next_ns += replay->order.each_ns;
}

enum went { WENT_ON, WENT_LATER, WENT_FULL };

/* From its cursor to `to`; FULL: there is no credit, or no event is due by its rate. */
static enum went records_step(struct worker *worker, struct kept *kept, const struct reader *reader,
                              const struct log_view *view, uint64_t to) {
    struct replay *replay = kept->replay;
    uint64_t *at = &replay->at[reader->index];
    for (; *at < to; ++*at) {
        const struct log_entry *entry = log_view_entry(view, *at);
        struct queue_delivery delivery;
        if (!wanted(worker, kept, reader->index, view, *at))
            continue;
        if (replay->order.each_ns > 0 && worker->now_ns < replay->next_ns)
            return WENT_FULL;
        struct queue_event event = keeper_event(worker, kept, reader, view, *at);
        event.replay = true;
        enum queue_offer answer = queue_offer(kept->queue, &event, keeper_now(worker), &delivery);
        if (answer == OFFER_WAIT)
            return WENT_FULL;
        if (answer == OFFER_GIVEN)
            keeper_deliver(worker, kept, &delivery, view, entry);
        rate_spend(worker, replay);
    }
    return *at < replay->end[reader->index] ? WENT_LATER : WENT_ON;
}

/* As for a laggard; what lies behind the end is not waited for. */
static uint64_t bound(const struct worker *worker, const struct replay *replay, uint32_t log) {
    uint64_t at[LOGS_MAX];
    if (worker->cuts_first == worker->cuts_seen)
        return UINT64_MAX;
    for (uint32_t i = 0; i < worker->log_count; i++)
        at[i] = replay->at[i] < replay->end[i] ? replay->at[i] : UINT64_MAX;
    return cuts_bound(worker, log, replay->logs, at);
}

static enum went log_step(struct worker *worker, struct kept *kept, struct reader *reader) {
    struct replay *replay = kept->replay;
    uint64_t from = replay->at[reader->index];
    uint64_t to = lowest(replay->end[reader->index], from + CATCHUP_RECORDS_MAX);
    struct look_at look;
    to = lowest(to, bound(worker, replay, reader->index));
    if (to <= from)
        return WENT_LATER; /* another log comes first */
    enum look found = look_begin(worker, reader, from, &look);
    if (found == LOOK_LATER)
        return WENT_LATER;
    worker->worked = true;
    if (found == LOOK_GONE || look.first > from) {
        look_end(&look);
        uint64_t kept_from = lowest(look.first, replay->end[reader->index]);
        replay->gone += kept_from - from;
        replay->at[reader->index] = kept_from;
        return WENT_LATER;
    }
    enum went went = records_step(worker, kept, reader, look.view, lowest(to, look.end));
    look_end(&look);
    return went;
}

/* One log behind the other, as far as they let it. */
static enum went logs_step(struct worker *worker, struct kept *kept) {
    const struct replay *replay = kept->replay;
    enum went all = WENT_ON;
    for (uint32_t i = 0; i < worker->log_count && all != WENT_FULL; i++) {
        if ((replay->logs >> i & 1u) == 0 || replay->at[i] >= replay->end[i])
            continue;
        enum went went = log_step(worker, kept, &worker->readers[i]);
        all = went > all ? went : all;
    }
    return all;
}

/* ---- what its owner is told ---- */

static struct session_replayed standing(const struct worker *worker, const struct kept *kept) {
    const struct replay *replay = kept->replay;
    struct queue_replay counts = queue_replay(kept->queue);
    struct session_replayed told = {.delivered = counts.delivered,
                                    .acknowledged = counts.done,
                                    .failed = counts.dead,
                                    .missing = replay->gone + counts.lost,
                                    .left = counts.outstanding,
                                    .waiting = queue_members(kept->queue) == 0};
    for (uint32_t i = 0; replay->placed && i < worker->log_count; i++)
        if ((replay->logs >> i & 1u) != 0)
            told.left += replay->end[i] - replay->at[i];
    told.over = replay->placed && told.left == 0;
    return told;
}

static bool same(const struct session_replayed *a, const struct session_replayed *b) {
    return a->delivered == b->delivered && a->acknowledged == b->acknowledged && a->failed == b->failed &&
           a->missing == b->missing && a->left == b->left && a->waiting == b->waiting && a->over == b->over;
}

/* Without memory it is told later; the last one, too. */
static bool tell(struct worker *worker, struct replay *replay, const struct session_replayed *standing) {
    struct note *note = note_new(NOTE_REPLAYED, replay->owner, NULL, 0);
    if (note == NULL)
        return false;
    note->as.replayed = replay->told = *standing;
    replay->tell_ns = worker->now_ns + REPLAY_TELL_NS;
    talk_send(worker, owner_shard(replay->owner), note);
    return true;
}

/* True: that was the last that is told. */
static bool report(struct worker *worker, struct kept *kept) {
    struct replay *replay = kept->replay;
    struct session_replayed now = standing(worker, kept);
    counter_add(&worker->stats.replayed, now.delivered - replay->counted);
    replay->counted = now.delivered;
    if (!now.over && (same(&now, &replay->told) || worker->now_ns < replay->tell_ns))
        return false;
    return tell(worker, replay, &now) && now.over;
}

bool replays_leave(struct worker *worker, struct kept *kept, uint64_t owner) {
    if (kept->replay == NULL || kept->replay->owner != owner)
        return false;
    struct session_replayed now = standing(worker, kept);
    now.over = true;
    if (!tell(worker, kept->replay, &now))
        keeper_fault(worker, owner, NOTE_OUT, no_memory());
    end(worker, kept);
    return true;
}

bool replays_step(struct worker *worker, struct kept *kept) {
    struct replay *replay = kept->replay;
    if (replay == NULL || worker->draining)
        return false;
    if (!placed(worker, kept))
        return kept->replay != NULL;
    enum went went = kept->attached ? logs_step(worker, kept) : WENT_ON;
    if (report(worker, kept)) {
        end(worker, kept);
        return false;
    }
    /* Acknowledgements let it go on; this is for what has changed, and for when there was no memory. */
    replay->due_ns = worker->now_ns < replay->tell_ns ? replay->tell_ns : worker->now_ns + REPLAY_TELL_NS;
    if (replay->order.each_ns > 0 && went == WENT_FULL && worker->now_ns < replay->next_ns)
        replay->due_ns = lowest(replay->due_ns, replay->next_ns);
    return went == WENT_LATER;
}

uint64_t replays_due_ns(const struct kept *kept) {
    return kept->replay == NULL ? TIMERS_NEVER : kept->replay->due_ns;
}

void replays_expired(const struct worker *worker, const struct kept *kept) {
    if (kept->replay != NULL && kept->replay->due_ns <= worker->now_ns)
        kept->replay->due_ns = TIMERS_NEVER;
}
