#include "core/journal/format.h"

#include <stddef.h>
#include <string.h>
#include <xxhash.h>

#define MANIFEST_MAGIC UINT64_C(0x004e414d4a4f4852) /* "RHOJMAN" */
#define SEGMENT_MAGIC  UINT64_C(0x004745534a4f4852) /* "RHOJSEG" */
#define MARK_MAGIC     UINT64_C(0x4b52414d4a4f4852) /* "RHOJMARK" */
#define GROUP_MAGIC    0x47524852u                  /* "RHRG" */
#define BLOCK_SHIFT    12u
static_assert(1u << BLOCK_SHIFT == JOURNAL_BLOCK_BYTES, "what the header says of blocks");

bool format_zero(const void *bytes, uint64_t count) {
    const uint8_t *p = bytes;
    return count == 0 || (p[0] == 0 && memcmp(p, p + 1, count - 1) == 0);
}

/* ---- MANIFEST ---- */

uint64_t format_manifest_sum(const struct format_manifest *manifest) {
    return XXH3_64bits(manifest, offsetof(struct format_manifest, check));
}

void format_manifest_close(struct format_manifest *manifest) {
    manifest->magic = MANIFEST_MAGIC;
    manifest->version = FORMAT_VERSION;
    manifest->check = format_manifest_sum(manifest);
}

const char *format_manifest_wrong(const struct format_manifest *manifest, bool *newer) {
    *newer = false;
    if (manifest->magic != MANIFEST_MAGIC)
        return "it is no MANIFEST of a journal";
    if (manifest->check != format_manifest_sum(manifest))
        return "its checksum is wrong";
    *newer = manifest->version > FORMAT_VERSION;
    if (manifest->version != FORMAT_VERSION)
        return "its version is not known here";
    if (manifest->logs == 0 || manifest->logs > JOURNAL_LOGS_MAX)
        return "it names an impossible number of logs";
    return NULL;
}

/* ---- segments ---- */

static uint64_t segment_sum(const struct format_segment *segment) {
    return XXH3_64bits(segment, offsetof(struct format_segment, check));
}

void format_segment_close(struct format_segment *segment) {
    segment->magic = SEGMENT_MAGIC;
    segment->version = FORMAT_VERSION;
    segment->block_shift = BLOCK_SHIFT;
    segment->check = segment_sum(segment);
}

const char *format_segment_wrong(const struct format_segment *segment) {
    if (segment->magic != SEGMENT_MAGIC)
        return "its header is not that of a segment";
    if (segment->check != segment_sum(segment))
        return "the checksum of its header is wrong";
    if (segment->version != FORMAT_VERSION || segment->block_shift != BLOCK_SHIFT)
        return "its version is not known here";
    return NULL;
}

/* ---- groups ---- */

/* Of the blocks behind the header's last word, seeded with that of what is before it. */
static uint64_t group_sum(const struct format_group *group) {
    uint64_t head = XXH3_64bits_withSeed(group, offsetof(struct format_group, check), group->salt);
    return XXH3_64bits_withSeed(group + 1, format_group_bytes(group->body) - sizeof *group, head);
}

void format_group_close(struct format_group *group) {
    group->magic = GROUP_MAGIC;
    group->version = FORMAT_VERSION;
    group->check = group_sum(group);
}

const char *format_group_head_wrong(const struct format_group *group, uint64_t salt, uint64_t room) {
    if (group->magic != GROUP_MAGIC)
        return "there is no group";
    if (group->salt != salt)
        return "it is not of this segment";
    if (group->version != FORMAT_VERSION)
        return "its version is not known here";
    if (format_group_bytes(group->body) > room)
        return "it is longer than the segment";
    return NULL;
}

bool format_group_whole(const struct format_group *group) {
    return group->check == group_sum(group);
}

/* ---- records ---- */

static uint32_t record_sum(const uint8_t *at, uint64_t bytes) {
    return (uint32_t)XXH3_64bits(at + 8, sizeof(struct format_record) - 8 + bytes);
}

void format_record_write(uint8_t *out, const struct log_entry *entry, uint64_t position, uint64_t sequence,
                         uint64_t identity, const uint8_t *bytes) {
    uint64_t length = format_record_length(entry->length);
    struct format_record record = {.length = (uint32_t)length,
                                   .number = position,
                                   .sequence = sequence,
                                   .time = entry->time,
                                   .identity = identity,
                                   .flags = entry->flags,
                                   .bytes = entry->length};
    memcpy(out, &record, sizeof record);
    if (entry->length > 0)
        memcpy(out + sizeof record, bytes, entry->length);
    memset(out + sizeof record + entry->length, 0, length - sizeof record - entry->length);
    record.check = record_sum(out, entry->length);
    memcpy(out + offsetof(struct format_record, check), &record.check, sizeof record.check);
}

const char *format_record_shape_wrong(const uint8_t *at, uint64_t room, uint64_t number) {
    struct format_record record;
    if (room < sizeof record)
        return "a record begins where its group ends";
    memcpy(&record, at, sizeof record);
    if (record.length > room || record.length != format_record_length(record.bytes))
        return "the length of a record is wrong";
    if (record.number != number)
        return "the number of a record is not the next one";
    if (log_flags_topic_at(record.flags) + log_flags_topic_length(record.flags) > record.bytes)
        return "the topic of a record is not inside it";
    return NULL;
}

const char *format_record_wrong(const uint8_t *at, uint64_t room, uint64_t number) {
    struct format_record record;
    const char *wrong = format_record_shape_wrong(at, room, number);
    if (wrong != NULL)
        return wrong;
    memcpy(&record, at, sizeof record);
    return record.check == record_sum(at, record.bytes) ? NULL : "the check of a record is wrong";
}

/* ---- the mark ---- */

static uint64_t mark_sum(const struct format_mark *mark) {
    return XXH3_64bits(mark, offsetof(struct format_mark, check));
}

void format_mark_close(struct format_mark *mark) {
    mark->magic = MARK_MAGIC;
    mark->check = mark_sum(mark);
}

bool format_mark_valid(const struct format_mark *mark) {
    return mark->magic == MARK_MAGIC && mark->check == mark_sum(mark);
}
