/* disk.h: the seam to the disk: everything that the journal does to files goes through this table.
 * Owner: whoever makes the disk; the journal borrows it. disk_real is the one body here, tests have another.
 * Any thread; one file is written by one thread at a time. Names are relative to the journal's directory.
 * Blocks: every call, as the disk does. Nothing is retried here: what EINTR, a short write or a failed sync
 * mean is decided by the helpers below, once.
 * Fails with negative errno. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_NAME_BYTES 64u /* the longest name: a log, a slash, a number of 12 digits, .jnl */

enum disk_how {
    DISK_READ,
    DISK_WRITE,  /* an existing file, through the page cache */
    DISK_DIRECT, /* an existing file, past it; -EINVAL where the file system has no such thing */
    DISK_CREATE, /* a new file, or an existing one made empty */
};

struct disk {
    const struct disk_calls *calls;
};

struct disk_calls {
    int (*open)(struct disk *disk, const char *name, enum disk_how how); /* a file's number */
    void (*close)(struct disk *disk, int file);
    int64_t (*size)(struct disk *disk, int file);
    int64_t (*read)(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset);
    /* The same of whole blocks into memory that is aligned to one, past the page cache unless it has them
     * all. May be NULL, and -EINVAL where the file system has no such thing. */
    int64_t (*read_past)(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset);
    /* These bytes will be read soon: the disk may begin. May be NULL. */
    void (*ahead)(struct disk *disk, int file, uint64_t bytes, uint64_t offset);
    /* `durable`: returns when the bytes are on the medium (RWF_DSYNC); -EOPNOTSUPP where that is unknown. On
     * a DISK_DIRECT file address, offset and bytes are multiples of JOURNAL_BLOCK_BYTES. May be short. */
    int64_t (*write)(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset,
                     bool durable);
    int (*sync)(struct disk *disk, int file); /* all that was written to the file, and its size */
    /* What is in the page cache and not waiting to be written is read from the medium again: after a failed
     * sync the cache may hold what the medium does not, and no later sync says so. */
    void (*forget)(struct disk *disk, int file);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *name);
    int (*make_directory)(struct disk *disk, const char *name);
    int (*sync_directory)(struct disk *disk, const char *name); /* "." is the journal's own */
    int (*list)(struct disk *disk, const char *name, void (*found)(void *user, const char *name), void *user);
    int (*lock)(struct disk *disk,
                bool shared); /* -EWOULDBLOCK: somebody else has it; given back at the end */
    int (*random)(struct disk *disk, void *out, size_t bytes);
};

/* The real disk at a directory, which is made if it is not there (its parent must be; then that is synced).
 */
int disk_real_open(struct disk **out, const char *directory, bool make) MUST_USE;
void disk_real_close(struct disk *disk); /* NULL is allowed; gives the lock back */

/* All of it, over EINTR and short reads; -ENODATA when the file ends before. */
int disk_read_all(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) MUST_USE;
/* The same by read_past where there is such a thing. Whole blocks. */
int disk_read_past(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) MUST_USE;
/* All of it, over EINTR and short writes; not durable. */
int disk_write_all(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset) MUST_USE;
/* All of it, and durable: by durable writes while *direct says so (set to false where they are not known),
 * else by a write and a sync. Whole blocks. After a failure nobody knows what is on the disk: it is not tried
 * again, and neither may the caller. */
int disk_put(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset,
             bool *direct) MUST_USE;
int disk_sync(struct disk *disk, int file) MUST_USE;
/* Syncs an existing file, and forgets what is cached of it: what is read then is on the medium. */
int disk_sync_named(struct disk *disk, const char *name) MUST_USE;
