#include "tests/unit/core/journal/sim_disk.h"

#include "core/base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR        512u
#define SIM_INODES    512u
#define SIM_NAMES     128u
#define SIM_HANDLES   64u
#define SIM_CHANGES   256u
#define SIM_DIRECTORY UINT32_MAX

/* Of a sector: DIRTY is in the cache and will be written, LOST is in the cache and will not, FLYING is of the
 * write at which the power went, LEADS begins a write. */
enum { DIRTY = 1, LOST = 2, FLYING = 4, LEADS = 8 };

struct inode {
    uint8_t *now, *medium, *state;
    uint64_t size_now, size_medium, room;
    bool used;
};

struct name {
    char text[DISK_NAME_BYTES];
    uint32_t inode; /* or SIM_DIRECTORY */
    bool used;
};

/* A change of a directory that is not synced. */
struct change {
    enum change_kind { CHANGE_LINK, CHANGE_RENAME, CHANGE_UNLINK } kind;
    char text[DISK_NAME_BYTES], to[DISK_NAME_BYTES];
    uint32_t inode;
};

struct sim_disk {
    struct disk disk;
    uint64_t random, operations, crash_at, fail_at, capacity;
    uint32_t fail_times;
    int fail_error;
    char read_name[DISK_NAME_BYTES];
    uint64_t read_offset;
    int read_error;
    bool crashed, short_writes, no_direct, interrupted, shortened;
    struct inode inodes[SIM_INODES];
    struct name now[SIM_NAMES], medium[SIM_NAMES];
    struct change changes[SIM_CHANGES];
    uint32_t changes_count;
    struct {
        uint32_t inode;
        enum disk_how how;
        bool open;
        char text[DISK_NAME_BYTES];
    } handles[SIM_HANDLES];
};

static struct sim_disk *sim_of(struct disk *disk) {
    return (struct sim_disk *)disk;
}

uint64_t sim_random(struct sim_disk *sim, uint64_t below) {
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return below == 0 ? z ^ z >> 31 : (z ^ z >> 31) % below;
}

/* ---- operations ---- */

enum step { STEP_GOES, STEP_CRASHES, STEP_FAILS, STEP_DEAD };

/* Counts an operation, and says what becomes of it. */
static enum step sim_step(struct sim_disk *sim) {
    if (sim->crashed)
        return STEP_DEAD;
    sim->operations++;
    if (sim->operations == sim->crash_at) {
        sim->crashed = true;
        return STEP_CRASHES;
    }
    if (sim->fail_times > 0 && sim->operations >= sim->fail_at) {
        sim->fail_times--;
        return STEP_FAILS;
    }
    return STEP_GOES;
}

/* Every other call is interrupted, if that is on. */
static bool sim_interrupts(struct sim_disk *sim) {
    sim->interrupted = sim->short_writes && !sim->interrupted && sim_random(sim, 4) == 0;
    return sim->interrupted;
}

static struct name *name_find(struct name *names, const char *text) {
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        if (names[i].used && strcmp(names[i].text, text) == 0)
            return &names[i];
    return NULL;
}

static void name_set(struct name *names, const char *text, uint32_t inode) {
    struct name *name = name_find(names, text);
    for (uint32_t i = 0; name == NULL && i < SIM_NAMES; i++)
        if (!names[i].used)
            name = &names[i];
    CHECK(name != NULL && strlen(text) < sizeof name->text);
    strcpy(name->text, text);
    name->inode = inode;
    name->used = true;
}

static void name_drop(struct name *names, const char *text) {
    struct name *name = name_find(names, text);
    if (name != NULL)
        name->used = false;
}

/* Whether a file lies in a directory: "." has those without a slash. */
static bool name_inside(const char *text, const char *directory) {
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : 0;
    if (strcmp(directory, ".") == 0)
        return slash == NULL;
    return slash != NULL && strlen(directory) == length && strncmp(text, directory, length) == 0;
}

static void change_apply(struct name *names, const struct change *change) {
    if (change->kind == CHANGE_LINK)
        name_set(names, change->text, change->inode);
    if (change->kind == CHANGE_UNLINK)
        name_drop(names, change->text);
    if (change->kind == CHANGE_RENAME) {
        name_drop(names, change->text);
        name_set(names, change->to, change->inode);
    }
}

static void change_make(struct sim_disk *sim, struct change change) {
    CHECK(sim->changes_count < SIM_CHANGES);
    change_apply(sim->now, &change);
    sim->changes[sim->changes_count++] = change;
}

static struct change change_of(enum change_kind kind, const char *text, const char *to, uint32_t inode) {
    struct change change = {.kind = kind, .inode = inode};
    strcpy(change.text, text);
    strcpy(change.to, to);
    return change;
}

/* ---- files ---- */

static void inode_room(struct inode *inode, uint64_t size) {
    uint64_t room = (size + SECTOR - 1) / SECTOR * SECTOR;
    if (room <= inode->room)
        return;
    inode->now = realloc(inode->now, room);
    inode->medium = realloc(inode->medium, room);
    inode->state = realloc(inode->state, room / SECTOR);
    CHECK(inode->now != NULL && inode->medium != NULL && inode->state != NULL);
    memset(inode->now + inode->room, 0, room - inode->room);
    memset(inode->medium + inode->room, 0, room - inode->room);
    memset(inode->state + inode->room / SECTOR, 0, (room - inode->room) / SECTOR);
    inode->room = room;
}

static void inode_free(struct inode *inode) {
    free(inode->now);
    free(inode->medium);
    free(inode->state);
    memset(inode, 0, sizeof *inode);
}

static uint32_t inode_new(struct sim_disk *sim) {
    for (uint32_t i = 0; i < SIM_INODES; i++)
        if (!sim->inodes[i].used) {
            sim->inodes[i].used = true;
            return i;
        }
    check_failed("too many files", __FILE__, __LINE__);
}

static int handle_new(struct sim_disk *sim, uint32_t inode, enum disk_how how, const char *text) {
    for (int i = 0; i < (int)SIM_HANDLES; i++)
        if (!sim->handles[i].open) {
            sim->handles[i].inode = inode;
            sim->handles[i].how = how;
            sim->handles[i].open = true;
            strcpy(sim->handles[i].text, text);
            return i;
        }
    check_failed("too many open files", __FILE__, __LINE__);
}

static struct inode *handle_inode(struct sim_disk *sim, int file) {
    CHECK(file >= 0 && file < (int)SIM_HANDLES && sim->handles[file].open);
    return &sim->inodes[sim->handles[file].inode];
}

static int sim_open(struct disk *disk, const char *text, enum disk_how how) {
    struct sim_disk *sim = sim_of(disk);
    struct name *name = name_find(sim->now, text);
    if (sim->crashed)
        return -EIO;
    if (how == DISK_DIRECT && sim->no_direct)
        return -EINVAL;
    if (how != DISK_CREATE)
        return name == NULL ? -ENOENT : handle_new(sim, name->inode, how, text);
    enum step step = sim_step(sim);
    if (step == STEP_FAILS)
        return sim->fail_error;
    /* an existing file is emptied by putting another one in its place: stricter than truncation */
    uint32_t inode = inode_new(sim);
    change_make(sim, change_of(CHANGE_LINK, text, "", inode));
    return step == STEP_GOES ? handle_new(sim, inode, how, text) : -EIO;
}

static void sim_close(struct disk *disk, int file) {
    struct sim_disk *sim = sim_of(disk);
    (void)handle_inode(sim, file);
    sim->handles[file].open = false;
}

static int64_t sim_file_size(struct disk *disk, int file) {
    return (int64_t)handle_inode(sim_of(disk), file)->size_now;
}

static int64_t sim_read(struct disk *disk, int file, void *out, uint64_t bytes, uint64_t offset) {
    struct sim_disk *sim = sim_of(disk);
    const struct inode *inode = handle_inode(sim, file);
    if (sim->crashed)
        return -EIO;
    if (sim_interrupts(sim))
        return -EINTR;
    if (sim->read_error != 0 && strcmp(sim->handles[file].text, sim->read_name) == 0 &&
        offset + bytes > sim->read_offset)
        return sim->read_error;
    if (offset >= inode->size_now)
        return 0;
    if (bytes > inode->size_now - offset)
        bytes = inode->size_now - offset;
    if (sim->short_writes && bytes > 1)
        bytes -= sim_random(sim, bytes);
    memcpy(out, inode->now + offset, bytes);
    return (int64_t)bytes;
}

static uint64_t sim_used(const struct sim_disk *sim) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        if (sim->now[i].used && sim->now[i].inode != SIM_DIRECTORY)
            bytes += sim->inodes[sim->now[i].inode].size_now;
    return bytes;
}

static void inode_write(struct inode *inode, const uint8_t *from, uint64_t bytes, uint64_t offset,
                        uint8_t state) {
    uint64_t end = offset + bytes;
    inode_room(inode, end);
    memcpy(inode->now + offset, from, bytes);
    for (uint64_t sector = offset / SECTOR; sector * SECTOR < end; sector++)
        inode->state[sector] = (uint8_t)(DIRTY | state | (sector == offset / SECTOR ? LEADS : 0));
    if (end > inode->size_now)
        inode->size_now = end;
}

static void inode_sync(struct inode *inode, uint64_t from, uint64_t to) {
    for (uint64_t sector = from / SECTOR; sector * SECTOR < to; sector++) {
        if (inode->state[sector] & DIRTY)
            memcpy(inode->medium + sector * SECTOR, inode->now + sector * SECTOR, SECTOR);
        inode->state[sector] &= LOST;
        if (memcmp(inode->medium + sector * SECTOR, inode->now + sector * SECTOR, SECTOR) == 0)
            inode->state[sector] = 0;
    }
    inode->size_medium = inode->size_now;
}

static int64_t sim_write(struct disk *disk, int file, const void *from, uint64_t bytes, uint64_t offset,
                         bool durable) {
    struct sim_disk *sim = sim_of(disk);
    struct inode *inode = handle_inode(sim, file);
    CHECK(sim->handles[file].how != DISK_READ);
    if (sim->handles[file].how == DISK_DIRECT)
        CHECK((uintptr_t)from % JOURNAL_BLOCK_BYTES == 0 && offset % JOURNAL_BLOCK_BYTES == 0 &&
              bytes % JOURNAL_BLOCK_BYTES == 0);
    if (durable && sim->no_direct)
        return -EOPNOTSUPP;
    if (!sim->crashed && sim_interrupts(sim))
        return -EINTR;
    enum step step = sim_step(sim);
    if (step == STEP_DEAD)
        return -EIO;
    bool grows = offset + bytes > inode->size_now;
    if (grows && sim_used(sim) + (offset + bytes - inode->size_now) > sim->capacity)
        return -ENOSPC;
    if (step != STEP_GOES) { /* taken in part; who knows what of it */
        inode_write(inode, from, bytes, offset, FLYING);
        return step == STEP_FAILS ? sim->fail_error : -EIO;
    }
    sim->shortened = sim->short_writes && !sim->shortened && bytes > SECTOR; /* not twice in a row */
    if (sim->shortened)
        bytes = SECTOR * (1 + sim_random(sim, bytes / SECTOR));
    inode_write(inode, from, bytes, offset, 0);
    if (durable)
        inode_sync(inode, offset, offset + bytes);
    return (int64_t)bytes;
}

static int sim_sync(struct disk *disk, int file) {
    struct sim_disk *sim = sim_of(disk);
    struct inode *inode = handle_inode(sim, file);
    if (!sim->crashed && sim_interrupts(sim))
        return -EINTR;
    enum step step = sim_step(sim);
    if (step == STEP_GOES) {
        inode_sync(inode, 0, inode->size_now);
        return 0;
    }
    for (uint64_t i = 0; step == STEP_FAILS && i < inode->room / SECTOR; i++)
        if (inode->state[i] & DIRTY)
            inode->state[i] = LOST;
    return step == STEP_FAILS ? sim->fail_error : -EIO;
}

static void sim_forget(struct disk *disk, int file) {
    struct inode *inode = handle_inode(sim_of(disk), file);
    for (uint64_t i = 0; i < inode->room / SECTOR; i++)
        if (inode->state[i] & LOST) {
            memcpy(inode->now + i * SECTOR, inode->medium + i * SECTOR, SECTOR);
            inode->state[i] = 0;
        }
}

/* ---- directories ---- */

static int sim_change(struct sim_disk *sim, struct change change) {
    enum step step = sim_step(sim);
    if (step == STEP_DEAD)
        return -EIO;
    if (step == STEP_FAILS)
        return sim->fail_error;
    change_make(sim, change);
    return step == STEP_GOES ? 0 : -EIO;
}

static int sim_rename(struct disk *disk, const char *from, const char *to) {
    struct name *name = name_find(sim_of(disk)->now, from);
    return name == NULL ? -ENOENT : sim_change(sim_of(disk), change_of(CHANGE_RENAME, from, to, name->inode));
}

static int sim_unlink(struct disk *disk, const char *text) {
    struct name *name = name_find(sim_of(disk)->now, text);
    return name == NULL ? -ENOENT : sim_change(sim_of(disk), change_of(CHANGE_UNLINK, text, "", name->inode));
}

static int sim_make_directory(struct disk *disk, const char *text) {
    if (name_find(sim_of(disk)->now, text) != NULL)
        return -EEXIST;
    return sim_change(sim_of(disk), change_of(CHANGE_LINK, text, "", SIM_DIRECTORY));
}

static int sim_sync_directory(struct disk *disk, const char *directory) {
    struct sim_disk *sim = sim_of(disk);
    uint32_t kept = 0;
    if (strcmp(directory, ".") != 0 && name_find(sim->now, directory) == NULL)
        return -ENOENT;
    enum step step = sim_step(sim);
    if (step != STEP_GOES)
        return step == STEP_FAILS ? sim->fail_error : -EIO;
    for (uint32_t i = 0; i < sim->changes_count; i++)
        if (name_inside(sim->changes[i].text, directory))
            change_apply(sim->medium, &sim->changes[i]);
        else
            sim->changes[kept++] = sim->changes[i];
    sim->changes_count = kept;
    return 0;
}

static int sim_list(struct disk *disk, const char *directory, void (*found)(void *user, const char *name),
                    void *user) {
    struct sim_disk *sim = sim_of(disk);
    if (sim->crashed)
        return -EIO;
    if (strcmp(directory, ".") != 0 && name_find(sim->now, directory) == NULL)
        return -ENOENT;
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        if (sim->now[i].used && name_inside(sim->now[i].text, directory)) {
            const char *slash = strchr(sim->now[i].text, '/');
            found(user, slash != NULL ? slash + 1 : sim->now[i].text);
        }
    return 0;
}

static int sim_lock(struct disk *disk, bool shared) {
    (void)shared;
    return sim_of(disk)->crashed ? -EIO : 0;
}

static int sim_random_bytes(struct disk *disk, void *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)out)[i] = (uint8_t)sim_random(sim_of(disk), 256);
    return 0;
}

static const struct disk_calls sim_calls = {
    .open = sim_open,
    .close = sim_close,
    .size = sim_file_size,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .forget = sim_forget,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .make_directory = sim_make_directory,
    .sync_directory = sim_sync_directory,
    .list = sim_list,
    .lock = sim_lock,
    .random = sim_random_bytes,
};

/* ---- making, and what a crash leaves ---- */

struct sim_disk *sim_make(uint64_t seed) {
    struct sim_disk *sim = calloc(1, sizeof *sim);
    CHECK(sim != NULL);
    sim->disk.calls = &sim_calls;
    sim->random = seed;
    sim->capacity = UINT64_MAX;
    return sim;
}

void sim_free(struct sim_disk *sim) {
    for (uint32_t i = 0; i < SIM_INODES; i++)
        inode_free(&sim->inodes[i]);
    free(sim);
}

struct disk *sim_disk(struct sim_disk *sim) {
    return &sim->disk;
}

static bool sector_survives(struct sim_disk *sim, enum sim_fate fate, uint64_t sector, uint8_t state) {
    switch (fate) {
    case SIM_NONE:
        return false;
    case SIM_ALL:
        return true;
    case SIM_EVEN:
        return sector % 2 == 0;
    case SIM_ODD:
        return sector % 2 == 1;
    case SIM_FIRST:
        return (state & LEADS) != 0;
    default:
        return sim_random(sim, 2) == 0;
    }
}

/* Somewhere on the disk there are other bytes, which may come to lie here. */
static void sector_stale(struct sim_disk *sim, uint8_t *out) {
    const struct inode *other = &sim->inodes[sim_random(sim, SIM_INODES)];
    if (other->used && other->room > 0)
        memcpy(out, other->medium + sim_random(sim, other->room / SECTOR) * SECTOR, SECTOR);
}

static void inode_crash(struct sim_disk *sim, struct inode *inode, enum sim_fate fate) {
    for (uint64_t i = 0; i < inode->room / SECTOR; i++) {
        uint8_t *medium = inode->medium + i * SECTOR;
        if ((inode->state[i] & DIRTY) && sector_survives(sim, fate, i, inode->state[i]))
            memcpy(medium, inode->now + i * SECTOR, SECTOR);
        bool odd = (inode->state[i] & FLYING) && sim_random(sim, 4) == 0;
        if (odd && fate == SIM_TORN)
            for (uint32_t k = (uint32_t)sim_random(sim, SECTOR); k < SECTOR; k++)
                medium[k] = (uint8_t)sim_random(sim, 256);
        if (odd && fate == SIM_STALE)
            sector_stale(sim, medium);
    }
    if (inode->size_now != inode->size_medium && sector_survives(sim, fate, 0, LEADS))
        inode->size_medium = inode->size_now;
    memcpy(inode->now, inode->medium, inode->room);
    for (uint64_t i = inode->size_medium; i < inode->room; i++)
        inode->now[i] = inode->medium[i] = 0;
    memset(inode->state, 0, inode->room / SECTOR);
    inode->size_now = inode->size_medium;
}

static void directories_crash(struct sim_disk *sim, enum sim_fate fate) {
    uint64_t survive = fate == SIM_NONE                      ? 0
                       : fate == SIM_ALL || fate == SIM_EVEN ? sim->changes_count
                                                             : sim_random(sim, sim->changes_count + 1u);
    for (uint32_t i = 0; i < survive; i++)
        change_apply(sim->medium, &sim->changes[i]);
    sim->changes_count = 0;
    memcpy(sim->now, sim->medium, sizeof sim->now);
}

static void inodes_collect(struct sim_disk *sim) {
    for (uint32_t i = 0; i < SIM_INODES; i++) {
        bool named = false;
        for (uint32_t k = 0; k < SIM_NAMES; k++)
            named = named || (sim->now[k].used && sim->now[k].inode == i) ||
                    (sim->medium[k].used && sim->medium[k].inode == i);
        for (uint32_t k = 0; k < sim->changes_count; k++)
            named = named || sim->changes[k].inode == i;
        if (!named)
            inode_free(&sim->inodes[i]);
    }
}

void sim_reboot(struct sim_disk *sim, enum sim_fate fate) {
    CHECK(sim_open_files(sim) == 0);
    if (fate != SIM_KILL) {
        directories_crash(sim, fate);
        for (uint32_t i = 0; i < SIM_INODES; i++)
            if (sim->inodes[i].used && sim->inodes[i].room > 0)
                inode_crash(sim, &sim->inodes[i], fate);
    }
    inodes_collect(sim);
    sim->crashed = false;
    sim->crash_at = 0;
    sim->fail_times = 0;
}

uint64_t sim_operations(const struct sim_disk *sim) {
    return sim->operations;
}

void sim_crash_at(struct sim_disk *sim, uint64_t operation) {
    sim->crash_at = operation;
}

bool sim_crashed(const struct sim_disk *sim) {
    return sim->crashed;
}

void sim_fail_at(struct sim_disk *sim, uint64_t operation, int error, uint32_t times) {
    sim->fail_at = operation;
    sim->fail_error = error;
    sim->fail_times = times;
}

void sim_fail_read(struct sim_disk *sim, const char *name, uint64_t offset, int error) {
    strcpy(sim->read_name, name);
    sim->read_offset = offset;
    sim->read_error = error;
}

void sim_short_writes(struct sim_disk *sim, bool on) {
    sim->short_writes = on;
}

void sim_capacity(struct sim_disk *sim, uint64_t bytes) {
    sim->capacity = bytes;
}

void sim_no_direct(struct sim_disk *sim) {
    sim->no_direct = true;
}

uint32_t sim_open_files(const struct sim_disk *sim) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SIM_HANDLES; i++)
        count += sim->handles[i].open;
    return count;
}

/* ---- damage ---- */

static struct inode *inode_of(struct sim_disk *sim, const char *text) {
    struct name *name = name_find(sim->now, text);
    CHECK(name != NULL && name->inode != SIM_DIRECTORY);
    return &sim->inodes[name->inode];
}

bool sim_exists(const struct sim_disk *sim, const char *name) {
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        if (sim->now[i].used && strcmp(sim->now[i].text, name) == 0)
            return true;
    return false;
}

uint64_t sim_size(const struct sim_disk *sim, const char *name) {
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        if (sim->now[i].used && strcmp(sim->now[i].text, name) == 0)
            return sim->inodes[sim->now[i].inode].size_now;
    return 0;
}

uint8_t *sim_bytes(struct sim_disk *sim, const char *name) {
    return inode_of(sim, name)->medium;
}

void sim_touched(struct sim_disk *sim, const char *name) {
    struct inode *inode = inode_of(sim, name);
    memcpy(inode->now, inode->medium, inode->room);
    memset(inode->state, 0, inode->room / SECTOR);
}

void sim_cut(struct sim_disk *sim, const char *name, uint64_t bytes) {
    struct inode *inode = inode_of(sim, name);
    CHECK(bytes <= inode->size_now);
    inode->size_now = inode->size_medium = bytes;
    memset(inode->now + bytes, 0, inode->room - bytes);
    memset(inode->medium + bytes, 0, inode->room - bytes);
}

void sim_remove(struct sim_disk *sim, const char *name) {
    name_drop(sim->now, name);
    name_drop(sim->medium, name);
}

void sim_put(struct sim_disk *sim, const char *name, const void *bytes, uint64_t size) {
    char directory[DISK_NAME_BYTES];
    uint32_t inode = inode_new(sim);
    strcpy(directory, name);
    char *slash = strchr(directory, '/');
    if (slash != NULL) {
        *slash = '\0';
        name_set(sim->now, directory, SIM_DIRECTORY);
        name_set(sim->medium, directory, SIM_DIRECTORY);
    }
    name_set(sim->now, name, inode);
    name_set(sim->medium, name, inode);
    if (size > 0)
        inode_write(&sim->inodes[inode], bytes, size, 0, 0);
    inode_sync(&sim->inodes[inode], 0, size);
}

struct sim_disk *sim_copy(const struct sim_disk *sim) {
    struct sim_disk *copy = sim_make(sim->random);
    copy->no_direct = sim->no_direct;
    for (uint32_t i = 0; i < SIM_NAMES; i++) {
        const struct name *name = &sim->medium[i];
        if (name->used && name->inode == SIM_DIRECTORY) {
            name_set(copy->now, name->text, SIM_DIRECTORY);
            name_set(copy->medium, name->text, SIM_DIRECTORY);
        } else if (name->used) {
            const struct inode *inode = &sim->inodes[name->inode];
            sim_put(copy, name->text, inode->medium, inode->size_medium);
        }
    }
    return copy;
}
