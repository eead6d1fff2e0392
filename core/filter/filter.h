/* filter.h: which events pass the filters of a subscription: the dialects exact, prefix, suffix, all, any and
 * not of the CloudEvents Subscriptions API, on attributes, never on data.
 * Owner: whoever made it. A filter never changes, so any thread may ask it. Pure data: it knows no topic.
 * Compiled once. Asking is one walk over the fields of the serialized event, up to the last attribute that is
 * named, and then comparisons, each at most once; nothing is unpacked, nothing allocated, nothing blocks.
 * A value that is no text is compared in its canonical form as CloudEvents has it: true and false, decimal
 * integers, times in RFC 3339 (UTC, with 0, 3, 6 or 9 digits of fraction), bytes in base64. An attribute that
 * an event has not makes a comparison false; `not` makes of false true, whatever it came of.
 * A refusal fills a fault with static texts and the field "subscribe.filters"; without memory that is
 * RH_CODE_EXHAUSTED. */
#pragma once

#include "core/base/check.h"
#include "core/base/error.h"
#include "roundhouse/v1/wire.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter;

enum filter_dialect { FILTER_EXACT, FILTER_PREFIX, FILTER_SUFFIX, FILTER_ALL, FILTER_ANY, FILTER_NOT };

/* ---- making ---- */

/* The filters of one subscription, all of which an event has to pass; at least one. */
bool filter_compile(Roundhouse__V1__Filter *const *filters, size_t count, struct filter **out,
                    struct fault *fault) MUST_USE;
/* The same from JSON: an array as the Subscriptions API has it, or one filter alone. An empty array is none:
 * *out is NULL. */
bool filter_from_json(const char *text, size_t length, struct filter **out, struct fault *fault) MUST_USE;
/* The same from filter_packed, or from bytes of anywhere. */
bool filter_unpack(const uint8_t *packed, size_t length, struct filter **out, struct fault *fault) MUST_USE;
void filter_free(struct filter *filter); /* accepts NULL */

/* ---- asking ---- */

/* Whether a serialized CloudEvent passes; it is one that event_check has accepted. */
bool filter_passes(const struct filter *filter, const uint8_t *event, size_t length);

#define FILTER_PATH_BYTES  96u
#define FILTER_SHOWN_BYTES 128u

/* Why an event passes, or does not. */
struct filter_finding {
    bool passes;
    bool has;                     /* the event has the attribute */
    enum filter_dialect dialect;  /* of the filter that decides: the smallest one that does so alone */
    char path[FILTER_PATH_BYTES]; /* where it stands: "[0].any[2].not", as indexes into the array of filters;
                                     ends in "..." when it is longer */
    const char *attribute;        /* the one that decides; NULL: several do. Borrowed from the filter, */
    const char *wanted;           /* ... as is what it is compared with; NULL: several, or several texts */
    char value[FILTER_SHOWN_BYTES]; /* of the event, in canonical form; the same */
};
void filter_explain(const struct filter *filter, const uint8_t *event, size_t length,
                    struct filter_finding *out);
const char *filter_dialect_name(enum filter_dialect dialect);

/* ---- telling ---- */

/* A serialized roundhouse.v1.Filters; the attributes of one filter by their names. Two filters with the same
 * bytes are the same. Borrowed from the filter. */
const uint8_t *filter_packed(const struct filter *filter, size_t *length);
/* The array as the Subscriptions API has it, in one line; freed by the caller. NULL: no memory. */
char *filter_to_json(const struct filter *filter) MUST_USE;
