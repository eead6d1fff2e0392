/* session.h: one conversation in the native protocol, as the server leads it. The only caller of the wire
 * codec. Owner: the worker that serves the connection; its thread. Turns received bytes into calls of its
 * host (the shard) and the host's answers into frames on the connection. Nothing blocks. What can not go on
 * now (a full ring, a subscription not yet in force) stays in the connection's input. A client's mistake
 * becomes an Error frame; a fatal one ends the session, told to the host by `failed`. */
#pragma once

#include "codecs/wire/control.h"
#include "codecs/wire/scan.h"
#include "codecs/wire/shape.h"
#include "core/conn/conn.h"

#include <stdbool.h>
#include <stdint.h>

enum session_verdict {
    SESSION_GO,   /* handled, go on */
    SESSION_PARK, /* not handled, a ring is full: the same frame again at session_resume */
    SESSION_WAIT, /* handled; what follows waits for session_resume */
};

/* What a session needs of the shard; `peer` is the one given to session_init. */
struct session_host {
    /* A Connect has come. false: refused with this fault. */
    bool (*admit)(void *peer, struct fault *fault);
    /* One checked event. GO or PARK. */
    enum session_verdict (*publish)(void *peer, const struct wire_event *event);
    /* How many events of this one's topic and size, whose frames lie one behind the other, the host would
     * take at once, this one included; less than 2: they come one by one. And such events: it takes all of
     * them. Optional, both. */
    uint32_t (*train_most)(void *peer, const struct wire_event *first);
    void (*publish_train)(void *peer, const struct wire_event *first, uint32_t count);
    /* An event that was refused, in its place among the published ones; the fault's texts are static. GO or
     * PARK. */
    enum session_verdict (*refused)(void *peer, const struct fault *fault);
    /* GO after a refusal (the host has answered with session_error), else WAIT. The frame is borrowed for the
     * call. */
    enum session_verdict (*subscribe)(void *peer, const Roundhouse__V1__Subscribe *subscribe);
    enum session_verdict (*unsubscribe)(void *peer, const Roundhouse__V1__Unsubscribe *unsubscribe);
    /* What became of events of a queue; the frame is borrowed for the call. */
    void (*acked)(void *peer, const Roundhouse__V1__Ack *ack);
    /* Asks for a replay to a queue; as subscribe. */
    enum session_verdict (*replay)(void *peer, const Roundhouse__V1__Replay *replay);
    /* Whether received bytes may stay where they are, borrowed, until the host makes the input own them.
     * Optional. */
    bool (*stays)(void *peer, const uint8_t *bytes);
    /* Where delivery on this connection stands, behind all that is in its output. */
    void (*position)(void *peer, struct position *out);
    /* The client says Goodbye: settle, then session_goodbye, then close. */
    void (*goodbye)(void *peer);
    /* A fatal Error frame has been queued; close when it is sent. */
    void (*failed)(void *peer, enum rh_code code);
};

/* The same for all sessions of a server. Outlives them. */
struct session_facts {
    const struct session_host *host;
    const char *server;
    uint8_t instance[16];
    uint32_t shards;
    uint64_t frame_bytes;
    uint64_t idle_ns;
    bool disk;              /* there is a journal: what is kept on disk can be acknowledged as such */
    uint64_t private_bytes; /* a session that has queued more is not read further until the client reads */
};

enum session_state { SESSION_HANDSHAKE, SESSION_OPEN, SESSION_LEAVING, SESSION_OVER };

struct session {
    const struct session_facts *facts; /* borrows */
    struct conn *conn;                 /* borrows: its peer's */
    struct wire_shape *shape;          /* borrows: the worker's */
    void *peer;
    uint64_t ordinal; /* of the last Event frame handled */
    uint32_t frames;  /* since the worker took the count */
    uint32_t frames_unknown;
    char *name; /* owns; the client's, for operators; may be NULL */
    enum session_state state : 8;
    enum rh_code last_code : 8; /* of the fatal error */
    bool acks;                  /* ROUTED or DISK was asked for, */
    bool disk;                  /* ... and that it was DISK */
    bool said_all;              /* a fatal Error or Goodbye is queued: nothing may follow it */
};

void session_init(struct session *session, const struct session_facts *facts, struct conn *conn,
                  struct wire_shape *shape, void *peer);
void session_deinit(struct session *session);

/* Bytes have come. Everything is either handled or kept in conn->in. */
void session_received(struct session *session, const uint8_t *bytes, size_t length);
/* What was PARKed or made to WAIT can go on. */
void session_resume(struct session *session);

/* Frames to the client. A frame for which there is no memory breaks the connection (conn->broken). */
void session_subscribed(struct session *session, uint64_t id, const struct position *position);
void session_unsubscribed(struct session *session, uint64_t id);
void session_ping(struct session *session); /* a sign of life to somebody who is not read for long */
struct session_gap {
    uint32_t log;
    uint64_t from;
    uint64_t to;
    Roundhouse__V1__Gap__Reason reason;
};
void session_gap(struct session *session, const struct session_gap *gap, const struct position *position);
/* Whose the events behind it are. */
struct session_context {
    uint64_t subscription; /* 0 = those of the subscriptions without a queue */
    uint64_t delivery;
    uint64_t lease_ns;
    uint32_t attempt;
    bool replay;
};
void session_context(struct session *session, const struct session_context *context);
/* An event of a queue: a whole frame, which is copied. */
void session_carry(struct session *session, const uint8_t *frame, uint32_t length);
void session_lease_expired(struct session *session, uint64_t subscription, uint64_t delivery);
/* How far a replay is. */
struct session_replayed {
    uint64_t id;
    uint64_t delivered, acknowledged, failed, missing, left;
    bool waiting;
    bool over;
};
void session_replayed(struct session *session, const struct session_replayed *replayed);
struct session_exception {
    uint64_t ordinal;
    uint64_t duplicate_of; /* the sequence that it has already; 0 = the fault says what is wrong */
    struct fault fault;
};
void session_ack(struct session *session, uint64_t through, const struct session_exception *exceptions,
                 uint32_t count);
/* Not fatal: about one event (ordinal > 0) or one subscription. */
void session_error(struct session *session, const struct fault *fault, uint64_t ordinal,
                   uint64_t subscription);
/* Fatal: queues the Error, ends the session and calls host->failed. Idempotent. */
void session_fail(struct session *session, const struct fault *fault);
/* `settled`: it answers the client's, and all that the client published before is settled. */
void session_goodbye(struct session *session, const char *reason, bool settled);
