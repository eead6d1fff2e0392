#include "core/route/intern.h"

#include "core/base/limits.h"
#include "core/base/heap.h"
#include "core/route/pages.h"

#include <errno.h>
#include <string.h>

/* Two generations of names. The young one takes every new name and every old one that is seen again; when it
 * is full, the old one is forgotten as a whole and the young one becomes old. A name in use is therefore
 * never forgotten, nothing is swept, and a change of generations touches no names: the old one's pages and
 * chunks are kept and overwritten. */

#define CHUNK_BYTES  (64u * (unsigned)KIB)
#define RECORD_UNIT  8u /* records begin at multiples of this, so that 32 bits address 32 GiB of them */
#define CHUNKS_MAX   (1u << 19)
#define COUNTER_BITS 48u

/* One name in a chunk. */
struct record {
    uint64_t id;
    uint8_t length;
    uint8_t name[];
};

/* `record` is in units of RECORD_UNIT over all chunks of the generation. */
struct intern_slot {
    uint64_t key;
    uint64_t record;
};

struct generation {
    struct pages pages;
    uint8_t **chunks; /* owns */
    size_t chunks_capacity;
    uint32_t chunks_count;
    uint32_t chunks_used;
    uint32_t chunk_bytes; /* taken in the last used chunk */
    uint64_t promoted;    /* names that the younger generation has too */
};

struct intern {
    struct generation generations[2];
    struct generation *young;
    struct generation *old;
    uint64_t seed;
    uint64_t id_first; /* the log number in its place */
    uint64_t issued;
    uint64_t evicted;
    uint64_t ageings;
    uint32_t names_max; /* of one generation */
    uint32_t chunks_max;
};

static bool generation_add_chunk(struct generation *generation) {
    if (generation->chunks_used == generation->chunks_count) {
        if (heap_grow((void **)&generation->chunks, &generation->chunks_capacity,
                      generation->chunks_count + 1u, sizeof *generation->chunks))
            return false;
        uint8_t *chunk = heap_take_raw(CHUNK_BYTES);
        if (!chunk)
            return false;
        generation->chunks[generation->chunks_count++] = chunk;
    }
    generation->chunks_used++;
    generation->chunk_bytes = 0;
    return true;
}

static int generation_init(struct generation *generation, uint32_t names_max) {
    int failed = pages_init(&generation->pages, sizeof(struct intern_slot), pages_depth_for(names_max));
    if (failed)
        return failed;
    return generation_add_chunk(generation) ? 0 : -ENOMEM;
}

static void generation_deinit(struct generation *generation) {
    pages_deinit(&generation->pages);
    for (uint32_t i = 0; i < generation->chunks_count; i++)
        heap_give(generation->chunks[i]);
    heap_give(generation->chunks);
}

static void generation_clear(struct generation *generation) {
    pages_clear(&generation->pages);
    generation->chunks_used = 1;
    generation->chunk_bytes = 0;
    generation->promoted = 0;
}

static uint64_t generation_bytes(const struct generation *generation) {
    return pages_bytes(&generation->pages) + (uint64_t)generation->chunks_count * CHUNK_BYTES +
           generation->chunks_capacity * sizeof *generation->chunks;
}

static inline struct record *generation_record(const struct generation *generation, uint64_t record) {
    uint64_t byte = record * RECORD_UNIT;
    return (void *)(generation->chunks[byte / CHUNK_BYTES] + byte % CHUNK_BYTES);
}

static inline const struct record *generation_find(const struct generation *generation, uint64_t key,
                                                   const uint8_t *topic, uint32_t length) {
    const struct page *page = pages_page(&generation->pages, key);
    for (uint64_t i = key;; i++) {
        const struct intern_slot *slot = page_slot(page, i, sizeof *slot);
        if (!slot->key)
            return NULL;
        if (slot->key != key)
            continue;
        const struct record *record = generation_record(generation, slot->record);
        if (LIKELY(record->length == length && !memcmp(record->name, topic, length)))
            return record;
    }
}

static bool generation_insert(struct intern *intern, struct generation *generation, uint64_t key,
                              const uint8_t *topic, uint32_t length, uint64_t id) {
    uint32_t bytes =
        (uint32_t)(offsetof(struct record, name) + length + RECORD_UNIT - 1) & ~(RECORD_UNIT - 1);
    if (generation->pages.count == intern->names_max)
        return false;
    if (generation->chunk_bytes + bytes > CHUNK_BYTES &&
        (generation->chunks_used == intern->chunks_max || !generation_add_chunk(generation)))
        return false;
    struct intern_slot *slot = pages_make(&generation->pages, key);
    if (!slot)
        return false;
    slot->record =
        ((uint64_t)(generation->chunks_used - 1) * CHUNK_BYTES + generation->chunk_bytes) / RECORD_UNIT;
    generation->chunk_bytes += bytes;
    struct record *record = generation_record(generation, slot->record);
    record->id = id;
    record->length = (uint8_t)length;
    memcpy(record->name, topic, length);
    return true;
}

int intern_create(struct intern **out, uint16_t log, uint32_t topics, uint64_t seed) {
    CHECK(topics >= 16);
    struct intern *intern = heap_take(sizeof *intern);
    if (!intern)
        return -ENOMEM;
    intern->young = &intern->generations[0];
    intern->old = &intern->generations[1];
    intern->seed = seed;
    intern->id_first = (uint64_t)log << COUNTER_BITS;
    intern->names_max = topics / 2;
    uint64_t chunks = (uint64_t)intern->names_max * INTERN_NAME_BYTES_TYPICAL / CHUNK_BYTES + 1;
    intern->chunks_max = chunks < CHUNKS_MAX ? (uint32_t)chunks : CHUNKS_MAX;
    if (generation_init(intern->young, intern->names_max) ||
        generation_init(intern->old, intern->names_max)) {
        intern_destroy(intern);
        return -ENOMEM;
    }
    *out = intern;
    return 0;
}

void intern_destroy(struct intern *intern) {
    if (!intern)
        return;
    generation_deinit(intern->young);
    generation_deinit(intern->old);
    heap_give(intern);
}

static void intern_age(struct intern *intern) {
    struct generation *forgotten = intern->old;
    intern->evicted += forgotten->pages.count - forgotten->promoted;
    intern->ageings++;
    generation_clear(forgotten);
    intern->old = intern->young;
    intern->young = forgotten;
}

/* Without memory the young generation counts as full: an empty one always has a page and a chunk. */
static void intern_insert(struct intern *intern, uint64_t key, const uint8_t *topic, uint32_t length,
                          uint64_t id) {
    if (generation_insert(intern, intern->young, key, topic, length, id))
        return;
    intern_age(intern);
    bool inserted = generation_insert(intern, intern->young, key, topic, length, id);
    CHECK(inserted);
}

static uint64_t __attribute__((noinline))
intern_learn(struct intern *intern, uint64_t key, const uint8_t *topic, uint32_t length) {
    const struct record *known = generation_find(intern->old, key, topic, length);
    uint64_t id;
    if (known) {
        id = known->id;
        intern->old->promoted++;
    } else {
        id = intern->id_first | ++intern->issued;
        CHECK(intern->issued >> COUNTER_BITS == 0);
    }
    intern_insert(intern, key, topic, length, id);
    return id;
}

uint64_t intern_id(struct intern *intern, const uint8_t *topic, uint32_t length, uint64_t hash) {
    CHECK_HOT(length && length <= TOPIC_BYTES_MAX);
    uint64_t key = pages_key(hash ^ intern->seed);
    const struct record *known = generation_find(intern->young, key, topic, length);
    return LIKELY(known != NULL) ? known->id : intern_learn(intern, key, topic, length);
}

uint64_t intern_generation(const struct intern *intern) {
    return intern->ageings;
}

uint64_t intern_count(const struct intern *intern) {
    return intern->young->pages.count + intern->old->pages.count - intern->old->promoted;
}

uint64_t intern_evicted(const struct intern *intern) {
    return intern->evicted;
}

uint64_t intern_bytes(const struct intern *intern) {
    return sizeof *intern + generation_bytes(intern->young) + generation_bytes(intern->old);
}
