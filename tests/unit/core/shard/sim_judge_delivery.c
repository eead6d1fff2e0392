/* The judge of deliveries. For each subscription and log he keeps the position below which everything that
 * matches has been delivered, has been covered by a Gap, or lies before its begin; and he has the list of all
 * that was ever appended. So each event either moves somebody on, or was not due; and whatever is jumped over
 * was missed. */
#include "tests/unit/core/shard/sim.h"

#include <inttypes.h>
#include <string.h>

static bool sub_matches(const struct sim_sub *sub, const struct sim_record *record) {
    uint32_t digit = record->ordinal;
    while (digit >= 10)
        digit /= 10;
    return (sub->topics >> record->topic & 1u) != 0 && (sub->digits == 0 || (sub->digits >> digit & 1u) != 0);
}

static bool sub_reads(const struct sim_sub *sub, uint32_t log) {
    return (sub->logs >> log & 1u) != 0;
}

/* Nothing that matches lies in [next, to): it would have been missed. */
static void sub_has(struct sim_client *client, const struct sim_sub *sub, uint32_t log, uint64_t to,
                    const char *why) {
    const struct sim_log *seen = &client->world->logs[log];
    for (uint64_t position = sub->next[log]; position < to; position++)
        if (sub_matches(sub, &seen->records[position - seen->first]))
            sim_fail(client->world, client,
                     "%s passes log %u position %" PRIu64 ", which subscription %" PRIu64 " has not got", why,
                     log, position, sub->id);
}

/* ... and from there on it goes on. */
static void sub_passes(struct sim_client *client, struct sim_sub *sub, uint32_t log, uint64_t to,
                       const char *why) {
    sub_has(client, sub, log, to, why);
    if (sub->next[log] < to)
        sub->next[log] = to;
}

/* ---- last events of topics ---- */

/* The lowest one that is due in front of the start, in a log; 0 = none. */
static uint64_t last_lowest(const struct sim_world *world, const struct sim_sub *sub, uint32_t log) {
    uint64_t lowest = 0;
    for (uint32_t i = 0; i < SIM_TOPICS; i++)
        if (sub->last[i] != 0 && world->homes[i] == log && (lowest == 0 || sub->last[i] < lowest))
            lowest = sub->last[i];
    return lowest;
}

/* What comes behind the start, or says that it is reached, comes behind all of them. */
static void lasts_over(struct sim_client *client, struct sim_sub *sub, uint32_t log, uint64_t below,
                       const char *why) {
    const struct sim_world *world = client->world;
    for (uint32_t i = 0; i < SIM_TOPICS; i++) {
        if (sub->last[i] == 0 || world->homes[i] != log || sub->last[i] >= below)
            continue;
        if (!(sub->missed >> i & 1u))
            sim_fail(client->world, client,
                     "%s, and subscription %" PRIu64 " has not got %s of log %u position %" PRIu64, why,
                     sub->id, sim_topics[i], log, sub->last[i]);
        sub->last[i] = 0; /* it was overwritten before it could be found */
    }
}

/* Those up to `to` are gone, or were passed over. True if there was one at `from` or above. */
static bool lasts_gone(struct sim_client *client, struct sim_sub *sub, uint32_t log, uint64_t from,
                       uint64_t to) {
    bool any = false;
    for (uint32_t i = 0; i < SIM_TOPICS; i++) {
        if (sub->last[i] == 0 || client->world->homes[i] != log || sub->last[i] > to)
            continue;
        if (sub->last[i] < from && !(sub->missed >> i & 1u))
            sim_fail(client->world, client, "the last event of %s at %" PRIu64 " is passed over",
                     sim_topics[i], sub->last[i]);
        any = any || sub->last[i] >= from;
        sub->last[i] = 0;
    }
    return any;
}

/* At the start: what a log of the judge's knows as the last ones below it. */
static void lasts_note(struct sim_client *client, struct sim_sub *sub, uint32_t log) {
    const struct sim_world *world = client->world;
    const struct sim_log *seen = &world->logs[log];
    uint64_t oldest = sim_kept(world, log);
    for (uint64_t position = seen->first; position < sub->next[log]; position++) {
        const struct sim_record *record = &seen->records[position - seen->first];
        uint8_t topic = record->topic;
        if (!sub_matches(sub, record))
            continue;
        sub->last[topic] = position;
        sub->missed &= ~(1u << topic);
        sub->missed |= position < oldest ? 1u << topic : 0;
    }
}

/* ---- events ---- */

static const uint8_t *number_take(const uint8_t *from, uint32_t *value) {
    *value = 0;
    for (uint32_t shift = 0;; shift += 7) {
        *value |= (uint32_t)(*from & 0x7f) << shift;
        if (*from++ < 0x80)
            return from;
    }
}

/* The canonical form: Frame{event{sequence, topic, event}}; the rest is compared with the log by its hash. */
static uint32_t event_place(struct sim_client *client, const uint8_t *body, uint32_t length,
                            uint64_t *position) {
    uint32_t inner;
    uint64_t sequence;
    const uint8_t *at = number_take(body + 1, &inner);
    if (length < 14 || at[0] != 0x09 || at[9] != 0x12)
        sim_fail(client->world, client, "an Event of another form");
    memcpy(&sequence, at + 1, sizeof sequence);
    *position = sequence_position(sequence);
    uint32_t topic_length = at[10];
    for (uint32_t i = 0; i < SIM_TOPICS; i++)
        if (strlen(sim_topics[i]) == topic_length && memcmp(sim_topics[i], at + 11, topic_length) == 0)
            return client->world->homes[i];
    sim_fail(client->world, client, "an Event of a topic that nobody published to");
}

static void event_same(struct sim_client *client, const struct sim_log *seen, uint64_t position,
                       const uint8_t *frame, uint32_t length) {
    if (position < seen->first || position >= sim_log_end(seen))
        sim_fail(client->world, client, "an Event of position %" PRIu64 " of %" PRIu64, position,
                 sim_log_end(seen));
    if (position >= log_visible(seen->log))
        sim_fail(client->world, client, "an Event of position %" PRIu64 ", which may still be lost",
                 position);
    const struct sim_record *record = &seen->records[position - seen->first];
    if (record->length != length || record->hash != sim_hash(frame, length))
        sim_fail(client->world, client, "the Event of position %" PRIu64 " is not the record of the log",
                 position);
}

void sim_judge_event(struct sim_client *client, const uint8_t *frame, uint32_t length, const uint8_t *body,
                     uint32_t body_length) {
    struct sim_world *world = client->world;
    uint64_t position;
    uint32_t log = event_place(client, body, body_length, &position);
    event_same(client, &world->logs[log], position, frame, length);
    const struct sim_record *record = &world->logs[log].records[position - world->logs[log].first];
    uint8_t topic = record->topic;
    bool due = false;
    sim_note(world, client, "event", log, position, topic);
    for (uint32_t i = 0; i < client->subs_count; i++) {
        struct sim_sub *sub = &client->subs[i];
        sub->fresh = false;
        if (sub->last[topic] == position) {
            (void)lasts_gone(client, sub, log, position, position);
            sub->picked[log] = position + 1;
            world->lasts++;
            due = true;
        }
        if (!sub_reads(sub, log) || sub->next[log] > position)
            continue;
        due |= sub_matches(sub, record);
        lasts_over(client, sub, log, UINT64_MAX, "an Event behind its start");
        sub_passes(client, sub, log, position, "an Event");
        sub->next[log] = position + 1;
        sub->picked[log] = 0;
    }
    if (!due)
        sim_fail(world, client, "the Event of log %u position %" PRIu64 " (%s) was not due", log, position,
                 sim_topics[topic]);
    world->events++;
}

/* ---- Positions ---- */

static void position_keep(struct sim_world *world, const struct position *position) {
    world->positions[world->positions_count++ % SIM_POSITIONS] = *position;
}

static struct position position_of(struct sim_client *client, const ProtobufCBinaryData *packed) {
    struct position position;
    struct fault fault;
    if (!position_unpack(packed->data, packed->len, &position, &fault) ||
        position.count != client->world->logs_count)
        sim_fail(client->world, client, "a Position that is none");
    for (uint32_t i = 0; i < position.count; i++)
        if (position.logs[i].number != client->world->logs[i].number ||
            sequence_epoch(position.logs[i].next) != client->world->logs[i].epoch)
            sim_fail(client->world, client, "a Position of other logs");
    return position;
}

/* Everything before it has been delivered, and nothing behind it: who resumes there gets exactly the rest. */
void sim_judge_position(struct sim_client *client, const ProtobufCBinaryData *packed, bool keep) {
    struct sim_world *world = client->world;
    struct position position = position_of(client, packed);
    for (uint32_t log = 0; log < position.count; log++) {
        uint64_t lowest = UINT64_MAX;
        uint64_t next = sequence_position(position.logs[log].next);
        if (next > log_visible(world->logs[log].log))
            sim_fail(world, client, "a Position beyond the end of log %u", log);
        bool undone = false;
        for (uint32_t i = 0; i < client->subs_count; i++) {
            struct sim_sub *sub = &client->subs[i];
            if (!sub_reads(sub, log))
                continue;
            uint64_t last = last_lowest(world, sub, log);
            undone = undone || last != 0;
            if (!(position.undone >> log & 1u)) /* those from it on come to whoever resumes there */
                lasts_over(client, sub, log, next, "a Position says so");
            if (sub->picked[log] != 0 && (last == 0 || sub->picked[log] < last))
                last = sub->picked[log];
            lowest = last != 0 && last < lowest ? last : lowest;
            lowest = sub->next[log] < lowest ? sub->next[log] : lowest;
            sub_has(client, sub, log, next, "a Position");
        }
        if ((position.undone >> log & 1u) && !undone)
            sim_fail(world, client, "a Position would bring the last events of log %u again", log);
        if (lowest != UINT64_MAX && next < lowest)
            sim_fail(world, client, "a Position that would bring log %u again from %" PRIu64 " on", log,
                     next);
    }
    if (keep)
        position_keep(world, &position);
}

/* ---- begin and end of subscriptions ---- */

static void begin_fail(struct sim_client *client, const struct sim_sub *sub, uint32_t log, uint64_t where) {
    sim_fail(client->world, client,
             "subscription %" PRIu64 " begins at log %u position %" PRIu64 ", and asked for %d, %" PRIu64,
             sub->id, log, sub->next[log], (int)sub->begin.kind, where);
}

/* Nothing that is kept and lies before it is of that time. */
static void begin_time(struct sim_client *client, const struct sim_sub *sub, uint32_t log) {
    const struct sim_log *seen = &client->world->logs[log];
    uint64_t next = sub->next[log];
    for (uint64_t position = sim_kept(client->world, log); position < next; position++)
        if (seen->records[position - seen->first].time >= sub->begin.value)
            begin_fail(client, sub, log, position);
    if (next < sim_log_end(seen) && next < sub->floor[log] &&
        seen->records[next - seen->first].time < sub->begin.value)
        begin_fail(client, sub, log, next);
}

/* Where its Position stands in a log, and whether that has left last events over there. */
static uint64_t resume_of(const struct sim_world *world, const struct sim_sub *sub, uint32_t log,
                          bool *undone) {
    *undone = false;
    for (uint32_t i = 0; i < sub->resume.count; i++)
        if (sub->resume.logs[i].number == world->logs[log].number) {
            *undone = (sub->resume.undone >> i & 1u) != 0;
            return sequence_position(sub->resume.logs[i].next);
        }
    return 0;
}

/* Whether it begins in this log where a Position says. */
static bool sub_resumes(const struct sim_world *world, const struct sim_sub *sub, uint32_t log) {
    bool undone;
    (void)resume_of(world, sub, log, &undone);
    return sub->resumes && (sub->strange >> log & 1u) == 0 && !(undone && sub->begin.kind == START_LAST);
}

static void begin_judge(struct sim_client *client, const struct sim_sub *sub, uint32_t log) {
    const struct sim_world *world = client->world;
    uint64_t asked = sequence_position(sub->begin.value);
    bool undone;
    uint64_t resume = resume_of(world, sub, log, &undone);
    if (sub->next[log] > sim_log_end(&world->logs[log]))
        begin_fail(client, sub, log, 0);
    if (sub_resumes(world, sub, log)) {
        if (sub->next[log] != resume)
            begin_fail(client, sub, log, resume);
        return;
    }
    bool sequence = sub->begin.kind == START_SEQUENCE && !sub->positioned;
    if (sub->begin.kind == START_TIME)
        begin_time(client, sub, log);
    else if (sequence && sub->next[log] != asked)
        begin_fail(client, sub, log, asked);
    else if (!sequence && sub->next[log] < sub->floor[log])
        begin_fail(client, sub, log, sub->floor[log]);
    if (sub->begin.kind == START_OLDEST && sub->next[log] > sim_kept(world, log))
        begin_fail(client, sub, log, sim_kept(world, log));
}

void sim_judge_subscribed(struct sim_client *client, const struct sim_want *want,
                          const ProtobufCBinaryData *packed) {
    struct sim_world *world = client->world;
    struct position position = position_of(client, packed);
    struct sim_sub *sub = &client->subs[client->subs_count++];
    *sub = want->sub;
    sub->fresh = true;
    for (uint32_t log = 0; log < position.count; log++) {
        sub->next[log] = sequence_position(position.logs[log].next);
        if (!sub_reads(sub, log))
            continue;
        begin_judge(client, sub, log);
        if (sub->begin.kind == START_LAST && !sub_resumes(world, sub, log))
            lasts_note(client, sub, log);
        if (!(position.undone >> log & 1u))
            lasts_over(client, sub, log, UINT64_MAX, "Subscribed says so");
    }
    client->resumed |= sub->resumes || sub->begin.kind != START_LIVE;
    if (client->strange != 0)
        sim_fail(world, client, "a Gap about another run has not come");
    client->strange = sub->stranger ? UINT32_MAX : sub->strange;
    world->resumes += sub->resumes;
    position_keep(world, &position);
    sim_note(world, client, "subscribed", sub->id, sub->next[0], sub->next[1]);
}

void sim_judge_unsubscribed(struct sim_client *client, uint64_t id) {
    for (uint32_t i = 0; i < client->subs_count; i++)
        if (client->subs[i].id == id)
            client->subs[i] = client->subs[--client->subs_count];
    sim_note(client->world, client, "unsubscribed", id, 0, 0);
}

/* ---- what is too slow ---- */

/* All subscriptions of a connection have the same policy. */
static bool client_skips(const struct sim_client *client) {
    return client->subs_count > 0 && client->subs[0].policy == ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP;
}

static uint32_t log_index(const struct sim_world *world, uint32_t number) {
    for (uint32_t i = 0; i < world->logs_count; i++)
        if (world->logs[i].number == number)
            return i;
    return world->logs_count;
}

static bool gap_of_instance(struct sim_client *client, const Roundhouse__V1__Gap *gap) {
    if (gap->reason != ROUNDHOUSE__V1__GAP__REASON__REASON_INSTANCE)
        return false;
    uint32_t log = log_index(client->world, gap->log);
    uint32_t about = client->strange == UINT32_MAX ? UINT32_MAX : 1u << log;
    if ((client->strange & about) == 0 || gap->from != 0 || gap->to != 0 || gap->at_most != 0)
        sim_fail(client->world, client, "a Gap about another run of log %u", gap->log);
    client->strange &= ~about;
    return true;
}

static bool gap_of_hole(const struct sim_log *seen, const Roundhouse__V1__Gap *gap) {
    return gap->from >= seen->hole && gap->to < seen->hole_end;
}

static void gap_allowed(struct sim_client *client, const Roundhouse__V1__Gap *gap) {
    const struct sim_world *world = client->world;
    bool slow = gap->reason == ROUNDHOUSE__V1__GAP__REASON__REASON_SLOW && client_skips(client);
    uint32_t log = log_index(world, gap->log);
    bool history = world->setup.history && gap->log >= 64;
    bool expired = gap->reason == ROUNDHOUSE__V1__GAP__REASON__REASON_EXPIRED &&
                   (client->resumed || (history && client_skips(client)));
    if ((!slow || history) && !expired)
        sim_fail(client->world, client, "a Gap for reason %d", (int)gap->reason);
    if (log == world->logs_count || gap->from == 0 || gap->from > gap->to ||
        gap->to >= sim_log_end(&world->logs[log]) || gap->at_most != gap->to - gap->from + 1)
        sim_fail(client->world, client, "a Gap of %" PRIu64 " events from %" PRIu64 " to %" PRIu64,
                 gap->at_most, gap->from, gap->to);
    if (gap->from >= sim_kept(world, log) && !gap_of_hole(&world->logs[log], gap))
        sim_fail(client->world, client, "a Gap from %" PRIu64 ", which the log still has", gap->from);
}

/* Directly behind Subscribed: of the time that it asks for something lies in front of the oldest record. */
static bool gap_of_time(struct sim_client *client, const Roundhouse__V1__Gap *gap) {
    uint32_t log = log_index(client->world, gap->log);
    const struct sim_sub *sub = &client->subs[client->subs_count - 1];
    return client->subs_count > 0 && sub->fresh && sub->begin.kind == START_TIME && sub_reads(sub, log) &&
           gap->reason == ROUNDHOUSE__V1__GAP__REASON__REASON_EXPIRED && gap->to + 1 == sub->next[log];
}

void sim_judge_gap(struct sim_client *client, const Roundhouse__V1__Gap *gap) {
    struct sim_world *world = client->world;
    uint32_t log = log_index(world, gap->log);
    sim_note(world, client, "gap", gap->log, gap->from, gap->to);
    if (gap_of_instance(client, gap))
        return;
    gap_allowed(client, gap);
    bool concerns = gap_of_time(client, gap);
    /* What others miss in such a stretch they are told by themselves, unless this Gap says that they are
     * behind it; so it is with last events, which may still come. */
    struct position told = position_of(client, &gap->position);
    bool alone = concerns && sequence_position(told.logs[log].next) <= gap->to;
    bool lasts_stay = concerns && (told.undone >> log & 1u) != 0;
    for (uint32_t i = 0; i < client->subs_count && !alone; i++) {
        struct sim_sub *sub = &client->subs[i];
        if (!sub_reads(sub, log))
            continue;
        concerns = (!lasts_stay && lasts_gone(client, sub, log, gap->from, gap->to)) || concerns;
        if (sub->next[log] > gap->to)
            continue;
        if (sub->next[log] <= gap->from)
            concerns = true;
        sub_passes(client, sub, log, gap->from, "a Gap");
        sub->next[log] = gap->to + 1;
    }
    if (!concerns)
        sim_fail(world, client, "a Gap from %" PRIu64 ", which nobody needs", gap->from);
    sim_judge_position(client, &gap->position, true);
    world->gaps++;
}

/* Publishers have waited for it as long as they may: it is still further behind than where it would let go.
 */
static bool held_too_long(const struct sim_client *client, const struct sim_sub *sub, uint32_t log) {
    const struct sim_log *seen = &client->world->logs[log];
    uint64_t bytes = 0;
    uint64_t end = sim_log_end(seen);
    if (sub->policy != ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_BLOCK || sub->next[log] >= end)
        return false;
    for (uint64_t position = sub->next[log]; position < end; position++)
        bytes += seen->records[position - seen->first].length;
    return bytes >= log_data_bytes(seen->log) / 8 || end - sub->next[log] >= log_records(seen->log) / 8;
}

void sim_judge_slow(struct sim_client *client) {
    const struct sim_world *world = client->world;
    for (uint32_t i = 0; i < client->subs_count; i++)
        for (uint32_t log = 0; log < world->logs_count; log++)
            if (sub_reads(&client->subs[i], log) && held_too_long(client, &client->subs[i], log)) {
                client->world->slow++;
                return;
            }
    for (uint32_t i = 0; i < client->subs_count; i++)
        for (uint32_t log = 0; log < world->logs_count; log++)
            if (sub_reads(&client->subs[i], log) && !client_skips(client) &&
                client->subs[i].next[log] < sim_kept(world, log)) {
                client->world->slow++;
                return;
            }
    sim_fail(client->world, client, "disconnected as too slow, and it is not");
}

void sim_judge_complete(struct sim_client *client) {
    for (uint32_t i = 0; i < client->subs_count; i++)
        for (uint32_t log = 0; log < client->world->logs_count; log++)
            if (sub_reads(&client->subs[i], log)) {
                lasts_over(client, &client->subs[i], log, UINT64_MAX, "the end");
                sub_passes(client, &client->subs[i], log, sim_log_end(&client->world->logs[log]), "the end");
            }
}
