#include "core/journal/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int chain_init(struct chain *chain, struct disk *disk, uint32_t log, const uint8_t instance[16],
               uint64_t segment_bytes, uint64_t record_max) {
    uint64_t single = format_group_bytes(format_record_length(record_max));
    uint64_t most = segment_bytes - JOURNAL_BLOCK_BYTES;
    CHECK(single <= most);
    *chain = (struct chain){.disk = disk, .log = log, .segment_bytes = segment_bytes, .file = -1};
    memcpy(chain->instance, instance, sizeof chain->instance);
    chain->group_bytes =
        most < JOURNAL_GROUP_BYTES ? most / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES : JOURNAL_GROUP_BYTES;
    chain->buffer_bytes = single > chain->group_bytes ? single : chain->group_bytes;
    chain->buffer = aligned_alloc(JOURNAL_BLOCK_BYTES, chain->buffer_bytes);
    chain->direct = true;
    return chain->buffer != NULL ? 0 : -ENOMEM;
}

void chain_deinit(struct chain *chain) {
    for (uint32_t i = 0; i < chain->segments_count; i++)
        free(chain->segments[i].waypoints);
    free(chain->segments);
    free(chain->buffer);
    free(chain->leftover);
    if (chain->disk != NULL && chain->file >= 0)
        chain->disk->calls->close(chain->disk, chain->file);
    *chain = (struct chain){.file = -1};
}

void chain_file_name(const struct chain *chain, char name[DISK_NAME_BYTES], const char *file) {
    (void)snprintf(name, DISK_NAME_BYTES, "%u/%s", chain->log, file);
}

void chain_directory_name(const struct chain *chain, char name[DISK_NAME_BYTES]) {
    (void)snprintf(name, DISK_NAME_BYTES, "%u", chain->log);
}

void chain_name(const struct chain *chain, char name[DISK_NAME_BYTES], uint64_t number) {
    (void)snprintf(name, DISK_NAME_BYTES, "%u/%012" PRIu64 ".jnl", chain->log, number);
}

struct segment *chain_current(const struct chain *chain) {
    CHECK(chain->segments_count > 0);
    return &chain->segments[chain->segments_count - 1];
}

/* ---- groups ---- */

static struct format_group *chain_group(const struct chain *chain) {
    return (struct format_group *)(void *)chain->buffer;
}

bool chain_add(struct chain *chain, const struct log_entry *entry, uint64_t position, uint64_t identity,
               const uint8_t *bytes) {
    uint64_t length = format_record_length(entry->length);
    uint64_t used = sizeof(struct format_group) + chain->body;
    if (chain->count > 0 && used + length > chain->group_bytes)
        return false;
    CHECK(used + length <= chain->buffer_bytes && position == chain->next.position + chain->count);
    format_record_write(chain->buffer + used, entry, position, JOURNAL_SEQUENCE(position), identity, bytes);
    uint32_t slot = log_flags_slot(entry->flags);
    chain->group_slots[slot / 64] |= UINT64_C(1) << slot % 64;
    if (entry->time > chain->group_time)
        chain->group_time = entry->time;
    chain->body += length;
    chain->count++;
    return true;
}

bool chain_fits(const struct chain *chain) {
    return format_group_bytes(chain->body) <= chain->bytes - chain->offset;
}

int chain_write(struct chain *chain, uint16_t flags) {
    CHECK(chain_fits(chain) && (flags == FORMAT_SEAL) == (chain->count == 0));
    struct format_group *group = chain_group(chain);
    uint64_t bytes = format_group_bytes(chain->body);
    uint64_t used = sizeof *group + chain->body;
    *group = (struct format_group){.flags = flags,
                                   .number = chain->next.group,
                                   .salt = chain->salt,
                                   .body = (uint32_t)chain->body,
                                   .count = chain->count,
                                   .first = chain->next.position,
                                   .proven = chain->next.position - 1,
                                   .previous = chain->next.previous};
    memset(chain->buffer + used, 0, bytes - used);
    format_group_close(group);
    int result = disk_put(chain->disk, chain->file, group, bytes, chain->offset, &chain->direct);
    if (result != 0)
        return result;
    walk_on(&chain->next, group);
    chain->group_offset = chain->offset;
    chain->offset += bytes;
    chain->sealed = flags == FORMAT_SEAL;
    return 0;
}

int segment_note(struct segment *segment, uint64_t offset, uint64_t position, uint64_t time_before) {
    uint32_t count = segment->waypoints_count;
    if (count > 0 && offset - segment->waypoints[count - 1].offset < JOURNAL_WAYPOINT_BYTES)
        return 0;
    if (count == segment->waypoints_room) {
        uint32_t room = count == 0 ? 8 : 2 * count;
        struct waypoint *larger = realloc(segment->waypoints, room * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        segment->waypoints = larger;
        segment->waypoints_room = room;
    }
    segment->waypoints[count] = (struct waypoint){position, offset, time_before, false};
    segment->waypoints_count++;
    return 0;
}

int chain_written(struct chain *chain) {
    struct segment *segment = chain_current(chain);
    int result = segment_note(segment, chain->group_offset, segment->next, chain->time);
    if (result != 0)
        return result;
    segment->next = chain->next.position;
    segment->end = chain->offset;
    for (uint32_t i = 0; i < CHAIN_SLOT_WORDS; i++)
        segment->slots[i] |= chain->group_slots[i];
    if (chain->group_time > chain->time)
        chain->time = chain->group_time;
    if (chain->count > 0)
        segment->time = chain->time;
    chain->mark = (struct format_mark){.segment = chain->number,
                                       .group = chain->next.group - 1,
                                       .group_check = chain->next.previous,
                                       .next = chain->next.position};
    chain->mark_due = true;
    memset(chain->group_slots, 0, sizeof chain->group_slots);
    chain->body = chain->group_time = 0;
    chain->count = 0;
    return 0;
}

/* ---- segments ---- */

int chain_open_current(struct chain *chain) {
    char name[DISK_NAME_BYTES];
    chain_name(chain, name, chain->number);
    if (chain->file >= 0)
        chain->disk->calls->close(chain->disk, chain->file);
    chain->file = chain->direct ? chain->disk->calls->open(chain->disk, name, DISK_DIRECT) : -EINVAL;
    if (chain->file == -EINVAL) {
        chain->direct = false;
        chain->file = chain->disk->calls->open(chain->disk, name, DISK_WRITE);
    }
    return chain->file >= 0 ? 0 : chain->file;
}

/* The buffer may hold a group already, so the header has a block of its own. */
int chain_write_header(struct chain *chain) {
    struct format_segment *header = aligned_alloc(JOURNAL_BLOCK_BYTES, sizeof *header);
    if (header == NULL)
        return -ENOMEM;
    *header = (struct format_segment){.log = chain->log,
                                      .number = chain->number,
                                      .salt = chain->salt,
                                      .bytes = chain->bytes,
                                      .first_group = chain->next.group,
                                      .first = chain->next.position,
                                      .previous = chain->next.previous};
    memcpy(header->instance, chain->instance, sizeof header->instance);
    format_segment_close(header);
    int result = disk_put(chain->disk, chain->file, header, sizeof *header, 0, &chain->direct);
    free(header);
    chain->offset = JOURNAL_BLOCK_BYTES;
    return result;
}

int chain_roll(struct chain *chain, struct segment *segment) {
    char spare[DISK_NAME_BYTES], name[DISK_NAME_BYTES], directory[DISK_NAME_BYTES];
    chain_file_name(chain, spare, "spare");
    chain_directory_name(chain, directory);
    chain_name(chain, name, chain->number + 1);
    int result = chain->disk->calls->rename(chain->disk, spare, name);
    if (result == 0)
        result = chain->disk->calls->sync_directory(chain->disk, directory);
    if (result == 0)
        result = chain->disk->calls->random(chain->disk, &chain->salt, sizeof chain->salt);
    if (result != 0)
        return result;
    chain->salt |= 1; /* 0 stands for any */
    chain->number++;
    chain->bytes = chain->segment_bytes;
    result = chain_open_current(chain);
    if (result == 0)
        result = chain_write_header(chain);
    *segment = (struct segment){.number = chain->number,
                                .bytes = chain->bytes,
                                .salt = chain->salt,
                                .first = chain->next.position,
                                .next = chain->next.position,
                                .end = JOURNAL_BLOCK_BYTES};
    return result;
}

int chain_push(struct chain *chain, const struct segment *segment) {
    if (chain->segments_count == chain->segments_room) {
        uint32_t room = chain->segments_room == 0 ? 8 : 2 * chain->segments_room;
        struct segment *larger = realloc(chain->segments, room * sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        chain->segments = larger;
        chain->segments_room = room;
    }
    chain->segments[chain->segments_count++] = *segment;
    return 0;
}

void chain_drop_oldest(struct chain *chain) {
    CHECK(chain->segments_count > 1);
    free(chain->segments[0].waypoints);
    chain->segments_count--;
    memmove(chain->segments, chain->segments + 1, chain->segments_count * sizeof *chain->segments);
}

/* Past the page cache, where there is such a way: then one step at most is in front of a commit at the
 * device, and not the whole file when it is synced. */
static int spare_open(struct disk *disk, const char *name) {
    int file = disk->calls->open(disk, name, DISK_CREATE);
    if (file < 0)
        return file;
    int direct = disk->calls->open(disk, name, DISK_DIRECT);
    if (direct == -EINVAL)
        return file;
    disk->calls->close(disk, file);
    return direct;
}

static int spare_fill(struct disk *disk, int file, uint64_t bytes) {
    uint64_t step = bytes < JOURNAL_ZERO_BYTES ? bytes : JOURNAL_ZERO_BYTES;
    uint8_t *zeros = aligned_alloc(JOURNAL_BLOCK_BYTES, step);
    int result = zeros != NULL ? 0 : -ENOMEM;
    if (result == 0)
        memset(zeros, 0, step);
    for (uint64_t at = 0; result == 0 && at < bytes; at += step) {
        uint64_t some = bytes - at < step ? bytes - at : step;
        result = disk_write_all(disk, file, zeros, some, at);
    }
    free(zeros);
    return result != 0 ? result : disk_sync(disk, file);
}

int chain_make_spare(struct chain *chain) {
    char made[DISK_NAME_BYTES], spare[DISK_NAME_BYTES], directory[DISK_NAME_BYTES];
    struct disk *disk = chain->disk;
    chain_file_name(chain, made, "spare.new");
    chain_file_name(chain, spare, "spare");
    chain_directory_name(chain, directory);
    int file = spare_open(disk, made);
    if (file < 0)
        return file;
    int result = spare_fill(disk, file, chain->segment_bytes);
    disk->calls->close(disk, file);
    if (result == 0)
        result = disk->calls->rename(disk, made, spare);
    if (result == 0)
        return disk->calls->sync_directory(disk, directory);
    (void)disk->calls->unlink(disk, made); /* gives back what it has taken; it is made anew in any case */
    return result;
}

void chain_write_mark(struct chain *chain, const struct format_mark *mark) {
    char name[DISK_NAME_BYTES];
    struct format_mark closed = *mark;
    chain_file_name(chain, name, "mark");
    int file = chain->disk->calls->open(chain->disk, name, DISK_WRITE);
    if (file == -ENOENT)
        file = chain->disk->calls->open(chain->disk, name, DISK_CREATE);
    if (file < 0)
        return;
    format_mark_close(&closed);
    if (disk_write_all(chain->disk, file, &closed, sizeof closed, 0) != 0)
        (void)chain->disk->calls->unlink(chain->disk, name); /* an old one would be right, too */
    chain->disk->calls->close(chain->disk, file);
}
