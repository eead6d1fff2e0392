/* The inbox of a directory, over real files: what is taken when, what becomes of it, and what a directory
 * that can not be used does not lose. */
#include "core/base/logfmt.h"
#include "core/transport/directory.h"
#include "tests/unit/core/transport/inbound_double.h"
#include "tests/unit/leaks.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS_MOST 20000u /* of a millisecond at most */

static bool no_inotify;

/* In front of the C library's. */
int inotify_init1(int flags) {
    if (no_inotify) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_inotify_init1, flags);
}

/* ---- a world: a folder, a loop, an inbox ---- */

struct world {
    char root[64];
    char inbox[96], done[96], rejected[96];
    struct event_base *base;
    struct inbound *inbound;
    struct transport_host host;
    struct directory_options options;
    void *transport;
};

static struct world *world_new(void) {
    struct world *world = calloc(1, sizeof *world);
    cr_assert_not_null(world);
    logfmt_level_set((enum logfmt_level)(LOGFMT_ERROR + 1));
    (void)snprintf(world->root, sizeof world->root, "/tmp/rh-inbox-XXXXXX");
    cr_assert_not_null(mkdtemp(world->root));
    (void)snprintf(world->inbox, sizeof world->inbox, "%s/in", world->root);
    (void)snprintf(world->done, sizeof world->done, "%s/in/done", world->root);
    (void)snprintf(world->rejected, sizeof world->rejected, "%s/in/rejected", world->root);
    world->base = event_base_new();
    world->inbound = double_new(world->base);
    world->host =
        (struct transport_host){.base = world->base, .name = "warehouse", .inbound = world->inbound};
    world->options = (struct directory_options){.inbox = world->inbox,
                                                .complete = DIRECTORY_RENAME,
                                                .stable_ms = 20,
                                                .retry_ms = 5,
                                                .retry_most_ms = 20,
                                                .rescan_ms = 20};
    return world;
}

static void world_start(struct world *world) {
    char why[256] = "";
    world->transport = directory_transport.start(&world->host, &world->options, why, sizeof why);
    cr_assert_not_null(world->transport, "%s", why);
}

static void world_stop(struct world *world) {
    directory_transport.stop(world->transport);
    world->transport = NULL;
}

static void world_restart(struct world *world) {
    world_stop(world);
    world_start(world);
}

static void world_free(struct world *world) {
    char command[128];
    if (world->transport != NULL)
        world_stop(world);
    double_free(world->inbound);
    event_base_free(world->base);
    (void)snprintf(command, sizeof command, "rm -rf %s", world->root);
    cr_assert(system(command) == 0);
    free(world);
    if (getuid() == 0)
        cr_assert(seteuid(0) == 0); /* the leak check looks into the process */
    LEAKS_NONE();
}

static void turn(struct world *world) {
    const struct timespec nap = {.tv_nsec = 200000};
    cr_assert(event_base_loop(world->base, EVLOOP_NONBLOCK) >= 0);
    (void)nanosleep(&nap, NULL);
}

/* Long enough for whatever could happen without being waited for: several pauses and looks. */
static void turns(struct world *world, uint32_t ms) {
    for (uint32_t i = 0; i < 3 * ms; i++)
        turn(world);
}

#define TURN_UNTIL(world, condition)                                                                         \
    do {                                                                                                     \
        for (uint32_t turns_done = 0; !(condition); turns_done++) {                                          \
            cr_assert(turns_done < TURNS_MOST, "never: %s", #condition);                                     \
            turn(world);                                                                                     \
        }                                                                                                    \
    } while (0)

static const char *in(const char *directory, const char *name) {
    static char paths[4][512];
    static uint32_t next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
    cr_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    cr_assert(close(fd) == 0);
}

/* As a partner should: under another name, and renamed. */
static void drop(struct world *world, const char *name, const char *text) {
    put(in(world->root, "being-written"), text);
    cr_assert(rename(in(world->root, "being-written"), in(world->inbox, name)) == 0);
}

static bool there(const char *path) {
    struct stat stat;
    return lstat(path, &stat) == 0;
}

static uint32_t files(const char *directory) {
    uint32_t count = 0;
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_type == DT_REG && entry->d_name[0] != '.';
    (void)closedir(entries);
    return count;
}

/* ---- when a file is complete ---- */

Test(inbox, a_file_that_is_renamed_into_it_is_read_and_moved_to_done) {
    struct world *world = world_new();
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    drop(world, "orders.edi", "UNA:+.? '");
    TURN_UNTIL(world, there(in(world->done, "orders.edi")));
    cr_assert(world->inbound->ended == 1 && world->inbound->documents[0].bytes == 9);
    cr_assert_str_eq(world->inbound->documents[0].name, "orders.edi");
    cr_assert_not(there(in(world->inbox, "orders.edi")));
    world_free(world);
}

Test(inbox, what_is_there_at_the_start_is_read_in_the_order_of_names_or_of_times) {
    for (int by_time = 0; by_time < 2; by_time++) {
        struct world *world = world_new();
        const char *names[] = {"b", "a", "c"}, *sorted[] = {"a", "b", "c"};
        cr_assert(mkdir(world->inbox, 0777) == 0);
        for (int i = 0; i < 3; i++) {
            const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
            put(in(world->inbox, names[i]), names[i]);
            cr_assert(utimensat(AT_FDCWD, in(world->inbox, names[i]), times, 0) == 0);
        }
        world->options.order = by_time != 0 ? DIRECTORY_BY_TIME : DIRECTORY_BY_NAME;
        world_start(world);
        TURN_UNTIL(world, world->inbound->ended == 3 && files(world->done) == 3);
        for (int i = 0; i < 3; i++)
            cr_assert_str_eq(world->inbound->documents[i].name, by_time != 0 ? names[i] : sorted[i]);
        world_free(world);
    }
}

Test(inbox, a_file_that_is_written_in_place_is_taken_when_it_is_closed) {
    struct world *world = world_new();
    world->options.complete = DIRECTORY_CLOSE;
    world->options.stable_ms = 3600 * 1000;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    turns(world, 30); /* it is watched */
    int fd = open(in(world->inbox, "slow.edi"), O_WRONLY | O_CREAT, 0666);
    cr_assert(write(fd, "half", 4) == 4);
    turns(world, 60);
    cr_assert(world->inbound->begun == 0, "half a file was read");
    cr_assert(write(fd, " and half", 9) == 9 && close(fd) == 0);
    TURN_UNTIL(world, there(in(world->done, "slow.edi")));
    cr_assert(world->inbound->ended == 1 && world->inbound->documents[0].bytes == 13);
    drop(world, "moved.edi", "moved here");
    TURN_UNTIL(world, there(in(world->done, "moved.edi")));
    world_free(world);
}

Test(inbox, a_file_that_nobody_closes_is_taken_when_it_is_stable) {
    struct world *world = world_new();
    world->options.complete = DIRECTORY_STABLE;
    world->options.stable_ms = 100;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    int fd = open(in(world->inbox, "open.csv"), O_WRONLY | O_CREAT, 0666);
    for (int i = 0; i < 20; i++) {
        cr_assert(write(fd, "line\n", 5) == 5);
        turns(world, 20);
    }
    TURN_UNTIL(world, there(in(world->done, "open.csv")));
    cr_assert(close(fd) == 0);
    cr_assert(world->inbound->documents[world->inbound->ended - 1].bytes == 100);
    world_free(world);
}

Test(inbox, what_is_no_plain_file_or_has_a_temporary_name_is_never_looked_at) {
    struct world *world = world_new();
    world->options.pattern = "*.edi*";
    cr_assert(mkdir(world->inbox, 0777) == 0 && mkdir(in(world->inbox, "folder.edi"), 0777) == 0);
    cr_assert(mkfifo(in(world->inbox, "pipe.edi"), 0666) == 0);
    put(in(world->root, "outside"), "outside");
    cr_assert(symlink("../outside", in(world->inbox, "link.edi")) == 0);
    const char *names[] = {".edi", "a.edi.tmp", "a.edi.part", "a.edi~", "a.csv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(in(world->inbox, names[i]), "no");
    world_start(world);
    drop(world, "z.edi", "yes");
    TURN_UNTIL(world, there(in(world->done, "z.edi")));
    turns(world, 60);
    cr_assert(world->inbound->begun == 1 && files(world->done) == 1 && files(world->rejected) == 0);
    cr_assert(there(in(world->inbox, "link.edi")) && there(in(world->inbox, "pipe.edi")));
    cr_assert(there(in(world->inbox, "folder.edi")) && there(in(world->inbox, "a.csv")));
    world_free(world);
}

/* ---- how it is read ---- */

static void fill(const char *path, uint64_t bytes) {
    static uint8_t piece[100000];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    for (uint64_t done = 0; done < bytes;) {
        size_t n = bytes - done < sizeof piece ? (size_t)(bytes - done) : sizeof piece;
        memset(piece, (int)('A' + done % 26), sizeof piece);
        cr_assert(write(fd, piece, n) == (ssize_t)n);
        done += n;
    }
    cr_assert(close(fd) == 0);
}

Test(inbox, files_of_any_size_are_given_in_pieces_as_there_is_room) {
    struct world *world = world_new();
    const uint64_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 5000000};
    world->inbound->full_every = 2;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        world->inbound->at_once = i % 2 == 1;
        fill(in(world->root, "being-written"), sizes[i]);
        cr_assert(rename(in(world->root, "being-written"), in(world->inbox, "same.edi")) == 0);
        TURN_UNTIL(world, world->inbound->ended == i + 1 && files(world->done) == i + 1);
        cr_assert(world->inbound->documents[i].bytes == sizes[i]);
    }
    cr_assert(world->inbound->abandoned == 0 && world->inbound->pieces > 80);
    world_free(world);
}

static char grow_path[512];

static void grow_once(struct inbound *inbound, uint64_t bytes_before) {
    if (inbound->begun > 1 || bytes_before > 0)
        return;
    int fd = open(grow_path, O_WRONLY | O_APPEND);
    cr_assert(fd >= 0 && write(fd, "more", 4) == 4 && close(fd) == 0);
}

Test(inbox, a_file_that_changes_while_it_is_read_is_given_up_and_read_anew) {
    for (uint64_t size = 10; size < 1000000; size *= 300) {
        struct world *world = world_new();
        world->inbound->on_piece = grow_once;
        cr_assert(mkdir(world->inbox, 0777) == 0);
        (void)snprintf(grow_path, sizeof grow_path, "%s/growing", world->inbox);
        fill(grow_path, size);
        world_start(world);
        TURN_UNTIL(world, there(in(world->done, "growing")));
        cr_assert(world->inbound->abandoned == 1 && world->inbound->ended == 1);
        cr_assert(world->inbound->documents[0].bytes == size + 4);
        world_free(world);
    }
}

static void grow_always(struct inbound *inbound, uint64_t bytes_before) {
    (void)bytes_before;
    if (inbound->abandoned >= 3)
        return;
    int fd = open(grow_path, O_WRONLY | O_APPEND);
    cr_assert(fd >= 0 && write(fd, "and on and on", 13) == 13 && close(fd) == 0);
}

Test(inbox, a_file_that_grows_as_fast_as_it_is_read_does_not_hold_it_for_ever) {
    struct world *world = world_new();
    world->inbound->on_piece = grow_always;
    cr_assert(mkdir(world->inbox, 0777) == 0);
    (void)snprintf(grow_path, sizeof grow_path, "%s/log", world->inbox);
    fill(grow_path, 200000);
    world_start(world);
    TURN_UNTIL(world, there(in(world->done, "log")));
    cr_assert(world->inbound->abandoned == 3 && world->inbound->ended == 1);
    world_free(world);
}

static struct world *replacing;

static void replace_once(struct inbound *inbound, uint64_t bytes_before) {
    (void)bytes_before;
    if (inbound->begun == 1)
        drop(replacing, "stock", "the second");
}

Test(inbox, a_file_in_the_place_of_one_that_is_being_read_is_read_next) {
    struct world *world = replacing = world_new();
    world->inbound->on_piece = replace_once;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    drop(world, "stock", "the first one");
    TURN_UNTIL(world, world->inbound->ended == 2 && there(in(world->done, "stock")));
    cr_assert(world->inbound->documents[0].bytes == 13 && world->inbound->documents[1].bytes == 10);
    cr_assert(files(world->done) == 1, "the first one was not there any more");
    world_free(world);
}

Test(inbox, it_waits_while_another_document_is_open) {
    struct world *world = world_new();
    world->inbound->busy = true;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    drop(world, "a", "a");
    turns(world, 30);
    cr_assert(world->inbound->begun == 0 && there(in(world->inbox, "a")));
    world->inbound->busy = false;
    TURN_UNTIL(world, there(in(world->done, "a")));
    world_free(world);
}

/* ---- what becomes of it ---- */

Test(inbox, a_file_with_a_refused_message_goes_to_rejected_with_its_findings) {
    struct world *world = world_new();
    char text[64] = "";
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    drop(world, "orders.edi", "BAD");
    TURN_UNTIL(world, there(in(world->rejected, "orders.edi.findings.json")));
    int fd = open(in(world->rejected, "orders.edi.findings.json"), O_RDONLY);
    cr_assert(read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    cr_assert_str_eq(text, "{\"refused\": 1}");
    cr_assert(there(in(world->rejected, "orders.edi")) && files(world->done) == 0);
    /* It is no repetition: it may have become right by another profile. */
    drop(world, "orders.edi", "BAD");
    TURN_UNTIL(world, files(world->rejected) == 4);
    cr_assert(world->inbound->ended == 2);
    world_free(world);
}

Test(inbox, names_that_are_taken_get_a_mark_and_nothing_is_overwritten) {
    struct world *world = world_new();
    char name[256], text[8];
    memset(name, 'n', sizeof name);
    name[255] = '\0'; /* the longest there is */
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    for (uint32_t i = 0; i < 6; i++) {
        (void)snprintf(text, sizeof text, "%s%u", i % 3 == 2 ? "BAD" : "", i);
        drop(world, name, text);
        TURN_UNTIL(world, world->inbound->ended == i + 1 && !there(in(world->inbox, name)));
    }
    TURN_UNTIL(world, files(world->done) == 4 && files(world->rejected) == 4);
    world_free(world);
}

Test(inbox, what_the_router_has_not_taken_is_given_again_and_before_the_others) {
    struct world *world = world_new();
    cr_assert(mkdir(world->inbox, 0777) == 0);
    put(in(world->inbox, "a"), "LATER");
    put(in(world->inbox, "b"), "b");
    world->inbound->unsettled = 3;
    world_start(world);
    TURN_UNTIL(world, files(world->done) == 2);
    cr_assert(world->inbound->ended == 5);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_str_eq(world->inbound->documents[i].name, "a");
    cr_assert_arr_eq(world->inbound->documents[0].digest, world->inbound->documents[3].digest, 32);
    world_free(world);
}

Test(inbox, a_file_that_is_never_taken_holds_the_others_back_only_so_often) {
    struct world *world = world_new();
    cr_assert(mkdir(world->inbox, 0777) == 0);
    put(in(world->inbox, "a"), "LATER");
    put(in(world->inbox, "b"), "b");
    world->inbound->unsettled = UINT32_MAX;
    world_start(world);
    TURN_UNTIL(world, there(in(world->done, "b")));
    cr_assert(there(in(world->inbox, "a")) && world->inbound->ended > 5);
    world_free(world);
}

Test(inbox, the_same_content_again_is_left_out_taken_or_rejected_as_is_wanted) {
    const enum directory_repeats wanted[] = {DIRECTORY_SKIP, DIRECTORY_ACCEPT, DIRECTORY_REJECT};
    for (uint32_t i = 0; i < 3; i++) {
        struct world *world = world_new();
        world->options.repeats = wanted[i];
        world_start(world);
        TURN_UNTIL(world, there(world->inbox));
        drop(world, "monday", "the same");
        TURN_UNTIL(world, there(in(world->done, "monday")));
        world_restart(world); /* it is remembered */
        drop(world, "tuesday", "the same");
        const char *to = wanted[i] == DIRECTORY_REJECT ? world->rejected : world->done;
        TURN_UNTIL(world, there(in(to, "tuesday")));
        cr_assert(world->inbound->ended == (wanted[i] == DIRECTORY_ACCEPT ? 2 : 1));
        cr_assert(there(in(to, "tuesday.findings.json")) == (wanted[i] == DIRECTORY_REJECT));
        world_free(world);
    }
}

Test(inbox, only_so_many_contents_are_remembered_and_only_for_so_long) {
    struct world *world = world_new();
    world->options.repeats_count = 1;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    const char *contents[] = {"x", "y", "x"};
    for (uint32_t i = 0; i < 3; i++) {
        drop(world, "f", contents[i]);
        TURN_UNTIL(world, files(world->done) == i + 1);
    }
    cr_assert(world->inbound->ended == 3);
    world_stop(world);
    world->options.repeats_age_ms = 1;
    turns(world, 5);
    world_start(world);
    drop(world, "f", "x");
    TURN_UNTIL(world, files(world->done) == 4);
    cr_assert(world->inbound->ended == 4);
    world_free(world);
}

/* ---- directories that can not be used, and files ---- */

Test(inbox, a_file_that_can_not_be_moved_is_not_read_again_not_even_by_another_run) {
    struct world *world = world_new();
    cr_assert(mkdir(world->inbox, 0777) == 0);
    put(world->done, "a file where the directory should be");
    world->options.pattern = "*.edi";
    world_start(world);
    drop(world, "one.edi", "one");
    drop(world, "two.edi", "two");
    TURN_UNTIL(world, world->inbound->ended == 2);
    turns(world, 60);
    world_restart(world);
    turns(world, 60);
    cr_assert(there(in(world->inbox, "one.edi")) && there(in(world->inbox, "two.edi")));
    drop(world, "two.edi", "another two"); /* this one has not been read */
    TURN_UNTIL(world, world->inbound->ended == 3);
    cr_assert(unlink(world->done) == 0);
    TURN_UNTIL(world, there(in(world->done, "one.edi")) && there(in(world->done, "two.edi")));
    turns(world, 60);
    cr_assert(world->inbound->ended == 3 && files(world->inbox) == 0 && files(world->done) == 2);
    world_free(world);
}

Test(inbox, findings_that_can_not_be_written_wait_with_their_file) {
    struct world *world = world_new();
    cr_assert(mkdir(world->inbox, 0777) == 0);
    put(world->rejected, "a file where the directory should be");
    world->options.pattern = "*.edi";
    world_start(world);
    drop(world, "one.edi", "BAD");
    TURN_UNTIL(world, world->inbound->ended == 1);
    turns(world, 60);
    cr_assert(there(in(world->inbox, "one.edi")) && unlink(world->rejected) == 0);
    TURN_UNTIL(world, there(in(world->rejected, "one.edi.findings.json")));
    cr_assert(there(in(world->rejected, "one.edi")) && world->inbound->ended == 1);
    world_free(world);
}

Test(inbox, a_directory_that_goes_and_comes_back_is_used_again) {
    struct world *world = world_new();
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    drop(world, "a", "a");
    TURN_UNTIL(world, there(in(world->done, "a")));
    cr_assert(rename(world->inbox, in(world->root, "old")) == 0);
    TURN_UNTIL(world, there(world->inbox)); /* made anew */
    drop(world, "b", "b");
    TURN_UNTIL(world, there(in(world->done, "b")));
    cr_assert(world->inbound->ended == 2 && files(world->done) == 1);
    world_free(world);
}

Test(inbox, it_waits_for_a_parent_directory_that_is_a_file) {
    struct world *world = world_new();
    char deep[128];
    (void)snprintf(deep, sizeof deep, "%s/x/y/in", world->root);
    put(in(world->root, "x"), "in the way");
    world->options.inbox = deep;
    world_start(world);
    turns(world, 30);
    cr_assert(unlink(in(world->root, "x")) == 0);
    TURN_UNTIL(world, there(deep));
    world_free(world);
}

Test(inbox, without_inotify_it_is_looked_through) {
    struct world *world = world_new();
    no_inotify = true;
    world->options.complete = DIRECTORY_CLOSE;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    put(in(world->inbox, "a"), "a");
    TURN_UNTIL(world, there(in(world->done, "a")));
    no_inotify = false; /* and taken up again when there is one */
    world->options.rescan_ms = 0;
    turns(world, 60);
    put(in(world->inbox, "b"), "b");
    TURN_UNTIL(world, there(in(world->done, "b")));
    world_free(world);
}

Test(inbox, more_files_than_are_noticed_or_kept_are_all_read) {
    struct world *world = world_new();
    char name[32], text[32];
    const uint32_t count = 17000; /* notices overflow at 16384, 8192 are known at a time */
    world->inbound->at_once = true;
    world->options.rescan_ms = 0; /* they are looked for again when it is known that some are missing */
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    turns(world, 30);
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%08u", i * 7919 % count);
        (void)snprintf(text, sizeof text, "content %u", i);
        drop(world, name, text);
    }
    for (uint32_t i = 0; world->inbound->ended < count; i++) {
        cr_assert(i < 200000, "%u of %u", world->inbound->ended, count);
        cr_assert(event_base_loop(world->base, EVLOOP_NONBLOCK) >= 0);
        if (i > 20000)
            turn(world);
    }
    TURN_UNTIL(world, files(world->inbox) == 0);
    cr_assert(files(world->done) == count && world->inbound->ended == count);
    world_free(world);
}

Test(inbox, a_file_that_is_being_read_stays_known_when_too_many_others_come) {
    struct world *world = world_new();
    char name[32];
    const uint32_t count = 9000; /* 8192 are known at a time */
    world->inbound->at_once = true;
    world->inbound->full_every = 1; /* it is not over before the others are noticed */
    world->inbound->room_never = true;
    world->options.rescan_ms = 0;
    world_start(world);
    TURN_UNTIL(world, there(world->inbox));
    drop(world, "z", "the last one by its name");
    TURN_UNTIL(world, world->inbound->begun == 1);
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "%08u", i);
        drop(world, name, name);
    }
    turns(world, 60);
    world->inbound->full_every = 0;
    world->inbound->room_never = false;
    inbound_on_room(world->inbound, world->inbound->on_room, world->inbound->room_user);
    for (uint32_t i = 0; world->inbound->ended <= count; i++) {
        cr_assert(i < 200000, "%u of %u", world->inbound->ended, count + 1);
        cr_assert(event_base_loop(world->base, EVLOOP_NONBLOCK) >= 0);
        if (i > 20000)
            turn(world);
    }
    cr_assert_str_eq(world->inbound->documents[0].name, "z");
    TURN_UNTIL(world, files(world->inbox) == 0);
    cr_assert(files(world->done) == count + 1 && world->inbound->ended == count + 1);
    world_free(world);
}

Test(inbox, a_file_without_permission_is_rejected_after_a_while) {
    if (geteuid() == 0)
        cr_assert(seteuid(65534) == 0); /* to whom permissions matter */
    struct world *world = world_new();
    cr_assert(mkdir(world->inbox, 0777) == 0);
    put(in(world->inbox, "closed"), "nobody reads this");
    cr_assert(chmod(in(world->inbox, "closed"), 0) == 0);
    world_start(world);
    TURN_UNTIL(world, there(in(world->rejected, "closed.findings.json")));
    cr_assert(there(in(world->rejected, "closed")) && world->inbound->begun == 0);
    world_free(world);
}

Test(inbox, a_directory_that_is_read_only_loses_nothing) {
    if (geteuid() == 0)
        cr_assert(seteuid(65534) == 0);
    struct world *world = world_new();
    char state[128];
    (void)snprintf(state, sizeof state, "%s/state", world->root);
    world->host.state_dir = state;
    cr_assert(mkdir(world->inbox, 0777) == 0);
    put(in(world->inbox, "a"), "a");
    cr_assert(chmod(world->inbox, 0555) == 0);
    world_start(world);
    TURN_UNTIL(world, world->inbound->ended == 1);
    world_restart(world);
    turns(world, 60);
    cr_assert(there(in(world->inbox, "a")) && world->inbound->ended == 1);
    cr_assert(chmod(world->inbox, 0777) == 0);
    TURN_UNTIL(world, there(in(world->done, "a")));
    cr_assert(world->inbound->ended == 1);
    world_free(world);
}

Test(inbox, one_inbox_has_one_reader) {
    struct world *world = world_new();
    cr_assert(mkdir(world->inbox, 0777) == 0);
    int other = open(world->inbox, O_RDONLY | O_DIRECTORY);
    cr_assert(flock(other, LOCK_EX) == 0);
    world_start(world);
    drop(world, "a", "a");
    turns(world, 60);
    cr_assert(world->inbound->begun == 0);
    cr_assert(close(other) == 0);
    TURN_UNTIL(world, there(in(world->done, "a")));
    world_free(world);
}

Test(inbox, a_stop_in_the_midst_leaves_the_file_for_the_next_start) {
    for (uint32_t stop_after = 0; stop_after < 12; stop_after++) {
        struct world *world = world_new();
        cr_assert(mkdir(world->inbox, 0777) == 0);
        fill(in(world->inbox, "big"), 300000);
        world->inbound->full_every = 3;
        world_start(world);
        for (uint32_t i = 0; i < stop_after; i++)
            cr_assert(event_base_loop(world->base, EVLOOP_NONBLOCK) >= 0);
        world_restart(world);
        TURN_UNTIL(world, there(in(world->done, "big")));
        cr_assert(world->inbound->documents[world->inbound->ended - 1].bytes == 300000);
        world_free(world);
    }
}

Test(inbox, options_that_mean_nothing_are_refused_with_a_sentence) {
    const struct directory_options wrong[] = {
        {0},
        {.inbox = ""},
        {.inbox = "a", .outbox = "a"},
        {.inbox = "a", .done = "a"},
        {.inbox = "a", .pattern = "b/*"},
        {.inbox = "a", .repeats_count = 1000001},
        {.inbox = "a", .retry_ms = 2, .retry_most_ms = 1},
        {.outbox = "a", .file_name = "{kind}"},
        {.outbox = "a", .file_name = "{type"},
        {.outbox = "a", .file_name = "type}"},
        {.outbox = "a", .file_name = "../{type}"},
        {.outbox = "a", .file_name = ".{type}"},
        {.outbox = "a", .file_name = ""},
        {.inbox = "a"}, /* and nobody who takes it */
    };
    struct transport_host host = {.name = "nobody"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char why[256] = "";
        cr_assert_null(directory_transport.start(&host, &wrong[i], why, sizeof why), "number %zu", i);
        cr_assert(strlen(why) > 20, "number %zu: %s", i, why);
    }
}
