#include "core/client/receive.h"

#include "codecs/proto/field.h"
#include "core/base/clock.h"
#include "core/client/queues.h"
#include "core/client/replays.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECEIVE_ROUNDS_MAX   16u   /* receives of one call */
#define RECEIVE_POSITION_MAX 4096u /* bytes of a Position; ours has less than 700 */

static void receive_bad(struct rh_client *client, const char *what) {
    link_error(client, "the server sent what is not the protocol: %s", what);
    link_lost(client, client->error, 0);
}

/* ---- events ---- */

/* The fields of an Event message. Bounds are checked, contents are the server's business: it lets nothing
 * malformed in. */
static bool event_read(const struct wire_frame *frame, rh_event *event) {
    const uint8_t *end = frame->body + frame->body_length;
    struct field field;
    for (const uint8_t *p = frame->body; p < end;) {
        p = field_read(p, end, &field);
        if (p == NULL)
            return false;
        if (field.number == 1 && field.type == FIELD_FIXED64)
            event->sequence = field.value;
        if (field.number == 2 && field.type == FIELD_BYTES) {
            event->topic = (const char *)field.data;
            event->topic_length = field.length;
        }
        if (field.number == 3 && field.type == FIELD_BYTES) {
            event->event = field.data;
            event->event_length = field.length;
        }
    }
    return event->topic_length > 0 && event->event != NULL;
}

/* Events of a queue are told apart by their numbers, not by what was seen. */
static void receive_queued(struct rh_client *client, rh_event *event) {
    const struct sub *sub;
    const char *fault = queues_event(client, event, &sub);
    if (fault != NULL) {
        receive_bad(client, fault);
        return;
    }
    if (sub == NULL)
        return;
    if (sub->id == client->requests.inbox)
        requests_reply(client, event);
    else if (client->callbacks.on_event != NULL)
        client->callbacks.on_event(client->user, (uint64_t)sub->id, event);
}

static void receive_context(struct rh_client *client, const Roundhouse__V1__Context *context) {
    const char *fault = queues_context(client, context);
    if (fault != NULL)
        receive_bad(client, fault);
}

static void receive_event(struct rh_client *client, const struct wire_frame *frame) {
    rh_event event = {0};
    if (!event_read(frame, &event)) {
        receive_bad(client, "an event without topic or event");
        return;
    }
    client->events_since_ping++;
    if (client->context.subscription != 0) {
        receive_queued(client, &event);
        return;
    }
    if (subs_all_queues(&client->subs)) {
        /* Perhaps a server that does not know queues takes them for subscriptions. */
        receive_bad(client, "an event of a queue without its Context");
        return;
    }
    const uint8_t *topic = (const uint8_t *)event.topic;
    if (!client->reconnect_off) {
        enum seen_verdict verdict = seen_note(&client->seen, topic, event.topic_length, event.sequence);
        if (verdict == SEEN_REPEATED)
            return;
        event.maybe_duplicate = verdict == SEEN_UNSURE;
    }
    int64_t id = subs_match(&client->subs, &event);
    if (id != 0 && client->callbacks.on_event != NULL)
        client->callbacks.on_event(client->user, (uint64_t)id, &event);
}

/* ---- handshake ---- */

/* Another run of the server knows none of the sequences we remember; it tells subscribers the rest by a Gap,
 * and publishers hear of it here. Returns what is to be said, or "". */
static const char *connected_instance(struct rh_client *client, const ProtobufCBinaryData *instance) {
    bool same = instance->len == sizeof client->instance &&
                memcmp(instance->data, client->instance, sizeof client->instance) == 0;
    if (same)
        return "";
    seen_reset(&client->seen);
    memset(client->instance, 0, sizeof client->instance);
    if (instance->len == sizeof client->instance)
        memcpy(client->instance, instance->data, sizeof client->instance);
    return client->connected_once ? "another run of the server: events acknowledged before may be lost" : "";
}

static void receive_connected(struct rh_client *client, const Roundhouse__V1__Connected *connected) {
    if (client->phase != LINK_HANDSHAKE) {
        receive_bad(client, "a second Connected");
        return;
    }
    if (client->outbox.controls != NULL) {
        receive_bad(client, "Connected before it had our Connect");
        return;
    }
    if (connected->version != 1) {
        link_error(client, "the server speaks version %u of the protocol, this client version 1",
                   connected->version);
        link_over(client, RH_REFUSED, client->error);
        return;
    }
    const char *why = connected_instance(client, &connected->instance);
    uint64_t most = connected->frame_bytes_max < LINK_FRAME_MAX ? connected->frame_bytes_max : LINK_FRAME_MAX;
    client->publish_max = most;
    client->frame_max = most + LINK_FRAME_SLACK;
    link_up(client, why);
}

/* ---- subscriptions ---- */

/* Where the subscription begins, and would resume. false: the connection is gone. */
static bool subscribed_position(struct rh_client *client, struct sub *sub,
                                const ProtobufCBinaryData *position) {
    if (position->len > RECEIVE_POSITION_MAX) {
        receive_bad(client, "a Position of more than 4 KiB");
        return false;
    }
    /* The connection goes back for it: others' events come again. */
    bool resumes = sub->position_length > 0 || sub->options.start != RH_START_LIVE;
    if (sub_position_set(sub, position->data, position->len) != 0) {
        link_lost(client, "out of memory", 0);
        return false;
    }
    if (resumes) {
        seen_carry(&client->seen, true);
        client->doubt_ns = clock_mono_ns();
    }
    return true;
}

static void receive_subscribed(struct rh_client *client, const Roundhouse__V1__Subscribed *subscribed) {
    struct sub *sub = subs_find(&client->subs, (int64_t)subscribed->id);
    if (sub == NULL || sub->state != SUB_ASKED || sub->removes)
        return; /* we have unsubscribed meanwhile */
    if (sub->queue == NULL && !subscribed_position(client, sub, &subscribed->position))
        return;
    sub->state = SUB_LIVE;
    sub->lived = true;
    sub->pongs = client->pongs;
    client->backoff_ns = LINK_BACKOFF_NS_MIN;
    if (client->callbacks.on_subscribed != NULL && sub->id != client->requests.inbox)
        client->callbacks.on_subscribed(client->user, subscribed->id);
}

static void receive_unsubscribed(struct rh_client *client, const Roundhouse__V1__Unsubscribed *unsubscribed) {
    struct sub *sub = subs_find(&client->subs, (int64_t)unsubscribed->id);
    if (sub != NULL && sub->removes && queues_removed(client, sub, NULL))
        return;
    if (sub == NULL || sub->state != SUB_LEAVING)
        return; /* one that was put out of its queue has been told by an Error */
    subs_remove(&client->subs, sub);
    /* One that waits may need what comes while nobody asks for it. */
    if (subs_delayed(&client->subs))
        seen_carry(&client->seen, false);
}

static void receive_gap(struct rh_client *client, const Roundhouse__V1__Gap *gap) {
    rh_gap told = {gap->log, gap->from, gap->to, gap->at_most, (int)gap->reason};
    if (client->callbacks.on_gap != NULL)
        client->callbacks.on_gap(client->user, &told);
}

/* ---- what became of published events ---- */

/* Refused without asking for acknowledgements. */
static void receive_refusal(struct rh_client *client, const rh_ack *ack) {
    if (client->callbacks.on_ack != NULL)
        client->callbacks.on_ack(client->user, ack);
    else if (client->callbacks.on_error != NULL)
        for (size_t i = 0; i < ack->refused_count; i++)
            client->callbacks.on_error(client->user, ack->refused[i].code, ack->refused[i].text, false, 0);
    requests_refused(client, ack);
}

static bool exceptions_reserve(struct rh_client *client, size_t count) {
    if (count <= client->exceptions_capacity)
        return true;
    struct rh_refusal *refusals = realloc(client->refusals, count * sizeof *refusals);
    if (refusals == NULL)
        return false;
    client->refusals = refusals;
    struct rh_duplicate *duplicates = realloc(client->duplicates, count * sizeof *duplicates);
    if (duplicates == NULL)
        return false;
    client->duplicates = duplicates;
    client->exceptions_capacity = count;
    return true;
}

static void exception_take(struct rh_client *client, const Roundhouse__V1__AckException *exception,
                           rh_ack *told) {
    uint64_t ordinal = client->ordinal_base + exception->ordinal;
    if (exception->outcome_case == ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_DUPLICATE_OF)
        client->duplicates[told->duplicates_count++] =
            (struct rh_duplicate){ordinal, exception->duplicate_of};
    else if (exception->outcome_case == ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_ERROR)
        client->refusals[told->refused_count++] = (struct rh_refusal){
            ordinal, (int)exception->error->code, exception->error->text, exception->error->field};
    /* an outcome of a newer version: settled all the same */
}

static void receive_publish_ack(struct rh_client *client, const Roundhouse__V1__PublishAck *ack) {
    if (!exceptions_reserve(client, ack->n_exceptions)) {
        link_lost(client, "out of memory", 0);
        return;
    }
    rh_ack told = {.through = client->ordinal_base + ack->through,
                   .refused = client->refusals,
                   .duplicates = client->duplicates};
    for (size_t i = 0; i < ack->n_exceptions; i++)
        exception_take(client, ack->exceptions[i], &told);
    struct outbox *box = &client->outbox;
    if (box->keep && (told.through < box->ordinal_kept || !outbox_settle(box, told.through))) {
        receive_bad(client, "an acknowledgement of what was not sent");
        return;
    }
    client->backoff_ns = LINK_BACKOFF_NS_MIN;
    if (client->callbacks.on_ack != NULL)
        client->callbacks.on_ack(client->user, &told);
    requests_refused(client, &told);
}

/* ---- errors ---- */

/* These the server means for this moment only. With all others, trying again would meet the same answer. */
static bool error_passes(Roundhouse__V1__ErrorCode code) {
    return code == ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE ||
           code == ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_TIMEOUT ||
           code == ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_SLOW_CONSUMER ||
           code == ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_EXHAUSTED;
}

static uint64_t error_pause(const Roundhouse__V1__Error *error) {
    uint64_t ms = error->retry_after_ms < 3600000 ? error->retry_after_ms : 3600000;
    return ms * NS_PER_MS;
}

/* Refused for want of room, or because the queue is held, although it lived before: the server still counts
 * our last connection. Asked for again later. */
static bool error_delays(struct rh_client *client, const Roundhouse__V1__Error *error, struct sub *sub) {
    bool held = sub->queue != NULL && sub->state == SUB_ASKED &&
                error->code == ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_UNAVAILABLE;
    if (!sub->lived || (error->code != ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_EXHAUSTED && !held))
        return false;
    uint64_t pause = error_pause(error);
    sub->state = SUB_DELAYED;
    if (client->resubscribe_ns == 0)
        client->resubscribe_ns = clock_mono_ns() + (pause > NS_PER_S ? pause : NS_PER_S);
    return true;
}

/* The server does not take the Position, of which nobody can say why it is wrong: perhaps it has another
 * version. The subscription begins anew, live or with the last events of topics, and the user is told as of
 * another run. One that asks to be refused in such a case is. */
static bool error_begins_anew(struct rh_client *client, const Roundhouse__V1__Error *error, struct sub *sub) {
    if (error->code != ROUNDHOUSE__V1__ERROR_CODE__ERROR_CODE_INVALID || sub->state != SUB_ASKED ||
        sub->position_length == 0 || sub->options.gone == RH_GONE_REFUSE ||
        strcmp(error->field, "subscribe.position") != 0)
        return false;
    rh_gap gap = {.reason = ROUNDHOUSE__V1__GAP__REASON__REASON_INSTANCE};
    if (sub_position_set(sub, NULL, 0) != 0)
        return false;
    if (sub->options.start != RH_START_LAST)
        sub->options.start = RH_START_LIVE;
    link_subscribe(client, sub, false);
    if (client->callbacks.on_gap != NULL)
        client->callbacks.on_gap(client->user, &gap);
    return true;
}

static void receive_error_fatal(struct rh_client *client, const Roundhouse__V1__Error *error) {
    link_error(client, "%s (%s)", error->text, rh_code_name((enum rh_code)error->code));
    if (error_passes(error->code))
        link_lost(client, client->error, error_pause(error));
    else
        link_over(client, RH_REFUSED, client->error);
}

/* What is said against an Ack leaves the subscription as it is; all else ends it, or it waits, or begins
 * anew. false: the program is not to be told. */
static bool receive_error_of_sub(struct rh_client *client, const Roundhouse__V1__Error *error) {
    int64_t id = (int64_t)error->subscription;
    if (replays_refused(client, id))
        return true;
    struct sub *sub = subs_find(&client->subs, id);
    bool of_ack = sub != NULL && sub->queue != NULL && strncmp(error->field, "ack.", 4) == 0;
    if (sub != NULL && sub->removes && queues_removed(client, sub, error))
        return false;
    if (sub != NULL && error_begins_anew(client, error, sub))
        return false;
    if (sub != NULL && !of_ack && (sub->state == SUB_LEAVING || !error_delays(client, error, sub)))
        subs_remove(&client->subs, sub);
    if (id != client->requests.inbox)
        return true;
    if (subs_find(&client->subs, id) == NULL)
        requests_inbox_refused(client, (int)error->code, error->text);
    return false; /* it knows nothing of the inbox */
}

static void receive_error(struct rh_client *client, const Roundhouse__V1__Error *error) {
    if (error->ordinal != 0 && !error->fatal) {
        struct rh_refusal refusal = {client->ordinal_base + error->ordinal, (int)error->code, error->text,
                                     error->field};
        receive_refusal(client, &(rh_ack){.through = client->outbox.keep ? client->outbox.ordinal_kept : 0,
                                          .refused_count = 1,
                                          .refused = &refusal});
        return;
    }
    if (error->subscription != 0 && !error->fatal && !receive_error_of_sub(client, error))
        return;
    if (!error->fatal)
        link_error(client, "%s (%s)", error->text, rh_code_name((enum rh_code)error->code));
    enum link_phase phase = client->phase;
    if (client->callbacks.on_error != NULL)
        client->callbacks.on_error(client->user, (int)error->code, error->text, error->fatal,
                                   error->subscription);
    if (error->fatal && client->phase == phase)
        receive_error_fatal(client, error);
}

/* ---- keep-alive and farewell ---- */

static void receive_ping(struct rh_client *client, const Roundhouse__V1__Ping *ping) {
    Roundhouse__V1__Pong pong = ROUNDHOUSE__V1__PONG__INIT;
    pong.data = ping->data;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_PONG;
    frame.pong = &pong;
    if (!client->goodbye_sent)
        link_control(client, &frame);
}

static void receive_pong(struct rh_client *client, const Roundhouse__V1__Pong *pong) {
    client->ping_waiting = false;
    client->backoff_ns = LINK_BACKOFF_NS_MIN;
    if (clock_mono_ns() - client->doubt_ns > LINK_DOUBT_NS)
        seen_settle(&client->seen);
    if (pong->position.len == 0)
        return;
    if (pong->position.len > RECEIVE_POSITION_MAX) {
        receive_bad(client, "a Position of more than 4 KiB");
        return;
    }
    memcpy(client->position, pong->position.data, pong->position.len);
    client->position_length = pong->position.len;
    client->pongs++;
    /* A subscription that waits resumes further back. */
    if (!subs_delayed(&client->subs))
        seen_cover(&client->seen);
    if (client->callbacks.on_position != NULL)
        client->callbacks.on_position(client->user, client->position, client->position_length);
}

static void receive_goodbye(struct rh_client *client, const Roundhouse__V1__Goodbye *goodbye) {
    if (client->goodbye_sent) {
        if (client->outbox.kept == client->outbox.produced)
            link_over(client, RH_CLOSED, "closed");
        else
            link_lost(client, "the server said Goodbye before everything was acknowledged", 0);
        return;
    }
    client->server_leaving = true;
    client->deadline_ns = clock_mono_ns() + LINK_FAREWELL_NS;
    link_error(client, "the server is leaving%s%s", goodbye->reason[0] != '\0' ? ": " : "", goodbye->reason);
}

/* ---- frames ---- */

static void receive_unpacked(struct rh_client *client, const Roundhouse__V1__Frame *frame) {
    switch (frame->body_case) {
    case ROUNDHOUSE__V1__FRAME__BODY_CONNECTED:
        receive_connected(client, frame->connected);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBED:
        receive_subscribed(client, frame->subscribed);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_UNSUBSCRIBED:
        receive_unsubscribed(client, frame->unsubscribed);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PUBLISH_ACK:
        receive_publish_ack(client, frame->publish_ack);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_CONTEXT:
        receive_context(client, frame->context);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_LEASE_EXPIRED:
        queues_lease_expired(client, frame->lease_expired);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_REPLAYED:
        replays_replayed(client, frame->replayed);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_GAP:
        receive_gap(client, frame->gap);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_ERROR:
        receive_error(client, frame->error);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PING:
        receive_ping(client, frame->ping);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PONG:
        receive_pong(client, frame->pong);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_GOODBYE:
        receive_goodbye(client, frame->goodbye);
        break;
    default: /* what newer versions say: nothing to do */
        break;
    }
}

static void receive_frame(struct rh_client *client, const struct wire_frame *frame) {
    if (frame->kind == WIRE_EMPTY || frame->kind == WIRE_UNKNOWN)
        return;
    bool early =
        client->phase == LINK_HANDSHAKE && frame->kind != WIRE_CONNECTED && frame->kind != WIRE_ERROR;
    if (early) {
        receive_bad(client, "a frame before Connected");
        return;
    }
    if (frame->kind == WIRE_EVENT) {
        receive_event(client, frame);
        return;
    }
    struct fault fault;
    Roundhouse__V1__Frame *unpacked = control_unpack(frame, &fault);
    if (unpacked == NULL) {
        receive_bad(client, fault.text);
        return;
    }
    receive_unpacked(client, unpacked);
    control_free(unpacked);
}

/* Handles all whole frames of the inbox. A callback may end the connection: then the rest is nobody's. */
static void receive_frames(struct rh_client *client) {
    struct inbox *box = &client->inbox;
    int socket = client->socket;
    while (box->start < box->end && client->socket == socket) {
        struct wire_frame frame;
        struct fault fault;
        enum wire_result result =
            wire_next(box->bytes + box->start, box->end - box->start, client->frame_max, &frame, &fault);
        if (result == WIRE_BAD)
            receive_bad(client, fault.text);
        if (result != WIRE_OK)
            return;
        box->start += frame.size;
        receive_frame(client, &frame);
        if (client->events_since_ping >= LINK_EVENTS_PER_PING && client->phase == LINK_UP &&
            !client->ping_waiting && !client->goodbye_sent && !client->server_leaving)
            link_ping(client);
    }
}

/* One receive. false: nothing more is there, or the connection is gone. */
static bool receive_some(struct rh_client *client) {
    struct inbox *box = &client->inbox;
    if (inbox_reserve(box) != 0) {
        link_lost(client, "out of memory", 0);
        return false;
    }
    size_t room = inbox_room(box);
    ssize_t count = recv(client->socket, box->bytes + box->end, room, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (count <= 0) {
        const char *why = count < 0 ? strerror(errno) : "the server closed the connection";
        link_lost(client, client->server_leaving ? client->error : why, 0);
        return false;
    }
    box->end += (size_t)count;
    link_progress(client);
    receive_frames(client);
    return client->socket >= 0 && (size_t)count == room;
}

void receive_turn(struct rh_client *client) {
    unsigned rounds = 0;
    client->more = false;
    while (rounds < RECEIVE_ROUNDS_MAX && receive_some(client))
        rounds++;
    client->more = rounds == RECEIVE_ROUNDS_MAX && client->socket >= 0;
}
