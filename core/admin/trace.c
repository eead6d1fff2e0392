#include "core/admin/trace.h"

#include "core/admin/admin_private.h"
#include "core/admin/surveys.h"
#include "core/base/clock.h"
#include "core/base/topic.h"
#include "core/shard/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS         10               /* how often the traces are looked at */
#define ANSWER_NS_MAX   (20u * NS_PER_S) /* a request is answered by then, also with nothing */
#define SETTLE_NS       (2u * NS_PER_S)  /* an event whose sends take longer is told of as it stands */
#define COUNT_DEFAULT   10u
#define TIMEOUT_DEFAULT 60000u /* ms */
#define TIMEOUT_MAX     3600000u

struct admin_trace {
    uint32_t id;         /* 0 = free */
    struct trace *trace; /* owns */
    uint32_t count;
    uint32_t told;
    uint32_t settled;        /* so many were at the last look */
    bool ended;              /* no worker is to go on with it */
    bool over_told;          /* who asks has been told that it is over */
    uint64_t end_ns;         /* when its time is over */
    uint64_t asked_ns;       /* when it was last asked about */
    struct api_later *later; /* who waits; NULL = nobody */
};

struct admin_traces {
    struct admin *admin;
    struct event *look;
    uint32_t last_id;
    struct admin_trace list[TRACES_MAX];
};

/* ---- an event as JSON ---- */

/* Microseconds from its receipt, or null. */
static json_t *step_us(const struct trace_seen *seen, uint64_t ns) {
    if (ns == 0)
        return json_null();
    return surveys_real(ns > seen->received_ns ? (double)(ns - seen->received_ns) / 1000 : 0);
}

static const char *const outcomes[] = {
    [TRACE_HELD] = "held",       [TRACE_DONE] = "done", [TRACE_RETRIED] = "retried",
    [TRACE_REFUSED] = "refused", [TRACE_LEFT] = "left", [TRACE_LEASE_ENDED] = "lease_ended"};

static json_t *given_object(const struct trace_seen *seen, const struct trace_given *given) {
    struct survey_client client = {.shard = given->shard, .serial = given->serial};
    return json_pack("{s:o, s:o, s:o, s:i, s:o, s:i, s:o, s:o, s:s, s:o}", "queue",
                     surveys_text(given->queue, strlen(given->queue)), "connection",
                     given->known ? surveys_connection(&client) : json_null(), "client",
                     given->known ? surveys_text(given->client, strlen(given->client)) : json_null(),
                     "attempt", (int)given->attempt, "lease_ms", surveys_ms(given->lease_ns), "extended",
                     (int)given->extended, "given_us", step_us(seen, given->given_ns), "sent_us",
                     step_us(seen, given->sent_ns), "outcome", outcomes[given->outcome], "ended_us",
                     step_us(seen, given->ended_ns));
}

static json_t *deliveries_list(const struct trace *trace, uint32_t number, const struct trace_seen *seen) {
    json_t *list = json_array();
    struct trace_given given;
    for (uint32_t at = 0; list != NULL && trace_delivery(trace, number, &at, &given);)
        (void)json_array_append_new(list, given_object(seen, &given));
    return list;
}

static json_t *seen_object(const struct trace *trace, uint32_t number, const struct trace_seen *seen) {
    const struct trace_fate *fate = &seen->fate;
    char sequence[24];
    (void)snprintf(sequence, sizeof sequence, "%" PRIu64, seen->sequence);
    json_t *value = json_pack(
        "{s:o, s:o, s:o, s:o, s:s, s:i, s:i, s:i, s:s, s:i, s:o, s:b}", "topic",
        surveys_text(seen->topic, strlen(seen->topic)), "source",
        surveys_text(seen->source, strlen(seen->source)), "id", surveys_text(seen->id, strlen(seen->id)),
        "type", surveys_text(seen->type, strlen(seen->type)), "sequence", sequence, "slot", (int)seen->slot,
        "shard", (int)seen->shard, "log", (int)seen->log, "class", seen->disk ? "disk" : "memory", "bytes",
        (int)seen->bytes, "received_at", surveys_time(seen->received_ns), "complete", seen->over);
    json_t *way = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
        "appended_us", step_us(seen, seen->appended_ns), "synced_us", step_us(seen, seen->synced_ns),
        "routed_us", step_us(seen, fate->routed_ns), "first_sent_us", step_us(seen, fate->first_ns),
        "last_sent_us", step_us(seen, fate->last_ns), "connections", (json_int_t)fate->connections, "sent",
        (json_int_t)fate->sent, "behind", (json_int_t)fate->behind, "lost", (json_int_t)fate->lost,
        "unfollowed", (json_int_t)fate->unfollowed, "lagging", (json_int_t)fate->lagging, "queues",
        (json_int_t)fate->queues, "filtered", (json_int_t)fate->filtered, "expired",
        (json_int_t)fate->expired, "settled", (json_int_t)fate->settled, "untold", (json_int_t)fate->untold,
        "deliveries", deliveries_list(trace, number, seen));
    if (value != NULL && json_object_update(value, way) != 0) {
        json_decref(value);
        value = NULL;
    }
    json_decref(way);
    return value;
}

/* ---- answering ---- */

/* So many can be told of: what will come of them has come, or takes too long to wait for. */
static uint32_t settled(const struct admin_trace *one, uint32_t found) {
    struct trace_seen seen;
    for (uint32_t i = one->told; i < found && !one->ended; i++) {
        trace_read(one->trace, i, &seen);
        if (!seen.over && clock_wall_ns() < seen.appended_ns + SETTLE_NS)
            return i;
    }
    return found;
}

/* The events that were settled at the last look, too: what was counted then has come by now. */
static json_t *events_next(struct admin_trace *one, uint32_t found) {
    json_t *events = json_array();
    uint32_t now = settled(one, found);
    uint32_t ready = one->ended || now < one->settled ? now : one->settled;
    struct trace_seen seen;
    for (; events != NULL && one->told < ready; one->told++) {
        trace_read(one->trace, one->told, &seen);
        (void)json_array_append_new(events, seen_object(one->trace, one->told, &seen));
    }
    one->settled = now;
    return events;
}

static void answer(struct admin_trace *one, json_t *events) {
    char id[16];
    bool over = one->told == one->count || one->ended;
    (void)snprintf(id, sizeof id, "%u", one->id);
    json_t *value = json_pack("{s:s, s:o, s:b}", "trace", id, "events", events, "over", over);
    api_later_json(one->later, HTTP_OK,
                   value != NULL ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL);
    json_decref(value);
    one->later = NULL;
    one->over_told = over;
    one->asked_ns = clock_mono_ns();
}

static void trace_over(struct admin_trace *one) {
    if (!one->ended)
        trace_end(one->trace);
    one->ended = true;
}

static void one_look(struct admin_trace *one) {
    uint64_t now = clock_mono_ns();
    uint32_t found = trace_serve(one->trace);
    if (now >= one->end_ns || (one->later == NULL && now >= one->asked_ns + TRACE_LAPSE_NS))
        trace_over(one);
    if (one->later != NULL) {
        json_t *events = events_next(one, found);
        if (one->told == one->count)
            trace_over(one);
        if (events == NULL || json_array_size(events) > 0 || one->ended ||
            now >= one->asked_ns + ANSWER_NS_MAX)
            answer(one, events);
        else
            json_decref(events);
    }
    bool left = one->over_told || now >= one->asked_ns + TRACE_LAPSE_NS;
    if (!one->ended || one->later != NULL || !left || !trace_gone(one->trace))
        return;
    trace_destroy(one->trace);
    *one = (struct admin_trace){0};
}

static void on_look(evutil_socket_t fd, short what, void *user) {
    struct admin_traces *traces = user;
    bool any = false;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        if (traces->list[i].id != 0)
            one_look(&traces->list[i]);
        any |= traces->list[i].id != 0;
    }
    const struct timeval soon = {.tv_usec = LOOK_MS * 1000};
    if (any)
        (void)evtimer_add(traces->look, &soon);
}

/* ---- asking ---- */

static struct admin_traces *traces_of(struct admin *admin) {
    struct admin_traces *traces = admin->traces;
    if (traces != NULL)
        return traces;
    traces = calloc(1, sizeof *traces);
    if (traces == NULL)
        return NULL;
    traces->admin = admin;
    traces->look = evtimer_new(admin->base, on_look, traces);
    if (traces->look == NULL) {
        free(traces);
        return NULL;
    }
    admin->traces = traces;
    return traces;
}

void admin_traces_free(struct admin_traces *traces) {
    if (traces == NULL)
        return;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct admin_trace *one = &traces->list[i];
        if (one->later != NULL)
            api_later_error(one->later, HTTP_SERVUNAVAIL, "stopping", "The router stops.");
        trace_destroy(one->trace);
    }
    event_free(traces->look);
    free(traces);
}

static struct admin_trace *trace_find(struct admin_traces *traces, uint32_t id) {
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (traces->list[i].id == id)
            return &traces->list[i];
    return NULL;
}

static bool pattern_read(struct api_call *call, const char *topic) {
    char text[300];
    struct fault fault = {0};
    if (topic == NULL) {
        api_reply_error(call, HTTP_BADREQUEST, "no_topic",
                        "Say what is to be followed: ?topic=TOPIC, a topic or a pattern.");
        return false;
    }
    if (pattern_valid((const uint8_t *)topic, strlen(topic), &fault))
        return true;
    (void)snprintf(text, sizeof text, "%s.", fault.text);
    api_reply_error(call, 422, "bad_topic", text);
    return false;
}

/* A place for a new trace, which has begun. NULL: it was answered. */
static struct admin_trace *trace_new(struct admin_traces *traces, struct api_call *call) {
    const char *topic = api_query(call, "topic");
    uint64_t count, timeout_ms;
    if (!pattern_read(call, topic) ||
        !api_query_number(call, "count", 1, TRACE_EVENTS_MAX, COUNT_DEFAULT, &count) ||
        !api_query_number(call, "timeout_ms", 1, TIMEOUT_MAX, TIMEOUT_DEFAULT, &timeout_ms))
        return NULL;
    struct admin_trace *one = trace_find(traces, 0);
    if (one == NULL || shards_stopping(traces->admin->config.shards)) {
        api_reply_error(call, HTTP_SERVUNAVAIL, one == NULL ? "busy" : "stopping",
                        one == NULL ? "Too many trace at this moment: ask again." : "The router stops.");
        return NULL;
    }
    if (trace_begin(&one->trace, traces->admin->config.shards, topic, (uint32_t)count) != 0) {
        *one = (struct admin_trace){0};
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
        return NULL;
    }
    if (++traces->last_id == 0)
        traces->last_id = 1;
    one->id = traces->last_id;
    one->count = (uint32_t)count;
    one->end_ns = clock_mono_ns() + timeout_ms * NS_PER_MS;
    return one;
}

static struct admin_trace *trace_again(struct admin_traces *traces, struct api_call *call) {
    uint64_t id;
    if (!api_query_number(call, "trace", 1, UINT32_MAX, 0, &id))
        return NULL;
    struct admin_trace *one = trace_find(traces, (uint32_t)id);
    if (one != NULL && one->over_told)
        one = NULL;
    if (one != NULL && one->later == NULL)
        return one;
    if (one == NULL)
        api_reply_error(call, HTTP_NOTFOUND, "no_trace",
                        "There is no such trace, or not any more: begin another one with ?topic=TOPIC.");
    else
        api_reply_error(call, 409, "asked", "Somebody waits for the next events of this trace already.");
    return NULL;
}

void on_trace(struct admin *admin, struct api_call *call) {
    struct admin_traces *traces = traces_of(admin);
    if (traces == NULL) {
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    struct admin_trace *one =
        api_query(call, "trace") != NULL ? trace_again(traces, call) : trace_new(traces, call);
    if (one == NULL)
        return;
    one->asked_ns = clock_mono_ns();
    one->later = api_later(call);
    on_look(-1, 0, traces); /* arms the timer */
}
