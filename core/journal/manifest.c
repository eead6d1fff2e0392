#include "core/journal/manifest.h"

#include "core/journal/trouble.h"

#include <errno.h>
#include <string.h>

#define MANIFEST_NEW MANIFEST_NAME ".new"

/* Of two copies: what is wrong with each, and which one counts. */
static int manifest_choose(struct format_manifest *manifest, const struct format_manifest copies[2],
                           const char *directory, struct journal_trouble *trouble) {
    const char *wrong[2];
    for (unsigned i = 0; i < 2; i++) {
        bool newer;
        wrong[i] = format_manifest_wrong(&copies[i], &newer);
        if (newer)
            return trouble_set(trouble, TROUBLE_DATA,
                               "journal %s: its version is %u, this program knows %u: use the newer program",
                               directory, copies[i].version, FORMAT_VERSION);
    }
    if (wrong[0] != NULL && wrong[1] != NULL)
        return trouble_set(
            trouble, TROUBLE_DATA,
            "journal %s: both copies in MANIFEST are damaged (the first: %s; the second: %s). "
            "Nothing has been changed. `roundhouse journal export %s` prints what its segments "
            "hold; to go on, use a new directory",
            directory, wrong[0], wrong[1], directory);
    bool second = wrong[0] != NULL || (wrong[1] == NULL && copies[1].generation > copies[0].generation);
    *manifest = copies[second];
    return 0;
}

/* A file that is cut short has zeros for what is missing: neither copy is valid then, or one is. */
static int manifest_read(struct format_manifest copies[2], struct disk *disk, int file) {
    int64_t size = disk->calls->size(disk, file);
    if (size < 0)
        return (int)size;
    uint64_t most = 2 * sizeof copies[0];
    memset(copies, 0, most);
    return disk_read_all(disk, file, copies, (uint64_t)size < most ? (uint64_t)size : most, 0);
}

/* What an earlier process wrote and did not sync must not be believed, and acted on, while the medium does
 * not have it. */
static int manifest_sync(struct disk *disk) {
    int result = disk_sync_named(disk, MANIFEST_NAME);
    return result != 0 ? result : disk->calls->sync_directory(disk, ".");
}

int manifest_load(struct format_manifest *manifest, struct disk *disk, const char *directory, bool sync,
                  struct journal_trouble *trouble) {
    struct format_manifest copies[2];
    int file = sync ? manifest_sync(disk) : 0;
    if (file == 0)
        file = disk->calls->open(disk, MANIFEST_NAME, DISK_READ);
    if (file == -ENOENT)
        return file;
    if (file < 0)
        return trouble_disk(trouble, file, "journal: MANIFEST in", directory);
    int result = manifest_read(copies, disk, file);
    disk->calls->close(disk, file);
    if (result != 0)
        return trouble_disk(trouble, result, "journal: MANIFEST in", directory);
    return manifest_choose(manifest, copies, directory, trouble);
}

static int manifest_write(struct format_manifest *manifest, struct disk *disk, int file) {
    manifest->generation++;
    format_manifest_close(manifest);
    uint64_t offset = (manifest->generation % 2) * sizeof *manifest;
    int result = disk_write_all(disk, file, manifest, sizeof *manifest, offset);
    return result != 0 ? result : disk_sync(disk, file);
}

static int manifest_write_both(struct format_manifest *manifest, struct disk *disk, const char *name,
                               enum disk_how how) {
    int file = disk->calls->open(disk, name, how);
    if (file < 0)
        return file;
    int result = manifest_write(manifest, disk, file);
    if (result == 0)
        result = manifest_write(manifest, disk, file);
    disk->calls->close(disk, file);
    return result;
}

int manifest_make(struct format_manifest *manifest, struct disk *disk) {
    int result = manifest_write_both(manifest, disk, MANIFEST_NEW, DISK_CREATE);
    if (result == 0)
        result = disk->calls->rename(disk, MANIFEST_NEW, MANIFEST_NAME);
    return result != 0 ? result : disk->calls->sync_directory(disk, ".");
}

int manifest_store(struct format_manifest *manifest, struct disk *disk) {
    return manifest_write_both(manifest, disk, MANIFEST_NAME, DISK_WRITE);
}
