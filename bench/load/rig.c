#include "bench/load/rig.h"

#include "bench/load/quit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS_PER_TURN 256
#define SILENT_TOPIC    (TOPICS_MAX - 1) /* and downwards; nobody publishes there */
#define CLOSING_CHUNK   (64u << 10)

enum tag { TAG_RECEIVER, TAG_PUBLISHER };

static void *many(size_t count, size_t size) {
    void *memory = calloc(count + 1, size); /* none at all is no failure */
    if (memory == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    return memory;
}

static void watch(struct rig *rig, int fd, uint32_t events, enum tag tag, uint32_t number) {
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)tag << 32 | number};
    if (epoll_ctl(rig->poller, EPOLL_CTL_ADD, fd, &event) != 0)
        quit(QUIT_INTERNAL, "epoll_ctl: %s", strerror(errno));
}

static void read_default(void *owner, struct receiver *receiver) {
    (void)owner;
    receiver_read(receiver);
}

/* Connections that matter only by being there: subscribed and never read, or subscribed to nothing that
 * comes. Their descriptors stay open to the end. */
static void others_open(const struct options *o) {
    for (uint32_t i = 0; i < o->stopped; i++) {
        static const uint32_t first = 0;
        struct interest interest = {.topics = o->topics == 1 ? &first : NULL, .count = 1, .skip = true};
        struct party who = {.role = ROLE_SUBSCRIBER, .number = o->subscribers + i};
        (void)net_open(o, &who, &interest);
    }
    for (uint32_t i = 0; i < o->idle; i++) {
        uint32_t topic = SILENT_TOPIC - i;
        struct interest interest = {.topics = &topic, .count = 1};
        struct party who = {.role = ROLE_SUBSCRIBER, .number = o->subscribers + o->stopped + i};
        (void)net_open(o, &who, &interest);
    }
}

/* Subscribers first: whoever publishes finds them all. */
void rig_open(struct rig *rig, const struct plan *plan) {
    const struct options *o = plan->options;
    *rig = (struct rig){.options = o, .plan = plan, .read = read_default};
    rig->poller = epoll_create1(EPOLL_CLOEXEC);
    rig->receivers = many(o->subscribers, sizeof *rig->receivers);
    rig->publishers = many(o->publishers, sizeof *rig->publishers);
    others_open(o);
    for (uint32_t i = 0; i < o->subscribers; i++) {
        receiver_open(&rig->receivers[i], plan, i);
        watch(rig, rig->receivers[i].fd, EPOLLIN, TAG_RECEIVER, i);
    }
    for (uint32_t i = 0; i < o->publishers; i++) {
        publisher_open(&rig->publishers[i], plan, i);
        watch(rig, rig->publishers[i].fd, EPOLLIN | EPOLLOUT | EPOLLET, TAG_PUBLISHER, i);
    }
    if (o->churn > 0)
        rig->churn = churn_open(o);
    rig->progress_ns = net_now_ns();
}

static void publisher_ready(struct publisher *publisher, uint32_t events) {
    if (events & EPOLLOUT)
        publisher->blocked = false;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        publisher_read(publisher);
}

/* ---- progress ---- */

static uint64_t sent_bytes(const struct rig *rig) {
    uint64_t sent = 0;
    for (uint32_t i = 0; i < rig->options->publishers; i++)
        sent += rig->publishers[i].sent;
    return sent;
}

uint64_t rig_received(const struct rig *rig) {
    uint64_t received = 0;
    for (uint32_t i = 0; i < rig->options->subscribers; i++)
        received += rig->receivers[i].bytes;
    return received;
}

/* What a subscriber must have got of everything that was sent so far, in bytes. */
static uint64_t expected(const struct rig *rig, uint32_t subscriber) {
    uint64_t frames = 0;
    for (uint32_t p = 0; p < rig->options->publishers; p++)
        frames += plan_expected(rig->plan, p, subscriber, publisher_frames(&rig->publishers[p]));
    return frames * rig->plan->deliver_size;
}

uint64_t rig_acknowledged(const struct rig *rig) {
    uint64_t events = 0;
    for (uint32_t i = 0; i < rig->options->publishers; i++)
        events += rig->publishers[i].acknowledged;
    return events;
}

static uint64_t owed(const struct rig *rig) {
    uint64_t events = 0;
    for (uint32_t i = 0; i < rig->options->publishers; i++)
        events += publisher_owed(&rig->publishers[i]);
    return events;
}

static _Noreturn void stalled(const struct rig *rig) {
    uint64_t lacking = 0, most = 0, unanswered = owed(rig);
    uint32_t worst = 0;
    for (uint32_t i = 0; i < rig->options->subscribers; i++) {
        uint64_t wanted = expected(rig, i), got = rig->receivers[i].bytes;
        uint64_t lacks = got < wanted ? (wanted - got) / rig->plan->deliver_size : 0;
        lacking += lacks;
        if (lacks > most) {
            most = lacks;
            worst = i;
        }
    }
    if (lacking == 0 && unanswered > 0)
        quit(QUIT_WRONG, "nothing came for %g s, and %llu events are not acknowledged",
             rig->options->stall_seconds, (unsigned long long)unanswered);
    quit(QUIT_WRONG, "nothing came for %g s, and %llu deliveries are missing, %llu of them to subscriber %u",
         rig->options->stall_seconds, (unsigned long long)lacking, (unsigned long long)most, worst);
}

static void progress_check(struct rig *rig) {
    uint64_t mark = rig_received(rig) + sent_bytes(rig) + rig_acknowledged(rig), now_ns = net_now_ns();
    if (mark != rig->progress_mark || rig->deaf) {
        rig->progress_mark = mark;
        rig->progress_ns = now_ns;
    } else if ((double)(now_ns - rig->progress_ns) > rig->options->stall_seconds * 1e9) {
        stalled(rig);
    }
}

int rig_turn(struct rig *rig, int timeout_ms) {
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(rig->poller, events, EVENTS_PER_TURN, timeout_ms);
    for (int i = 0; i < count; i++) {
        uint32_t number = (uint32_t)events[i].data.u64;
        if (events[i].data.u64 >> 32 == TAG_PUBLISHER)
            publisher_ready(&rig->publishers[number], events[i].events);
        else if (!rig->deaf)
            rig->read(rig->owner, &rig->receivers[number]);
    }
    if (rig->churn != NULL)
        churn_turn(rig->churn);
    if (count == 0 && timeout_ms > 0)
        progress_check(rig);
    return count;
}

/* ---- the end ---- */

/* Sends what the publishers' goals still ask for, and receives all that follows from it. */
static void run_out(struct rig *rig) {
    for (bool all = false; !all;) {
        bool sending = false;
        for (uint32_t p = 0; p < rig->options->publishers; p++) {
            if (!publisher_done(&rig->publishers[p]) && !rig->publishers[p].blocked)
                sending |= publisher_send(&rig->publishers[p], CLOSING_CHUNK) > 0;
        }
        (void)rig_turn(rig, sending ? 0 : 100);
        all = true;
        for (uint32_t p = 0; p < rig->options->publishers; p++)
            all &= publisher_done(&rig->publishers[p]) && publisher_owed(&rig->publishers[p]) == 0;
        for (uint32_t i = 0; all && i < rig->options->subscribers; i++)
            all &= rig->receivers[i].bytes >= expected(rig, i);
    }
    for (uint32_t i = 0; i < rig->options->subscribers; i++)
        receiver_settle(&rig->receivers[i], expected(rig, i));
    for (uint32_t p = 0; p < rig->options->publishers; p++)
        publisher_settle(&rig->publishers[p]);
}

static void goals_set(struct rig *rig, uint64_t frames) {
    for (uint32_t p = 0; p < rig->options->publishers; p++)
        publisher_stop(&rig->publishers[p], frames);
}

static void closing(struct rig *rig) {
    const struct options *o = rig->options;
    uint64_t *sent = many(o->publishers, sizeof *sent);
    uint64_t frames = rig->plan->check_frames * (o->share == SHARE_SPLIT ? o->subscribers : 1);
    for (uint32_t p = 0; p < o->publishers; p++)
        sent[p] = publisher_frames(&rig->publishers[p]);
    for (uint32_t i = 0; i < o->subscribers; i++)
        receiver_compare(&rig->receivers[i], sent, UINT64_MAX);
    free(sent);
    rig->read = read_default;
    goals_set(rig, (frames + o->publishers - 1) / o->publishers);
    run_out(rig);
}

void rig_finish(struct rig *rig) {
    goals_set(rig, 0);
    run_out(rig);
    if (rig->plan->check_frames > 0)
        closing(rig);
    for (uint32_t p = 0; p < rig->options->publishers; p++)
        rig->sent_frames += publisher_frames(&rig->publishers[p]);
}

uint64_t rig_deliveries(const struct rig *rig) {
    return rig_received(rig) / rig->plan->deliver_size;
}

uint64_t rig_compared_bytes(const struct rig *rig) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rig->options->subscribers; i++)
        bytes += rig->receivers[i].compared_bytes;
    return bytes;
}
