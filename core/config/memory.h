/* memory.h: how much memory the logs take, and how much can be had.
 * Owner: core/config; the main thread.
 * Logs are filled when they are made: too much is told before, or the kernel ends somebody for it.
 * Blocks only as reading files of /proc and /sys does.
 * Never fails: what can not be read does not bound. */
#pragma once

#include "core/config/config.h"

#include <stdint.h>

/* Of all logs: data and index. */
uint64_t config_memory_logs(const struct config *config);

/* Bytes that this process can have here and now, in whole MiB: what the machine has free or can free, and no
 * more than its control groups allow; UINT64_MAX = not known. */
uint64_t config_memory_free(void);

/* The same from the texts of /proc/meminfo and /proc/self/cgroup, and the groups' mount point. */
uint64_t config_memory_free_of(const char *meminfo, const char *membership, const char *root);
