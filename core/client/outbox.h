/* outbox.h: what a client has to send: published events in one ring of bytes, and the control frames between
 * them. Owner: one rh_client; its thread. Events lie as they go on the wire, in memory mapped twice in a row,
 * so no frame ever wraps. With `keep` they stay until settled, so that they can be sent again; without it
 * they go when sent. Control frames are not kept: whoever reconnects makes them anew. Nothing blocks. A full
 * ring is an answer; want of memory is -ENOMEM. */
#pragma once

#include "codecs/wire/control.h"
#include "codecs/wire/scan.h"
#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One control frame, sent when all event bytes before `after` are sent: so it keeps its place among the
 * events. */
struct outbox_frame {
    struct outbox_frame *next;
    uint64_t after;
    size_t size;
    uint8_t bytes[];
};

/* Positions count bytes since the beginning and never go back but in outbox_rewind (sent). Fields are private
 * to outbox.c; reading is free. */
struct outbox {
    uint8_t *bytes;        /* owns; 2 x capacity of address space */
    uint64_t capacity;     /* a power of two */
    uint64_t kept;         /* the first byte that is still needed; where a frame begins */
    uint64_t sent;         /* the first byte that the kernel has not taken */
    uint64_t produced;     /* the first free byte; where a frame ends */
    uint64_t ordinal_kept; /* of the last event before `kept`: all up to it are done with */
    uint64_t ordinal_sent; /* the highest that was ever sent whole */
    uint64_t ordinal_last; /* of the newest event */
    bool keep;
    struct outbox_frame *controls; /* owns the list */
    struct outbox_frame **controls_end;
    size_t control_sent;  /* bytes of the first one that the kernel has taken */
    size_t control_bytes; /* of all waiting ones */
};

/* At least `bytes` of room, rounded up to a power of two of pages. Negative errno on failure. */
int outbox_init(struct outbox *box, size_t bytes, bool keep) MUST_USE;
void outbox_deinit(struct outbox *box); /* takes zeroed memory, too */

/* Adds an event; its ordinal is then ordinal_last. false: no room now. */
bool outbox_event(struct outbox *box, const struct wire_event *event) MUST_USE;
/* Adds a control frame behind everything added so far, or before all events (`first`, for a new connection).
 * -ENOMEM or 0. */
int outbox_control(struct outbox *box, const Roundhouse__V1__Frame *frame, bool first) MUST_USE;

/* The next bytes to send: a stretch of events, or of one control frame. 0 = nothing. Without `events` only
 * control frames. */
size_t outbox_next(const struct outbox *box, bool events, const uint8_t **bytes);
/* The kernel has taken `count` of the bytes that outbox_next gave; `events` as it was there. */
void outbox_advance(struct outbox *box, size_t count);

/* The server is done with all events up to `ordinal`. false: it was not sent on this connection. */
bool outbox_settle(struct outbox *box, uint64_t ordinal) MUST_USE;
/* After outbox_rewind: the program does not want the events up to `ordinal` sent again. */
void outbox_abandon(struct outbox *box, uint64_t ordinal);
/* The connection is gone: forgets control frames; what is kept will be sent from the beginning. */
void outbox_rewind(struct outbox *box);

static inline bool outbox_empty(const struct outbox *box) {
    return box->sent == box->produced && box->controls == NULL;
}
void outbox_check(const struct outbox *box);
