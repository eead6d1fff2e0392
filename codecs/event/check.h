/* check.h: is this a CloudEvent that every SDK will accept? Asked of every published event, on the hot path.
 * Owner: pure function over the caller's bytes. Any thread may call.
 * One forward pass over the serialized io.cloudevents.v1.CloudEvent; nothing is unpacked, nothing allocated.
 * Nothing blocks.
 * A refusal fills a fault whose `field` names the attribute ("event.id", "event.attributes", "event.data",
 * "event.attributes.expirytime").
 */
#pragma once

#include "core/base/check.h"
#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Required: id, source, spec_version "1.0", type: each once, not empty, valid UTF-8 without controls.
 * attributes: well-formed entries, names [a-z0-9]+ and not "data", each at most once (bounded work: at most
 * 64 attributes), exactly one typed value, strings valid UTF-8. At most one data arm, text valid UTF-8,
 * proto_data a well-formed Any. Unknown fields: well-formed, passed over, kept. Wire types must fit.
 * expirytime: a timestamp, or a string in RFC 3339. *expiring = the event has one; written when accepted. */
bool event_check_expiring(const uint8_t *event, size_t length, bool *expiring, struct fault *fault) MUST_USE;

/* The same for those who do not ask whether it expires. */
static inline bool event_check(const uint8_t *event, size_t length, struct fault *fault) {
    bool expiring;
    return event_check_expiring(event, length, &expiring, fault);
}
