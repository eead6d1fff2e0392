/* scan.h: finds frames in received bytes and checks what the hot path needs, in place, without unpacking.
 * Owner: pure functions over the caller's bytes. Any thread may call.
 * One forward pass. Only an Event with one topic and one well-formed CloudEvent leaves it.
 * Nothing blocks, nothing allocates.
 * A refusal fills a fault with static texts; "not all there yet" is WIRE_INCOMPLETE, no error. */
#pragma once

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_result { WIRE_OK, WIRE_INCOMPLETE, WIRE_BAD };

/* Frame kinds are the field numbers of roundhouse.v1.Frame's body. */
enum wire_kind {
    WIRE_EMPTY = 0, /* length 0 or no body: an error before Connect, skipped after it */
    WIRE_EVENT = 1,
    WIRE_CONNECT = 2,
    WIRE_CONNECTED = 3,
    WIRE_SUBSCRIBE = 4,
    WIRE_SUBSCRIBED = 5,
    WIRE_UNSUBSCRIBE = 6,
    WIRE_UNSUBSCRIBED = 7,
    WIRE_PUBLISH_ACK = 8,
    WIRE_ACK = 9,
    WIRE_CONTEXT = 10,
    WIRE_GAP = 11,
    WIRE_ERROR = 12,
    WIRE_PING = 13,
    WIRE_PONG = 14,
    WIRE_GOODBYE = 15,
    WIRE_LEASE_EXPIRED = 16,
    WIRE_REPLAY = 17,
    WIRE_REPLAYED = 18,
    WIRE_KNOWN_LAST = WIRE_REPLAYED,
    WIRE_UNKNOWN = 99, /* a kind of a newer version: skipped */
};

struct wire_frame {
    enum wire_kind kind;
    const uint8_t *start; /* of the length prefix */
    size_t size;          /* with the prefix: what to advance by */
    const uint8_t *frame; /* the serialized Frame */
    size_t frame_length;
    const uint8_t *body; /* the serialized body message, NULL for EMPTY and UNKNOWN */
    size_t body_length;
};

/* Only the length prefix: WIRE_OK fills *total (prefix + frame); WIRE_BAD for a prefix over 10 bytes or a
 * frame over frame_max (code TOO_LARGE, told before the frame's bytes have come). For assembling a frame that
 * straddles receives. */
enum wire_result wire_length(const uint8_t *p, size_t n, uint64_t frame_max, uint64_t *total,
                             struct fault *fault);

/* The next frame at p. WIRE_BAD: the connection can not go on (PROTOCOL, TOO_LARGE): not a Frame, two known
 * bodies, wrong wire types. */
enum wire_result wire_next(const uint8_t *p, size_t n, uint64_t frame_max, struct wire_frame *out,
                           struct fault *fault);

/* What shape.h knows of an event's topic. */
enum wire_topic {
    WIRE_TOPIC_ANY,
    WIRE_TOPIC_LEARNT, /* the one that later events are compared with */
    WIRE_TOPIC_AGAIN,  /* the one that was learnt last, byte for byte */
};

struct wire_event {
    const uint8_t *topic;
    const uint8_t *event;
    uint32_t topic_length;
    uint32_t event_length;
    const uint8_t *record; /* the frame, when it is the record but for the sequence; else NULL */
    enum wire_topic known;
    bool expiring; /* it has an expirytime */
};

/* Looks into a WIRE_EVENT frame. false = refuse this event (code INVALID with `field` such as "topic",
 * "event.id"); the connection may go on. Checks everything ARCHITECTURE section 5 lists: exactly one topic
 * and one event, at most one sequence and only in front, the topic's grammar, a well-formed CloudEvent with
 * its required attributes (event_check of codecs/event). Unknown fields of Event are passed over and not
 * carried on. */
bool wire_event_scan(const struct wire_frame *frame, struct wire_event *out, struct fault *fault);

/* ---- the canonical form of the log: length, Frame{event{sequence, topic, event}} ---- */

/* Bytes of the record, prefix included. */
uint32_t wire_record_size(uint32_t topic_length, uint32_t event_length);
static inline uint32_t wire_record_size_of(const struct wire_event *event) {
    if (event->record != NULL) /* the event is what such a frame ends with */
        return (uint32_t)(event->event - event->record) + event->event_length;
    return wire_record_size(event->topic_length, event->event_length);
}
/* Writes it; returns where in the record the topic's bytes begin (<= 255). */
uint32_t wire_record_write(uint8_t *out, uint64_t sequence, const struct wire_event *event);
/* The record's event back again (trusted bytes, as written by wire_record_write); for readers such as the
 * admin plane and tests. */
void wire_record_read(const uint8_t *record, uint32_t length, uint64_t *sequence, struct wire_event *out);
/* Overwrites the sequence of a record in place (a record that came from another worker gets its position at
 * home). */
void wire_record_sequence(uint8_t *record, uint64_t sequence);
/* Where in a record its sequence lies; the same in all records of one length. */
uint32_t wire_record_sequence_at(const uint8_t *record);
