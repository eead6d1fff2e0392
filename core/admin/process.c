/* process.c: what the kernel says about this process, and about the journal's file system. */
#include "core/admin/metrics.h"

#include "core/base/number.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

static uint64_t fds_count(void) {
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (!folder)
        return 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count < 3 ? 0 : count - 3; /* ".", ".." and the folder itself */
}

static void memory_read(struct metrics_process *process) {
    FILE *file = fopen("/proc/self/statm", "re");
    char text[256];
    uint64_t size, resident;
    if (!file)
        return;
    if (fgets(text, sizeof text, file) && numbers_read(text, &size, &resident)) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        process->virtual_bytes = size * page;
        process->resident_bytes = resident * page;
    }
    fclose(file);
}

void metrics_room_read(struct metrics_room *room, const char *directory) {
    struct statvfs state;
    *room = (struct metrics_room){0};
    if (statvfs(directory, &state) == 0)
        *room = (struct metrics_room){.free_bytes = (uint64_t)state.f_bavail * state.f_frsize,
                                      .size_bytes = (uint64_t)state.f_blocks * state.f_frsize};
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void metrics_process_read(struct metrics_process *process, uint64_t started_wall_ns) {
    struct rusage used = {0};
    struct rlimit fds = {0};
    *process = (struct metrics_process){.start_seconds = (double)started_wall_ns / (double)NS_PER_S};
    memory_read(process);
    process->fds_open = fds_count();
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        process->fds_max = fds.rlim_cur;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        process->cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
}
