/* A process that reads an inbox is killed at random moments, again and again, while files keep coming: each
 * file is settled at least once, none is lost, and each is in done/ or rejected/ once, with its findings. The
 * random numbers are seeded; the moments are what the machine makes of them.
 * RH_KILLS says how often: 20 by default. */
#include "core/base/logfmt.h"
#include "core/transport/directory.h"
#include "tests/unit/core/transport/inbound_double.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES_MOST 4000u

static char root[64], inbox[96], settled_path[96];
static uint64_t random_state;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % n;
}

static const char *in(const char *directory, const char *name) {
    static char paths[4][512];
    static uint32_t next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/* ---- the child: what it settles is known outside before it is told ---- */

static int settled_fd;

static void on_document(struct inbound *inbound, const struct double_document *document) {
    char line[300];
    int length = snprintf(line, sizeof line, "%s\n", document->name);
    (void)inbound;
    if (write(settled_fd, line, (size_t)length) != length)
        _exit(3);
}

static void child_run(const char *state_dir) {
    struct event_base *base = event_base_new();
    struct inbound *inbound = double_new(base);
    struct transport_host host = {
        .base = base, .name = "warehouse", .state_dir = state_dir, .inbound = inbound};
    const struct directory_options options = {
        .inbox = inbox, .complete = DIRECTORY_RENAME, .retry_ms = 1, .retry_most_ms = 5, .rescan_ms = 50};
    char why[256];
    settled_fd = open(settled_path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    inbound->on_document = on_document;
    inbound->full_every = 5;
    if (settled_fd < 0 || directory_transport.start(&host, &options, why, sizeof why) == NULL)
        _exit(4);
    (void)event_base_dispatch(base);
    _exit(5);
}

static pid_t child_start(const char *state_dir) {
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0)
        child_run(state_dir);
    return child;
}

/* Killed, and by nothing else: it never ended by itself. */
static void child_kill(pid_t child) {
    int status;
    cr_assert(kill(child, SIGKILL) == 0);
    cr_assert(waitpid(child, &status, 0) == child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with %x", (unsigned)status);
}

/* ---- the parent ---- */

static uint32_t dropped;

/* Every third one is rejected; one in ten is larger than a piece. Contents differ, names are all different.
 */
static void drop_one(void) {
    static char big[200000];
    char name[64];
    (void)snprintf(name, sizeof name, "%s-%06u", dropped % 3 == 0 ? "bad" : "good", dropped);
    const char *temporary = in(root, "being-written");
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    cr_assert(dprintf(fd, "%s %u\n", dropped % 3 == 0 ? "BAD" : "GOOD", dropped) > 0);
    if (dropped % 10 == 0) {
        memset(big, 'x', sizeof big);
        cr_assert(write(fd, big, sizeof big) == sizeof big);
    }
    cr_assert(close(fd) == 0 && rename(temporary, in(inbox, name)) == 0);
    dropped++;
}

static void pause_us(uint32_t us) {
    const struct timespec pause = {.tv_nsec = (long)us * 1000};
    (void)nanosleep(&pause, NULL);
}

static uint32_t waiting(void) {
    uint32_t count = 0;
    DIR *entries = opendir(inbox);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_type == DT_REG && entry->d_name[0] != '.';
    (void)closedir(entries);
    return count;
}

static void mark(uint8_t *seen, const char *name, uint8_t bit) {
    unsigned number;
    cr_assert(sscanf(name, "%*[a-z]-%06u", &number) == 1 && number < dropped, "a strange name: %s", name);
    cr_assert(bit == 0 || (seen[number] & bit) == 0, "twice: %s", name);
    seen[number] |= bit != 0 ? bit : 1;
}

/* Each name in a directory: `plain` for a file, `findings` for its findings. */
static void mark_directory(uint8_t *seen, const char *path, uint8_t plain, uint8_t findings) {
    DIR *entries = opendir(path);
    cr_assert_not_null(entries, "%s", path);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_type != DT_REG)
            continue;
        const char *end = strstr(entry->d_name, ".findings.json");
        cr_assert(entry->d_name[0] != '.', "left behind: %s", entry->d_name);
        cr_assert(strlen(entry->d_name) == (size_t)(end != NULL ? end - entry->d_name : 0) +
                                               (end != NULL ? 14 : strlen(entry->d_name)));
        mark(seen, entry->d_name, end != NULL ? findings : plain);
    }
    (void)closedir(entries);
}

static void judge(void) {
    static uint8_t seen[FILES_MOST];
    char line[300];
    memset(seen, 0, sizeof seen);
    FILE *settled = fopen(settled_path, "r");
    cr_assert_not_null(settled);
    while (fgets(line, sizeof line, settled) != NULL)
        mark(seen, line, 0); /* bit 1: settled, as often as it may be */
    (void)fclose(settled);
    mark_directory(seen, in(inbox, "done"), 2, 0xff);
    mark_directory(seen, in(inbox, "rejected"), 4, 8);
    for (uint32_t i = 0; i < dropped; i++)
        cr_assert(seen[i] == (i % 3 == 0 ? (1 | 4 | 8) : (1 | 2)), "file %u: %x", i, seen[i]);
}

static void scene(uint64_t seed, bool with_state_dir) {
    const char *wanted = getenv("RH_KILLS");
    uint32_t kills = wanted != NULL ? (uint32_t)strtoul(wanted, NULL, 10) : 20;
    char state_dir[96], command[96];
    random_state = seed;
    dropped = 0;
    logfmt_level_set((enum logfmt_level)(LOGFMT_ERROR + 1));
    (void)snprintf(root, sizeof root, "/tmp/rh-crash-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(inbox, sizeof inbox, "%s/in", root);
    (void)snprintf(settled_path, sizeof settled_path, "%s/settled", root);
    (void)snprintf(state_dir, sizeof state_dir, "%s/state", root);
    cr_assert(mkdir(inbox, 0777) == 0);
    for (uint32_t i = 0; i < kills; i++) {
        pid_t child = child_start(with_state_dir ? state_dir : NULL);
        uint32_t files = random_below(25);
        for (uint32_t j = 0; j < files && dropped < FILES_MOST; j++) {
            drop_one();
            if (random_below(3) == 0)
                pause_us(random_below(1000));
        }
        pause_us(random_below(8000));
        child_kill(child);
    }
    pid_t child = child_start(with_state_dir ? state_dir : NULL);
    for (uint32_t i = 0; waiting() > 0; i++) {
        cr_assert(i < 30000, "%u files are never read", waiting());
        pause_us(1000);
    }
    pause_us(50000); /* the last findings get their name */
    child_kill(child);
    child = child_start(with_state_dir ? state_dir : NULL);
    pause_us(100000);
    child_kill(child);
    judge();
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert(system(command) == 0);
}

Test(directory_crash, no_file_is_lost_or_moved_twice_with_the_state_in_the_inbox) {
    scene(20261127, false);
}

Test(directory_crash, no_file_is_lost_or_moved_twice_with_a_state_directory) {
    scene(4711, true);
}
