/* CUT. While it works the log's mark names a group that nothing reaches, so that an interrupted cut is
 * refused like any damage and can be run again; the highest position that is known to have existed stands in
 * it, too. 1  the mark, synced 2  copies of the segment that is changed, synced; then it is zeroed from the
 * damage on 3  the segments behind it get other names 4  a new segment behind what is kept: its header begins
 * far behind the highest position 5  MANIFEST, if it did not know the log; the mark goes Nothing is unlinked
 * but the mark. */
#include "core/journal/salvage.h"

#include "core/journal/trouble.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAMP_BYTES 32u
#define LOSS_BYTES  (64u * KIB) /* of the report: a line for each log and what it is about */

struct cut {
    struct salvage *salvage;
    struct chain *chain;
    struct damage *damage;
    struct numbers numbers;
    const char *stamp;
    uint64_t keep; /* bytes of the damaged segment that stay; 0 = none */
    uint64_t next; /* the first position that nobody can have seen */
    uint64_t size; /* of the damaged segment */
};

static struct disk *cut_disk(const struct cut *cut) {
    return cut->salvage->disk;
}

/* ---- evidence ---- */

static void cut_mark(struct cut *cut) {
    char name[DISK_NAME_BYTES];
    struct format_mark mark;
    chain_file_name(cut->chain, name, "mark");
    int file = cut_disk(cut)->calls->open(cut_disk(cut), name, DISK_READ);
    if (file < 0)
        return;
    int result = disk_read_all(cut_disk(cut), file, &mark, sizeof mark, 0);
    cut_disk(cut)->calls->close(cut_disk(cut), file);
    if (result == 0 && format_mark_valid(&mark) && mark.next > cut->next)
        cut->next = mark.next;
}

/* The highest position in any group, and in any header, of all segments that are there. */
static int cut_evidence(struct cut *cut) {
    struct window window;
    int result = 0;
    cut->next = cut->chain->next.position;
    cut_mark(cut);
    window_init(&window, cut_disk(cut));
    for (uint32_t i = 0; result == 0 && i < cut->numbers.count; i++) {
        char name[DISK_NAME_BYTES];
        struct walk_rest rest = {.next = 0};
        chain_name(cut->chain, name, cut->numbers.list[i]);
        result = window_open(&window, name);
        if (result == 0)
            result = walk_rest(&window, 0, 0, 0, &rest);
        if (rest.next > cut->next)
            cut->next = rest.next;
        if (cut->numbers.list[i] == cut->damage->number)
            cut->size = window.limit;
    }
    window_deinit(&window);
    return result;
}

/* ---- keeping the original ---- */

static int copy_bytes(struct disk *disk, int from, int to, uint64_t bytes) {
    uint8_t *buffer = malloc(JOURNAL_ZERO_BYTES);
    int result = buffer != NULL ? 0 : -ENOMEM;
    for (uint64_t at = 0; result == 0 && at < bytes; at += JOURNAL_ZERO_BYTES) {
        uint64_t some = bytes - at < JOURNAL_ZERO_BYTES ? bytes - at : JOURNAL_ZERO_BYTES;
        result = disk_read_all(disk, from, buffer, some, at);
        if (result == 0)
            result = disk_write_all(disk, to, buffer, some, at);
    }
    free(buffer);
    return result != 0 ? result : disk_sync(disk, to);
}

static int cut_copy(struct disk *disk, const char *name, const char *kept) {
    int from = disk->calls->open(disk, name, DISK_READ);
    if (from < 0)
        return from;
    int to = disk->calls->open(disk, kept, DISK_CREATE);
    int64_t size = disk->calls->size(disk, from);
    int result = to < 0 ? to : size < 0 ? (int)size : copy_bytes(disk, from, to, (uint64_t)size);
    if (to >= 0)
        disk->calls->close(disk, to);
    disk->calls->close(disk, from);
    return result;
}

/* The damaged segment is copied, as its beginning stays; those behind it only get another name. */
static int cut_segments(struct cut *cut) {
    char name[DISK_NAME_BYTES], kept[DISK_NAME_BYTES + STAMP_BYTES];
    int result = 0;
    for (uint32_t i = cut->numbers.count; result == 0 && i-- > 0;) {
        uint64_t number = cut->numbers.list[i];
        if (number < cut->damage->number)
            break;
        chain_name(cut->chain, name, number);
        (void)snprintf(kept, sizeof kept, "%s.cut-%s", name, cut->stamp);
        if (number > cut->damage->number || cut->keep == 0) {
            result = cut_disk(cut)->calls->rename(cut_disk(cut), name, kept);
            continue;
        }
        result = cut_copy(cut_disk(cut), name, kept);
        if (result == 0)
            result = chain_zero(cut->chain, number, cut->keep, cut->size);
    }
    return result;
}

/* ---- the steps ---- */

static int cut_begin(struct cut *cut) {
    char name[DISK_NAME_BYTES], directory[DISK_NAME_BYTES];
    struct format_mark mark = {.group = CHAIN_MARK_CUT, .next = cut->next};
    chain_file_name(cut->chain, name, "mark");
    chain_directory_name(cut->chain, directory);
    int result = cut_disk(cut)->calls->make_directory(cut_disk(cut), directory);
    if (result == 0)
        result = cut_disk(cut)->calls->sync_directory(cut_disk(cut), ".");
    if (result != 0 && result != -EEXIST)
        return result;
    chain_write_mark(cut->chain, &mark);
    result = disk_sync_named(cut_disk(cut), name);
    return result != 0 ? result : cut_disk(cut)->calls->sync_directory(cut_disk(cut), directory);
}

/* As small as can be: the router goes on to the next one when something does not fit. */
static int cut_new_segment(struct cut *cut) {
    struct chain *chain = cut->chain;
    struct segment segment;
    chain->number = cut->keep != 0 ? cut->damage->number : cut->damage->number - 1;
    chain->next.position = cut->next + JOURNAL_CUT_SKIP;
    int result = chain_make_spare(chain);
    return result != 0 ? result : chain_roll(chain, &segment);
}

static int cut_end(struct cut *cut) {
    char name[DISK_NAME_BYTES], directory[DISK_NAME_BYTES];
    struct format_manifest *manifest = &cut->salvage->manifest;
    int result = 0;
    if (manifest->oldest[cut->chain->log] == 0) {
        manifest->oldest[cut->chain->log] = cut->chain->number;
        result = manifest_store(manifest, cut_disk(cut));
    }
    chain_file_name(cut->chain, name, "mark");
    chain_directory_name(cut->chain, directory);
    if (result == 0)
        result = cut_disk(cut)->calls->unlink(cut_disk(cut), name);
    return result != 0 ? result : cut_disk(cut)->calls->sync_directory(cut_disk(cut), directory);
}

/* A log that MANIFEST calls unused keeps nothing: its new segment comes behind all that are there. */
static void cut_place(struct cut *cut) {
    bool unknown = cut->salvage->manifest.oldest[cut->chain->log] == 0;
    uint32_t count = cut->numbers.count;
    cut->keep = unknown ? 0 : cut->damage->offset;
    if (unknown)
        cut->damage->number = count > 0 ? cut->numbers.list[0] : 1;
}

static int cut_log(struct cut *cut) {
    int result = chain_numbers(cut->chain, &cut->numbers);
    if (result == -ENOENT)
        result = 0;
    cut_place(cut);
    if (result == 0)
        result = cut_evidence(cut);
    if (result == 0)
        result = cut_begin(cut);
    if (result == 0)
        result = cut_segments(cut);
    if (result == 0)
        result = cut_new_segment(cut);
    return result != 0 ? result : cut_end(cut);
}

/* ---- the report ---- */

struct loss {
    char *text; /* owns; LOSS_BYTES */
    size_t used;
    const struct salvage_lines *lines;
};

static void loss_line(void *user, const char *text) {
    struct loss *loss = user;
    int more = snprintf(loss->text + loss->used, LOSS_BYTES - loss->used, "%s\n", text);
    if (more > 0 && (size_t)more < LOSS_BYTES - loss->used)
        loss->used += (size_t)more;
    loss->lines->line(loss->lines->user, text);
}

static void loss_tell(const struct cut *cut, uint64_t kept, const struct salvage_lines *lines) {
    const struct damage *damage = cut->damage;
    salvage_line(lines, "log %u: cut in %s at byte %" PRIu64 ": group %" PRIu64 " expected: %s",
                 cut->chain->log, damage->file, damage->offset, damage->expected, damage->wrong);
    salvage_line(lines,
                 "log %u: kept are the positions below %" PRIu64 "; lost is what was damaged, and %" PRIu64
                 " valid groups behind it with %" PRIu64 " records (%" PRIu64 " bytes)",
                 cut->chain->log, kept, damage->groups, damage->records, damage->bytes);
    salvage_line(lines,
                 "log %u: positions below %" PRIu64 " may have been seen; the next one is %" PRIu64
                 "; the original segments are kept as *.cut-%s",
                 cut->chain->log, cut->next, cut->next + JOURNAL_CUT_SKIP, cut->stamp);
}

static int loss_write(struct salvage *salvage, const struct loss *loss, const char *stamp) {
    char name[DISK_NAME_BYTES];
    struct disk *disk = salvage->disk;
    (void)snprintf(name, sizeof name, "loss-%s.txt", stamp);
    int file = disk->calls->open(disk, name, DISK_CREATE);
    if (file < 0)
        return file;
    int result = disk_write_all(disk, file, loss->text, loss->used, 0);
    if (result == 0)
        result = disk_sync(disk, file);
    disk->calls->close(disk, file);
    return result != 0 ? result : disk->calls->sync_directory(disk, ".");
}

struct stamp {
    char text[STAMP_BYTES];
    bool used;
};

static void stamp_found(void *user, const char *name) {
    struct stamp *stamp = user;
    stamp->used = stamp->used || strstr(name, stamp->text) != NULL;
}

static bool stamp_used(const struct salvage *salvage, struct stamp *stamp) {
    struct disk *disk = salvage->disk;
    stamp->used = false;
    (void)disk->calls->list(disk, ".", stamp_found, stamp);
    for (uint32_t log = 0; log < salvage->manifest.logs; log++) {
        char directory[DISK_NAME_BYTES];
        (void)snprintf(directory, sizeof directory, "%u", log);
        (void)disk->calls->list(disk, directory, stamp_found, stamp);
    }
    return stamp->used;
}

/* The time of day, and a second later as long as there are files of that name: an original is never written
 * over. */
static void stamp_choose(const struct salvage *salvage, struct stamp *stamp, uint64_t wall_ns) {
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm utc;
    do {
        gmtime_r(&seconds, &utc);
        (void)strftime(stamp->text, sizeof stamp->text, "%Y%m%dT%H%M%SZ", &utc);
        seconds++;
    } while (stamp_used(salvage, stamp));
}

/* One log: looked at, and cut if it has to be. */
static int cut_one(struct salvage *salvage, uint32_t log, const char *stamp,
                   const struct salvage_lines *lines, struct journal_trouble *trouble) {
    struct chain chain;
    struct damage damage = {.file = ""};
    struct cut cut = {.salvage = salvage, .chain = &chain, .damage = &damage, .stamp = stamp};
    int result = salvage_chain(salvage, &chain, log);
    if (result == 0)
        result = chain_look(&chain, salvage->manifest.oldest[log], true, &damage);
    if (result < 0)
        (void)trouble_disk(trouble, result,
                           "journal: a disk that can not be read can not be cut: copy what can be "
                           "read to another first:",
                           damage.file);
    if (result > 0) {
        uint64_t kept = chain.next.position;
        result = cut_log(&cut);
        if (result == 0)
            loss_tell(&cut, kept, lines);
        else
            (void)trouble_disk(trouble, result, "journal: the cut was not ended, run it again:", damage.file);
        result = result == 0 ? 1 : result;
    }
    free(cut.numbers.list);
    chain_deinit(&chain);
    return result;
}

static int cut_all(struct salvage *salvage, const char *stamp, struct loss *loss,
                   struct journal_trouble *trouble) {
    struct salvage_lines lines = {loss_line, loss};
    bool any = false;
    for (uint32_t log = 0; log < salvage->manifest.logs; log++) {
        int result = cut_one(salvage, log, stamp, &lines, trouble);
        if (result < 0)
            return -1;
        any = any || result > 0;
    }
    if (!any)
        return 0;
    int result = loss_write(salvage, loss, stamp);
    return result != 0 ? trouble_disk(trouble, result, "journal: the loss report in", salvage->directory) : 1;
}

int salvage_cut(struct salvage *salvage, uint64_t wall_ns, const struct salvage_lines *lines,
                struct journal_trouble *trouble) {
    struct stamp stamp;
    struct loss loss = {.text = malloc(LOSS_BYTES), .lines = lines};
    if (!salvage->manifest_good) {
        free(loss.text);
        *trouble = salvage->reason;
        return -1;
    }
    if (loss.text == NULL)
        return trouble_disk(trouble, -ENOMEM, "journal", salvage->directory);
    stamp_choose(salvage, &stamp, wall_ns);
    int result = cut_all(salvage, stamp.text, &loss, trouble);
    free(loss.text);
    return result;
}
