/* THE BYTE RING BETWEEN TWO THREADS
 *
 * Who. One producer thread, one consumer thread. Positions are bytes since the beginning, 64 bits: they do
 * not wrap in the life of a machine (at 10 GB/s it takes fifty years), and only `position & mask` touches
 * memory.
 *
 * State.  produced   last published position; written by the producer, read by both
 *         consumed   everything below has been released; written by the consumer, read by both
 *         settled    everything below is done with, such as durable; written by the consumer, read by both
 *         committed  producer's own: behind the last committed record;  consumed_seen: its copy of `consumed`
 *         peeked     consumer's own: behind the last peeked record;     produced_seen: its copy of `produced`
 *
 * Invariants.  settled <= consumed <= peeked <= produced <= committed <= consumed + bytes. All are multiples
 * of 8. produced_seen <= produced and consumed_seen <= consumed: a copy is only ever too careful.
 *
 * Steps. Reserve looks at its copy of `consumed`, and at the word itself only when the copy says full. Commit
 * writes the length word and moves `committed`. Publish stores `produced` with release [SPSC_PUBLISH]; peek
 * loads it with acquire, so the record's bytes are seen. Consume stores `consumed` with release
 * [SPSC_RELEASE]; reserve loads it with acquire, so the consumer's reads are over before the bytes are
 * written again. Settle stores `settled` with release [SPSC_SETTLE]: what the consumer did before, also in
 * other rings, is seen by who acquires it.
 *
 * Why wrap is safe. A record begins at position & mask in the first mapping and runs on into the mirror
 * (mirror.c).
 *
 * Promised: order, contiguous records aligned to 8, nothing lost. Not promised: fairness, waking (the caller
 * does: publish, then wake_signal; consume, then wanted_take). */
#include "ring/spsc.h"

#include "core/base/limits.h"
#include "ring/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPSC_HEADER_BYTES    8u /* a 32-bit length and 32 bits of nothing, so that records begin aligned */
#define SPSC_RECORD_FRACTION 4u /* a record is at most a quarter of the ring, header not counted */

struct spsc {
    /* written once */
    uint8_t *data; /* owns */
    uint64_t bytes;
    uint64_t mask;
    /* written by the producer */
    uint64_t produced __attribute__((aligned(64)));
    uint64_t committed;
    uint64_t consumed_seen;
    uint32_t reserved;
    /* written by the consumer */
    uint64_t consumed __attribute__((aligned(64)));
    uint64_t settled;
    uint64_t peeked;
    uint64_t produced_seen;
    /* set by the producer, taken by the consumer */
    struct wanted wanted __attribute__((aligned(64)));
};
static_assert(offsetof(struct spsc, produced) % 64 == 0, "the producer's line is its own");
static_assert(offsetof(struct spsc, consumed) % 64 == 0, "the consumer's line is its own");
static_assert(offsetof(struct spsc, wanted) % 64 == 0, "the wanted word is apart from both");

int spsc_create(struct spsc **out, uint64_t bytes) {
    if ((bytes & (bytes - 1)) != 0)
        return -EINVAL;
    struct spsc *ring = aligned_alloc(64, sizeof *ring);
    if (ring == NULL)
        return -ENOMEM;
    *ring = (struct spsc){.bytes = bytes, .mask = bytes - 1};
    int result = mirror_map(&ring->data, bytes, false);
    if (result != 0) {
        free(ring);
        return result;
    }
    *out = ring;
    return 0;
}

void spsc_destroy(struct spsc *ring) {
    if (ring == NULL)
        return;
    mirror_unmap(ring->data, ring->bytes);
    free(ring);
}

static uint64_t spsc_record_bytes(uint32_t length) {
    return SPSC_HEADER_BYTES + (((uint64_t)length + 7u) & ~UINT64_C(7));
}

uint32_t spsc_record_most(const struct spsc *ring) {
    return (uint32_t)(ring->bytes / SPSC_RECORD_FRACTION);
}

enum ring_result spsc_reserve(struct spsc *ring, uint32_t length, uint8_t **out) {
    CHECK(length != 0 && length <= spsc_record_most(ring));
    uint64_t end = ring->committed + spsc_record_bytes(length);
    if (end - ring->consumed_seen > ring->bytes) {
        ring->consumed_seen = __atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE); /* SPSC_RELEASE */
        if (end - ring->consumed_seen > ring->bytes)
            return RING_FULL;
    }
    ring->reserved = length;
    *out = ring->data + (ring->committed & ring->mask) + SPSC_HEADER_BYTES;
    return RING_OK;
}

void spsc_commit(struct spsc *ring, uint32_t length) {
    CHECK(length != 0 && length <= ring->reserved);
    memcpy(ring->data + (ring->committed & ring->mask), &length, sizeof length);
    ring->committed += spsc_record_bytes(length);
    ring->reserved = 0;
}

bool spsc_publish(struct spsc *ring) {
    if (__atomic_load_n(&ring->produced, __ATOMIC_RELAXED) ==
        ring->committed) /* relaxed: only this thread writes it */
        return false;
    __atomic_store_n(&ring->produced, ring->committed, __ATOMIC_RELEASE); /* SPSC_PUBLISH */
    return true;
}

uint64_t spsc_committed(const struct spsc *ring) {
    return ring->committed;
}

uint64_t spsc_consumed(const struct spsc *ring) {
    return __atomic_load_n(&ring->consumed, __ATOMIC_ACQUIRE); /* SPSC_RELEASE */
}

uint64_t spsc_settled(const struct spsc *ring) {
    return __atomic_load_n(&ring->settled, __ATOMIC_ACQUIRE); /* SPSC_SETTLE */
}

struct wanted *spsc_wanted(struct spsc *ring) {
    return &ring->wanted;
}

const uint8_t *spsc_peek(struct spsc *ring, uint32_t *length) {
    if (ring->peeked == ring->produced_seen) {
        ring->produced_seen = __atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE); /* SPSC_PUBLISH */
        if (ring->peeked == ring->produced_seen)
            return NULL;
    }
    const uint8_t *record = ring->data + (ring->peeked & ring->mask);
    memcpy(length, record, sizeof *length);
    CHECK_HOT(*length != 0 && *length <= ring->bytes / SPSC_RECORD_FRACTION);
    ring->peeked += spsc_record_bytes(*length);
    return record + SPSC_HEADER_BYTES;
}

void spsc_consume(struct spsc *ring) {
    __atomic_store_n(&ring->consumed, ring->peeked, __ATOMIC_RELEASE); /* SPSC_RELEASE */
}

void spsc_settle(struct spsc *ring, uint64_t position) {
    /* relaxed: only this thread writes both */
    CHECK(__atomic_load_n(&ring->settled, __ATOMIC_RELAXED) <= position &&
          position <= __atomic_load_n(&ring->consumed, __ATOMIC_RELAXED));
    __atomic_store_n(&ring->settled, position, __ATOMIC_RELEASE); /* SPSC_SETTLE */
}

bool spsc_pending(const struct spsc *ring) {
    return ring->peeked != __atomic_load_n(&ring->produced, __ATOMIC_ACQUIRE); /* SPSC_PUBLISH */
}
