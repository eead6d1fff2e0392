#include "core/client/link.h"

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/client/queues.h"
#include "core/client/replays.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK_ABANDON_BATCH 64u /* refusals told by one on_ack when events are not sent again */

void link_error(struct rh_client *client, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(client->error, sizeof client->error, format, arguments);
    va_end(arguments);
}

int link_invalid(struct rh_client *client, const char *what) {
    link_error(client, "%s", what);
    return RH_INVALID;
}

void link_state(struct rh_client *client, const char *why) {
    if (client->callbacks.on_state != NULL)
        client->callbacks.on_state(client->user, rh_client_state(client), why);
}

static uint64_t link_random(struct rh_client *client) {
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return client->random;
}

/* Half of the pause is certain, the other half chance: clients of one server do not come back all at once. */
static uint64_t link_pause(struct rh_client *client) {
    uint64_t half = client->backoff_ns / 2;
    uint64_t pause = half + link_random(client) % (half + 1);
    client->backoff_ns *= 2;
    if (client->backoff_ns > LINK_BACKOFF_NS_MAX)
        client->backoff_ns = LINK_BACKOFF_NS_MAX;
    return pause;
}

static void link_hang_up(struct rh_client *client) {
    if (client->socket >= 0)
        (void)close(client->socket);
    client->socket = -1;
    client->watched = 0;
    client->blocked = false;
    client->more = false;
    client->deadline_ns = 0;
    client->publish_max = 0;
    client->ping_waiting = false;
    client->server_leaving = false;
    client->goodbye_sent = false;
    client->resubscribe_ns = 0;
    client->context = (struct link_context){0};
    inbox_reset(&client->inbox);
}

/* Live subscriptions resume behind the last Pong that came after their Subscribed. */
static void link_keep_positions(struct rh_client *client) {
    for (size_t i = client->subs.count; i-- > 0;) {
        struct sub *sub = &client->subs.list[i];
        if (sub->state == SUB_LEAVING) {
            subs_remove(&client->subs, sub);
            continue;
        }
        if (sub->queue != NULL)
            sub->queue->base = sub->queue->last; /* what was delivered is no longer ours */
        else if (sub->state == SUB_LIVE && client->pongs > sub->pongs &&
                 sub_position_set(sub, client->position, client->position_length) != 0)
            link_error(client, "out of memory: subscription %lld resumes further back", (long long)sub->id);
        sub->asked_before |= sub->state == SUB_ASKED;
        sub->state = SUB_WANTED;
    }
}

void link_over(struct rh_client *client, int result, const char *why) {
    if (client->phase == LINK_OVER)
        return;
    if (why != client->error)
        link_error(client, "%s", why);
    link_hang_up(client);
    client->phase = LINK_OVER;
    client->result = result;
    link_state(client, client->error);
    requests_end(client, RH_CODE_UNAVAILABLE, client->error);
    replays_lost(client);
}

void link_lost(struct rh_client *client, const char *why, uint64_t pause_ns) {
    bool was_up = client->phase == LINK_UP;
    if (why != client->error)
        link_error(client, "%s", why);
    link_hang_up(client);
    outbox_rewind(&client->outbox);
    if (was_up) {
        link_keep_positions(client);
        seen_carry(&client->seen, false);
    }
    client->phase = LINK_WAITING;
    if (client->closing && client->outbox.kept == client->outbox.produced) {
        link_over(client, RH_CLOSED, client->error);
        return;
    }
    if (client->reconnect_off) {
        link_over(client, client->connected_once ? RH_CLOSED : RH_UNREACHABLE, client->error);
        return;
    }
    uint64_t pause = link_pause(client);
    client->retry_ns = clock_mono_ns() + (pause > pause_ns ? pause : pause_ns);
    link_state(client, client->error);
    replays_lost(client);
}

static bool link_watch_new(struct rh_client *client) {
    struct epoll_event wanted = {.events = EPOLLOUT};
    client->watched = EPOLLOUT;
    return epoll_ctl(client->poller, EPOLL_CTL_ADD, client->socket, &wanted) == 0;
}

/* The next address of the server, or the end of this try. */
static void link_next_address(struct rh_client *client, int error) {
    int made = dial_next(&client->dial);
    if (made < 0) {
        error = client->dial.list != NULL && made == -EADDRNOTAVAIL ? error : made;
        link_error(client, "no connection to %s port %s: %s", client->dial.host, client->dial.port,
                   strerror(-error));
        link_lost(client, client->error, 0);
        return;
    }
    client->socket = made;
    /* An address that does not answer at all must not use up the time of the others. */
    uint64_t now = clock_mono_ns();
    uint64_t left = client->try_end_ns > now ? client->try_end_ns - now : 0;
    client->deadline_ns = now + left / (dial_left(&client->dial) + 1);
    if (!link_watch_new(client))
        link_lost(client, strerror(errno), 0);
}

void link_start(struct rh_client *client) {
    const char *why;
    client->phase = LINK_DIALING;
    link_state(client, "connecting");
    if (client->phase != LINK_DIALING)
        return;
    if (dial_resolve(&client->dial, &why) != 0) {
        link_error(client, "the address of %s can not be found: %s", client->dial.host, why);
        link_lost(client, client->error, 0);
        return;
    }
    client->try_end_ns = clock_mono_ns() + client->connect_timeout_ns;
    link_next_address(client, -EADDRNOTAVAIL);
}

/* This address does not lead to the server. */
static void link_other_address(struct rh_client *client, int error) {
    (void)close(client->socket);
    client->socket = -1;
    link_next_address(client, error);
}

static void link_hello(struct rh_client *client) {
    Roundhouse__V1__Connect connect;
    roundhouse__v1__connect__init(&connect);
    connect.version = 1;
    connect.client = client->name;
    connect.ack = (Roundhouse__V1__AckLevel)client->ack;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_CONNECT;
    frame.connect = &connect;
    client->phase = LINK_HANDSHAKE;
    client->deadline_ns = client->try_end_ns;
    client->frame_max = LINK_FRAME_SLACK;
    if (outbox_control(&client->outbox, &frame, true) != 0)
        link_lost(client, "out of memory", 0);
}

void link_dialing(struct rh_client *client) {
    int result = dial_result(client->socket);
    if (result == -EINPROGRESS)
        return;
    if (result == 0) {
        link_hello(client);
        return;
    }
    link_other_address(client, result);
}

/* The program does not want what an earlier connection may have taken sent again: it is told that its fate is
 * unknown. */
static void link_abandon(struct rh_client *client) {
    struct rh_refusal list[LINK_ABANDON_BATCH];
    struct outbox *box = &client->outbox;
    uint64_t end = box->ordinal_sent;
    for (uint64_t ordinal = box->ordinal_kept + 1; ordinal <= end;) {
        rh_ack ack = {.refused = list};
        for (; ordinal <= end && ack.refused_count < LINK_ABANDON_BATCH; ordinal++)
            list[ack.refused_count++] = (struct rh_refusal){
                ordinal, RH_CODE_UNAVAILABLE,
                "the connection ended before an acknowledgement; it may have been routed", ""};
        ack.through = ordinal - 1;
        outbox_abandon(box, ack.through);
        if (client->callbacks.on_ack != NULL)
            client->callbacks.on_ack(client->user, &ack);
        requests_refused(client, &ack);
    }
}

static void link_ask_again(struct rh_client *client) {
    const struct outbox *box = &client->outbox;
    uint64_t doubtful = box->ordinal_sent - box->ordinal_kept;
    if (box->ordinal_sent <= box->ordinal_kept || client->callbacks.on_resend == NULL)
        return;
    if (!client->callbacks.on_resend(client->user, doubtful))
        link_abandon(client);
}

void link_up(struct rh_client *client, const char *why) {
    uint64_t now = clock_mono_ns();
    link_ask_again(client);
    if (client->phase != LINK_HANDSHAKE)
        return;
    client->phase = LINK_UP;
    client->doubt_ns = now;
    client->deadline_ns = 0;
    client->ordinal_base = client->outbox.ordinal_kept;
    client->ping_ns = now + client->ping_interval_ns;
    client->pings_missed = 0;
    client->events_since_ping = 0;
    client->reconnects += client->connected_once;
    client->connected_once = true;
    for (size_t i = 0; i < client->subs.count; i++)
        if (client->subs.list[i].state != SUB_LEAVING)
            link_subscribe(client, &client->subs.list[i], true);
    link_state(client, why);
}

void link_progress(struct rh_client *client) {
    client->pings_missed = 0;
    if (client->phase == LINK_UP && client->deadline_ns != 0)
        client->deadline_ns = clock_mono_ns() + LINK_FAREWELL_NS;
}

bool link_send(struct rh_client *client) {
    const uint8_t *bytes;
    bool events = client->phase == LINK_UP && !client->server_leaving;
    size_t count;
    while ((count = outbox_next(&client->outbox, events, &bytes)) > 0) {
        ssize_t taken = send(client->socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS))
            taken = 0;
        if (taken < 0)
            return false;
        uint64_t before = client->outbox.sent;
        outbox_advance(&client->outbox, (size_t)taken);
        /* Taken events are a sign of life; a Ping that the kernel took is none. */
        if (client->outbox.sent != before)
            link_progress(client);
        client->blocked = (size_t)taken < count;
        if (client->blocked)
            return true;
    }
    return true;
}

void link_control(struct rh_client *client, const Roundhouse__V1__Frame *frame) {
    if (client->outbox.control_bytes > LINK_CONTROL_MAX)
        link_lost(client, "the server does not read", 0);
    else if (outbox_control(&client->outbox, frame, false) != 0)
        link_lost(client, "out of memory", 0);
}

void link_ping(struct rh_client *client) {
    Roundhouse__V1__Ping ping = ROUNDHOUSE__V1__PING__INIT;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_PING;
    frame.ping = &ping;
    client->ping_waiting = true;
    client->events_since_ping = 0;
    client->ping_ns = clock_mono_ns() + client->ping_interval_ns;
    link_control(client, &frame);
}

/* False: live, and nothing is to be said. */
static bool start_say(const rh_subscribe_options *options, Roundhouse__V1__Start *start) {
    roundhouse__v1__start__init(start);
    switch (options->start) {
    case RH_START_OLDEST:
        start->from_case = ROUNDHOUSE__V1__START__FROM_OLDEST;
        start->oldest = 1;
        return true;
    case RH_START_SEQUENCE:
        start->from_case = ROUNDHOUSE__V1__START__FROM_SEQUENCE;
        start->sequence = options->sequence;
        return true;
    case RH_START_TIME:
        start->from_case = ROUNDHOUSE__V1__START__FROM_TIME_NS;
        start->time_ns = options->time_ns;
        return true;
    case RH_START_LAST:
        start->from_case = ROUNDHOUSE__V1__START__FROM_LAST_PER_TOPIC;
        start->last_per_topic = 1;
        return true;
    default:
        return false;
    }
}

/* What the Subscribe borrows from; NULL: there is none, or no memory. */
static Roundhouse__V1__Filters *filters_say(const struct filter *filter,
                                            Roundhouse__V1__Subscribe *subscribe) {
    size_t length;
    if (filter == NULL)
        return NULL;
    const uint8_t *packed = filter_packed(filter, &length);
    Roundhouse__V1__Filters *filters = roundhouse__v1__filters__unpack(NULL, length, packed);
    if (filters != NULL) {
        subscribe->n_filters = filters->n_filters;
        subscribe->filters = filters->filters;
    }
    return filters;
}

void link_asked(struct rh_client *client, struct sub *sub, bool asked) {
    sub->state = asked ? SUB_ASKED : SUB_DELAYED;
    if (!asked && client->resubscribe_ns == 0)
        client->resubscribe_ns = clock_mono_ns() + NS_PER_S;
}

void link_subscribe(struct rh_client *client, struct sub *sub, bool first) {
    if (sub->removes) {
        queues_remove(client, sub, first);
        return;
    }
    Roundhouse__V1__Start start;
    Roundhouse__V1__Subscribe subscribe = ROUNDHOUSE__V1__SUBSCRIBE__INIT;
    subscribe.id = (uint64_t)sub->id;
    subscribe.n_patterns = sub->count;
    subscribe.patterns = sub->patterns;
    subscribe.policy = (Roundhouse__V1__SlowPolicy)sub->options.policy;
    subscribe.gone = (Roundhouse__V1__GonePolicy)sub->options.gone;
    subscribe.start = start_say(&sub->options, &start) ? &start : NULL;
    subscribe.position = (ProtobufCBinaryData){.len = sub->position_length, .data = sub->position};
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBE;
    frame.subscribe = &subscribe;
    Roundhouse__V1__Queue queue;
    roundhouse__v1__queue__init(&queue);
    if (sub->queue != NULL) {
        queues_terms(sub->queue, &queue);
        subscribe.queue = &queue;
    }
    Roundhouse__V1__Filters *filters = filters_say(sub->filter, &subscribe);
    bool said = sub->filter == NULL || filters != NULL;
    link_asked(client, sub, said && outbox_control(&client->outbox, &frame, first) == 0);
    if (filters != NULL)
        roundhouse__v1__filters__free_unpacked(filters, NULL);
}

void link_unsubscribe(struct rh_client *client, int64_t id) {
    Roundhouse__V1__Unsubscribe unsubscribe;
    roundhouse__v1__unsubscribe__init(&unsubscribe);
    unsubscribe.id = (uint64_t)id;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_UNSUBSCRIBE;
    frame.unsubscribe = &unsubscribe;
    link_control(client, &frame);
}

void link_farewell(struct rh_client *client) {
    if (!client->closing || client->goodbye_sent || client->phase != LINK_UP || client->server_leaving)
        return;
    char reason[] = "done";
    Roundhouse__V1__Goodbye goodbye;
    roundhouse__v1__goodbye__init(&goodbye);
    goodbye.reason = reason;
    Roundhouse__V1__Frame frame = ROUNDHOUSE__V1__FRAME__INIT;
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_GOODBYE;
    frame.goodbye = &goodbye;
    client->goodbye_sent = true;
    client->deadline_ns = clock_mono_ns() + LINK_FAREWELL_NS;
    link_control(client, &frame);
}

static void link_ask_delayed(struct rh_client *client) {
    client->resubscribe_ns = 0;
    for (size_t i = 0; i < client->subs.count; i++)
        if (client->subs.list[i].state == SUB_DELAYED)
            link_subscribe(client, &client->subs.list[i], false);
}

/* A Ping is due. One that is still under way is not followed by another: the count of misses rises instead.
 */
static void link_ping_due(struct rh_client *client, uint64_t now) {
    if (client->pings_missed++ >= LINK_PINGS_MISSED_MAX) {
        link_lost(client, "the server does not answer", 0);
        return;
    }
    if (client->ping_waiting)
        client->ping_ns = now + client->ping_interval_ns;
    else
        link_ping(client);
}

static void link_late(struct rh_client *client) {
    if (client->phase == LINK_DIALING) {
        link_other_address(client, -ETIMEDOUT);
        return;
    }
    if (client->phase == LINK_HANDSHAKE)
        link_error(client, "%s port %s took the connection, but does not answer as a router in time",
                   client->dial.host, client->dial.port);
    else
        link_error(client, "the server did not close the connection in time");
    link_lost(client, client->error, 0);
}

void link_timers(struct rh_client *client, uint64_t now) {
    requests_timer(client, now);
    if (client->phase == LINK_WAITING && now >= client->retry_ns)
        link_start(client);
    if (client->deadline_ns != 0 && now >= client->deadline_ns)
        link_late(client);
    if (client->phase != LINK_UP)
        return;
    if (client->resubscribe_ns != 0 && now >= client->resubscribe_ns)
        link_ask_delayed(client);
    if (now >= client->ping_ns && !client->server_leaving && !client->goodbye_sent)
        link_ping_due(client, now);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t link_next_timer(const struct rh_client *client) {
    uint64_t next = requests_next_timer(&client->requests);
    if (client->phase == LINK_WAITING)
        next = earlier(next, client->retry_ns);
    if (client->deadline_ns != 0)
        next = earlier(next, client->deadline_ns);
    if (client->phase != LINK_UP)
        return next;
    if (client->resubscribe_ns != 0)
        next = earlier(next, client->resubscribe_ns);
    return client->server_leaving || client->goodbye_sent ? next : earlier(next, client->ping_ns);
}

void link_watch(struct rh_client *client) {
    if (client->socket < 0)
        return;
    uint32_t wanted = client->phase == LINK_DIALING ? EPOLLOUT : EPOLLIN | (client->blocked ? EPOLLOUT : 0);
    if (wanted == client->watched)
        return;
    struct epoll_event change = {.events = wanted};
    if (epoll_ctl(client->poller, EPOLL_CTL_MOD, client->socket, &change) == 0)
        client->watched = wanted;
}
