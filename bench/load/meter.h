/* meter.h: what the kernel says of the server at one moment: CPU time in nanoseconds, memory, busy time.
 * Owner: pure reads. One thread.
 * CPU time is the process's clock (all its threads, user and system); a core's busy time has ticks of 10 ms.
 * Nothing blocks.
 * What can not be read is 0, and -1 for busy time. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct meter {
    uint64_t now_ns;
    uint64_t server_cpu_ns;
    uint64_t own_cpu_ns;
    double core_busy_s; /* of the server's CPU, everything but idle and waiting for disks; -1 = unknown */
};

struct meter meter_read(pid_t server, int cpu);

struct memory {
    uint64_t held_bytes;     /* each page once, also one that is mapped twice: the kernel's Pss */
    uint64_t resident_bytes; /* as the kernel counts: each mapping of a page */
    uint64_t peak_bytes;     /* the highest of it */
};

struct memory memory_read(pid_t server);
