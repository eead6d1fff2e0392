/* As fast as acknowledgements come back: each publisher keeps a bounded number of events on their way, so
 * that with one it waits for each of them. An event's latency counts from the send that took its last byte
 * until its acknowledgement was read. The generator sleeps when it has nothing to do: one that spins keeps
 * the kernel's own threads from its CPU, and a sync may have to wait for them (measured: 8 ms, not 0.1). */
#include "bench/load/modes.h"

#include "bench/load/quit.h"

#include <stdlib.h>

#define CHUNK_BYTES (256u << 10) /* of one send */
#define WAIT_MS     10           /* so long a turn may sleep */

struct acked {
    struct rig rig;
    bool measuring;
    uint64_t *sent_ns; /* owns; for each publisher, when its last `outstanding` events were sent */
    uint64_t *told;    /* owns; for each publisher, events whose latency has been counted */
    struct histogram latency;
};

static uint64_t *when_sent(struct acked *acked, uint32_t publisher, uint64_t event) {
    uint32_t outstanding = acked->rig.options->outstanding;
    return &acked->sent_ns[(uint64_t)publisher * outstanding + event % outstanding];
}

/* False: nothing was sent. */
static bool publish(struct acked *acked, struct publisher *publisher) {
    const struct options *o = acked->rig.options;
    uint64_t from = publisher_frames(publisher), now_ns = net_now_ns();
    publisher->goal = (publisher->acknowledged + o->outstanding) * publisher->plan->publish_size;
    if (publisher->blocked || publisher_done(publisher) || publisher_send(publisher, CHUNK_BYTES) == 0)
        return false;
    for (; from < publisher_frames(publisher); from++)
        *when_sent(acked, publisher->number, from) = now_ns;
    return true;
}

static void latency_count(struct acked *acked, const struct publisher *publisher, uint64_t now_ns) {
    uint64_t *told = &acked->told[publisher->number];
    for (; *told < publisher->acknowledged; (*told)++)
        if (acked->measuring)
            histogram_add(&acked->latency, now_ns - *when_sent(acked, publisher->number, *told), 1);
}

static void turn(struct acked *acked) {
    uint32_t publishers = acked->rig.options->publishers;
    bool sent = false;
    for (uint32_t i = 0; i < publishers; i++)
        sent |= publish(acked, &acked->rig.publishers[i]);
    (void)rig_turn(&acked->rig, sent ? 0 : WAIT_MS);
    uint64_t now_ns = net_now_ns();
    for (uint32_t i = 0; i < publishers; i++)
        latency_count(acked, &acked->rig.publishers[i], now_ns);
}

static void run_until(struct acked *acked, uint64_t end_ns) {
    uint64_t moved_ns = net_now_ns(), before = rig_acknowledged(&acked->rig);
    for (uint64_t now_ns = moved_ns; now_ns < end_ns; now_ns = net_now_ns()) {
        turn(acked);
        uint64_t events = rig_acknowledged(&acked->rig);
        if (events != before) {
            before = events;
            moved_ns = now_ns;
        } else if ((double)(now_ns - moved_ns) > acked->rig.options->stall_seconds * 1e9) {
            quit(QUIT_WRONG, "no event was acknowledged for %g s", acked->rig.options->stall_seconds);
        }
    }
}

static void acked_prepare(struct acked *acked, struct plan *plan, const struct options *o) {
    *acked = (struct acked){.sent_ns = calloc((size_t)o->publishers * o->outstanding, sizeof(uint64_t)),
                            .told = calloc(o->publishers, sizeof(uint64_t))};
    if (acked->sent_ns == NULL || acked->told == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    plan_make(plan, o);
    rig_open(&acked->rig, plan);
}

void acked_run(const struct options *options, struct report *report) {
    static struct acked acked;
    struct plan plan;
    acked_prepare(&acked, &plan, options);
    run_until(&acked, net_now_ns() + (uint64_t)(options->warm_up_seconds * 1e9));
    acked.measuring = true;
    uint64_t events = rig_acknowledged(&acked.rig);
    struct meter begin = meter_read(options->server, options->server_cpu);
    run_until(&acked, begin.now_ns + (uint64_t)(options->seconds * 1e9));
    struct meter end = meter_read(options->server, options->server_cpu);
    events = rig_acknowledged(&acked.rig) - events;
    struct memory memory = memory_read(options->server);
    report_stretch(report, &begin, &end, 0);
    report_count(report, "acknowledged", events);
    report_memory(report, &memory);
    rig_finish(&acked.rig);
    report_latency(report, &acked.latency);
    report_verified(report, &acked.rig);
    free(acked.sent_ns);
    free(acked.told);
}
