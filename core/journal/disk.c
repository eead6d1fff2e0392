#include "core/journal/disk.h"

#include "core/base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define DISK_TRIES 16u /* writes in a row that take nothing, or are interrupted: then it is an error */

struct disk_real {
    struct disk disk;
    int root; /* owns; the directory, and the lock on it */
};

static int real_root(const struct disk *disk) {
    return ((const struct disk_real *)disk)->root;
}

static int real_open(struct disk *disk, const char *name, enum disk_how how) {
    static const int flags[] = {[DISK_READ] = O_RDONLY,
                                [DISK_WRITE] = O_RDWR,
                                [DISK_DIRECT] = O_RDWR | O_DIRECT,
                                [DISK_CREATE] = O_RDWR | O_CREAT | O_TRUNC};
    int file = openat(real_root(disk), name, flags[how] | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return -errno;
    /* Reads are large and of what is durable: what lies behind it would be read before it is written. */
    if (how == DISK_READ)
        (void)posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
    return file;
}

static void real_close(struct disk *disk, int file) {
    (void)disk;
    (void)close(file); /* nothing that matters is written by it: all is synced, or is evidence only */
}

static int64_t real_size(struct disk *disk, int file) {
    struct stat stat;
    (void)disk;
    if (fstat(file, &stat) != 0)
        return -errno;
    return S_ISREG(stat.st_mode) ? stat.st_size : -EINVAL;
}

static void real_ahead(struct disk *disk, int file, uint64_t bytes, uint64_t offset) {
    (void)disk;
    (void)posix_fadvise(file, (off_t)offset, (off_t)bytes, POSIX_FADV_WILLNEED);
}

static int64_t real_read(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) {
    (void)disk;
    ssize_t got = pread(file, out, bytes < SSIZE_MAX ? bytes : SSIZE_MAX, (off_t)offset);
    return got < 0 ? -errno : got;
}

/* cachestat is newer than some kernels we run on, and than the C library. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

static bool cached(int file, uint64_t bytes, uint64_t offset) {
    struct {
        uint64_t offset, length;
    } range = {offset, bytes};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } pages = {0};
    return syscall(SYS_cachestat, file, &range, &pages, 0) == 0 &&
           pages.cached * (uint64_t)sysconf(_SC_PAGESIZE) >= bytes;
}

static int64_t real_read_past(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) {
    int flags = fcntl(file, F_GETFL);
    if (cached(file, bytes, offset) || fcntl(file, F_SETFL, flags | O_DIRECT) != 0)
        return real_read(disk, file, out, bytes, offset);
    int64_t got = real_read(disk, file, out, bytes, offset);
    (void)fcntl(file, F_SETFL, flags);
    return got;
}

static int64_t real_write(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset,
                          bool durable) {
    (void)disk;
    union {
        const void *from;
        void *base; /* of an iovec, which serves reading, too */
    } start = {.from = from};
    struct iovec piece = {.iov_base = start.base, .iov_len = bytes};
    ssize_t took = pwritev2(file, &piece, 1, (off_t)offset, durable ? RWF_DSYNC : 0);
    return took < 0 ? -errno : took;
}

static int real_sync(struct disk *disk, int file) {
    (void)disk;
    return fdatasync(file) == 0 ? 0 : -errno;
}

static void real_forget(struct disk *disk, int file) {
    (void)disk;
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
}

static int real_rename(struct disk *disk, const char *from, const char *to) {
    return renameat(real_root(disk), from, real_root(disk), to) == 0 ? 0 : -errno;
}

static int real_unlink(struct disk *disk, const char *name) {
    return unlinkat(real_root(disk), name, 0) == 0 ? 0 : -errno;
}

static int real_make_directory(struct disk *disk, const char *name) {
    return mkdirat(real_root(disk), name, 0700) == 0 ? 0 : -errno;
}

static int real_directory(const struct disk *disk, const char *name) {
    int file = openat(real_root(disk), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return file < 0 ? -errno : file;
}

static int real_sync_directory(struct disk *disk, const char *name) {
    int file = real_directory(disk, name);
    if (file < 0)
        return file;
    int result = fsync(file) == 0 ? 0 : -errno;
    (void)close(file);
    return result;
}

static int real_list(struct disk *disk, const char *name, void (*found)(void *user, const char *name),
                     void *user) {
    int file = real_directory(disk, name);
    if (file < 0)
        return file;
    DIR *entries = fdopendir(file);
    if (entries == NULL) {
        (void)close(file);
        return -ENOMEM;
    }
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            found(user, entry->d_name);
    int result = -errno;
    (void)closedir(entries);
    return result;
}

static int real_lock(struct disk *disk, bool shared) {
    return flock(real_root(disk), (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 ? 0 : -errno;
}

static int real_random(struct disk *disk, void *out, size_t bytes) {
    (void)disk;
    return getrandom(out, bytes, 0) == (ssize_t)bytes ? 0 : -EIO;
}

static const struct disk_calls disk_real_calls = {
    .open = real_open,
    .close = real_close,
    .size = real_size,
    .read = real_read,
    .read_past = real_read_past,
    .ahead = real_ahead,
    .write = real_write,
    .sync = real_sync,
    .forget = real_forget,
    .rename = real_rename,
    .unlink = real_unlink,
    .make_directory = real_make_directory,
    .sync_directory = real_sync_directory,
    .list = real_list,
    .lock = real_lock,
    .random = real_random,
};

/* Makes the directory and syncs its parent, so that what is acknowledged in it is not lost with its name. */
static int root_make(const char *directory) {
    char parent[PATH_MAX];
    if (mkdir(directory, 0700) != 0)
        return errno == EEXIST ? 0 : -errno;
    int length = snprintf(parent, sizeof parent, "%s/..", directory);
    if (length < 0 || (size_t)length >= sizeof parent)
        return -ENAMETOOLONG;
    int file = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int result = fsync(file) == 0 ? 0 : -errno;
    (void)close(file);
    return result;
}

int disk_real_open(struct disk **out, const char *directory, bool make) {
    int result = make ? root_make(directory) : 0;
    if (result != 0)
        return result;
    struct disk_real *real = malloc(sizeof *real);
    if (real == NULL)
        return -ENOMEM;
    real->disk.calls = &disk_real_calls;
    real->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (real->root < 0) {
        result = -errno;
        free(real);
        return result;
    }
    *out = &real->disk;
    return 0;
}

void disk_real_close(struct disk *disk) {
    if (disk == NULL)
        return;
    (void)close(real_root(disk));
    free(disk);
}

/* ---- over interruptions and short answers ---- */

static int read_on(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset,
                   int64_t (*read)(struct disk *, int, void *, uint64_t, uint64_t)) {
    for (uint64_t done = 0; done < bytes;) {
        int64_t got = read(disk, file, (uint8_t *)out + done, bytes - done, offset + done);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? (int)got : -ENODATA;
        done += (uint64_t)got;
    }
    return 0;
}

int disk_read_all(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) {
    return read_on(disk, file, out, bytes, offset, disk->calls->read);
}

/* A read that is cut short within a block can not go on past the cache either: all of it is read again. */
int disk_read_past(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) {
    int result = -EINVAL;
    if (disk->calls->read_past != NULL)
        result = read_on(disk, file, out, bytes, offset, disk->calls->read_past);
    return result == -EINVAL ? disk_read_all(disk, file, out, bytes, offset) : result;
}

/* A short write on a direct file goes on at a block: the rest of that block is written again. */
static int write_on(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset,
                    bool durable) {
    bool blocks = bytes % JOURNAL_BLOCK_BYTES == 0;
    uint32_t tries = 0;
    for (uint64_t done = 0; done < bytes;) {
        int64_t took = disk->calls->write(disk, file, (const uint8_t *)from + done, bytes - done,
                                          offset + done, durable);
        if (took < 0 && took != -EINTR)
            return (int)took;
        uint64_t more = took < 0 ? 0 : (uint64_t)took;
        if (blocks)
            more -= more % JOURNAL_BLOCK_BYTES;
        tries = more > 0 ? 0 : tries + 1;
        if (tries > DISK_TRIES)
            return -EIO;
        done += more;
    }
    return 0;
}

int disk_write_all(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset) {
    return write_on(disk, file, from, bytes, offset, false);
}

/* Interrupted before it was done is not failed: no error has been taken from the kernel by it. */
int disk_sync(struct disk *disk, int file) {
    int result = -EINTR;
    for (uint32_t tries = 0; result == -EINTR && tries < DISK_TRIES; tries++)
        result = disk->calls->sync(disk, file);
    return result;
}

int disk_put(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset, bool *direct) {
    if (*direct) {
        int result = write_on(disk, file, from, bytes, offset, true);
        if (result != -EOPNOTSUPP)
            return result;
        *direct = false;
    }
    int result = write_on(disk, file, from, bytes, offset, false);
    return result != 0 ? result : disk_sync(disk, file);
}

int disk_sync_named(struct disk *disk, const char *name) {
    int file = disk->calls->open(disk, name, DISK_WRITE);
    if (file < 0)
        return file;
    int result = disk_sync(disk, file);
    disk->calls->forget(disk, file);
    disk->calls->close(disk, file);
    return result;
}
