/* apply.h: an event as the rules see it, and what they say to do with it as events.
 * Owner: the caller; a result is freed by result_free, and borrows nothing.
 * Thread: any. Pure but for the heap; the jq process between the two halves is the caller's.
 * Nothing blocks.
 * Fails by a sentence, or by bytes.failed. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/check.h"
#include "core/bridge/jq.h"
#include "core/routes/ruleset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APPLY_HOPS_MAX 16 /* rules that an event may go through, one after the other: more is a circle */

/* An event's data as JSON: a canonical message in its JSON form, JSON as it came, other text as a string, no
 * data or any other data as null. False: *why has a sentence: it says it is JSON and is not, or the like. */
bool apply_data(const uint8_t *event, size_t length, struct bytes *out, char *why, size_t why_bytes) MUST_USE;

/* The input of the rules' program for one event. */
bool apply_input(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                 struct bytes *out, char *why, size_t why_bytes) MUST_USE;
/* ... and for parts that are merged by a rule; `event` is that of the first. `parts` is JSON, an array. */
bool apply_input_merged(const uint8_t *event, size_t length, const char *topic, size_t topic_length,
                        uint32_t rule, const struct bytes *parts, struct bytes *out, char *why,
                        size_t why_bytes) MUST_USE;

/* What is to be published by one rule. */
struct apply_part {
    uint32_t rule;
    uint32_t number; /* of the rule's parts, from 0 */
    char *text;      /* the data, JSON; NULL: the event's own, as it is */
    char *key;       /* JSON; NULL: it is not merged */
};

enum apply_matched { APPLY_NOT_ASKED, APPLY_NO, APPLY_YES };

struct apply_result {
    enum apply_matched matched[RULESET_RULES_MAX];
    struct apply_part *parts;
    size_t count;
};

/* Reads what the program has answered. NULL: that is not what it can be, or there is no memory. */
struct apply_result *apply_result_read(const struct ruleset *set, const struct jq_answer *answer) MUST_USE;
void apply_result_free(struct apply_result *result); /* NULL is allowed */

/* How many rules an event has gone through. */
int32_t apply_hops(const uint8_t *event, size_t length);

/* The event that is published on target number `target` of the part's rule, from the one that caused it. Its
 * id is made of the cause's, the rule's name and the numbers, or is `id` (NULL: that). NULL: *why. The
 * caller frees it. */
uint8_t *apply_event(const struct ruleset *set, const struct apply_part *part, uint32_t target,
                     const uint8_t *cause, size_t cause_length, const char *id, size_t *length, char *why,
                     size_t why_bytes) MUST_USE;
