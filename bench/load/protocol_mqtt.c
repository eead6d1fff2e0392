/* MQTT 3.1.1 with QoS 0: a type byte, a length, a body; topics have '/' between their tokens. */
#include "bench/load/protocol.h"

#include <stdio.h>
#include <string.h>

enum {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH = 0x30,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    UNSUBSCRIBE = 0xa2,
    UNSUBACK = 0xb0,
    PINGREQ = 0xc0,
    PINGRESP = 0xd0,
};

#define FILTERS_PER_SUBSCRIBE 512u
#define REFUSED               0x80

static void short_add(struct buffer *out, size_t number) {
    buffer_byte(out, (uint8_t)(number >> 8));
    buffer_byte(out, (uint8_t)number);
}

static void string_add(struct buffer *out, const char *text) {
    short_add(out, strlen(text));
    buffer_text(out, text);
}

static void packet_take(struct buffer *out, uint8_t type, struct buffer *body) {
    buffer_byte(out, type);
    buffer_varint(out, body->length);
    buffer_add(out, body->data, body->length);
    buffer_free(body);
}

static void slashes(char *name) {
    for (; *name != '\0'; name++)
        *name = *name == '.' ? '/' : *name == '*' ? '+' : *name;
}

static void hello(struct buffer *out, const struct party *party) {
    struct buffer body = {0};
    char id[32];
    string_add(&body, "MQTT");
    buffer_byte(&body, 4); /* 3.1.1 */
    buffer_byte(&body, 2); /* a clean session */
    short_add(&body, 0);   /* no keep-alive */
    (void)snprintf(id, sizeof id, "bench%u", party->connection);
    string_add(&body, id);
    packet_take(out, CONNECT, &body);
}

static void filter_add(struct buffer *body, const struct interest *interest, uint32_t i) {
    char name[TOPIC_NAME_BYTES] = "#";
    if (interest->topics != NULL)
        topic_name(name, interest->topics[i]);
    slashes(name);
    string_add(body, name);
    buffer_byte(body, 0);
}

static void subscribe(struct buffer *out, const struct interest *interest) {
    uint32_t count = interest->topics == NULL ? 1 : interest->count;
    for (uint32_t begin = 0; begin < count; begin += FILTERS_PER_SUBSCRIBE) {
        struct buffer body = {0};
        short_add(&body, 1 + begin / FILTERS_PER_SUBSCRIBE);
        for (uint32_t i = begin; i < count && i < begin + FILTERS_PER_SUBSCRIBE; i++)
            filter_add(&body, interest, i);
        packet_take(out, SUBSCRIBE, &body);
    }
}

static void pattern_add(struct buffer *body, uint32_t topic, bool wildcard) {
    char name[TOPIC_NAME_BYTES];
    topic_pattern(name, topic, wildcard);
    slashes(name);
    short_add(body, 1);
    string_add(body, name);
}

static void pattern_in(struct buffer *out, uint32_t topic, bool wildcard) {
    struct buffer body = {0};
    pattern_add(&body, topic, wildcard);
    buffer_byte(&body, 0);
    packet_take(out, SUBSCRIBE, &body);
}

static void pattern_out(struct buffer *out, uint32_t topic, bool wildcard) {
    struct buffer body = {0};
    pattern_add(&body, topic, wildcard);
    packet_take(out, UNSUBSCRIBE, &body);
}

static void ask(struct buffer *out) {
    buffer_byte(out, PINGREQ);
    buffer_byte(out, 0);
}

static enum reply reply(const uint8_t *p, size_t n, size_t *used) {
    uint64_t length;
    int prefix = n < 2 ? 0 : varint_read(p + 1, n - 1, &length);
    if (prefix < 0)
        return REPLY_BAD;
    if (prefix == 0 || n - 1 - (size_t)prefix < length)
        return REPLY_MORE;
    const uint8_t *body = p + 1 + prefix;
    *used = 1 + (size_t)prefix + length;
    switch (p[0]) {
    case PINGRESP:
        return REPLY_DONE;
    case CONNACK:
        return length == 2 && body[1] == 0 ? REPLY_OTHER : REPLY_BAD;
    case SUBACK:
        return length > 2 && memchr(body + 2, REFUSED, length - 2) == NULL ? REPLY_OTHER : REPLY_BAD;
    case UNSUBACK:
        return REPLY_OTHER;
    default:
        return REPLY_BAD;
    }
}

static struct frame_places publish(struct buffer *out, uint32_t topic, const struct buffer *event) {
    struct buffer body = {0};
    size_t begin = out->length;
    char name[TOPIC_NAME_BYTES];
    topic_name(name, topic);
    slashes(name);
    string_add(&body, name);
    buffer_add(&body, event->data, event->length);
    packet_take(out, PUBLISH, &body);
    size_t event_at = out->length - begin - event->length;
    return (struct frame_places){event_at - strlen(name), event_at, SEQUENCE_NONE};
}

static struct frame_places deliver(struct buffer *out, uint32_t topic, const struct buffer *event,
                                   bool everything) {
    (void)everything;
    return publish(out, topic, event);
}

const struct protocol protocol_mqtt = {.name = "mqtt",
                                       .hello = hello,
                                       .subscribe = subscribe,
                                       .pattern_in = pattern_in,
                                       .pattern_out = pattern_out,
                                       .ask = ask,
                                       .reply = reply,
                                       .publish = publish,
                                       .deliver = deliver};
