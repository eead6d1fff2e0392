#include "core/session/session.h"

#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL_VERSION  1u
#define PING_BYTES_MAX    64u
#define FRAME_NO_POSITION 0u

void session_init(struct session *session, const struct session_facts *facts, struct conn *conn,
                  struct wire_shape *shape, void *peer) {
    *session = (struct session){.facts = facts, .conn = conn, .shape = shape, .peer = peer};
}

void session_deinit(struct session *session) {
    free(session->name);
    session->name = NULL;
}

/* ---- frames to the client ---- */

/* `position_bytes`: of the packed Position that is the frame's last field and says how far the connection is;
 * 0 = none. */
static void frame_send(struct session *session, const Roundhouse__V1__Frame *frame, size_t position_bytes) {
    if (session->said_all)
        return;
    size_t size = control_size(frame);
    uint16_t position_at = position_bytes == 0 ? FRAME_NO_POSITION : (uint16_t)(size - position_bytes);
    uint8_t *out = output_private(&session->conn->out, (uint32_t)size, position_at);
    if (out == NULL) {
        session->conn->broken = true;
        return;
    }
    CHECK(control_pack(frame, out) == size);
}

#define FRAME(member, kind, message)                                                                         \
    {                                                                                                        \
        PROTOBUF_C_MESSAGE_INIT(&roundhouse__v1__frame__descriptor),                                         \
            .body_case = ROUNDHOUSE__V1__FRAME__BODY_##kind, .member = (message)                             \
    }

/* protobuf-c has no const strings; it only reads them when it packs. */
static char *text_borrow(const char *text) {
    return (char *)(uintptr_t)(text == NULL ? "" : text);
}

static Roundhouse__V1__Error error_message(const struct fault *fault) {
    Roundhouse__V1__Error error;
    roundhouse__v1__error__init(&error);
    error.code = (Roundhouse__V1__ErrorCode)fault->code;
    error.text = text_borrow(fault->text);
    error.field = text_borrow(fault->field);
    return error;
}

void session_error(struct session *session, const struct fault *fault, uint64_t ordinal,
                   uint64_t subscription) {
    Roundhouse__V1__Error error = error_message(fault);
    error.ordinal = ordinal;
    error.subscription = subscription;
    Roundhouse__V1__Frame frame = FRAME(error, ERROR, &error);
    frame_send(session, &frame, 0);
}

void session_fail(struct session *session, const struct fault *fault) {
    if (session->state == SESSION_OVER)
        return;
    session->state = SESSION_OVER;
    session->last_code = fault->code;
    Roundhouse__V1__Error error = error_message(fault);
    error.fatal = 1;
    error.retry_after_ms = fault->code == RH_CODE_UNAVAILABLE || fault->code == RH_CODE_EXHAUSTED ? 1000 : 0;
    Roundhouse__V1__Frame frame = FRAME(error, ERROR, &error);
    frame_send(session, &frame, 0);
    session->said_all = true;
    session->facts->host->failed(session->peer, fault->code);
}

void session_goodbye(struct session *session, const char *reason, bool settled) {
    Roundhouse__V1__Goodbye goodbye;
    roundhouse__v1__goodbye__init(&goodbye);
    goodbye.reason = text_borrow(reason);
    goodbye.settled = settled;
    Roundhouse__V1__Frame frame = FRAME(goodbye, GOODBYE, &goodbye);
    frame_send(session, &frame, 0);
    session->said_all = true;
}

void session_subscribed(struct session *session, uint64_t id, const struct position *position) {
    uint8_t packed[POSITION_BYTES_MAX];
    Roundhouse__V1__Subscribed subscribed;
    roundhouse__v1__subscribed__init(&subscribed);
    subscribed.id = id;
    subscribed.position = (ProtobufCBinaryData){.data = packed, .len = position_pack(position, packed)};
    Roundhouse__V1__Frame frame = FRAME(subscribed, SUBSCRIBED, &subscribed);
    frame_send(session, &frame, 0); /* it says where this subscription begins, which does not move */
}

void session_unsubscribed(struct session *session, uint64_t id) {
    Roundhouse__V1__Unsubscribed unsubscribed;
    roundhouse__v1__unsubscribed__init(&unsubscribed);
    unsubscribed.id = id;
    Roundhouse__V1__Frame frame = FRAME(unsubscribed, UNSUBSCRIBED, &unsubscribed);
    frame_send(session, &frame, 0);
}

void session_ping(struct session *session) {
    Roundhouse__V1__Ping ping;
    roundhouse__v1__ping__init(&ping);
    Roundhouse__V1__Frame frame = FRAME(ping, PING, &ping);
    frame_send(session, &frame, 0);
}

void session_gap(struct session *session, const struct session_gap *gap, const struct position *position) {
    uint8_t packed[POSITION_BYTES_MAX];
    Roundhouse__V1__Gap message;
    roundhouse__v1__gap__init(&message);
    message.log = gap->log;
    message.from = gap->from;
    message.to = gap->to;
    message.at_most = gap->from == 0 ? 0 : gap->to - gap->from + 1;
    message.reason = gap->reason;
    message.position = (ProtobufCBinaryData){.data = packed, .len = position_pack(position, packed)};
    Roundhouse__V1__Frame frame = FRAME(gap, GAP, &message);
    frame_send(session, &frame, message.position.len);
}

/* Frames of a queue are no replies: how many there can be is bounded by the queue's window. */
static uint8_t *carried_room(struct session *session, size_t size) {
    if (session->said_all)
        return NULL;
    uint8_t *out = output_carried(&session->conn->out, (uint32_t)size);
    session->conn->broken |= out == NULL;
    return out;
}

static void carried_send(struct session *session, const Roundhouse__V1__Frame *frame) {
    uint8_t *out = carried_room(session, control_size(frame));
    if (out != NULL)
        (void)control_pack(frame, out);
}

void session_context(struct session *session, const struct session_context *context) {
    Roundhouse__V1__Context message;
    roundhouse__v1__context__init(&message);
    message.subscription = context->subscription;
    message.delivery = context->delivery;
    message.attempt = context->attempt;
    message.replay = context->replay;
    message.lease_ms = context->lease_ns / NS_PER_MS;
    Roundhouse__V1__Frame frame = FRAME(context, CONTEXT, &message);
    carried_send(session, &frame);
}

void session_carry(struct session *session, const uint8_t *frame, uint32_t length) {
    uint8_t *out = carried_room(session, length);
    if (out != NULL)
        memcpy(out, frame, length);
}

void session_lease_expired(struct session *session, uint64_t subscription, uint64_t delivery) {
    Roundhouse__V1__LeaseExpired expired;
    roundhouse__v1__lease_expired__init(&expired);
    expired.subscription = subscription;
    expired.delivery = delivery;
    Roundhouse__V1__Frame frame = FRAME(lease_expired, LEASE_EXPIRED, &expired);
    carried_send(session, &frame);
}

void session_replayed(struct session *session, const struct session_replayed *replayed) {
    Roundhouse__V1__Replayed message;
    roundhouse__v1__replayed__init(&message);
    message.id = replayed->id;
    message.delivered = replayed->delivered;
    message.acknowledged = replayed->acknowledged;
    message.failed = replayed->failed;
    message.missing = replayed->missing;
    message.left = replayed->left;
    message.waiting = replayed->waiting;
    message.over = replayed->over;
    Roundhouse__V1__Frame frame = FRAME(replayed, REPLAYED, &message);
    frame_send(session, &frame, 0);
}

/* As many exceptions as fit a modest frame; more go into the next one, which has the same `through` or a
 * later one. */
#define ACK_EXCEPTIONS_MAX 64u

static void exception_message(const struct session_exception *exception,
                              Roundhouse__V1__AckException *message, Roundhouse__V1__Error *error) {
    roundhouse__v1__ack_exception__init(message);
    message->ordinal = exception->ordinal;
    if (exception->duplicate_of != 0) {
        message->outcome_case = ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_DUPLICATE_OF;
        message->duplicate_of = exception->duplicate_of;
        return;
    }
    *error = error_message(&exception->fault);
    message->outcome_case = ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_ERROR;
    message->error = error;
}

static void ack_send(struct session *session, uint64_t through, const struct session_exception *exceptions,
                     uint32_t count) {
    Roundhouse__V1__Error errors[ACK_EXCEPTIONS_MAX];
    Roundhouse__V1__AckException messages[ACK_EXCEPTIONS_MAX];
    Roundhouse__V1__AckException *list[ACK_EXCEPTIONS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        exception_message(&exceptions[i], &messages[i], &errors[i]);
        list[i] = &messages[i];
    }
    Roundhouse__V1__PublishAck ack;
    roundhouse__v1__publish_ack__init(&ack);
    ack.through = through;
    ack.level = session->disk ? ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_DISK
                              : ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_ROUTED;
    ack.n_exceptions = count;
    ack.exceptions = list;
    Roundhouse__V1__Frame frame = FRAME(publish_ack, PUBLISH_ACK, &ack);
    frame_send(session, &frame, 0);
}

void session_ack(struct session *session, uint64_t through, const struct session_exception *exceptions,
                 uint32_t count) {
    while (count > ACK_EXCEPTIONS_MAX) {
        ack_send(session, exceptions[ACK_EXCEPTIONS_MAX - 1].ordinal, exceptions, ACK_EXCEPTIONS_MAX);
        exceptions += ACK_EXCEPTIONS_MAX;
        count -= ACK_EXCEPTIONS_MAX;
    }
    ack_send(session, through, exceptions, count);
}

/* ---- frames from the client ---- */

static enum session_verdict fail(struct session *session, enum rh_code code, const char *text,
                                 const char *field) {
    session_fail(session, &(struct fault){.code = code, .text = text, .field = field});
    return SESSION_WAIT;
}

static void connected_send(struct session *session) {
    const struct session_facts *facts = session->facts;
    uint8_t instance[16];
    memcpy(instance, facts->instance, sizeof instance);
    Roundhouse__V1__Connected connected;
    roundhouse__v1__connected__init(&connected);
    connected.version = PROTOCOL_VERSION;
    connected.instance = (ProtobufCBinaryData){.data = instance, .len = sizeof instance};
    connected.slots = SLOT_COUNT;
    connected.shards = facts->shards;
    connected.frame_bytes_max = facts->frame_bytes;
    connected.topic_bytes_max = TOPIC_BYTES_MAX;
    connected.topic_tokens_max = TOPIC_TOKENS_MAX;
    connected.patterns_max = SUBSCRIBE_PATTERNS_MAX;
    connected.idle_ms = facts->idle_ns / NS_PER_MS;
    connected.server = text_borrow(facts->server);
    Roundhouse__V1__Frame frame = FRAME(connected, CONNECTED, &connected);
    frame_send(session, &frame, 0);
}

static bool name_valid(const char *name) {
    size_t length = strlen(name);
    return length <= CLIENT_NAME_BYTES_MAX && utf8_clean((const uint8_t *)name, length);
}

static enum session_verdict connect_handle(struct session *session, const Roundhouse__V1__Connect *connect) {
    struct fault fault;
    if (session->state != SESSION_HANDSHAKE)
        return fail(session, RH_CODE_PROTOCOL, "a second Connect: a connection begins once", NULL);
    if (connect->version != PROTOCOL_VERSION)
        return fail(session, RH_CODE_UNSUPPORTED, "this server speaks version 1 of the protocol",
                    "connect.version");
    if (connect->ack == ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_DISK && !session->facts->disk)
        return fail(session, RH_CODE_UNSUPPORTED,
                    "ack level DISK needs a journal, which this server has not: ask for ROUTED",
                    "connect.ack");
    if ((unsigned)connect->ack > ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_DISK)
        return fail(session, RH_CODE_INVALID, "unknown ack level: use NONE, ROUTED or DISK", "connect.ack");
    if (!name_valid(connect->client))
        return fail(session, RH_CODE_INVALID,
                    "the client's name has more than 128 bytes, a control character or a noncharacter",
                    "connect.client");
    if (!session->facts->host->admit(session->peer, &fault)) {
        session_fail(session, &fault);
        return SESSION_WAIT;
    }
    session->name = strdup(connect->client);
    session->acks = connect->ack != ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_NONE;
    session->disk = connect->ack == ROUNDHOUSE__V1__ACK_LEVEL__ACK_LEVEL_DISK;
    session->state = SESSION_OPEN;
    connected_send(session);
    return SESSION_GO;
}

static enum session_verdict ping_handle(struct session *session, const Roundhouse__V1__Ping *ping) {
    if (ping->data.len > PING_BYTES_MAX)
        return fail(session, RH_CODE_INVALID, "a Ping carries at most 64 bytes", "ping.data");
    struct position position;
    uint8_t packed[POSITION_BYTES_MAX];
    session->facts->host->position(session->peer, &position);
    Roundhouse__V1__Pong pong;
    roundhouse__v1__pong__init(&pong);
    pong.data = ping->data;
    pong.position = (ProtobufCBinaryData){.data = packed, .len = position_pack(&position, packed)};
    Roundhouse__V1__Frame frame = FRAME(pong, PONG, &pong);
    frame_send(session, &frame, pong.position.len);
    return SESSION_GO;
}

static enum session_verdict goodbye_handle(struct session *session) {
    session->state = SESSION_LEAVING;
    session->facts->host->goodbye(session->peer);
    return SESSION_WAIT;
}

static enum session_verdict control_dispatch(struct session *session, const Roundhouse__V1__Frame *frame) {
    const struct session_host *host = session->facts->host;
    switch (frame->body_case) {
    case ROUNDHOUSE__V1__FRAME__BODY_CONNECT:
        return connect_handle(session, frame->connect);
    case ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBE:
        return host->subscribe(session->peer, frame->subscribe);
    case ROUNDHOUSE__V1__FRAME__BODY_UNSUBSCRIBE:
        return host->unsubscribe(session->peer, frame->unsubscribe);
    case ROUNDHOUSE__V1__FRAME__BODY_PING:
        return ping_handle(session, frame->ping);
    case ROUNDHOUSE__V1__FRAME__BODY_PONG:
        return SESSION_GO;
    case ROUNDHOUSE__V1__FRAME__BODY_GOODBYE:
        return goodbye_handle(session);
    case ROUNDHOUSE__V1__FRAME__BODY_REPLAY:
        return host->replay(session->peer, frame->replay);
    case ROUNDHOUSE__V1__FRAME__BODY_ACK:
        host->acked(session->peer, frame->ack);
        return SESSION_GO;
    default:
        return fail(session, RH_CODE_PROTOCOL, "only servers send this kind of frame", NULL);
    }
}

static enum session_verdict control_handle(struct session *session, const struct wire_frame *frame) {
    struct fault fault;
    Roundhouse__V1__Frame *message = control_unpack(frame, &fault);
    if (message == NULL) {
        session_fail(session, &fault);
        return SESSION_WAIT;
    }
    enum session_verdict verdict = control_dispatch(session, message);
    control_free(message);
    return verdict;
}

static enum session_verdict event_handle(struct session *session, const struct wire_frame *frame) {
    const struct session_host *host = session->facts->host;
    struct wire_event event;
    struct fault fault;
    session->ordinal++;
    enum session_verdict verdict;
    if (wire_event_scan(frame, &event, &fault)) {
        wire_shape_learn(session->shape, frame, &event);
        verdict = host->publish(session->peer, &event);
    } else {
        verdict = host->refused(session->peer, &fault);
    }
    session->ordinal -= verdict == SESSION_PARK;
    return verdict;
}

/* Events that are valid at a glance, from the first one on: all that lie one behind the other, where the host
 * takes them so. Returns how many it has taken. */
static uint32_t train_handle(struct session *session, const struct wire_event *first, const uint8_t *bytes,
                             size_t length) {
    const struct session_host *host = session->facts->host;
    size_t size = session->shape->size;
    if (first->record == NULL || first->known != WIRE_TOPIC_AGAIN || host->train_most == NULL)
        return 0;
    uint32_t most = host->train_most(session->peer, first);
    if (most < 2)
        return 0;
    uint32_t count = 1 + wire_shape_run(session->shape, bytes + size, length - size, most - 1);
    if (count < 2)
        return 0;
    session->ordinal += count;
    session->frames += count - 1; /* the last one is counted as any other frame */
    host->publish_train(session->peer, first, count);
    return count;
}

/* An event that is valid at a glance. */
static enum session_verdict event_again(struct session *session, const struct wire_event *event) {
    session->ordinal++;
    enum session_verdict verdict = session->facts->host->publish(session->peer, event);
    session->ordinal -= verdict == SESSION_PARK;
    return verdict;
}

static enum session_verdict frame_handle(struct session *session, const struct wire_frame *frame) {
    bool known = frame->kind != WIRE_EMPTY && frame->kind != WIRE_UNKNOWN;
    if (session->state == SESSION_HANDSHAKE && frame->kind != WIRE_CONNECT)
        return fail(session, RH_CODE_PROTOCOL, "the first frame must be Connect", NULL);
    if (!known) {
        session->frames_unknown++;
        return SESSION_GO;
    }
    return frame->kind == WIRE_EVENT ? event_handle(session, frame) : control_handle(session, frame);
}

/* ---- bytes ---- */

static uint64_t frame_max(const struct session *session) {
    return session->state == SESSION_HANDSHAKE ? CONNECT_BYTES_MAX : session->facts->frame_bytes;
}

/* The frames at the front, mostly one: handled, or why not. */
struct front {
    enum wire_result result;
    enum session_verdict verdict;
    size_t size;
};

static struct front front_scan(struct session *session, const uint8_t *bytes, size_t length) {
    struct wire_frame frame;
    struct fault fault;
    struct front front = {.result = wire_next(bytes, length, frame_max(session), &frame, &fault)};
    if (front.result == WIRE_BAD)
        session_fail(session, &fault);
    if (front.result != WIRE_OK)
        return front;
    front.size = frame.size;
    front.verdict = frame_handle(session, &frame);
    return front;
}

static inline struct front front_handle(struct session *session, const uint8_t *bytes, size_t length) {
    struct front front = {.result = WIRE_OK};
    struct wire_event event;
    if (UNLIKELY(session->state != SESSION_OPEN ||
                 !wire_shape_fits(session->shape, bytes, length, &event, &front.size)))
        return front_scan(session, bytes, length);
    uint32_t count = train_handle(session, &event, bytes, length);
    if (count > 0)
        front.size *= count;
    else
        front.verdict = event_again(session, &event);
    return front;
}

/* Handles whole frames at `bytes`; returns the bytes handled, and in *stopped whether frames are left on
 * purpose. */
static size_t frames_handle(struct session *session, const uint8_t *bytes, size_t length, bool *stopped) {
    size_t done = 0;
    *stopped = false;
    while (done < length && session->state < SESSION_LEAVING) {
        struct front front = front_handle(session, bytes + done, length - done);
        if (front.result != WIRE_OK)
            break;
        if (front.verdict == SESSION_PARK) {
            *stopped = true;
            break;
        }
        session->frames++;
        done += front.size;
        if (front.verdict == SESSION_WAIT ||
            output_replies(&session->conn->out) > session->facts->private_bytes) {
            *stopped = true;
            break;
        }
    }
    return done;
}

/* Nothing more is read from a session that is leaving or over. */
static bool session_deaf(struct session *session) {
    if (session->state < SESSION_LEAVING)
        return false;
    input_deinit(&session->conn->in);
    return true;
}

static bool bytes_stay(const struct session *session, const uint8_t *bytes) {
    const struct session_host *host = session->facts->host;
    return host->stays != NULL && host->stays(session->peer, bytes);
}

static const struct fault no_memory = {.code = RH_CODE_EXHAUSTED,
                                       .text = "the server has no memory for this frame now"};

static void bytes_keep(struct session *session, const uint8_t *bytes, size_t length) {
    struct input *in = &session->conn->in;
    if (session_deaf(session))
        return;
    if (input_length(in) == 0 && bytes_stay(session, bytes))
        input_borrow(in, (uint8_t *)(uintptr_t)bytes, length); /* only read until it owns them */
    else if (input_keep(in, bytes, length) != 0)
        session_fail(session, &no_memory);
}

/* So much of the input has been handled. What is left of borrowed bytes stays there only where it may. */
static void bytes_drop(struct session *session, size_t length) {
    struct input *in = &session->conn->in;
    input_drop(in, length);
    if (in->borrowed && !bytes_stay(session, input_at(in)) && input_own(in) != 0)
        session_fail(session, &no_memory);
}

/* How many bytes the frame at the front of the input still lacks; at least 1 while its length is not known.
 */
static size_t frame_lacks(struct session *session) {
    const struct input *in = &session->conn->in;
    uint64_t total;
    struct fault fault;
    enum wire_result result = wire_length(input_at(in), input_length(in), frame_max(session), &total, &fault);
    if (result == WIRE_BAD)
        session_fail(session, &fault);
    if (result != WIRE_OK || total <= input_length(in))
        return 1;
    return (size_t)(total - input_length(in));
}

/* Completes the frame that straddles; returns the bytes used of the new ones. */
static size_t straddle_handle(struct session *session, const uint8_t *bytes, size_t length, bool *stopped) {
    struct input *in = &session->conn->in;
    size_t used = 0;
    while (used < length && input_length(in) > 0 && session->state < SESSION_LEAVING && !*stopped) {
        size_t lacks = frame_lacks(session);
        size_t take = lacks < length - used ? lacks : length - used;
        bytes_keep(session, bytes + used, take);
        used += take;
        if (session_deaf(session))
            return length;
        size_t done = frames_handle(session, input_at(in), input_length(in), stopped);
        if (session_deaf(session))
            return length;
        bytes_drop(session, done);
    }
    return used;
}

void session_received(struct session *session, const uint8_t *bytes, size_t length) {
    bool stopped = session->conn->paused != 0;
    if (session_deaf(session))
        return;
    size_t used = stopped ? 0 : straddle_handle(session, bytes, length, &stopped);
    if (!stopped && used < length && !session_deaf(session))
        used += frames_handle(session, bytes + used, length - used, &stopped);
    if (used < length)
        bytes_keep(session, bytes + used, length - used);
}

void session_resume(struct session *session) {
    struct input *in = &session->conn->in;
    bool stopped;
    if (session_deaf(session) || input_length(in) == 0)
        return;
    size_t done = frames_handle(session, input_at(in), input_length(in), &stopped);
    if (!session_deaf(session))
        bytes_drop(session, done);
}
