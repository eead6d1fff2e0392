/* session_world.h: a session between a fake host and the bytes of a client.
 * Owner: the test. What the host is asked, and what the client is told, become one text.
 * Only the test's thread calls.
 * Nothing blocks.
 * A call that fails fails the running Criterion test. */
#pragma once

#include "codecs/wire/shape.h"
#include "core/session/session.h"

#define WORLD_TRACE_BYTES  16384u
#define WORLD_STREAM_BYTES 65536u
#define WORLD_FRAME_BYTES  (128u * 1024u) /* the largest frame */

/* CloudEvents in hexadecimal. */
#define WORLD_EVENT    "0a0131 12022f73 1a03312e30 220174" /* without data */
#define WORLD_NO_EVENT "0a0131"                            /* without a type, and more */

struct world {
    struct session_facts facts;
    struct session session;
    struct conn conn;
    struct output_pool pool;
    struct wire_shape shape;
    char trace[WORLD_TRACE_BYTES];
    size_t traced;
    unsigned calls;      /* of publish, refused, subscribe and unsubscribe */
    unsigned stop_at;    /* at this call the host stops the session; 0 = never */
    bool stops_by_park;  /* ... by not handling it; else it is handled and what follows waits */
    bool admits;         /* a Connect */
    uint32_t train;      /* events that the host takes at once; 0 = one by one */
    uint32_t trains;     /* how often it did */
    uint64_t host_stops; /* how often it has done so */
};

void world_start(struct world *world);
void world_open(struct world *world); /* and shakes hands */
void world_stop(struct world *world);
/* Compares all that has happened since the last time. */
void world_expect(struct world *world, const char *wanted);
/* Takes the next frame that the client would read, or all of them. NULL = none. The caller frees it. */
Roundhouse__V1__Frame *world_told(struct world *world);
void world_take(struct world *world);
/* What the host does when it can go on. */
void world_resume(struct world *world);

/* What the client sends. */
struct stream {
    uint8_t bytes[WORLD_STREAM_BYTES];
    size_t length;
};
void stream_add(struct stream *stream, const Roundhouse__V1__Frame *frame);
void stream_hex(struct stream *stream, const char *hex); /* any frame, without its length */
void stream_connect(struct stream *stream);              /* version 1, client "erp", ack ROUTED */
void stream_event(struct stream *stream, const char *topic, const char *hex);
void stream_ping(struct stream *stream, const char *text);
void stream_subscribe(struct stream *stream, uint64_t id);
void world_receive(struct world *world, const uint8_t *bytes, size_t length);
void world_receive_all(struct world *world, const struct stream *stream);
