/* group.h: what the control groups (version 2) of this process allow it.
 * Owner: core/config; the main thread.
 * A group's limits are files in its folder; those of the groups above hold too.
 * Blocks only as reading files of /proc and /sys does.
 * Never fails: what can not be read does not bound. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROUP_NO_LIMIT         UINT64_MAX
#define GROUP_ROOT             "/sys/fs/cgroup"
#define GROUP_MEMBERSHIP_BYTES 4096u

/* The text of /proc/self/cgroup, "" when there is none. Returns out. */
const char *group_membership(char out[static GROUP_MEMBERSHIP_BYTES]);

/* The first bytes of a small file as text; false when it can not be read. */
bool group_file_read(const char *folder, const char *name, char *out, size_t size);

/* The least that `limit_of` says of the folders from the group in `membership` up to `root` (the mount
 * point); GROUP_NO_LIMIT = no limit. */
uint64_t group_least(const char *membership, const char *root, uint64_t (*limit_of)(const char *folder));
