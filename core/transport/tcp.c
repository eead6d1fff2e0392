#include "core/transport/tcp.h"

#include "codecs/event/json.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/base/logfmt.h"
#include "core/bridge/port.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TCP_PIECE (64u * 1024u) /* as much as an inbound takes at a time */

/* What goes out, and is not settled. */
struct tcp_out {
    struct tcp *tcp;
    struct list all;
    struct tcp_out *next; /* while it waits for room */
    uint64_t delivery;
    size_t topic_length, event_length; /* of what waits for room: topic, then event */
    uint8_t bytes[];
};

/* A document that has come. */
struct tcp_in {
    struct tcp_in *next;
    uint64_t delivery;
    size_t length, fed;
    uint8_t bytes[];
};

struct tcp {
    struct transport_host host;
    struct port *port;
    struct tcp_out *out_first, **out_last; /* that wait for room, in their order */
    struct list out_all;                   /* these, and what was published and is not settled */
    struct tcp_in *in_first, **in_last;    /* the first one is being read, if `reading` */
    bool reading, finishing;
};

/* ---- out ---- */

static void out_settled(void *user, int code, const char *text) {
    struct tcp_out *out = user;
    struct tcp *tcp = out->tcp;
    uint64_t delivery = out->delivery;
    list_remove(&out->all);
    free(out);
    if (code == RH_CODE_NONE)
        tcp->host.done(tcp->host.user, delivery);
    else if (code == RH_CODE_UNAVAILABLE || code == RH_CODE_UNKNOWN_OUTCOME || code == RH_CODE_EXHAUSTED)
        tcp->host.retry(tcp->host.user, delivery, 0, text);
    else
        tcp->host.refuse(tcp->host.user, delivery, text);
}

/* False: there is no room. Else it is the router's, or answered. */
static bool out_publish(struct tcp *tcp, struct tcp_out *out) {
    int result = port_publish(tcp->port, (const char *)out->bytes, out->topic_length,
                              out->bytes + out->topic_length, out->event_length, out_settled, out);
    if (result == -EAGAIN)
        return false;
    if (result == 0)
        return true;
    /* Where the router has turned this client away, the event is not at fault. */
    out_settled(out, result == -EINVAL ? RH_CODE_INVALID : RH_CODE_UNAVAILABLE,
                result == -ENOMEM ? "out of memory" : port_error(tcp->port));
    return true;
}

static void out_on_room(void *user) {
    struct tcp *tcp = user;
    while (tcp->out_first != NULL) {
        struct tcp_out *out = tcp->out_first, *next = out->next;
        if (!out_publish(tcp, out)) {
            port_on_room(tcp->port, out_on_room, tcp);
            return;
        }
        tcp->out_first = next;
    }
    tcp->out_last = &tcp->out_first;
}

static void tcp_deliver(void *transport, const struct outgoing *given) {
    struct tcp *tcp = transport;
    char topic[sizeof TCP_OUT_PREFIX + TOPIC_BYTES_MAX + TOPIC_BYTES_MAX];
    int length = snprintf(topic, sizeof topic, TCP_OUT_PREFIX "%s.%.*s", tcp->host.name,
                          (int)given->topic_length, given->topic);
    if (length < 0 || (size_t)length > TOPIC_BYTES_MAX) {
        tcp->host.refuse(tcp->host.user, given->delivery, "its topic is too long behind spoke.NAME");
        return;
    }
    struct tcp_out *out = malloc(sizeof *out + (size_t)length + given->event_length);
    if (out == NULL) {
        tcp->host.retry(tcp->host.user, given->delivery, 0, "out of memory");
        return;
    }
    *out = (struct tcp_out){.tcp = tcp,
                            .delivery = given->delivery,
                            .topic_length = (size_t)length,
                            .event_length = given->event_length};
    memcpy(out->bytes, topic, out->topic_length);
    memcpy(out->bytes + out->topic_length, given->event, given->event_length);
    list_init(&out->all);
    list_add(&tcp->out_all, &out->all);
    if (tcp->out_first == NULL && out_publish(tcp, out))
        return;
    if (tcp->out_first == NULL)
        port_on_room(tcp->port, out_on_room, tcp);
    *tcp->out_last = out;
    tcp->out_last = &out->next;
}

/* ---- in ---- */

static void in_go_on(void *user);

static void in_end(void *user, const struct inbound_end *end) {
    struct tcp *tcp = user;
    struct tcp_in *in = tcp->in_first;
    tcp->in_first = in->next;
    if (tcp->in_first == NULL)
        tcp->in_last = &tcp->in_first;
    tcp->reading = false;
    if (end->unknown > 0)
        port_retry(tcp->port, in->delivery, 0, "the fate of some of its events is not known");
    else if (end->refused > 0 && end->published == 0)
        port_refuse(tcp->port, in->delivery, end->findings);
    else
        port_done(tcp->port, in->delivery);
    free(in);
    if (!tcp->finishing)
        in_go_on(tcp);
}

/* Begins the next document, if there is one. False: not now. */
static bool in_begin(struct tcp *tcp) {
    char name[64];
    struct tcp_in *in = tcp->in_first;
    if (in == NULL)
        return false;
    (void)snprintf(name, sizeof name, "delivery %llu", (unsigned long long)in->delivery);
    if (inbound_begin(tcp->host.inbound, name, NULL) != 0) { /* comes again when its lease is over */
        tcp->in_first = in->next;
        if (tcp->in_first == NULL)
            tcp->in_last = &tcp->in_first;
        port_retry(tcp->port, in->delivery, 0, "out of memory");
        free(in);
        return false;
    }
    return tcp->reading = true;
}

/* Reads as much as there is room for. */
static void in_go_on(void *user) {
    struct tcp *tcp = user;
    while (tcp->reading || in_begin(tcp)) {
        struct tcp_in *in = tcp->in_first;
        while (in->fed < in->length) {
            size_t left = in->length - in->fed;
            size_t piece = left < TCP_PIECE ? left : TCP_PIECE;
            int result = inbound_feed(tcp->host.inbound, in->bytes + in->fed, piece);
            if (result == -EAGAIN) {
                inbound_on_room(tcp->host.inbound, in_go_on, tcp);
                return;
            }
            if (result != 0)
                break; /* told at the end, as unknown */
            in->fed += piece;
        }
        tcp->finishing = true; /* the end may be told at once: this loop goes on then */
        inbound_finish(tcp->host.inbound, in_end, tcp);
        tcp->finishing = false;
        if (tcp->reading)
            return;
    }
}

static void in_event(void *user, const struct port_event *event) {
    struct tcp *tcp = user;
    const uint8_t *data = NULL;
    size_t length = 0;
    uint32_t kind;
    if (!event_data(event->event, event->event_length, &data, &length, &kind)) {
        port_refuse(tcp->port, event->delivery, "the event has no data");
        return;
    }
    struct tcp_in *in = malloc(sizeof *in + length);
    if (in == NULL) {
        port_retry(tcp->port, event->delivery, 0, "out of memory");
        return;
    }
    *in = (struct tcp_in){.delivery = event->delivery, .length = length};
    if (length > 0)
        memcpy(in->bytes, data, length);
    *tcp->in_last = in;
    tcp->in_last = &in->next;
    if (!tcp->reading)
        in_go_on(tcp);
}

/* ---- start and stop ---- */

static void tcp_stop(void *transport) {
    struct tcp *tcp = transport;
    if (tcp == NULL)
        return;
    if (tcp->reading)
        inbound_abandon(tcp->host.inbound);
    port_free(tcp->port);
    for (struct list *node = tcp->out_all.next, *next; node != &tcp->out_all; node = next) {
        next = node->next;
        free(LIST_OF(node, struct tcp_out, all));
    }
    while (tcp->in_first != NULL) {
        struct tcp_in *in = tcp->in_first;
        tcp->in_first = in->next;
        free(in);
    }
    free(tcp);
}

static void in_refused(void *user, const char *text) {
    const struct tcp *tcp = user;
    char quoted[512];
    logfmt(LOGFMT_ERROR, "a spoke gets nothing from its system any more", "spoke=%s error=%s", tcp->host.name,
           logfmt_quote(quoted, sizeof quoted, text, strlen(text)));
}

static bool in_join(struct tcp *tcp, const struct tcp_options *options, char *why, size_t why_bytes) {
    char name[QUEUE_NAME_BYTES_MAX + 1], pattern[TOPIC_BYTES_MAX];
    const char *patterns[] = {pattern};
    (void)snprintf(name, sizeof name, TCP_OUT_PREFIX "%s.in", tcp->host.name);
    (void)snprintf(pattern, sizeof pattern, TCP_IN_PREFIX "%s.>", tcp->host.name);
    struct port_queue queue = {.name = name,
                               .patterns = patterns,
                               .patterns_count = 1,
                               .is_volatile = !options->journal,
                               .window = options->window};
    if (port_join(tcp->port, &queue) == 0)
        return true;
    (void)snprintf(why, why_bytes, "%s", port_error(tcp->port));
    return false;
}

static void *tcp_start(const struct transport_host *host, const void *given, char *why, size_t why_bytes) {
    const struct tcp_options *options = given;
    char name[CLIENT_NAME_BYTES_MAX];
    struct tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) {
        (void)snprintf(why, why_bytes, "out of memory");
        return NULL;
    }
    tcp->host = *host;
    list_init(&tcp->out_all);
    tcp->out_last = &tcp->out_first;
    tcp->in_last = &tcp->in_first;
    (void)snprintf(name, sizeof name, TCP_OUT_PREFIX "%s.tcp", host->name);
    struct port_options port = {.base = host->base,
                                .server = options->server,
                                .name = name,
                                .disk = options->journal,
                                .send_bytes = port_send_bytes(options->frame_bytes),
                                .user = tcp,
                                .on_event = in_event,
                                .on_refused = in_refused};
    tcp->port = port_new(&port, why, why_bytes);
    if (tcp->port != NULL && (host->inbound == NULL || in_join(tcp, options, why, why_bytes)))
        return tcp;
    tcp_stop(tcp);
    return NULL;
}

const struct transport tcp_transport = {
    .name = "tcp", .start = tcp_start, .deliver = tcp_deliver, .stop = tcp_stop};
