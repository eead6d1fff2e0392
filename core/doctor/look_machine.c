/* look_machine.c: memory and CPUs against what the config asks for. */
#include "core/config/memory.h"
#include "core/config/value.h"
#include "core/doctor/host.h"

#include <inttypes.h>
#include <string.h>

#define INTERNAL         70
#define OVERCOMMIT_NEVER 2
#define TIGHT_PERCENT    80

/* ---- memory ---- */

static void look_logs(const struct doctor *doctor, struct findings *findings) {
    char need[CONFIG_VALUE_BYTES], have[CONFIG_VALUE_BYTES];
    uint64_t logs = config_memory_logs(doctor->config), free_bytes = doctor->probes.memory();
    config_size_text(need, logs);
    config_size_text(have, free_bytes);
    if (free_bytes == UINT64_MAX)
        finding_add(findings, FINDING_NOTE, "memory",
                    "the logs take %s; how much can be had here is not known", need);
    else if (logs > free_bytes)
        finding_advise(finding_fail(findings, INTERNAL, "memory",
                                    "the logs take %s, and %s can be had here (of the machine, and of the "
                                    "memory limit of the control group)",
                                    need, have),
                       "write fewer shards, or a smaller logs.data or logs.records");
    else if (logs > free_bytes / 100 * TIGHT_PERCENT)
        finding_advise(finding_add(findings, FINDING_WARN, "memory",
                                   "the logs take %s of the %s that can be had here: little is left for "
                                   "clients, patterns, topics and the kernel's socket buffers",
                                   need, have),
                       "a smaller logs.data, or more memory; docs/OPERATIONS.md has the formula");
    else
        finding_add(findings, FINDING_OK, "memory", "the logs take %s, and %s can be had here", need, have);
}

/* With overcommit_memory=2 the kernel counts what is asked for, not what is used. */
static void look_overcommit(const struct doctor *doctor, struct findings *findings) {
    uint64_t mode, limit_kib, committed_kib;
    if (!host_number(doctor, "proc/sys/vm/overcommit_memory", &mode) || mode != OVERCOMMIT_NEVER ||
        !host_line(doctor, "proc/meminfo", "CommitLimit", 10, &limit_kib) ||
        !host_line(doctor, "proc/meminfo", "Committed_AS", 10, &committed_kib))
        return;
    uint64_t left = limit_kib > committed_kib ? (limit_kib - committed_kib) * KIB : 0;
    bool enough = config_memory_logs(doctor->config) <= left;
    struct finding *finding = finding_add(
        findings, enough ? FINDING_NOTE : FINDING_WARN, "memory",
        "vm.overcommit_memory is 2: the kernel refuses what is beyond its commit limit, of which %" PRIu64
        " MiB are left%s",
        left / MIB, enough ? "" : "; the logs take more");
    finding_advise(finding, enough ? "nothing, while it is enough"
                                   : "a higher vm.overcommit_ratio, vm.overcommit_memory=0, or smaller logs");
}

static void look_huge_pages(const struct doctor *doctor, struct findings *findings) {
    char mode[64];
    if (host_text(doctor, "sys/kernel/mm/transparent_hugepage/enabled", mode, sizeof mode) &&
        strstr(mode, "[always]") != NULL)
        finding_add(
            findings, FINDING_OK, "memory",
            "transparent huge pages are on for all memory: what grows with use may be had 2 MiB at a "
            "time, so the resident memory of an idle router can be above the manual's figures. The logs "
            "are not concerned");
}

void doctor_look_memory(const struct doctor *doctor, struct findings *findings) {
    if (!doctor->running.found) /* what can be had is without what that one has */
        look_logs(doctor, findings);
    look_overcommit(doctor, findings);
    look_huge_pages(doctor, findings);
}

/* ---- CPUs ---- */

static void look_pinned(const struct doctor *doctor, struct findings *findings) {
    const struct config *config = doctor->config;
    for (uint32_t shard = 0; config->cpus_given && shard < config->shards; shard++)
        if (!doctor->probes.cpu_has(config->cpus[shard]))
            finding_advise(
                finding_add(findings, FINDING_WARN, "cpus",
                            "shard %u is to run on CPU %u, which this process may not use: it would "
                            "run unpinned",
                            shard, config->cpus[shard]),
                "CPUs of the affinity mask in shards.cpus (`taskset -p $$`, AllowedCPUs=, "
                "--cpuset-cpus)");
}

void doctor_look_cpus(const struct doctor *doctor, struct findings *findings) {
    uint32_t cpus = doctor->probes.cpus(), shards = doctor->config->shards;
    const char *shard_word = shards == 1 ? "shard" : "shards", *cpu_word = cpus == 1 ? "CPU" : "CPUs";
    if (shards > cpus)
        finding_advise(
            finding_add(findings, FINDING_WARN, "cpus",
                        "%u %s and %u %s that can be used (by the affinity mask and the quota of the "
                        "control group): workers wait for each other",
                        shards, shard_word, cpus, cpu_word),
            "shards: auto, or a larger quota");
    else
        finding_add(findings, FINDING_OK, "cpus", "%u %s and %u %s that can be used", shards, shard_word,
                    cpus, cpu_word);
    look_pinned(doctor, findings);
}
