#include "tests/unit/core/session/session_world.h"

#include "codecs/event/check.h"
#include "codecs/proto/field.h"
#include "core/base/topic.h"
#include "tests/unit/codecs/golden.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct world *world, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(world->trace + world->traced, WORLD_TRACE_BYTES - world->traced, format, arguments);
    va_end(arguments);
    world->traced += (size_t)more;
    cr_assert(world->traced < WORLD_TRACE_BYTES);
}

/* ---- the host ---- */

/* GO, or what the test wants at this call. A stopped connection is not read until it is resumed. */
static enum session_verdict host_verdict(struct world *world) {
    cr_assert(world->conn.paused == 0, "a host that has stopped the session is not asked");
    if (++world->calls != world->stop_at)
        return SESSION_GO;
    world->host_stops++;
    world->conn.paused = CONN_PAUSE_RING;
    return world->stops_by_park ? SESSION_PARK : SESSION_WAIT;
}

static bool host_admit(void *peer, struct fault *fault) {
    const struct world *world = peer;
    *fault = (struct fault){.code = RH_CODE_UNAVAILABLE, .text = "not now"};
    return world->admits;
}

static enum session_verdict host_publish(void *peer, const struct wire_event *event) {
    struct world *world = peer;
    struct fault fault;
    cr_assert(topic_valid(event->topic, event->topic_length, &fault), "%s", fault.text);
    cr_assert(event_check(event->event, event->event_length, &fault), "%s", fault.text);
    enum session_verdict verdict = host_verdict(world);
    if (verdict != SESSION_PARK)
        note(world, "publish %zu %.*s %u\n", (size_t)world->session.ordinal, (int)event->topic_length,
             (const char *)event->topic, event->event_length);
    return verdict;
}

/* As many as the test says; each is told as if it had come alone. */
static uint32_t host_train_most(void *peer, const struct wire_event *first) {
    const struct world *world = peer;
    cr_assert_not_null(first->record);
    return world->train;
}

static void host_publish_train(void *peer, const struct wire_event *first, uint32_t count) {
    struct world *world = peer;
    cr_assert(count >= 2 && count <= world->train);
    world->trains++;
    for (uint32_t i = 0; i < count; i++)
        note(world, "publish %zu %.*s %u\n", (size_t)(world->session.ordinal - count + 1 + i),
             (int)first->topic_length, (const char *)first->topic, first->event_length);
}

static enum session_verdict host_refused(void *peer, const struct fault *fault) {
    struct world *world = peer;
    enum session_verdict verdict = host_verdict(world);
    if (verdict != SESSION_PARK)
        note(world, "refused %zu %s %s\n", (size_t)world->session.ordinal, rh_code_name(fault->code),
             fault->field);
    return verdict;
}

static enum session_verdict host_subscribe(void *peer, const Roundhouse__V1__Subscribe *subscribe) {
    struct world *world = peer;
    enum session_verdict verdict = host_verdict(world);
    if (verdict == SESSION_PARK)
        verdict = SESSION_WAIT; /* a host never parks a Subscribe */
    note(world, "subscribe %zu %s\n", (size_t)subscribe->id,
         subscribe->n_patterns > 0 ? subscribe->patterns[0] : "to nothing");
    return verdict;
}

static enum session_verdict host_unsubscribe(void *peer, const Roundhouse__V1__Unsubscribe *unsubscribe) {
    struct world *world = peer;
    enum session_verdict verdict = host_verdict(world);
    if (verdict == SESSION_PARK)
        verdict = SESSION_WAIT;
    note(world, "unsubscribe %zu%s%s\n", (size_t)unsubscribe->id, unsubscribe->remove[0] != '\0' ? " " : "",
         unsubscribe->remove);
    return verdict;
}

static void host_acked(void *peer, const Roundhouse__V1__Ack *ack) {
    note(peer, "acked %zu %zu kind %d\n", (size_t)ack->subscription, (size_t)ack->delivery, (int)ack->kind);
}

static void host_position(void *peer, struct position *out) {
    (void)peer;
    *out = (struct position){.count = 2, .logs = {{.next = 5}, {.next = 6, .number = 1}}};
}

static void host_goodbye(void *peer) {
    const struct world *world = peer;
    cr_assert(world->conn.paused == 0);
    note(peer, "goodbye\n");
}

static void host_failed(void *peer, enum rh_code code) {
    note(peer, "failed %s\n", rh_code_name(code));
}

static const struct session_host host = {.admit = host_admit,
                                         .publish = host_publish,
                                         .train_most = host_train_most,
                                         .publish_train = host_publish_train,
                                         .refused = host_refused,
                                         .subscribe = host_subscribe,
                                         .unsubscribe = host_unsubscribe,
                                         .acked = host_acked,
                                         .position = host_position,
                                         .goodbye = host_goodbye,
                                         .failed = host_failed};

void world_start(struct world *world) {
    *world = (struct world){.admits = true};
    world->facts = (struct session_facts){.host = &host,
                                          .server = "roundhouse test",
                                          .instance = {1, 2, 3},
                                          .shards = 2,
                                          .frame_bytes = WORLD_FRAME_BYTES,
                                          .idle_ns = 90 * NS_PER_S,
                                          .private_bytes = 64 * KIB};
    cr_assert(output_pool_init(&world->pool, 1024) == 0);
    session_init(&world->session, &world->facts, &world->conn, &world->shape, world);
}

void world_stop(struct world *world) {
    session_deinit(&world->session);
    input_deinit(&world->conn.in);
    output_deinit(&world->conn.out, &world->pool);
    output_pool_deinit(&world->pool);
}

/* ---- what the client is told ---- */

static void note_ack(struct world *world, const Roundhouse__V1__PublishAck *ack) {
    note(world, "< ack %zu", (size_t)ack->through);
    for (size_t i = 0; i < ack->n_exceptions; i++)
        note(world, " %zu:%s", (size_t)ack->exceptions[i]->ordinal, ack->exceptions[i]->error->text);
    note(world, "\n");
}

static void note_frame(struct world *world, const Roundhouse__V1__Frame *frame) {
    const Roundhouse__V1__Error *error = frame->error;
    switch (frame->body_case) {
    case ROUNDHOUSE__V1__FRAME__BODY_CONNECTED:
        note(world, "< connected\n");
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_ERROR:
        note(world, "< error %s%s %s ordinal %zu subscription %zu\n", rh_code_name((enum rh_code)error->code),
             error->fatal ? " fatal" : "", error->field, (size_t)error->ordinal, (size_t)error->subscription);
        cr_assert(error->text[0] != '\0');
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PONG:
        note(world, "< pong %.*s\n", (int)frame->pong->data.len, (const char *)frame->pong->data.data);
        break;
    case ROUNDHOUSE__V1__FRAME__BODY_PUBLISH_ACK:
        note_ack(world, frame->publish_ack);
        break;
    default:
        note(world, "< %d\n", (int)frame->body_case);
    }
}

/* Takes the next frame that the client would read; NULL = none. The caller frees it. */
Roundhouse__V1__Frame *world_told(struct world *world) {
    const struct output *out = &world->conn.out;
    struct wire_frame frame;
    struct fault fault;
    if (out->first == NULL)
        return NULL;
    cr_assert(wire_next(out->private_bytes + out->private_begin, out->private_length, WORLD_FRAME_BYTES,
                        &frame, &fault) == WIRE_OK);
    cr_assert(frame.size == out->first->length, "an item is a frame");
    Roundhouse__V1__Frame *unpacked = control_unpack(&frame, &fault);
    cr_assert(unpacked != NULL, "%s", fault.text);
    output_sent(&world->conn.out, &world->pool, frame.size);
    return unpacked;
}

void world_take(struct world *world) {
    Roundhouse__V1__Frame *frame;
    while ((frame = world_told(world)) != NULL) {
        note_frame(world, frame);
        control_free(frame);
    }
}

/* Compares all that has happened since the last time. */
void world_expect(struct world *world, const char *wanted) {
    world_take(world);
    cr_assert(strcmp(world->trace, wanted) == 0, "it was\n%sand not\n%s", world->trace, wanted);
    world->traced = 0;
    world->trace[0] = '\0';
}

/* ---- what the client sends ---- */

void stream_add(struct stream *stream, const Roundhouse__V1__Frame *frame) {
    cr_assert(stream->length + control_size(frame) <= WORLD_STREAM_BYTES);
    stream->length += control_pack(frame, stream->bytes + stream->length);
}

/* Any frame from its bytes in hexadecimal, without the length. */
void stream_hex(struct stream *stream, const char *hex) {
    uint8_t bytes[256];
    size_t n = golden_hex(hex, bytes, sizeof bytes);
    cr_assert(stream->length + n + 3 <= WORLD_STREAM_BYTES);
    uint8_t *end = varint_write(stream->bytes + stream->length, n);
    memcpy(end, bytes, n);
    stream->length = (size_t)(end - stream->bytes) + n;
}

void stream_connect(struct stream *stream) {
    stream_hex(stream, "12 09 0801 1203 657270 1801"); /* version 1, client "erp", ack ROUTED */
}

void stream_event(struct stream *stream, const char *topic, const char *hex) {
    uint8_t bytes[256];
    size_t n = golden_hex(hex, bytes, sizeof bytes);
    struct wire_event event = {.topic = (const uint8_t *)topic,
                               .event = bytes,
                               .topic_length = (uint32_t)strlen(topic),
                               .event_length = (uint32_t)n};
    (void)wire_record_write(stream->bytes + stream->length, 1, &event);
    stream->length += wire_record_size(event.topic_length, event.event_length);
}

void stream_ping(struct stream *stream, const char *text) {
    static uint8_t data[128];
    size_t n = strlen(text);
    memcpy(data, text, n);
    Roundhouse__V1__Ping ping;
    roundhouse__v1__ping__init(&ping);
    ping.data = (ProtobufCBinaryData){n, data};
    Roundhouse__V1__Frame frame;
    roundhouse__v1__frame__init(&frame);
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_PING;
    frame.ping = &ping;
    stream_add(stream, &frame);
}

void stream_subscribe(struct stream *stream, uint64_t id) {
    char pattern[] = "a.>", *patterns[] = {pattern};
    Roundhouse__V1__Subscribe subscribe;
    roundhouse__v1__subscribe__init(&subscribe);
    subscribe.id = id;
    subscribe.n_patterns = 1;
    subscribe.patterns = patterns;
    Roundhouse__V1__Frame frame;
    roundhouse__v1__frame__init(&frame);
    frame.body_case = ROUNDHOUSE__V1__FRAME__BODY_SUBSCRIBE;
    frame.subscribe = &subscribe;
    stream_add(stream, &frame);
}

void world_receive(struct world *world, const uint8_t *bytes, size_t length) {
    if (length > 0) {
        /* Alone in memory, so that a look beyond the end is seen. */
        uint8_t *alone = golden_alone(bytes, length);
        session_received(&world->session, alone, length);
        free(alone);
    }
}

void world_receive_all(struct world *world, const struct stream *stream) {
    world_receive(world, stream->bytes, stream->length);
}

/* What the host does when it can go on. */
void world_resume(struct world *world) {
    world->conn.paused = 0;
    session_resume(&world->session);
}

/* A world that has shaken hands. */
void world_open(struct world *world) {
    struct stream stream = {.length = 0};
    world_start(world);
    stream_connect(&stream);
    world_receive_all(world, &stream);
    world_expect(world, "< connected\n");
}
