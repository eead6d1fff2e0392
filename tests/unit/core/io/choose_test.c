/* Which body runs: where io_uring may be had, and behind a seccomp filter where it may not. */
#include "core/io/io.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From here on the process has one system call less, which answers `error`; Criterion gives each test a
 * process. */
static void refuse_call(uint32_t number, uint32_t error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0, "%s", strerror(errno));
}

Test(io_choose, understands_the_words_of_the_option_and_no_others) {
    static const char *const words[] = {"auto", "uring", "epoll", "uring:oneshot"};
    static const enum io_choice choices[] = {IO_AUTO, IO_URING, IO_EPOLL, IO_URING_ONESHOT};
    enum io_choice choice;
    for (size_t i = 0; i < 4; i++) {
        cr_assert(io_choice_parse(words[i], &choice));
        cr_assert_eq(choice, choices[i]);
    }
    static const char *const others[] = {"",       "io_uring",        "AUTO",  "epoll ",
                                         "uring:", "uring:multishot", "select"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert(!io_choice_parse(others[i], &choice), "%s", others[i]);
    cr_assert_str_eq(io_body_name(IO_BODY_URING), "io_uring");
    cr_assert_str_eq(io_body_name(IO_BODY_EPOLL), "epoll");
    cr_assert_str_eq(io_body_name(IO_BODY_SIM), "sim");
}

/* auto and forced io_uring agree: either both have it, or auto takes epoll for the reason that the other
 * fails with. */
Test(io_choose, never_fails_for_auto_and_agrees_with_forced_uring) {
    char auto_reason[200] = "";
    char forced_reason[200] = "";
    enum io_body body;
    enum io_body forced;
    cr_assert_eq(io_choose(IO_AUTO, &body, auto_reason, sizeof auto_reason), 0);
    int error = io_choose(IO_URING, &forced, forced_reason, sizeof forced_reason);
    cr_assert_eq(body, error ? IO_BODY_EPOLL : IO_BODY_URING);
    cr_assert_str_eq(auto_reason, forced_reason);
    cr_assert_gt(strlen(auto_reason), 0);
    cr_assert_eq(io_choose(IO_EPOLL, &body, auto_reason, sizeof auto_reason), 0);
    cr_assert_eq(body, IO_BODY_EPOLL);
    if (!error) {
        cr_assert_eq(io_choose(IO_URING_ONESHOT, &body, auto_reason, sizeof auto_reason), 0);
        cr_assert_eq(body, IO_BODY_URING);
        cr_assert(strstr(auto_reason, "one-shot"), "%s", auto_reason);
    }
    LEAKS_NONE();
}

static void refused(uint32_t number, uint32_t error, const char *expected) {
    char reason[200] = "";
    enum io_body body;
    refuse_call(number, error);
    cr_assert_eq(io_choose(IO_AUTO, &body, reason, sizeof reason), 0);
    cr_assert_eq(body, IO_BODY_EPOLL);
    cr_assert(strstr(reason, expected), "%s", reason);
    cr_assert_eq(io_choose(IO_URING, &body, reason, sizeof reason), -(int)error);
    cr_assert(strstr(reason, expected), "%s", reason);
    cr_assert_eq(io_choose(IO_URING_ONESHOT, &body, reason, sizeof reason), -(int)error);
    cr_assert_eq(io_choose(IO_EPOLL, &body, reason, sizeof reason), 0);
    LEAKS_NONE();
}

Test(io_choose, falls_back_to_epoll_where_a_filter_refuses_the_setup) {
    refused(__NR_io_uring_setup, EPERM, "io_uring_setup: EPERM; ");
}

Test(io_choose, falls_back_to_epoll_where_the_kernel_has_no_io_uring) {
    refused(__NR_io_uring_setup, ENOSYS, "io_uring_setup: ENOSYS");
}

Test(io_choose, falls_back_to_epoll_where_a_ring_can_be_made_but_not_entered) {
    char reason[200] = "";
    enum io_body body;
    if (io_choose(IO_URING, &body, reason, sizeof reason) == 0)
        refused(__NR_io_uring_enter, EACCES, "io_uring self-test: EACCES");
}
