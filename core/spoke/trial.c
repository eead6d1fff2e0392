#include "core/spoke/trial.h"

#include "codecs/event/bytes.h"
#include "codecs/event/json.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/bridge/port.h"
#include "core/config/file.h"
#include "core/config/mistakes.h"
#include "core/spoke/expect.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIAL_WHY_BYTES 200u
#define TRIAL_PIECE     (64u * 1024u)
#define TRIAL_SECONDS   60 /* for one pair; mappings have limits of their own, far below */

struct trial {
    const struct spoke_spec *spec;
    struct config_mistakes *mistakes;
    struct event_base *base;
    struct event *tick;
    struct port *port;
    struct inbound *inbound;
    struct outbound *outbound;
    struct bytes got; /* of the pair that is run */
    char why[TRIAL_WHY_BYTES];
    bool failed, over, room;
};

static void trial_fail(struct trial *trial, const char *why) {
    if (!trial->failed)
        (void)snprintf(trial->why, sizeof trial->why, "%s", why);
    trial->failed = true;
}

/* ---- a document in ---- */

static void on_publish(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length) {
    struct trial *trial = user;
    struct fault fault = {0};
    char *text;
    size_t length;
    if (!event_to_json(event, event_length, &text, &length, &fault)) {
        trial_fail(trial, fault.text);
        return;
    }
    bytes_text(&trial->got, "{\"topic\":\"");
    bytes_add(&trial->got, topic, topic_length); /* topics of documents have nothing to escape */
    bytes_text(&trial->got, "\",\"event\":");
    bytes_add(&trial->got, text, length);
    bytes_text(&trial->got, "}\n");
    free(text);
}

static void on_end(void *user, const struct inbound_end *end) {
    struct trial *trial = user;
    if (end->refused > 0 || end->unknown > 0)
        trial_fail(trial, "messages of it were refused");
    trial->over = true;
}

static void on_room(void *user) {
    ((struct trial *)user)->room = true;
}

static void on_tick(evutil_socket_t fd, short what, void *user) {
    (void)fd; /* it only ends a turn of the loop */
    (void)what;
    (void)user;
}

/* Until `done`, or it takes too long. */
static void trial_wait(struct trial *trial, const bool *done) {
    uint64_t end = clock_mono_ns() + TRIAL_SECONDS * NS_PER_S;
    while (!*done && clock_mono_ns() < end)
        (void)event_base_loop(trial->base, EVLOOP_ONCE);
    if (!*done)
        trial_fail(trial, "it takes too long");
}

static void inbound_pair(struct trial *trial, const char *text, size_t length) {
    int result = inbound_begin(trial->inbound, "input", NULL);
    for (size_t at = 0; result == 0 && at < length && !trial->failed;) {
        size_t piece = length - at < TRIAL_PIECE ? length - at : TRIAL_PIECE;
        trial->room = false;
        result = inbound_feed(trial->inbound, (const uint8_t *)text + at, piece);
        if (result == -EAGAIN) {
            inbound_on_room(trial->inbound, on_room, trial);
            trial_wait(trial, &trial->room);
            result = 0;
        } else {
            at += piece;
        }
    }
    if (result != 0) {
        trial_fail(trial, "out of memory");
        return;
    }
    trial->over = false;
    inbound_finish(trial->inbound, on_end, trial);
    trial_wait(trial, &trial->over);
}

/* ---- an event out ---- */

static void on_result(void *user, const struct outbound_result *result) {
    struct trial *trial = user;
    if (result->failed != NULL)
        trial_fail(trial, result->failed);
    for (size_t i = 0; i < result->count; i++) {
        if (i > 0)
            bytes_add(&trial->got, "\n", 1);
        bytes_add(&trial->got, result->documents[i].data, result->documents[i].data_length);
    }
    trial->over = true;
}

/* What an outbound pair begins with: an event as CloudEvents JSON, or {"topic": ..., "event": ...}, as
 * inbound pairs expect it. */
struct trial_event {
    json_t *whole; /* owns what is below, but for `event` */
    const char *topic;
    uint8_t *event;
    size_t event_length;
};

static bool event_read(struct trial_event *into, const char *text, size_t length, struct fault *fault) {
    json_error_t error;
    into->whole = json_loadb(text, length, 0, &error);
    const json_t *inner = json_object_get(into->whole, "event");
    bool wrapped = json_is_object(inner) && json_object_get(into->whole, "specversion") == NULL;
    char *json = wrapped ? json_dumps(inner, JSON_COMPACT | JSON_PRESERVE_ORDER) : strndup(text, length);
    into->topic = wrapped ? json_string_value(json_object_get(into->whole, "topic")) : NULL;
    *fault = (struct fault){.text = "out of memory"};
    bool right =
        json != NULL && event_from_json(json, strlen(json), &into->event, &into->event_length, fault);
    free(json);
    return right;
}

static void outbound_pair(struct trial *trial, const char *text, size_t length) {
    struct trial_event event = {0};
    struct fault fault;
    char why[TRIAL_WHY_BYTES];
    trial->over = false;
    if (!event_read(&event, text, length, &fault)) {
        (void)snprintf(why, sizeof why, "the input is no event as CloudEvents JSON: %s", fault.text);
        trial_fail(trial, why);
    } else if (outbound_run_on(trial->outbound, event.topic != NULL ? event.topic : "",
                               event.topic != NULL ? strlen(event.topic) : 0, event.event, event.event_length,
                               on_result, trial) == 0) {
        trial_wait(trial, &trial->over);
    } else {
        trial_fail(trial, "out of memory");
    }
    free(event.event);
    json_decref(event.whole);
}

/* ---- a pair ---- */

static bool is_json(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".json") == 0 || strcmp(dot, ".ndjson") == 0);
}

static void pair_compare(struct trial *trial, const struct spoke_test *test, const char *wanted,
                         size_t length) {
    char why[TRIAL_WHY_BYTES];
    bytes_add(&trial->got, "", 1); /* jansson and strspn end there */
    if (trial->got.failed) {
        trial_fail(trial, "out of memory");
        return;
    }
    const char *got = (const char *)trial->got.data;
    bool json = test->direction == SPOKE_IN || is_json(test->expect);
    if (!(json ? expect_json : expect_text)(wanted, length, got, trial->got.length - 1, why, sizeof why))
        trial_fail(trial, why);
}

static void pair_run(struct trial *trial, const struct spoke_test *test) {
    char *input = NULL, *wanted = NULL;
    size_t input_length, wanted_length;
    trial->failed = false;
    if (config_file_text(test->input, SPOKE_FILE_BYTES_MAX, &input, &input_length) != 0 ||
        config_file_text(test->expect, SPOKE_FILE_BYTES_MAX, &wanted, &wanted_length) != 0)
        trial_fail(trial, "its files can not be read any more");
    else if (test->direction == SPOKE_IN)
        inbound_pair(trial, input, input_length);
    else
        outbound_pair(trial, input, input_length);
    if (!trial->failed)
        pair_compare(trial, test, wanted, wanted_length);
    if (trial->failed)
        config_mistake_add(trial->mistakes, test->line, 1, "this golden pair fails, %.80s: %s", test->input,
                           trial->why);
    bytes_free(&trial->got);
    free(input);
    free(wanted);
}

/* ---- the parts ---- */

static bool trial_inbound(struct trial *trial) {
    struct port_options port = {
        .base = trial->base, .name = trial->spec->name, .user = trial, .on_publish = on_publish};
    struct inbound_options options;
    trial->port = port_new(&port, trial->why, sizeof trial->why);
    if (trial->port == NULL)
        return false;
    spoke_inbound_options(trial->spec, &options);
    options.base = trial->base;
    options.port = trial->port;
    trial->inbound = inbound_new(&options, trial->why, sizeof trial->why);
    return trial->inbound != NULL;
}

static bool trial_outbound(struct trial *trial) {
    struct outbound_options options;
    spoke_outbound_options(trial->spec, &options);
    options.base = trial->base;
    trial->outbound = outbound_new(&options, trial->why, sizeof trial->why);
    return trial->outbound != NULL;
}

static bool trial_base(struct trial *trial) {
    const struct timeval second = {.tv_sec = 1};
    trial->base = event_base_new();
    if (trial->base != NULL)
        trial->tick = event_new(trial->base, -1, EV_PERSIST, on_tick, NULL);
    return trial->tick != NULL && event_add(trial->tick, &second) == 0;
}

static void trial_end(struct trial *trial) {
    outbound_free(trial->outbound);
    inbound_free(trial->inbound);
    port_free(trial->port);
    if (trial->tick != NULL)
        event_free(trial->tick);
    if (trial->base != NULL)
        event_base_free(trial->base);
}

void spoke_trial(const struct spoke_spec *spec, bool pairs, struct config_mistakes *mistakes) {
    struct trial trial = {.spec = spec, .mistakes = mistakes};
    uint32_t before = mistakes->count;
    bool base = trial_base(&trial);
    if (!base)
        config_mistake_add(mistakes, 1, 1, "there is no memory left to try the spoke");
    if (base && spec->has_in && !trial_inbound(&trial))
        config_mistake_add(mistakes, spec->in_at[0], spec->in_at[1], "inbound: %s", trial.why);
    if (base && spec->has_out && !trial_outbound(&trial))
        config_mistake_add(mistakes, spec->out_at[0], spec->out_at[1], "outbound: %s", trial.why);
    bool run = pairs && mistakes->count == before;
    for (uint32_t i = 0; run && i < spec->tests_count; i++)
        pair_run(&trial, &spec->tests[i]);
    trial_end(&trial);
    config_mistakes_sort(mistakes);
}
