/* data.h: what benches work on: topics, CloudEvents of several shapes, and frames of them.
 * Owner: the bench that asks for it.
 * Thread: any.
 * Nothing blocks.
 * Fails only for want of memory, which ends the program. The same numbers give the same bytes every time. */
#pragma once

#include "codecs/wire/scan.h"

#include <stddef.h>
#include <stdint.h>

/* A topic of four tokens, `shop.<number % groups>.<number>.created`. */
struct data_topic {
    uint8_t length;
    uint8_t bytes[47];
};
/* `count` of them; freed with free. */
struct data_topic *data_topics(uint32_t count, uint32_t groups);

/* Shapes of events, by their names in data_shapes. */
enum data_shape {
    DATA_SMALLEST,   /* the least that is valid, 16 bytes */
    DATA_TYPICAL,    /* 128 bytes: the four required attributes, a content type, a little JSON */
    DATA_ATTRIBUTES, /* eight attributes beside the required ones */
    DATA_MANY,       /* as many attributes as are allowed */
    DATA_UMLAUTS,    /* 1 KiB of text that is not ASCII */
    DATA_JSON,       /* 1 KiB of JSON */
    DATA_BINARY,     /* 64 KiB of bytes */
    DATA_SHAPES,
};
extern const char *const data_shapes[];

/* The event of this shape with this number in it, serialized; freed with free. */
uint8_t *data_event(enum data_shape shape, uint64_t number, size_t *length);
/* Frames one after the other, as a publisher sends them: about `bytes` in all, at least four frames. */
struct data_frames {
    uint8_t *bytes; /* owns */
    size_t length;
    uint32_t count;
    uint64_t events_length; /* of all events, without topics and frames */
};
struct data_frames data_frames(enum data_shape shape, size_t bytes);
