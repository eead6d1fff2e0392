#include "core/config/memory.h"

#include "core/base/number.h"
#include "core/config/group.h"
#include "ring/log.h"

#include <string.h>

uint64_t config_memory_logs(const struct config *config) {
    uint64_t logs = config->shards + (config_journalled(config) ? config->journal_logs : 0);
    return logs * (config->log_data_bytes + config->log_records * sizeof(struct log_entry));
}

/* A line such as "MemAvailable:   23326340 kB", in bytes. False when it is not there. */
static bool meminfo_line(const char *meminfo, const char *name, uint64_t *bytes) {
    const char *line = strstr(meminfo, name);
    if (!line)
        return false;
    line += strlen(name);
    line += strspn(line, " ");
    if (number_read(line, strlen(line), bytes) == 0)
        return false;
    *bytes *= KIB;
    return true;
}

/* memory.max is a number of bytes, or "max". */
static uint64_t group_limit(const char *folder) {
    char text[64];
    uint64_t bytes = GROUP_NO_LIMIT;
    if (group_file_read(folder, "memory.max", text, sizeof text))
        number_read(text, strlen(text), &bytes);
    return bytes;
}

uint64_t config_memory_free_of(const char *meminfo, const char *membership, const char *root) {
    uint64_t machine = 0, swap = 0;
    uint64_t group = group_least(membership, root, group_limit);
    meminfo_line(meminfo, "SwapFree:", &swap);
    if (!meminfo_line(meminfo, "MemAvailable:", &machine))
        machine = UINT64_MAX - swap;
    uint64_t least = machine + swap < group ? machine + swap : group;
    return least == UINT64_MAX ? least : least / MIB * MIB;
}

uint64_t config_memory_free(void) {
    char meminfo[4096], membership[GROUP_MEMBERSHIP_BYTES];
    if (!group_file_read("/proc", "meminfo", meminfo, sizeof meminfo))
        meminfo[0] = '\0';
    return config_memory_free_of(meminfo, group_membership(membership), GROUP_ROOT);
}
