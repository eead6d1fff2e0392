#include "core/config/cpus.h"

#include "core/base/limits.h"
#include "core/base/number.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Masks of machines with more CPUs than CPU_SETSIZE need a larger set: the kernel says EINVAL until it is
 * large enough. */
#define CPUS_MAX 8192u

static bool mask_read(cpu_set_t *set) {
    CPU_ZERO_S(CPU_ALLOC_SIZE(CPUS_MAX), set);
    return sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), set) == 0;
}

bool config_cpus_has(uint32_t cpu) {
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    bool has = set && cpu < CPUS_MAX && mask_read(set) && CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(CPUS_MAX), set);
    CPU_FREE(set);
    return has;
}

static uint32_t mask_count(void) {
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    int count = set && mask_read(set) ? CPU_COUNT_S(CPU_ALLOC_SIZE(CPUS_MAX), set) : 1;
    CPU_FREE(set);
    return count < 1 ? 1 : (uint32_t)count;
}

/* The first bytes of a small file as text; false when it can not be read. */
static bool file_read(const char *path, char *out, size_t size) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t got = fread(out, 1, size - 1, file);
    out[got] = '\0';
    fclose(file);
    return got > 0;
}

/* cpu.max is "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static uint32_t quota_of(const char *folder) {
    char path[PATH_MAX];
    char text[64];
    uint64_t quota, period;
    if ((size_t)snprintf(path, sizeof path, "%s/cpu.max", folder) >= sizeof path ||
        !file_read(path, text, sizeof text))
        return UINT32_MAX;
    if (!numbers_read(text, &quota, &period) || period == 0)
        return UINT32_MAX;
    uint64_t cpus = quota / period;
    return cpus < 1 ? 1 : cpus > UINT32_MAX ? UINT32_MAX : (uint32_t)cpus;
}

/* The group of version 2 is the line "0::/PATH". */
static bool group_path(const char *membership, char *out, size_t size) {
    const char *line = strncmp(membership, "0::/", 4) == 0 ? membership : strstr(membership, "\n0::/");
    if (!line)
        return false;
    line += line[0] == '\n' ? 4 : 3;
    size_t length = strcspn(line, "\n");
    if (length >= size)
        return false;
    memcpy(out, line, length);
    out[length] = '\0';
    return true;
}

uint32_t config_cpus_quota(const char *membership, const char *root) {
    char folder[PATH_MAX];
    size_t root_length = strlen(root);
    if (root_length >= sizeof folder)
        return UINT32_MAX;
    memcpy(folder, root, root_length + 1);
    if (!group_path(membership, folder + root_length, sizeof folder - root_length))
        return UINT32_MAX;
    uint32_t least = UINT32_MAX;
    for (;;) {
        uint32_t here = quota_of(folder);
        least = here < least ? here : least;
        char *slash = strrchr(folder + root_length, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

uint32_t config_cpus(void) {
    char membership[4096];
    uint32_t cpus = mask_count();
    if (file_read("/proc/self/cgroup", membership, sizeof membership)) {
        uint32_t quota = config_cpus_quota(membership, "/sys/fs/cgroup");
        cpus = quota < cpus ? quota : cpus;
    }
    return cpus > SHARDS_MAX ? SHARDS_MAX : cpus;
}
