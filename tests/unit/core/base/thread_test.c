#include "core/base/thread.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

struct seen {
    sigset_t blocked;
    char name[16];
};

static void *look(void *user) {
    struct seen *seen = user;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    return NULL;
}

Test(thread, takes_no_signals_and_leaves_those_of_who_starts_it) {
    struct seen seen = {.name = ""};
    sigset_t before, after;
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    cr_assert_eq(thread_start(&thread, "rh-a-name-that-is-too-long", look, &seen), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    cr_assert_eq(pthread_getname_np(thread, seen.name, sizeof seen.name), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        cr_expect(sigismember(&seen.blocked, signals[i]) == 1, "signal %d", signals[i]);
        cr_expect_eq(sigismember(&before, signals[i]), sigismember(&after, signals[i]));
    }
    cr_expect_str_eq(seen.name, "rh-a-name-that-");
}
