#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/topic.h"
#include "core/base/utf8.h"
#include "core/client/receive.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#define CLIENT_SERVER_DEFAULT     "127.0.0.1:4470"
#define CLIENT_SEND_BYTES_DEFAULT (4 * MIB)
#define CLIENT_SEND_BYTES_MAX     GIB
#define CLIENT_CONNECT_MS_DEFAULT 5000u
#define CLIENT_PING_MS_DEFAULT    1000u
#define CLIENT_EAGER_BYTES        (128 * KIB) /* rh_publish itself begins to send when so much waits */
#define CLIENT_POSITION_BYTES     4096u
#define CLIENT_TURNS_MAX          1000000000

/* ---- making and freeing ---- */

static bool options_copy(struct rh_client *client, const rh_options *options, const char **error) {
    const char *name = options->name != NULL ? options->name : "";
    size_t length = strlen(name);
    if (length >= sizeof client->name || !utf8_clean((const uint8_t *)name, length)) {
        *error = "name: at most 128 bytes of printable UTF-8";
        return false;
    }
    memcpy(client->name, name, length);
    if (options->ack != RH_ACK_NONE && options->ack != RH_ACK_ROUTED && options->ack != RH_ACK_DISK) {
        *error = "ack: RH_ACK_NONE, RH_ACK_ROUTED or RH_ACK_DISK";
        return false;
    }
    if (options->send_buffer_bytes > CLIENT_SEND_BYTES_MAX ||
        options->receive_buffer_bytes > CLIENT_SEND_BYTES_MAX) {
        *error = options->send_buffer_bytes > CLIENT_SEND_BYTES_MAX ? "send_buffer_bytes: at most 1 GiB"
                                                                    : "receive_buffer_bytes: at most 1 GiB";
        return false;
    }
    uint32_t connect_ms = options->connect_timeout_ms;
    uint32_t ping_ms = options->ping_interval_ms;
    client->connect_timeout_ns = (connect_ms != 0 ? connect_ms : CLIENT_CONNECT_MS_DEFAULT) * NS_PER_MS;
    client->ping_interval_ns = (ping_ms != 0 ? ping_ms : CLIENT_PING_MS_DEFAULT) * NS_PER_MS;
    client->ack = options->ack;
    client->reconnect_off = options->reconnect_off;
    client->callbacks = options->callbacks;
    client->user = options->user;
    const char *server = options->server != NULL ? options->server : CLIENT_SERVER_DEFAULT;
    bool good = dial_parse(&client->dial, server, error);
    client->dial.receive_bytes = options->receive_buffer_bytes;
    return good;
}

static bool client_allocate(struct rh_client *client, size_t send_bytes) {
    client->poller = epoll_create1(EPOLL_CLOEXEC);
    client->position = malloc(CLIENT_POSITION_BYTES);
    return client->poller >= 0 && client->position != NULL &&
           outbox_init(&client->outbox, send_bytes, client->ack != RH_ACK_NONE) == 0;
}

rh_client *rh_client_new(const rh_options *options, const char **error) {
    const char *ignored;
    if (error == NULL)
        error = &ignored;
    struct rh_client *client = calloc(1, sizeof *client);
    *error = "no memory or no file descriptor is left";
    if (client == NULL)
        return NULL;
    client->socket = -1;
    client->poller = -1;
    client->backoff_ns = LINK_BACKOFF_NS_MIN;
    size_t send_bytes =
        options->send_buffer_bytes != 0 ? options->send_buffer_bytes : CLIENT_SEND_BYTES_DEFAULT;
    bool good = options_copy(client, options, error);
    if (!good || !client_allocate(client, send_bytes)) {
        rh_client_free(client);
        errno = good ? ENOMEM : EINVAL;
        return NULL;
    }
    uint64_t seeds[2] = {clock_mono_ns(), clock_wall_ns()};
    if (getrandom(seeds, sizeof seeds, GRND_NONBLOCK) < 0)
        seeds[0] ^= (uint64_t)getpid() << 32; /* early in boot the clocks have to do */
    client->random = seeds[0] | 1;
    seen_init(&client->seen, seeds[1]);
    *error = NULL;
    return client;
}

void rh_client_free(rh_client *client) {
    if (client == NULL)
        return;
    CHECK(!client->inside);
    if (client->socket >= 0)
        (void)close(client->socket);
    if (client->poller >= 0)
        (void)close(client->poller);
    dial_deinit(&client->dial);
    inbox_deinit(&client->inbox);
    outbox_deinit(&client->outbox);
    subs_deinit(&client->subs);
    seen_deinit(&client->seen);
    requests_deinit(&client->requests);
    free(client->replays);
    free(client->position);
    free(client->refusals);
    free(client->duplicates);
    free(client);
}

/* ---- publishing ---- */

static const char *publish_fault(size_t topic_length, size_t event_length) {
    if (topic_length == 0 || topic_length > TOPIC_BYTES_MAX)
        return "topic: 1 to 255 bytes";
    if (event_length == 0 || event_length > LINK_FRAME_MAX / 2)
        return "event: must be a serialized CloudEvent";
    return NULL;
}

int64_t rh_publish(rh_client *client, const char *topic, size_t topic_length, const uint8_t *event,
                   size_t event_length) {
    if (client->phase == LINK_OVER || client->closing)
        return client->phase == LINK_OVER ? client->result : RH_CLOSED;
    const char *fault = publish_fault(topic_length, event_length);
    if (fault != NULL)
        return link_invalid(client, fault);
    struct wire_event wire = {.topic = (const uint8_t *)topic,
                              .event = event,
                              .topic_length = (uint32_t)topic_length,
                              .event_length = (uint32_t)event_length};
    struct outbox *box = &client->outbox;
    uint64_t size = wire_record_size(wire.topic_length, wire.event_length);
    if (client->publish_max != 0 && size > client->publish_max) {
        link_error(client,
                   "event: it takes %llu bytes with its topic, and this server takes no more than %llu",
                   (unsigned long long)size, (unsigned long long)client->publish_max);
        return RH_INVALID;
    }
    if (size > box->capacity) {
        link_error(client,
                   "event: it takes %llu bytes with its topic, and the send buffer has %llu: make the event "
                   "smaller, or the buffer larger (send_buffer_bytes; in spokes and routes it is twice "
                   "limits.frame, 4 MiB at least)",
                   (unsigned long long)size, (unsigned long long)box->capacity);
        return RH_INVALID;
    }
    if (!outbox_event(box, &wire)) {
        client->full_bytes = size;
        return RH_FULL;
    }
    int64_t ordinal = (int64_t)box->ordinal_last;
    /* A broken connection is found again, and told, by the next process. */
    if (client->phase == LINK_UP && !client->blocked && box->produced - box->sent >= CLIENT_EAGER_BYTES) {
        (void)link_send(client);
        link_watch(client);
    }
    return ordinal;
}

/* ---- subscribing ---- */

static const char *options_fault(const rh_client *client, const rh_subscribe_options *options,
                                 const char *const *patterns, size_t count) {
    if (options->policy != RH_SLOW_DISCONNECT && options->policy != RH_SLOW_SKIP &&
        options->policy != RH_SLOW_BLOCK)
        return "policy: RH_SLOW_DISCONNECT, RH_SLOW_SKIP or RH_SLOW_BLOCK";
    if (options->gone != RH_GONE_GAP && options->gone != RH_GONE_REFUSE)
        return "gone: RH_GONE_GAP or RH_GONE_REFUSE";
    if ((unsigned)options->start > RH_START_LAST)
        return "start: one of enum rh_start";
    if (options->position_length > CLIENT_POSITION_BYTES ||
        (options->position_length > 0 && options->position == NULL))
        return "position: at most 4 KiB that on_position gave";
    if (options->start == RH_START_SEQUENCE &&
        (options->sequence == 0 || count != 1 ||
         pattern_wild((const uint8_t *)patterns[0], strlen(patterns[0]))))
        return "start: a sequence, which is not 0, is for one pattern without wildcards";
    for (size_t i = 0; i < client->subs.count; i++)
        if (client->subs.list[i].state != SUB_LEAVING && client->subs.list[i].queue == NULL &&
            client->subs.list[i].options.policy != options->policy)
            return "policy: must be the same in all subscriptions of a client";
    return NULL;
}

int64_t rh_subscribe_with(rh_client *client, const char *const *patterns, size_t count,
                          const rh_subscribe_options *options) {
    static const rh_subscribe_options plain = {0};
    if (client->phase == LINK_OVER || client->closing)
        return client->phase == LINK_OVER ? client->result : RH_CLOSED;
    if (options == NULL)
        options = &plain;
    const char *fault =
        count == 0 ? "patterns: 1 to 1024 in one subscription" : subs_patterns_fault(patterns, count);
    if (fault == NULL)
        fault = options_fault(client, options, patterns, count);
    if (fault != NULL)
        return link_invalid(client, fault);
    struct filter *filter;
    int result = subs_filter(options->filters, &filter, &fault);
    if (result != RH_OK)
        return result == RH_INVALID ? link_invalid(client, fault) : result;
    struct sub *sub;
    if (subs_add(&client->subs, patterns, count, options, NULL, filter, &sub) != 0)
        return RH_NO_MEMORY;
    sub->options.position = NULL;
    if (options->position_length > 0 &&
        sub_position_set(sub, options->position, options->position_length) != 0) {
        subs_remove(&client->subs, sub);
        return RH_NO_MEMORY;
    }
    int64_t id = sub->id;
    if (client->phase == LINK_UP)
        link_subscribe(client, sub, false);
    return id;
}

int64_t rh_subscribe(rh_client *client, const char *const *patterns, size_t count,
                     enum rh_slow_policy policy) {
    return rh_subscribe_with(client, patterns, count, &(rh_subscribe_options){.policy = policy});
}

int rh_unsubscribe(rh_client *client, int64_t subscription) {
    if (client->phase == LINK_OVER)
        return client->result;
    struct sub *sub = subs_find(&client->subs, subscription);
    if (sub == NULL || sub->removes || sub->state == SUB_LEAVING)
        return link_invalid(client, "subscription: there is none with this id");
    if (sub->state == SUB_WANTED || sub->state == SUB_DELAYED) {
        subs_remove(&client->subs, sub);
        return RH_OK;
    }
    sub->state = SUB_LEAVING;
    client->subs.leaving++;
    link_unsubscribe(client, sub->id);
    return RH_OK;
}

bool rh_subscribed(const rh_client *client, int64_t subscription) {
    const struct sub *sub = subs_find(&client->subs, subscription);
    return sub != NULL && !sub->removes && sub->state != SUB_LEAVING && client->phase != LINK_OVER;
}

int rh_close(rh_client *client) {
    if (client->phase == LINK_OVER || client->closing)
        return RH_OK;
    client->closing = true;
    if (client->phase != LINK_UP && client->outbox.kept == client->outbox.produced)
        link_over(client, RH_CLOSED, "closed");
    return RH_OK;
}

/* ---- the loop ---- */

int rh_fd(const rh_client *client) {
    return client->poller;
}

short rh_events(const rh_client *client) {
    (void)client;
    return POLLIN; /* the poller waits for the right thing by itself */
}

/* Something can be done at once, without waiting for the network or the clock. */
static bool client_ready(const rh_client *client) {
    if (client->more)
        return true;
    if (client->socket < 0 || client->blocked || client->phase < LINK_HANDSHAKE)
        return false;
    const uint8_t *bytes;
    bool events = client->phase == LINK_UP && !client->server_leaving;
    bool farewell = client->closing && !client->goodbye_sent && events;
    return farewell || outbox_next(&client->outbox, events, &bytes) > 0;
}

int rh_timeout_ms(const rh_client *client) {
    if (client->phase == LINK_OVER)
        return -1;
    if (client_ready(client))
        return 0;
    uint64_t next = link_next_timer(client), now = clock_mono_ns();
    if (next == UINT64_MAX)
        return -1;
    if (next <= now)
        return 0;
    uint64_t ms = (next - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms < CLIENT_TURNS_MAX ? (int)ms : CLIENT_TURNS_MAX;
}

static void client_send(rh_client *client) {
    link_farewell(client);
    if (client->phase != LINK_HANDSHAKE && client->phase != LINK_UP)
        return;
    if (!link_send(client))
        link_lost(client, strerror(errno), 0);
}

/* on_writable once after RH_FULL, when at least a quarter of the buffer is free, enough for that event, and
 * not too much else waits. */
static void client_tell_writable(rh_client *client) {
    const struct outbox *box = &client->outbox;
    uint64_t room = box->capacity - (box->produced - box->kept);
    if (client->full_bytes == 0 || room < box->capacity / 4 || room < client->full_bytes ||
        box->control_bytes > LINK_ACK_BYTES_MAX || client->phase == LINK_OVER)
        return;
    client->full_bytes = 0;
    if (client->callbacks.on_writable != NULL)
        client->callbacks.on_writable(client->user);
}

int rh_process(rh_client *client) {
    if (client->inside)
        return link_invalid(client,
                            "callbacks must not call rh_process, rh_run, rh_flush or rh_wait_connected");
    if (client->phase == LINK_OVER)
        return client->result;
    client->inside = true;
    if (client->phase == LINK_DIALING && client->socket >= 0)
        link_dialing(client);
    if (client->phase == LINK_HANDSHAKE || client->phase == LINK_UP)
        receive_turn(client);
    link_timers(client, clock_mono_ns());
    client_send(client);
    client_tell_writable(client);
    link_watch(client);
    client->inside = false;
    return client->phase == LINK_OVER ? client->result : RH_OK;
}

/* Waits for the network, the clock or `end_ns`, whichever is first. */
static void client_wait(rh_client *client, uint64_t end_ns) {
    uint64_t now = clock_mono_ns();
    int wait = rh_timeout_ms(client);
    uint64_t left = end_ns > now ? (end_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    if (wait < 0 || (uint64_t)wait > left)
        wait = left < CLIENT_TURNS_MAX ? (int)left : CLIENT_TURNS_MAX;
    struct pollfd ready = {.fd = client->poller, .events = POLLIN};
    (void)poll(&ready, 1, wait);
}

typedef bool client_goal(const rh_client *client);

/* Processes until `done`, the end, or the time is over; at least once. */
static int client_until(rh_client *client, client_goal *done, uint32_t timeout_ms) {
    uint64_t end = clock_mono_ns() + timeout_ms * NS_PER_MS;
    for (;;) {
        int result = rh_process(client);
        if (result != RH_OK)
            return result;
        if (done(client))
            return RH_OK;
        if (clock_mono_ns() >= end)
            return RH_TIMEOUT;
        client_wait(client, end);
    }
}

static bool goal_connected(const rh_client *client) {
    return client->phase == LINK_UP;
}

static bool goal_flushed(const rh_client *client) {
    const struct outbox *box = &client->outbox;
    return outbox_empty(box) && box->kept == box->produced;
}

static bool goal_none(const rh_client *client) {
    (void)client;
    return false;
}

int rh_wait_connected(rh_client *client, uint32_t timeout_ms) {
    return client_until(client, goal_connected, timeout_ms);
}

int rh_flush(rh_client *client, uint32_t timeout_ms) {
    return client_until(client, goal_flushed, timeout_ms);
}

int rh_run(rh_client *client, uint32_t timeout_ms) {
    int result = client_until(client, goal_none, timeout_ms);
    return result == RH_TIMEOUT ? RH_OK : result;
}

/* ---- looking ---- */

enum rh_state rh_client_state(const rh_client *client) {
    switch (client->phase) {
    case LINK_WAITING:
        return client->retry_ns == 0 ? RH_STATE_CONNECTING : RH_STATE_WAITING;
    case LINK_DIALING:
    case LINK_HANDSHAKE:
        return RH_STATE_CONNECTING;
    case LINK_UP:
        return RH_STATE_CONNECTED;
    default:
        return RH_STATE_CLOSED;
    }
}

const char *rh_client_error(const rh_client *client) {
    return client->error;
}

uint64_t rh_client_reconnects(const rh_client *client) {
    return client->reconnects;
}
