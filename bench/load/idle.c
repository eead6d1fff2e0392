/* Subscribed connections on which nothing happens: the memory that they cost the server, and the CPU time of
 * a server that has nothing to do. */
#include "bench/load/modes.h"

#include "bench/load/quit.h"

#include <stdlib.h>
#include <time.h>

static void sleep_s(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    while (nanosleep(&time, &time) != 0)
        continue;
}

static struct party who(uint32_t number) {
    return (struct party){.role = ROLE_SUBSCRIBER, .number = number};
}

static void connections_open(const struct options *options, int *fds) {
    for (uint32_t i = 0; i < options->subscribers; i++) {
        struct interest interest = {.topics = &i, .count = 1};
        struct party me = who(i);
        fds[i] = net_open(options, &me, &interest);
    }
}

/* Every connection must still answer: memory of connections that are gone would be no measure. */
static void connections_ask(const struct options *options, const int *fds) {
    for (uint32_t i = 0; i < options->subscribers; i++) {
        struct party me = who(i);
        (void)net_ask(options, fds[i], &me, 0);
    }
}

void idle_run(const struct options *options, struct report *report) {
    int *fds = calloc(options->subscribers, sizeof *fds);
    if (fds == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    struct memory before = memory_read(options->server);
    connections_open(options, fds);
    sleep_s(options->warm_up_seconds);
    struct memory after = memory_read(options->server);
    struct meter begin = meter_read(options->server, options->server_cpu);
    sleep_s(options->seconds);
    struct meter end = meter_read(options->server, options->server_cpu);
    connections_ask(options, fds);
    free(fds);
    double grown = (double)after.held_bytes - (double)before.held_bytes;
    report_stretch(report, &begin, &end, 0);
    report_memory(report, &after);
    report_number(report, "memory_per_connection_bytes", grown / options->subscribers);
    report_count(report, "verified_connections", options->subscribers);
}
