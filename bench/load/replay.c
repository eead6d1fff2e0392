/* What was published before, from the oldest event on, as fast as it comes: from the first byte of the
 * subscription to the last delivery. The first deliveries are compared byte for byte, the rest is counted,
 * and behind the last one nothing else may come. Who publishes what is as in the run that has left it there.
 */
#include "bench/load/modes.h"

#include "bench/load/quit.h"

#include <poll.h>
#include <stdlib.h>

struct replay {
    const struct options *options;
    struct plan plan;
    struct receiver *receivers; /* owns */
    struct pollfd *ready;       /* owns */
};

static void replay_prepare(struct replay *replay, const struct options *o) {
    *replay = (struct replay){.options = o,
                              .receivers = calloc(o->subscribers, sizeof *replay->receivers),
                              .ready = calloc(o->subscribers, sizeof *replay->ready)};
    uint64_t *sent = calloc(o->publishers, sizeof *sent);
    if (replay->receivers == NULL || replay->ready == NULL || sent == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    plan_make(&replay->plan, o);
    for (uint32_t i = 0; i < o->subscribers; i++) {
        receiver_connect(&replay->receivers[i], &replay->plan, i);
        receiver_compare(&replay->receivers[i], sent, replay->plan.check_frames);
        replay->ready[i] = (struct pollfd){.fd = replay->receivers[i].fd, .events = POLLIN};
    }
    free(sent);
}

/* One look at all of them; how many bytes they have in all. */
static uint64_t replay_turn(struct replay *replay) {
    uint32_t count = replay->options->subscribers;
    uint64_t bytes = 0;
    if (poll(replay->ready, count, (int)(replay->options->stall_seconds * 1000)) == 0)
        quit(QUIT_WRONG, "nothing came for %g s, and deliveries are missing", replay->options->stall_seconds);
    for (uint32_t i = 0; i < count; i++) {
        if (replay->ready[i].revents != 0)
            receiver_read(&replay->receivers[i]);
        bytes += replay->receivers[i].bytes;
    }
    return bytes;
}

void replay_run(const struct options *options, struct report *report) {
    struct replay replay;
    replay_prepare(&replay, options);
    uint64_t each = options->events * replay.plan.deliver_size, compared = 0;
    struct meter begin = meter_read(options->server, options->server_cpu);
    for (uint32_t i = 0; i < options->subscribers; i++)
        receiver_begin(&replay.receivers[i]);
    while (replay_turn(&replay) < each * options->subscribers)
        continue;
    struct meter end = meter_read(options->server, options->server_cpu);
    struct memory memory = memory_read(options->server);
    for (uint32_t i = 0; i < options->subscribers; i++) {
        receiver_settle(&replay.receivers[i], each);
        compared += replay.receivers[i].compared_bytes;
    }
    free(replay.receivers);
    free(replay.ready);
    report_stretch(report, &begin, &end, (double)(options->events * options->subscribers));
    report_memory(report, &memory);
    report_count(report, "published", options->events);
    report_count(report, "verified_deliveries", options->events * options->subscribers);
    report_count(report, "compared_bytes", compared);
}
