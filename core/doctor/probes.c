/* probes.c: what the doctor asks of the kernel. */
#include "core/doctor/doctor.h"

#include "core/base/clock.h"
#include "core/config/cpus.h"
#include "core/config/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Some are not in every version of linux/magic.h. */
#define MAGIC_XFS    0x58465342
#define MAGIC_NFS    0x6969
#define MAGIC_CIFS   0xff534d42
#define MAGIC_SMB2   0xfe534d42
#define MAGIC_FUSE   0x65735546
#define MAGIC_ZFS    0x2fc12fc1
#define MAGIC_F2FS   0xf2f52010
#define MAGIC_CEPH   0x00c36400
#define MAGIC_V9FS   0x01021997
#define MAGIC_BCACHE 0xca451a4e

static int limit_of(int resource, struct rlimit *limit) {
    return getrlimit((__rlimit_resource_t)resource, limit);
}

static int clock_of(struct timex *state) {
    return adjtimex(state);
}

/* ---- the directory of the journal ---- */

/* A file that nobody else sees: without a name where the file system can do that, else unlinked at once. */
static int file_open(const char *directory) {
    char path[JOURNAL_DIR_BYTES_MAX + 32];
    int file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0)
        return file;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return -errno;
    (void)snprintf(path, sizeof path, "%s/.doctor-XXXXXX", directory);
    file = mkostemp(path, O_CLOEXEC);
    if (file < 0)
        return -errno;
    (void)unlink(path);
    return file;
}

static int enter(const char *directory) {
    int file = file_open(directory);
    if (file < 0)
        return file;
    (void)close(file);
    return 0;
}

static int by_size(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

/* As the journal writes: into blocks that are there already. */
static int syncs_measure(int file, struct doctor_sync *sync) {
    static const char block[JOURNAL_BLOCK_BYTES] = {1};
    uint64_t times[DOCTOR_SYNCS];
    int result = posix_fallocate(file, 0, (off_t)(sizeof block * (DOCTOR_SYNCS + 1)));
    if (result != 0)
        return -result;
    uint64_t begin_ns = clock_mono_ns();
    sync->count = 0;
    for (uint32_t i = 0; i <= DOCTOR_SYNCS && clock_mono_ns() - begin_ns < DOCTOR_SYNC_NS_MAX; i++) {
        uint64_t before_ns = clock_mono_ns();
        if (pwrite(file, block, sizeof block, (off_t)(i * sizeof block)) != (ssize_t)sizeof block ||
            fdatasync(file) != 0)
            return errno != 0 ? -errno : -EIO;
        if (i > 0) /* the first one writes what the file itself needs */
            times[sync->count++] = clock_mono_ns() - before_ns;
    }
    if (sync->count == 0)
        return -ETIMEDOUT;
    qsort(times, sync->count, sizeof times[0], by_size);
    sync->median_ns = times[sync->count / 2];
    sync->longest_ns = times[sync->count - 1];
    return 0;
}

static int sync_of(const char *directory, struct doctor_sync *sync) {
    int file = file_open(directory);
    if (file < 0)
        return file;
    int result = syncs_measure(file, sync);
    (void)close(file);
    return result;
}

static const char *type_name(unsigned long magic) {
    static const struct {
        unsigned long magic;
        const char *name;
    } types[] = {{EXT4_SUPER_MAGIC, "ext4"}, {MAGIC_XFS, "xfs"},     {BTRFS_SUPER_MAGIC, "btrfs"},
                 {MAGIC_ZFS, "zfs"},         {MAGIC_F2FS, "f2fs"},   {MAGIC_BCACHE, "bcachefs"},
                 {TMPFS_MAGIC, "tmpfs"},     {RAMFS_MAGIC, "ramfs"}, {OVERLAYFS_SUPER_MAGIC, "overlay"},
                 {MAGIC_NFS, "nfs"},         {MAGIC_CIFS, "cifs"},   {MAGIC_SMB2, "smb"},
                 {MAGIC_CEPH, "ceph"},       {MAGIC_V9FS, "9p"},     {MAGIC_FUSE, "fuse"}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].magic == magic)
            return types[i].name;
    return NULL;
}

static int space_of(const char *directory, struct doctor_space *space) {
    struct statfs type;
    struct statvfs room;
    if (statfs(directory, &type) != 0 || statvfs(directory, &room) != 0)
        return -errno;
    *space = (struct doctor_space){.type = type_name((unsigned long)type.f_type & 0xffffffffUL),
                                   .free_bytes = (uint64_t)room.f_bavail * room.f_frsize,
                                   .size_bytes = (uint64_t)room.f_blocks * room.f_frsize,
                                   .read_only = (room.f_flag & ST_RDONLY) != 0};
    return 0;
}

const struct doctor_probes doctor_probes_real = {
    .choose = io_choose,
    .limit = limit_of,
    .clock = clock_of,
    .listen = io_listen_socket,
    .enter = enter,
    .sync = sync_of,
    .space = space_of,
    .cpus = config_cpus,
    .cpu_has = config_cpus_has,
    .memory = config_memory_free,
};
