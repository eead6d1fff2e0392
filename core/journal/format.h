/* format.h: what is on the disk, byte for byte: MANIFEST, segments, groups, records, the mark.
 * Owner: core/journal. Pure functions over the caller's bytes; any thread may call.
 * All integers are little-endian, at natural places; every block that is zero is "nothing yet".
 * Nothing blocks, nothing allocates.
 * Bytes from the disk are not trusted: what is wrong with them is a static sentence.
 *
 * MANIFEST    two copies of a block; the valid one with the higher generation counts
 * D/N.jnl     segment N of disk log D: a header block, then groups, then zeros up to its size
 * D/spare     the next segment: its full size, all zeros, synced; spare.new while it is being made
 * D/mark      the last group that was complete, unsynced: evidence for recovery, never needed by it */
#pragma once

#include "core/base/limits.h"
#include "ring/log.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define FORMAT_VERSION 1u

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the structs below are the bytes on disk");

struct format_manifest {
    uint64_t magic;
    uint32_t version;
    uint32_t logs;
    uint64_t generation; /* counts the copies written; odd ones are the second copy */
    uint8_t instance[16];
    uint64_t slot_seed;
    uint32_t boot_epoch;               /* of the last run */
    uint32_t slot_epoch;               /* of all slots: 1, as none has ever been moved */
    uint64_t oldest[JOURNAL_LOGS_MAX]; /* number of the oldest segment per log; 0: the log was never used */
    uint8_t rest[JOURNAL_BLOCK_BYTES - 64 - 8 * JOURNAL_LOGS_MAX];
    uint64_t check; /* of the bytes before it; at this place in every version */
};
static_assert(sizeof(struct format_manifest) == JOURNAL_BLOCK_BYTES, "a copy is a block");

struct format_segment {
    uint64_t magic;
    uint16_t version;
    uint16_t block_shift;
    uint32_t log;
    uint64_t number;
    uint8_t instance[16];
    uint64_t salt;        /* random: groups of other segments and other lives of these blocks have another */
    uint64_t bytes;       /* of the whole segment */
    uint64_t first_group; /* number */
    uint64_t first;       /* number of its first record */
    uint64_t previous;    /* check of the last group of the segment before; 0 in the first */
    uint8_t rest[JOURNAL_BLOCK_BYTES - 88];
    uint64_t check; /* of the bytes before it */
};
static_assert(sizeof(struct format_segment) == JOURNAL_BLOCK_BYTES, "the header is a block");

/* Types of records that are events, of those in the index entry's flags: LOG_EVENT, and this one, which has
 * an expiry time. */
#define JOURNAL_TYPE_EXPIRING 4u

#define FORMAT_SEAL 1u /* a group without records that proves the one before */

struct format_group {
    uint32_t magic;
    uint16_t version;
    uint16_t flags;
    uint64_t number;
    uint64_t salt;
    uint32_t body;     /* bytes of records behind this header; zeros up to the block's end follow */
    uint32_t count;    /* of records */
    uint64_t first;    /* number of the first record; of the next one, in a seal */
    uint64_t proven;   /* the last record that was durable when this group was written */
    uint64_t previous; /* check of the group before */
    uint64_t check; /* XXH3-64 over the rest of its blocks, seeded with that of what is before it, seeded with
                       the salt */
};
static_assert(sizeof(struct format_group) == 64, "one line");

struct format_record {
    uint32_t length; /* with this header and the zeros behind the bytes: a multiple of 8 */
    uint32_t check;  /* lower half of XXH3-64 over the rest of the header and the bytes */
    uint64_t number; /* the position */
    uint64_t sequence;
    uint64_t time;     /* wall clock when received, nanoseconds */
    uint64_t identity; /* of source and id (event_identity); 0 in what is no event */
    uint32_t flags;    /* of the index entry: type, slot, where the topic is in the bytes, its length */
    uint32_t bytes;    /* of the record in the ring */
};
static_assert(sizeof(struct format_record) == 48, "eight-byte aligned");

struct format_mark {
    uint64_t magic;
    uint64_t segment;
    uint64_t group;
    uint64_t group_check;
    uint64_t next; /* the first position behind that group */
    uint64_t check;
};

static inline uint64_t format_blocks(uint64_t bytes) {
    return (bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}
static inline uint64_t format_record_length(uint64_t bytes) {
    return (sizeof(struct format_record) + bytes + 7) / 8 * 8;
}
/* Bytes on disk of a group with so long a body. */
static inline uint64_t format_group_bytes(uint64_t body) {
    return format_blocks(sizeof(struct format_group) + body);
}
bool format_zero(const void *bytes, uint64_t count);

uint64_t format_manifest_sum(const struct format_manifest *manifest);
void format_manifest_close(struct format_manifest *manifest); /* sets magic, version and check */
/* NULL when it is valid and of this version; *newer: valid, but of a later one. */
const char *format_manifest_wrong(const struct format_manifest *manifest, bool *newer);

void format_segment_close(struct format_segment *segment);
const char *format_segment_wrong(const struct format_segment *segment);

/* Group: header, body and zeros lie at `group`, format_group_bytes of them. */
void format_group_close(struct format_group *group);
/* Only the header: magic, version, salt, and a length of at most `room` bytes with its header. */
const char *format_group_head_wrong(const struct format_group *group, uint64_t salt, uint64_t room);
/* The check, over everything; head_wrong must have answered NULL. */
bool format_group_whole(const struct format_group *group);

/* Writes a record at `out` (8-byte aligned, format_record_length(entry->length) bytes). */
void format_record_write(uint8_t *out, const struct log_entry *entry, uint64_t position, uint64_t sequence,
                         uint64_t identity, const uint8_t *bytes);
/* Looks at a record at `at` with `room` bytes before the body's end; NULL when it is right. */
const char *format_record_wrong(const uint8_t *at, uint64_t room, uint64_t number);
/* The same without its check, for one in a group that is whole. */
const char *format_record_shape_wrong(const uint8_t *at, uint64_t room, uint64_t number);

void format_mark_close(struct format_mark *mark);
bool format_mark_valid(const struct format_mark *mark);
