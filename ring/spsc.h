/* spsc.h: a byte ring from one thread to one other: reserve, fill, commit, publish; peek, consume.
 * Owner: whoever creates it. Producer functions for one thread, consumer functions for one other.
 * Records are contiguous (the area is mirrored), each 8-byte aligned with a length word before it.
 * Nothing blocks: RING_FULL and "nothing there" are answers.
 * Only spsc_create can fail (negative errno). The argument is at the top of spsc.c. */
#pragma once

#include "core/base/check.h"
#include "ring/ring.h"
#include "ring/wake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spsc;

int spsc_create(struct spsc **out, uint64_t bytes) MUST_USE; /* power of two, at least a page */
void spsc_destroy(struct spsc *ring);

/* Producer. A record of length 1..spsc_record_most. */
uint32_t spsc_record_most(const struct spsc *ring);
enum ring_result spsc_reserve(struct spsc *ring, uint32_t length, uint8_t **out);
/* At most the reserved length; not visible before publish. */
void spsc_commit(struct spsc *ring, uint32_t length);
/* True if there was something new: then wake the consumer. */
bool spsc_publish(struct spsc *ring);
/* Byte position behind the last committed record. */
uint64_t spsc_committed(const struct spsc *ring);
/* What the consumer has released (acquire edge SPSC_RELEASE): acknowledgements follow it. */
uint64_t spsc_consumed(const struct spsc *ring);
/* How far the consumer is done with what it has released (acquire edge SPSC_SETTLE); it says when. */
uint64_t spsc_settled(const struct spsc *ring);
/* The producer sets it when it waits for spsc_consumed or spsc_settled to move; the consumer takes it after
 * spsc_consume or spsc_settle. */
struct wanted *spsc_wanted(struct spsc *ring);

/* Consumer. */
/* Next published record or NULL; peeks go forward without releasing. Valid until spsc_consume. */
const uint8_t *spsc_peek(struct spsc *ring, uint32_t *length);
/* Releases all that was peeked; one release store. */
void spsc_consume(struct spsc *ring);
/* Everything below a byte position, which has been released, is done with. Never down; one release store. */
void spsc_settle(struct spsc *ring, uint64_t position);
/* Something is published and not peeked; for "look again". */
bool spsc_pending(const struct spsc *ring);
