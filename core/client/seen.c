#include "core/client/seen.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SEEN_CAPACITY_FIRST 1024u
#define SEEN_CAPACITY_MAX   (2 * SEEN_TOPICS_MAX) /* at most half full, so that a search stays short */

void seen_init(struct seen *seen, uint64_t seed) {
    *seen = (struct seen){.seed = seed, .generation = 1};
}

void seen_deinit(struct seen *seen) {
    free(seen->entries);
    *seen = (struct seen){0};
}

/* Something came in this pass, and no Position covers it. */
static bool entry_fresh(const struct seen *seen, const struct seen_entry *entry) {
    return entry->last != 0 && entry->generation == seen->generation;
}

/* This pass is beyond what came before, and a Position covers it: so that does not come again. */
static bool entry_passed(const struct seen *seen, const struct seen_entry *entry) {
    return entry->first > entry->had_last && !entry_fresh(seen, entry);
}

static bool seen_live(const struct seen *seen, const struct seen_entry *entry) {
    return entry_fresh(seen, entry) || (entry->had_last != 0 && !entry_passed(seen, entry));
}

/* The entry of a topic, or the first never-written one where it belongs. */
static struct seen_entry *seen_find(struct seen_entry *entries, uint32_t capacity, XXH128_hash_t hash) {
    uint32_t at = (uint32_t)hash.low64 & (capacity - 1);
    while (entries[at].generation != 0 && (entries[at].low != hash.low64 || entries[at].high != hash.high64))
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

/* Moves what is still of use into a table of its own; what is covered stays behind. */
static bool seen_rebuild(struct seen *seen, uint32_t capacity) {
    struct seen_entry *fresh = calloc(capacity, sizeof *fresh);
    if (fresh == NULL)
        return false;
    uint32_t used = 0;
    for (uint32_t i = 0; i < seen->capacity; i++) {
        const struct seen_entry *entry = &seen->entries[i];
        if (!seen_live(seen, entry))
            continue;
        *seen_find(fresh, capacity, (XXH128_hash_t){.low64 = entry->low, .high64 = entry->high}) = *entry;
        used++;
    }
    free(seen->entries);
    seen->entries = fresh;
    seen->capacity = capacity;
    seen->used = used;
    return true;
}

static uint32_t seen_live_count(const struct seen *seen) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < seen->capacity; i++)
        live += seen_live(seen, &seen->entries[i]);
    return live;
}

/* Room for one more entry: drops covered ones, or grows when those that count fill a quarter. */
static bool seen_room(struct seen *seen) {
    if (seen->used < seen->capacity / 2)
        return true;
    if (seen->capacity == 0)
        return seen_rebuild(seen, SEEN_CAPACITY_FIRST);
    uint32_t capacity = seen->capacity;
    if (seen_live_count(seen) >= capacity / 4 && capacity < SEEN_CAPACITY_MAX)
        capacity *= 2;
    return seen_rebuild(seen, capacity) && seen->used < seen->capacity / 2;
}

/* A topic without an entry: whether it is new depends on whether all were noted. */
static enum seen_verdict seen_add(struct seen *seen, XXH128_hash_t hash, uint64_t sequence) {
    /* While the table is full of what counts, looking for room each time would be a walk for each event. */
    if (seen->overflowed || !seen_room(seen)) {
        seen->overflowed = true;
    } else {
        struct seen_entry *entry = seen_find(seen->entries, seen->capacity, hash);
        *entry = (struct seen_entry){.low = hash.low64,
                                     .high = hash.high64,
                                     .first = sequence,
                                     .last = sequence,
                                     .generation = seen->generation};
        seen->used++;
    }
    return seen->unsure ? SEEN_UNSURE : SEEN_NEW;
}

/* The event came before. What led up to it in this pass and what is left of that stretch are one. */
static void entry_repeat(const struct seen *seen, struct seen_entry *entry, uint64_t sequence) {
    if (entry_fresh(seen, entry) && entry->first < entry->had_first)
        entry->had_first = entry->first;
    entry->first = entry->last = 0;
    if (sequence != entry->had_last)
        return;
    entry->first = entry->had_first;
    entry->last = entry->had_last;
    entry->had_first = entry->had_last = 0;
    entry->generation = seen->generation;
}

static void entry_extend(const struct seen *seen, struct seen_entry *entry, uint64_t sequence) {
    bool fresh = entry_fresh(seen, entry);
    bool beyond = entry->had_last != 0 && sequence > entry->had_last;
    uint64_t first = fresh && sequence > entry->last ? entry->first : sequence;
    if (beyond && !fresh && entry->open)
        first = entry->had_first;
    /* What this pass has reached or left behind; also what a Gap has skipped. */
    if (beyond && (first <= entry->had_first || entry_passed(seen, entry)))
        entry->had_first = entry->had_last = 0;
    entry->first = first;
    entry->last = sequence;
    entry->generation = seen->generation;
}

enum seen_verdict seen_note(struct seen *seen, const uint8_t *topic, size_t length, uint64_t sequence) {
    seen->noted = true;
    XXH128_hash_t hash = XXH3_128bits_withSeed(topic, length, seen->seed);
    struct seen_entry *entry = seen->capacity > 0 ? seen_find(seen->entries, seen->capacity, hash) : NULL;
    if (entry == NULL || entry->generation == 0)
        return seen_add(seen, hash, sequence);
    if (entry->had_last != 0 && sequence >= entry->had_first && sequence <= entry->had_last) {
        entry_repeat(seen, entry, sequence);
        return SEEN_REPEATED;
    }
    entry_extend(seen, entry, sequence);
    return seen->unsure ? SEEN_UNSURE : SEEN_NEW;
}

void seen_cover(struct seen *seen) {
    seen->overflowed = false;
    if (++seen->generation == 0)
        seen->generation = 1; /* 0 means never written; entries of 2^32 Positions ago at worst look current */
}

/* What lies between two separate stretches may never have come, so they can not be one: the later one is
 * kept. False: there were two. */
static bool entry_carry(const struct seen *seen, struct seen_entry *entry, bool goes_on) {
    bool one = true;
    entry->open = entry->open && goes_on;
    if (entry_passed(seen, entry))
        entry->had_first = entry->had_last = 0;
    if (entry_fresh(seen, entry)) {
        one = entry->had_last == 0;
        if (entry->first > entry->had_last) {
            entry->had_first = entry->first;
            entry->had_last = entry->last;
            entry->open = goes_on;
        }
    }
    entry->first = entry->last = 0;
    return one;
}

void seen_carry(struct seen *seen, bool goes_on) {
    if (!seen->noted && goes_on)
        return;
    for (uint32_t i = 0; i < seen->capacity; i++)
        if (seen->entries[i].generation != 0 && !entry_carry(seen, &seen->entries[i], goes_on))
            seen->unsure = true;
    seen->unsure = seen->unsure || seen->overflowed;
    seen->noted = false;
    seen_cover(seen);
}

void seen_settle(struct seen *seen) {
    seen->unsure = false;
}

void seen_reset(struct seen *seen) {
    if (seen->capacity > 0)
        memset(seen->entries, 0, seen->capacity * sizeof *seen->entries);
    seen->used = 0;
    seen->generation = 1;
    seen->overflowed = false;
    seen->noted = false;
    seen->unsure = false;
}
