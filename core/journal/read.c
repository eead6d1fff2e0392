/* Reading does not go through the ring or the commit thread: where to begin is found in the waypoints under
 * the lock, then the file is read without it, up to what was durable then. */
#include "core/journal/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a read begins and how far it goes. */
struct place {
    uint64_t number, salt, end; /* of the segment */
    bool closed;                /* it is written no more */
    uint64_t offset;            /* of a group at or before the position */
    uint64_t position;
};

struct scan {
    struct journal_reader *reader;
    journal_take *take;
    void *user;
    bool any, enough;
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

static bool group_held(const struct journal_reader *reader, uint64_t position) {
    return position >= reader->group_first && position < reader->group_next;
}

static uint64_t place_offset(const struct segment *segment, const struct journal_reader *reader,
                             uint64_t from) {
    bool known = reader->window != NULL && reader->segment == segment->number;
    if (known && (reader->next == from || group_held(reader, from)))
        return reader->offset;
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
static int place_find(const struct chain *chain, uint64_t from, const struct journal_reader *reader,
                      struct place *place) {
    *place = (struct place){.position = from};
    if (from >= chain_current(chain)->next)
        return -ENODATA;
    if (from < chain->segments[0].first)
        return -ERANGE;
    const struct segment *segment = place_segment(chain, reader->slots, &place->position);
    if (segment == NULL)
        return 0;
    place->number = segment->number;
    place->salt = segment->salt;
    place->end = segment->end;
    place->closed = segment != chain_current(chain);
    place->offset = place_offset(segment, reader, place->position);
    return 1;
}

/* ---- scanning ---- */

static void group_forget(struct journal_reader *reader) {
    reader->group_first = reader->group_next = 0;
}

static const struct format_group *group_in(const struct window *window, uint64_t offset) {
    return (const struct format_group *)(const void *)(window->bytes + (offset - window->from));
}

/* The group at the place is in the window, whole; it may have been before. */
static int group_get(struct journal_reader *reader, const struct place *place) {
    struct window *window = reader->window;
    struct walk walk;
    if (reader->group_next != 0 && reader->offset == place->offset)
        return 0;
    group_forget(reader);
    enum walk_state state = walk_look(window, place->offset, place->salt, &walk);
    if (state == WALK_FAILED)
        return walk.error;
    if (state != WALK_GROUP || walk.group->first > reader->next)
        return -EBADMSG;
    reader->offset = place->offset;
    reader->group_first = reader->record_next = walk.group->first;
    reader->group_next = walk.group->first + walk.group->count;
    reader->record = sizeof *walk.group;
    return 0;
}

static bool record_offer(struct scan *scan, const struct format_record *record, const uint8_t *bytes) {
    struct log_entry entry = {.length = record->bytes, .flags = record->flags, .time = record->time};
    if (!scan->take(scan->user, record->number, &entry, record->identity, bytes)) {
        scan->enough = true;
        return false;
    }
    scan->any = true;
    scan->reader->next = record->number + 1;
    return true;
}

/* The group's own check says that the bytes are right, so a record's is not looked at again. */
static int group_scan(struct scan *scan, const struct format_group *group) {
    struct journal_reader *reader = scan->reader;
    const uint8_t *at = (const uint8_t *)group;
    uint64_t end = sizeof *group + group->body;
    if (reader->record_next > reader->next) {
        reader->record_next = group->first;
        reader->record = sizeof *group;
    }
    for (; reader->record_next < reader->group_next; reader->record_next++) {
        struct format_record record;
        if (format_record_shape_wrong(at + reader->record, end - reader->record, reader->record_next) != NULL)
            return -EBADMSG;
        memcpy(&record, at + reader->record, sizeof record);
        if (record.number >= reader->next &&
            !record_offer(scan, &record, at + reader->record + sizeof record))
            return 0;
        reader->record += record.length;
    }
    return reader->record == end ? 0 : -EBADMSG;
}

/* The whole group is in the window, if what is there is one. */
static bool group_near(const struct window *window, uint64_t offset) {
    return window_has(window, offset, JOURNAL_BLOCK_BYTES) &&
           window_has(window, offset, format_group_bytes(group_in(window, offset)->body));
}

/* Groups from the place on, until it is enough, or the segment or the piece ends. The reader is left at the
 * group with the next record. */
static int groups_scan(struct scan *scan, struct place *place) {
    struct journal_reader *reader = scan->reader;
    while (!scan->enough && place->offset < place->end) {
        int result = group_get(reader, place);
        if (result != 0)
            return result;
        if (scan->take == NULL) {
            scan->enough = true; /* it is there */
            break;
        }
        const struct format_group *group = group_in(reader->window, place->offset);
        result = group_scan(scan, group);
        if (result != 0)
            return result;
        if (scan->enough)
            break;
        place->offset += format_group_bytes(group->body);
        group_forget(reader);
        reader->offset = place->offset;
        if (reader->in_order && scan->any && !group_near(reader->window, place->offset))
            break;
    }
    return scan->any || scan->enough ? 0 : -EBADMSG;
}

static int reader_make(struct journal_reader *reader, struct disk *disk) {
    if (reader->window == NULL) {
        reader->window = malloc(sizeof *reader->window);
        if (reader->window == NULL)
            return -ENOMEM;
        window_init(reader->window, disk);
    }
    reader->window->ahead = reader->ahead;
    return 0;
}

/* In the segment of the place; what the window has of it already stays. */
static int reader_open(struct journal_reader *reader, const struct commit *commit,
                       const struct place *place) {
    char name[DISK_NAME_BYTES];
    struct window *window = reader->window;
    bool same = reader->segment == place->number;
    window->past = reader->in_order && place->closed;
    window->least = reader->in_order ? JOURNAL_GROUP_BYTES : JOURNAL_WAYPOINT_BYTES;
    chain_name(&commit->chain, name, place->number);
    int result = same ? window_return(window, name) : window_open(window, name);
    if (!same || result != 0)
        group_forget(reader);
    reader->segment = place->number;
    if (result == 0 && window->limit < place->end)
        result = -EBADMSG;
    window->limit = place->end;
    return result;
}

static int place_scan(struct commit *commit, struct place *place, struct scan *scan) {
    struct journal_reader *reader = scan->reader;
    int result = reader_make(reader, commit->chain.disk);
    if (result == 0)
        result = reader_open(reader, commit, place);
    if (result == 0)
        result = groups_scan(scan, place);
    if (reader->window != NULL)
        window_leave(reader->window);
    return result;
}

int journal_scan(struct journal *journal, uint32_t log, uint64_t from, struct journal_reader *reader,
                 journal_take *take, void *user) {
    CHECK(log < journal->facts.logs);
    struct commit *commit = &journal->logs[log];
    struct place place;
    if (reader->log != log) {
        group_forget(reader);
        reader->segment = UINT64_MAX;
        reader->log = log;
    }
    pthread_mutex_lock(&journal->lock);
    int result = place_find(&commit->chain, from, reader, &place);
    pthread_mutex_unlock(&journal->lock);
    reader->next = place.position;
    if (result <= 0)
        return result;
    struct scan scan = {.reader = reader, .take = take, .user = user};
    result = place_scan(commit, &place, &scan);
    if (result == 0)
        return 0;
    journal_reader_free(reader);
    reader->next = from;
    /* trimmed meanwhile: its file is gone, or going */
    return from < journal_oldest(journal, log) ? -ERANGE : result;
}

int journal_load(struct journal *journal, uint32_t log, uint64_t from, struct journal_reader *reader) {
    return journal_scan(journal, log, from, reader, NULL, NULL);
}

/* Where the groups end that are whole in the window; returns the position there. */
static uint64_t piece_end(const struct journal_reader *reader, uint64_t *offset) {
    uint64_t end = reader->group_next != 0 ? reader->group_next : reader->next;
    *offset = reader->offset;
    while (group_near(reader->window, *offset)) {
        const struct format_group *group = group_in(reader->window, *offset);
        if (group->first + group->count > end)
            end = group->first + group->count;
        *offset += format_group_bytes(group->body);
    }
    return end;
}

uint64_t journal_reader_end(const struct journal_reader *reader) {
    uint64_t offset;
    return reader->window == NULL ? 0 : piece_end(reader, &offset);
}

void journal_reader_follow(struct journal_reader *behind, const struct journal_reader *reader) {
    uint64_t offset, end = piece_end(reader, &offset);
    group_forget(behind);
    behind->segment = UINT64_MAX;
    if (!window_has(reader->window, offset, 0) || reader_make(behind, reader->window->disk) != 0 ||
        window_copy(behind->window, reader->window, offset) != 0)
        return; /* then all of it is read */
    behind->log = reader->log;
    behind->segment = reader->segment;
    behind->offset = offset;
    behind->next = end;
}

bool journal_reader_has(const struct journal_reader *reader, uint32_t log, uint64_t position) {
    return reader->window != NULL && reader->log == log && group_held(reader, position);
}

void journal_reader_free(struct journal_reader *reader) {
    if (reader->window != NULL)
        window_deinit(reader->window);
    free(reader->window);
    *reader =
        (struct journal_reader){.ahead = reader->ahead, .in_order = reader->in_order, .slots = reader->slots};
}

/* ---- stretches ---- */

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

struct fill {
    struct journal_stretch *stretch;
    int error;
};

static bool fill_record(void *user, uint64_t position, const struct log_entry *entry, uint64_t identity,
                        const uint8_t *bytes) {
    struct fill *fill = user;
    struct journal_stretch *stretch = fill->stretch;
    uint64_t most = stretch->bytes_max != 0 ? stretch->bytes_max : JOURNAL_GROUP_BYTES;
    if (stretch->count > 0 && stretch->frames_bytes + entry->length > most)
        return false;
    fill->error = stretch_room(stretch, entry->length);
    if (fill->error != 0)
        return false;
    if (stretch->count == 0)
        stretch->first = position;
    stretch->entries[stretch->count] = *entry;
    stretch->entries[stretch->count].offset = stretch->frames_bytes;
    stretch->identities[stretch->count] = identity;
    if (entry->length > 0)
        memcpy(stretch->frames + stretch->frames_bytes, bytes, entry->length);
    stretch->frames_bytes += entry->length;
    stretch->count++;
    return true;
}

int journal_read(struct journal *journal, uint32_t log, uint64_t from, struct journal_stretch *stretch) {
    struct fill fill = {.stretch = stretch};
    stretch->count = 0;
    stretch->frames_bytes = 0;
    stretch->reader.slots = stretch->slots;
    int result = journal_scan(journal, log, from, &stretch->reader, fill_record, &fill);
    if (result == 0)
        result = fill.error;
    if (result != 0)
        stretch->count = 0;
    stretch->next = stretch->reader.next;
    if (stretch->count == 0)
        stretch->first = stretch->next;
    return result;
}

void journal_stretch_free(struct journal_stretch *stretch) {
    journal_reader_free(&stretch->reader);
    free(stretch->entries);
    free(stretch->identities);
    free(stretch->frames);
    *stretch = (struct journal_stretch){.bytes_max = 0};
}
