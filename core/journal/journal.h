/* journal.h: the disk logs of one router: what has been acknowledged at level `disk` is here after any crash.
 * Owner: main makes it, connects each disk log's ring and closes it; one process at a time has the directory.
 * Threads: open, start, stop and close are for main; facts never change; the rest says who may call.
 * Blocks: open, stop, close and read wait for the disk. The journal's own threads do all else.
 * Fails: open with a trouble (exit status and one message); later once and for good (journal_failed).
 *
 * A disk log is named here by its index d, 0 to logs - 1; its number in sequences is LOG_NUMBER_DISK + d, and
 * its positions go on over restarts. What is on disk, and when, is in format.h; how it is made whole again
 * after a crash is at the top of recover.c. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "ring/counter.h"
#include "ring/log.h"
#include "ring/wake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk; /* core/journal/disk.h: the seam to a real or simulated disk */
struct journal;

/* The sequence of a position of a disk log: epoch 1 for ever, as its positions are never used twice. */
#define JOURNAL_SEQUENCE(position) (UINT64_C(1) << 48 | (position))

struct journal_config {
    const char *directory;  /* made when it is not there (its parent must be); borrowed for the call */
    struct disk *disk;      /* NULL: the real one, at `directory`; else borrowed until journal_close */
    uint32_t logs;          /* how many disk logs a new journal gets; an old one keeps its own number */
    uint64_t slot_seed;     /* of a new journal; an old one keeps its own */
    uint64_t segment_bytes; /* of segments made from here on; 0 = JOURNAL_SEGMENT_DEFAULT. Raised to what the
                               longest record needs */
    uint32_t record_max;    /* the longest record that a ring may bring; 0 = FRAME_BYTES_MAX's */
    uint64_t retain_bytes;  /* closed segments of all logs together; 0 = no limit */
    uint64_t retain_ns;     /* age of a closed segment's last record; 0 = no limit */
    /* Which records of before the opener will want to read again: those are found by journal_noted. May be
     * NULL. */
    bool (*notes)(uint32_t flags, const uint8_t *bytes);
    bool keeps; /* somebody says by journal_keep what he needs; nothing is trimmed before he has */
    void (*failed)(void *); /* called once, by a thread of the journal, when it has failed; may be NULL */
    void *failed_user;      /* for `failed` */
};

/* Why something can not be: the exit status of the process, and one message that says what to do. */
struct journal_trouble {
    int status; /* 65 damaged or not ours, 69 in use by another process, 70 the disk or memory failed */
    char text[JOURNAL_TROUBLE_BYTES];
};

/* Takes the directory's lock, reads MANIFEST, recovers every log, and raises and syncs the boot epoch.
 * Repairs nothing but what a crash explains (a group that was in flight, a segment that was never used);
 * whatever else it finds wrong is refused and left as it is. A directory that is empty or not there becomes a
 * new journal. 0, or -1 with *trouble written and nothing kept. Reads all segments, at the disk's speed. */
int journal_open(struct journal **out, const struct journal_config *config,
                 struct journal_trouble *trouble) MUST_USE;

/* Of MANIFEST; the same from open to close, any thread. */
struct journal_facts {
    uint8_t instance[16]; /* of the journal: Positions outlive a restart by it */
    uint32_t boot_epoch;  /* how many times it has been opened: the epoch of this run's memory logs, from 1 */
    uint32_t logs;
    uint64_t slot_seed;
};
const struct journal_facts *journal_facts(const struct journal *journal);

/* The first free position of a log: after journal_open it is log_config.first of its ring; later it is where
 * what is durable ends. Any thread. */
uint64_t journal_next(const struct journal *journal, uint32_t log);
/* The lowest position that is still there; journal_next when there is none. Moves only up (trimming). Any
 * thread. */
uint64_t journal_oldest(const struct journal *journal, uint32_t log);
/* Number of the segment that is written to. Who keeps state in a log writes it all again when this has moved.
 * Any thread. */
uint64_t journal_segment(const struct journal *journal, uint32_t log);
/* Other bounds than those it was opened with; what is too much now goes within seconds. Any thread. */
void journal_retain(struct journal *journal, uint64_t retain_bytes, uint64_t retain_ns);
/* From this position on the log is needed: no segment with such a record is trimmed, whatever `retain_bytes`
 * and `retain_ns` say. For who asked by journal_config.keeps; one thread for each log. Blocks nobody. */
void journal_keep(struct journal *journal, uint32_t log, uint64_t position);
/* Epochs up to this one are in use by this run: when it returns 0, later ones begin above. Blocks for the
 * disk; any thread. Negative errno: nothing is known to be so. */
int journal_epoch_raise(struct journal *journal, uint32_t epoch) MUST_USE;
/* A position at or before the first record that was received at `time_ns` or later (wall clock); at most
 * JOURNAL_WAYPOINT_BYTES of records before it. journal_next when all are older. Any thread. */
uint64_t journal_since(const struct journal *journal, uint32_t log, uint64_t time_ns);

/* A position at or behind `from`, and at or before the first record from there on that journal_config.notes
 * has noted when it was opened; journal_next when there is none. Any thread. */
uint64_t journal_noted(const struct journal *journal, uint32_t log, uint64_t from);

/* ---- writing ---- */

/* Starts the commit thread of a log. `ring`: made with .journalled, and .first = journal_next; borrowed until
 * journal_stop; nothing may have been published in it. The thread takes a gate at once and copies what is
 * published; it raises the gate when it has copied (so `oldest` may pass `visible` in a ring that is smaller
 * than what is in flight), and sets `visible` when that is durable. Then it calls moved(user): after each
 * move of `visible`, and once when the journal has failed; on its own thread, so it may only signal.
 * 0, -EAGAIN (no gate, no thread), -ENOMEM. */
int journal_start(struct journal *journal, uint32_t log, struct log *ring, void (*moved)(void *),
                  void *user) MUST_USE;
/* What the home worker signals each time log_writer_publish has answered true for that log: the commit thread
 * sleeps on it when there is nothing to write. From journal_open to journal_close. */
struct wake *journal_wake(struct journal *journal, uint32_t log);

/* After the rings' writers have stopped: all that is produced is written, durable and proven by a SEAL group,
 * `visible` is at `produced`, all gates are given back and all threads are gone. 0, or -1 when the journal
 * has failed or can not write the rest (journal_failed says why). Not to be called twice. */
int journal_stop(struct journal *journal) MUST_USE;
/* Unlocks the directory and frees all. Threads that were started must have been stopped. NULL is allowed. */
void journal_close(struct journal *journal);

/* True once the journal has failed: `visible` moves never again, what is produced and not visible may or may
 * not be on disk. *trouble (may be NULL) says why: status 70. Any thread. */
bool journal_failed(const struct journal *journal, struct journal_trouble *trouble);

/* ---- reading ---- */

/* Where somebody reads, from one call to the next: what has been read of the disk and not been taken yet is
 * not read again. Zero it before the first use. It holds no file open, and a group of up to
 * JOURNAL_GROUP_BYTES. */
struct journal_reader {
    /* the caller's */
    uint64_t ahead; /* so many bytes behind what is read will be read soon; 0 = none */
    bool in_order;  /* the disk is read in pieces of JOURNAL_GROUP_BYTES, closed segments past the page cache
                       unless  it has the piece, and a scan ends with a piece */
    const uint64_t *slots; /* NULL, or 64 words with a bit per slot: records may be left out before others
                              that are in a segment without any of these slots */
    /* the answer */
    uint64_t next; /* where to go on */
    /* private to read.c */
    struct window *window; /* owns */
    uint32_t log;
    uint64_t segment;             /* the window's */
    uint64_t offset;              /* of the group with record `next`, or that will have it */
    uint64_t group_first;         /* positions of that group, when it is in the window and whole ... */
    uint64_t group_next;          /* ... else both are 0 */
    uint64_t record, record_next; /* in it: where the record of position record_next begins */
};

/* One record; `entry`'s offset is 0 and topic is 0: ids are not kept, names are in the bytes. `identity`: of
 * source and id, by event_identity; 0 in what is no event. The bytes are valid in the call only. False: it is
 * not taken, and nothing more is wanted. */
typedef bool journal_take(void *user, uint64_t position, const struct log_entry *entry, uint64_t identity,
                          const uint8_t *bytes);
/* Gives the records from a position on, to the end of a segment at most, only what is durable. Any thread,
 * each with a reader of its own; never waits for a commit. Every byte is checked before it is given. 0 some
 * were offered, or only reader->next has moved (left out by `slots`, or lost by a cut) otherwise  as
 * journal_read */
int journal_scan(struct journal *journal, uint32_t log, uint64_t from, struct journal_reader *reader,
                 journal_take *take, void *user) MUST_USE;
/* Reads without giving anything, so that a scan from there finds it in memory; results as of a scan. */
int journal_load(struct journal *journal, uint32_t log, uint64_t from,
                 struct journal_reader *reader) MUST_USE;
/* The position behind the last record that it has in memory; 0: it has read nothing. */
uint64_t journal_reader_end(const struct journal_reader *reader);
/* Makes another one ready to be loaded from there, with what `reader` has of the group that begins there: so
 * that is not read twice. */
void journal_reader_follow(struct journal_reader *behind, const struct journal_reader *reader);
/* Whether the reader has the record in memory. */
bool journal_reader_has(const struct journal_reader *reader, uint32_t log, uint64_t position);
void journal_reader_free(
    struct journal_reader *reader); /* zeroed is allowed, and so its private part is left */

/* A row of records with consecutive positions, as they were in the ring. Zero it before the first use; the
 * buffers are its own, are used again by the next read and grow up to bytes_max and one record more. */
struct journal_stretch {
    /* the caller's */
    uint64_t bytes_max;    /* frames of one read, 0 = JOURNAL_GROUP_BYTES; one record is given in any case */
    const uint64_t *slots; /* as in struct journal_reader */
    /* the answer */
    uint64_t first; /* position of entries[0]; above `from` by what `slots` left out, or a cut has lost */
    uint64_t next;  /* where to go on: first + count */
    uint32_t count; /* records; 0: only `next` has moved (left out by `slots`) */
    struct log_entry
        *entries;         /* offset is from `frames`; topic is 0: ids are not kept, names are in the frame */
    uint64_t *identities; /* of source and id, by event_identity; 0 in what is no event */
    uint8_t *frames;
    uint64_t frames_bytes;
    /* private to read.c */
    struct journal_reader reader;
    uint32_t entries_room;
    uint64_t frames_room;
};

/* Reads on from a position, over closed and current segments, only what is durable. Any thread, each with a
 * stretch of its own; never waits for a commit. Every byte is checked before it is given.
 *   0          stretch->first..next - 1 are there
 *   -ENODATA   from >= journal_next: nothing is durable there yet
 *   -ERANGE    from < journal_oldest: trimmed; a Gap up to journal_oldest
 *   -EBADMSG   what was written is not what is read: the disk has damaged it
 *   -ENOMEM, or the errno of the disk */
int journal_read(struct journal *journal, uint32_t log, uint64_t from,
                 struct journal_stretch *stretch) MUST_USE;
void journal_stretch_free(struct journal_stretch *stretch); /* zeroed is allowed, and so it is left */

/* ---- numbers ---- */

/* Upper ends of the buckets of sync times, the last has none. */
#define JOURNAL_SYNC_BUCKETS 7u
extern const uint64_t journal_sync_bucket_ns[JOURNAL_SYNC_BUCKETS - 1];

/* Of one log, for metrics: read by anyone. */
struct journal_counters {
    /* written by its commit thread */
    struct counter groups;      /* durable, without seals */
    struct counter seals;       /* durable SEAL groups */
    struct counter records;     /* durable */
    struct counter bytes;       /* written, with headers and padding */
    struct counter syncs;       /* durable writes that returned */
    struct counter sync_ns;     /* time spent in them, all together */
    struct counter sync_ns_max; /* the longest */
    struct counter sync_buckets[JOURNAL_SYNC_BUCKETS];
    struct counter proven;  /* the last position that a group on disk proves */
    struct counter durable; /* the first position that is not durable */
    struct counter segment; /* number of the current one */
    struct counter waits;   /* times a full segment waited for a spare */
    struct counter direct;  /* 1: O_DIRECT and RWF_DSYNC, 0: write and fdatasync */
    /* written by the housekeeping thread */
    struct counter segments;       /* on disk, without the spare */
    struct counter segments_bytes; /* of them */
    struct counter trimmed;        /* segments */
    struct counter oldest;         /* the lowest position that is still there */
    struct counter spares_refused; /* times a spare could not be made for want of room */
};
const struct journal_counters *journal_counters(const struct journal *journal, uint32_t log);
