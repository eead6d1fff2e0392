/* look_disk.c: the journal's directory: whether it can be used, on what it lies, how long a sync takes, and
 * how much room there is. */
#include "core/config/value.h"
#include "core/doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DISK_STATUS       70
#define SYNC_SLOW_NS      (20u * NS_PER_MS)
#define SYNC_SLOWEST_NS   (200u * NS_PER_MS)
#define SYNC_UNLIKELY_NS  (10u * NS_PER_US) /* no medium answers so soon */
#define SEGMENTS_OF_A_LOG 2u

static bool is_one_of(const char *type, const char *const *list) {
    for (; *list != NULL; list++)
        if (strcmp(type, *list) == 0)
            return true;
    return false;
}

static void look_type(const char *directory, const struct doctor_space *space, struct findings *findings) {
    static const char *const memory[] = {"tmpfs", "ramfs", NULL};
    static const char *const network[] = {"nfs", "cifs", "smb", "ceph", "9p", "fuse", NULL};
    const char *type = space->type != NULL ? space->type : "one without a name here";
    if (is_one_of(type, memory))
        finding_advise(finding_add(findings, FINDING_WARN, "disk",
                                   "%s lies in memory (%s): a journal there does not outlive the machine",
                                   directory, type),
                       "a directory on a disk");
    else if (is_one_of(type, network))
        finding_advise(
            finding_add(findings, FINDING_WARN, "disk",
                        "%s lies on %s: what such a file system says to have written may not be on a "
                        "disk, and its locks may hold for nobody else",
                        directory, type),
            "a disk of this machine, with ext4 or XFS");
    else if (strcmp(type, "overlay") == 0)
        finding_advise(finding_add(findings, FINDING_WARN, "disk",
                                   "%s lies in the layer of a container (overlay): the journal goes with the "
                                   "container",
                                   directory),
                       "mount a volume there");
    else
        finding_add(findings, FINDING_OK, "disk", "%s: the file system is %s", directory, type);
}

static void look_sync(const struct doctor *doctor, const char *directory, struct findings *findings) {
    struct doctor_sync sync;
    int result = doctor->probes.sync(directory, &sync);
    if (result != 0) {
        finding_add(findings, FINDING_WARN, "disk", "%s: how long a sync takes can not be measured: %s",
                    directory, strerror(-result));
        return;
    }
    double median_ms = (double)sync.median_ns / 1e6, longest_ms = (double)sync.longest_ns / 1e6;
    enum finding_grade grade = sync.median_ns > SYNC_SLOWEST_NS    ? FINDING_WARN
                               : sync.median_ns > SYNC_SLOW_NS     ? FINDING_NOTE
                               : sync.median_ns < SYNC_UNLIKELY_NS ? FINDING_NOTE
                                                                   : FINDING_OK;
    struct finding *finding = finding_add(
        findings, grade, "disk",
        "a sync of 4 KiB takes %.3f ms (median of %u; the longest %.3f ms): a publisher that waits "
        "for each event on disk gets about %.0f acknowledgements a second, many publishers share a "
        "sync",
        median_ms, sync.count, longest_ms, 1e9 / (double)(sync.median_ns > 0 ? sync.median_ns : 1));
    if (sync.median_ns < SYNC_UNLIKELY_NS)
        finding_advise(finding,
                       "look whether that disk really writes (a virtual disk with cache=unsafe, a file "
                       "system in memory): with one that does not, `disk` means little");
    else if (grade != FINDING_OK)
        finding_advise(finding,
                       "a disk of its own for the journal, or a faster one; subscribers of disk topics "
                       "wait for it, too");
}

static void look_room(const struct config *config, const char *directory, bool is_new,
                      const struct doctor_space *space, struct findings *findings) {
    char room[CONFIG_VALUE_BYTES], need[CONFIG_VALUE_BYTES], kept[CONFIG_VALUE_BYTES];
    uint64_t least = (uint64_t)config->journal_logs * SEGMENTS_OF_A_LOG * config->journal_segment_bytes;
    config_size_text(room, space->free_bytes / MIB * MIB);
    config_size_text(need, least);
    config_size_text(kept, config->journal_retain_bytes);
    if (space->read_only || (is_new && space->free_bytes < least)) {
        finding_advise(finding_fail(findings, DISK_STATUS, "disk",
                                    space->read_only ? "%s: the file system is read-only"
                                                     : "%s: %s are free, and a new journal takes %s at once",
                                    directory, room, need),
                       "make room, write a smaller journal.segment, or use another directory");
        return;
    }
    if (config->journal_retain_bytes == 0 && config->journal_retain_ns == 0)
        finding_advise(
            finding_add(findings, FINDING_WARN, "disk",
                        "%s are free, and the journal keeps everything until they are used up; then "
                        "publishers to disk topics wait",
                        room),
            "set journal.retain_bytes or journal.retain_age; rate(roundhouse_journal_bytes_total[1h]) "
            "says how fast it grows");
    else if (config->journal_retain_bytes + least > space->size_bytes)
        finding_advise(finding_add(findings, FINDING_WARN, "disk",
                                   "journal.retain_bytes is %s and the file system has %" PRIu64
                                   " MiB: it is full before anything is removed",
                                   kept, space->size_bytes / MIB),
                       "write a smaller journal.retain_bytes: three quarters of the disk at most");
    else
        finding_add(findings, FINDING_OK, "disk", "%s are free in %s", room, directory);
}

/* The directory itself, or the one in which it will be made. */
static void directory_of(const char *wanted, char *out, size_t size, bool *is_new) {
    struct stat there;
    *is_new = stat(wanted, &there) != 0 && errno == ENOENT;
    (void)snprintf(out, size, "%s", wanted);
    if (!*is_new)
        return;
    size_t length = strlen(out);
    while (length > 1 && out[length - 1] == '/')
        out[--length] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        (void)snprintf(out, size, ".");
    else
        slash[slash == out] = '\0';
}

void doctor_look_disk(const struct doctor *doctor, struct findings *findings) {
    char directory[JOURNAL_DIR_BYTES_MAX];
    struct doctor_space space = {0};
    bool is_new;
    if (!config_journalled(doctor->config))
        return;
    directory_of(doctor->config->journal_dir, directory, sizeof directory, &is_new);
    int result = doctor->probes.enter(directory);
    if (result != 0) {
        finding_advise(finding_fail(findings, DISK_STATUS, "disk", "no file can be made in %s: %s", directory,
                                    strerror(-result)),
                       result == -ENOENT ? "the directory above that of the journal must be there: make it"
                                         : "the directory must be one that this user may write; who runs the "
                                           "router has to run the doctor, too");
        return;
    }
    if (doctor->probes.space(directory, &space) == 0) {
        look_type(directory, &space, findings);
        look_room(doctor->config, directory, is_new, &space, findings);
    }
    look_sync(doctor, directory, findings);
}
