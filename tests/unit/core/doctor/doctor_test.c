#include "core/config/memory.h"
#include "core/doctor/doctor.h"
#include "core/doctor/host.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a machine made of files and answers ---- */

static char root[64];
static struct config config;
static struct findings findings;
static struct doctor doctor;

static enum io_body chosen;
static int chosen_error;
static const char *chosen_reason;
static struct rlimit descriptors, locked;
static int clock_answer, clock_status, listen_answer, enter_answer, sync_answer;
static struct doctor_sync disk_sync;
static struct doctor_space disk_space;
static uint32_t cpus;
static uint64_t memory;

static int choose(enum io_choice choice, enum io_body *body, char *reason, size_t size) {
    (void)choice;
    *body = chosen;
    snprintf(reason, size, "%s", chosen_reason);
    return chosen_error;
}

static int limit(int resource, struct rlimit *out) {
    *out = resource == RLIMIT_NOFILE ? descriptors : locked;
    return 0;
}

static int clock_read(struct timex *state) {
    state->status = clock_status;
    state->maxerror = 4000;
    return clock_answer;
}

static int listen_on(const char *address, uint16_t *port) {
    (void)address;
    (void)port;
    return listen_answer;
}

static int enter(const char *directory) {
    (void)directory;
    return enter_answer;
}

static int sync_measure(const char *directory, struct doctor_sync *sync) {
    (void)directory;
    *sync = disk_sync;
    return sync_answer;
}

static int space(const char *directory, struct doctor_space *out) {
    (void)directory;
    *out = disk_space;
    return 0;
}

static uint32_t cpus_count(void) {
    return cpus;
}

static bool cpu_has(uint32_t cpu) {
    return cpu < cpus;
}

static uint64_t memory_had(void) {
    return memory;
}

/* A file below the root, with the folders that it needs. */
static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(text, file);
    fclose(file);
}

static void make_machine(void) {
    strcpy(root, "/tmp/rh-doctor-XXXXXX");
    cr_assert(mkdtemp(root));
    config_defaults(&config);
    config.shards = 2;
    findings.count = 0;
    chosen = IO_BODY_URING;
    chosen_error = 0;
    chosen_reason = "fits all features";
    descriptors = (struct rlimit){1024, 20000};
    locked = (struct rlimit){8 * MIB, 8 * MIB};
    clock_answer = TIME_OK;
    clock_status = listen_answer = enter_answer = sync_answer = 0;
    listen_answer = -1;
    disk_sync = (struct doctor_sync){.count = 32, .median_ns = 400 * NS_PER_US, .longest_ns = NS_PER_MS};
    disk_space = (struct doctor_space){.type = "ext4", .free_bytes = 40 * GIB, .size_bytes = 100 * GIB};
    cpus = 2;
    memory = 4 * GIB;
    doctor = (struct doctor){.config = &config,
                             .root = root,
                             .probes = {.choose = choose,
                                        .limit = limit,
                                        .clock = clock_read,
                                        .listen = listen_on,
                                        .enter = enter,
                                        .sync = sync_measure,
                                        .space = space,
                                        .cpus = cpus_count,
                                        .cpu_has = cpu_has,
                                        .memory = memory_had}};
    put("proc/sys/kernel/osrelease", "6.1.0-37-amd64\n");
    put("proc/self/status", "Name:\tdoctor\nCapEff:\t0000000000000000\nSeccomp:\t0\n");
}

static int remove_one(const char *path, const struct stat *state, int flag, struct FTW *walk) {
    (void)state;
    (void)flag;
    (void)walk;
    return remove(path);
}

static void remove_machine(void) {
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The finding that says `text`; it must be of this grade. */
static const struct finding *found(enum finding_grade grade, const char *text) {
    for (uint32_t i = 0; i < findings.count; i++)
        if (strstr(findings.list[i].text, text) != NULL) {
            cr_assert(findings.list[i].grade == grade, "%s is %s", text,
                      finding_grade_name(findings.list[i].grade));
            return &findings.list[i];
        }
    for (uint32_t i = 0; i < findings.count; i++)
        fprintf(stderr, "%s: %s\n", finding_grade_name(findings.list[i].grade), findings.list[i].text);
    cr_assert_fail("nothing says: %s", text);
    return NULL;
}

static void advises(const struct finding *finding, const char *advice) {
    cr_expect(strstr(finding->advice, advice) != NULL, "the advice is: %s", finding->advice);
}

static bool said(const char *text) {
    for (uint32_t i = 0; i < findings.count; i++)
        if (strstr(findings.list[i].text, text) != NULL)
            return true;
    return false;
}

TestSuite(doctor, .init = make_machine, .fini = remove_machine);

/* ---- the list ---- */

Test(doctor, the_status_is_that_of_the_first_that_fails) {
    finding_add(&findings, FINDING_WARN, "a", "%s", "x");
    cr_expect(findings_status(&findings) == 0);
    finding_fail(&findings, 69, "b", "y");
    finding_fail(&findings, 70, "c", "z");
    cr_expect(findings_status(&findings) == 69);
    cr_expect(findings_count(&findings, FINDING_FAIL) == 2 && findings_count(&findings, FINDING_OK) == 0);
}

Test(doctor, a_list_that_is_full_keeps_what_fails) {
    finding_fail(&findings, 70, "a", "x");
    for (uint32_t i = 0; i < 2 * FINDINGS_MAX; i++)
        finding_add(&findings, FINDING_OK, "b", "%u", i);
    cr_expect(findings.count == FINDINGS_MAX && findings_status(&findings) == 70);
    cr_expect_str_eq(findings.list[FINDINGS_MAX - 1].text, "255");
}

/* ---- texts of the kernel ---- */

Test(doctor, numbers_of_the_kernel_are_read_strictly) {
    uint64_t numbers[3] = {0};
    put("proc/three", "4096\t16384\t4194304\n");
    cr_expect(host_numbers(&doctor, "proc/three", numbers, 3) && numbers[1] == 16384);
    cr_expect_not(host_numbers(&doctor, "proc/three", numbers, 4));
    cr_expect_not(host_number(&doctor, "proc/missing", numbers));
    put("proc/odd", "max\n");
    cr_expect_not(host_number(&doctor, "proc/odd", numbers));
    put("proc/lines", "Seccomp_filters:\t7\nSeccomp:\t2\nCapEff:\t0000000000004000\n");
    cr_expect(host_line(&doctor, "proc/lines", "Seccomp", 10, numbers) && numbers[0] == 2);
    cr_expect(host_line(&doctor, "proc/lines", "CapEff", 16, numbers) && numbers[0] == 0x4000);
    cr_expect_not(host_line(&doctor, "proc/lines", "Cap", 16, numbers));
}

/* ---- the network ---- */

Test(doctor, io_uring_that_runs_is_right) {
    doctor_look_io(&doctor, &findings);
    found(FINDING_OK, "io_uring carries the network: fits all features");
    found(FINDING_OK, "8192 KiB of memory may be locked");
    cr_expect(findings_status(&findings) == 0);
}

Test(doctor, what_refuses_io_uring_is_told_with_what_to_do) {
    static const struct {
        const char *reason, *disabled, *seccomp, *advice;
    } cases[] = {
        {"io_uring_setup: EPERM; kernel.io_uring_disabled=2", "2\n", "0",
         "sysctl kernel.io_uring_disabled=0"},
        {"io_uring_setup: EPERM; kernel.io_uring_disabled=1", "1\n", "0", "io_uring_group"},
        {"io_uring_setup: EPERM; a seccomp filter", "0\n", "2", "io_uring_setup, io_uring_enter"},
        {"io_uring_setup: EPERM; a seccomp filter", NULL, "0", "a security module, such as SELinux"},
        {"io_uring_setup: ENOMEM; raise the limit", NULL, "0", "LimitMEMLOCK=64M"},
        {"io_uring_setup: ENOSYS", NULL, "0", "a kernel of 6.1 or newer"},
        {"kernel 5.15 is older than 6.1", NULL, "0", "a kernel of 6.1 or newer"},
        {"io_uring self-test: ETIMEDOUT", NULL, "0", "epoll does all"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char status[64];
        findings.count = 0;
        chosen = IO_BODY_EPOLL;
        chosen_reason = cases[i].reason;
        snprintf(status, sizeof status, "Seccomp:\t%s\n", cases[i].seccomp);
        put("proc/self/status", status);
        put("proc/sys/kernel/io_uring_disabled", cases[i].disabled ? cases[i].disabled : "");
        doctor_look_io(&doctor, &findings);
        advises(found(FINDING_NOTE, cases[i].reason), cases[i].advice);
        cr_expect(said("6.1.0-37-amd64"));
    }
}

Test(doctor, io_uring_by_force_that_can_not_be_had_fails) {
    config.io = IO_URING;
    chosen_error = -EPERM;
    chosen_reason = "io_uring_setup: EPERM";
    doctor_look_io(&doctor, &findings);
    advises(found(FINDING_FAIL, "io_uring can not be had"), "io: auto");
    cr_expect(findings_status(&findings) == 69);
}

Test(doctor, locked_memory_is_held_against_the_shards) {
    config.shards = 64;
    doctor_look_io(&doctor, &findings);
    advises(found(FINDING_WARN, "about 12800 KiB for 64 shards"), "LimitMEMLOCK");
    findings.count = 0;
    put("proc/self/status", "CapEff:\t0000000000004000\n");
    doctor_look_io(&doctor, &findings);
    found(FINDING_OK, "locked memory is not limited");
}

/* ---- bounds ---- */

Test(doctor, the_limit_that_binds_first_is_named) {
    doctor_look_bounds(&doctor, &findings);
    found(FINDING_OK, "10000 clients at once, then limits.connections binds first");

    findings.count = 0;
    descriptors.rlim_max = 1024; /* 256 + 2 * 8 + 256 of HTTP in are others' */
    doctor_look_bounds(&doctor, &findings);
    advises(found(FINDING_WARN, "496 clients at once, then the limit of descriptors of a process"),
            "LimitNOFILE=");

    findings.count = 0;
    descriptors.rlim_max = RLIM_INFINITY;
    put("proc/sys/net/netfilter/nf_conntrack_max", "4000\n");
    doctor_look_bounds(&doctor, &findings);
    advises(found(FINDING_WARN, "4000 clients at once"), "nf_conntrack_max");

    findings.count = 0;
    memory = config_memory_logs(&config);
    doctor_look_bounds(&doctor, &findings);
    advises(found(FINDING_WARN, "0 clients at once, then memory beside the logs binds"), "logs.data");
}

Test(doctor, the_kernels_memory_for_sockets_is_reckoned_in_subscribers_that_do_not_read) {
    char text[64];
    snprintf(text, sizeof text, "1 2 %ld\n", (long)(64 * MIB) / sysconf(_SC_PAGESIZE));
    put("proc/sys/net/ipv4/tcp_mem", text);
    put("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n");
    put("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
    put("proc/sys/net/core/somaxconn", "128\n");
    put("proc/sys/net/core/rmem_max", "212992\n");
    put("proc/sys/net/core/wmem_max", "212992\n");
    doctor_look_bounds(&doctor, &findings);
    found(FINDING_NOTE, "64MiB for all connections (net.ipv4.tcp_mem): 16 subscribers that do not read");
    advises(found(FINDING_WARN, "128 connections can wait"), "somaxconn=4096");
    found(FINDING_OK, "208 KiB to receive and 208 KiB to send");

    findings.count = 0;
    put("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t65536\n");
    config.limits.connections = 1000;
    doctor_look_bounds(&doctor, &findings);
    found(FINDING_OK, "1024 subscribers that do not read");
    found(FINDING_NOTE, "at most 64 KiB to send and 6144 KiB to receive");
}

Test(doctor, watches_matter_where_there_are_spokes) {
    put("proc/sys/fs/inotify/max_user_instances", "128\n");
    doctor_look_bounds(&doctor, &findings);
    cr_expect_not(said("fs.inotify"));
    strcpy(config.spokes_dir, "/etc/roundhouse/spokes.d");
    doctor_look_bounds(&doctor, &findings);
    found(FINDING_OK, "128 directories can be watched");
}

/* ---- the machine ---- */

Test(doctor, memory_is_held_against_the_logs) {
    doctor_look_memory(&doctor, &findings);
    found(FINDING_OK, "the logs take 160MiB, and 4GiB can be had here");
    findings.count = 0;
    memory = 190 * MIB;
    doctor_look_memory(&doctor, &findings);
    found(FINDING_WARN, "little is left");
    findings.count = 0;
    memory = 100 * MIB;
    doctor_look_memory(&doctor, &findings);
    found(FINDING_FAIL, "the logs take 160MiB, and 100MiB can be had here");
    cr_expect(findings_status(&findings) == 70);
    findings.count = 0;
    doctor.running.found = true; /* that one has them already */
    doctor_look_memory(&doctor, &findings);
    cr_expect(findings_status(&findings) == 0);
}

Test(doctor, a_kernel_that_never_overcommits_is_told) {
    put("proc/sys/vm/overcommit_memory", "2\n");
    put("proc/meminfo", "MemTotal: 1 kB\nCommitLimit:     200000 kB\nCommitted_AS:    100000 kB\n");
    doctor_look_memory(&doctor, &findings);
    advises(found(FINDING_WARN, "of which 97 MiB are left; the logs take more"), "vm.overcommit_ratio");
    findings.count = 0;
    put("proc/meminfo", "CommitLimit:     900000 kB\nCommitted_AS:    100000 kB\n");
    doctor_look_memory(&doctor, &findings);
    found(FINDING_NOTE, "of which 781 MiB are left");
    findings.count = 0;
    put("proc/sys/vm/overcommit_memory", "0\n");
    put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    doctor_look_memory(&doctor, &findings);
    cr_expect_not(said("overcommit"));
    found(FINDING_OK, "transparent huge pages");
}

Test(doctor, more_shards_than_cpus_and_cpus_that_are_not_ours_are_told) {
    doctor_look_cpus(&doctor, &findings);
    found(FINDING_OK, "2 shards and 2 CPUs");
    findings.count = 0;
    config.shards = 4;
    config.cpus_given = true;
    for (uint16_t i = 0; i < 4; i++)
        config.cpus[i] = i;
    doctor_look_cpus(&doctor, &findings);
    found(FINDING_WARN, "4 shards and 2 CPUs");
    found(FINDING_WARN, "shard 2 is to run on CPU 2");
    found(FINDING_WARN, "shard 3 is to run on CPU 3");
    cr_expect_not(said("shard 1 is"));
}

Test(doctor, a_clock_that_nobody_sets_and_a_slow_one_are_told) {
    put("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    doctor_look_clock(&doctor, &findings);
    found(FINDING_OK, "wrong by 4 ms at most");
    found(FINDING_OK, "from tsc");
    findings.count = 0;
    clock_status = STA_UNSYNC;
    put("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
    doctor_look_clock(&doctor, &findings);
    advises(found(FINDING_WARN, "nothing synchronises the time of day"), "chrony");
    found(FINDING_WARN, "hpet, which is slow to read");
    findings.count = 0;
    clock_answer = -1;
    doctor_look_clock(&doctor, &findings);
    found(FINDING_NOTE, "can not be told here");
}

/* ---- acknowledgements ---- */

static void rule(uint32_t number, const char *pattern, bool given, enum topic_class class) {
    struct topic_rule *made = &config.topics[number];
    *made = (struct topic_rule){.class = class, .class_given = given, .length = (uint8_t)strlen(pattern)};
    memcpy(made->pattern, pattern, made->length);
    config.topics_count = number + 1;
}

Test(doctor, each_class_of_topics_has_its_sentence) {
    doctor_look_acks(&doctor, &findings);
    advises(found(FINDING_NOTE, "all topics: `routed` means in the log in memory"), "journal.dir");
    cr_expect(findings.count == 1);

    findings.count = 0;
    strcpy(config.journal_dir, "/var/lib/roundhouse");
    rule(0, "live.>", true, TOPIC_MEMORY);
    rule(1, "erp.>", false, TOPIC_MEMORY);
    config.topics[1].duplicates_window_ns = 300 * NS_PER_S;
    config.topics[1].duplicates_count = 1000;
    doctor_look_acks(&doctor, &findings);
    found(FINDING_OK, "topics live.>: `routed` means in the log in memory and on its way");
    found(FINDING_OK, "topics erp.>: `disk` means synced in the journal in /var/lib/roundhouse");
    found(FINDING_OK, "the last 1000, within 5m");
    found(FINDING_OK, "all other topics: `disk` means synced");
    cr_expect(findings.count == 4);

    findings.count = 0;
    rule(2, ">", true, TOPIC_MEMORY);
    doctor_look_acks(&doctor, &findings);
    cr_expect_not(said("all other topics"));
}

Test(doctor, a_class_that_can_not_be_had_fails_as_the_start_does) {
    rule(0, "erp.>", true, TOPIC_DISK);
    doctor_look_acks(&doctor, &findings);
    advises(found(FINDING_FAIL, "\"erp.>\" is of class disk, and there is no journal"), "--journal DIR");
    cr_expect(findings_status(&findings) == 78);
}

/* ---- the disk ---- */

static void journal(const char *directory) {
    snprintf(config.journal_dir, sizeof config.journal_dir, "%s%s", root, directory);
    config.journal_retain_bytes = GIB;
    findings.count = 0;
    doctor_look_disk(&doctor, &findings);
}

Test(doctor, without_a_journal_no_disk_is_looked_at) {
    doctor_look_disk(&doctor, &findings);
    cr_expect(findings.count == 0);
}

Test(doctor, a_disk_is_measured_and_named) {
    journal("");
    found(FINDING_OK, "the file system is ext4");
    found(FINDING_OK, "40GiB are free");
    found(FINDING_OK, "takes 0.400 ms (median of 32; the longest 1.000 ms)");
    found(FINDING_OK, "about 2500 acknowledgements a second");
    disk_sync.median_ns = 30 * NS_PER_MS;
    journal("");
    advises(found(FINDING_NOTE, "takes 30.000 ms"), "a disk of its own");
    disk_sync.median_ns = 300 * NS_PER_MS;
    journal("");
    found(FINDING_WARN, "takes 300.000 ms");
    disk_sync.median_ns = 2 * NS_PER_US;
    journal("");
    advises(found(FINDING_NOTE, "takes 0.002 ms"), "whether that disk really writes");
    sync_answer = -EIO;
    journal("");
    found(FINDING_WARN, "can not be measured: Input/output error");
}

Test(doctor, file_systems_that_keep_nothing_are_told) {
    static const char *const types[][2] = {{"tmpfs", "lies in memory"},
                                           {"overlay", "goes with the container"},
                                           {"nfs", "may not be on a disk"},
                                           {"9p", "may not be on a disk"}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        disk_space.type = types[i][0];
        journal("");
        found(FINDING_WARN, types[i][1]);
    }
    disk_space.type = NULL;
    journal("");
    found(FINDING_OK, "one without a name here");
}

Test(doctor, room_is_held_against_what_the_journal_takes) {
    disk_space.free_bytes = 100 * MIB;
    config.journal_logs = 2;
    journal("/new");
    found(FINDING_FAIL, "100MiB are free, and a new journal takes 256MiB at once");
    cr_expect(findings_status(&findings) == 70);
    journal("");
    cr_expect(findings_status(&findings) == 0);
    disk_space.size_bytes = GIB;
    journal("");
    found(FINDING_WARN, "it is full before anything is removed");
    disk_space.read_only = true;
    journal("");
    found(FINDING_FAIL, "the file system is read-only");
    disk_space.read_only = false;
    config.journal_retain_bytes = 0;
    findings.count = 0;
    doctor_look_disk(&doctor, &findings);
    advises(found(FINDING_WARN, "keeps everything"), "journal.retain_bytes");
}

Test(doctor, a_directory_that_can_not_be_used_fails) {
    enter_answer = -EACCES;
    journal("");
    advises(found(FINDING_FAIL, "Permission denied"), "this user may write");
    cr_expect(findings_status(&findings) == 70);
    enter_answer = -ENOENT;
    journal("/a/b");
    advises(found(FINDING_FAIL, "No such file or directory"), "make it");
}

Test(doctor, the_real_disk_is_measured_and_nothing_stays_in_the_directory) {
    char path[128];
    struct doctor_sync sync = {0};
    struct doctor_space room = {0};
    snprintf(path, sizeof path, "%s/journal", root);
    cr_assert(mkdir(path, 0700) == 0);
    cr_expect(doctor_probes_real.enter(path) == 0);
    cr_expect(doctor_probes_real.sync(path, &sync) == 0);
    cr_expect(sync.count >= 1 && sync.count <= DOCTOR_SYNCS && sync.median_ns > 0 &&
              sync.median_ns <= sync.longest_ns);
    cr_expect(doctor_probes_real.space(path, &room) == 0 && room.size_bytes >= room.free_bytes);
    cr_expect(rmdir(path) == 0, "something stayed");
    cr_expect(doctor_probes_real.enter(path) == -ENOENT);
}

/* ---- ports ---- */

Test(doctor, ports_that_can_be_had_are_right) {
    put("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    strcpy(config.listen_ingest, "off");
    listen_answer = dup(STDERR_FILENO);
    doctor_look_ports(&doctor, &findings);
    found(FINDING_OK, "native protocol: 127.0.0.1:4470 can be had");
    cr_expect_not(said("HTTP in") || said("outgoing"));
    findings.count = 0;
    strcpy(config.listen_native, "127.0.0.1:40000");
    listen_answer = dup(STDERR_FILENO);
    doctor_look_ports(&doctor, &findings);
    advises(found(FINDING_NOTE, "port 40000 is one that the kernel gives to outgoing"),
            "ip_local_reserved_ports=40000");
}

Test(doctor, who_has_a_port_is_told) {
    char path[160];
    strcpy(config.listen_ingest, "off");
    strcpy(config.listen_admin, "off");
    put("proc/net/tcp",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1176 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n"
        "   1: 0100007F:1176 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 "
        "0\n");
    put("proc/77/comm", "nginx\n");
    snprintf(path, sizeof path, "%s/proc/77/fd", root);
    cr_assert(mkdir(path, 0700) == 0);
    strcat(path, "/5");
    cr_assert(symlink("socket:[4242]", path) == 0);
    listen_answer = -EADDRINUSE;
    doctor_look_ports(&doctor, &findings);
    advises(found(FINDING_FAIL, "127.0.0.1:4470 is taken, by nginx (process 77)"), "listen.native");
    cr_expect(findings_status(&findings) == 69);

    findings.count = 0;
    cr_assert(remove(path) == 0);
    doctor_look_ports(&doctor, &findings);
    advises(found(FINDING_FAIL, "a program that can not be told from here"), "ss -tlnp");

    findings.count = 0;
    doctor.running.found = true;
    doctor_look_ports(&doctor, &findings);
    found(FINDING_OK, "a router runs here");
    cr_expect(findings_status(&findings) == 0);
}

Test(doctor, what_the_kernel_refuses_is_told) {
    listen_answer = -EACCES;
    doctor_look_ports(&doctor, &findings);
    advises(found(FINDING_FAIL, "Permission denied"), "CAP_NET_BIND_SERVICE");
    findings.count = 0;
    listen_answer = -EADDRNOTAVAIL;
    config.listen_public = true;
    doctor_look_ports(&doctor, &findings);
    advises(found(FINDING_FAIL, "Cannot assign requested address"), "network-online.target");
    found(FINDING_NOTE, "other machines reach a listener");
}

/* ---- a router that runs ---- */

static const char page[] =
    "# HELP roundhouse_build_info what was built\n"
    "roundhouse_build_info{version=\"0.1.0\",commit=\"abc\"} 1\n"
    "roundhouse_io_body{body=\"epoll\"} 1\n"
    "# HELP roundhouse_turns_total turns\n"
    "roundhouse_turns_total{shard=\"0\"} 7\nroundhouse_turns_total{shard=\"1\"} 9\n"
    "roundhouse_connections{shard=\"0\"} 3\nroundhouse_connections{shard=\"1\"} 4\n"
    "roundhouse_connections_accepted_total{shard=\"0\"} 100\n"
    "roundhouse_log_data_capacity_bytes{shard=\"0\"} 67108864\n"
    "process_resident_memory_bytes 201326592\nprocess_open_fds 95\nprocess_max_fds 100\n";

Test(doctor, a_router_that_runs_is_described) {
    cr_assert(doctor_running_read(&doctor.running, page));
    cr_expect_str_eq(doctor.running.version, "0.1.0");
    cr_expect_str_eq(doctor.running.io, "epoll");
    cr_expect(doctor.running.shards == 2 && doctor.running.connections == 7);
    cr_expect(doctor.running.memory_bytes == 128 * MIB);
    doctor_look_running(&doctor, &findings);
    advises(found(FINDING_WARN, "version 0.1.0, epoll, 2 shards, 7 clients, 95 of 100 descriptors, 128 MiB"),
            "LimitNOFILE");
}

Test(doctor, what_is_no_router_is_none) {
    cr_expect_not(doctor_running_read(&doctor.running, "<html>\n") || doctor.running.found);
    cr_expect_not(doctor_running_read(&doctor.running, "\nroundhouse_build_info{version=\"1\""));
    cr_expect_not(doctor_running_read(&doctor.running, ""));
    doctor_look_running(&doctor, &findings);
    found(FINDING_OK, "no router answers at 127.0.0.1:4480");
}

Test(doctor, a_whole_look_at_this_machine_ends) {
    doctor.root = "";
    doctor.probes = doctor_probes_real;
    strcpy(config.listen_native, "127.0.0.1:0");
    strcpy(config.listen_admin, "off");
    strcpy(config.listen_ingest, "off");
    snprintf(config.journal_dir, sizeof config.journal_dir, "%s/journal", root);
    doctor_look(&doctor, &findings);
    cr_expect(findings.count >= 8 && findings.count < FINDINGS_MAX);
    cr_expect(said("`disk` means synced") && said("can be had"));
}
