/* transport.h: how a spoke reaches its system: the one contract that directory, webhook and TCP fulfil.
 * Owner: the spoke's thread starts it, calls it and stops it; a transport calls its host back on that thread.
 * Nothing blocks, but for what the file system takes of a directory's transport.
 * A transport never gives up on something silently: each thing that it was handed is answered once, by
 * done, retry or refuse, and what it can not reach it says by a log line, once when that begins and once when
 * it ends. */
#pragma once

#include "core/bridge/inbound.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

/* What goes out: a CloudEvent whose data is what the other system wants. Valid during the call. */
struct outgoing {
    uint64_t delivery; /* for the answer */
    uint32_t attempt;
    const char *topic; /* that it was published on, of topic_length bytes */
    size_t topic_length;
    const uint8_t
        *event; /* serialized CloudEvent: attributes of the original, data and datacontenttype mapped */
    size_t event_length;
    const uint8_t *data; /* its data alone */
    size_t data_length;
};

/* What a spoke gives its transport. Outlives the transport. */
struct transport_host {
    struct event_base *base;
    const char *name;        /* of the spoke */
    const char *state_dir;   /* a directory for files of the transport's own; NULL: it keeps none */
    struct inbound *inbound; /* NULL: nothing comes in */
    void *user;
    void (*done)(void *user, uint64_t delivery);
    /* Again after so long (0: the queue's own pause); it counts as an attempt. */
    void (*retry)(void *user, uint64_t delivery, uint64_t after_ms, const char *reason);
    void (*refuse)(void *user, uint64_t delivery, const char *reason); /* it becomes a dead letter */
    void (*extend)(void *user, uint64_t delivery);                     /* still at it */
};

struct transport {
    const char *name; /* as in a spoke's file: directory, webhook, tcp */
    /* `options` is the transport's own struct, borrowed for its life. NULL: *why has a sentence. */
    void *(*start)(const struct transport_host *host, const void *options, char *why, size_t why_bytes);
    void (*deliver)(void *transport, const struct outgoing *out); /* NULL: nothing goes out */
    /* Ends: what is on its way may end or not; nothing is called back any more. */
    void (*stop)(void *transport);
};
