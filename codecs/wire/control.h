/* control.h: everything that is not an Event: control frames to and from bytes, by protobuf-c.
 * Owner: pure functions; unpacked frames belong to the caller until control_free. Any thread may call.
 * Not the hot path: protobuf-c allocates. Sizes are bounded by the frame limits before it is called.
 * Nothing blocks.
 * Refusals fill a fault; encoding can only fail for want of room (the caller gives control_size bytes). */
#pragma once

#include "codecs/wire/scan.h"
#include "roundhouse/v1/wire.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Unpacks a control frame (any kind but EVENT, EMPTY, UNKNOWN). NULL = refused: malformed, or bad UTF-8 in
 * any string (protobuf-c does not look), fault filled. Free with control_free. */
Roundhouse__V1__Frame *control_unpack(const struct wire_frame *frame, struct fault *fault);
void control_free(Roundhouse__V1__Frame *frame);
/* Whether protobuf-c may unpack a message of these bytes: well-formed, not too deep, not too much of
 * anything, and good UTF-8 in any string. The fault says what is wrong. */
bool control_message_check(const ProtobufCMessageDescriptor *message, const uint8_t *p, size_t n,
                           struct fault *fault);

/* Bytes that control_pack needs, prefix included. */
size_t control_size(const Roundhouse__V1__Frame *frame);
/* Writes prefix and frame; returns the bytes written. */
size_t control_pack(const Roundhouse__V1__Frame *frame, uint8_t *out);

/* A sequence is the epoch of its log in the top 16 bits, and the position in the log below. */
#define SEQUENCE_POSITION_BITS 48u
static inline uint64_t sequence_make(uint16_t epoch, uint64_t position) {
    return (uint64_t)epoch << SEQUENCE_POSITION_BITS |
           (position & ((UINT64_C(1) << SEQUENCE_POSITION_BITS) - 1));
}
static inline uint64_t sequence_position(uint64_t sequence) {
    return sequence & ((UINT64_C(1) << SEQUENCE_POSITION_BITS) - 1);
}
static inline uint16_t sequence_epoch(uint64_t sequence) {
    return (uint16_t)(sequence >> SEQUENCE_POSITION_BITS);
}

/* Where delivery stands: one sequence per log, opaque to clients. */
#define POSITION_LOGS_MAX 64u
struct position_log {
    uint64_t next;   /* the first sequence not yet delivered */
    uint16_t number; /* of the log, for ever */
};
struct position {
    uint8_t instance[16];
    uint32_t count; /* of logs, with growing numbers */
    struct position_log logs[POSITION_LOGS_MAX];
    uint64_t undone; /* one bit for each of them where last events of topics are not all delivered yet */
};
#define POSITION_BYTES_MAX (2u + 16u + 10u + POSITION_LOGS_MAX * 10u + 8u)
size_t position_pack(const struct position *position, uint8_t out[POSITION_BYTES_MAX]);
/* false: not a Position (fault INVALID, field "subscribe.position"). A version byte and a checksum guard it.
 */
bool position_unpack(const uint8_t *p, size_t n, struct position *out, struct fault *fault);
/* Lowers a packed Position of ours in its place: its i-th log to position next[i] where it stands higher. The
 * size stays. */
void position_lower(uint8_t *packed, size_t n, const uint64_t *next);
