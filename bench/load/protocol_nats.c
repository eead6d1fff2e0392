/* The NATS client protocol, from its public description: lines of text, a payload behind PUB and MSG. */
#include "bench/load/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Subscription ids have one length, so that all deliveries have: 1000000 + topic; everything has 1. */
#define ID_BASE 1000000u

static void hello(struct buffer *out, const struct party *party) {
    (void)party;
    buffer_text(out, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":false,\"lang\":\"c\","
                     "\"version\":\"1\",\"protocol\":1}\r\n");
}

static void subscribe(struct buffer *out, const struct interest *interest) {
    if (interest->topics == NULL)
        buffer_text(out, "SUB > 1\r\n");
    for (uint32_t i = 0; interest->topics != NULL && i < interest->count; i++) {
        char name[TOPIC_NAME_BYTES];
        topic_name(name, interest->topics[i]);
        buffer_print(out, "SUB %s %u\r\n", name, ID_BASE + interest->topics[i]);
    }
}

static void pattern_in(struct buffer *out, uint32_t topic, bool wildcard) {
    char name[TOPIC_NAME_BYTES];
    topic_pattern(name, topic, wildcard);
    buffer_print(out, "SUB %s %u\r\n", name, ID_BASE + topic);
}

static void pattern_out(struct buffer *out, uint32_t topic, bool wildcard) {
    (void)wildcard;
    buffer_print(out, "UNSUB %u\r\n", ID_BASE + topic);
}

static void ask(struct buffer *out) {
    buffer_text(out, "PING\r\n");
}

static enum reply reply(const uint8_t *p, size_t n, size_t *used) {
    *used = line_size(p, n);
    if (*used == 0)
        return REPLY_MORE;
    if (line_starts(p, n, "PONG"))
        return REPLY_DONE;
    if (line_starts(p, n, "INFO ") || line_starts(p, n, "PING") || line_starts(p, n, "+OK"))
        return REPLY_OTHER;
    return REPLY_BAD;
}

#define NAME_AT 4u /* behind "PUB " and "MSG " */

static struct frame_places finish(struct buffer *out, size_t begin, const struct buffer *event) {
    struct frame_places places = {NAME_AT, out->length - begin, SEQUENCE_NONE};
    buffer_add(out, event->data, event->length);
    buffer_text(out, "\r\n");
    return places;
}

/* `answer`: the subject on which the answer is wanted, and a space, or "". */
static struct frame_places publish_wanting(struct buffer *out, uint32_t topic, const char *answer,
                                           const struct buffer *event) {
    char name[TOPIC_NAME_BYTES];
    size_t begin = out->length;
    topic_name(name, topic);
    buffer_print(out, "PUB %s %s%zu\r\n", name, answer, event->length);
    return finish(out, begin, event);
}

static struct frame_places publish(struct buffer *out, uint32_t topic, const struct buffer *event) {
    return publish_wanting(out, topic, "", event);
}

static struct frame_places deliver(struct buffer *out, uint32_t topic, const struct buffer *event,
                                   bool everything) {
    char name[TOPIC_NAME_BYTES];
    size_t begin = out->length;
    topic_name(name, topic);
    buffer_print(out, "MSG %s %u %zu\r\n", name, everything ? 1 : ID_BASE + topic, event->length);
    return finish(out, begin, event);
}

/* nats-server measures the round trip of every connection once, some 2 s after it began. */
const struct protocol protocol_nats = {.name = "nats",
                                       .hello = hello,
                                       .subscribe = subscribe,
                                       .pattern_in = pattern_in,
                                       .pattern_out = pattern_out,
                                       .ask = ask,
                                       .reply = reply,
                                       .publish = publish,
                                       .deliver = deliver,
                                       .noise = "PING\r\n"};

/* ---- JetStream: the same, with a subject for the answer. Who publishes has the topic of its own number, so
 * that the topic tells which publisher is answered. ---- */

#define ANSWER_BYTES 16u

static void answer_name(char out[ANSWER_BYTES], uint32_t topic) {
    (void)snprintf(out, ANSWER_BYTES, "answer.%06u ", topic);
}

static void jetstream_hello(struct buffer *out, const struct party *party) {
    char answer[ANSWER_BYTES];
    hello(out, party);
    answer_name(answer, party->number);
    buffer_print(out, "SUB %s1\r\n", answer);
}

static struct frame_places jetstream_publish(struct buffer *out, uint32_t topic, const struct buffer *event) {
    char answer[ANSWER_BYTES];
    answer_name(answer, topic);
    return publish_wanting(out, topic, answer, event);
}

/* MSG answer.000042 1 <bytes>, then {"stream":"BENCH","seq":17}; what is not stored has an "error". */
static enum reply jetstream_acknowledged(const uint8_t *p, size_t n, size_t *used, enum ack ack,
                                         uint64_t *through) {
    static const char good[] = "{\"stream\":";
    size_t line = line_size(p, n);
    (void)ack;
    if (line == 0)
        return REPLY_MORE;
    if (!line_starts(p, n, "MSG "))
        return reply(p, n, used) == REPLY_OTHER ? REPLY_OTHER : REPLY_BAD;
    const uint8_t *space = memrchr(p, ' ', line);
    size_t body = strtoul((const char *)space + 1, NULL, 10);
    if (n - line < body + 2)
        return REPLY_MORE;
    *used = line + body + 2;
    if (!line_starts(p + line, body, good) || memmem(p + line, body, "\"duplicate\"", 11) != NULL)
        return REPLY_BAD;
    (*through)++;
    return REPLY_OTHER;
}

const struct protocol protocol_jetstream = {.name = "jetstream",
                                            .hello = jetstream_hello,
                                            .subscribe = subscribe,
                                            .ask = ask,
                                            .reply = reply,
                                            .acknowledged = jetstream_acknowledged,
                                            .ack_own = true,
                                            .publish = jetstream_publish,
                                            .deliver = deliver};
