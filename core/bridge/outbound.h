/* outbound.h: what goes out to a connected system: an event becomes a document in the system's own shape.
 * An event's data (canonical, or JSON of any shape) passes the spoke's filter and its jq mapping, then
 * becomes text of the spoke's format; the result is a CloudEvent with the attributes of the original. Owner:
 * the bridge's thread. Nothing blocks; answers come in the order of the events. Fails by a sentence that says
 * at which stage: such an event is a dead letter, never lost. */
#pragma once

#include "core/base/check.h"
#include "core/bridge/losses.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct outbound;

struct outbound_options {
    struct event_base *base;
    const char *name;    /* of the spoke: for log lines; borrowed */
    const char *filter;  /* jq: what is neither false nor null goes out; `.` is the canonical JSON, `$event`
                            the  attributes. NULL: everything */
    const char *mapping; /* jq, as the filter; each output is a document. NULL: the data as it is */
    const char *format;  /* of the document: json (default with a mapping), edifact, x12, ubl, csv, event (the
                            data's bytes as they came: the default without a mapping) */
    const char *csv;     /* text of the CSV template when the format is csv */
    const char *variables; /* a JSON object: each member is a $NAME; NULL: none */
    /* Own and partner's identity of EDIFACT and X12, "ID" or "QUALIFIER:ID"; NULL: as the message has it. */
    const char *sender;
    const char *receiver;
    /* What becomes of a document that does not say all of its message (edifact, x12, ubl), and who counts. */
    enum losses_policy losses;
    const char *state_dir; /* is there, and keeps the numbers of X12 interchanges (numbers.h); NULL: they are
                              made of the event, as for trials */
    struct spoke_counters *counters; /* NULL: nobody; borrowed */
    const char *executable;          /* that runs mappings (core/bridge/jq.h); NULL: this one */
};

struct outbound_document {
    const uint8_t *event; /* a serialized CloudEvent */
    size_t event_length;
    const uint8_t *data; /* its data alone */
    size_t data_length;
};

struct outbound_result {
    const char *failed; /* NULL, or why nothing can be made of this event: a sentence; then it is refused */
    bool later; /* `failed` is about now (the mapping's process died), not about the event: try again */
    const struct outbound_document *documents; /* none: the filter left it out, it is done */
    size_t count;
};
/* The result is valid during the call. */
typedef void outbound_on_result(void *user, const struct outbound_result *result);

/* Other texts are copied. Blocks while a mapping's process starts. NULL: *why has a sentence. */
struct outbound *outbound_new(const struct outbound_options *options, char *why, size_t why_bytes) MUST_USE;
void outbound_free(struct outbound *outbound);
/* `topic` is what the event was published on: `$event.topic` of the mapping. An acknowledgement of ours
 * (inbound.h) is a document already: filter and mapping do not apply. The event is copied if need be;
 * `on_result` may be called before this returns. 0; -EAGAIN: too many wait, try again after an answer;
 * -ENOMEM. */
int outbound_run_on(struct outbound *outbound, const char *topic, size_t topic_length, const uint8_t *event,
                    size_t event_length, outbound_on_result *on_result, void *user) MUST_USE;
/* The same, where nobody knows the topic. */
int outbound_run(struct outbound *outbound, const uint8_t *event, size_t event_length,
                 outbound_on_result *on_result, void *user) MUST_USE;
