/* sink EVENTS: the system behind a webhook, for the rows of the hub. It answers every request, and keeps
 * account of the events that come: their ids, ce-id, are "e" and eight digits, 0 to EVENTS - 1. Its first
 * line says on which port it listens. For each line "REQUESTS SILENCE_MS" on its standard input it answers so
 * many requests, or fewer if nothing comes for so long, and writes a line: requests, events that came for the
 * first time, those that had come before, requests without such an id, and when the last one was answered, in
 * nanoseconds of CLOCK_MONOTONIC. It ends with its input. */
#include "bench/micro/sink.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIGITS     8u
#define EVENTS_MAX 100000000u

struct account {
    bool *came; /* owns */
    uint64_t events, fresh, repeated, strange;
};

static void on_head(void *user, const char *head, size_t length) {
    static const char name[] = "\r\nce-id: e";
    struct account *account = user;
    const char *found = memmem(head, length, name, sizeof name - 1);
    const char *at = found ? found + sizeof name - 1 : NULL;
    uint64_t number = account->events;
    if (at && (size_t)(head + length - at) >= DIGITS + 2 && memcmp(at + DIGITS, "\r\n", 2) == 0 &&
        strspn(at, "0123456789") == DIGITS)
        number = strtoull(at, NULL, 10);
    if (number >= account->events)
        account->strange++;
    else if (account->came[number])
        account->repeated++;
    else
        account->fresh++;
    if (number < account->events)
        account->came[number] = true;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
    struct account account = {.events = argc == 2 ? strtoull(argv[1], NULL, 10) : 0};
    char line[64];
    if (account.events == 0 || account.events > EVENTS_MAX) {
        (void)fprintf(stderr, "usage: sink EVENTS\n");
        return EXIT_FAILURE;
    }
    account.came = calloc(account.events, sizeof *account.came);
    if (!account.came) {
        (void)fprintf(stderr, "sink: no memory\n");
        return EXIT_FAILURE;
    }
    struct sink *sink = sink_open();
    sink_look(sink, on_head, &account);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("port %u\n", sink_port(sink));
    while (fgets(line, sizeof line, stdin)) {
        char *rest;
        uint64_t requests = strtoull(line, &rest, 10);
        uint64_t served = sink_serve_until(sink, requests, (int)strtol(rest, NULL, 10));
        printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", served, account.fresh,
               account.repeated, account.strange, now_ns());
    }
    sink_close(sink);
    free(account.came);
    return EXIT_SUCCESS;
}
