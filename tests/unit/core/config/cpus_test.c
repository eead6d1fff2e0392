#include "core/config/cpus.h"

#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A tree of control groups: ROOT, ROOT/a and ROOT/a/b. */
static char root[64];

static void quota(const char *folder, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s%s/cpu.max", root, folder);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(text, file);
    fclose(file);
}

static void remove_all(void) {
    static const char *const names[] = {"/a/b/cpu.max", "/a/cpu.max", "/cpu.max", "/a/b", "/a", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", root, names[i]);
        remove(path);
    }
}

static void make_root(void) {
    char path[128];
    strcpy(root, "/tmp/rh-cgroup-XXXXXX");
    cr_assert(mkdtemp(root));
    snprintf(path, sizeof path, "%s/a", root);
    cr_assert(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/a/b", root);
    cr_assert(mkdir(path, 0700) == 0);
}

TestSuite(config_cpus, .init = make_root, .fini = remove_all);

Test(config_cpus, no_quota_bounds_nothing) {
    cr_expect(config_cpus_quota("0::/a/b\n", root) == UINT32_MAX);
    quota("/a/b", "max 100000\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == UINT32_MAX);
    cr_expect(config_cpus_quota("0::/\n", root) == UINT32_MAX);
    cr_expect(config_cpus_quota("", root) == UINT32_MAX);
    cr_expect(config_cpus_quota("3:cpu:/a\n", root) == UINT32_MAX);
}

Test(config_cpus, a_quota_counts_whole_cpus_and_at_least_one) {
    quota("/a/b", "300000 100000\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == 3);
    quota("/a/b", "350000 100000\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == 3);
    quota("/a/b", "50000 100000\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == 1);
    quota("/a/b", "broken\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == UINT32_MAX);
    quota("/a/b", "100 0\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == UINT32_MAX);
}

Test(config_cpus, the_smallest_quota_on_the_way_up_counts) {
    quota("/a/b", "600000 100000\n");
    quota("/a", "200000 100000\n");
    quota("", "800000 100000\n");
    cr_expect(config_cpus_quota("0::/a/b\n", root) == 2);
    cr_expect(config_cpus_quota("5:memory:/x\n0::/a/b\n", root) == 2);
    cr_expect(config_cpus_quota("0::/\n", root) == 8);
}

Test(config_cpus, counts_the_affinity_mask) {
    cpu_set_t all, one;
    cr_assert(sched_getaffinity(0, sizeof all, &all) == 0);
    uint32_t cpus = config_cpus();
    cr_expect(cpus >= 1 && cpus <= SHARDS_MAX && cpus <= (uint32_t)CPU_COUNT(&all));
    uint32_t first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    cr_assert(sched_setaffinity(0, sizeof one, &one) == 0);
    cr_expect(config_cpus() == 1);
    cr_expect(config_cpus_has(first));
    cr_expect(!config_cpus_has(first + 1));
    cr_expect(!config_cpus_has(1000000));
}
