/* Reading does not go through the ring or the commit thread: where to begin is found in the waypoints under
 * the lock, then the file is read without it, up to what was durable then. */
#include "core/journal/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a read begins and how far it goes. */
struct place {
    uint64_t number, salt, end; /* of the segment */
    uint64_t offset;            /* of a group at or before the position */
    uint64_t position;
};

struct fill {
    struct journal_stretch *stretch;
    uint64_t from;
    uint64_t bytes_max;
    bool full;
    int error;
};

static bool slots_meet(const struct segment *segment, const uint64_t *slots) {
    for (uint32_t i = 0; i < CHAIN_SLOT_WORDS; i++)
        if ((segment->slots[i] & slots[i]) != 0)
            return true;
    return false;
}

/* The first segment that ends behind `from` and has something for the caller; all before it are left out. */
static const struct segment *place_segment(const struct chain *chain, const uint64_t *slots, uint64_t *from) {
    for (uint32_t i = 0; i < chain->segments_count; i++) {
        const struct segment *segment = &chain->segments[i];
        if (segment->next <= *from)
            continue;
        if (segment->first > *from)
            *from = segment->first; /* a cut left positions out */
        if (segment->first < segment->next && (slots == NULL || slots_meet(segment, slots)))
            return segment;
        *from = segment->next;
    }
    return NULL;
}

static uint64_t place_offset(const struct segment *segment, const struct journal_stretch *stretch,
                             uint64_t from) {
    if (stretch->place_position == from && stretch->place_segment == segment->number)
        return stretch->place_offset;
    uint32_t low = 0, high = segment->waypoints_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->waypoints[middle].position <= from)
            low = middle;
        else
            high = middle;
    }
    return segment->waypoints[low].offset;
}

/* Under the lock. 1: there is something to read; 0: everything was left out; negative errno. */
static int place_find(const struct chain *chain, uint64_t from, const struct journal_stretch *stretch,
                      struct place *place) {
    *place = (struct place){.position = from};
    if (from >= chain_current(chain)->next)
        return -ENODATA;
    if (from < chain->segments[0].first)
        return -ERANGE;
    const struct segment *segment = place_segment(chain, stretch->slots, &place->position);
    if (segment == NULL)
        return 0;
    place->number = segment->number;
    place->salt = segment->salt;
    place->end = segment->end;
    place->offset = place_offset(segment, stretch, place->position);
    return 1;
}

/* ---- filling ---- */

static int room_grow(void **memory, uint64_t size, uint64_t *room, uint64_t wanted) {
    if (wanted <= *room)
        return 0;
    uint64_t more = *room == 0 ? 256 : *room;
    while (more < wanted)
        more *= 2;
    void *larger = realloc(*memory, more * size);
    if (larger == NULL)
        return -ENOMEM;
    *memory = larger;
    *room = more;
    return 0;
}

static int stretch_room(struct journal_stretch *stretch, uint32_t bytes) {
    void *frames = stretch->frames, *entries = stretch->entries, *identities = stretch->identities;
    uint64_t room = stretch->entries_room, same = room;
    int result = room_grow(&frames, 1, &stretch->frames_room, stretch->frames_bytes + bytes + 1);
    stretch->frames = frames;
    if (result == 0)
        result = room_grow(&entries, sizeof *stretch->entries, &room, stretch->count + 1u);
    stretch->entries = entries;
    if (result == 0)
        result = room_grow(&identities, sizeof *stretch->identities, &same, stretch->count + 1u);
    stretch->identities = identities;
    if (result == 0)
        stretch->entries_room = (uint32_t)room;
    return result;
}

static const char *fill_record(void *user, const struct format_record *record, const uint8_t *bytes) {
    struct fill *fill = user;
    struct journal_stretch *stretch = fill->stretch;
    if (record->number < fill->from || fill->full)
        return NULL;
    if (stretch->count > 0 && stretch->frames_bytes + record->bytes > fill->bytes_max) {
        fill->full = true;
        return NULL;
    }
    fill->error = stretch_room(stretch, record->bytes);
    if (fill->error != 0)
        return "there is no memory";
    stretch->entries[stretch->count] = (struct log_entry){.offset = stretch->frames_bytes,
                                                          .length = record->bytes,
                                                          .flags = record->flags,
                                                          .time = record->time};
    stretch->identities[stretch->count] = record->identity;
    if (record->bytes > 0)
        memcpy(stretch->frames + stretch->frames_bytes, bytes, record->bytes);
    stretch->frames_bytes += record->bytes;
    stretch->count++;
    stretch->next = record->number + 1;
    return NULL;
}

/* Groups from the place on, until the stretch or the segment is full. The place is left at the group with the
 * next record. */
static int fill_groups(struct window *window, struct place *place, struct fill *fill) {
    struct walk walk;
    while (!fill->full && place->offset < place->end) {
        enum walk_state state = walk_look(window, place->offset, place->salt, &walk);
        if (state == WALK_FAILED)
            return walk.error;
        if (state != WALK_GROUP || walk.group->first > fill->stretch->next)
            return -EBADMSG;
        uint64_t bytes = format_group_bytes(walk.group->body);
        bool before = walk.group->first + walk.group->count <= fill->from;
        const char *wrong = before ? NULL : walk_records(walk.group, fill_record, fill);
        if (wrong != NULL)
            return fill->error != 0 ? fill->error : -EBADMSG;
        if (!fill->full)
            place->offset += bytes;
        if (fill->stretch->frames_bytes >= fill->bytes_max)
            break;
    }
    return fill->stretch->count > 0 ? 0 : -EBADMSG;
}

/* Not beyond what is durable: what lies behind it would be read before it is written. */
static void ahead(const struct window *window, uint64_t offset, uint64_t bytes) {
    uint64_t most = window->limit - offset;
    if (bytes > 0 && window->disk->calls->ahead != NULL)
        window->disk->calls->ahead(window->disk, window->file, bytes < most ? bytes : most, offset);
}

static int stretch_fill(struct commit *commit, struct place *place, struct journal_stretch *stretch) {
    char name[DISK_NAME_BYTES];
    struct window window;
    struct fill fill = {.stretch = stretch,
                        .from = place->position,
                        .bytes_max = stretch->bytes_max != 0 ? stretch->bytes_max : JOURNAL_GROUP_BYTES};
    window_init(&window, commit->chain.disk);
    window.bytes = stretch->block;
    window.room = stretch->block_bytes;
    chain_name(&commit->chain, name, place->number);
    int result = window_open(&window, name);
    if (result == 0 && window.limit < place->end)
        result = -EBADMSG;
    if (result == 0) {
        window.limit = place->end;
        ahead(&window, place->offset, stretch->ahead);
        result = fill_groups(&window, place, &fill);
    }
    stretch->block = window.bytes;
    stretch->block_bytes = window.room;
    window.bytes = NULL;
    window_deinit(&window);
    return result;
}

int journal_read(struct journal *journal, uint32_t log, uint64_t from, struct journal_stretch *stretch) {
    CHECK(log < journal->facts.logs);
    struct commit *commit = &journal->logs[log];
    struct place place;
    pthread_mutex_lock(&journal->lock);
    int result = place_find(&commit->chain, from, stretch, &place);
    pthread_mutex_unlock(&journal->lock);
    stretch->first = stretch->next = place.position;
    stretch->count = 0;
    stretch->frames_bytes = 0;
    if (result <= 0)
        return result;
    result = stretch_fill(commit, &place, stretch);
    if (result != 0) {
        stretch->count = 0;
        stretch->place_position = 0;
        /* trimmed meanwhile: its file is gone, or going */
        return from < journal_oldest(journal, log) ? -ERANGE : result;
    }
    stretch->place_position = stretch->next;
    stretch->place_segment = place.number;
    stretch->place_offset = place.offset;
    return 0;
}

void journal_stretch_free(struct journal_stretch *stretch) {
    free(stretch->entries);
    free(stretch->identities);
    free(stretch->frames);
    free(stretch->block);
    *stretch = (struct journal_stretch){.bytes_max = 0};
}
