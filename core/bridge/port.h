/* port.h: a bridge's own connection to the router, in the bridge's libevent loop.
 * A bridge is a client of the router like any other, over the native protocol: its queue is a durable cursor,
 * what it publishes is acknowledged, and nothing of it can slow a worker. docs/decisions says why.
 * Owner: the bridge's thread, which makes it, calls it and frees it, though not from within a callback;
 * callbacks run in its loop. Texts are copied. Nothing blocks but port_flush. It reconnects by itself; what
 * was not settled is sent again, what was not acknowledged comes again. Fails as the client library does. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct port;

/* One event of the port's queue, valid during the call; `delivery` is answered exactly once, now or later. */
struct port_event {
    uint64_t delivery;
    uint32_t attempt; /* 1 = for the first time */
    const char *topic;
    size_t topic_length;
    const uint8_t *event; /* a serialized CloudEvent */
    size_t event_length;
};

struct port_options {
    struct event_base *base;
    /* "HOST:PORT" of the router's native listener. NULL: there is none, for trials: what is published is told
     * by on_publish, and is settled; a queue has nothing. */
    const char *server;
    const char *name; /* who this is: the client's name */
    /* What is published counts when it is on disk, if the router keeps its topic there; else, and of other
     * topics, when it is routed. Of a topic that is new to the port, one event goes out first. */
    bool disk;
    size_t send_bytes; /* of what is not settled, and so the most that one event may have; 0: 4 MiB. A bridge
                          of the router's own takes port_send_bytes */
    void *user;
    void (*on_event)(void *user, const struct port_event *event);
    /* The router has refused the queue or this client, or another member took the queue over: nothing more
     * comes. `text` is a sentence. */
    void (*on_refused)(void *user, const char *text);
    void (*on_joined)(
        void *user); /* the router has the queue, and this is its member; again after a reconnect */
    void (*on_publish)(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length); /* only without a server */
};

/* For a router whose limits.frame is this (0: the default), so that what it takes can be published while
 * another one is on its way. */
static inline size_t port_send_bytes(uint64_t frame_bytes) {
    const uint64_t least = (uint64_t)4 * MIB;
    return 2 * frame_bytes > least ? 2 * frame_bytes : least;
}

/* What became of what was published: refused with a roundhouse.v1.ErrorCode and a sentence, or settled
 * (code 0), also when it was a duplicate. 5 (unavailable) and 12 (unknown outcome): to be given again. */
typedef void port_on_settled(void *user, int code, const char *text);

struct port *port_new(const struct port_options *options, char *why, size_t why_bytes) MUST_USE;
/* Ends at once: what is not settled is not told any more. */
void port_free(struct port *port);

/* The queue that the port reads, once; it is taken from whoever has it. With `is_volatile` it lives in memory
 * only. `window`: how many may be unanswered at a time; 0: 256. 0, or a negative rh_result. */
struct port_queue {
    const char *name;
    const char *const *patterns;
    size_t patterns_count;
    bool is_volatile;
    uint32_t window;
    uint32_t attempts; /* 0: the router's default */
    uint64_t lease_ms; /* 0: the router's default */
    /* Attribute whose equal values come one after the other, each when the one before is answered; NULL: what
     * the queue has, of a new one partitionkey. A queue that is there with another one refuses. */
    const char *key;
};
int port_join(struct port *port, const struct port_queue *queue) MUST_USE;

/* Events of one topic keep their order. 0; -EAGAIN: too much is unsettled, port_on_room tells when there is
 * room; -ENOMEM; -EINVAL: this event never will be taken, why is in port_error; -ENOTCONN: the router
 * has refused this client, on_refused has told it. */
int port_publish(struct port *port, const char *topic, size_t topic_length, const uint8_t *event,
                 size_t event_length, port_on_settled *on_settled, void *user) MUST_USE;
/* The same, with a number by which `on_settled` knows it again among what its user has published: during the
 * call port_tag gives it. */
int port_publish_tagged(struct port *port, const char *topic, size_t topic_length, const uint8_t *event,
                        size_t event_length, port_on_settled *on_settled, void *user, uint64_t tag) MUST_USE;
uint64_t port_tag(const struct port *port);
/* Nothing more is told to this user of what it has published. */
void port_forget(struct port *port, const void *user);
/* Called once when there is room again; one at a time may ask for it. `on_room` NULL: not any more. */
void port_on_room(struct port *port, void (*on_room)(void *user), void *user);
const char *port_error(const struct port *port);
/* Before an orderly port_free, not from within a callback: blocks until the router has all answers and has
 * settled what was published, for at most `ms`. False: it has not. */
bool port_flush(struct port *port, uint32_t ms);

/* Answers of a delivery. Later ones than the first do nothing. */
void port_done(struct port *port, uint64_t delivery);
void port_retry(struct port *port, uint64_t delivery, uint64_t after_ms, const char *reason);
void port_refuse(struct port *port, uint64_t delivery, const char *reason);
void port_extend(struct port *port, uint64_t delivery);
