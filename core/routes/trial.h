/* trial.h: the rules of a file on one event, without a router: for `roundhouse routes`, and for golden pairs.
 * Owner: the caller, who has the set and its jq process.
 * Thread: one, the caller's.
 * Blocks until the rules are evaluated.
 * Fails by a sentence. What is merged is merged with nothing else, as if the window were over. */
#pragma once

#include "core/base/check.h"
#include "core/routes/apply.h"
#include "core/routes/ruleset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event that would be published on one of the rule's targets; valid during the call. */
struct trial_event {
    uint32_t rule;
    const char *topic;
    const uint8_t *event;
    size_t length;
};
typedef void trial_on_event(void *user, const struct trial_event *event);

/* `matched` (RULESET_RULES_MAX of them) may be NULL. False: *why, and nothing would be published, though some
 * may have been told. */
bool trial_run(const struct ruleset *set, struct jq *jq, const uint8_t *event, size_t length,
               const char *topic, enum apply_matched *matched, trial_on_event *on_event, void *user,
               char *why, size_t why_bytes) MUST_USE;

/* The golden pair number `index`. False: *why says where what came differs from what is expected. */
bool trial_golden(const struct ruleset *set, struct jq *jq, uint32_t index, char *why,
                  size_t why_bytes) MUST_USE;

/* The event in CloudEvents JSON, its data as the rules see it. NULL: no memory, or it is none. The caller
 * frees it. */
char *trial_text(const uint8_t *event, size_t length);
