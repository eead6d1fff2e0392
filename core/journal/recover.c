/* RECOVERY of one chain: what a crash explains is mended, all else is refused.
 *
 * One group is in flight at a time, and it goes out when the one before it is durable. So a crash leaves:
 * whole groups 1..n, all of them durable before; then perhaps any mixture of old zeros and new bytes where
 * group n + 1 was being written; then zeros, as segments are full of synced zeros before they are used.
 * Therefore at the first place g where no whole group follows the chain
 *   - a later segment, or a block further on that begins a group of this segment with a higher number, whole
 * or torn, shows that g had been durable: something has damaged it since                           -> refuse
 *   - the mark, or the next segment's header, names g or a later group: the same                     ->
 * refuse
 *   - all zeros from there on: the end
 *   - anything else: the group that was in flight. Nobody was told that it is durable         -> zero it,
 * sync Segments: the next one is made by renaming the spare, then its header is written and synced, then its
 * first group. So the last one, and only that, may be without a header, and then has nothing behind it ->
 * write it. Trimming names the new oldest segment in MANIFEST before it unlinks the old ones: what is below
 * is left over.
 *
 * What a group says is believed only after a sync of every file and directory: after the death of a process
 * alone the page cache may hold what the disk does not. A read error is never taken for an end.
 *
 * Not distinguishable: damage to the very last group, when no seal and no mark names it, from a torn write.
 */
#include "core/journal/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_DIGITS 12u

struct look {
    struct chain *chain;
    struct damage *damage;
    struct window window;
    struct walk_next next;
    struct segment *segment;
    struct numbers numbers;
    uint32_t without_hole; /* of them; the next number is missing if there are more, or none */
    uint64_t *slot_last;   /* owns; the last sequence of each slot */
    uint64_t group_time;
    bool group_noted;
};

static bool number_read(const char *name, uint64_t *number) {
    *number = 0;
    for (uint32_t i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(name[i] - '0');
    }
    return strcmp(name + NAME_DIGITS, ".jnl") == 0;
}

static void numbers_found(void *user, const char *name) {
    struct numbers *numbers = user;
    uint64_t number;
    if (!number_read(name, &number) || numbers->error != 0)
        return;
    if (numbers->count == numbers->room) {
        uint32_t room = numbers->room == 0 ? 16 : 2 * numbers->room;
        uint64_t *larger = realloc(numbers->list, room * sizeof *larger);
        if (larger == NULL) {
            numbers->error = -ENOMEM;
            return;
        }
        numbers->list = larger;
        numbers->room = room;
    }
    numbers->list[numbers->count++] = number;
}

static int number_compare(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

int chain_numbers(const struct chain *chain, struct numbers *numbers) {
    char directory[DISK_NAME_BYTES];
    *numbers = (struct numbers){.list = NULL};
    chain_directory_name(chain, directory);
    int result = chain->disk->calls->list(chain->disk, directory, numbers_found, numbers);
    if (result == 0)
        result = numbers->error;
    if (numbers->count > 1)
        qsort(numbers->list, numbers->count, sizeof *numbers->list, number_compare);
    return result;
}

/* ---- answers ---- */

static int look_failed(struct look *look, int error, uint64_t offset) {
    look->damage->offset = offset;
    return error;
}

static int look_refused(struct look *look, const char *wrong, uint64_t offset, uint64_t found) {
    look->damage->wrong = wrong;
    look->damage->offset = offset;
    look->damage->expected = look->next.group;
    look->damage->found = found;
    return 1;
}

static void look_name(struct look *look, uint64_t number) {
    chain_name(look->chain, look->damage->file, number);
    look->damage->number = number;
}

/* Counts what is whole in all segments behind number i; a read error there does not change the verdict. */
static void look_lost(struct look *look, uint32_t i) {
    struct damage *damage = look->damage;
    for (i++; i < look->numbers.count; i++) {
        char name[DISK_NAME_BYTES];
        struct walk_rest rest;
        chain_name(look->chain, name, look->numbers.list[i]);
        if (window_open(&look->window, name) != 0 ||
            walk_rest(&look->window, JOURNAL_BLOCK_BYTES, 0, look->next.group, &rest) != 0)
            continue;
        damage->groups += rest.groups;
        damage->records += rest.records;
        damage->bytes += rest.bytes;
    }
}

/* ---- one segment ---- */

static const char *look_record(void *user, const struct format_record *record, const uint8_t *bytes) {
    struct look *look = user;
    uint32_t slot = log_flags_slot(record->flags);
    if ((record->sequence & ((UINT64_C(1) << 48) - 1)) != record->number)
        return "the sequence of a record is not its position";
    if (record->sequence <= look->slot_last[slot])
        return "the sequence of a record does not grow in its slot";
    look->slot_last[slot] = record->sequence;
    look->segment->slots[slot / 64] |= UINT64_C(1) << slot % 64;
    if (record->time > look->group_time)
        look->group_time = record->time;
    if (look->chain->notes != NULL && look->chain->notes(record->flags, bytes))
        look->group_noted = true;
    return NULL;
}

static const char *header_wrong(const struct look *look, const struct format_segment *header, uint64_t number,
                                bool first) {
    if (header->log != look->chain->log || header->number != number)
        return "its header is that of another segment";
    if (memcmp(header->instance, look->chain->instance, sizeof header->instance) != 0)
        return "its header is that of another journal";
    if (header->bytes != look->window.limit)
        return "it is not as long as its header says";
    if (header->first_group == 0 || header->first == 0)
        return "its header names no group";
    if (first)
        return NULL;
    /* Positions are left out only by a cut; the chain of groups shows that none is missing. */
    if (header->first_group != look->next.group || header->first < look->next.position ||
        header->previous != look->next.previous)
        return "its header does not follow the segment before";
    return NULL;
}

/* A last segment without a header was never used if nothing in it is a group. */
static int look_unused(struct look *look, uint64_t number, const char *wrong) {
    struct walk_rest rest;
    int result = walk_rest(&look->window, 0, 0, 0, &rest);
    if (result != 0)
        return look_failed(look, result, 0);
    if (rest.later > 0 || look->window.limit % JOURNAL_BLOCK_BYTES != 0 ||
        look->window.limit < 2 * JOURNAL_BLOCK_BYTES)
        return look_refused(look, wrong, 0, 0);
    look->chain->unused = number;
    look->chain->unused_bytes = look->window.limit;
    look->chain->torn_to = rest.nonzero_end;
    return 0;
}

static int look_group(struct look *look, uint64_t offset, const struct format_group *group) {
    const char *wrong = walk_chain_wrong(group, &look->next);
    look->group_time = 0;
    look->group_noted = false;
    if (wrong == NULL)
        wrong = walk_records(group, look_record, look);
    if (wrong != NULL)
        return look_refused(look, wrong, offset, group->number);
    int result = segment_note(look->segment, offset, group->first, look->chain->time);
    if (result != 0)
        return look_failed(look, result, offset);
    if (look->group_noted)
        look->segment->waypoints[look->segment->waypoints_count - 1].noted = true;
    if (look->group_time > look->chain->time)
        look->chain->time = look->group_time;
    if (group->count > 0)
        look->segment->time = look->chain->time;
    walk_on(&look->next, group);
    look->chain->sealed = (group->flags & FORMAT_SEAL) != 0;
    look->segment->next = look->next.position;
    look->segment->end = offset + format_group_bytes(group->body);
    return 0;
}

/* All that is whole and in order; ends where something else lies. */
static int look_groups(struct look *look, enum walk_state *state, struct walk *walk) {
    struct segment *segment = look->segment;
    while ((*state = walk_look(&look->window, segment->end, segment->salt, walk)) == WALK_GROUP) {
        int result = look_group(look, segment->end, walk->group);
        if (result != 0)
            return result;
    }
    return *state == WALK_FAILED ? look_failed(look, walk->error, segment->end) : 0;
}

/* What lies where the chain ends in this segment. */
static int look_end(struct look *look, uint32_t i, enum walk_state state, const struct walk *walk) {
    struct walk_rest rest;
    uint64_t end = look->segment->end;
    const char *wrong = state == WALK_WRONG ? walk->wrong : "there are zeros";
    uint64_t found =
        state == WALK_WRONG && walk_is_later((const uint8_t *)walk->group, look->segment->salt, 1)
            ? walk->group->number
            : 0;
    int result = walk_rest(&look->window, end, look->segment->salt, look->next.group + 1, &rest);
    if (result != 0)
        return look_failed(look, result, end);
    bool last = i + 1 == look->numbers.count;
    if (rest.nonzero_end == 0)
        return 0;
    if (last && rest.later == 0) {
        look->chain->torn_to = rest.nonzero_end;
        return 0;
    }
    look->damage->groups = rest.groups;
    look->damage->records = rest.records;
    look->damage->bytes = rest.bytes;
    return look_refused(look, wrong, end, found);
}

static int look_push(struct look *look, const struct format_segment *header) {
    struct segment segment = {.number = header->number,
                              .bytes = header->bytes,
                              .salt = header->salt,
                              .first = header->first,
                              .next = header->first,
                              .end = JOURNAL_BLOCK_BYTES};
    int result = chain_push(look->chain, &segment);
    if (result != 0)
        return look_failed(look, result, 0);
    look->segment = chain_current(look->chain);
    look->next.position = header->first;
    if (look->chain->segments_count == 1)
        look->next = (struct walk_next){header->first_group, header->first, header->previous};
    return 0;
}

static int look_header(struct look *look, uint32_t i, struct format_segment *header) {
    const uint8_t *at;
    uint64_t number = look->numbers.list[i];
    look_name(look, number);
    int result = window_open(&look->window, look->damage->file);
    if (result != 0)
        return look_failed(look, result, 0);
    result = window_get(&look->window, 0, sizeof *header, &at);
    if (result == -ENODATA)
        return look_refused(look, "it is cut short", 0, 0);
    if (result != 0)
        return look_failed(look, result, 0);
    memcpy(header, at, sizeof *header);
    const char *wrong = format_segment_wrong(header);
    if (wrong != NULL && i > 0 && i + 1 == look->numbers.count)
        return look_unused(look, number, wrong);
    if (wrong == NULL)
        wrong = header_wrong(look, header, number, i == 0);
    return wrong != NULL ? look_refused(look, wrong, 0, 0) : 0;
}

static int look_segment(struct look *look, uint32_t i) {
    struct format_segment header;
    struct walk walk;
    enum walk_state state;
    int result = look_header(look, i, &header);
    if (result == 0 && look->chain->unused == 0) {
        result = look_push(look, &header);
        if (result == 0)
            result = look_groups(look, &state, &walk);
        if (result == 0)
            result = look_end(look, i, state, &walk);
    }
    if (result > 0) {
        struct walk_rest rest;
        uint64_t from = look->damage->offset + JOURNAL_BLOCK_BYTES;
        if (look->damage->groups == 0 &&
            walk_rest(&look->window, from, 0, look->next.group + (look->damage->offset > 0), &rest) == 0) {
            look->damage->groups = rest.groups;
            look->damage->records = rest.records;
            look->damage->bytes = rest.bytes;
        }
        look_lost(look, i);
    }
    return result;
}

/* ---- the directory ---- */

/* Takes the numbers below the oldest away; counts those that are left without a hole. */
static int look_numbers(struct look *look, uint64_t oldest) {
    struct numbers *numbers = &look->numbers;
    uint32_t below = 0;
    while (below < numbers->count && numbers->list[below] < oldest)
        below++;
    look->chain->leftover = malloc((below + 1) * sizeof *numbers->list);
    if (look->chain->leftover == NULL)
        return -ENOMEM;
    if (below > 0)
        memcpy(look->chain->leftover, numbers->list, below * sizeof *numbers->list);
    look->chain->leftover_count = below;
    numbers->count -= below;
    if (numbers->count > 0)
        memmove(numbers->list, numbers->list + below, numbers->count * sizeof *numbers->list);
    while (look->without_hole < numbers->count &&
           numbers->list[look->without_hole] == oldest + look->without_hole)
        look->without_hole++;
    return 0;
}

/* After all before it are good. */
static int look_hole(struct look *look, uint64_t oldest) {
    uint32_t i = look->without_hole;
    if (i > 0 && i == look->numbers.count)
        return 0;
    look_name(look, oldest + i);
    look_lost(look, i - 1); /* of none it is the one before the first */
    return look_refused(look, "it is missing", 0, 0);
}

static int look_sync(struct look *look) {
    char directory[DISK_NAME_BYTES];
    for (uint32_t i = 0; i < look->numbers.count; i++) {
        look_name(look, look->numbers.list[i]);
        int result = disk_sync_named(look->chain->disk, look->damage->file);
        if (result != 0)
            return look_failed(look, result, 0);
    }
    chain_directory_name(look->chain, directory);
    return look->chain->disk->calls->sync_directory(look->chain->disk, directory);
}

/* The mark of a group that is not there: it had been complete. */
static int look_mark(struct look *look) {
    char name[DISK_NAME_BYTES];
    struct format_mark mark;
    struct disk *disk = look->chain->disk;
    chain_file_name(look->chain, name, "mark");
    int file = disk->calls->open(disk, name, DISK_READ);
    if (file < 0)
        return 0; /* evidence, never needed */
    int result = disk_read_all(disk, file, &mark, sizeof mark, 0);
    disk->calls->close(disk, file);
    if (result != 0 || !format_mark_valid(&mark) || mark.group < look->next.group)
        return 0;
    const struct segment *segment = look->chain->segments_count > 0 ? chain_current(look->chain) : NULL;
    look_name(look, segment != NULL ? segment->number : 1);
    look->damage->groups = look->damage->records = look->damage->bytes = 0;
    return look_refused(look,
                        mark.group == CHAIN_MARK_CUT ? "a cut was begun and not ended: run it again"
                                                     : "the mark says that this group had been written",
                        segment != NULL ? segment->end : 0, 0);
}

/* MANIFEST says that nothing has ever been written here: what is found is what making the log left. */
static int look_fresh(struct look *look) {
    look->chain->fresh = true;
    for (uint32_t i = 0; i < look->numbers.count; i++) {
        struct walk_rest rest;
        look_name(look, look->numbers.list[i]);
        int result = window_open(&look->window, look->damage->file);
        if (result == 0)
            result = walk_rest(&look->window, 0, 0, 0, &rest);
        if (result != 0)
            return look_failed(look, result, 0);
        if (rest.groups > 0) {
            look->damage->groups = rest.groups;
            look->damage->records = rest.records;
            look->damage->bytes = rest.bytes;
            return look_refused(look, "MANIFEST says that this log was never used, but there are groups",
                                rest.first, 0);
        }
    }
    return look_mark(look);
}

static int look_all(struct look *look, uint64_t oldest, bool sync) {
    char directory[DISK_NAME_BYTES];
    chain_directory_name(look->chain, directory);
    (void)snprintf(look->damage->file, sizeof look->damage->file, "%s", directory);
    int result = chain_numbers(look->chain, &look->numbers);
    if (result == -ENOENT && oldest == 0) {
        look->chain->fresh = true;
        return 0;
    }
    if (result == -ENOENT) {
        look->damage->number = oldest;
        return look_refused(look, "the directory of this log is missing", 0, 0);
    }
    if (oldest == 0)
        return result != 0 ? result : look_fresh(look);
    if (result == 0)
        result = look_numbers(look, oldest);
    if (result == 0 && sync)
        result = look_sync(look);
    for (uint32_t i = 0; result == 0 && i < look->without_hole; i++)
        result = look_segment(look, i);
    if (result == 0)
        result = look_hole(look, oldest);
    return result != 0 ? result : look_mark(look);
}

int chain_look(struct chain *chain, uint64_t oldest, bool sync, struct damage *damage) {
    struct look look = {.chain = chain, .damage = damage, .next = {1, 1, 0}};
    *damage = (struct damage){.wrong = NULL};
    chain->sealed = true;
    look.slot_last = calloc(SLOT_COUNT, sizeof *look.slot_last);
    window_init(&look.window, chain->disk);
    int result = look.slot_last != NULL ? look_all(&look, oldest, sync) : -ENOMEM;
    chain->next = look.next;
    window_deinit(&look.window);
    free(look.slot_last);
    free(look.numbers.list);
    return result;
}

/* ---- mending ---- */

static int mend_block(struct disk *disk, int file, uint64_t offset, const uint8_t *zeros) {
    uint8_t block[JOURNAL_BLOCK_BYTES];
    int result = disk_read_all(disk, file, block, sizeof block, offset);
    if (result != 0 || format_zero(block, sizeof block))
        return result;
    return disk_write_all(disk, file, zeros, JOURNAL_BLOCK_BYTES, offset);
}

int chain_zero(struct chain *chain, uint64_t number, uint64_t from, uint64_t to) {
    static const uint8_t zeros[JOURNAL_BLOCK_BYTES];
    char name[DISK_NAME_BYTES];
    chain_name(chain, name, number);
    int file = chain->disk->calls->open(chain->disk, name, DISK_WRITE);
    if (file < 0)
        return file;
    int result = 0;
    for (uint64_t at = from; result == 0 && at < to; at += JOURNAL_BLOCK_BYTES)
        result = mend_block(chain->disk, file, at, zeros);
    if (result == 0)
        result = disk_sync(chain->disk, file);
    chain->disk->calls->close(chain->disk, file);
    return result;
}

static int unlink_if(struct disk *disk, const char *name) {
    int result = disk->calls->unlink(disk, name);
    return result == -ENOENT ? 0 : result;
}

static int mend_leftover(struct chain *chain) {
    char name[DISK_NAME_BYTES];
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < chain->leftover_count; i++) {
        chain_name(chain, name, chain->leftover[i]);
        result = unlink_if(chain->disk, name);
    }
    chain_file_name(chain, name, "spare.new");
    return result != 0 ? result : unlink_if(chain->disk, name);
}

/* The spare of an earlier run, if it is of the size that is wanted now. */
static int mend_spare(struct chain *chain) {
    char name[DISK_NAME_BYTES];
    chain_file_name(chain, name, "spare");
    int file = chain->disk->calls->open(chain->disk, name, DISK_READ);
    if (file == -ENOENT)
        return 0;
    if (file < 0)
        return file;
    int64_t size = chain->disk->calls->size(chain->disk, file);
    chain->disk->calls->close(chain->disk, file);
    chain->spare = size == (int64_t)chain->segment_bytes;
    return chain->spare ? 0 : unlink_if(chain->disk, name);
}

/* The last segment had no header: it gets one now, as when it was made. */
static int mend_unused(struct chain *chain) {
    int result = chain_zero(chain, chain->unused, 0, chain->torn_to);
    if (result == 0)
        result = chain->disk->calls->random(chain->disk, &chain->salt, sizeof chain->salt);
    chain->salt |= 1;
    chain->number = chain->unused;
    chain->bytes = chain->unused_bytes;
    if (result == 0)
        result = chain_open_current(chain);
    if (result == 0)
        result = chain_write_header(chain);
    struct segment segment = {.number = chain->number,
                              .bytes = chain->bytes,
                              .salt = chain->salt,
                              .first = chain->next.position,
                              .next = chain->next.position,
                              .end = JOURNAL_BLOCK_BYTES};
    return result != 0 ? result : chain_push(chain, &segment);
}

static int mend_current(struct chain *chain, uint64_t *repaired) {
    const struct segment *segment = chain_current(chain);
    int result = 0;
    chain->number = segment->number;
    chain->bytes = segment->bytes;
    chain->salt = segment->salt;
    chain->offset = segment->end;
    if (chain->torn_to != 0) {
        *repaired = chain->torn_to - segment->end;
        result = chain_zero(chain, segment->number, segment->end, chain->torn_to);
    }
    return result != 0 ? result : chain_open_current(chain);
}

/* Makes the log's directory and first segment; whatever an interrupted start left is taken away first. */
static int mend_fresh(struct chain *chain) {
    char name[DISK_NAME_BYTES];
    struct segment segment;
    struct numbers numbers;
    struct disk *disk = chain->disk;
    chain_directory_name(chain, name);
    int result = disk->calls->make_directory(disk, name);
    if (result == -EEXIST)
        result = 0;
    if (result == 0)
        result = chain_numbers(chain, &numbers);
    else
        numbers = (struct numbers){.list = NULL};
    for (uint32_t i = 0; result == 0 && i < numbers.count; i++) {
        chain_name(chain, name, numbers.list[i]);
        result = unlink_if(disk, name);
    }
    free(numbers.list);
    if (result == 0)
        result = disk->calls->sync_directory(disk, ".");
    if (result == 0)
        result = chain_make_spare(chain);
    if (result == 0)
        result = chain_roll(chain, &segment);
    return result != 0 ? result : chain_push(chain, &segment);
}

int chain_mend(struct chain *chain, uint64_t oldest, uint64_t *repaired) {
    char directory[DISK_NAME_BYTES];
    *repaired = 0;
    if (oldest == 0)
        return mend_fresh(chain);
    int result = mend_leftover(chain);
    if (result == 0)
        result = chain->unused != 0 ? mend_unused(chain) : mend_current(chain, repaired);
    if (result == 0)
        result = mend_spare(chain);
    chain_directory_name(chain, directory);
    return result != 0 ? result : chain->disk->calls->sync_directory(chain->disk, directory);
}
