/* look_io.c: which I/O body runs here, and why not the other one. */
#include "core/doctor/host.h"

#include <stdio.h>
#include <string.h>

#define UNAVAILABLE      69
#define CAP_IPC_LOCK_BIT 14
#define RING_BYTES       (200u * KIB) /* of locked memory that newer kernels count for each worker's ring */
#define REASON_BYTES     256u

static void kernel_release(const struct doctor *doctor, char *out, size_t size) {
    if (!host_text(doctor, "proc/sys/kernel/osrelease", out, size))
        (void)snprintf(out, size, "of an unknown version");
}

/* What refuses io_uring_setup with EPERM, as far as this process can tell. */
static void advise_refused(const struct doctor *doctor, struct finding *finding) {
    uint64_t disabled = 0, seccomp = 0;
    if (host_number(doctor, "proc/sys/kernel/io_uring_disabled", &disabled) && disabled > 0)
        finding_advise(finding,
                       "nothing, or allow it: `sysctl kernel.io_uring_disabled=0`%s. For a container that is "
                       "set on its host",
                       disabled == 1 ? ", or run as a member of the group kernel.io_uring_group" : "");
    else if (host_line(doctor, "proc/self/status", "Seccomp", 10, &seccomp) && seccomp == 0)
        finding_advise(finding,
                       "nothing, or look what refuses it: no seccomp filter holds for this process, so "
                       "it is a security module, such as SELinux (`ausearch -m avc`)");
    else
        finding_advise(
            finding, "nothing, or allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp "
                     "filter of the container, or of the systemd unit (SystemCallFilter=)");
}

static void advise_epoll(const struct doctor *doctor, const char *reason, struct finding *finding) {
    if (strstr(reason, "EPERM") != NULL)
        advise_refused(doctor, finding);
    else if (strstr(reason, "ENOMEM") != NULL)
        finding_advise(finding, "raise the limit of locked memory: LimitMEMLOCK=64M in the unit, --ulimit "
                                "memlock=67108864 of a container, or `ulimit -l`");
    else if (strstr(reason, "older") != NULL || strstr(reason, "ENOSYS") != NULL)
        finding_advise(finding, "nothing, or a kernel of 6.1 or newer with io_uring");
    else
        finding_advise(finding, "nothing; epoll does all that io_uring does, with more system calls");
}

static void look_fallen_back(const struct doctor *doctor, const char *reason, struct findings *findings) {
    char release[128];
    kernel_release(doctor, release, sizeof release);
    advise_epoll(doctor, reason,
                 finding_add(findings, FINDING_NOTE, "io",
                             "epoll carries the network, and not io_uring: %s; kernel %s", reason, release));
}

/* Rings are locked memory for kernels of today; CAP_IPC_LOCK lifts the limit. */
static void look_locked(const struct doctor *doctor, struct findings *findings) {
    struct rlimit limit;
    uint64_t rights = 0;
    uint64_t need = (uint64_t)doctor->config->shards * RING_BYTES;
    if (doctor->probes.limit(RLIMIT_MEMLOCK, &limit) != 0)
        return;
    bool lifted =
        host_line(doctor, "proc/self/status", "CapEff", 16, &rights) && (rights >> CAP_IPC_LOCK_BIT & 1) != 0;
    if (lifted || limit.rlim_cur == RLIM_INFINITY) {
        finding_add(findings, FINDING_OK, "memlock", "locked memory is not limited");
        return;
    }
    bool enough = limit.rlim_cur >= need;
    struct finding *finding = finding_add(
        findings, enough ? FINDING_OK : FINDING_WARN, "memlock",
        "%llu KiB of memory may be locked; kernels that count io_uring's rings take about %llu KiB for %u "
        "shard%s",
        (unsigned long long)(limit.rlim_cur / KIB), (unsigned long long)(need / KIB), doctor->config->shards,
        doctor->config->shards == 1 ? "" : "s");
    if (!enough)
        finding_advise(finding, "raise it: LimitMEMLOCK=64M in the unit, --ulimit memlock=67108864 of a "
                                "container, or `ulimit -l 65536`");
}

void doctor_look_io(const struct doctor *doctor, struct findings *findings) {
    char reason[REASON_BYTES] = "";
    enum io_body body = IO_BODY_EPOLL;
    int result = doctor->probes.choose(doctor->config->io, &body, reason, sizeof reason);
    if (result != 0) {
        struct finding *finding = finding_fail(
            findings, UNAVAILABLE, "io", "io_uring can not be had (%s), and the config asks for it", reason);
        finding_advise(finding, "write io: auto or io: epoll; or allow io_uring");
        return;
    }
    if (body == IO_BODY_EPOLL && doctor->config->io == IO_AUTO) {
        look_fallen_back(doctor, reason, findings);
        return;
    }
    finding_add(findings, FINDING_OK, "io", "%s carries the network: %s", io_body_name(body), reason);
    if (body == IO_BODY_URING)
        look_locked(doctor, findings);
}
