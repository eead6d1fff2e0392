/* terms.h: what is agreed about a queue when it is made: its name, its patterns and how it treats its
 * members. Owner: whoever holds them; texts are borrowed from the caller, or from the block of terms_copy.
 * Any thread may call: these are pure functions.
 * Nothing blocks.
 * A refusal fills `fault` with static texts that say what to do; terms_copy answers NULL without memory. */
#pragma once

#include "core/base/check.h"
#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_text {
    const uint8_t *p;
    uint32_t n;
};

/* In what a client asks for, 0 and the empty text mean: as it is, or the default for a queue that is made. */
struct queue_terms {
    struct queue_text name;
    struct queue_text dead_letter; /* topic; "" = $dlq.NAME */
    struct queue_text key;         /* attribute; "" = partitionkey */
    struct queue_text patterns;    /* one behind the other, a length byte before each; none for a mailbox */
    struct queue_text filters; /* as filter_packed of core/filter gives them; "" = none. Not looked into */
    uint64_t lease_ns;
    uint64_t backoff_ns;
    uint32_t attempts;
    uint32_t capacity;      /* of a mailbox */
    uint32_t pattern_count; /* how many `patterns` are */
    bool group;
    bool is_volatile;
    bool ephemeral; /* is volatile, too */
};

static inline bool terms_mailbox(const struct queue_terms *terms) {
    return terms->name.n && terms->name.p[0] == '@';
}
/* Whether all is well formed and within its limits. */
bool terms_valid(const struct queue_terms *terms, struct fault *fault) MUST_USE;
/* Whether valid terms are enough to make a queue by: only one that exists may be asked for without patterns.
 */
bool terms_whole(const struct queue_terms *terms, struct fault *fault) MUST_USE;
/* Puts the default where nothing was asked for. */
void terms_settle(struct queue_terms *terms);
/* Whether a queue that has the terms `have` (settled) is what somebody asks for who wants `want` (not
 * settled). */
bool terms_agree(const struct queue_terms *have, const struct queue_terms *want,
                 struct fault *fault) MUST_USE;
/* A copy whose texts lie one behind the other in `block` of terms_bytes(terms), which it then borrows from;
 * a NUL follows the key. */
size_t terms_bytes(const struct queue_terms *terms);
void terms_place(struct queue_terms *copy, const struct queue_terms *terms, uint8_t *block);
/* The same in a block that the caller owns (heap_give). */
void *terms_copy(struct queue_terms *copy, const struct queue_terms *terms) MUST_USE;
