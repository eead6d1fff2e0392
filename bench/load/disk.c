/* The disk alone: sequential writes over a file that is there already, each of them synced before the next
 * one, in the way in which the router's journal does it: past the page cache and RWF_DSYNC, and where a file
 * system refuses that, a write and fdatasync. What a journal can reach at most, measured in the same run.
 * Or sequential reads of such a file, one after the other: past the page cache, and where that is refused,
 * after the cache has given it up. */
#include "bench/load/modes.h"

#include "bench/load/quit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILL_BYTES (4u << 20)

struct disk {
    int file;
    bool direct;
    uint64_t offset;
};

static _Noreturn void failed(const char *directory, const char *what) {
    quit(QUIT_UNAVAILABLE, "%s: %s: %s", directory, what, strerror(errno));
}

static uint8_t *block_make(size_t size) {
    uint8_t *block = aligned_alloc(DISK_BLOCK_BYTES, size);
    if (block == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)(i * 251 >> 3);
    return block;
}

/* The file has no name any more when it is measured: nothing is left behind, however this ends. */
static struct disk disk_make(const char *directory, uint64_t bytes, const uint8_t *fill) {
    char path[PATH_MAX];
    struct disk disk = {.direct = true};
    int length = snprintf(path, sizeof path, "%s/bench-disk-%d", directory, (int)getpid());
    if (length < 0 || (size_t)length >= sizeof path)
        quit(QUIT_USAGE, "--directory is too long");
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        failed(directory, "a file can not be made");
    disk.file = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    (void)unlink(path);
    for (uint64_t at = 0; at < bytes; at += FILL_BYTES)
        if (pwrite(file, fill, FILL_BYTES, (off_t)at) != (ssize_t)FILL_BYTES)
            failed(directory, "there is no room");
    if (fdatasync(file) != 0)
        failed(directory, "a sync failed");
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    if (disk.file >= 0) {
        (void)close(file);
        return disk;
    }
    return (struct disk){.file = file};
}

/* One write that is durable when it returns. */
static void disk_write(struct disk *disk, const struct options *o, uint8_t *block) {
    struct iovec piece = {.iov_base = block, .iov_len = o->write_bytes};
    if (disk->offset + o->write_bytes > DISK_FILE_BYTES)
        disk->offset = 0;
    ssize_t took = pwritev2(disk->file, &piece, 1, (off_t)disk->offset, disk->direct ? RWF_DSYNC : 0);
    if (took != (ssize_t)o->write_bytes || (!disk->direct && fdatasync(disk->file) != 0))
        failed(o->directory, "a write failed");
    disk->offset += o->write_bytes;
}

static void disk_read(struct disk *disk, const struct options *o, uint8_t *block) {
    if (disk->offset + o->write_bytes > DISK_READ_BYTES) {
        disk->offset = 0;
        (void)posix_fadvise(disk->file, 0, 0, POSIX_FADV_DONTNEED);
    }
    if (pread(disk->file, block, o->write_bytes, (off_t)disk->offset) != (ssize_t)o->write_bytes)
        failed(o->directory, "a read failed");
    disk->offset += o->write_bytes;
}

void disk_run(const struct options *options, struct report *report) {
    static struct histogram latency;
    uint64_t file_bytes = options->read ? DISK_READ_BYTES : DISK_FILE_BYTES;
    uint8_t *fill = block_make(FILL_BYTES), *block = block_make(options->write_bytes);
    if (!options->read)
        memset(fill, 0, FILL_BYTES); /* as a segment is before it is used */
    struct disk disk = disk_make(options->directory, file_bytes, fill);
    uint64_t begin_ns = net_now_ns(), now_ns = begin_ns, calls = 0;
    while (now_ns - begin_ns < (uint64_t)(options->seconds * 1e9) || calls == 0) {
        uint64_t from_ns = now_ns;
        memcpy(block, &calls, sizeof calls);
        (options->read ? disk_read : disk_write)(&disk, options, block);
        now_ns = net_now_ns();
        histogram_add(&latency, now_ns - from_ns, 1);
        calls++;
    }
    (void)close(disk.file);
    free(fill);
    free(block);
    report_number(report, "seconds", (double)(now_ns - begin_ns) / 1e9);
    report_count(report, options->read ? "reads" : "writes", calls);
    report_count(report, options->read ? "read_bytes" : "written_bytes", calls * options->write_bytes);
    report_count(report, "direct", disk.direct);
    report_latency(report, &latency);
}
