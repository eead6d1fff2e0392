#include "bench/load/meter.h"

#include "bench/load/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t process_cpu_ns(pid_t pid) {
    clockid_t clock;
    return pid > 0 && clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : 0;
}

/* Of user, nice, system, idle, iowait, irq, softirq, steal: all but idle, iowait and steal. */
static double ticks_busy_s(const char *text) {
    double busy = 0;
    char *end;
    for (int column = 0; column < 7; column++) {
        uint64_t ticks = strtoull(text, &end, 10);
        busy += column == 3 || column == 4 ? 0 : (double)ticks;
        text = end;
    }
    return busy / (double)sysconf(_SC_CLK_TCK);
}

static double core_busy_s(int cpu) {
    char line[512], name[32];
    double busy = -1;
    FILE *file = cpu < 0 ? NULL : fopen("/proc/stat", "re");
    if (file == NULL)
        return -1;
    (void)snprintf(name, sizeof name, "cpu%d ", cpu);
    while (busy < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0)
            busy = ticks_busy_s(line + strlen(name));
    }
    fclose(file);
    return busy;
}

struct meter meter_read(pid_t server, int cpu) {
    return (struct meter){.core_busy_s = core_busy_s(cpu),
                          .server_cpu_ns = process_cpu_ns(server),
                          .own_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
                          .now_ns = net_now_ns()};
}

/* The number of kibibytes behind `name` in a file of /proc/PID, in bytes. */
static uint64_t proc_bytes(pid_t pid, const char *file_name, const char *name) {
    char path[64], line[256];
    uint64_t bytes = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file_name);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            bytes = 1024 * strtoull(line + strlen(name), NULL, 10);
    if (file != NULL)
        fclose(file);
    return bytes;
}

struct memory memory_read(pid_t server) {
    struct memory memory = {.held_bytes = proc_bytes(server, "smaps_rollup", "Pss:"),
                            .resident_bytes = proc_bytes(server, "status", "VmRSS:"),
                            .peak_bytes = proc_bytes(server, "status", "VmHWM:")};
    if (memory.held_bytes == 0)
        memory.held_bytes = memory.resident_bytes;
    return memory;
}
