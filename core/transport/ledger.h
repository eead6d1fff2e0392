/* ledger.h: what a directory's inbox must not forget over a kill: which files are settled and not yet moved,
 * and which contents were read lately.
 * One small file of checksummed lines. Lines are added with one write each, which outlives the process; from
 * time to time, and after any failure, all of it is written anew: a temporary file, synced, renamed, and its
 * directory synced. Whatever a crash leaves is either a whole line or is left out.
 * Owner: the inbox. Thread: the spoke's.
 * Blocks as the file system does; adding a line does not sync, ledger_sync does.
 * Fails with negative errno: what could not be written is in memory all the same, and the next call tries to
 * write all of it anew. Without a file that can be written, only a kill can forget. */
#pragma once

#include "core/transport/folder.h"

#include <stdint.h>

#define LEDGER_DIGEST_BYTES 32u

enum ledger_outcome { LEDGER_DONE, LEDGER_REJECTED };

/* A file whose events are settled, or that is refused: it is to be moved, not read again. The file is known
 * by its name, inode, size and time: another one under this name is none of it. */
struct ledger_file {
    enum ledger_outcome outcome;
    uint8_t digest[LEDGER_DIGEST_BYTES]; /* all zero: not known */
    uint64_t inode, size;
    int64_t modified_ns;
    char name[FOLDER_NAME_BYTES];
    char target[FOLDER_NAME_BYTES]; /* the name that it is given in done/ or rejected/ */
};

struct ledger;

/* Remembers `contents` at most, for `age_ms`. NULL: no memory. */
struct ledger *ledger_new(uint32_t contents, uint64_t age_ms) MUST_USE;
void ledger_free(struct ledger *ledger);

/* Reads what is there, in a place that is open; `found` is called for each file that is settled and was not
 * moved. Lines that are not whole are passed over. */
int ledger_load(struct ledger *ledger, const struct folder *place, const char *name,
                void (*found)(void *user, const struct ledger_file *file), void *user) MUST_USE;

/* ledger_settled: before a file is moved. ledger_moved: afterwards, or when it is gone. */
int ledger_settled(struct ledger *ledger, const struct ledger_file *file) MUST_USE;
int ledger_moved(struct ledger *ledger, const struct ledger_file *file) MUST_USE;
int ledger_sync(struct ledger *ledger) MUST_USE;

/* A content that was read and found good, and when (milliseconds since 1970). */
int ledger_remember(struct ledger *ledger, const uint8_t digest[LEDGER_DIGEST_BYTES],
                    uint64_t now_ms) MUST_USE;
bool ledger_remembers(const struct ledger *ledger, const uint8_t digest[LEDGER_DIGEST_BYTES],
                      uint64_t now_ms) MUST_USE;
