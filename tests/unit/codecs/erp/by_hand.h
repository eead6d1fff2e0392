/* by_hand.h: feeds an engine with segments written by hand, and keeps what it makes as JSON.
 * Owner: the test; hand_free gives everything back.
 * One thread, that of the test.
 * Nothing blocks.
 * A map that can not be compiled fails the running test. */
#pragma once

#include "codecs/erp/engine.h"
#include "codecs/event/bytes.h"

#include <stdarg.h>

#define HAND_FINDINGS 64u

struct hand {
    struct map_library *library;
    struct erp_engine *engine;
    struct document_sink sink;
    struct profile profile;
    struct document_head head;
    struct bytes json; /* of all messages, a line each */
    struct finding findings[HAND_FINDINGS];
    unsigned finding_count, messages;
    uint32_t errors; /* of the last message */
    char event[64];  /* the last one's name; "" without a map */
    uint32_t segments;
};

/* The maps of the executable and, unless NULL, this one before them. */
void hand_new(struct hand *hand, const char *map);
void hand_free(struct hand *hand);

/* One whole message: segments as EDIFACT writes them (+ : ? '), also <NAME and > for an element of a tree
 * that begins and ends. `name` is FORMAT NAME. Returns the JSON without its origin. */
const char *hand_read(struct hand *hand, const char *name, const char *segments);
/* The same in pieces. */
void hand_begin(struct hand *hand, const char *name);
void hand_feed(struct hand *hand, const char *segments);
void hand_end(struct hand *hand);

unsigned hand_found(const struct hand *hand, enum finding_code code);

/* Reads a message and compares the JSON of its event without the header's origin. */
#define hand_expect(hand, name, segments, json)                                                              \
    do {                                                                                                     \
        const char *got_ = hand_read(hand, name, segments);                                                  \
        cr_expect(strcmp(got_, json) == 0, "%s\n  is     %s\n  not    %s", segments, got_, json);            \
    } while (0)
