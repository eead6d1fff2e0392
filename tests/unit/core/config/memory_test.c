#include "core/config/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char meminfo[] =
    "MemTotal:       8000000 kB\nMemFree:          10240 kB\nMemAvailable:    4097500 kB\n"
    "SwapTotal:             0 kB\nSwapFree:              0 kB\n";

/* A tree of control groups: ROOT and ROOT/a. */
static char root[64];

static void limit(const char *folder, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s%s/memory.max", root, folder);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(text, file);
    fclose(file);
}

static void make_root(void) {
    char path[128];
    strcpy(root, "/tmp/rh-memory-XXXXXX");
    cr_assert(mkdtemp(root));
    snprintf(path, sizeof path, "%s/a", root);
    cr_assert(mkdir(path, 0700) == 0);
}

static void remove_all(void) {
    static const char *const names[] = {"/a/memory.max", "/memory.max", "/a", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", root, names[i]);
        remove(path);
    }
}

TestSuite(config_memory, .init = make_root, .fini = remove_all);

Test(config_memory, the_logs_take_data_and_index) {
    static struct config config;
    config_defaults(&config);
    config.shards = 3;
    cr_expect(config_memory_logs(&config) == 3 * (64 * MIB + 16 * MIB));
}

Test(config_memory, what_the_machine_can_free_counts_in_whole_mebibytes) {
    cr_expect(config_memory_free_of(meminfo, "0::/a\n", root) == 4001 * MIB);
    cr_expect(config_memory_free_of("MemAvailable: 1024 kB\nSwapFree: 3072 kB\n", "", root) == 4 * MIB);
    cr_expect(config_memory_free_of("MemFree: 1 kB\n", "", root) == UINT64_MAX);
    cr_expect(config_memory_free_of("", "", root) == UINT64_MAX);
    cr_expect(config_memory_free() >= MIB);
}

Test(config_memory, the_smallest_limit_on_the_way_up_counts) {
    limit("/a", "max\n");
    cr_expect(config_memory_free_of(meminfo, "0::/a\n", root) == 4001 * MIB);
    limit("/a", "1073741824\n");
    cr_expect(config_memory_free_of(meminfo, "0::/a\n", root) == GIB);
    limit("", "536870913\n");
    cr_expect(config_memory_free_of(meminfo, "4:memory:/x\n0::/a\n", root) == 512 * MIB);
    cr_expect(config_memory_free_of("", "0::/a\n", root) == 512 * MIB);
    cr_expect(config_memory_free_of(meminfo, "4:memory:/x\n", root) == 4001 * MIB);
}
