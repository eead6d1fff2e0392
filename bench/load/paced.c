/* Open loop: event i is due at begin + i * interval, whatever has come back; its latency at a subscriber is
 * counted from then, so a server that stalls pays for every event that was due meanwhile. The generator
 * spins: it is never late because it slept. */
#include "bench/load/event.h"
#include "bench/load/histogram.h"
#include "bench/load/modes.h"
#include "bench/load/quit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BYTES    (256u << 10) /* looked at in one read; what lies beyond is counted, not copied */
#define SEND_BYTES    (256u << 10)
#define BACK_BELOW_NS 10000000u /* a subscriber is back when its oldest missing event is younger */

struct paced {
    struct rig rig;
    struct plan *plan;
    uint64_t begin_ns;
    double interval_ns;
    uint64_t first, last; /* events of the measured stretch: [first, last) */
    uint64_t most;        /* events that may be sent so far; 0 = no more are sent from here */
    uint64_t stamped;     /* events made ready to be sent */
    uint64_t told;        /* events whose lag has been counted */
    struct histogram latency, lag;
    uint64_t idle_ns; /* of the stretch: nothing was due and nothing had come */
    size_t *skip;     /* owns; per subscriber: bytes to the next beginning of a delivery, after a drop */
};

static uint64_t due_ns(const struct paced *paced, uint64_t event) {
    return paced->begin_ns + (uint64_t)((double)event * paced->interval_ns);
}

static bool measured(const struct paced *paced, uint64_t event) {
    return event >= paced->first && event < paced->last;
}

/* ---- publishing ---- */

/* Writes the due times into the frames of all events that are due, but not over frames still unsent. */
static void stamp(struct paced *paced, uint64_t now_ns) {
    struct plan *plan = paced->plan;
    uint64_t due = (uint64_t)((double)(now_ns - paced->begin_ns) / paced->interval_ns) + 1;
    uint64_t room = publisher_frames(&paced->rig.publishers[0]) + plan->frames - 1;
    due = due < paced->most ? due : paced->most;
    due = due < room ? due : room;
    for (; paced->stamped < due; paced->stamped++) {
        uint64_t when_ns = due_ns(paced, paced->stamped);
        uint8_t *frame = plan->cycles[0].publish + paced->stamped % plan->frames * plan->publish_size;
        memcpy(frame + plan->stamp_publish_at, &when_ns, sizeof when_ns);
    }
    paced->rig.publishers[0].goal = paced->stamped * plan->publish_size;
}

static void lag_count(struct paced *paced) {
    uint64_t now_ns = net_now_ns(), sent = publisher_frames(&paced->rig.publishers[0]);
    for (; paced->told < sent; paced->told++)
        if (measured(paced, paced->told))
            histogram_add(&paced->lag, now_ns - due_ns(paced, paced->told), 1);
}

/* Sends what is due; false: nothing. */
static bool publish(struct paced *paced, uint64_t now_ns) {
    struct publisher *publisher = &paced->rig.publishers[0];
    if (paced->most == 0)
        return false;
    stamp(paced, now_ns);
    if (publisher_done(publisher) || publisher->blocked || publisher_send(publisher, SEND_BYTES) == 0)
        return false;
    lag_count(paced);
    return true;
}

/* ---- receiving ---- */

static uint64_t latency_count(struct paced *paced, uint64_t from, uint64_t to) {
    uint64_t now_ns = net_now_ns();
    for (uint64_t event = from; event < to; event++)
        if (measured(paced, event))
            histogram_add(&paced->latency, now_ns - due_ns(paced, event), 1);
    return now_ns;
}

static void frame_check(struct paced *paced, struct receiver *receiver, uint64_t event, const uint8_t *got) {
    const struct plan *plan = paced->plan;
    uint64_t when_ns;
    memcpy(&when_ns, got + plan->stamp_deliver_at, sizeof when_ns);
    if (when_ns != due_ns(paced, event) || !plan_matches(plan, 0, event, got))
        quit(QUIT_WRONG, "delivery %llu of subscriber %u is not what was published",
             (unsigned long long)event, receiver->number);
    receiver->compared_bytes += plan->deliver_size;
}

/* Compares the whole deliveries in [p, p + n), of which the first is `event`; keeps the rest for later. */
static void frames_check(struct paced *paced, struct receiver *receiver, uint64_t event, const uint8_t *p,
                         size_t n) {
    size_t size = paced->plan->deliver_size;
    for (; n >= size; n -= size, p += size)
        frame_check(paced, receiver, event++, p);
    memcpy(receiver->hold, p, n);
}

/* The stretch that was read begins in the middle of a delivery whose beginning was dropped: pass over it. */
static void bytes_check(struct paced *paced, struct receiver *receiver, uint8_t *p, size_t held, size_t n) {
    uint64_t size = paced->plan->deliver_size;
    size_t skip = paced->skip[receiver->number];
    if (skip == 0) {
        frames_check(paced, receiver, receiver->bytes / size, p - held, held + n);
        return;
    }
    size_t passed = skip < n ? skip : n;
    paced->skip[receiver->number] -= passed;
    if (passed == skip)
        frames_check(paced, receiver, (receiver->bytes + passed) / size, p + passed, n - passed);
}

static uint64_t bytes_count(struct paced *paced, struct receiver *receiver, size_t n) {
    size_t size = paced->plan->deliver_size;
    uint64_t from = receiver->bytes / size;
    receiver->bytes += n;
    return latency_count(paced, from, receiver->bytes / size);
}

/* The position in the stream tells which event a byte belongs to; the stamp inside must agree. What has
 * become due meanwhile is sent at once: with all of ten subscribers read first, a server that sends to them
 * in one go would pay for the time that reading takes. */
static void paced_read(void *owner, struct receiver *receiver) {
    static uint8_t buffer[COPY_BYTES + (2u << 20)];
    struct paced *paced = owner;
    size_t size = paced->plan->deliver_size, held = receiver->bytes % size;
    memcpy(buffer, receiver->hold, held);
    size_t n = receiver_take(receiver, buffer + held, COPY_BYTES, false);
    bytes_check(paced, receiver, buffer + held, held, n);
    uint64_t now_ns = bytes_count(paced, receiver, n);
    if (n < COPY_BYTES) {
        (void)publish(paced, now_ns);
        return;
    }
    n = receiver_take(receiver, buffer, sizeof buffer, true);
    (void)publish(paced, bytes_count(paced, receiver, n));
    if (n > 0)
        paced->skip[receiver->number] = (size - receiver->bytes % size) % size;
}

/* ---- the pause ---- */

struct pause {
    uint64_t begin_ns, end_ns, recovered_ns; /* 0 = not yet */
    uint64_t usual_ns;                       /* the highest age before the pause */
    uint64_t ages_ns, ages;                  /* sum and number of the highest ages of each look before it */
    uint32_t behind;                         /* subscribers that are not back */
};

/* How late a subscriber is: the time since its oldest missing event was due. */
static uint64_t age_ns(const struct paced *paced, uint32_t subscriber, uint64_t now_ns) {
    uint64_t missing = paced->rig.receivers[subscriber].bytes / paced->plan->deliver_size;
    uint64_t due = due_ns(paced, missing);
    return now_ns > due ? now_ns - due : 0;
}

/* On a machine with other work nobody may ever be as young as that: then as before the pause is enough. */
static void pause_look(struct paced *paced, struct pause *pause, uint64_t now_ns) {
    uint64_t limit_ns = pause->usual_ns > BACK_BELOW_NS ? pause->usual_ns : BACK_BELOW_NS, oldest_ns = 0;
    pause->behind = 0;
    for (uint32_t i = 0; i < paced->rig.options->subscribers; i++) {
        uint64_t age = age_ns(paced, i, now_ns);
        oldest_ns = age > oldest_ns ? age : oldest_ns;
        pause->behind += age > limit_ns;
    }
    if (now_ns >= pause->begin_ns)
        return;
    pause->usual_ns = oldest_ns > pause->usual_ns ? oldest_ns : pause->usual_ns;
    pause->ages_ns += oldest_ns;
    pause->ages++;
}

static void pause_turn(struct paced *paced, struct pause *pause, uint64_t now_ns) {
    paced->rig.deaf = now_ns >= pause->begin_ns && now_ns < pause->end_ns;
    if (pause->recovered_ns > 0 || paced->rig.deaf)
        return;
    pause_look(paced, pause, now_ns);
    if (now_ns >= pause->end_ns && pause->behind == 0)
        pause->recovered_ns = now_ns;
}

/* ---- the run ---- */

static void paced_prepare(struct paced *paced, struct plan *plan, const struct options *o) {
    *paced = (struct paced){.plan = plan};
    plan_make(plan, o);
    rig_open(&paced->rig, plan);
    paced->rig.read = paced_read;
    paced->rig.owner = paced;
    paced->skip = calloc(o->subscribers, sizeof *paced->skip);
    int *fds = calloc(o->subscribers, sizeof *fds);
    if (paced->skip == NULL || fds == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    for (uint32_t i = 0; i < o->subscribers; i++)
        fds[i] = paced->rig.receivers[i].fd;
    net_await_noise(o, fds, o->subscribers);
    free(fds);
    for (uint32_t i = 0; i < o->subscribers; i++)
        paced->rig.receivers[i].noise_seen = true;
    paced->most = UINT64_MAX;
    paced->interval_ns = 1e9 / o->rate;
    paced->first = (uint64_t)ceil(o->warm_up_seconds * o->rate);
    paced->last = (uint64_t)ceil((o->warm_up_seconds + o->seconds) * o->rate);
    paced->begin_ns = net_now_ns();
}

static void run_until(struct paced *paced, struct pause *pause, uint64_t end_ns) {
    paced->idle_ns = 0;
    for (uint64_t now_ns = net_now_ns(); now_ns < end_ns;) {
        uint64_t began_ns = now_ns;
        if (pause != NULL)
            pause_turn(paced, pause, now_ns);
        bool sent = publish(paced, net_now_ns());
        int told = rig_turn(&paced->rig, 0);
        now_ns = net_now_ns();
        if (!sent && told == 0)
            paced->idle_ns += now_ns - began_ns;
    }
}

/* Events that were due in the stretch are sent, however late: leaving them out would hide a stall. */
static void send_rest(struct paced *paced) {
    paced->most = paced->last > paced->stamped ? paced->last : paced->stamped;
    while (publisher_frames(&paced->rig.publishers[0]) < paced->last) {
        (void)publish(paced, net_now_ns());
        (void)rig_turn(&paced->rig, paced->rig.publishers[0].blocked ? 100 : 0);
    }
    paced->most = 0;
    publisher_stop(&paced->rig.publishers[0], 0);
}

static void latency_report(struct report *report, const struct paced *paced) {
    report_latency(report, &paced->latency);
    double seconds = paced->rig.options->seconds;
    report_number(report, "generator_idle_share", seconds > 0 ? (double)paced->idle_ns / 1e9 / seconds : 0);
    report_count(report, "send_lag_p50_ns", histogram_quantile(&paced->lag, 0.5));
    report_count(report, "send_lag_p99_ns", histogram_quantile(&paced->lag, 0.99));
    report_number(report, "offered_per_s", paced->rig.options->rate);
}

void paced_run(const struct options *options, struct report *report) {
    static struct paced paced;
    struct plan plan;
    struct pause pause = {0};
    paced_prepare(&paced, &plan, options);
    uint64_t begin_ns = paced.begin_ns + (uint64_t)(options->warm_up_seconds * 1e9);
    uint64_t end_ns = begin_ns + (uint64_t)(options->seconds * 1e9);
    pause.begin_ns = begin_ns + (end_ns - begin_ns) / 2;
    pause.end_ns = pause.begin_ns + (uint64_t)(options->pause_ms * 1e6);
    run_until(&paced, NULL, begin_ns);
    uint64_t received = rig_received(&paced.rig);
    struct meter begin = meter_read(options->server, options->server_cpu);
    run_until(&paced, options->pause_ms > 0 ? &pause : NULL, end_ns);
    struct meter end = meter_read(options->server, options->server_cpu);
    received = rig_received(&paced.rig) - received;
    struct memory memory = memory_read(options->server);
    report_stretch(report, &begin, &end, (double)received / (double)plan.deliver_size);
    report_memory(report, &memory);
    send_rest(&paced);
    rig_finish(&paced.rig);
    if (options->pause_ms > 0) {
        report_count(report, "behind", pause.behind);
        report_count(report, "age_before_ns", pause.ages == 0 ? 0 : pause.ages_ns / pause.ages);
    }
    if (pause.recovered_ns > 0)
        report_count(report, "recovered_ns", pause.recovered_ns - pause.end_ns);
    latency_report(report, &paced);
    report_verified(report, &paced.rig);
}
