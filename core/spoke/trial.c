#include "core/spoke/trial.h"

#include "codecs/erp/json.h"
#include "codecs/erp/model.h"
#include "codecs/event/attributes.h"
#include "codecs/event/bytes.h"
#include "codecs/event/fields.h"
#include "codecs/event/json.h"
#include "core/base/heap.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/bridge/port.h"
#include "core/bridge/remake.h"
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

/* The same event with its canonical message as JSON. False: it has none. */
static bool event_readable(const uint8_t *event, size_t length, uint8_t **made, size_t *made_length) {
    char url[128];
    struct bytes json = {0};
    struct fault fault;
    ProtobufCMessage *message = remake_message(event, length);
    if (message == NULL)
        return false;
    (void)snprintf(url, sizeof url, "type.googleapis.com/%s", message->descriptor->name);
    erp_json_write(message, &json);
    struct remake what = {.event = event,
                          .length = length,
                          .contenttype = "application/json",
                          .dataschema = url,
                          .kind = EVENT_TEXT,
                          .data = json.data,
                          .data_length = json.length};
    bool right = !json.failed && remake(&what, made, made_length, &fault);
    bytes_free(&json);
    protobuf_c_message_free_unpacked(message, NULL);
    return right;
}

static void on_publish(void *user, const char *topic, size_t topic_length, const uint8_t *event,
                       size_t event_length) {
    struct trial *trial = user;
    struct fault fault = {0};
    uint8_t *made = NULL;
    size_t made_length = event_length, length;
    char *text;
    bool readable = event_readable(event, event_length, &made, &made_length);
    if (!event_to_json(readable ? made : event, made_length, &text, &length, &fault)) {
        trial_fail(trial, fault.text);
        text = NULL;
        length = 0;
    }
    bytes_text(&trial->got, "{\"topic\":\"");
    bytes_add(&trial->got, topic, topic_length); /* topics of documents have nothing to escape */
    bytes_text(&trial->got, "\",\"event\":");
    bytes_add(&trial->got, text, length);
    bytes_text(&trial->got, "}\n");
    free(text);
    free(made);
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

/* What an outbound pair begins with: CloudEvents JSON, or {"topic": ..., "event": {CloudEvents JSON}}. */
struct trial_event {
    char *topic; /* owns; NULL: it has none */
    uint8_t *event;
    size_t event_length;
};

/* The canonical message that the event's dataschema names, if it does, instead of its JSON. */
static bool event_canonical(struct trial_event *into, char *why, size_t why_bytes) {
    struct attribute schema;
    const uint8_t *data;
    size_t length;
    uint32_t kind;
    struct fault fault = {0};
    char error[ERP_JSON_ERROR_BYTES] = "out of memory";
    const char *name =
        attribute_find(into->event, into->event_length, "dataschema", &schema) && schema.data != NULL
            ? memrchr(schema.data, '.', schema.length)
            : NULL;
    const ProtobufCMessageDescriptor *kind_of =
        name != NULL ? model_event(name + 1, (size_t)((const char *)schema.data + schema.length - name - 1))
                     : NULL;
    if (kind_of == NULL || !event_data(into->event, into->event_length, &data, &length, &kind) ||
        kind != EVENT_TEXT)
        return true;
    struct arena arena = {0};
    const ProtobufCMessage *message = erp_json_read(kind_of, (const char *)data, length, &arena, error);
    struct remake what = {.event = into->event, .length = into->event_length};
    uint8_t *made = NULL;
    size_t made_length = 0;
    bool right = message != NULL && remake_canonical(what, message, &made, &made_length, &fault);
    if (right) {
        free(into->event);
        into->event = made;
        into->event_length = made_length;
    } else {
        (void)snprintf(why, why_bytes, "the input's data is no %s: %s", kind_of->short_name,
                       message != NULL ? fault.text : error);
    }
    arena_free(&arena);
    return right;
}

static bool event_read(struct trial_event *into, const char *text, size_t length, char *why,
                       size_t why_bytes) {
    json_error_t error;
    struct fault fault = {.text = "out of memory"};
    json_t *value = json_loadb(text, length, 0, &error);
    const char *topic = json_string_value(json_object_get(value, "topic"));
    const json_t *event = json_object_get(value, "event");
    bool wrapped = topic != NULL && json_is_object(event);
    into->topic = wrapped ? strdup(topic) : NULL;
    char *json = wrapped ? json_dumps(event, JSON_COMPACT | JSON_PRESERVE_ORDER) : heap_text(text, length);
    json_decref(value);
    bool right =
        json != NULL && event_from_json(json, strlen(json), &into->event, &into->event_length, &fault);
    free(json);
    if (!right)
        (void)snprintf(why, why_bytes, "the input is no event as CloudEvents JSON: %s", fault.text);
    return right && event_canonical(into, why, why_bytes);
}

static void outbound_pair(struct trial *trial, const char *text, size_t length) {
    struct trial_event event = {0};
    char why[TRIAL_WHY_BYTES];
    trial->over = false;
    if (!event_read(&event, text, length, why, sizeof why))
        trial_fail(trial, why);
    else if (outbound_run_on(trial->outbound, event.topic != NULL ? event.topic : "",
                             event.topic != NULL ? strlen(event.topic) : 0, event.event, event.event_length,
                             on_result, trial) == 0)
        trial_wait(trial, &trial->over);
    else
        trial_fail(trial, "out of memory");
    free(event.event);
    free(event.topic);
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
