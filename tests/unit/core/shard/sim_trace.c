/* What happened in a simulation: kept as numbers, written out when it failed or when one seed is replayed. */
#include "tests/unit/core/shard/sim.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOBODY UINT32_MAX

static void line_print(const struct sim_line *line) {
    fprintf(stderr, "%10" PRIu64 " us ", line->now_ns / NS_PER_US);
    if (line->client == NOBODY)
        fprintf(stderr, "           ");
    else
        fprintf(stderr, "client %3u ", line->client);
    fprintf(stderr, "%-14s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", line->what, line->numbers[0],
            line->numbers[1], line->numbers[2]);
}

void sim_note(struct sim_world *world, const struct sim_client *client, const char *what, uint64_t a,
              uint64_t b, uint64_t c) {
    struct sim_line *line = &world->lines[world->lines_count++ % SIM_TRACE_LINES];
    *line = (struct sim_line){.what = what,
                              .now_ns = sim_now_ns(),
                              .numbers = {a, b, c},
                              .client = client == NULL ? NOBODY : client->number};
    const uint64_t words[] = {line->now_ns, a, b, c, line->client, (uint8_t)what[0]};
    world->diary = world->diary * 31 + sim_hash((const uint8_t *)words, sizeof words);
    if (world->loud)
        line_print(line);
}

static void setup_print(const struct sim_setup *setup) {
    fprintf(stderr,
            "RH_SIM_SEED=%" PRIu64 ": %u workers, %u disk logs, logs of %" PRIu64 " bytes and %" PRIu64
            " records, grace %" PRIu64 " us, frames of %" PRIu64 ", private %" PRIu64 ", links of %" PRIu64
            ", idle %" PRIu64 " us, %u slices, %u connections\n",
            setup->seed, setup->workers, setup->disks, setup->log_bytes, setup->log_records,
            setup->grace_ns / NS_PER_US, setup->frame_bytes, setup->private_bytes, setup->link_bytes,
            setup->idle_ns / NS_PER_US, setup->slices, setup->connections);
    const struct io_sim_faults *faults = &setup->faults;
    fprintf(stderr, "faults: receive %u send %u refuse %u delay %u reset %u early %u socket %u\n",
            faults->short_receive, faults->short_send, faults->refuse_send, faults->delay, faults->reset,
            faults->early, faults->socket_bytes);
}

static void client_print(const struct sim_client *client) {
    if (client == NULL)
        return;
    fprintf(stderr, "client %u: written %" PRIu64 " of %" PRIu64 ", read %" PRIu64 " of %" PRIu64,
            client->number, client->written, client->queued, client->consumed, client->decoded);
    fprintf(stderr, ", events %u through %" PRIu64 ", wants %u from %u, acks %d leaving %d\n",
            client->events_count, client->through, client->wants_count, client->wants_first, client->acks,
            (int)client->leaving);
    for (uint32_t i = 0; i < client->subs_count; i++) {
        const struct sim_sub *sub = &client->subs[i];
        fprintf(stderr,
                "  subscription %" PRIu64 ": topics %x logs %x next %" PRIu64 " %" PRIu64 " %" PRIu64
                " %" PRIu64 "\n",
                sub->id, sub->topics, sub->logs, sub->next[0], sub->next[1], sub->next[2], sub->next[3]);
    }
}

void sim_fail(struct sim_world *world, const struct sim_client *client, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    uint64_t first = world->lines_count < SIM_TRACE_LINES ? 0 : world->lines_count - SIM_TRACE_LINES;
    for (uint64_t i = first; !world->loud && i < world->lines_count; i++)
        line_print(&world->lines[i % SIM_TRACE_LINES]);
    for (uint32_t i = 0; i < world->logs_count; i++)
        fprintf(stderr, "log %u: %" PRIu64 " to %" PRIu64 ", visible to %" PRIu64 "\n", i,
                log_oldest(world->logs[i].log), sim_log_end(&world->logs[i]),
                log_visible(world->logs[i].log));
    setup_print(&world->setup);
    client_print(client);
    fprintf(stderr, "%s\n", text);
    cr_assert_fail("seed %" PRIu64 ": %s", world->setup.seed, text);
    abort();
}

/* ---- a death that is no failed assertion ---- */

static char watched[64];
static size_t watched_length;

static void seed_write(void) {
    if (write(STDERR_FILENO, watched, watched_length) < 0)
        return;
}

static void seed_signal(int number) {
    seed_write();
    signal(number, SIG_DFL);
    raise(number);
}

#ifdef LEAKS_WATCHED
#include <sanitizer/common_interface_defs.h>
#endif

void sim_seed_watch(uint64_t seed) {
    int length = snprintf(watched, sizeof watched, "died with RH_SIM_SEED=%" PRIu64 "\n", seed);
    watched_length = (size_t)length;
    signal(SIGABRT, seed_signal);
#ifdef LEAKS_WATCHED
    __sanitizer_set_death_callback(seed_write);
#else
    signal(SIGSEGV, seed_signal);
#endif
}
