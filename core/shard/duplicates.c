/* A ring of the last events, and an index into it: a table with linear probing whose entries are places in
 * the ring. What leaves the ring leaves the index by shifting back what was displaced, so no tombstones
 * gather.
 *
 * An event whose time is over stays until the ring comes round to it. When its key is added anew, the index
 * then points to the new one, and nothing points to the old one: it leaves without a trace. */
#include "core/shard/duplicates.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NAME_BYTES_ONCE 512u /* of the three texts; longer ones are not copied together */

static_assert(sizeof(struct duplicates_known) == 32, "two a line of the cache");

struct duplicates {
    struct duplicates_known *ring; /* owns; `count` places */
    uint32_t *index;               /* owns; a place in the ring, from 1; 0 = free */
    uint64_t window_ns;
    uint32_t mask; /* of the index */
    uint32_t count;
    uint32_t begin; /* place of the oldest */
    uint32_t held;
};

/* ---- keys ---- */

static struct duplicates_key key_of(XXH128_hash_t hash) {
    return (struct duplicates_key){.low = hash.low64, .high = hash.high64};
}

/* Each text with its length before it: "a", "bc" is not "ab", "c". */
static uint8_t *text_put(uint8_t *out, const uint8_t *text, size_t length) {
    memcpy(out, &length, sizeof length);
    memcpy(out + sizeof length, text, length);
    return out + sizeof length + length;
}

/* Longer names: the hash of the hashes of the three. */
static struct duplicates_key key_long(const struct duplicates_name *name, uint64_t seed) {
    XXH128_hash_t parts[3] = {XXH3_128bits_withSeed(name->topic, name->topic_length, seed),
                              XXH3_128bits_withSeed(name->source, name->source_length, seed),
                              XXH3_128bits_withSeed(name->id, name->id_length, seed)};
    return key_of(XXH3_128bits_withSeed(parts, sizeof parts, seed + 1));
}

struct duplicates_key duplicates_key(const struct duplicates_name *name, uint64_t seed) {
    uint8_t bytes[NAME_BYTES_ONCE + 3 * sizeof(size_t)];
    if (name->topic_length + name->source_length + name->id_length > NAME_BYTES_ONCE)
        return key_long(name, seed);
    uint8_t *end = text_put(bytes, name->topic, name->topic_length);
    end = text_put(end, name->source, name->source_length);
    end = text_put(end, name->id, name->id_length);
    return key_of(XXH3_128bits_withSeed(bytes, (size_t)(end - bytes), seed));
}

/* ---- the index ---- */

static bool keys_equal(struct duplicates_key a, struct duplicates_key b) {
    return a.low == b.low && a.high == b.high;
}

static const struct duplicates_known *known_at(const struct duplicates *duplicates, uint32_t slot) {
    return &duplicates->ring[duplicates->index[slot] - 1];
}

/* The slot of a key, or the free one where it would go. There is always a free one. */
static uint32_t slot_of(const struct duplicates *duplicates, struct duplicates_key key) {
    uint32_t slot = (uint32_t)key.low & duplicates->mask;
    while (duplicates->index[slot] != 0 && !keys_equal(known_at(duplicates, slot)->key, key))
        slot = (slot + 1) & duplicates->mask;
    return slot;
}

/* Whether what lies in `slot` may move back to `hole`: not to before where its search begins. */
static bool may_move(const struct duplicates *duplicates, uint32_t slot, uint32_t hole) {
    uint32_t home = (uint32_t)known_at(duplicates, slot)->key.low & duplicates->mask;
    return ((slot - home) & duplicates->mask) >= ((slot - hole) & duplicates->mask);
}

static void slot_free(struct duplicates *duplicates, uint32_t hole) {
    for (uint32_t slot = (hole + 1) & duplicates->mask; duplicates->index[slot] != 0;
         slot = (slot + 1) & duplicates->mask)
        if (may_move(duplicates, slot, hole)) {
            duplicates->index[hole] = duplicates->index[slot];
            hole = slot;
        }
    duplicates->index[hole] = 0;
}

/* ---- the ring ---- */

static void oldest_forget(struct duplicates *duplicates) {
    uint32_t slot = slot_of(duplicates, duplicates->ring[duplicates->begin].key);
    if (duplicates->index[slot] == duplicates->begin + 1)
        slot_free(duplicates, slot);
    duplicates->begin = duplicates->begin + 1 == duplicates->count ? 0 : duplicates->begin + 1;
    duplicates->held--;
}

static uint32_t newest_place(struct duplicates *duplicates) {
    if (duplicates->held == duplicates->count)
        oldest_forget(duplicates);
    uint64_t place = (uint64_t)duplicates->begin + duplicates->held++;
    return (uint32_t)(place >= duplicates->count ? place - duplicates->count : place);
}

static bool is_over(const struct duplicates *duplicates, const struct duplicates_known *known,
                    uint64_t now_ns) {
    return now_ns >= known->time_ns && now_ns - known->time_ns >= duplicates->window_ns;
}

uint64_t duplicates_find(const struct duplicates *duplicates, struct duplicates_key key, uint64_t now_ns) {
    uint32_t slot = slot_of(duplicates, key);
    if (duplicates->index[slot] == 0 || is_over(duplicates, known_at(duplicates, slot), now_ns))
        return 0;
    return known_at(duplicates, slot)->sequence;
}

void duplicates_add(struct duplicates *duplicates, struct duplicates_key key, uint64_t sequence,
                    uint64_t time_ns) {
    if (duplicates_find(duplicates, key, time_ns) != 0)
        return;
    uint32_t place = newest_place(duplicates); /* first: making room moves the index */
    duplicates->ring[place] = (struct duplicates_known){.key = key, .sequence = sequence, .time_ns = time_ns};
    duplicates->index[slot_of(duplicates, key)] = place + 1;
}

/* ---- making ---- */

int duplicates_create(struct duplicates **out, uint64_t window_ns, uint32_t count) {
    struct duplicates *duplicates = calloc(1, sizeof *duplicates);
    CHECK(count > 0 && count <= UINT32_MAX / 4);
    if (duplicates == NULL)
        return -ENOMEM;
    uint32_t slots = 2;
    while (slots < 2 * count) /* at most half of it is in use */
        slots *= 2;
    duplicates->window_ns = window_ns;
    duplicates->count = count;
    duplicates->mask = slots - 1;
    duplicates->ring = calloc(count, sizeof *duplicates->ring);
    duplicates->index = calloc(slots, sizeof *duplicates->index);
    if (duplicates->ring == NULL || duplicates->index == NULL) {
        duplicates_destroy(duplicates);
        return -ENOMEM;
    }
    *out = duplicates;
    return 0;
}

void duplicates_destroy(struct duplicates *duplicates) {
    if (duplicates == NULL)
        return;
    free(duplicates->ring);
    free(duplicates->index);
    free(duplicates);
}

const struct duplicates_known *duplicates_at(const struct duplicates *duplicates, uint64_t i) {
    uint64_t place = duplicates->begin + i;
    return &duplicates->ring[place >= duplicates->count ? place - duplicates->count : place];
}

uint64_t duplicates_held(const struct duplicates *duplicates) {
    return duplicates->held;
}

uint64_t duplicates_bytes(const struct duplicates *duplicates) {
    return sizeof *duplicates + (uint64_t)duplicates->count * sizeof *duplicates->ring +
           ((uint64_t)duplicates->mask + 1) * sizeof *duplicates->index;
}

void duplicates_check(const struct duplicates *duplicates) {
    uint64_t used = 0;
    CHECK(duplicates->held <= duplicates->count && duplicates->begin < duplicates->count);
    for (uint32_t slot = 0; slot <= duplicates->mask; slot++) {
        if (duplicates->index[slot] == 0)
            continue;
        used++;
        uint32_t place = duplicates->index[slot] - 1;
        uint64_t age =
            (uint64_t)place + (place < duplicates->begin ? duplicates->count : 0) - duplicates->begin;
        CHECK(age < duplicates->held);
        CHECK(slot_of(duplicates, duplicates->ring[place].key) == slot); /* it is found, and once */
    }
    CHECK(used <= duplicates->held);
}
