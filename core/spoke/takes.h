/* takes.h: whether a spoke would take an event, and what is against it; nothing is delivered.
 * Owner: the caller, who has the spec and the event; what is found out is its own.
 * Thread: any one; its running spoke is not touched: filter and mapping get a process of their own.
 * Blocks while that starts and works, no longer than `until_ns` by much.
 * Fails by an answer. No number of an interchange is used up, and nothing is logged or counted. */
#pragma once

#include "core/spoke/spec.h"

#include <jansson.h>

#define SPOKE_TAKES_BYTES 400u

enum spoke_takes {
    SPOKE_TAKEN,
    SPOKE_ONLY_IN,  /* nothing goes out to it */
    SPOKE_PATTERN,  /* no pattern of its queue matches */
    SPOKE_FILTER,   /* its filter turns the event away */
    SPOKE_MAPPING,  /* its mapping makes nothing of the event */
    SPOKE_FAILS,    /* the event would become a dead letter */
    SPOKE_NOT_TRIED /* a pattern matches; there was no time, or nobody wanted to know */
};

struct spoke_taking {
    enum spoke_takes takes;
    const char *pattern; /* that matches, or the first one; borrowed from the spec, or static; NULL: none */
    uint32_t patterns;
    uint32_t documents;           /* of TAKEN */
    char text[SPOKE_TAKES_BYTES]; /* of FAILS: why */
};

/* A checked event. `until_ns`, of the monotonic clock: 0 = only patterns are looked at. */
struct spoke_offer {
    const char *topic;
    const uint8_t *event;
    size_t length;
    uint64_t until_ns;
};

void spoke_takes(const struct spoke_spec *spec, const struct spoke_offer *offer, struct spoke_taking *taking);
/* {"spoke", "queue", "why", "pattern", "patterns_total", "documents", "message"}; NULL: no memory. */
json_t *spoke_takes_json(const struct spoke_spec *spec, const struct spoke_offer *offer) MUST_USE;
/* {"spoke", "transport", "queue", "patterns", "topic", "source"}: what it takes and gives, for a picture of
 * the whole; null is what it has not. NULL: no memory. */
json_t *spoke_routing_json(const struct spoke_spec *spec) MUST_USE;
