/* numbers.h: the numbers of interchanges that go out to one partner, who takes each only once: they are
 * counted, never drawn, and a document that is made again has the number that it had.
 * One small file. Its lines are added with one write each, which outlives the process; that numbers are in
 * use is on disk before the first of them goes out, a hundred at a time, so that after a crash none comes
 * again, though some may be left out. From time to time all is written anew: a temporary file, synced,
 * renamed, and its directory synced.
 * Owner: the spoke. Thread: its own. Blocks as the file system does.
 * Fails with negative errno; what has no number must not go out then. */
#pragma once

#include "core/base/check.h"

#include <stddef.h>
#include <stdint.h>

#define NUMBERS_FILE   "outbound.numbers"
#define NUMBERS_MOST   999999999u /* nine digits; then 1 again */
#define NUMBERS_RECENT 16384u     /* documents that are remembered: more than can be on their way */

struct numbers;

/* What a document is made of, the same each time. */
struct numbers_key {
    uint64_t low, high;
};

/* In a directory that is there. NULL: *why has a sentence. */
struct numbers *numbers_open(const char *dir, char *why, size_t why_bytes) MUST_USE;
void numbers_close(struct numbers *numbers); /* NULL is allowed */

/* 0 and the number of the document, 1 to NUMBERS_MOST; or why it can have none. */
int numbers_take(struct numbers *numbers, struct numbers_key key, uint32_t *number) MUST_USE;
