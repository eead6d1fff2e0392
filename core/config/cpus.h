/* cpus.h: how many CPUs this process may use, for `shards: auto`.
 * Owner: core/config; the main thread.
 * The affinity mask says which, the quota of the control groups (version 2, cpu.max) says how much of them.
 * Blocks only as reading files of /proc and /sys does.
 * Never fails: what can not be read does not bound. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* At least 1, at most SHARDS_MAX. */
uint32_t config_cpus(void);

/* Whether the affinity mask of this process holds `cpu`. */
bool config_cpus_has(uint32_t cpu);

/* Whole CPUs that the quotas on the way from the group in `membership` (the text of /proc/self/cgroup) up to
 * `root` (the mount point) allow, rounded down, at least 1; UINT32_MAX = no quota. Half a CPU more would be a
 * worker that is stopped half of the time. */
uint32_t config_cpus_quota(const char *membership, const char *root);
