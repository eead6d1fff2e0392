/* Roundhouse's own protocol, written from include/roundhouse/v1/wire.proto and nothing else of the router. */
#include "bench/load/event.h"
#include "bench/load/protocol.h"

#include <stdio.h>
#include <string.h>

/* Fields of Frame, as tag bytes of a length-delimited field. */
#define TAG(field) ((uint8_t)((field) << 3 | 2))
enum {
    EVENT = 1,
    CONNECT = 2,
    CONNECTED = 3,
    SUBSCRIBE = 4,
    SUBSCRIBED = 5,
    UNSUBSCRIBE = 6,
    UNSUBSCRIBED = 7,
    PUBLISH_ACK = 8,
    PING = 13,
    PONG = 14,
};

#define PATTERNS_PER_SUBSCRIBE 512u
#define SEQUENCE_BYTES         8u

static void frame_add(struct buffer *out, uint32_t kind, const struct buffer *body) {
    buffer_varint(out, 1 + varint_size(body->length) + body->length);
    buffer_byte(out, TAG(kind));
    buffer_varint(out, body->length);
    buffer_add(out, body->data, body->length);
}

static void frame_take(struct buffer *out, uint32_t kind, struct buffer *body) {
    frame_add(out, kind, body);
    buffer_free(body);
}

static void number_field(struct buffer *out, uint32_t field, uint64_t number) {
    buffer_byte(out, (uint8_t)(field << 3));
    buffer_varint(out, number);
}

static void text_field(struct buffer *out, uint32_t field, const char *text) {
    buffer_byte(out, TAG(field));
    buffer_varint(out, strlen(text));
    buffer_text(out, text);
}

/* Takes the message. */
static void message_field(struct buffer *out, uint32_t field, struct buffer *message) {
    buffer_byte(out, TAG(field));
    buffer_varint(out, message->length);
    buffer_add(out, message->data, message->length);
    buffer_free(message);
}

static void hello(struct buffer *out, const struct party *party) {
    struct buffer body = {0};
    number_field(&body, 1, 1);
    text_field(&body, 2, party->role == ROLE_PUBLISHER ? "bench publisher" : "bench subscriber");
    if (party->ack != ACK_NONE)
        number_field(&body, 3, party->ack);
    frame_take(out, CONNECT, &body);
}

/* Passes by its type, of which the events have only one; the other one is never asked for. */
static void filter_field(struct buffer *out, uint32_t number) {
    char other[16];
    struct buffer any = {0}, filter = {0};
    (void)snprintf(other, sizeof other, "%u", number);
    const char *types[] = {EVENT_TYPE_REALISTIC, other};
    for (uint32_t i = 0; i < 2; i++) {
        struct buffer entry = {0}, attributes = {0}, exact = {0}, one = {0};
        text_field(&entry, 1, "type");
        text_field(&entry, 2, types[i]);
        message_field(&attributes, 1, &entry);
        message_field(&exact, 1, &attributes); /* Filter.exact */
        message_field(&one, 1, &exact);        /* Filters.filters */
        buffer_add(&any, one.data, one.length);
        buffer_free(&one);
    }
    message_field(&filter, 5, &any); /* Filter.any */
    message_field(out, 8, &filter);  /* Subscribe.filters */
}

static void subscribe_from(struct buffer *out, const struct interest *interest, bool oldest) {
    uint32_t count = interest->topics == NULL ? 1 : interest->count;
    for (uint32_t begin = 0; begin < count; begin += PATTERNS_PER_SUBSCRIBE) {
        struct buffer body = {0};
        number_field(&body, 1, begin + 1);
        for (uint32_t i = begin; i < count && i < begin + PATTERNS_PER_SUBSCRIBE; i++) {
            char name[TOPIC_NAME_BYTES] = ">";
            if (interest->topics != NULL)
                topic_name(name, interest->topics[i]);
            text_field(&body, 2, name);
        }
        if (interest->skip)
            number_field(&body, 3, 1);
        if (oldest)
            text_field(&body, 5, "\x08\x01"); /* Start.oldest */
        if (interest->filter > 0)
            filter_field(&body, interest->filter);
        frame_take(out, SUBSCRIBE, &body);
    }
}

static void subscribe(struct buffer *out, const struct interest *interest) {
    subscribe_from(out, interest, false);
}

static void subscribe_oldest(struct buffer *out, const struct interest *interest) {
    subscribe_from(out, interest, true);
}

static void pattern_in(struct buffer *out, uint32_t topic, bool wildcard) {
    struct buffer body = {0};
    char name[TOPIC_NAME_BYTES];
    topic_pattern(name, topic, wildcard);
    number_field(&body, 1, topic + 1);
    text_field(&body, 2, name);
    frame_take(out, SUBSCRIBE, &body);
}

static void pattern_out(struct buffer *out, uint32_t topic, bool wildcard) {
    struct buffer body = {0};
    (void)wildcard;
    number_field(&body, 1, topic + 1);
    frame_take(out, UNSUBSCRIBE, &body);
}

static void ask(struct buffer *out) {
    struct buffer body = {0};
    text_field(&body, 1, "bench");
    frame_take(out, PING, &body);
}

/* A frame that is all there: REPLY_DONE, with where its body begins and how long it is. */
static enum reply frame_read(const uint8_t *p, size_t n, const uint8_t **body, size_t *length) {
    uint64_t size;
    int prefix = varint_read(p, n, &size);
    if (prefix < 0)
        return REPLY_BAD;
    if (prefix == 0 || n - (size_t)prefix < size)
        return REPLY_MORE;
    *body = p + prefix;
    *length = size;
    return REPLY_DONE;
}

static enum reply reply(const uint8_t *p, size_t n, size_t *used) {
    const uint8_t *body;
    size_t length;
    enum reply whole = frame_read(p, n, &body, &length);
    if (whole != REPLY_DONE)
        return whole;
    *used = (size_t)(body - p) + length;
    if (length == 0)
        return REPLY_OTHER;
    switch (body[0]) {
    case TAG(PONG):
        return REPLY_DONE;
    case TAG(CONNECTED):
    case TAG(SUBSCRIBED):
    case TAG(UNSUBSCRIBED):
        return REPLY_OTHER;
    default:
        return REPLY_BAD;
    }
}

/* PublishAck: numbers only. An exception is an event that was not stored, or a duplicate: neither may be. */
static bool ack_read(const uint8_t *p, size_t n, enum ack *level, uint64_t *through) {
    uint64_t inner, number;
    int size = n < 2 ? 0 : varint_read(p + 1, n - 1, &inner);
    if (size <= 0 || p[0] != TAG(PUBLISH_ACK) || inner != n - 1 - (size_t)size)
        return false;
    for (size_t at = 1 + (size_t)size; at < n; at += (size_t)size) {
        uint8_t tag = p[at++];
        size = varint_read(p + at, n - at, &number);
        if (size <= 0 || (tag != (1 << 3) && tag != (2 << 3)))
            return false;
        if (tag == (1 << 3))
            *through = number;
        else
            *level = (enum ack)number;
    }
    return true;
}

static enum reply acknowledged(const uint8_t *p, size_t n, size_t *used, enum ack ack, uint64_t *through) {
    const uint8_t *body;
    size_t length;
    enum ack level = ACK_NONE;
    uint64_t before = *through;
    enum reply whole = frame_read(p, n, &body, &length);
    if (whole != REPLY_DONE)
        return whole;
    *used = (size_t)(body - p) + length;
    bool good = ack_read(body, length, &level, through) && level == ack && *through > before;
    return good ? REPLY_OTHER : REPLY_BAD;
}

/* The form in which the router sends it on, so that a delivery is as long as what was published. */
static struct frame_places publish(struct buffer *out, uint32_t topic, const struct buffer *event) {
    struct buffer body = {0};
    struct frame_places places;
    static const uint8_t sequence[SEQUENCE_BYTES] = {1, 1, 1, 1, 1, 1, 1, 1};
    char name[TOPIC_NAME_BYTES];
    topic_name(name, topic);
    buffer_byte(&body, 1 << 3 | 1);
    buffer_add(&body, sequence, sizeof sequence);
    text_field(&body, 2, name);
    places.topic = body.length - strlen(name);
    buffer_byte(&body, TAG(3));
    buffer_varint(&body, event->length);
    size_t head = body.length, begin = out->length;
    buffer_add(&body, event->data, event->length);
    size_t total = body.length;
    frame_take(out, EVENT, &body);
    size_t body_at = out->length - begin - total;
    places.topic += body_at;
    places.event = body_at + head;
    places.sequence = body_at + 1;
    return places;
}

static struct frame_places deliver(struct buffer *out, uint32_t topic, const struct buffer *event,
                                   bool everything) {
    (void)everything;
    return publish(out, topic, event);
}

const struct protocol protocol_native = {.name = "native",
                                         .hello = hello,
                                         .subscribe = subscribe,
                                         .subscribe_oldest = subscribe_oldest,
                                         .pattern_in = pattern_in,
                                         .pattern_out = pattern_out,
                                         .ask = ask,
                                         .reply = reply,
                                         .acknowledged = acknowledged,
                                         .publish = publish,
                                         .deliver = deliver};

/* ---- the relay: the same frames, and four bytes in front of a connection ---- */

static void relay_hello(struct buffer *out, const struct party *party) {
    buffer_byte(out, party->role == ROLE_PUBLISHER ? 'P' : 'S');
    buffer_byte(out, (uint8_t)(party->group & 255));
    buffer_byte(out, (uint8_t)(party->group >> 8));
    buffer_byte(out, '\n');
}

static void relay_subscribe(struct buffer *out, const struct interest *interest) {
    (void)out;
    (void)interest;
}

/* It answers its four bytes with one, when the connection has its place. */
static enum reply relay_reply(const uint8_t *p, size_t n, size_t *used) {
    if (n == 0)
        return REPLY_MORE;
    *used = 1;
    return p[0] == '!' ? REPLY_DONE : REPLY_BAD;
}

static struct frame_places relay_deliver(struct buffer *out, uint32_t topic, const struct buffer *event,
                                         bool everything) {
    struct frame_places places = deliver(out, topic, event, everything);
    places.sequence = SEQUENCE_NONE;
    return places;
}

const struct protocol protocol_relay = {.name = "relay",
                                        .hello = relay_hello,
                                        .subscribe = relay_subscribe,
                                        .reply = relay_reply,
                                        .publish = publish,
                                        .deliver = relay_deliver};
