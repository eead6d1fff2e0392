#include "core/cli/loop.h"

#include "core/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOP_FAREWELL_MS 5000u /* for the router's answer to our Goodbye */

volatile sig_atomic_t loop_signalled;

static void loop_on_signal(int number) {
    loop_signalled = number;
}

void loop_catch_signals(sigset_t *while_waiting) {
    struct sigaction action = {.sa_handler = loop_on_signal};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, while_waiting) == 0);
    sigdelset(while_waiting, SIGINT);
    sigdelset(while_waiting, SIGTERM);
    CHECK(sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

void loop_wait(rh_client *client, struct pollfd *others, size_t count, int most_ms,
               const sigset_t *while_waiting) {
    struct pollfd ready[1 + LOOP_OTHERS_MAX] = {{.fd = rh_fd(client), .events = rh_events(client)}};
    CHECK(count <= LOOP_OTHERS_MAX);
    for (size_t i = 0; i < count; i++)
        ready[1 + i] = others[i];
    int ms = rh_timeout_ms(client);
    if (ms < 0 || (most_ms >= 0 && most_ms < ms))
        ms = most_ms;
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    if (ppoll(ready, 1 + count, ms < 0 ? NULL : &wait, while_waiting) > 0)
        for (size_t i = 0; i < count; i++)
            others[i] = ready[1 + i];
}

enum loop_flushed loop_flush(struct out *out, const char *command, const sigset_t *while_waiting) {
    int result = out_flush(out, while_waiting, &loop_signalled);
    if (result == 0)
        return LOOP_FLUSHED;
    if (result == -EPIPE || result == -EINTR)
        return LOOP_NO_READER;
    fprintf(stderr, "roundhouse %s: standard output: %s\n", command, strerror(-result));
    return LOOP_FAILED;
}

void loop_tell_gap(const rh_gap *gap) {
    static const char *const reasons[] = {"no reason given", "this subscriber was too slow",
                                          "the server has been started anew: what it had in memory is gone",
                                          "the server no longer keeps them"};
    unsigned reason = gap->reason >= 0 && gap->reason <= 3 ? (unsigned)gap->reason : 0;
    if (gap->at_most == 0) {
        fprintf(stderr, "gap: events may be missing, nobody knows how many: %s\n", reasons[reason]);
        return;
    }
    fprintf(stderr,
            "gap: at most %" PRIu64 " events are missing from log %" PRIu32 ", positions %" PRIu64
            " to %" PRIu64 ": %s\n",
            gap->at_most, gap->log, gap->from, gap->to, reasons[reason]);
}

void loop_link_state(struct loop_link *link, enum rh_state state, const char *why) {
    if (state == RH_STATE_CONNECTED) {
        link->connected_once = true;
        said_forget(&link->said);
    }
    if (state != RH_STATE_WAITING)
        return;
    if (link->connected_once) {
        if (said_anew(&link->said, why))
            fprintf(stderr, "reconnecting: %s\n", why);
        return;
    }
    fprintf(stderr, "roundhouse %s: %s\n", link->command, why);
    link->status = CLI_UNAVAILABLE;
}

void loop_farewell(rh_client *client) {
    if (rh_client_state(client) == RH_STATE_CONNECTED && rh_close(client) == RH_OK)
        (void)rh_run(client, LOOP_FAREWELL_MS);
}

void loop_raise(void) {
    sigset_t all;
    if (loop_signalled == 0)
        return;
    (void)signal(loop_signalled, SIG_DFL);
    (void)raise(loop_signalled);
    sigemptyset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
}
