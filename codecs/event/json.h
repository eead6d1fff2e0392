/* json.h: the CloudEvents JSON event format, in and out, for the command line, the admin plane and bridges.
 * Owner: results belong to the caller and are freed with free(). Any thread may call.
 * Never the hot path: it allocates, and so does jansson.
 * Nothing blocks.
 * A refusal fills a fault: static text, `field` names the member. */
#pragma once

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One JSON object in the structured format -> a serialized CloudEvent that passes event_check. Rules of the
 * JSON format 1.0.2: data / data_base64 exclude each other; data with a JSON content type (or none) is kept
 * as JSON text in text_data, a missing datacontenttype is written out as application/json; other content
 * types need a string; data_base64 -> binary_data; attribute types Boolean, Integer (32 bit, else refused),
 * String; `time` -> ce_timestamp, `dataschema` -> ce_uri; null attribute = unset; depth and duplicate members
 * refused. */
bool event_from_json(const char *text, size_t length, uint8_t **event, size_t *event_length,
                     struct fault *fault);

/* A serialized CloudEvent -> one line of JSON (no newline). text_data with a JSON content type comes out as
 * the JSON value, with its numbers exactly as they were written; other text as a string; binary_data as
 * data_base64. So does text that claims to be JSON and is not, and the value of proto_data: its
 * datacontenttype is then application/protobuf and its dataschema the type URL, where they say nothing else.
 * Timestamps in RFC 3339. */
bool event_to_json(const uint8_t *event, size_t length, char **text, size_t *text_length,
                   struct fault *fault);

/* What `pub TOPIC DATA` makes. Strings may be NULL where said; data is text_data when it is valid UTF-8 and
 * the content type is text or JSON, else binary. */
struct event_parts {
    const char *id;          /* required */
    const char *source;      /* required */
    const char *type;        /* required */
    const char *subject;     /* or NULL */
    const char *contenttype; /* or NULL: none is set */
    uint64_t time_ns;        /* wall clock, 0 = no time attribute */
    const uint8_t *data;
    size_t data_length;
    bool binary; /* force binary_data */
};
bool event_build(const struct event_parts *parts, uint8_t **event, size_t *event_length, struct fault *fault);

/* The data of a serialized CloudEvent, in place; of proto_data the value, without its type URL. false when
 * there is none, or the bytes are no event. `kind` is the field number: 6 binary, 7 text, 8 proto. */
bool event_data(const uint8_t *event, size_t length, const uint8_t **data, size_t *data_length,
                uint32_t *kind);
