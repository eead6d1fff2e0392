/* look_bounds.c: how many clients there can be, and which limit comes first. */
#include "core/config/memory.h"
#include "core/config/value.h"
#include "core/doctor/host.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTORS_BASE     256u
#define DESCRIPTORS_OF_SHARD 8u
#define CONNECTION_BYTES     KIB /* docs/OPERATIONS.md, Memory */
#define WORKER_BYTES         (16u * MIB)
#define BACKLOG_LEAST        1024u
#define SOCKET_MEMORY_LEAST  MIB

/* What bounds the number of connections. */
struct bound {
    const char *what;
    uint64_t connections;
    const char *advice;
};

static uint64_t less(uint64_t from, uint64_t taken) {
    return from > taken ? from - taken : 0;
}

static uint64_t descriptors_taken(const struct config *config) {
    uint64_t ingest = strcmp(config->listen_ingest, "off") != 0 ? INGEST_CONNECTIONS_DEFAULT : 0;
    return DESCRIPTORS_BASE + DESCRIPTORS_OF_SHARD * (uint64_t)config->shards + ingest;
}

static uint64_t by_descriptors(const struct doctor *doctor) {
    struct rlimit limit;
    if (doctor->probes.limit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
        return UINT64_MAX;
    return less(limit.rlim_max, descriptors_taken(doctor->config)); /* `serve` raises the soft limit */
}

static uint64_t by_system(const struct doctor *doctor, const char *name) {
    uint64_t most;
    return host_number(doctor, name, &most) ? less(most, descriptors_taken(doctor->config)) : UINT64_MAX;
}

static uint64_t by_memory(const struct doctor *doctor) {
    uint64_t have = doctor->probes.memory();
    uint64_t taken = config_memory_logs(doctor->config) + doctor->config->shards * (uint64_t)WORKER_BYTES;
    return have == UINT64_MAX ? UINT64_MAX : less(have, taken) / CONNECTION_BYTES;
}

static uint64_t by_tracking(const struct doctor *doctor) {
    uint64_t most;
    return host_number(doctor, "proc/sys/net/netfilter/nf_conntrack_max", &most) ? most : UINT64_MAX;
}

static void look_connections(const struct doctor *doctor, struct findings *findings) {
    const struct bound bounds[] = {
        {"limits.connections", doctor->config->limits.connections, "nothing, or a higher limits.connections"},
        {"the limit of descriptors of a process (ulimit -Hn)", by_descriptors(doctor),
         "raise it: LimitNOFILE= in the unit, --ulimit nofile= of a container, or /etc/security/limits.conf"},
        {"the descriptors of a process that the kernel allows (fs.nr_open)",
         by_system(doctor, "proc/sys/fs/nr_open"), "raise it: sysctl fs.nr_open"},
        {"the open files of the whole machine (fs.file-max)", by_system(doctor, "proc/sys/fs/file-max"),
         "raise it: sysctl fs.file-max"},
        {"memory beside the logs", by_memory(doctor), "fewer shards, or a smaller logs.data; or more memory"},
        {"the connections that the firewall tracks (nf_conntrack_max)", by_tracking(doctor),
         "raise it: sysctl net.netfilter.nf_conntrack_max"},
    };
    const struct bound *first = &bounds[0];
    for (size_t i = 1; i < sizeof bounds / sizeof bounds[0]; i++)
        if (bounds[i].connections < first->connections)
            first = &bounds[i];
    bool asked = first == &bounds[0];
    struct finding *finding =
        finding_add(findings, asked ? FINDING_OK : FINDING_WARN, "connections",
                    "%" PRIu64 " clients at once, then %s binds%s%s", first->connections, first->what,
                    asked ? "" : ", before limits.connections", asked ? " first" : "");
    if (!asked)
        finding_advise(finding, "%s; or write a smaller limits.connections (now %u)", first->advice,
                       doctor->config->limits.connections);
}

/* Subscribers that do not read fill the kernel's memory for sockets before anything of ours. */
static void look_socket_memory(const struct doctor *doctor, struct findings *findings) {
    uint64_t all[3], send[3], receive[3];
    char sum[CONFIG_VALUE_BYTES], one[CONFIG_VALUE_BYTES];
    if (!host_numbers(doctor, "proc/sys/net/ipv4/tcp_mem", all, 3) ||
        !host_numbers(doctor, "proc/sys/net/ipv4/tcp_wmem", send, 3) ||
        !host_numbers(doctor, "proc/sys/net/ipv4/tcp_rmem", receive, 3) || send[2] == 0)
        return;
    uint64_t bytes = all[2] * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t stuck = bytes / send[2];
    bool few = stuck < doctor->config->limits.connections;
    config_size_text(sum, bytes / MIB * MIB);
    config_size_text(one, send[2] / KIB * KIB);
    struct finding *finding = finding_add(
        findings, few ? FINDING_NOTE : FINDING_OK, "sockets",
        "the kernel keeps up to %s of what is on its way for a client (net.ipv4.tcp_wmem), and %s for all "
        "connections (net.ipv4.tcp_mem): %" PRIu64 " subscribers that do not read use it up, and then all "
        "connections of the machine slow down",
        one, sum, stuck);
    if (few)
        finding_advise(finding, "nothing for clients that read; else a smaller third number of "
                                "net.ipv4.tcp_wmem, or larger ones of net.ipv4.tcp_mem");
    if (send[2] < SOCKET_MEMORY_LEAST || receive[2] < SOCKET_MEMORY_LEAST)
        finding_advise(
            finding_add(findings, FINDING_NOTE, "sockets",
                        "a connection has at most %" PRIu64 " KiB to send and %" PRIu64
                        " KiB to receive in the kernel: little for fast clients that are far away",
                        send[2] / KIB, receive[2] / KIB),
            "raise the third numbers of net.ipv4.tcp_wmem and net.ipv4.tcp_rmem to 4 MiB and more");
}

/* The router leaves the sizes to the kernel; programs that set their own are bound by other keys. */
static void look_set_buffers(const struct doctor *doctor, struct findings *findings) {
    uint64_t receive, send;
    if (!host_number(doctor, "proc/sys/net/core/rmem_max", &receive) ||
        !host_number(doctor, "proc/sys/net/core/wmem_max", &send))
        return;
    finding_add(findings, FINDING_OK, "sockets",
                "clients on this machine that set the sizes of their own socket buffers get %" PRIu64
                " KiB to receive and %" PRIu64
                " KiB to send at most (net.core.rmem_max, net.core.wmem_max); the "
                "router leaves its own to the kernel",
                receive / KIB, send / KIB);
}

static void look_backlog(const struct doctor *doctor, struct findings *findings) {
    uint64_t most;
    if (!host_number(doctor, "proc/sys/net/core/somaxconn", &most))
        return;
    bool few = most < BACKLOG_LEAST;
    struct finding *finding =
        finding_add(findings, few ? FINDING_WARN : FINDING_OK, "sockets",
                    "%" PRIu64 " connections can wait to be accepted (net.core.somaxconn)%s", most,
                    few ? ": when all clients come back at once after a restart, some wait seconds" : "");
    if (few)
        finding_advise(finding, "sysctl net.core.somaxconn=4096");
}

/* Inboxes of spokes that are directories are watched by inotify. */
static void look_watches(const struct doctor *doctor, struct findings *findings) {
    uint64_t instances;
    if (strcmp(doctor->config->spokes_dir, "off") == 0 ||
        !host_number(doctor, "proc/sys/fs/inotify/max_user_instances", &instances))
        return;
    finding_add(findings, FINDING_OK, "spokes",
                "%" PRIu64 " directories can be watched (fs.inotify.max_user_instances); further inboxes are "
                "looked through again and again",
                instances);
}

void doctor_look_bounds(const struct doctor *doctor, struct findings *findings) {
    look_connections(doctor, findings);
    look_socket_memory(doctor, findings);
    look_set_buffers(doctor, findings);
    look_backlog(doctor, findings);
    look_watches(doctor, findings);
}
