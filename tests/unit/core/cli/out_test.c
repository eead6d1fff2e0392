/* Output that waits for its reader without being deaf to signals. */
#include "core/cli/out.h"
#include "core/cli/said.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t signalled;

static void on_signal(int number) {
    signalled = number;
}

static void print(struct out *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        cr_assert(fputc((int)('a' + i % 26), out->stream) != EOF);
}

/* Reads to the end, slowly at first, and looks whether it is what print printed. */
static void *read_letters(void *context) {
    int file = *(int *)context;
    static char piece[1 << 16];
    size_t at = 0, most = 1;
    for (ssize_t count; (count = read(file, piece, most)) > 0; most = most < sizeof piece ? 2 * most : most)
        for (ssize_t i = 0; i < count; i++, at++)
            if (piece[i] != (char)('a' + at % 26))
                return NULL;
    return (void *)(uintptr_t)at;
}

Test(out, writes_everything_to_a_reader_that_takes_its_time) {
    enum { BYTES = 26 * 40000 };
    int ends[2];
    sigset_t none;
    struct out out;
    pthread_t reader;
    void *letters;
    sigemptyset(&none);
    cr_assert(pipe2(ends, O_CLOEXEC) == 0 && out_init(&out, ends[1]) == 0);
    cr_assert(pthread_create(&reader, NULL, read_letters, &ends[0]) == 0);
    for (size_t round = 1; round <= 3; round++) {
        print(&out, BYTES / 2 * (round % 2 + 1));
        cr_assert(out_flush(&out, &none, &signalled) == 0);
        cr_assert(out_flush(&out, &none, &signalled) == 0, "there is nothing more");
    }
    (void)close(ends[1]);
    cr_assert(pthread_join(reader, &letters) == 0);
    cr_assert((size_t)(uintptr_t)letters == BYTES / 2 * (2 + 1 + 2), "%zu", (size_t)(uintptr_t)letters);
    (void)close(ends[0]);
    out_deinit(&out);
    LEAKS_NONE();
}

Test(out, gives_up_on_a_reader_that_does_not_read_when_a_signal_comes) {
    int ends[2];
    sigset_t blocked, before;
    struct out out;
    struct sigaction action = {.sa_handler = on_signal};
    cr_assert(sigaction(SIGTERM, &action, NULL) == 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    cr_assert(sigprocmask(SIG_BLOCK, &blocked, &before) == 0);
    cr_assert(pipe2(ends, O_CLOEXEC) == 0 && out_init(&out, ends[1]) == 0);
    print(&out, 1 << 20);
    cr_assert(raise(SIGTERM) == 0 && signalled == 0, "it is blocked");
    cr_assert(out_flush(&out, &before, &signalled) == -EINTR && signalled == SIGTERM);
    char first[4];
    cr_assert(read(ends[0], first, sizeof first) == 4 && memcmp(first, "abcd", 4) == 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    out_deinit(&out);
}

Test(out, tells_that_the_reader_is_gone_or_can_not_take_it) {
    int ends[2];
    sigset_t none;
    struct out out;
    sigemptyset(&none);
    cr_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    cr_assert(pipe2(ends, O_CLOEXEC) == 0 && out_init(&out, ends[1]) == 0);
    (void)close(ends[0]);
    print(&out, 1 << 20);
    cr_assert(out_flush(&out, &none, &signalled) == -EPIPE);
    (void)close(ends[1]);
    cr_assert(out_flush(&out, &none, &signalled) == -EBADF);
    out_deinit(&out);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    cr_assert(full >= 0 && out_init(&out, full) == 0);
    print(&out, 1);
    cr_assert(out_flush(&out, &none, &signalled) == -ENOSPC);
    (void)close(full);
    out_deinit(&out);
    out_deinit(&out);
    LEAKS_NONE();
}

Test(said, is_news_when_it_differs_or_was_forgotten) {
    struct said said = {0};
    char text[400];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cr_assert(said_anew(&said, "refused") && !said_anew(&said, "refused"));
    cr_assert(said_anew(&said, "reset") && said_anew(&said, "refused"));
    said_forget(&said);
    cr_assert(said_anew(&said, "refused"));
    cr_assert(said_anew(&said, text) && !said_anew(&said, text));
    cr_assert(said_anew(&said, "xx"), "the beginning of another text is another text");
}
