#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/logfmt.h"
#include "core/transport/webhook_private.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void pump(struct webhook *hook);
static void leave(struct webhook *hook);

/* ---- parcels ---- */

static void extend_arm(struct webhook *hook) {
    uint64_t ms = hook->options.extend_ms / 2 + 1;
    const struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    if (!evtimer_pending(&hook->extend_timer, NULL))
        evtimer_add(&hook->extend_timer, &after);
}

/* NULL: no memory. */
static struct parcel *parcel_new(struct webhook *hook, const struct outgoing *out) {
    struct list *place = list_take(&hook->spare);
    struct parcel *parcel = place ? LIST_OF(place, struct parcel, place) : heap_take_packed(sizeof *parcel);
    if (!parcel)
        return NULL;
    list_init(&parcel->place);
    list_init(&parcel->age);
    parcel->event.length = 0;
    bytes_add(&parcel->event, out->event, out->event_length);
    if (parcel->event.failed) {
        bytes_free(&parcel->event);
        heap_give(parcel);
        return NULL;
    }
    parcel->delivery = out->delivery;
    parcel->attempt = out->attempt;
    parcel->extended_ns = clock_mono_ns();
    list_add(&hook->aged, &parcel->age);
    hook->in_hand++;
    extend_arm(hook);
    return parcel;
}

/* It has its answer. */
static uint64_t parcel_end(struct webhook *hook, struct parcel *parcel) {
    uint64_t delivery = parcel->delivery;
    list_remove(&parcel->place);
    list_remove(&parcel->age);
    if (parcel->event.capacity > WEBHOOK_KEPT_BYTES)
        bytes_free(&parcel->event);
    list_add(&hook->spare, &parcel->place);
    hook->in_hand--;
    return delivery;
}

static void parcel_done(struct webhook *hook, struct parcel *parcel) {
    uint64_t delivery = parcel_end(hook, parcel);
    hook->done++;
    if (!hook->stopped)
        hook->host.done(hook->host.user, delivery);
}

static void parcel_retry(struct webhook *hook, struct parcel *parcel, uint64_t after_ms, const char *reason) {
    uint64_t delivery = parcel_end(hook, parcel);
    hook->retried++;
    if (!hook->stopped)
        hook->host.retry(hook->host.user, delivery, after_ms, reason);
}

static void parcel_refuse(struct webhook *hook, struct parcel *parcel, const char *reason) {
    uint64_t delivery = parcel_end(hook, parcel);
    hook->refused++;
    if (!hook->stopped)
        hook->host.refuse(hook->host.user, delivery, reason);
}

/* What is kept here for long is not to be given to somebody else meanwhile. */
static void on_extend(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct webhook *hook = user;
    uint64_t now_ns = clock_mono_ns();
    hook->inside = true;
    while (!list_empty(&hook->aged) && !hook->stopped) {
        struct parcel *parcel = LIST_OF(hook->aged.next, struct parcel, age);
        if (now_ns - parcel->extended_ns < hook->options.extend_ms * NS_PER_MS)
            break;
        parcel->extended_ns = now_ns;
        list_remove(&parcel->age);
        list_add(&hook->aged, &parcel->age);
        hook->host.extend(hook->host.user, parcel->delivery);
    }
    if (!list_empty(&hook->aged))
        extend_arm(hook);
    leave(hook);
}

/* ---- when the target as a whole does not answer ---- */

static const char *spoke(const struct webhook *hook, char name[256]) {
    return logfmt_quote(name, 256, hook->host.name, strlen(hook->host.name));
}

static void say_paused(struct webhook *hook, const char *reason) {
    char name[256], text[2 * WEBHOOK_REASON_BYTES];
    uint32_t left_out;
    if (logfmt_allowed(&hook->said, clock_mono_ns(), &left_out))
        logfmt(LOGFMT_WARN, "webhook paused", "spoke=%s reason=%s left_out=%u", spoke(hook, name),
               logfmt_quote(text, sizeof text, reason, strlen(reason)), left_out);
}

static void say_gone(const struct webhook *hook, const char *reason) {
    char name[256], text[2 * WEBHOOK_REASON_BYTES];
    logfmt(LOGFMT_ERROR, "webhook target is gone", "spoke=%s reason=%s", spoke(hook, name),
           logfmt_quote(text, sizeof text, reason, strlen(reason)));
}

static void say_again(struct webhook *hook) {
    char name[256];
    uint32_t left_out;
    if (logfmt_allowed(&hook->said, clock_mono_ns(), &left_out))
        logfmt(LOGFMT_INFO, "webhook sends again", "spoke=%s left_out=%u", spoke(hook, name), left_out);
}

/* Half of it for sure, the other half by chance, so that many do not come back at one time. */
static uint64_t jittered(struct webhook *hook, uint64_t ms) {
    hook->chance ^= hook->chance << 13;
    hook->chance ^= hook->chance >> 7;
    hook->chance ^= hook->chance << 17;
    return ms - ms / 2 + hook->chance % (ms / 2 + 1);
}

static void timer_start(struct event *timer, uint64_t ms) {
    const struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    evtimer_add(timer, &after);
}

/* Nothing is sent for a while, at least `least_ms`. */
static void sending_pause(struct webhook *hook, uint64_t least_ms, const char *reason) {
    const struct webhook_options *options = &hook->options;
    if (!hook->paused) {
        hook->paused = true;
        hook->pause_ms = options->breaker_ms_min;
        say_paused(hook, reason);
    } else {
        hook->pause_ms *= 2;
        if (hook->pause_ms > options->breaker_ms_max)
            hook->pause_ms = options->breaker_ms_max;
    }
    uint64_t ms = jittered(hook, hook->pause_ms);
    hook->probe = PROBE_NONE;
    timer_start(&hook->pause_timer, ms > least_ms ? ms : least_ms);
}

/* The target has answered as one does that works. */
static void sending_resume(struct webhook *hook) {
    hook->failures = 0;
    if (!hook->paused)
        return;
    hook->paused = false;
    hook->probe = PROBE_NONE;
    evtimer_del(&hook->pause_timer);
    if (!hook->gone)
        say_again(hook);
}

static void sending_end(struct webhook *hook, const char *reason) {
    if (!hook->gone)
        say_gone(hook, reason);
    hook->gone = true;
}

static void on_pause_over(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    struct webhook *hook = user;
    hook->probe = PROBE_DUE;
    pump(hook);
}

/* ---- what comes back ---- */

static uint64_t backoff_ms(struct webhook *hook, uint32_t attempt) {
    const struct webhook_options *options = &hook->options;
    uint64_t ms = options->retry_ms_min;
    for (uint32_t i = 1; i < attempt && ms < options->retry_ms_max; i++)
        ms *= 2;
    return jittered(hook, ms < options->retry_ms_max ? ms : options->retry_ms_max);
}

static uint64_t retry_after_ms(const struct lane *lane) {
    const struct webhook *hook = lane->hook;
    curl_off_t seconds = 0;
    uint64_t most = hook->options.retry_after_ms_max;
    if (hook->curl->easy_getinfo(lane->easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
        return 0;
    return (uint64_t)seconds > most / 1000 ? most : (uint64_t)seconds * 1000;
}

/* What could not be delivered: when it is the target that fails, it waits here, and this is no attempt. */
static void failed(struct webhook *hook, struct parcel *parcel, bool probe, uint64_t after_ms,
                   const char *reason) {
    hook->failures++;
    if (!hook->gone && !hook->paused && hook->failures < hook->options.breaker_failures) {
        uint64_t ms = backoff_ms(hook, parcel->attempt);
        parcel_retry(hook, parcel, ms > after_ms ? ms : after_ms, reason);
        return;
    }
    list_add(&hook->ready, &parcel->place); /* behind the others: the next probe is another event */
    if (!hook->gone && (probe || !hook->paused))
        sending_pause(hook, after_ms, reason);
}

/* As `failed`, but the target has asked for it: the event goes first when it is over. */
static void put_off(struct webhook *hook, struct parcel *parcel, bool probe, uint64_t after_ms,
                    const char *reason) {
    struct list *first = hook->ready.next;
    list_add(first, &parcel->place); /* before the first */
    if (!hook->gone && (probe || !hook->paused))
        sending_pause(hook, after_ms, reason);
}

static void answered(struct webhook *hook, struct parcel *parcel, enum meaning meaning, bool probe,
                     uint64_t after_ms, const char *reason) {
    switch (meaning) {
    case MEANS_DONE:
        sending_resume(hook);
        parcel_done(hook, parcel);
        return;
    case MEANS_REFUSE:
        sending_resume(hook);
        parcel_refuse(hook, parcel, reason);
        return;
    case MEANS_GONE:
        sending_end(hook, reason);
        list_add(&hook->ready, &parcel->place);
        return;
    case MEANS_PAUSE:
        put_off(hook, parcel, probe, after_ms, reason);
        return;
    case MEANS_RETRY:
        failed(hook, parcel, probe, after_ms, reason);
    }
}

/* The answer to the handshake's question. */
static void consented(struct webhook *hook, const struct answer *answer, uint64_t after_ms,
                      const char *reason) {
    uint64_t per_minute = 0;
    char text[2 * WEBHOOK_REASON_BYTES];
    if (answer_consents(answer, hook->options.origin, hook->options.origin_rate != 0, &per_minute)) {
        uint64_t interval_ns = per_minute ? 60 * NS_PER_S / per_minute : 0;
        if (interval_ns > hook->interval_ns)
            hook->interval_ns = interval_ns;
        hook->granted = true;
        sending_resume(hook);
        return;
    }
    snprintf(text, sizeof text, "the handshake was not granted: %s", reason);
    if (answer->whole && answer->status == 410)
        sending_end(hook, text);
    else
        sending_pause(hook, after_ms, text);
}

static void on_done(void *user, CURL *easy, CURLcode code) {
    struct webhook *hook = user;
    struct lane *lane = NULL;
    char reason[WEBHOOK_REASON_BYTES] = "";
    CHECK(hook->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &lane) == CURLE_OK && lane);
    struct parcel *parcel = lane->parcel;
    bool probe = lane->probe;
    hook->inside = true;
    const uint64_t after_ms = retry_after_ms(lane);
    enum meaning meaning = answer_meaning(&lane->answer, code, after_ms > 0, hook->options.redirects > 0);
    if (UNLIKELY(meaning != MEANS_DONE || !parcel))
        answer_reason(&lane->answer, lane->error[0] ? lane->error : hook->curl->easy_strerror(code),
                      hook->options.token_file ? hook->token.text : NULL, reason);
    lane_give(lane); /* its answer is still there */
    if (parcel)
        answered(hook, parcel, meaning, probe, after_ms, reason);
    else
        consented(hook, &lane->answer, after_ms, reason);
}

/* ---- sending ---- */

static void secrets_look(struct webhook *hook, uint64_t now_ns) {
    if (hook->options.token_file)
        secret_look(&hook->token, now_ns);
    if (hook->options.secret_file && secret_look(&hook->key, now_ns))
        CHECK(signer_key(hook->signer, hook->key.text, hook->key.length));
}

static bool rate_allows(struct webhook *hook, uint64_t now_ns) {
    if (hook->interval_ns == 0)
        return true;
    if (hook->next_ns > now_ns + WEBHOOK_RATE_SLACK_NS) {
        if (!evtimer_pending(&hook->rate_timer, NULL))
            timer_start(&hook->rate_timer, (hook->next_ns - now_ns - WEBHOOK_RATE_SLACK_NS) / NS_PER_MS + 1);
        return false;
    }
    return true;
}

static bool may_send(struct webhook *hook, uint64_t now_ns) {
    if (hook->gone || (hook->paused && hook->probe != PROBE_DUE))
        return false;
    return rate_allows(hook, now_ns);
}

static void sent(struct webhook *hook, struct lane *lane, uint64_t now_ns) {
    lane->probe = hook->paused;
    if (hook->paused)
        hook->probe = PROBE_OUT;
    if (hook->interval_ns)
        hook->next_ns = (hook->next_ns > now_ns ? hook->next_ns : now_ns) + hook->interval_ns;
}

/* False: there is no lane until a request is answered. */
static bool send_first(struct webhook *hook, uint64_t now_ns) {
    struct lane *lane = lane_take(hook);
    if (!lane && hook->on_way > 0)
        return false;
    struct parcel *parcel = LIST_OF(list_take(&hook->ready), struct parcel, place);
    if (!lane) {
        parcel_retry(hook, parcel, 0, "no memory for a request");
        return true;
    }
    const struct request_terms *terms = &hook->terms;
    lane->parcel = parcel;
    if (!request_make(&lane->request, terms, parcel->event.data, parcel->event.length, clock_wall_ns())) {
        const char *why = lane->request.why;
        bool later = lane->request.no_memory;
        lane_give(lane);
        if (later)
            parcel_retry(hook, parcel, 0, why);
        else
            parcel_refuse(hook, parcel, why);
    } else if (lane_send(lane)) {
        sent(hook, lane, now_ns);
    } else {
        lane_give(lane);
        parcel_retry(hook, parcel, 0, "no memory for a request");
    }
    return true;
}

/* The question is a probe of its own: while it is not answered, nothing else is sent. */
static void ask(struct webhook *hook, uint64_t now_ns) {
    struct lane *lane = hook->on_way ? NULL : lane_take(hook);
    if (!lane)
        return;
    lane->parcel = NULL;
    if (request_ask(&lane->request, &hook->terms, hook->options.origin_rate) && lane_send(lane)) {
        sent(hook, lane, now_ns);
        return;
    }
    lane_give(lane);
    sending_pause(hook, 0, "no memory for the handshake");
}

static void pump(struct webhook *hook) {
    uint64_t now_ns = clock_mono_ns();
    hook->inside = true;
    secrets_look(hook, now_ns);
    if (!hook->granted && may_send(hook, now_ns))
        ask(hook, now_ns);
    while (hook->granted && !hook->stopped && !list_empty(&hook->ready) && may_send(hook, now_ns))
        if (!send_first(hook, now_ns))
            break;
    leave(hook);
}

static void on_rate(evutil_socket_t fd, short what, void *user) {
    (void)fd;
    (void)what;
    pump(user);
}

static void deliver(void *transport, const struct outgoing *out) {
    struct webhook *hook = transport;
    struct parcel *parcel = parcel_new(hook, out);
    if (!parcel) {
        hook->host.retry(hook->host.user, out->delivery, 0, "no memory");
        return;
    }
    list_add(&hook->ready, &parcel->place);
    if (!hook->inside)
        pump(hook);
}

/* ---- life ---- */

static void parcels_free(struct list *parcels) {
    for (struct list *place; (place = list_take(parcels));) {
        struct parcel *parcel = LIST_OF(place, struct parcel, place);
        bytes_free(&parcel->event);
        heap_give(parcel);
    }
}

static void lanes_free(struct webhook *hook) {
    while (!list_empty(&hook->busy)) {
        struct lane *lane = LIST_OF(hook->busy.next, struct lane, place);
        struct parcel *parcel = lane->parcel;
        lane_give(lane);
        if (parcel)
            list_add(&hook->ready, &parcel->place);
    }
    for (struct list *place; (place = list_take(&hook->lanes));)
        lane_free(LIST_OF(place, struct lane, place));
}

/* Accepts one that was made in part. */
static void destroy(struct webhook *hook) {
    evtimer_del(&hook->pause_timer);
    evtimer_del(&hook->rate_timer);
    evtimer_del(&hook->extend_timer);
    lanes_free(hook);
    multi_free(hook->multi);
    parcels_free(&hook->ready);
    parcels_free(&hook->spare);
    signer_free(hook->signer);
    secret_close(&hook->token);
    secret_close(&hook->key);
    heap_give(hook);
}

/* The host is not called back any more: what it has stopped meanwhile is freed. */
static void leave(struct webhook *hook) {
    hook->inside = false;
    if (hook->stopped)
        destroy(hook);
}

static void on_turn(void *user) {
    struct webhook *hook = user;
    if (hook->stopped)
        leave(hook);
    else
        pump(hook);
}

static bool secrets_open(struct webhook *hook, char *why, size_t why_bytes) {
    const struct webhook_options *options = &hook->options;
    if (options->token_file &&
        !secret_open(&hook->token, options->token_file, hook->host.name, why, why_bytes))
        return false;
    if (!options->secret_file)
        return true;
    if (!secret_open(&hook->key, options->secret_file, hook->host.name, why, why_bytes))
        return false;
    hook->signer = signer_new();
    if (hook->signer && signer_key(hook->signer, hook->key.text, hook->key.length))
        return true;
    snprintf(why, why_bytes, "requests can not be signed: HMAC-SHA256 is not to be had");
    return false;
}

static bool names_content_type(const struct webhook_options *options) {
    for (size_t i = 0; i < options->headers_count; i++)
        if (strncasecmp(options->headers[i], "Content-Type:", strlen("Content-Type:")) == 0)
            return true;
    return false;
}

static void terms_set(struct webhook *hook) {
    const struct webhook_options *options = &hook->options;
    hook->terms = (struct request_terms){
        .mode = options->mode,
        .raw_attributes = options->raw_attributes,
        .own_type = names_content_type(options),
        .headers = options->headers,
        .headers_count = options->headers_count,
        .origin = options->origin,
        .token = options->token_file ? &hook->token : NULL,
        .signer = hook->signer,
        .signature_header = options->signature_header,
        .timestamp_header = options->signature_time ? options->timestamp_header : NULL,
    };
    hook->granted = !options->origin;
    hook->interval_ns = options->rate_per_s ? NS_PER_S / options->rate_per_s : 0;
    hook->chance = (clock_wall_ns() ^ (uintptr_t)hook) | 1;
}

static bool loop_join(struct webhook *hook) {
    struct event_base *base = hook->host.base;
    const struct multi_options options = {.base = base,
                                          .curl = hook->curl,
                                          .connections = hook->options.concurrency,
                                          .user = hook,
                                          .on_done = on_done,
                                          .on_turn = on_turn};
    if (evtimer_assign(&hook->pause_timer, base, on_pause_over, hook) != 0 ||
        evtimer_assign(&hook->rate_timer, base, on_rate, hook) != 0 ||
        evtimer_assign(&hook->extend_timer, base, on_extend, hook) != 0)
        return false;
    hook->multi = multi_new(&options);
    return hook->multi != NULL;
}

static void *start(const struct transport_host *host, const void *options, char *why, size_t why_bytes) {
    const struct curl_table *curl = curl_load(why, why_bytes);
    if (!curl)
        return NULL;
    struct webhook *hook = heap_take(sizeof *hook);
    if (!hook) {
        snprintf(why, why_bytes, "no memory");
        return NULL;
    }
    hook->host = *host;
    hook->options = *(const struct webhook_options *)options;
    hook->curl = curl;
    struct list *const lists[] = {&hook->ready, &hook->aged, &hook->spare, &hook->lanes, &hook->busy};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        list_init(lists[i]);
    if (!loop_join(hook))
        snprintf(why, why_bytes, "no memory");
    else if (webhook_settle(&hook->options, curl, why, why_bytes) && secrets_open(hook, why, why_bytes)) {
        terms_set(hook);
        pump(hook);
        return hook;
    }
    destroy(hook);
    return NULL;
}

static void stop(void *transport) {
    struct webhook *hook = transport;
    hook->stopped = true;
    if (!hook->inside)
        destroy(hook);
}

void webhook_status(const void *webhook, struct webhook_status *status) {
    const struct webhook *hook = webhook;
    *status = (struct webhook_status){.state = WEBHOOK_SENDING,
                                      .in_hand = hook->in_hand,
                                      .on_way = hook->on_way,
                                      .requests = hook->requests,
                                      .done = hook->done,
                                      .retried = hook->retried,
                                      .refused = hook->refused};
    if (hook->gone)
        status->state = WEBHOOK_GONE;
    else if (!hook->granted)
        status->state = WEBHOOK_ASKING;
    else if (hook->paused)
        status->state = WEBHOOK_PAUSED;
}

const struct transport webhook_transport = {
    .name = "webhook", .start = start, .deliver = deliver, .stop = stop};
