#include "bench/load/publisher.h"

#include "bench/load/quit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void publisher_open(struct publisher *publisher, const struct plan *plan, uint32_t number) {
    struct party me = {.role = ROLE_PUBLISHER,
                       .number = number,
                       .group = plan->options->share == SHARE_SPLIT ? number : 0,
                       .ack = plan->options->ack};
    *publisher = (struct publisher){.number = number, .plan = plan, .goal = GOAL_NONE};
    publisher->fd = net_open(plan->options, &me, NULL);
}

static _Noreturn void closed(const struct publisher *publisher, const char *why) {
    quit(QUIT_WRONG, "the connection of publisher %u ended after %llu events, %llu of them acknowledged: %s",
         publisher->number, (unsigned long long)publisher_frames(publisher),
         (unsigned long long)publisher->acknowledged, why);
}

size_t publisher_send(struct publisher *publisher, size_t most) {
    const struct plan *plan = publisher->plan;
    size_t cycle = (size_t)plan->frames * plan->publish_size;
    size_t at = publisher->sent % cycle;
    size_t n = cycle - at < most ? cycle - at : most;
    if (publisher->goal - publisher->sent < n)
        n = publisher->goal - publisher->sent;
    if (n == 0)
        return 0;
    ssize_t taken =
        send(publisher->fd, plan->cycles[publisher->number].publish + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    publisher->blocked = taken < (ssize_t)n;
    if (taken >= 0) {
        publisher->sent += (size_t)taken;
        return (size_t)taken;
    }
    if (errno != EAGAIN && errno != EINTR)
        closed(publisher, strerror(errno));
    return 0;
}

uint64_t publisher_frames(const struct publisher *publisher) {
    return publisher->sent / publisher->plan->publish_size;
}

void publisher_stop(struct publisher *publisher, uint64_t frames) {
    size_t size = publisher->plan->publish_size;
    publisher->goal = ((publisher->sent + size - 1) / size + frames) * size;
}

/* ---- what it is told ---- */

#define ANSWERS_BYTES (256u << 10) /* of one receive */

static struct party who(const struct publisher *publisher) {
    return (struct party){.role = ROLE_PUBLISHER, .number = publisher->number};
}

uint64_t publisher_owed(const struct publisher *publisher) {
    if (publisher->plan->options->ack == ACK_NONE)
        return 0;
    return publisher_frames(publisher) - publisher->acknowledged;
}

/* Takes the whole answers in [p, p+n); returns how many bytes they have. */
static size_t answers_take(struct publisher *publisher, const uint8_t *p, size_t n) {
    const struct options *o = publisher->plan->options;
    size_t at = 0, used = 0;
    for (; at < n; at += used) {
        enum reply reply = o->protocol->acknowledged(p + at, n - at, &used, o->ack, &publisher->acknowledged);
        if (reply == REPLY_MORE)
            break;
        if (reply != REPLY_OTHER)
            quit(QUIT_WRONG, "publisher %u was told, when %llu of its events were acknowledged: %s",
                 publisher->number, (unsigned long long)publisher->acknowledged, net_shown(p + at, n - at));
    }
    if (publisher->acknowledged > publisher_frames(publisher))
        quit(QUIT_WRONG, "publisher %u has sent %llu events, of which %llu are acknowledged",
             publisher->number, (unsigned long long)publisher_frames(publisher),
             (unsigned long long)publisher->acknowledged);
    return at;
}

/* One receive; false: there is nothing more. */
static bool answers_read(struct publisher *publisher) {
    static uint8_t shared[2 * ANSWERS_BYTES];
    size_t held = publisher->answer.length;
    if (held >= ANSWERS_BYTES)
        quit(QUIT_WRONG, "publisher %u gets an answer without an end", publisher->number);
    if (held > 0)
        memcpy(shared, publisher->answer.data, held);
    ssize_t n = recv(publisher->fd, shared + held, ANSWERS_BYTES, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        closed(publisher, n == 0 ? "the server closed it" : strerror(errno));
    if (n < 0)
        return false;
    size_t whole = held + (size_t)n, taken = answers_take(publisher, shared, whole);
    publisher->answer.length = 0;
    if (taken < whole)
        buffer_add(&publisher->answer, shared + taken, whole - taken);
    return n == ANSWERS_BYTES;
}

void publisher_read(struct publisher *publisher) {
    const struct options *o = publisher->plan->options;
    struct party me = who(publisher);
    if (o->ack == ACK_NONE) {
        if (!net_skip(o, publisher->fd, &me))
            closed(publisher, "the server closed it");
        return;
    }
    while (answers_read(publisher)) {
    }
}

void publisher_settle(struct publisher *publisher) {
    const struct options *o = publisher->plan->options;
    struct party me = who(publisher);
    if (o->ack == ACK_NONE)
        return;
    if (publisher_owed(publisher) > 0 || publisher->answer.length > 0)
        quit(QUIT_WRONG, "%llu events of publisher %u are not acknowledged",
             (unsigned long long)publisher_owed(publisher), publisher->number);
    (void)net_ask(o, publisher->fd, &me, 0);
}
