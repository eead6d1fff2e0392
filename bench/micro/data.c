#include "bench/micro/data.h"

#include "bench/micro/bench.h"
#include "codecs/event/bytes.h"
#include "codecs/event/compose.h"
#include "codecs/event/fields.h"
#include "codecs/proto/field.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const data_shapes[] = {"smallest", "typical", "attributes", "many", "umlauts", "json", "binary"};

/* ---- topics ---- */

static struct data_topic topic_make(uint32_t number, uint32_t groups) {
    struct data_topic topic;
    int length =
        snprintf((char *)topic.bytes, sizeof topic.bytes, "shop.%u.%u.created", number % groups, number);
    topic.length = (uint8_t)length;
    return topic;
}

struct data_topic *data_topics(uint32_t count, uint32_t groups) {
    struct data_topic *topics = bench_memory(count * sizeof *topics);
    for (uint32_t i = 0; i < count; i++)
        topics[i] = topic_make(i, groups);
    return topics;
}

/* ---- events ---- */

static void field_text(struct bytes *event, uint32_t number, const char *text) {
    bytes_field(event, number, text, strlen(text));
}

static void required(struct bytes *event, const char *id, const char *source, const char *type) {
    field_text(event, EVENT_ID, id);
    field_text(event, EVENT_SOURCE, source);
    field_text(event, EVENT_SPEC_VERSION, "1.0");
    field_text(event, EVENT_TYPE, type);
}

static void attribute(struct bytes *event, const char *name, const char *value) {
    compose_attribute(event, name, VALUE_STRING, value, strlen(value));
}

static void required_long(struct bytes *event, uint64_t number) {
    char id[32];
    snprintf(id, sizeof id, "%010llu", (unsigned long long)number);
    required(event, id, "/erp/prod", "com.example.order.created");
}

static void shape_smallest(struct bytes *event, uint64_t number) {
    char id[2] = {(char)('0' + number % 10), '\0'};
    required(event, id, "/s", "ty");
}

static void shape_typical(struct bytes *event, uint64_t number) {
    char data[64];
    required_long(event, number);
    attribute(event, "datacontenttype", "application/json");
    snprintf(data, sizeof data, "{\"order\":%07llu,\"lines\":123456}",
             (unsigned long long)(number % 10000000));
    field_text(event, EVENT_TEXT, data);
}

static void shape_attributes(struct bytes *event, uint64_t number) {
    required_long(event, number);
    attribute(event, "datacontenttype", "application/json");
    attribute(event, "subject", "orders/4711");
    attribute(event, "partitionkey", "customer-0815");
    attribute(event, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    attribute(event, "correlationid", "2f8d1c3e-6a0b-4a55-9c1e-7a4d9c0b1e2f");
    compose_time(event, "time", 1780000000, 250000000);
    compose_number(event, "priority", VALUE_INTEGER, 7);
    compose_number(event, "final", VALUE_BOOLEAN, 1);
    field_text(event, EVENT_TEXT, "{\"order\":4711,\"lines\":3}");
}

static void shape_many(struct bytes *event, uint64_t number) {
    char name[16];
    required_long(event, number);
    for (uint32_t i = 0; i < EVENT_ATTRIBUTES_MAX; i++) {
        snprintf(name, sizeof name, "extension%u", i);
        attribute(event, name, "some value");
    }
}

/* `bytes` bytes of data that repeat `unit`, and what is left over in blanks. */
static void data_repeat(struct bytes *event, uint32_t arm, const char *before, const char *unit,
                        const char *after, size_t bytes) {
    struct bytes text = {0};
    bytes_text(&text, before);
    while (text.length + strlen(unit) + strlen(after) <= bytes)
        bytes_text(&text, unit);
    while (text.length + strlen(after) < bytes)
        bytes_text(&text, " ");
    bytes_text(&text, after);
    bytes_field(event, arm, text.data, text.length);
    bytes_free(&text);
}

static void shape_umlauts(struct bytes *event, uint64_t number) {
    required_long(event, number);
    attribute(event, "datacontenttype", "text/plain");
    data_repeat(event, EVENT_TEXT, "",
                "Stra\xc3\x9f"
                "e f\xc3\xbcr \xc3\x84pfel ",
                "", 1024);
}

static void shape_json(struct bytes *event, uint64_t number) {
    required_long(event, number);
    attribute(event, "datacontenttype", "application/json");
    data_repeat(event, EVENT_TEXT, "{\"order\":4711,\"lines\":[",
                "{\"item\":\"A-100\",\"count\":3,\"price\":9.95},",
                "{\"item\":\"B-200\",\"count\":1,\"price\":100}]}", 1024);
}

static void shape_binary(struct bytes *event, uint64_t number) {
    required_long(event, number);
    struct bytes data = {0};
    uint8_t *room = bytes_grow(&data, 64 * KIB);
    if (room == NULL)
        bench_can_not("an event", strerror(ENOMEM));
    for (uint32_t i = 0; i < 64 * KIB; i++)
        room[i] = (uint8_t)bench_mix(number + i);
    bytes_field(event, EVENT_BINARY, data.data, data.length);
    bytes_free(&data);
}

uint8_t *data_event(enum data_shape shape, uint64_t number, size_t *length) {
    static void (*const makers[])(struct bytes *, uint64_t) = {
        shape_smallest, shape_typical, shape_attributes, shape_many, shape_umlauts, shape_json, shape_binary};
    struct bytes event = {0};
    uint8_t *out = NULL;
    struct fault fault = {0};
    makers[shape](&event, number);
    if (!compose_done(&event, &out, length, &fault))
        bench_can_not(data_shapes[shape], fault.text);
    CHECK(shape != DATA_SMALLEST || *length == 16);
    CHECK(shape != DATA_TYPICAL || *length == 128);
    return out;
}

/* ---- frames ---- */

static void frame_add(struct data_frames *frames, struct bytes *out, enum data_shape shape) {
    size_t length;
    struct data_topic topic = topic_make(frames->count, 10);
    uint8_t *event = data_event(shape, frames->count, &length);
    struct wire_event parts = {
        .topic = topic.bytes, .topic_length = topic.length, .event = event, .event_length = (uint32_t)length};
    uint8_t *room = bytes_grow(out, wire_record_size(parts.topic_length, parts.event_length));
    if (room == NULL)
        bench_can_not("frames", strerror(ENOMEM));
    wire_record_write(room, 1, &parts);
    free(event);
    frames->count++;
    frames->events_length += length;
}

struct data_frames data_frames(enum data_shape shape, size_t bytes) {
    struct data_frames frames = {0};
    struct bytes out = {0};
    while (out.length < bytes || frames.count < 4)
        frame_add(&frames, &out, shape);
    frames.bytes = bytes_take(&out, &frames.length);
    return frames;
}
