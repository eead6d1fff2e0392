#include "core/journal/salvage.h"

#include "core/journal/trouble.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void salvage_line(const struct salvage_lines *lines, const char *format, ...) {
    char text[JOURNAL_TROUBLE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    lines->line(lines->user, text);
}

/* ---- opening ---- */

static int salvage_take(struct salvage *salvage, bool alone, struct journal_trouble *trouble) {
    int result = salvage->disk->calls->lock(salvage->disk, !alone);
    if (result == -EWOULDBLOCK)
        return trouble_set(trouble, TROUBLE_UNAVAILABLE,
                           "journal %s: a router or another command has it open: end that one first",
                           salvage->directory);
    if (result != 0)
        return trouble_disk(trouble, result, "journal: the lock of", salvage->directory);
    result = manifest_load(&salvage->manifest, salvage->disk, salvage->directory, false, &salvage->reason);
    salvage->manifest_good = result == 0;
    if (result == -ENOENT)
        (void)trouble_set(
            &salvage->reason, TROUBLE_DATA,
            "journal %s: there is no MANIFEST in it: it is no journal, or MANIFEST has been lost",
            salvage->directory);
    return 0;
}

int salvage_open(struct salvage *salvage, const char *directory, struct disk *disk, bool alone,
                 struct journal_trouble *trouble) {
    *salvage = (struct salvage){.disk = disk, .disk_is_ours = disk == NULL, .directory = directory};
    int result = disk != NULL ? 0 : disk_real_open(&salvage->disk, directory, false);
    if (result != 0)
        return trouble_set(trouble, TROUBLE_DATA, "journal %s: %s", directory, strerror(-result));
    if (salvage_take(salvage, alone, trouble) == 0)
        return 0;
    salvage_close(salvage);
    return -1;
}

void salvage_close(struct salvage *salvage) {
    if (salvage->disk_is_ours)
        disk_real_close(salvage->disk);
    salvage->disk = NULL;
}

/* Only for looking: no record is written through it. */
int salvage_chain(const struct salvage *salvage, struct chain *chain, uint32_t log) {
    return chain_init(chain, salvage->disk, log, salvage->manifest.instance, JOURNAL_SEGMENT_MIN, 1);
}

/* ---- verify ---- */

static void verify_good(const struct chain *chain, const struct salvage_lines *lines) {
    const struct segment *last = chain_current(chain);
    uint64_t first = chain->segments[0].first, next = chain->next.position;
    char records[96] = "no records";
    if (next > first)
        (void)snprintf(records, sizeof records, "positions %" PRIu64 " to %" PRIu64, first, next - 1);
    salvage_line(lines, "log %u: good: %u segments, %" PRIu64 " to %" PRIu64 "; %s; last group %" PRIu64 "%s",
                 chain->log, chain->segments_count, chain->segments[0].number, last->number, records,
                 chain->next.group - 1, chain->sealed ? ", sealed" : "");
    if (chain->torn_to != 0 && chain->unused == 0)
        salvage_line(lines,
                     "log %u: a group was being written when the router ended; it was never "
                     "acknowledged, and the next start takes it away",
                     chain->log);
}

static void verify_damage(uint32_t log, const struct damage *damage, const struct salvage_lines *lines) {
    salvage_line(lines,
                 "log %u: DAMAGED: %s at byte %" PRIu64 ": group %" PRIu64
                 " expected: %s; behind it lie %" PRIu64 " valid groups with %" PRIu64 " records (%" PRIu64
                 " bytes)",
                 log, damage->file, damage->offset, damage->expected, damage->wrong, damage->groups,
                 damage->records, damage->bytes);
}

static int verify_log(struct salvage *salvage, uint32_t log, const struct salvage_lines *lines,
                      struct journal_trouble *trouble) {
    struct chain chain;
    struct damage damage = {.file = ""};
    int result = salvage_chain(salvage, &chain, log);
    if (result == 0)
        result = chain_look(&chain, salvage->manifest.oldest[log], false, &damage);
    if (result > 0)
        verify_damage(log, &damage, lines);
    else if (result < 0)
        result = trouble_disk(trouble, result, "journal: reading", damage.file);
    else if (chain.segments_count > 0)
        verify_good(&chain, lines);
    else
        salvage_line(lines, "log %u: good: it was never used", log);
    chain_deinit(&chain);
    return result;
}

int salvage_verify(struct salvage *salvage, const struct salvage_lines *lines,
                   struct journal_trouble *trouble) {
    if (!salvage->manifest_good) {
        *trouble = salvage->reason;
        return -1;
    }
    bool damaged = false;
    salvage_line(lines, "MANIFEST: good: %u logs, opened %u times", salvage->manifest.logs,
                 salvage->manifest.boot_epoch);
    for (uint32_t log = 0; log < salvage->manifest.logs; log++) {
        int result = verify_log(salvage, log, lines, trouble);
        if (result < 0)
            return -1;
        damaged = damaged || result > 0;
    }
    return damaged;
}

/* ---- export ---- */

struct exporting {
    const struct salvage_sink *sink;
    const struct salvage_lines *lines;
    const struct chain *chain;
    uint64_t from;
    uint64_t next; /* the position that would follow what was given */
    bool ended;
    bool incomplete;
};

static const char *export_record(void *user, const struct format_record *record, const uint8_t *bytes) {
    struct exporting *exporting = user;
    if (exporting->ended || record->number < exporting->from)
        return NULL;
    exporting->ended = !exporting->sink->record(exporting->sink->user, exporting->chain->log, record, bytes);
    return NULL;
}

static void export_skipped(struct exporting *exporting, const char *name, uint64_t from, uint64_t to) {
    exporting->incomplete = true;
    salvage_line(exporting->lines, "%s: bytes %" PRIu64 " to %" PRIu64 " can not be read and are left out",
                 name, from, to - 1);
}

static void export_group(struct exporting *exporting, const char *name, const struct format_group *group) {
    if (exporting->next != 0 && group->first > exporting->next && group->first > exporting->from) {
        exporting->incomplete = true;
        salvage_line(exporting->lines,
                     "%s: positions %" PRIu64 " to %" PRIu64 " are missing before group %" PRIu64, name,
                     exporting->next, group->first - 1, group->number);
    }
    if (group->first + group->count > exporting->next)
        exporting->next = group->first + group->count;
    const char *wrong = walk_records(group, export_record, exporting);
    if (wrong != NULL) {
        exporting->incomplete = true;
        salvage_line(exporting->lines, "%s: group %" PRIu64 ": %s", name, group->number, wrong);
    }
}

/* From block to block, as any group that is whole begins on one. */
static int export_segment(struct exporting *exporting, struct window *window, const char *name) {
    struct walk walk;
    const uint8_t *at;
    uint64_t offset = JOURNAL_BLOCK_BYTES, bad = 0, bad_end = 0;
    if (window->limit < 2 * JOURNAL_BLOCK_BYTES)
        export_skipped(exporting, name, 0, window->limit + 1);
    while (!exporting->ended && offset + JOURNAL_BLOCK_BYTES <= window->limit) {
        int result = window_get(window, offset, JOURNAL_BLOCK_BYTES, &at);
        if (result != 0)
            return result;
        uint64_t salt = ((const struct format_group *)(const void *)at)->salt;
        enum walk_state state = walk_look(window, offset, salt, &walk);
        if (state == WALK_FAILED)
            return walk.error;
        uint64_t step = JOURNAL_BLOCK_BYTES;
        if (state == WALK_GROUP) {
            step = format_group_bytes(walk.group->body);
            if (bad != 0)
                export_skipped(exporting, name, bad, bad_end);
            bad = 0;
            export_group(exporting, name, walk.group);
        } else if (state == WALK_WRONG) {
            bad = bad != 0 ? bad : offset;
            bad_end = offset + step;
        }
        offset += step;
    }
    if (bad != 0)
        export_skipped(exporting, name, bad, bad_end);
    return 0;
}

static int export_segments(struct exporting *exporting, const struct numbers *numbers) {
    struct window window;
    int result = 0;
    window_init(&window, exporting->chain->disk);
    for (uint32_t i = 0; i < numbers->count && !exporting->ended; i++) {
        char name[DISK_NAME_BYTES];
        chain_name(exporting->chain, name, numbers->list[i]);
        int read = window_open(&window, name);
        if (read == 0)
            read = export_segment(exporting, &window, name);
        if (read != 0) { /* the rest of this file, but not of the journal */
            exporting->incomplete = true;
            salvage_line(exporting->lines, "%s: %s: what lies behind is left out", name, strerror(-read));
        }
    }
    window_deinit(&window);
    return result;
}

int salvage_export(struct salvage *salvage, uint32_t log, uint64_t from, const struct salvage_sink *sink,
                   const struct salvage_lines *lines, struct journal_trouble *trouble) {
    struct chain chain;
    struct numbers numbers = {.list = NULL};
    struct exporting exporting = {.sink = sink, .lines = lines, .chain = &chain, .from = from};
    int result = salvage_chain(salvage, &chain, log);
    if (result == 0)
        result = chain_numbers(&chain, &numbers);
    if (result == 0)
        result = export_segments(&exporting, &numbers);
    free(numbers.list);
    chain_deinit(&chain);
    if (result == -ENOENT)
        return 0;
    if (result != 0)
        return trouble_disk(trouble, result, "journal", salvage->directory);
    return exporting.incomplete;
}
