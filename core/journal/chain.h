/* chain.h: the segments and groups of one disk log, each naming the check of the group before it.
 * Owner: the journal has one per log. chain.c writes, recover.c looks at what a crash left and mends it.
 * Threads: each group of fields says whose; "shared" is under the journal's lock, which the caller takes.
 * Blocks: what says so waits for the disk, and is called without the lock.
 * Fails with negative errno; after a failed write of a group the chain is not written again. */
#pragma once

#include "core/journal/format.h"
#include "core/journal/journal.h"
#include "core/journal/walk.h"

#include <stdbool.h>
#include <stdint.h>

#define CHAIN_SLOT_WORDS (SLOT_COUNT / 64u)

/* Where a reader can begin. */
struct waypoint {
    uint64_t position; /* of the first record of the group at `offset` */
    uint64_t offset;
    uint64_t time; /* of the latest record before it: all of those are that old at least */
    bool noted;    /* recovery has seen a record that the opener wants, from here to the next one */
};

struct segment {
    uint64_t number;
    uint64_t bytes;
    uint64_t salt;
    uint64_t first;             /* position of its first record */
    uint64_t next;              /* position behind its last durable record */
    uint64_t end;               /* offset behind its last durable group */
    uint64_t time;              /* when its latest record was received; 0 = it has none */
    struct waypoint *waypoints; /* owns; at least JOURNAL_WAYPOINT_BYTES apart */
    uint32_t waypoints_count, waypoints_room;
    uint64_t slots[CHAIN_SLOT_WORDS]; /* which occur in it */
};

/* What recovery has found on the disk that no crash explains. */
struct damage {
    char file[DISK_NAME_BYTES];
    uint64_t number; /* of the segment that is `file` */
    uint64_t offset;
    const char *wrong;
    uint64_t expected;               /* the group that belongs there; 0 = it is about the file */
    uint64_t found;                  /* the group that says it is there; 0 = none does */
    uint64_t groups, records, bytes; /* valid ones behind it: what would be lost */
};

struct chain {
    /* written once */
    struct disk *disk;
    uint32_t log;
    uint8_t instance[16];
    uint64_t segment_bytes; /* of new ones */
    uint64_t group_bytes;   /* a group is no longer, but for one that is a single record */
    /* shared */
    struct segment *segments; /* owns; by number, the last is the current one */
    uint32_t segments_count, segments_room;
    bool spare;              /* there is one */
    uint64_t time;           /* when the latest record was received */
    struct format_mark mark; /* the last group, as it would be marked */
    bool mark_due;
    /* the commit thread's, and the opener's before */
    struct walk_next next; /* the group to be written */
    int file;              /* owns; of the current segment, -1 = none */
    bool direct;
    bool sealed;     /* the last group is a SEAL, or there is none */
    uint64_t offset; /* where the next group goes */
    uint64_t bytes;  /* of the current segment */
    uint64_t salt;
    uint64_t number;
    uint8_t *buffer; /* owns; the group that is being put together, aligned to a block */
    uint64_t buffer_bytes;
    uint64_t body; /* bytes of records in it */
    uint32_t count;
    uint64_t group_offset; /* of the group written last: what chain_written tells */
    uint64_t group_time;   /* the latest in the group */
    uint64_t group_slots[CHAIN_SLOT_WORDS];
    struct journal_counters counters;
    /* the opener's: */
    bool (*notes)(uint32_t flags, const uint8_t *bytes); /* as in journal_config */
    /* ... what recovery found */
    bool fresh;            /* never used */
    uint64_t torn_to;      /* not 0: zero the current segment from `offset` on to here */
    uint64_t unused;       /* not 0: number of a last segment without a header */
    uint64_t unused_bytes; /* its size */
    uint64_t *leftover;    /* owns; numbers of segments below the oldest */
    uint32_t leftover_count;
};

/* The mark of a log that is being cut: no group that is there reaches it. */
#define CHAIN_MARK_CUT UINT64_MAX

/* The numbers of a log's segments, as they are in its directory. */
struct numbers {
    uint64_t *list; /* owns; the caller frees it, also after a failure */
    uint32_t count, room;
    int error;
};

int chain_init(struct chain *chain, struct disk *disk, uint32_t log, const uint8_t instance[16],
               uint64_t segment_bytes, uint64_t record_max) MUST_USE;
void chain_deinit(struct chain *chain); /* zeroed memory is allowed */

void chain_name(const struct chain *chain, char name[DISK_NAME_BYTES], uint64_t number);
void chain_directory_name(const struct chain *chain, char name[DISK_NAME_BYTES]);
void chain_file_name(const struct chain *chain, char name[DISK_NAME_BYTES], const char *file);
struct segment *chain_current(const struct chain *chain);

/* ---- recover.c; waits for the disk ---- */

/* Looks at everything, changes nothing (syncs first if `sync`). `oldest` is MANIFEST's. 0; a negative errno
 * with damage->file and ->offset; or 1: refused, with *damage. */
int chain_look(struct chain *chain, uint64_t oldest, bool sync, struct damage *damage) MUST_USE;
/* After chain_look has answered 0: makes the chain fit to be written. *repaired = bytes of a torn group. */
int chain_mend(struct chain *chain, uint64_t oldest, uint64_t *repaired) MUST_USE;

int chain_numbers(const struct chain *chain, struct numbers *numbers) MUST_USE; /* in order */
/* Zeroes what is not zero of a segment, and syncs. */
int chain_zero(struct chain *chain, uint64_t number, uint64_t from, uint64_t to) MUST_USE;

/* ---- chain.c ---- */

/* Puts a record into the group; false: it is full. */
bool chain_add(struct chain *chain, const struct log_entry *entry, uint64_t position, uint64_t identity,
               const uint8_t *bytes);
/* Whether the group has room in the current segment; if not, chain_roll comes first. */
bool chain_fits(const struct chain *chain);
/* Writes the group, durable, and begins the next. Waits for the disk. */
int chain_write(struct chain *chain, uint16_t flags) MUST_USE;
/* Under the lock: what chain_write has made durable is told to readers. */
int chain_written(struct chain *chain) MUST_USE;
/* Takes the spare as the next segment: rename, directory, header. Waits for the disk. *segment is for
 * chain_push, under the lock. */
int chain_roll(struct chain *chain, struct segment *segment) MUST_USE;
int chain_push(struct chain *chain, const struct segment *segment) MUST_USE;
/* Under the lock: the oldest segment is no longer part of the chain; its file is the caller's. */
void chain_drop_oldest(struct chain *chain);
/* Makes a spare; the caller sets `spare`, under the lock. Waits for the disk. */
int chain_make_spare(struct chain *chain) MUST_USE;
/* Writes a mark; errors are of no interest. */
void chain_write_mark(struct chain *chain, const struct format_mark *mark);
/* Adds a group at `offset` to what is known of a segment. Shared, or the opener's. */
int segment_note(struct segment *segment, uint64_t offset, uint64_t position, uint64_t time_before) MUST_USE;
int chain_open_current(struct chain *chain) MUST_USE;
/* Writes the header of the segment that `number`, `salt`, `bytes` and `next` describe, and sets `offset`. */
int chain_write_header(struct chain *chain) MUST_USE;
