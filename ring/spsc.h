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

/* Producer. A record of length 1..bytes/4. */
enum ring_result spsc_reserve(struct spsc *ring, uint32_t length, uint8_t **out);
void spsc_commit(struct spsc *ring, uint32_t length); /* <= the reserved length; not visible before publish */
bool spsc_publish(struct spsc *ring); /* true if there was something new: then wake the consumer */
uint64_t spsc_committed(const struct spsc *ring); /* byte position behind the last committed record */
uint64_t spsc_consumed(
    const struct spsc *ring); /* what the consumer has released (acquire edge): acknowledgements follow it */
struct wanted *
spsc_wanted(struct spsc *ring); /* the producer sets it when it waits for spsc_consumed to move */

/* Consumer. */
const uint8_t *
spsc_peek(struct spsc *ring,
          uint32_t *length);          /* next published record or NULL; peeks go forward without releasing */
void spsc_consume(struct spsc *ring); /* releases all that was peeked; one release store */
bool spsc_pending(const struct spsc *ring); /* something published and not peeked; for "look again" */
