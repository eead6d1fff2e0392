/* tcp.h: a system that speaks the native protocol: a client of this router, which the spoke translates for.
 * What goes out is published on spoke.NAME.TOPIC, with the topic that it came by; the system subscribes to
 * spoke.NAME.>, or joins a queue of these. What it publishes on inbox.NAME.> comes in: the data of each event
 * is a document for the spoke's inbound. So both ways the router's own guarantees hold, up to the system
 * itself. Owner and thread: as transport.h says. Nothing blocks. Fails as a port does: an event that can not
 * be published is refused with the router's own sentence. */
#pragma once

#include "core/bridge/transport.h"

#define TCP_OUT_PREFIX "spoke."
#define TCP_IN_PREFIX  "inbox."

/* Borrowed for the transport's life. */
struct tcp_options {
    const char *server;   /* "HOST:PORT" of the router's native listener */
    bool journal;         /* the router has one: what is published counts when it is on disk */
    uint64_t frame_bytes; /* what it takes; 0: the default */
    uint32_t window;      /* documents from the system that may wait; 0: 256 */
};

extern const struct transport tcp_transport;
