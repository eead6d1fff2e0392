#include "core/queue/terms.h"

#include "core/base/heap.h"
#include "core/base/limits.h"
#include "core/base/topic.h"

#include <string.h>

#define DEAD_LETTER_PREFIX       "$dlq."
#define DEAD_LETTER_PREFIX_BYTES (sizeof DEAD_LETTER_PREFIX - 1)

static bool invalid(struct fault *fault, const char *field, const char *text) {
    *fault = (struct fault){.code = RH_CODE_INVALID, .text = text, .field = field};
    return false;
}

static bool too_large(struct fault *fault, const char *field, const char *text) {
    *fault = (struct fault){.code = RH_CODE_TOO_LARGE, .text = text, .field = field};
    return false;
}

static bool letter_or_digit(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_valid(struct queue_text name, struct fault *fault) {
    static const char field[] = "subscribe.queue.name";
    struct fault reason;
    if (name.n && name.p[0] == '@')
        return topic_valid(name.p, name.n, &reason) ||
               invalid(fault, field, "a mailbox is '@' and one token of a topic, such as @crm");
    if (name.n == 0 || name.n > QUEUE_NAME_BYTES_MAX)
        return invalid(fault, field, "a queue's name has 1 to 64 bytes; leave out `queue` to have none");
    for (uint32_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!letter_or_digit((uint8_t)(c | ('A' <= c && c <= 'Z' ? 0x20 : 0))) && c != '-' && c != '_' &&
            c != '.')
            return invalid(fault, field, "a queue's name is made of letters, digits, '-', '_' and '.'");
    }
    uint8_t topic[DEAD_LETTER_PREFIX_BYTES + QUEUE_NAME_BYTES_MAX]; /* the name becomes a part of topics */
    memcpy(topic, DEAD_LETTER_PREFIX, DEAD_LETTER_PREFIX_BYTES);
    memcpy(topic + DEAD_LETTER_PREFIX_BYTES, name.p, name.n);
    return pattern_valid(topic, DEAD_LETTER_PREFIX_BYTES + name.n, &reason) ||
           invalid(
               fault, field,
               "a queue's name neither begins nor ends with '.', has no two in a row and 15 tokens at most");
}

/* An event that nobody can handle must not come back to those who could not. */
static bool patterns_match(const struct queue_terms *terms, struct queue_text topic) {
    for (uint32_t at = 0; at < terms->patterns.n; at += 1u + terms->patterns.p[at])
        if (pattern_matches(terms->patterns.p + at + 1, terms->patterns.p[at], topic.p, topic.n))
            return true;
    return false;
}

static bool dead_letter_valid(const struct queue_terms *terms, struct fault *fault) {
    static const char field[] = "subscribe.queue.dead_letter";
    struct queue_text topic = terms->dead_letter;
    struct fault reason;
    if (topic.n == 0)
        return true;
    bool own = topic.n > DEAD_LETTER_PREFIX_BYTES &&
               !memcmp(topic.p, DEAD_LETTER_PREFIX, DEAD_LETTER_PREFIX_BYTES) &&
               pattern_valid(topic.p, topic.n, &reason) && !pattern_wild(topic.p, topic.n);
    if (!own && !topic_valid(topic.p, topic.n, &reason))
        return invalid(fault, field, "must be a topic; of those that begin with '$' only $dlq.NAME");
    bool same = topic.n == terms->name.n && !memcmp(topic.p, terms->name.p, topic.n);
    return !(same || patterns_match(terms, topic)) ||
           invalid(fault, field,
                   "the queue itself gets what is sent there: name a topic that it does not match");
}

static bool key_valid(struct queue_text key, struct fault *fault) {
    static const char field[] = "subscribe.queue.key";
    if (key.n > QUEUE_KEY_BYTES_MAX)
        return too_large(fault, field, "an attribute's name has at most 64 bytes here");
    for (uint32_t i = 0; i < key.n; i++)
        if (!letter_or_digit(key.p[i]))
            return invalid(fault, field, "an attribute's name is made of small letters and digits");
    return true;
}

/* Whether the packed patterns are whole, as many as said, and each one valid. */
static bool patterns_whole(const struct queue_terms *terms, struct fault *fault) {
    uint32_t count = 0, at = 0;
    while (at < terms->patterns.n) {
        uint32_t length = terms->patterns.p[at];
        if (length > terms->patterns.n - at - 1)
            return invalid(fault, "subscribe.patterns", "the patterns end in the middle of one");
        if (!pattern_valid(terms->patterns.p + at + 1, length, fault))
            return false;
        at += 1 + length;
        count++;
    }
    return count == terms->pattern_count ||
           invalid(fault, "subscribe.patterns", "not so many patterns as said");
}

static bool patterns_valid(const struct queue_terms *terms, struct fault *fault) {
    if (terms->pattern_count > SUBSCRIBE_PATTERNS_MAX || terms->patterns.n > QUEUE_PATTERNS_BYTES_MAX)
        return too_large(fault, "subscribe.patterns", "too many patterns for one queue");
    if (terms_mailbox(terms))
        return (terms->patterns.n == 0 && terms->pattern_count == 0) ||
               invalid(fault, "subscribe.patterns",
                       "a mailbox has no patterns: it gets what is sent to its name");
    return patterns_whole(terms, fault);
}

/* 0 stands for the default and is always allowed. */
static bool numbers_valid(const struct queue_terms *terms, struct fault *fault) {
    if (terms->lease_ns && (terms->lease_ns < QUEUE_LEASE_NS_MIN || terms->lease_ns > QUEUE_LEASE_NS_MAX))
        return invalid(fault, "subscribe.queue.lease_ms", "must be from 10 to 86,400,000, or 0 for 30,000");
    if (terms->attempts > QUEUE_ATTEMPTS_MAX)
        return invalid(fault, "subscribe.queue.attempts", "must be at most 1,000, or 0 for 5");
    if (terms->backoff_ns > QUEUE_BACKOFF_NS_MAX)
        return invalid(fault, "subscribe.queue.backoff_ms", "must be at most 3,600,000, or 0 for 1,000");
    if (terms->capacity > QUEUE_CAPACITY_MAX)
        return invalid(fault, "subscribe.queue.capacity", "must be at most 16,777,216, or 0 for 10,000");
    if (terms->capacity && !terms_mailbox(terms))
        return invalid(fault, "subscribe.queue.capacity", "only a mailbox has a capacity: leave it out");
    return true;
}

static bool filters_valid(const struct queue_terms *terms, struct fault *fault) {
    if (terms->filters.n > QUEUE_FILTERS_BYTES_MAX)
        return too_large(fault, "subscribe.filters", "too many filters for one queue");
    return !(terms->filters.n && terms_mailbox(terms)) ||
           invalid(fault, "subscribe.filters", "a mailbox has no filters: it gets what is sent to its name");
}

bool terms_valid(const struct queue_terms *terms, struct fault *fault) {
    if (!name_valid(terms->name, fault) || !numbers_valid(terms, fault) || !patterns_valid(terms, fault) ||
        !filters_valid(terms, fault))
        return false;
    if (terms_mailbox(terms) && terms->group)
        return invalid(fault, "subscribe.queue.group", "a mailbox has one receiver: leave `group` out");
    if (terms->ephemeral && !terms->is_volatile)
        return invalid(fault, "subscribe.queue.ephemeral",
                       "what goes with its connection is volatile: say so, too");
    return dead_letter_valid(terms, fault) && key_valid(terms->key, fault);
}

bool terms_whole(const struct queue_terms *terms, struct fault *fault) {
    return terms->patterns.n || terms_mailbox(terms) ||
           invalid(fault, "subscribe.patterns",
                   "no queue has this name yet: to make it, say which patterns it has");
}

void terms_settle(struct queue_terms *terms) {
    static const uint8_t key[] = "partitionkey";
    if (!terms->lease_ns)
        terms->lease_ns = QUEUE_LEASE_NS_DEFAULT;
    if (!terms->attempts)
        terms->attempts = QUEUE_ATTEMPTS_DEFAULT;
    if (!terms->backoff_ns)
        terms->backoff_ns = QUEUE_BACKOFF_NS_DEFAULT;
    if (!terms->capacity && terms_mailbox(terms))
        terms->capacity = QUEUE_CAPACITY_DEFAULT;
    if (!terms->key.n)
        terms->key = (struct queue_text){key, sizeof key - 1};
}

static bool text_agrees(struct queue_text have, struct queue_text want) {
    return want.n == 0 || (want.n == have.n && !memcmp(want.p, have.p, want.n));
}

bool terms_agree(const struct queue_terms *have, const struct queue_terms *want, struct fault *fault) {
    if (want->group != have->group)
        return invalid(fault, "subscribe.queue.group",
                       have->group ? "this queue is a group: say so, too"
                                   : "this queue is not a group: leave `group` out");
    if (want->is_volatile != have->is_volatile || want->ephemeral != have->ephemeral)
        return invalid(fault, "subscribe.queue.volatile", "this queue exists, and is kept in another way");
    if (!text_agrees(have->patterns, want->patterns))
        return invalid(fault, "subscribe.patterns",
                       "this queue exists with other patterns: give the same, or none");
    if (!text_agrees(have->filters, want->filters))
        return invalid(fault, "subscribe.filters",
                       "this queue exists with other filters, or without: give the same, or none");
    if (!text_agrees(have->dead_letter, want->dead_letter))
        return invalid(fault, "subscribe.queue.dead_letter",
                       "this queue exists with another one: leave it out");
    if (!text_agrees(have->key, want->key))
        return invalid(fault, "subscribe.queue.key", "this queue exists with another key: leave it out");
    if (want->lease_ns && want->lease_ns != have->lease_ns)
        return invalid(fault, "subscribe.queue.lease_ms",
                       "this queue exists with another lease: leave it out");
    if (want->attempts && want->attempts != have->attempts)
        return invalid(fault, "subscribe.queue.attempts",
                       "this queue exists with other attempts: leave it out");
    if (want->backoff_ns && want->backoff_ns != have->backoff_ns)
        return invalid(fault, "subscribe.queue.backoff_ms",
                       "this queue exists with another pause: leave it out");
    if (want->capacity && want->capacity != have->capacity)
        return invalid(fault, "subscribe.queue.capacity",
                       "this mailbox exists with another capacity: leave it out");
    return true;
}

static uint8_t *text_copy(uint8_t *at, struct queue_text *copy, struct queue_text text) {
    *copy = (struct queue_text){at, text.n};
    if (text.n)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

size_t terms_bytes(const struct queue_terms *terms) {
    return (size_t)terms->name.n + terms->dead_letter.n + terms->key.n + 1 + terms->patterns.n +
           terms->filters.n;
}

void terms_place(struct queue_terms *copy, const struct queue_terms *terms, uint8_t *block) {
    *copy = *terms;
    uint8_t *at = text_copy(block, &copy->name, terms->name);
    at = text_copy(at, &copy->dead_letter, terms->dead_letter);
    at = text_copy(at, &copy->key, terms->key);
    *at++ = '\0';
    at = text_copy(at, &copy->patterns, terms->patterns);
    text_copy(at, &copy->filters, terms->filters);
}

void *terms_copy(struct queue_terms *copy, const struct queue_terms *terms) {
    uint8_t *block = heap_take_raw(terms_bytes(terms));
    if (block)
        terms_place(copy, terms, block);
    return block;
}
