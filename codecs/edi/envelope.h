/* envelope.h: what the envelopes of EDIFACT and X12 have in common: values that are kept until their trailer
 * comes, counts, references, dates, and references that come twice.
 * Owner: the reader that has these inside. Thread: the one that feeds the reader.
 * Nothing blocks. Only `refs` allocates, up to REFS_MAX entries, and forgets all when it may not.
 * Fails by saying no. */
#pragma once

#include "codecs/document/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- values that outlive their segment ---- */

#define KEEP_BYTES 1536u
#define KEEP_VALUE 128u /* the longest that a standard allows has 35; what is longer is cut */

struct keep {
    uint32_t used;
    char bytes[KEEP_BYTES];
};

/* A copy without release characters; empty for an empty one, or when there is no room. */
struct value keep_value(struct keep *keep, struct value value, uint8_t release);

/* Joins those of the values that are there by ':': UNOC:3, D:96A:UN. Trailing empty ones are left out. */
struct value keep_joined(struct keep *keep, const struct value *values, unsigned count, uint8_t release);

/* Without blanks at its end: ISA fills up with them. */
struct value value_trimmed(struct value value);

/* ---- counts and references ---- */

/* Whether the value is this number, with or without leading zeros. */
bool count_is(struct value value, uint64_t count);

enum reference_match { REFERENCE_SAME, REFERENCE_ZEROS, REFERENCE_DIFFERS };

/* `value` as it stands in the trailer; `kept` from keep_value. */
enum reference_match reference_match(struct value kept, struct value value, uint8_t release);

/* ---- dates ---- */

/* CCYYMMDD of YYMMDD or CCYYMMDD, kept; empty if it is no date. */
struct value keep_date(struct keep *keep, struct value value, uint16_t pivot);

/* HHMM, HHMMSS, or with decimals behind it. */
bool time_valid(struct value value);

/* ---- references that were there before ---- */

#define REFS_MAX 65536u /* of one interchange; with more, those before are forgotten */

struct refs {
    uint64_t *slots; /* hashes; 0: empty */
    uint32_t size;
    uint32_t count;
};

void refs_clear(struct refs *refs);
void refs_deinit(struct refs *refs);

/* Whether it was there before; remembers it. */
bool refs_seen(struct refs *refs, struct value value);
