/* manifest.h: MANIFEST, the two copies of what a journal is.
 * Owner: journal.c at start, then the housekeeping thread.
 * One thread at a time.
 * Blocks: storing writes and syncs each copy in turn, the older one first, so that one of them is whole at
 * any time, and so that damage to one later costs nothing. Fails with a trouble, or negative errno. */
#pragma once

#include "core/journal/disk.h"
#include "core/journal/format.h"
#include "core/journal/journal.h"

#define MANIFEST_NAME "MANIFEST"

/* 0 read, -ENOENT no such file, -1 refused with *trouble. Without `sync` nothing may be done because of it.
 */
int manifest_load(struct format_manifest *manifest, struct disk *disk, const char *directory, bool sync,
                  struct journal_trouble *trouble) MUST_USE;
/* Makes a new one in a directory that has none: complete or not there at all. */
int manifest_make(struct format_manifest *manifest, struct disk *disk) MUST_USE;
/* Raises the generation and stores both copies. */
int manifest_store(struct format_manifest *manifest, struct disk *disk) MUST_USE;
