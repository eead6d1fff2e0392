#include "core/admin/streams.h"

#include "codecs/event/base64.h"
#include "codecs/event/bytes.h"
#include "core/admin/admin_private.h"
#include "core/admin/shown.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/number.h"
#include "core/base/topic.h"

#include <inttypes.h>
#include <roundhouse/client.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Streams are looked after so often while there are some; what they may be given is dealt out each second. */
#define TICK_MS          50u
#define TICKS_PER_S      (1000u / TICK_MS)
#define POSITION_BYTES   4096u
#define RECEIVE_BYTES    (16u * KIB) /* of the socket: one receive gives little more */
#define SEND_BYTES       (64u * KIB)
#define CHECKPOINT_TICKS (5u * TICKS_PER_S)

struct stream {
    struct streams *streams;
    struct evhttp_request *request; /* NULL = free */
    struct event *ready;            /* of the client */
    rh_client *client;              /* NULL: waits for its reader, or for the next tick */
    char pattern[TOPIC_BYTES_MAX + 1];
    bool literal;                 /* one topic: its ids are sequences, else Positions */
    char *filters;                /* owns; NULL: none */
    rh_subscribe_options options; /* where it begins; `position` is below */
    uint8_t position[POSITION_BYTES];
    size_t position_length;
    int64_t subscription;
    uint64_t last_sequence;
    uint64_t queued;   /* bytes that were given to evhttp */
    uint64_t taken;    /* of them, that its reader has taken, as of the last tick */
    uint64_t taken_ns; /* when that was last more than before */
    uint64_t said_ns;  /* when something was last queued */
    uint32_t budget;   /* events of this second */
    bool live;         /* it shows what comes now: what it can not take is left out */
    bool held;         /* nothing is read for it now, and the router keeps it */
    bool rests;        /* it has no client until the next second */
    bool fell;         /* off the ring of the router */
    uint32_t unsaid;   /* ticks since an id was told, while nothing came */
    bool moved;        /* since an id was told */
    bool gap;          /* it has left something out, to be told before the next event */
    bool over;         /* the router has ended it */
    char why[160];     /* when it is over; "" = the router stops */
};

struct streams {
    struct admin *admin;
    struct event *tick;
    uint64_t ended_ns; /* when the last one was ended by us */
    uint32_t ticks;
    uint32_t first;  /* who is dealt first */
    uint32_t budget; /* events of this second, of all of them */
    struct stream list[ADMIN_STREAMS_MAX];
};

/* ---- what goes out ---- */

static size_t waiting(const struct stream *stream) {
    struct evhttp_connection *connection = evhttp_request_get_connection(stream->request);
    struct bufferevent *bev = connection ? evhttp_connection_get_bufferevent(connection) : NULL;
    return bev ? evbuffer_get_length(bufferevent_get_output(bev)) : 0;
}

static void say(struct stream *stream, struct evbuffer *out) {
    stream->queued += evbuffer_get_length(out);
    stream->said_ns = clock_mono_ns();
    evhttp_send_reply_chunk(stream->request, out);
}

__attribute__((format(printf, 2, 3))) static void say_text(struct stream *stream, const char *format, ...) {
    struct evbuffer *out = evbuffer_new();
    va_list arguments;
    va_start(arguments, format);
    if (out && evbuffer_add_vprintf(out, format, arguments) >= 0)
        say(stream, out);
    va_end(arguments);
    if (out)
        evbuffer_free(out);
}

#define GAP_SLOW 1

static const char *gap_reason(int reason) {
    return reason == GAP_SLOW ? "slow" : reason == 2 ? "instance" : "gone";
}

static void say_gap(struct stream *stream, const rh_gap *gap) {
    stream->streams->admin->counters.stream_gaps++;
    if (gap)
        say_text(stream,
                 "event: gap\ndata: {\"reason\":\"%s\",\"log\":%u,\"from\":\"%" PRIu64 "\",\"to\":\"%" PRIu64
                 "\",\"at_most\":%" PRIu64 "}\n\n",
                 gap_reason(gap->reason), gap->log, gap->from, gap->to, gap->at_most);
    else
        say_text(stream, "event: gap\ndata: {\"reason\":\"behind\",\"at_most\":0}\n\n");
}

static bool event_write(struct bytes *out, const rh_event *event) {
    const struct shown shown = {.topic = event->topic,
                                .topic_length = event->topic_length,
                                .sequence = event->sequence,
                                .event = event->event,
                                .event_length = event->event_length};
    bytes_text(out, "data: {");
    shown_write(out, &shown);
    bytes_text(out, "}\n\n");
    return !out->failed;
}

static void on_event(void *user, uint64_t subscription, const rh_event *event) {
    struct stream *stream = user;
    struct bytes text = {0};
    char head[64];
    (void)subscription;
    if (stream->gap)
        say_gap(stream, NULL);
    stream->gap = false;
    if (stream->literal)
        (void)snprintf(head, sizeof head, "id: %" PRIu64 "\nevent: cloudevent\n", event->sequence);
    else
        (void)snprintf(head, sizeof head, "event: cloudevent\n");
    bytes_text(&text, head);
    struct evbuffer *out = evbuffer_new();
    if (out && event_write(&text, event) && evbuffer_add(out, text.data, text.length) == 0)
        say(stream, out);
    else
        stream->gap = true; /* no memory for it */
    if (out)
        evbuffer_free(out);
    bytes_free(&text);
    stream->last_sequence = event->sequence;
    stream->moved = true;
    stream->streams->admin->counters.stream_events++;
    if (stream->budget > 0)
        stream->budget--;
    if (stream->streams->budget > 0)
        stream->streams->budget--;
}

static void on_gap(void *user, const rh_gap *gap) {
    struct stream *stream = user;
    say_gap(stream, gap);
    stream->fell |= gap->reason == GAP_SLOW;
}

/* What is published from now on comes. */
static void on_subscribed(void *user, uint64_t subscription) {
    (void)subscription;
    say_text(user, ": subscribed\n\n");
}

/* An id without data: a browser keeps it, and tells nobody. */
static void on_position(void *user, const void *position, size_t length) {
    struct stream *stream = user;
    char text[BASE64_LENGTH(POSITION_BYTES) + 1];
    if (stream->literal || length > sizeof stream->position ||
        (!stream->moved && stream->unsaid < CHECKPOINT_TICKS))
        return;
    memcpy(stream->position, position, length);
    stream->position_length = length;
    base64_encode(position, length, text);
    text[BASE64_LENGTH(length)] = '\0';
    say_text(stream, "id: %s\n\n", text);
    stream->moved = false;
    stream->unsaid = 0;
}

static void on_error(void *user, int code, const char *text, bool fatal, uint64_t subscription) {
    struct stream *stream = user;
    (void)code;
    if (!fatal && (subscription == 0 || rh_subscribed(stream->client, (int64_t)subscription)))
        return;
    stream->over = true;
    (void)snprintf(stream->why, sizeof stream->why, "%s", text);
}

/* ---- its client ---- */

static void on_ready(evutil_socket_t fd, short what, void *arg);

/* False: no memory. */
static bool client_open(struct stream *stream) {
    const rh_options options = {.server = stream->streams->admin->config.server,
                                .name = "admin events",
                                .reconnect_off = true,
                                .send_buffer_bytes = SEND_BYTES,
                                .receive_buffer_bytes = RECEIVE_BYTES,
                                .callbacks = {.on_event = on_event,
                                              .on_gap = on_gap,
                                              .on_subscribed = on_subscribed,
                                              .on_position = on_position,
                                              .on_error = on_error},
                                .user = stream};
    const char *pattern = stream->pattern;
    stream->client = rh_client_new(&options, NULL);
    stream->options.position = stream->position;
    stream->options.filters = stream->filters;
    stream->subscription =
        stream->client ? rh_subscribe_with(stream->client, &pattern, 1, &stream->options) : RH_NO_MEMORY;
    if (stream->subscription <= 0)
        return false;
    stream->ready = event_new(stream->streams->admin->base, rh_fd(stream->client), EV_READ | EV_PERSIST,
                              on_ready, stream);
    stream->held = false;
    return stream->ready && event_add(stream->ready, NULL) == 0;
}

static void client_close(struct stream *stream) {
    if (stream->ready)
        event_free(stream->ready);
    stream->ready = NULL;
    rh_client_free(stream->client);
    stream->client = NULL;
}

/* What comes now counts more than what it has not shown: it goes on live in the next second, and says so.
 * Until then the router knows nothing of it, so that its ring has not to be kept for a view. */
static void leap(struct stream *stream) {
    client_close(stream);
    stream->options = (rh_subscribe_options){.policy = RH_SLOW_SKIP};
    stream->gap = stream->live = stream->rests = true;
    stream->fell = false;
}

static bool takes(const struct stream *stream) {
    return stream->budget > 0 && stream->streams->budget > 0 && waiting(stream) <= ADMIN_STREAM_BYTES_MAX;
}

static void hold(struct stream *stream) {
    if (stream->live) {
        leap(stream);
    } else if (!stream->held) {
        event_del(stream->ready);
        stream->held = true;
    }
}

static void client_process(struct stream *stream) {
    if (stream->held) {
        event_add(stream->ready, NULL);
        stream->held = false;
    }
    int result = rh_process(stream->client);
    if (result != RH_OK && !stream->over) {
        stream->over = true;
        if (!shards_stopping(stream->streams->admin->config.shards))
            (void)snprintf(stream->why, sizeof stream->why, "%s", rh_client_error(stream->client));
    }
    if (!stream->over && stream->fell)
        leap(stream);
    else if (!stream->over && !takes(stream))
        hold(stream);
}

/* ---- a stream ---- */

static void stream_close(struct stream *stream) {
    client_close(stream);
    free(stream->filters);
    stream->filters = NULL;
    stream->streams->admin->counters.streams--;
    stream->request = NULL;
}

/* evhttp lets go of the connection; of the request only when it is no longer ours. */
static void on_reader_gone(struct evhttp_connection *connection, void *arg) {
    struct stream *stream = arg;
    struct evhttp_request *request = stream->request;
    (void)connection;
    stream_close(stream);
    if (evhttp_request_get_connection(request) == NULL)
        evhttp_send_reply_end(request);
}

static void stream_end(struct stream *stream) {
    struct evhttp_request *request = stream->request;
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    if (stream->why[0]) {
        json_t *text = json_string(stream->why);
        char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
        say_text(stream, "event: error\ndata: {\"message\":%s}\n\n", quoted ? quoted : "\"\"");
        free(quoted);
        json_decref(text);
    } else {
        say_text(stream, "event: end\ndata: {\"reason\":\"stopping\"}\n\n");
    }
    evhttp_connection_set_closecb(connection, NULL, NULL);
    clients_patient(stream->streams->admin, connection, ADMIN_REQUEST_NS_MAX);
    stream->streams->ended_ns = clock_mono_ns();
    stream_close(stream);
    evhttp_send_reply_end(request);
}

/* Its reader takes nothing: the connection is cut, which on_reader_gone learns of. */
static void stream_cut(struct stream *stream) {
    clients_cut(stream->streams->admin, evhttp_request_get_connection(stream->request));
}

static void stream_look(struct stream *stream, uint64_t now) {
    size_t left = waiting(stream);
    uint64_t taken = stream->queued > left ? stream->queued - left : 0;
    if (taken > stream->taken || left == 0)
        stream->taken_ns = now;
    stream->taken = taken;
    if (left == 0 && now - stream->said_ns >= ADMIN_STREAM_BEAT_NS)
        say_text(stream, ":\n\n");
}

static void on_ready(evutil_socket_t fd, short what, void *arg) {
    struct stream *stream = arg;
    (void)fd;
    (void)what;
    client_process(stream);
    if (stream->over)
        stream_end(stream);
}

static void stream_step(struct stream *stream, uint64_t now) {
    if (shards_stopping(stream->streams->admin->config.shards)) {
        stream->why[0] = '\0';
        stream_end(stream);
        return;
    }
    stream_look(stream, now);
    if (now - stream->taken_ns >= ADMIN_STREAM_STALL_NS) {
        stream_cut(stream);
        return;
    }
    stream->unsaid++;
    if (!stream->client && !stream->rests && takes(stream) && !client_open(stream)) {
        stream->over = true;
        (void)snprintf(stream->why, sizeof stream->why, "the router can not be reached for it");
    }
    if (stream->client && !stream->over && takes(stream))
        client_process(stream);
    if (stream->over)
        stream_end(stream);
}

/* Another second. */
static void deal(struct streams *streams) {
    streams->budget = ADMIN_EVENTS_PER_S;
    streams->first = (streams->first + 1) % ADMIN_STREAMS_MAX;
    for (uint32_t i = 0; i < ADMIN_STREAMS_MAX; i++) {
        streams->list[i].budget = ADMIN_STREAM_EVENTS_PER_S;
        streams->list[i].rests = false;
    }
}

static void tick_arm(struct streams *streams) {
    const struct timeval time = {.tv_usec = TICK_MS * 1000};
    if (streams->admin->counters.streams > 0 && !evtimer_pending(streams->tick, NULL))
        evtimer_add(streams->tick, &time);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    struct streams *streams = arg;
    uint64_t now = clock_mono_ns();
    (void)fd;
    (void)what;
    if (streams->ticks++ % TICKS_PER_S == 0)
        deal(streams);
    for (uint32_t i = 0; i < ADMIN_STREAMS_MAX; i++) {
        struct stream *stream = &streams->list[(streams->first + i) % ADMIN_STREAMS_MAX];
        if (stream->request)
            stream_step(stream, now);
    }
    tick_arm(streams);
}

/* ---- a request for one ---- */

/* False: it was answered. */
static bool pattern_read(struct api_call *call, struct stream *stream) {
    struct fault fault;
    const char *pattern = api_query(call, "match");
    size_t length = pattern ? strlen(pattern) : 0;
    if (length == 0 || length > TOPIC_BYTES_MAX || !pattern_valid((const uint8_t *)pattern, length, &fault)) {
        api_reply_error(call, HTTP_BADREQUEST, "bad_parameter",
                        "The parameter match is a pattern of topics, such as erp.order.* or >.");
        return false;
    }
    memcpy(stream->pattern, pattern, length + 1);
    stream->literal = !pattern_wild((const uint8_t *)pattern, length);
    return true;
}

/* Where a reader goes on: what it was told last as an id. */
static bool last_id_read(struct stream *stream, const char *id) {
    size_t length = strlen(id);
    uint64_t sequence;
    if (stream->literal) {
        if (length == 0 || number_read(id, length, &sequence) != length || sequence == UINT64_MAX)
            return false;
        stream->options.start = RH_START_SEQUENCE;
        stream->options.sequence = sequence + 1;
        return true;
    }
    if (length == 0 || BASE64_DECODED_MAX(length) > sizeof stream->position)
        return false;
    return base64_decode(id, length, stream->position, &stream->options.position_length);
}

static bool start_read(struct api_call *call, struct stream *stream) {
    const char *from = api_query(call, "from"), *id = api_header(call, "Last-Event-ID");
    bool oldest = from && strcmp(from, "oldest") == 0;
    stream->options = (rh_subscribe_options){.policy = RH_SLOW_SKIP};
    if (from && !oldest && strcmp(from, "live") != 0) {
        api_reply_error(call, HTTP_BADREQUEST, "bad_parameter", "The parameter from is live or oldest.");
        return false;
    }
    stream->live = !oldest && !id;
    stream->options.start = oldest ? RH_START_OLDEST : RH_START_LIVE;
    if (!id || last_id_read(stream, id))
        return true;
    api_reply_error(call, HTTP_BADREQUEST, "bad_id",
                    "The header Last-Event-ID is an id of this stream: a sequence for one topic, what it was "
                    "told for a pattern with wildcards.");
    return false;
}

/* The client library looks at the filters. False: it was answered. */
static bool client_try(struct api_call *call, struct stream *stream) {
    const char *filters = api_query(call, "filter");
    char why[240] = "There is no memory for another stream.";
    stream->filters = filters && *filters ? strdup(filters) : NULL;
    if ((!filters || !*filters || stream->filters) && client_open(stream))
        return true;
    bool wrong = stream->subscription == RH_INVALID;
    if (wrong)
        (void)snprintf(why, sizeof why, "%s", rh_client_error(stream->client));
    client_close(stream);
    free(stream->filters);
    stream->filters = NULL;
    api_reply_error(call, wrong ? HTTP_BADREQUEST : HTTP_SERVUNAVAIL, wrong ? "bad_parameter" : "no_memory",
                    why);
    return false;
}

static struct stream *place(struct streams *streams) {
    for (uint32_t i = 0; i < ADMIN_STREAMS_MAX; i++)
        if (!streams->list[i].request)
            return &streams->list[i];
    return NULL;
}

static void stream_begin(struct stream *stream, struct api_call *call) {
    struct evhttp_connection *connection = evhttp_request_get_connection(call->request);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(call->request);
    stream->taken_ns = stream->said_ns = clock_mono_ns();
    stream->request = call->request;
    call->put_off = true;
    stream->streams->admin->counters.streams++;
    evhttp_add_header(headers, "Content-Type", "text/event-stream");
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Accel-Buffering", "no"); /* a proxy in between hands on what comes */
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_remove_header(evhttp_request_get_input_headers(call->request), "Connection");
    evhttp_add_header(headers, "Connection", "close");
    evhttp_connection_set_closecb(connection, on_reader_gone, stream);
    clients_patient(stream->streams->admin, connection, UINT64_MAX / 2);
    evhttp_send_reply_start(call->request, HTTP_OK, NULL);
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, NULL);
    say_text(stream, "retry: 2000\n\n");
    event_active(stream->streams->tick, EV_TIMEOUT, 1);
}

/* Who asks only for the head gets it. */
static void head_reply(struct api_call *call) {
    struct evbuffer *none = evbuffer_new();
    if (none)
        api_reply(call, HTTP_OK, "text/event-stream", none);
    else
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
    if (none)
        evbuffer_free(none);
}

void streams_open(struct admin *admin, struct api_call *call) {
    struct streams *streams = admin->streams;
    struct stream *stream = place(streams);
    if (!stream || !admin->config.server || shards_stopping(admin->config.shards)) {
        admin->counters.streams_refused++;
        api_reply_header(call, "Retry-After", "10");
        api_reply_error(call, HTTP_SERVUNAVAIL, stream ? "stopping" : "too_many_streams",
                        stream ? "The router stops."
                               : "As many streams as there may be are open: try later.");
        return;
    }
    *stream = (struct stream){.streams = streams, .budget = ADMIN_STREAM_EVENTS_PER_S};
    if (!pattern_read(call, stream) || !start_read(call, stream) || !client_try(call, stream))
        return;
    if (evhttp_request_get_command(call->request) != EVHTTP_REQ_HEAD) {
        stream_begin(stream, call);
        return;
    }
    client_close(stream);
    free(stream->filters);
    head_reply(call);
}

/* ---- all of them ---- */

struct streams *streams_new(struct admin *admin) {
    struct streams *streams = calloc(1, sizeof *streams);
    if (!streams)
        return NULL;
    streams->admin = admin;
    streams->budget = ADMIN_EVENTS_PER_S;
    streams->tick = evtimer_new(admin->base, on_tick, streams);
    if (streams->tick)
        return streams;
    free(streams);
    return NULL;
}

bool streams_end(struct streams *streams) {
    for (uint32_t i = 0; i < ADMIN_STREAMS_MAX; i++)
        if (streams->list[i].request)
            stream_end(&streams->list[i]);
    return streams->ended_ns != 0 && clock_mono_ns() - streams->ended_ns < 10 * NS_PER_S;
}

void streams_free(struct streams *streams) {
    if (!streams)
        return;
    for (uint32_t i = 0; i < ADMIN_STREAMS_MAX; i++) {
        client_close(&streams->list[i]);
        free(streams->list[i].filters);
    }
    event_free(streams->tick);
    free(streams);
}
