/* As fast as deliveries come back: events on their way are bounded by a window, counted in deliveries, so
 * that no server has to drop or to buffer without bound. The same window for every server. */
#include "bench/load/modes.h"

#include <stdlib.h>

#define CHUNK_BYTES      (256u << 10) /* of one send */
#define WINDOW_STEPS     16u          /* a send waits until so much of the window is free, as a share of it */
#define SPLIT_WINDOW_MAX (8u << 20)   /* over all subscribers, when each gets a part */

struct max {
    struct rig rig;
    uint64_t window; /* bytes of deliveries: to each subscriber, or split: to all together */
};

static uint64_t sent_as_delivered(const struct max *max) {
    uint64_t sent = 0;
    const struct plan *plan = max->rig.plan;
    for (uint32_t p = 0; p < plan->options->publishers; p++)
        sent += max->rig.publishers[p].sent * plan->deliver_size / plan->publish_size;
    return sent;
}

/* Of the subscriber that has got least; split: of all. */
static uint64_t delivered(const struct max *max) {
    if (max->rig.options->share == SHARE_SPLIT)
        return rig_received(&max->rig);
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < max->rig.options->subscribers; i++)
        if (max->rig.receivers[i].bytes < least)
            least = max->rig.receivers[i].bytes;
    return least;
}

/* One send of each publisher with room. True while more could be sent at once. */
static bool publish(struct max *max) {
    const struct plan *plan = max->rig.plan;
    uint32_t publishers = plan->options->publishers;
    uint64_t sent = sent_as_delivered(max), got = delivered(max);
    uint64_t way = sent > got ? sent - got : 0;
    if (way + max->window / WINDOW_STEPS > max->window)
        return false;
    size_t most = (max->window - way) * plan->publish_size / plan->deliver_size / publishers + 1;
    size_t taken = 0;
    for (uint32_t p = 0; p < publishers; p++)
        if (!max->rig.publishers[p].blocked)
            taken += publisher_send(&max->rig.publishers[p], most < CHUNK_BYTES ? most : CHUNK_BYTES);
    return taken > 0;
}

static void turn(struct max *max) {
    (void)rig_turn(&max->rig, publish(max) ? 0 : max->rig.churn != NULL ? 1 : 100);
}

static bool compared(const struct rig *rig) {
    for (uint32_t i = 0; i < rig->options->subscribers; i++)
        if (rig->receivers[i].compare_left > 0)
            return false;
    return true;
}

static void warm_up(struct max *max) {
    const struct options *o = max->rig.options;
    uint64_t *sent = calloc(o->publishers, sizeof *sent);
    uint64_t end_ns = net_now_ns() + (uint64_t)(o->warm_up_seconds * 1e9);
    for (uint32_t i = 0; sent != NULL && i < o->subscribers; i++)
        receiver_compare(&max->rig.receivers[i], sent, max->rig.plan->check_frames);
    free(sent);
    while (net_now_ns() < end_ns || !compared(&max->rig))
        turn(max);
}

void max_run(const struct options *options, struct report *report) {
    struct plan plan;
    struct max max = {.window = options->window_bytes};
    plan_make(&plan, options);
    rig_open(&max.rig, &plan);
    if (options->share == SHARE_SPLIT) {
        max.window *= options->subscribers;
        max.window = max.window < SPLIT_WINDOW_MAX ? max.window : SPLIT_WINDOW_MAX;
    }
    warm_up(&max);
    uint64_t received = rig_received(&max.rig), churned = max.rig.churn == NULL ? 0 : max.rig.churn->done;
    struct meter begin = meter_read(options->server, options->server_cpu);
    uint64_t end_ns = begin.now_ns + (uint64_t)(options->seconds * 1e9);
    while (net_now_ns() < end_ns)
        turn(&max);
    struct meter end = meter_read(options->server, options->server_cpu);
    received = rig_received(&max.rig) - received;
    struct memory memory = memory_read(options->server);
    double seconds = (double)(end.now_ns - begin.now_ns) / 1e9;
    if (max.rig.churn != NULL)
        report_number(report, "churn_per_s", (double)(max.rig.churn->done - churned) / seconds);
    report_stretch(report, &begin, &end, (double)received / (double)plan.deliver_size);
    report_memory(report, &memory);
    rig_finish(&max.rig);
    report_verified(report, &max.rig);
}
