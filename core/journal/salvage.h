/* salvage.h: what is done to a journal that no router has open: verify, export, cut.
 * Owner: the command that opens it; one thread.
 * verify and export change nothing and may run beside each other; cut has the directory for itself.
 * Blocks: reads all segments, at the disk's speed.
 * Fails with a trouble, as journal_open does; what is damaged is told line by line. */
#pragma once

#include "core/journal/chain.h"
#include "core/journal/journal.h"
#include "core/journal/manifest.h"

#include <stdbool.h>
#include <stdint.h>

struct salvage {
    struct disk *disk;
    bool disk_is_ours;
    const char *directory; /* borrows */
    struct format_manifest manifest;
    bool manifest_good;            /* it could be read; else what `export` can do is still done */
    struct journal_trouble reason; /* why not */
};

/* Where lines go: whole sentences without a line end. */
struct salvage_lines {
    void (*line)(void *user, const char *text);
    void *user;
};

/* `disk` NULL: the real one. Takes the lock, alone if `alone`. 0 or -1. */
int salvage_open(struct salvage *salvage, const char *directory, struct disk *disk, bool alone,
                 struct journal_trouble *trouble) MUST_USE;
void salvage_close(struct salvage *salvage);

/* One line for each log, with what is in it or what is wrong with it. 0: whatever is there is explained by a
 * crash at most; 1: some of it is damaged; -1 with *trouble. */
int salvage_verify(struct salvage *salvage, const struct salvage_lines *lines,
                   struct journal_trouble *trouble) MUST_USE;

/* Gives every record that can be read of a log, in order, from a position on; lines tell what can not. false
 * from `record` ends it. 0: all was readable; 1: not all; -1 with *trouble. A log that is not there has
 * nothing. */
struct salvage_sink {
    bool (*record)(void *user, uint32_t log, const struct format_record *record, const uint8_t *bytes);
    void *user;
};
int salvage_export(struct salvage *salvage, uint32_t log, uint64_t from, const struct salvage_sink *sink,
                   const struct salvage_lines *lines, struct journal_trouble *trouble) MUST_USE;

/* Cuts every damaged log where its damage begins. The segments that are changed or taken away are kept beside
 * it (NAME.cut-STAMP), what is lost stands in loss-STAMP.txt and in the lines. Positions go on far behind
 * what is lost, as they may have been seen. Can be run again when it was interrupted; until it has ended the
 * journal is refused. 0: nothing is damaged, nothing was changed; 1: it was cut; -1 with *trouble. */
int salvage_cut(struct salvage *salvage, uint64_t wall_ns, const struct salvage_lines *lines,
                struct journal_trouble *trouble) MUST_USE;

/* Shared by the two files. */
void salvage_line(const struct salvage_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int salvage_chain(const struct salvage *salvage, struct chain *chain, uint32_t log) MUST_USE;
