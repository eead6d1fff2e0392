/* topic.h: the grammar of topics and patterns, the UTF-8 check, and the way from a topic to its slot.
 * Owner: core/base (pure functions). Any thread may call.
 * A topic is 1..TOPIC_TOKENS_MAX tokens joined by '.', at most TOPIC_BYTES_MAX bytes, printable UTF-8.
 * Nothing blocks.
 * A refusal fills `fault` with a static text that is sent to the client as it is. */
#pragma once

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether `n` bytes are valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. Wide compares
 * for ASCII. */
bool utf8_valid(const uint8_t *p, size_t n);

/* Whether a publisher may use `p` as a topic: no wildcard tokens, no empty token, no control (U+0000-001F,
 * U+007F-009F), no blank (U+0020, U+00A0, U+2000-200A, U+2028, U+2029, U+202F, U+205F, U+3000) or
 * noncharacter; does not start with '$'.
 * '@' starts a mailbox: a topic of one token. */
bool topic_valid(const uint8_t *p, size_t n, struct fault *fault);

/* As topic_valid, for a subscription: a token that is exactly '*' stands for one token, a last token '>' for
 * one or more.
 * '$' may start a pattern. Any other use of '*' or '>' inside a token is refused in patterns AND in topics.
 */
bool pattern_valid(const uint8_t *p, size_t n, struct fault *fault);

/* Whether a valid pattern has wildcards. */
bool pattern_wild(const uint8_t *p, size_t n);

/* Whether a valid pattern matches a valid topic; a leading wildcard matches neither '$...' nor '@...'.
 * The plain definition, for tests and catch-up; the trie in core/route does it for many at once. */
bool pattern_matches(const uint8_t *pattern, size_t pattern_n, const uint8_t *topic, size_t topic_n);

/* Whether some topic matches both of two valid patterns. */
bool patterns_meet(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n);

/* XXH3-64 of a topic with the installation's slot seed; its slot is the top 12 bits. */
uint64_t topic_hash(const uint8_t *p, size_t n, uint64_t slot_seed);
static inline uint32_t topic_slot(uint64_t hash) {
    return (uint32_t)(hash >> 52);
}
