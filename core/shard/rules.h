/* rules.h: what the configuration says about topics: the first rule whose pattern matches, remembered.
 * Owner: one worker; its thread. The list of rules is borrowed for life and never changes.
 * Matching is done once per new topic name: a bounded table remembers the answers, each compared by its
 * bytes, and a name that is too long for it is matched each time. Nothing blocks.
 * rules_create fails with -ENOMEM; nothing else fails. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

enum topic_class { TOPIC_MEMORY, TOPIC_DISK };
#define TOPIC_CLASSES 2u

struct topic_rule {
    uint64_t expiry_ns;            /* lifetime of an event that has no expirytime; 0 = for ever */
    uint64_t duplicates_window_ns; /* how long source and id of an event are remembered; 0 = they are not */
    uint32_t duplicates_count;     /* ... and of how many events, in each log */
    enum topic_class class;
    bool class_given; /* in the configuration; else it is the default */
    uint8_t length;   /* of the pattern, which is valid */
    uint8_t pattern[TOPIC_BYTES_MAX];
};

struct rules;

int rules_create(struct rules **out, const struct topic_rule *list, uint32_t count) MUST_USE;
void rules_destroy(struct rules *rules); /* NULL is allowed */
/* The rule of a topic, NULL = none matches; `hash` is its topic_hash. */
const struct topic_rule *rules_of(struct rules *rules, const uint8_t *topic, uint32_t length, uint64_t hash);
