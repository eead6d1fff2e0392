#include "core/config/cpus.h"

#include "core/base/limits.h"
#include "core/base/number.h"
#include "core/config/group.h"

#include <sched.h>
#include <stdlib.h>

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

/* cpu.max is "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static uint64_t quota_of(const char *folder) {
    char text[64];
    uint64_t quota, period;
    if (!group_file_read(folder, "cpu.max", text, sizeof text) || !numbers_read(text, &quota, &period) ||
        period == 0)
        return GROUP_NO_LIMIT;
    return quota < period ? 1 : quota / period;
}

uint32_t config_cpus_quota(const char *membership, const char *root) {
    uint64_t least = group_least(membership, root, quota_of);
    return least > UINT32_MAX ? UINT32_MAX : (uint32_t)least;
}

uint32_t config_cpus(void) {
    char membership[GROUP_MEMBERSHIP_BYTES];
    uint32_t cpus = mask_count();
    uint32_t quota = config_cpus_quota(group_membership(membership), GROUP_ROOT);
    cpus = quota < cpus ? quota : cpus;
    return cpus > SHARDS_MAX ? SHARDS_MAX : cpus;
}
