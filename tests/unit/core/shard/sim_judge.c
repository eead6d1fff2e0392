/* The judge's eyes: what was appended to the logs, and the frames that each client was sent, in their order.
 */
#include "tests/unit/core/shard/sim.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define POLICY_SKIP ((uint8_t)ROUNDHOUSE__V1__SLOW_POLICY__SLOW_POLICY_SKIP)

/* ---- the logs ---- */

static uint8_t topic_number(struct sim_world *world, const struct wire_event *event) {
    for (uint8_t i = 0; i < SIM_TOPICS; i++)
        if (strlen(sim_topics[i]) == event->topic_length &&
            memcmp(sim_topics[i], event->topic, event->topic_length) == 0)
            return i;
    sim_fail(world, NULL, "a topic in the log that nobody published to");
}

static void same_event(struct sim_world *world, const struct wire_event *event, struct sim_record *record) {
    uint32_t data_bytes;
    uint8_t *expected = malloc(event->event_length + SIM_EVENT_EXTRA);
    cr_assert_not_null(expected);
    bool ours =
        sim_event_read(event->event, event->event_length, &record->client, &record->ordinal, &data_bytes) &&
        data_bytes < event->event_length && record->client < world->clients_count;
    uint32_t length = ours ? sim_event_build(expected, record->client, record->ordinal, data_bytes) : 0;
    if (length != event->event_length || memcmp(expected, event->event, length) != 0)
        sim_fail(world, NULL, "an event in the log is not as it was published");
    free(expected);
}

static void event_appended(struct sim_world *world, uint32_t log, const struct sim_record *record,
                           uint64_t position) {
    struct sim_client *client = world->clients[record->client];
    if (record->ordinal == 0 || record->ordinal > client->events_count)
        sim_fail(world, client, "event %u in the log, which it has not published", record->ordinal);
    struct sim_event *event = &client->events[record->ordinal - 1];
    if (!event->valid || event->verdict != SIM_STORED || event->position != 0 ||
        event->end > client->written || event->topic != record->topic || world->homes[record->topic] != log)
        sim_fail(world, client, "event %u in log %u: valid %d, first at %" PRIu64, record->ordinal, log,
                 event->valid, event->position);
    if (record->ordinal <= client->last_ordinal[log])
        sim_fail(world, client, "event %u behind %" PRIu64 " in log %u", record->ordinal,
                 client->last_ordinal[log], log);
    client->last_ordinal[log] = record->ordinal;
    event->position = position;
    sim_note(world, client, "appended", record->ordinal, log, position);
}

static void log_take(struct sim_world *world, uint32_t number, uint64_t position) {
    struct sim_log *seen = &world->logs[number];
    const struct log_entry *entry = log_entry_at(seen->log, position);
    const uint8_t *bytes = log_bytes_at(seen->log, entry->offset);
    struct wire_event event;
    uint64_t sequence;
    if (seen->count == seen->capacity) {
        seen->capacity = seen->capacity == 0 ? 256 : 2 * seen->capacity;
        seen->records = realloc(seen->records, seen->capacity * sizeof *seen->records);
        cr_assert_not_null(seen->records);
    }
    struct sim_record *record = &seen->records[seen->count++];
    wire_record_read(bytes, entry->length, &sequence, &event);
    if (log_is_disk(world->shards, number))
        sim_history_keep(seen, entry, bytes);
    *record = (struct sim_record){
        .hash = sim_hash(bytes, entry->length), .time = entry->time, .length = entry->length};
    if (sequence != sequence_make(seen->epoch, position))
        sim_fail(world, NULL, "log %u: sequence %" PRIx64 " at %" PRIu64, number, sequence, position);
    record->topic = topic_number(world, &event);
    same_event(world, &event, record);
    event_appended(world, number, record, position);
}

void sim_logs_look(struct sim_world *world) {
    for (uint32_t i = 0; i < world->logs_count; i++) {
        struct sim_log *seen = &world->logs[i];
        uint64_t produced = log_produced(seen->log);
        while (sim_log_end(seen) < produced)
            log_take(world, i, sim_log_end(seen));
        log_reader_raise(seen->log, seen->gate, produced);
    }
}

/* ---- answers ---- */

static struct sim_want *want_of(struct sim_client *client, enum sim_want_kind kind) {
    static const char *const names[] = {"Connected", "Subscribed", "Unsubscribed", "Pong",
                                        "Error",     "Error",      "fatal Error",  "Goodbye"};
    struct sim_want *want = &client->wants[client->wants_first];
    if (client->wants_first == client->wants_count)
        sim_fail(client->world, client, "%s, and nothing was asked", names[kind]);
    if (want->kind != kind || want->end > client->written)
        sim_fail(client->world, client, "%s, and %s was due", names[kind], names[want->kind]);
    client->wants_first++;
    return want;
}

static void connected_came(struct sim_client *client, const Roundhouse__V1__Connected *connected) {
    (void)want_of(client, SIM_WANT_CONNECTED);
    if (connected->version != 1 || connected->instance.len != 16)
        sim_fail(client->world, client, "a strange Connected");
    client->connected = true;
    sim_note(client->world, client, "connected", 0, 0, 0);
}

static void subscribed_came(struct sim_client *client, const Roundhouse__V1__Subscribed *subscribed) {
    const struct sim_want *want = want_of(client, SIM_WANT_SUBSCRIBED);
    if (want->number != subscribed->id)
        sim_fail(client->world, client, "Subscribed %" PRIu64 " for %" PRIu64, subscribed->id, want->number);
    sim_judge_subscribed(client, want, &subscribed->position);
}

static void unsubscribed_came(struct sim_client *client, const Roundhouse__V1__Unsubscribed *unsubscribed) {
    const struct sim_want *want = want_of(client, SIM_WANT_UNSUBSCRIBED);
    if (want->number != unsubscribed->id)
        sim_fail(client->world, client, "Unsubscribed %" PRIu64 " for %" PRIu64, unsubscribed->id,
                 want->number);
    sim_judge_unsubscribed(client, unsubscribed->id);
}

static void pong_came(struct sim_client *client, const Roundhouse__V1__Pong *pong) {
    const struct sim_want *want = want_of(client, SIM_WANT_PONG);
    if (pong->data.len != sizeof want->number || memcmp(pong->data.data, &want->number, pong->data.len) != 0)
        sim_fail(client->world, client, "a Pong for another Ping");
    sim_judge_position(client, &pong->position, true);
    sim_note(client->world, client, "pong", want->number, 0, 0);
}

static void goodbye_came(struct sim_client *client, bool settled) {
    struct sim_world *world = client->world;
    client->over = client->goodbye = true;
    sim_note(world, client, "goodbye", settled, 0, 0);
    if (settled)
        sim_judge_settled(client);
    if (world->stopping)
        return;
    if (!settled)
        sim_fail(world, client, "an answer to Goodbye that says nothing is settled");
    if (client->leaving != SIM_SHUT)
        (void)want_of(client, SIM_WANT_GOODBYE);
    if (client->wants_first < client->wants_count &&
        client->wants[client->wants_first].end <= client->written)
        sim_fail(world, client, "Goodbye before an answer");
}

static bool timeout_due(const struct sim_client *client) {
    uint64_t limit = client->world->setup.idle_ns;
    if (!client->connected)
        return sim_now_ns() - client->opened_ns > HANDSHAKE_NS_DEFAULT;
    uint64_t now_ns = sim_now_ns() - client->spoke_ns; /* it may have spoken while the Error was on its way */
    uint64_t silent_ns = now_ns > client->silent_ns ? now_ns : client->silent_ns;
    bool delayed = client->world->setup.faults.delay > 0; /* then it may have spoken without being heard */
    return limit != 0 && (silent_ns > limit || delayed);
}

static void fatal_came(struct sim_client *client, const Roundhouse__V1__Error *error) {
    client->over = client->failed = true;
    sim_note(client->world, client, "fatal", (uint64_t)error->code, 0, 0);
    const struct sim_want *want = &client->wants[client->wants_first];
    if (client->wants_first < client->wants_count && want->kind == SIM_WANT_FATAL &&
        want->end <= client->written && (int)want->code == (int)error->code)
        return;
    client->broken = true; /* what is still on its way will not be read */
    if ((int)error->code == (int)RH_CODE_UNAVAILABLE && client->world->stopping)
        return;
    if ((int)error->code == (int)RH_CODE_EXHAUSTED && !client->connected &&
        client->world->setup.connections < SIM_CLIENTS_MAX)
        return;
    if ((int)error->code == (int)RH_CODE_INTERNAL && client->world->history_error != 0)
        return;
    if ((int)error->code == (int)RH_CODE_SLOW_CONSUMER)
        sim_judge_slow(client);
    else if ((int)error->code != (int)RH_CODE_TIMEOUT || !timeout_due(client))
        sim_fail(client->world, client, "a fatal Error of code %d: %s", (int)error->code, error->text);
}

static void error_came(struct sim_client *client, const Roundhouse__V1__Error *error) {
    if (error->fatal) {
        fatal_came(client, error);
        return;
    }
    bool event = error->ordinal != 0;
    if ((int)error->code == (int)RH_CODE_INTERNAL && client->world->history_error != 0) {
        (void)want_of(client, SIM_WANT_SUBSCRIBED);
        return;
    }
    const struct sim_want *want = want_of(client, event ? SIM_WANT_EVENT_REFUSED : SIM_WANT_REFUSED);
    if (want->number != (event ? error->ordinal : error->subscription))
        sim_fail(client->world, client, "an Error about another thing: %s", error->text);
    sim_note(client->world, client, "refused", want->number, (uint64_t)error->code, 0);
}

/* ---- frames ---- */

static void control_came(struct sim_client *client, const uint8_t *frame, size_t length) {
    Roundhouse__V1__Frame *unpacked = roundhouse__v1__frame__unpack(NULL, length, frame);
    if (unpacked == NULL)
        sim_fail(client->world, client, "a frame that is no Frame");
    switch (unpacked->body_case) {
    case ROUNDHOUSE__V1__FRAME__BODY_CONNECTED:
        connected_came(client, unpacked->connected);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBED:
        subscribed_came(client, unpacked->subscribed);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_UNSUBSCRIBED:
        unsubscribed_came(client, unpacked->unsubscribed);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PONG:
        pong_came(client, unpacked->pong);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PUBLISH_ACK:
        sim_judge_ack(client, unpacked->publish_ack);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_GAP:
        sim_judge_gap(client, unpacked->gap);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_ERROR:
        error_came(client, unpacked->error);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PING: /* to a publisher that is held back */
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_GOODBYE:
        goodbye_came(client, unpacked->goodbye->settled);
        break;
    default:
        sim_fail(client->world, client, "a frame of kind %d", (int)unpacked->body_case);
    }
    roundhouse__v1__frame__free_unpacked(unpacked, NULL);
}

/* The length in front; 0 = not all there yet. */
static uint32_t varint_take(struct sim_client *client, const uint8_t *bytes, size_t length, uint64_t *value) {
    *value = 0;
    for (uint32_t i = 0; i < length; i++) {
        *value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80)
            return i + 1;
        if (i == 3)
            sim_fail(client->world, client, "no length in front of a frame");
    }
    return 0;
}

static void frame_came(struct sim_client *client, const uint8_t *frame, uint32_t prefix, uint32_t length) {
    const uint8_t *body = frame + prefix;
    if (client->over)
        sim_fail(client->world, client, "a frame behind the last one: %02x", body[0]);
    if (length > 0 && body[0] == 0x0a)
        sim_judge_event(client, frame, prefix + length, body, length);
    else
        control_came(client, body, length);
}

static size_t frames_take(struct sim_client *client) {
    size_t done = 0;
    while (done < client->in_length) {
        uint64_t length;
        uint32_t prefix = varint_take(client, client->in + done, client->in_length - done, &length);
        if (prefix == 0 || length > client->in_length - done - prefix)
            break;
        frame_came(client, client->in + done, prefix, (uint32_t)length);
        done += prefix + length;
    }
    return done;
}

/* ---- connections ---- */

static void bytes_came(struct sim_client *client, const uint8_t *bytes, size_t length) {
    if (client->in_length + length > client->in_capacity) {
        client->in_capacity = 2 * (client->in_length + length);
        client->in = realloc(client->in, client->in_capacity);
        cr_assert_not_null(client->in);
    }
    memcpy(client->in + client->in_length, bytes, length);
    client->in_length += length;
    client->decoded += length;
    size_t done = frames_take(client);
    client->in_length -= done;
    memmove(client->in, client->in + done, client->in_length);
}

/* Reset, without an Error: it did not fit into the socket of a client that does not read. */
static void error_was_due(struct sim_client *client) {
    const struct sim_want *want = &client->wants[client->wants_first];
    for (; want < client->wants + client->wants_count && want->end <= client->written; want++)
        if (want->kind == SIM_WANT_FATAL ||
            (want->kind == SIM_WANT_SUBSCRIBED && want->sub.policy != POLICY_SKIP))
            return;
    if (!client->stalls && !timeout_due(client))
        sim_judge_slow(client);
}

/* The server has let go. It may do so when the client has left, when its last frame is there, or when fate
 * has broken the connection. */
static void end_came(struct sim_client *client, enum io_sim_end how) {
    struct sim_world *world = client->world;
    sim_note(world, client, "ended", (uint64_t)how, client->in_length, 0);
    client->gone = true;
    if (how == IO_SIM_CLOSED && client->in_length != 0)
        sim_fail(world, client, "closed within a frame");
    bool reason = client->over || how == IO_SIM_BROKEN || how == IO_SIM_LEFT ||
                  (!client->connected && (client->leaving == SIM_SHUT || world->stopping));
    if (!reason && how == IO_SIM_ABORTED)
        error_was_due(client);
    else if (!reason)
        sim_fail(world, client, "ended without a word");
    client->broken |= !client->over;
}

static void client_look(struct sim_client *client) {
    const uint8_t *bytes;
    if (client->peer == NULL)
        return;
    size_t unread = io_sim_unread(client->peer, &bytes);
    size_t known = (size_t)(client->decoded - client->consumed);
    cr_assert_leq(known, unread);
    if (unread > known)
        bytes_came(client, bytes + known, unread - known);
    enum io_sim_end how = io_sim_ended(client->peer);
    if (how == IO_SIM_OPEN)
        return;
    io_sim_forget(client->peer);
    client->peer = NULL;
    end_came(client, how);
}

void sim_clients_look(struct sim_world *world) {
    for (uint32_t i = 0; i < world->clients_count; i++)
        client_look(world->clients[i]);
}
