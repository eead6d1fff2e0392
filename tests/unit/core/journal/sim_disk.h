/* sim_disk.h: a disk under the journal that forgets what was not synced, tears what was being written, and
 * fails when it is told to. Owner: the test. One thread. A crash is armed at an operation: that one is done
 * in part, and from then on every call fails, until sim_reboot decides what has survived. The same seed
 * decides the same way. Nothing blocks. Misuse (a direct write that is not aligned, a handle that is not
 * open) fails the test. */
#pragma once

#include "core/journal/disk.h"

#include <stdbool.h>
#include <stdint.h>

/* Which unsynced sectors of 512 bytes, and how many unsynced changes of directories, survive. */
enum sim_fate {
    SIM_NONE,
    SIM_ALL,
    SIM_EVEN,
    SIM_ODD,
    SIM_FIRST, /* only the first sector of each write that was not synced */
    SIM_RANDOM,
    SIM_TORN,  /* random, and what was in flight may be garbage */
    SIM_STALE, /* random, and what was in flight may be blocks of other places */
    SIM_KILL,  /* only the process is gone: the page cache lives on */
    SIM_FATES,
};

struct sim_disk;

struct sim_disk *sim_make(uint64_t seed);
void sim_free(struct sim_disk *sim);
struct disk *sim_disk(struct sim_disk *sim);

/* Operations that change something are counted from 1, over reboots. */
uint64_t sim_operations(const struct sim_disk *sim);
/* At that operation the power goes; 0 = never. */
void sim_crash_at(struct sim_disk *sim, uint64_t operation);
bool sim_crashed(const struct sim_disk *sim);
void sim_reboot(struct sim_disk *sim, enum sim_fate fate);

/* That operation answers `error`, `times` times in a row (it and those behind it). A write has been taken in
 * part by then; of a sync the pages stay in the cache, clean, but are not on the medium. */
void sim_fail_at(struct sim_disk *sim, uint64_t operation, int error, uint32_t times);
/* Reads of files answer an error, from that offset on in a file of that name. */
void sim_fail_read(struct sim_disk *sim, const char *name, uint64_t offset, int error);
void sim_short_writes(struct sim_disk *sim, bool on); /* and EINTR in between, for all calls that know it */
void sim_capacity(struct sim_disk *sim, uint64_t bytes); /* of all files; UINT64_MAX = no limit */
void sim_no_direct(struct sim_disk *sim); /* the file system has neither O_DIRECT nor RWF_DSYNC */

/* Damage, and looks at what is there: the bytes of a file as they are now, and on the medium. */
bool sim_exists(const struct sim_disk *sim, const char *name);
uint64_t sim_size(const struct sim_disk *sim, const char *name);
uint8_t *sim_bytes(struct sim_disk *sim, const char *name); /* of the medium; sim_touched afterwards */
void sim_touched(struct sim_disk *sim, const char *name);
void sim_cut(struct sim_disk *sim, const char *name, uint64_t bytes);
void sim_remove(struct sim_disk *sim, const char *name);
void sim_put(struct sim_disk *sim, const char *name, const void *bytes, uint64_t size); /* made, durable */
/* A second disk with the same durable contents. */
struct sim_disk *sim_copy(const struct sim_disk *sim);
uint64_t sim_random(struct sim_disk *sim, uint64_t below);
uint32_t sim_open_files(const struct sim_disk *sim);
