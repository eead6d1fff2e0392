/* fuzz: receive_turn, rh_process */
// check: runs=100000 max_len=1024 timeout=5

/* What a server says to the client library, right or wrong. The first byte says in what state the client is;
 * the second where the stream is cut in two. Every byte that a callback is given is read. */
#include "core/client/receive.h"

#include "core/base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    ACKS = 1,
    TWO_SUBSCRIPTIONS = 2,
    HANDSHAKE = 4,
    CLOSING = 8,
    NO_RECONNECT = 16,
    PUBLISHES = 32,
    JOINS = 64, /* a queue, as subscription 1; removes another one, by the next id; and, when it is connected,
                   has asked for a replay, by the one behind it */
    ASKS = 128, /* a request, whose inbox is subscription 3, or 2 without TWO_SUBSCRIPTIONS */
};
#define EVENTS 3 /* published before the server says anything */

static uint64_t read_all; /* so that reading is not left out */
static bool publishes;
static rh_client *current;
static int replies, removals;
static uint64_t delivery_last;

static void read_bytes(const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    for (size_t i = 0; i < length; i++)
        read_all += p[i];
}

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    (void)user;
    CHECK(subscription == 1 || subscription == 2);
    CHECK(event->topic_length > 0);
    read_bytes(event->topic, event->topic_length);
    read_bytes(event->event, event->event_length);
    if (event->delivery != 0) {
        CHECK(subscription == 1 && event->delivery > delivery_last);
        delivery_last = event->delivery;
        CHECK(rh_ack_done(current, subscription, event->delivery + 1) < 0); /* was never delivered */
        (void)rh_ack_refuse(current, subscription, event->delivery, "fuzz");
        (void)rh_reply(current, event, (const uint8_t *)"\x0a\x01i", 3);
        (void)rh_reply(current, event, event->event, event->event_length);
    }
    if (publishes)
        (void)rh_publish(current, "from.inside", 11, (const uint8_t *)"event", 5);
}

static void on_ack(void *user, const rh_ack *ack) {
    (void)user;
    for (size_t i = 0; i < ack->refused_count; i++) {
        read_bytes(ack->refused[i].text, strlen(ack->refused[i].text));
        read_bytes(ack->refused[i].field, strlen(ack->refused[i].field));
    }
}

static void on_reply(void *user, int code, const char *text, const rh_event *reply) {
    (void)user;
    CHECK((code == 0) == (reply != NULL) && ++replies == 1);
    read_bytes(text, strlen(text));
    if (reply != NULL)
        read_bytes(reply->event, reply->event_length);
}

static void on_lease_expired(void *user, uint64_t subscription, uint64_t delivery) {
    (void)user;
    CHECK(subscription == 1 && delivery <= delivery_last);
    (void)rh_ack_extend(current, subscription, delivery);
}

static void on_replayed(void *user, int64_t replay, const rh_replayed *replayed) {
    (void)user;
    read_all += replayed->delivered + replayed->acknowledged + replayed->failed + replayed->missing +
                replayed->left + replayed->waiting;
    CHECK(rh_replaying(current, replay) == !replayed->over);
    if (publishes && !replayed->over)
        CHECK(rh_replay_end(current, replay) == RH_OK);
}

static void on_gap(void *user, const rh_gap *gap) {
    (void)user;
    read_all += gap->at_most;
}

static void on_subscribed(void *user, uint64_t subscription) {
    (void)user;
    CHECK(subscription == 1 || subscription == 2);
    if (publishes)
        (void)rh_unsubscribe(current, (int64_t)subscription);
}

static void on_removed(void *user, uint64_t removal) {
    (void)user;
    CHECK(removal > 1 && ++removals == 1 && !rh_subscribed(current, (int64_t)removal));
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    (void)user;
    read_all += (uint64_t)code + fatal + subscription;
    read_bytes(text, strlen(text));
}

static bool on_resend(void *user, uint64_t unacknowledged) {
    (void)user;
    read_all += unacknowledged;
    return false;
}

/* The events were sent on an earlier connection, and their fate is unknown. */
static void sent_before(rh_client *client) {
    const uint8_t *bytes;
    for (size_t count; (count = outbox_next(&client->outbox, true, &bytes)) > 0;)
        outbox_advance(&client->outbox, count);
    outbox_rewind(&client->outbox);
}

static rh_client *client_new(uint8_t how, int socket) {
    static const char *const patterns[] = {"a.>", "*.b"};
    rh_options options = {.server = "127.0.0.1:1",
                          .ack = how & ACKS ? RH_ACK_ROUTED : RH_ACK_NONE,
                          .reconnect_off = (how & NO_RECONNECT) != 0,
                          .send_buffer_bytes = 4096,
                          .callbacks = {.on_event = on_event,
                                        .on_ack = on_ack,
                                        .on_gap = on_gap,
                                        .on_subscribed = on_subscribed,
                                        .on_error = on_error,
                                        .on_resend = on_resend,
                                        .on_lease_expired = on_lease_expired,
                                        .on_removed = on_removed,
                                        .on_replayed = on_replayed}};
    rh_client *client = rh_client_new(&options, NULL);
    CHECK(client != NULL);
    if (how & JOINS)
        CHECK(rh_join(client, patterns, 2, &(rh_queue){.name = "q"}) == 1);
    else
        CHECK(rh_subscribe(client, patterns, 2, RH_SLOW_SKIP) == 1);
    if (how & TWO_SUBSCRIPTIONS)
        CHECK(rh_subscribe(client, patterns + 1, 1, RH_SLOW_SKIP) == 2);
    for (int i = 1; i <= EVENTS; i++)
        CHECK(rh_publish(client, "a", 1, (const uint8_t *)"event", 5) == i);
    if (how & ASKS) {
        CHECK(rh_request(client, "a", 1, (const uint8_t *)"\x0a\x01i", 3, 0, on_reply, NULL) > 0);
        memcpy(client->requests.tag, "0123456789abcdef", sizeof client->requests.tag); /* for seeds to know */
    }
    if (how & JOINS)
        CHECK(rh_remove_queue(client, "gone", true) > 1);
    struct epoll_event watched = {.events = EPOLLOUT};
    CHECK(epoll_ctl(client->poller, EPOLL_CTL_ADD, socket, &watched) == 0);
    client->socket = socket;
    client->frame_max = client->publish_max = 700; /* below the longest input */
    client->phase = LINK_HANDSHAKE;
    if (how & HANDSHAKE)
        sent_before(client);
    else
        link_up(client, "");
    if ((how & JOINS) && client->phase == LINK_UP)
        CHECK(rh_replay(client, &(rh_replay_options){.queue = "q"}) > 1);
    if (how & CLOSING)
        CHECK(rh_close(client) == RH_OK);
    return client;
}

static void say(int server, const uint8_t *data, size_t size) {
    CHECK(size == 0 || send(server, data, size, 0) == (ssize_t)size);
    (void)rh_process(current);
    outbox_check(&current->outbox);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    if (size < 2)
        return 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    publishes = (data[0] & PUBLISHES) != 0;
    replies = removals = 0;
    delivery_last = 0;
    current = client_new(data[0], ends[0]);
    size_t cut = data[1] < size - 2 ? data[1] : size - 2;
    (void)rh_process(current); /* sends what there is */
    if (current->socket >= 0)
        say(ends[1], data + 2, cut);
    if (current->socket >= 0)
        say(ends[1], data + 2 + cut, size - 2 - cut);
    rh_client_free(current); /* closes its end */
    (void)close(ends[1]);
    return 0;
}
