/* protocol.h: what the load generator must know of a wire protocol: requests and deliveries as bytes.
 * Owner: bench/load; one static table per protocol, one file each. Pure functions; one thread.
 * All of it runs before or after what is measured: inside, only bytes are sent and counted.
 * Nothing blocks.
 * An answer that must not come is REPLY_BAD; running out of memory ends the program. */
#pragma once

#include "bench/load/buffer.h"

#include <stdbool.h>

enum role { ROLE_PUBLISHER, ROLE_SUBSCRIBER };

/* What a publisher is told of what it published. */
enum ack {
    ACK_NONE,
    ACK_ROUTED, /* Roundhouse's levels, with its own numbers */
    ACK_DISK,
    ACK_OWN, /* the one that the protocol has: JetStream's PubAck, the answer to XADD */
};

/* Whose connection it is. */
struct party {
    enum role role;
    uint32_t number;     /* the n-th publisher or subscriber */
    uint32_t group;      /* of the relay: what a publisher sends goes to the subscribers of its group */
    enum ack ack;        /* which acknowledgement a publisher wants */
    uint32_t connection; /* unique in this process; net_open counts them */
};

enum reply {
    REPLY_MORE,  /* not all there yet */
    REPLY_OTHER, /* something that may come: passed over */
    REPLY_DONE,  /* the answer to `ask`: everything before it has been answered or delivered */
    REPLY_BAD,   /* a refusal, or a delivery where none may be */
};

/* What a subscription asks for: all topics, or `count` single ones. */
struct interest {
    const uint32_t *topics; /* numbers; NULL = everything */
    uint32_t count;
    bool skip; /* a subscriber too slow is to lose events, not its connection (native only) */
    /* A filter that every event passes (native only): 0 = none, else one of these; equal numbers are equal
     * filters. */
    uint32_t filter;
};

#define SEQUENCE_NONE SIZE_MAX

/* Where the parts of one frame lie, counted from its beginning. */
struct frame_places {
    size_t topic;    /* the topic's name */
    size_t event;    /* the CloudEvent's first byte */
    size_t sequence; /* 8 bytes that the server writes, or SEQUENCE_NONE */
};

struct protocol {
    const char *name;
    /* The first bytes of a connection, or NULL. */
    void (*hello)(struct buffer *out, const struct party *party);
    void (*subscribe)(struct buffer *out, const struct interest *interest);
    /* The same, from the oldest event on that the server has. NULL: has no such thing. */
    void (*subscribe_oldest)(struct buffer *out, const struct interest *interest);
    /* One pattern, in and out of force: the topic of this number, literally or with a wildcard that matches
     * only it. NULL: has no such thing. */
    void (*pattern_in)(struct buffer *out, uint32_t topic, bool wildcard);
    void (*pattern_out)(struct buffer *out, uint32_t topic, bool wildcard);
    /* Asks for an answer that comes behind everything else. NULL: there is no such question. */
    void (*ask)(struct buffer *out);
    /* Sent by a publisher after its first answer: no more answers, please. NULL: not needed. */
    void (*hush)(struct buffer *out);
    enum reply (*reply)(const uint8_t *p, size_t n, size_t *used);
    /* One answer to a publisher that wants acknowledgements: REPLY_OTHER has raised *through, the number of
     * its events that are acknowledged so far. An event that is refused is REPLY_BAD. NULL: has none. */
    enum reply (*acknowledged)(const uint8_t *p, size_t n, size_t *used, enum ack ack, uint64_t *through);
    bool ack_own; /* its publishers are always answered, in its own way; else by a level */
    struct frame_places (*publish)(struct buffer *out, uint32_t topic, const struct buffer *event);
    /* What a subscriber then gets, if it asked for everything or for the single topic. */
    struct frame_places (*deliver)(struct buffer *out, uint32_t topic, const struct buffer *event,
                                   bool everything);
    /* Bytes that a server may put between two deliveries, once per connection, or NULL. */
    const char *noise;
};

extern const struct protocol protocol_native, protocol_nats, protocol_redis, protocol_mqtt, protocol_relay;
/* They store and acknowledge instead of sending on: JetStream over NATS, streams in Redis. */
extern const struct protocol protocol_jetstream, protocol_streams;

/* "erp.order.000042": all names have the same length, for any number below a million, so that all frames do.
 */
#define TOPIC_NAME_BYTES 18u
#define TOPIC_DIGITS_AT  10u
#define TOPIC_DIGITS     6u
#define TOPICS_MAX       1000000u
void topic_name(char out[TOPIC_NAME_BYTES], uint32_t topic);
/* The wildcard pattern that matches this topic alone: "*.order.000042". */
void topic_wildcard(char out[TOPIC_NAME_BYTES], uint32_t topic);
/* One of the two. */
void topic_pattern(char out[TOPIC_NAME_BYTES], uint32_t topic, bool wildcard);

/* ---- for protocols of text lines ---- */

bool line_starts(const uint8_t *p, size_t n, const char *text);
/* The size of the line at p with its end, 0 when it is not all there. */
size_t line_size(const uint8_t *p, size_t n);
