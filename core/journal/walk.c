#include "core/journal/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (1u * MIB)

void window_init(struct window *window, struct disk *disk) {
    *window = (struct window){.disk = disk, .least = WINDOW_BYTES, .file = -1};
}

void window_leave(struct window *window) {
    if (window->file >= 0)
        window->disk->calls->close(window->disk, window->file);
    window->file = -1;
    window->limit = 0;
}

static void window_close(struct window *window) {
    window_leave(window);
    window->have = window->asked = 0;
}

void window_deinit(struct window *window) {
    window_close(window);
    free(window->bytes);
    window->bytes = NULL;
    window->room = 0;
}

int window_return(struct window *window, const char *name) {
    int file = window->disk->calls->open(window->disk, name, DISK_READ);
    if (file < 0)
        return file;
    int64_t size = window->disk->calls->size(window->disk, file);
    if (size < 0) {
        window->disk->calls->close(window->disk, file);
        return (int)size;
    }
    window->file = file;
    window->limit = (uint64_t)size;
    return 0;
}

int window_open(struct window *window, const char *name) {
    window_close(window);
    return window_return(window, name);
}

/* The first `kept` bytes stay. */
static int window_grow(struct window *window, uint64_t bytes, uint64_t kept) {
    if (bytes <= window->room)
        return 0;
    uint64_t room = format_blocks(bytes);
    uint8_t *larger = aligned_alloc(JOURNAL_BLOCK_BYTES, room);
    if (larger == NULL)
        return -ENOMEM;
    if (kept > 0)
        memcpy(larger, window->bytes, kept);
    free(window->bytes);
    window->bytes = larger;
    window->room = room;
    return 0;
}

/* How much of what will be at the beginning is there already; it is moved there. */
static uint64_t window_keep(struct window *window, uint64_t offset) {
    uint64_t end = window->from + window->have;
    if (offset < window->from || offset >= end)
        return 0;
    if (offset > window->from)
        memmove(window->bytes, window->bytes + (offset - window->from), end - offset);
    return end - offset;
}

/* Not beyond the limit: what lies behind it would be read before it is written. */
static void window_ahead(struct window *window, uint64_t end) {
    uint64_t most = window->limit - end;
    uint64_t until = end + (window->ahead < most ? window->ahead : most);
    uint64_t from = window->asked > end && window->asked <= until ? window->asked : end;
    bool much = until - from >= window->ahead / 4 || until == window->limit;
    if (window->disk->calls->ahead == NULL || until == from || !much)
        return;
    window->disk->calls->ahead(window->disk, window->file, until - from, from);
    window->asked = until;
}

static int window_read(const struct window *window, uint64_t at, uint64_t bytes, uint64_t offset) {
    return (window->past ? disk_read_past : disk_read_all)(window->disk, window->file, window->bytes + at,
                                                           bytes, offset);
}

int window_copy(struct window *window, const struct window *from, uint64_t offset) {
    CHECK(offset >= from->from && offset <= from->from + from->have);
    uint64_t bytes = from->from + from->have - offset;
    window->have = 0;
    int result = window_grow(window, bytes, 0);
    if (result != 0)
        return result;
    if (bytes > 0)
        memcpy(window->bytes, from->bytes + (offset - from->from), bytes);
    window->from = offset;
    window->have = bytes;
    return 0;
}

bool window_has(const struct window *window, uint64_t offset, uint64_t bytes) {
    return offset >= window->from && offset + bytes <= window->from + window->have;
}

int window_get(struct window *window, uint64_t offset, uint64_t bytes, const uint8_t **out) {
    CHECK(window->file >= 0);
    if (offset > window->limit || bytes > window->limit - offset)
        return -ENODATA;
    if (!window_has(window, offset, bytes)) {
        uint64_t want = bytes > window->least ? bytes : window->least;
        if (want > window->limit - offset)
            want = window->limit - offset;
        uint64_t kept = window_keep(window, offset);
        CHECK(kept <= want);
        window->have = 0;
        int result = window_grow(window, want, kept);
        if (result == 0)
            window_ahead(window, offset + want);
        if (result == 0)
            result = window_read(window, kept, want - kept, offset + kept);
        if (result != 0)
            return result;
        window->from = offset;
        window->have = want;
    }
    *out = window->bytes + (offset - window->from);
    return 0;
}

/* ---- groups ---- */

static const struct format_group *group_at(const uint8_t *at) {
    return (const struct format_group *)(const void *)at;
}

static enum walk_state walk_failed(struct walk *walk, int error) {
    walk->error = error;
    return WALK_FAILED;
}

enum walk_state walk_look(struct window *window, uint64_t offset, uint64_t salt, struct walk *walk) {
    const uint8_t *at;
    *walk = (struct walk){0};
    if (window->limit < JOURNAL_BLOCK_BYTES || offset > window->limit - JOURNAL_BLOCK_BYTES)
        return WALK_END;
    int result = window_get(window, offset, JOURNAL_BLOCK_BYTES, &at);
    if (result != 0)
        return walk_failed(walk, result);
    walk->group = group_at(at);
    walk->wrong = format_group_head_wrong(walk->group, salt, window->limit - offset);
    if (walk->wrong != NULL)
        return format_zero(at, JOURNAL_BLOCK_BYTES) ? WALK_ZERO : WALK_WRONG;
    result = window_get(window, offset, format_group_bytes(walk->group->body), &at);
    if (result != 0)
        return walk_failed(walk, result);
    walk->group = group_at(at);
    if (format_group_whole(walk->group))
        return WALK_GROUP;
    walk->wrong = "its checksum is wrong";
    return WALK_WRONG;
}

const char *walk_chain_wrong(const struct format_group *group, const struct walk_next *next) {
    if (group->number != next->group)
        return "its number is not the next one";
    if (group->previous != next->previous)
        return "it does not follow the group before";
    if (group->first != next->position || group->proven >= next->position)
        return "its records do not follow those before";
    bool seal = (group->flags & FORMAT_SEAL) != 0;
    if (group->flags > FORMAT_SEAL || seal != (group->count == 0) || (seal && group->body != 0))
        return "it is neither records nor a seal";
    return NULL;
}

void walk_on(struct walk_next *next, const struct format_group *group) {
    next->group++;
    next->position += group->count;
    next->previous = group->check;
}

const char *walk_records(const struct format_group *group, walk_record each, void *user) {
    const uint8_t *at = (const uint8_t *)(group + 1);
    const uint8_t *end = at + group->body;
    struct format_record record;
    for (uint32_t i = 0; i < group->count; i++) {
        const char *wrong = format_record_wrong(at, (uint64_t)(end - at), group->first + i);
        if (wrong != NULL)
            return wrong;
        memcpy(&record, at, sizeof record);
        wrong = each(user, &record, at + sizeof record);
        if (wrong != NULL)
            return wrong;
        at += record.length;
    }
    return at == end ? NULL : "there are bytes behind its last record";
}

/* ---- what lies behind ---- */

/* Payload can not look like this by chance: the salt is random. A copy of the journal inside an event has
 * lower numbers, as it was made before it was published. */
bool walk_is_later(const uint8_t *at, uint64_t salt, uint64_t least) {
    struct format_group head;
    memcpy(&head, at, sizeof head);
    return format_group_head_wrong(&head, salt, UINT64_MAX) == NULL && head.number >= least;
}

static void rest_count(struct walk_rest *rest, const struct format_group *group, uint64_t offset) {
    if (rest->groups == 0)
        rest->first = offset;
    rest->groups++;
    rest->records += group->count;
    rest->bytes += group->body;
    if (group->first + group->count > rest->next)
        rest->next = group->first + group->count;
}

int walk_rest(struct window *window, uint64_t offset, uint64_t salt, uint64_t least, struct walk_rest *rest) {
    struct walk walk;
    *rest = (struct walk_rest){0};
    while (offset + JOURNAL_BLOCK_BYTES <= window->limit) {
        const uint8_t *at;
        int result = window_get(window, offset, JOURNAL_BLOCK_BYTES, &at);
        if (result != 0)
            return result;
        uint64_t step = JOURNAL_BLOCK_BYTES;
        bool zero = format_zero(at, JOURNAL_BLOCK_BYTES);
        uint64_t its = salt != 0 ? salt : group_at(at)->salt;
        if (!zero && walk_is_later(at, its, least)) {
            rest->later++;
            enum walk_state state = walk_look(window, offset, its, &walk);
            if (state == WALK_FAILED)
                return walk.error;
            if (state == WALK_GROUP) {
                rest_count(rest, walk.group, offset);
                step = format_group_bytes(walk.group->body);
            }
        }
        offset += step;
        if (!zero)
            rest->nonzero_end = offset;
    }
    return 0;
}
