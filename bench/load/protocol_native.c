/* Roundhouse's own protocol, written from include/roundhouse/v1/wire.proto and nothing else of the router. */
#include "bench/load/protocol.h"

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

static void hello(struct buffer *out, const struct party *party) {
    struct buffer body = {0};
    number_field(&body, 1, 1);
    text_field(&body, 2, party->role == ROLE_PUBLISHER ? "bench publisher" : "bench subscriber");
    frame_take(out, CONNECT, &body);
}

static void subscribe(struct buffer *out, const struct interest *interest) {
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
        frame_take(out, SUBSCRIBE, &body);
    }
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

static enum reply reply(const uint8_t *p, size_t n, size_t *used) {
    uint64_t length;
    int prefix = varint_read(p, n, &length);
    if (prefix < 0)
        return REPLY_BAD;
    if (prefix == 0 || n - (size_t)prefix < length)
        return REPLY_MORE;
    *used = (size_t)prefix + length;
    if (length == 0)
        return REPLY_OTHER;
    switch (p[prefix]) {
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
                                         .pattern_in = pattern_in,
                                         .pattern_out = pattern_out,
                                         .ask = ask,
                                         .reply = reply,
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
