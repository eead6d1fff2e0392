#include "ring/wake.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

static bool rings(const struct wake *wake) {
    struct pollfd bell = {.fd = wake->bell, .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

Test(wake, rings_once_for_a_sleeper_and_never_for_one_who_is_awake) {
    struct wake wake;
    cr_assert_eq(wake_init(&wake), 0);
    wake_signal(&wake);
    cr_assert_not(rings(&wake));
    cr_assert_eq(wake.elided, 1);
    wake_announce(&wake);
    cr_assert_not(rings(&wake));
    for (int i = 0; i < 3; i++)
        wake_signal(&wake);
    cr_assert(rings(&wake));
    cr_assert_eq(wake.sent, 1);
    cr_assert_eq(wake.elided, 3);
    wake_drain(&wake);
    cr_assert_not(rings(&wake));
    wake_drain(&wake); /* an empty bell does not block */
    wake_announce(&wake);
    wake_resume(&wake);
    wake_signal(&wake);
    cr_assert_not(rings(&wake), "resumed by itself");
    wake_deinit(&wake);
}

Test(wake, never_uses_descriptor_zero) {
    struct wake wake;
    int saved = dup(0);
    close(0);
    int result = wake_init(&wake);
    int bell = wake.bell;
    wake_announce(&wake);
    wake_signal(&wake);
    bool rang = rings(&wake);
    wake_deinit(&wake);
    cr_assert_eq(dup(saved), 0, "descriptor 0 is free again");
    close(saved);
    cr_assert_eq(result, 0);
    cr_assert_gt(bell, 0);
    cr_assert(rang);
    cr_assert_eq(wake.bell, 0);
}

Test(wake, accepts_zeroed_memory_to_deinit) {
    struct wake wake = {0};
    wake_deinit(&wake);
    wake_deinit(&wake);
    int copy = dup(0);
    cr_assert_geq(copy, 0, "standard input is still open");
    close(copy);
}

Test(wake, answers_when_descriptors_are_short) {
    struct wake wake;
    struct rlimit files, no_files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    no_files.rlim_max = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &no_files);
    int result = wake_init(&wake);
    setrlimit(RLIMIT_NOFILE, &files);
    cr_assert_eq(result, -EMFILE);
    cr_assert_eq(wake.bell, 0);
}

Test(wanted, is_taken_once_after_it_was_set_and_can_be_dropped) {
    struct wanted wanted = {0};
    cr_assert_not(wanted_take(&wanted));
    wanted_set(&wanted);
    wanted_set(&wanted);
    cr_assert(wanted_waits(&wanted));
    cr_assert(wanted_take(&wanted));
    cr_assert_not(wanted_waits(&wanted));
    cr_assert_not(wanted_take(&wanted));
    wanted_set(&wanted);
    wanted_drop(&wanted);
    cr_assert_not(wanted_take(&wanted));
}
