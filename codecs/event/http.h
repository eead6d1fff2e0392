/* http.h: the HTTP binding of CloudEvents: its modes, an event as headers and a body, the text of a header.
 * Owner: results belong to the caller and are freed with free(). Any thread may call.
 * Never the hot path: it allocates.
 * Nothing blocks.
 * A refusal fills a fault: `text` is static, `field` is the name of a header, static or the caller's own. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_mode {
    HTTP_BINARY,
    HTTP_JSON,
    HTTP_PROTOBUF,
    HTTP_BATCH_JSON,
    HTTP_BATCH_PROTOBUF,
    HTTP_UNKNOWN, /* an event or a batch in a format that is not known here */
};

/* By the Content-Type, in any case of letters, parameters aside; the prefix of batches is held against it
 * first. NULL: there is none. */
enum http_mode http_mode_of(const char *content_type);

/* Whether the charset that a Content-Type names is UTF-8 or a part of it, or none is named. */
bool http_charset_utf8(const char *content_type);

struct http_header {
    const char *name; /* in any case of letters; ends in a zero byte, as does the value */
    const char *value;
};

/* Binary mode -> a serialized CloudEvent that passes event_check. Headers that do not begin with ce- are
 * passed over, but for Content-Type, which is the datacontenttype. The body is text_data when its type is
 * JSON or text and it is UTF-8, else binary_data; no body is no data. `time` -> ce_timestamp, `dataschema` ->
 * ce_uri, all others are texts: a header does not tell their type. */
bool event_from_http(const struct http_header *headers, size_t count, const uint8_t *body, size_t length,
                     uint8_t **event, size_t *event_length, struct fault *fault);

/* The text that a header's value is: a quoted one without its quotes, then one round of percent-decoding.
 * *text is freed by the caller, without a zero byte. NULL, or why it is none: a static text. */
const char *http_value_decode(const char *value, uint8_t **text, size_t *length);

/* The same without the quotes, for a part of a path or a query. */
const char *http_percent_decode(const char *value, uint8_t **text, size_t *length);

/* Adds UTF-8 text as a header's value: blanks, quotes, percent signs and what is not printable ASCII as %XX.
 */
void http_value_encode(struct bytes *out, const char *text, size_t n);
