/* Redis publish and subscribe, in RESP2: arrays of strings with their lengths in front. */
#include "bench/load/protocol.h"

#include <stdlib.h>
#include <string.h>

#define TOPICS_PER_SUBSCRIBE 512u

static void word(struct buffer *out, const char *text) {
    buffer_print(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void subscribe(struct buffer *out, const struct interest *interest) {
    if (interest->topics == NULL)
        buffer_text(out, "*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\n*\r\n");
    uint32_t count = interest->topics == NULL ? 0 : interest->count;
    for (uint32_t begin = 0; begin < count; begin += TOPICS_PER_SUBSCRIBE) {
        uint32_t end = count - begin < TOPICS_PER_SUBSCRIBE ? count : begin + TOPICS_PER_SUBSCRIBE;
        buffer_print(out, "*%u\r\n", 1 + end - begin);
        word(out, "SUBSCRIBE");
        for (uint32_t i = begin; i < end; i++) {
            char name[TOPIC_NAME_BYTES];
            topic_name(name, interest->topics[i]);
            word(out, name);
        }
    }
}

static void pattern(struct buffer *out, const char *literal, const char *wild, uint32_t topic,
                    bool wildcard) {
    char name[TOPIC_NAME_BYTES];
    topic_pattern(name, topic, wildcard);
    buffer_text(out, "*2\r\n");
    word(out, wildcard ? wild : literal);
    word(out, name);
}

static void pattern_in(struct buffer *out, uint32_t topic, bool wildcard) {
    pattern(out, "SUBSCRIBE", "PSUBSCRIBE", topic, wildcard);
}

static void pattern_out(struct buffer *out, uint32_t topic, bool wildcard) {
    pattern(out, "UNSUBSCRIBE", "PUNSUBSCRIBE", topic, wildcard);
}

static void ask(struct buffer *out) {
    buffer_text(out, "*1\r\n$4\r\nPING\r\n");
}

static void hush(struct buffer *out) {
    buffer_text(out, "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n");
}

/* The size of one value that is no array, 0 when it is not all there. */
static size_t value_size(const uint8_t *p, size_t n) {
    size_t line = line_size(p, n);
    if (line == 0 || p[0] != '$')
        return line;
    long length = strtol((const char *)p + 1, NULL, 10);
    size_t whole = line + (length < 0 ? 0 : (size_t)length + 2);
    return whole <= n ? whole : 0;
}

static size_t reply_size(const uint8_t *p, size_t n) {
    size_t used = value_size(p, n);
    if (used == 0 || p[0] != '*')
        return used;
    for (long left = strtol((const char *)p + 1, NULL, 10); left > 0; left--) {
        size_t value = value_size(p + used, n - used);
        if (value == 0)
            return 0;
        used += value;
    }
    return used;
}

static enum reply reply(const uint8_t *p, size_t n, size_t *used) {
    *used = reply_size(p, n);
    if (*used == 0)
        return REPLY_MORE;
    if (line_starts(p, n, "+PONG") || line_starts(p, n, "*2\r\n$4\r\npong"))
        return REPLY_DONE;
    if (line_starts(p, n, "*3\r\n$9\r\nsubscribe") || line_starts(p, n, "*3\r\n$10\r\npsubscribe"))
        return REPLY_OTHER;
    return REPLY_BAD;
}

/* The topic's name, what stands between it and the event, and the event. */
static struct frame_places finish(struct buffer *out, size_t begin, uint32_t topic, const char *between,
                                  const struct buffer *event) {
    struct frame_places places = {.sequence = SEQUENCE_NONE};
    char name[TOPIC_NAME_BYTES];
    topic_name(name, topic);
    word(out, name);
    places.topic = out->length - begin - strlen(name) - 2;
    buffer_text(out, between);
    buffer_print(out, "$%zu\r\n", event->length);
    places.event = out->length - begin;
    buffer_add(out, event->data, event->length);
    buffer_text(out, "\r\n");
    return places;
}

static struct frame_places publish(struct buffer *out, uint32_t topic, const struct buffer *event) {
    size_t begin = out->length;
    buffer_text(out, "*3\r\n$7\r\nPUBLISH\r\n");
    return finish(out, begin, topic, "", event);
}

static struct frame_places deliver(struct buffer *out, uint32_t topic, const struct buffer *event,
                                   bool everything) {
    size_t begin = out->length;
    buffer_text(out, everything ? "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n" : "*3\r\n$7\r\nmessage\r\n");
    return finish(out, begin, topic, "", event);
}

const struct protocol protocol_redis = {.name = "redis",
                                        .subscribe = subscribe,
                                        .pattern_in = pattern_in,
                                        .pattern_out = pattern_out,
                                        .ask = ask,
                                        .hush = hush,
                                        .reply = reply,
                                        .publish = publish,
                                        .deliver = deliver};

/* ---- streams: an entry of one field for each event, in the stream that is called like its topic ---- */

static struct frame_places streams_publish(struct buffer *out, uint32_t topic, const struct buffer *event) {
    size_t begin = out->length;
    buffer_text(out, "*5\r\n$4\r\nXADD\r\n");
    return finish(out, begin, topic, "$1\r\n*\r\n$1\r\ne\r\n", event);
}

/* The id of the entry; what is not stored is answered by an error, or by nil. */
static enum reply streams_acknowledged(const uint8_t *p, size_t n, size_t *used, enum ack ack,
                                       uint64_t *through) {
    (void)ack;
    *used = reply_size(p, n);
    if (*used == 0)
        return REPLY_MORE;
    if (p[0] != '$' || p[1] == '-')
        return REPLY_BAD;
    (*through)++;
    return REPLY_OTHER;
}

const struct protocol protocol_streams = {.name = "streams",
                                          .subscribe = subscribe,
                                          .ask = ask,
                                          .reply = reply,
                                          .acknowledged = streams_acknowledged,
                                          .ack_own = true,
                                          .publish = streams_publish,
                                          .deliver = deliver};
