/* takes.h: whether the rules of a file would take an event, and which of them; nothing is published.
 * Owner: the caller, who has the set and the event.
 * Thread: any one; the rules that run are not touched: these get a process of their own.
 * Blocks while that starts and works, as long as the file's limits allow.
 * Fails by an answer. What is merged is merged with nothing else. */
#pragma once

#include "core/routes/ruleset.h"

#include <jansson.h>

/* A checked event. `until_ns`, of the monotonic clock: 0 = only patterns are looked at. */
struct routes_offer {
    const char *topic;
    const uint8_t *event;
    size_t length;
    uint64_t until_ns;
};

/* {"file", "queue", "why", "pattern", "patterns_total", "message", "rules": [{"rule", "matched", "events",
 * "topics"}]}; `why` is taken, pattern, no_rule, fails or not_tried. NULL: no memory. */
json_t *routes_takes_json(const struct ruleset *set, const struct routes_offer *offer) MUST_USE;
/* {"file", "queue", "patterns", "rules": [{"rule", "topics"}]}: what they take and give. NULL: no memory. */
json_t *routes_routing_json(const struct ruleset *set) MUST_USE;
