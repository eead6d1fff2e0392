/* doctor.h: looks at this machine with the eyes of a config: what would run, what bounds it first, what an
 * acknowledgement would mean.
 * Owner: the command `doctor`; the main thread, and no router in this process.
 * Files of /proc and /sys are read below `root`; what else is asked of the kernel goes through `probes`, so
 * that tests can be any machine.
 * Blocks for as long as the disk needs for the writes that measure it, at most DOCTOR_SYNC_NS_MAX.
 * Never fails: what can not be read is left out, or is said. Nothing is changed but for a nameless file, or
 * one that is removed at once, in the directory of the journal. */
#pragma once

#include "core/config/config.h"
#include "core/doctor/finding.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/types.h>

#define DOCTOR_SYNCS       32u
#define DOCTOR_SYNC_NS_MAX (2u * NS_PER_S)

/* How long the disk takes to make a block of the journal durable. */
struct doctor_sync {
    uint32_t count;
    uint64_t median_ns;
    uint64_t longest_ns;
};

/* The file system of a directory. */
struct doctor_space {
    const char *type;    /* static: "ext4", "tmpfs"; NULL = not known by name */
    uint64_t free_bytes; /* for us */
    uint64_t size_bytes;
    bool read_only;
};

/* What a router that runs says of itself. */
struct doctor_running {
    bool found;
    char version[64];
    char io[16];
    uint64_t shards, connections, fds_open, fds_max;
    uint64_t memory_bytes; /* resident, the data of the logs once */
};

struct doctor_probes {
    int (*choose)(enum io_choice choice, enum io_body *body, char *reason, size_t reason_size);
    int (*limit)(int resource, struct rlimit *limit); /* 0, or -1 */
    int (*clock)(struct timex *state);                /* as adjtimex */
    int (*listen)(const char *address, uint16_t *port);
    int (*enter)(const char *directory); /* 0, or negative errno: whether files can be made in it */
    int (*sync)(const char *directory, struct doctor_sync *sync);
    int (*space)(const char *directory, struct doctor_space *space);
    uint32_t (*cpus)(void);
    bool (*cpu_has)(uint32_t cpu);
    uint64_t (*memory)(void); /* that can be had; UINT64_MAX = not known */
};

struct doctor {
    const struct config *config;
    const char *root; /* "" = this machine */
    struct doctor_probes probes;
    struct doctor_running running;
};

/* The kernel's answers. */
extern const struct doctor_probes doctor_probes_real;

/* From the page of metrics of a router; false when it is none. */
bool doctor_running_read(struct doctor_running *running, const char *page);

/* All of it, in this order; the parts are below for their tests. */
void doctor_look(const struct doctor *doctor, struct findings *findings);

void doctor_look_running(const struct doctor *doctor, struct findings *findings);
void doctor_look_io(const struct doctor *doctor, struct findings *findings);
void doctor_look_bounds(const struct doctor *doctor, struct findings *findings);
void doctor_look_memory(const struct doctor *doctor, struct findings *findings);
void doctor_look_cpus(const struct doctor *doctor, struct findings *findings);
void doctor_look_acks(const struct doctor *doctor, struct findings *findings);
void doctor_look_disk(const struct doctor *doctor, struct findings *findings);
void doctor_look_clock(const struct doctor *doctor, struct findings *findings);
void doctor_look_ports(const struct doctor *doctor, struct findings *findings);
