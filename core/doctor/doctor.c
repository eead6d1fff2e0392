#include "core/doctor/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_PERCENT 90

/* ---- a router that runs ---- */

/* The sum of a metric over its label sets. */
static uint64_t sum_of(const char *page, const char *name) {
    double sum = 0;
    size_t length = strlen(name);
    for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n';
        if (strncmp(line, name, length) != 0 || (line[length] != ' ' && line[length] != '{'))
            continue;
        const char *value = line + strcspn(line, " \n");
        sum += *value == ' ' ? strtod(value, NULL) : 0;
    }
    return sum > 0 ? (uint64_t)sum : 0;
}

/* The value of a label of the first line of a metric. */
static bool label_of(const char *page, const char *start, char *out, size_t size) {
    const char *line = strstr(page, start);
    if (line == NULL)
        return false;
    line += strlen(start);
    (void)snprintf(out, size, "%.*s", (int)strcspn(line, "\"\n"), line);
    return true;
}

static uint64_t lines_of(const char *page, const char *start) {
    uint64_t count = 0;
    for (const char *at = page; (at = strstr(at, start)) != NULL; at += strlen(start))
        count++;
    return count;
}

bool doctor_running_read(struct doctor_running *running, const char *page) {
    *running = (struct doctor_running){0};
    if (!label_of(page, "\nroundhouse_build_info{version=\"", running->version, sizeof running->version) ||
        !label_of(page, "\nroundhouse_io_body{body=\"", running->io, sizeof running->io))
        return false;
    uint64_t resident = sum_of(page, "process_resident_memory_bytes");
    uint64_t twice = sum_of(page, "roundhouse_log_data_capacity_bytes");
    running->found = true;
    running->shards = lines_of(page, "\nroundhouse_turns_total{shard=");
    running->connections = sum_of(page, "roundhouse_connections");
    running->fds_open = sum_of(page, "process_open_fds");
    running->fds_max = sum_of(page, "process_max_fds");
    running->memory_bytes = resident > twice ? resident - twice : 0;
    return true;
}

void doctor_look_running(const struct doctor *doctor, struct findings *findings) {
    const struct doctor_running *running = &doctor->running;
    if (!running->found) {
        finding_add(findings, FINDING_OK, "router",
                    "no router answers at %s: this is what one would find here",
                    doctor->config->listen_admin);
        return;
    }
    bool full = running->fds_open > running->fds_max / 100 * FULL_PERCENT;
    struct finding *finding =
        finding_add(findings, full ? FINDING_WARN : FINDING_OK, "router",
                    "a router runs: version %s, %s, %" PRIu64 " shard%s, %" PRIu64 " clients, %" PRIu64
                    " of %" PRIu64 " descriptors, %" PRIu64 " MiB of memory",
                    running->version, running->io, running->shards, running->shards == 1 ? "" : "s",
                    running->connections, running->fds_open, running->fds_max, running->memory_bytes / MIB);
    if (full)
        finding_advise(finding, "raise LimitNOFILE= or `ulimit -n`, and start it again");
}

void doctor_look(const struct doctor *doctor, struct findings *findings) {
    doctor_look_running(doctor, findings);
    doctor_look_io(doctor, findings);
    doctor_look_acks(doctor, findings);
    doctor_look_bounds(doctor, findings);
    doctor_look_memory(doctor, findings);
    doctor_look_cpus(doctor, findings);
    doctor_look_disk(doctor, findings);
    doctor_look_clock(doctor, findings);
    doctor_look_ports(doctor, findings);
}
