#include "bench/load/receiver.h"

#include "bench/load/event.h"
#include "bench/load/quit.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define QUIET_MS 20 /* so long nothing may come from a server that can not be asked */

static uint8_t shared[RECEIVER_BUFFER_BYTES];

/* Topics of subscriber `number` when they are split. */
static struct interest interest_make(const struct plan *plan, uint32_t number) {
    const struct options *o = plan->options;
    static uint32_t everything;
    if (o->share == SHARE_ALL)
        return o->topics == 1 ? (struct interest){.topics = &everything, .count = 1} : (struct interest){0};
    uint32_t count = o->topics / o->subscribers;
    uint32_t *topics = calloc(count, sizeof *topics);
    if (topics == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    for (uint32_t i = 0; i < count; i++)
        topics[i] = i * o->subscribers + number;
    return (struct interest){.topics = topics, .count = count};
}

static struct party who(const struct receiver *receiver) {
    bool split = receiver->plan->options->share == SHARE_SPLIT;
    return (struct party){
        .role = ROLE_SUBSCRIBER, .number = receiver->number, .group = split ? receiver->number : 0};
}

/* Without this the kernel sends an acknowledgement with nearly every receive, on this thread: half of what a
 * small receive costs. With it every second small segment is acknowledged, as on connections that talk both
 * ways. See docs/decisions/0018. */
static void quiet_acks(int fd) {
    int off = 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
}

static void connect_to(struct receiver *receiver, const struct plan *plan, uint32_t number,
                       const struct interest *interest) {
    *receiver = (struct receiver){.number = number, .plan = plan};
    receiver->counts = calloc(plan->options->topics, sizeof *receiver->counts);
    receiver->hold = malloc(plan->deliver_size);
    if (receiver->counts == NULL || receiver->hold == NULL)
        quit(QUIT_INTERNAL, "out of memory");
    struct party me = who(receiver);
    receiver->fd = net_open(plan->options, &me, interest);
    quiet_acks(receiver->fd);
}

void receiver_open(struct receiver *receiver, const struct plan *plan, uint32_t number) {
    struct interest interest = interest_make(plan, number);
    if (number < plan->options->filtered)
        interest.filter = plan->options->filters_differ ? 1 + number : 1;
    connect_to(receiver, plan, number, &interest);
    if (plan->options->share == SHARE_SPLIT)
        free((void *)(uintptr_t)interest.topics);
}

void receiver_connect(struct receiver *receiver, const struct plan *plan, uint32_t number) {
    connect_to(receiver, plan, number, NULL);
}

void receiver_begin(struct receiver *receiver) {
    const struct options *o = receiver->plan->options;
    struct interest everything = interest_make(receiver->plan, receiver->number);
    struct party me = who(receiver);
    struct buffer question = {0};
    o->protocol->subscribe_oldest(&question, &everything);
    net_send(o, receiver->fd, &question);
    buffer_free(&question);
    net_await_answer(o, receiver->fd, &me);
}

static _Noreturn void closed(const struct receiver *receiver, const char *why) {
    quit(QUIT_WRONG, "the connection of subscriber %u ended after %llu deliveries: %s", receiver->number,
         (unsigned long long)(receiver->bytes / receiver->plan->deliver_size), why);
}

static size_t receive(struct receiver *receiver, uint8_t *buffer, size_t room, int flags) {
    ssize_t n = recv(receiver->fd, buffer, room, MSG_DONTWAIT | flags);
    if (n > 0)
        return (size_t)n;
    if (n == 0)
        closed(receiver, "the server closed it");
    if (errno != EAGAIN && errno != EINTR)
        closed(receiver, strerror(errno));
    return 0;
}

size_t receiver_take(struct receiver *receiver, uint8_t *buffer, size_t room, bool drop) {
    return receive(receiver, buffer, room, drop ? MSG_TRUNC : 0);
}

/* ---- comparing ---- */

void receiver_compare(struct receiver *receiver, const uint64_t *sent, uint64_t frames) {
    const struct plan *plan = receiver->plan;
    for (uint32_t topic = 0; topic < plan->options->topics; topic++) {
        uint64_t count = plan_topic_count(plan, topic, sent[topic % plan->options->publishers]);
        receiver->counts[topic] = (uint32_t)count;
    }
    receiver->compare_left = frames;
}

/* It must be the next one on its topic: each topic's order is kept, and nothing on it is left out. */
static void frame_compare(struct receiver *receiver, const uint8_t *got) {
    const struct plan *plan = receiver->plan;
    uint32_t topic = plan_topic(plan, got);
    if (topic == TOPICS_MAX || !plan_owns(plan, topic, receiver->number) ||
        !plan_matches(plan, topic, receiver->counts[topic], got))
        quit(QUIT_WRONG, "a delivery to subscriber %u, the %llu-th that was compared, is not what it must be",
             receiver->number, (unsigned long long)(receiver->compared_bytes / plan->deliver_size) + 1);
    receiver->counts[topic]++;
    receiver->compare_left--;
    receiver->compared_bytes += plan->deliver_size;
}

/* A server's noise at p, where a delivery could begin: its size, or 0. */
static size_t noise_at(struct receiver *receiver, const uint8_t *p, size_t n) {
    const char *noise = receiver->plan->options->protocol->noise;
    size_t size = noise == NULL ? 0 : strlen(noise);
    if (size == 0 || receiver->noise_seen || n < size || memcmp(p, noise, size) != 0)
        return 0;
    receiver->noise_seen = true;
    return size;
}

/* Compares whole deliveries in [p, p+n), and holds what is left. Behind the last one to compare, bytes are
 * only counted. */
static void bytes_compare(struct receiver *receiver, const uint8_t *p, size_t n) {
    size_t size = receiver->plan->deliver_size;
    while (receiver->compare_left > 0) {
        size_t noise = noise_at(receiver, p, n);
        p += noise;
        n -= noise;
        if (n < size)
            break;
        frame_compare(receiver, p);
        receiver->bytes += size;
        p += size;
        n -= size;
    }
    receiver->hold_length = 0;
    if (receiver->compare_left == 0) {
        receiver->bytes += n;
        return;
    }
    memcpy(receiver->hold, p, n);
    receiver->hold_length = n;
}

static void compare(struct receiver *receiver) {
    size_t held = receiver->hold_length;
    memcpy(shared, receiver->hold, held);
    size_t n = receive(receiver, shared + held, sizeof shared - held, 0);
    if (n > 0)
        bytes_compare(receiver, shared, held + n);
}

void receiver_read(struct receiver *receiver) {
    if (receiver->compare_left > 0)
        compare(receiver);
    else
        receiver->bytes += receive(receiver, shared, sizeof shared, MSG_TRUNC);
}

/* ---- the end ---- */

static void quiet(struct receiver *receiver) {
    struct pollfd one = {.fd = receiver->fd, .events = POLLIN};
    if (poll(&one, 1, QUIET_MS) != 0)
        quit(QUIT_WRONG, "subscriber %u got more than was published", receiver->number);
}

void receiver_settle(struct receiver *receiver, uint64_t expected) {
    const struct options *o = receiver->plan->options;
    size_t noise = receiver->noise_seen || o->protocol->noise == NULL ? 0 : strlen(o->protocol->noise);
    struct party me = who(receiver);
    uint64_t held = receiver->hold_length, got;
    if (noise > 0 && receiver->bytes == expected + noise) {
        receiver->bytes -= noise;
        receiver->noise_seen = true;
        noise = 0;
    }
    got = receiver->bytes + held;
    if (got != expected)
        quit(QUIT_WRONG, "subscriber %u got %llu bytes of deliveries, not %llu", receiver->number,
             (unsigned long long)got, (unsigned long long)expected);
    if (o->protocol->ask == NULL) {
        quiet(receiver);
        return;
    }
    if (net_ask(o, receiver->fd, &me, noise) > 0)
        receiver->noise_seen = true;
}
