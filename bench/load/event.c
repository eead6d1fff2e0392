#include "bench/load/event.h"

#include "bench/load/quit.h"

#include <stdio.h>
#include <string.h>

/* Field numbers of io.cloudevents.v1.CloudEvent. */
enum { FIELD_ID = 1, FIELD_SOURCE = 2, FIELD_VERSION = 3, FIELD_TYPE = 4, FIELD_BINARY = 6, FIELD_TEXT = 7 };

struct attributes {
    char id[16];
    const char *source, *type;
};

static void field_add(struct buffer *out, uint32_t number, const char *text) {
    buffer_byte(out, (uint8_t)(number << 3 | 2));
    buffer_varint(out, strlen(text));
    buffer_text(out, text);
}

static size_t attributes_size(const struct attributes *a) {
    return 2 + strlen(a->id) + 2 + strlen(a->source) + 2 + strlen("1.0") + 2 + strlen(a->type);
}

/* Bytes of data so that attributes, tag, length and data are `size`; -1 when no length fits: one more byte of
 * data would lengthen its prefix. */
static long data_size(size_t size, size_t attributes) {
    if (size < attributes + 2)
        return -1;
    size_t room = size - attributes - 1;
    for (size_t prefix = 1; prefix <= 3; prefix++)
        if (room >= prefix && varint_size(room - prefix) == prefix)
            return (long)(room - prefix);
    return -1;
}

/* The attributes and the size of the data. A size that needs it gets one more byte of id. */
static long attributes_choose(struct attributes *a, size_t size, uint64_t number) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    if (size >= EVENT_REALISTIC_BYTES) {
        *a = (struct attributes){.source = "/erp/prod", .type = EVENT_TYPE_REALISTIC};
        (void)snprintf(a->id, sizeof a->id, "%012llx", (unsigned long long)number);
    } else {
        *a = (struct attributes){.id = {digits[number % 32]}, .source = "/", .type = "t"};
    }
    long data = data_size(size, attributes_size(a));
    if (data < 0) {
        a->id[strlen(a->id)] = '0'; /* the rest of it is zero */
        data = data_size(size, attributes_size(a));
    }
    return data;
}

/* Bytes that differ from event to event and from place to place; as text, letters. */
static void data_fill(uint8_t *data, size_t size, uint64_t number, bool text) {
    uint64_t state = number * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[i] = text ? (uint8_t)('a' + state % 26) : (uint8_t)state;
    }
}

size_t event_add(struct buffer *out, size_t size, uint64_t number, bool text) {
    struct attributes attributes;
    size_t begin = out->length;
    long data = size < EVENT_BYTES_MIN ? -1 : attributes_choose(&attributes, size, number);
    if (data < 0)
        quit(QUIT_USAGE, "no event has %zu bytes; the smallest has %u", size, EVENT_BYTES_MIN);
    field_add(out, FIELD_ID, attributes.id);
    field_add(out, FIELD_SOURCE, attributes.source);
    field_add(out, FIELD_VERSION, "1.0");
    field_add(out, FIELD_TYPE, attributes.type);
    buffer_byte(out, (uint8_t)((text ? FIELD_TEXT : FIELD_BINARY) << 3 | 2));
    buffer_varint(out, (uint64_t)data);
    size_t stamp = (size_t)data >= STAMP_BYTES ? out->length - begin : STAMP_NONE;
    data_fill(buffer_grow(out, (size_t)data), (size_t)data, number, text);
    if (out->length - begin != size)
        quit(QUIT_INTERNAL, "an event of %zu bytes became %zu", size, out->length - begin);
    return stamp;
}
