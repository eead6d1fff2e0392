/* What clients of the simulation publish and ask for, and what the judge knows about it without the router.
 */
#include "tests/unit/core/shard/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_topics[SIM_TOPICS] = {"a",     "b",     "c",     "a.b",   "a.c",   "b.a", "b.b",
                                            "a.b.c", "a.c.c", "b.b.c", "x.y.z", "x.q.z", "box", "a.b.c.d"};

/* The last one is SIM_PATTERN_ALL. */
const char *const sim_patterns[SIM_PATTERNS] = {
    "a",   "b",     "a.b",   "b.a",   "a.b.c", "x.y.z", "box", "a.b.c.d", "no.such.topic", "*",     "a.*",
    "*.b", "*.*.c", "a.*.c", "x.*.z", "a.>",   "a.b.>", "*.>", "*.*",     "b.b",           "a.c.c", ">"};

/* Of each class some, one by name, and with the first of two that match. */
#define RULE(name, kind)                                                                                     \
    { .class = (kind), .length = sizeof(name) - 1, .pattern = name }
const struct topic_rule sim_rules[] = {RULE("a.b", TOPIC_MEMORY),   RULE("a.*", TOPIC_DISK),
                                       RULE("*.*.c", TOPIC_MEMORY), RULE("b", TOPIC_MEMORY),
                                       RULE("a", TOPIC_MEMORY),     RULE("x.>", TOPIC_MEMORY),
                                       RULE("x.y.z", TOPIC_DISK),   RULE("box", TOPIC_MEMORY)};
const uint32_t sim_rules_count = sizeof sim_rules / sizeof sim_rules[0];

bool sim_topic_disk(const char *topic, bool rules) {
    static const char *const memory[] = {"a.b", "a.b.c", "a.c.c", "b.b.c", "b", "a", "x.y.z", "x.q.z", "box"};
    for (size_t i = 0; rules && i < sizeof memory / sizeof memory[0]; i++)
        if (strcmp(topic, memory[i]) == 0)
            return false;
    return true;
}

bool sim_pattern_literal(uint32_t pattern) {
    return strpbrk(sim_patterns[pattern], "*>") == NULL;
}

/* The plain reading of the rule: token by token. */
static bool tokens_match(const char *pattern, const char *topic) {
    size_t p = strcspn(pattern, ".");
    size_t t = strcspn(topic, ".");
    if (p == 1 && pattern[0] == '>')
        return t > 0;
    bool any = p == 1 && pattern[0] == '*';
    if (t == 0 || (!any && (p != t || memcmp(pattern, topic, p) != 0)))
        return false;
    if (pattern[p] == '\0' || topic[t] == '\0')
        return pattern[p] == topic[t];
    return tokens_match(pattern + p + 1, topic + t + 1);
}

uint32_t sim_pattern_topics(uint32_t pattern) {
    uint32_t mask = 0;
    bool leading = strchr("*>", sim_patterns[pattern][0]) != NULL;
    for (uint32_t i = 0; i < SIM_TOPICS; i++)
        if (!(leading && strchr("@$", sim_topics[i][0]) != NULL) &&
            tokens_match(sim_patterns[pattern], sim_topics[i]))
            mask |= 1u << i;
    return mask;
}

/* ---- events ---- */

uint64_t sim_hash(const uint8_t *bytes, size_t length) { /* FNV-1a, a word at a time */
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ length;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    for (; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint8_t *varint_put(uint8_t *to, uint32_t value) {
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *text_put(uint8_t *to, uint8_t tag, const char *text, uint32_t length) {
    *to++ = tag;
    to = varint_put(to, length);
    memcpy(to, text, length);
    return to + length;
}

#define PATTERN_BYTES (256u * KIB)

/* Bytes that differ from place to place; an event's data begin somewhere in them. */
static const uint8_t *pattern_at(uint32_t client, uint32_t ordinal) {
    static uint8_t pattern[PATTERN_BYTES];
    if (pattern[1] == 0)
        for (uint32_t i = 0; i < PATTERN_BYTES; i++)
            pattern[i] = (uint8_t)(i * 7 + i / 251 + i / 65521);
    return pattern + (client * 1021 + ordinal * 31) % (PATTERN_BYTES - FRAME_BYTES_MIN);
}

/* id, source, spec_version, type, and data as binary_data. */
uint32_t sim_event_build(uint8_t *out, uint32_t client, uint32_t ordinal, uint32_t data_bytes) {
    char id[32];
    int length = snprintf(id, sizeof id, "%u-%u-%u", ordinal, client, data_bytes);
    uint8_t *to = text_put(out, 0x0a, id, (uint32_t)length);
    to = text_put(to, 0x12, "/sim", 4);
    to = text_put(to, 0x1a, "1.0", 3);
    to = text_put(to, 0x22, "t", 1);
    *to++ = 0x32;
    to = varint_put(to, data_bytes);
    memcpy(to, pattern_at(client, ordinal), data_bytes);
    return (uint32_t)(to - out) + data_bytes;
}

bool sim_event_read(const uint8_t *event, uint32_t length, uint32_t *client, uint32_t *ordinal,
                    uint32_t *data_bytes) {
    char id[32] = {0};
    uint32_t *const numbers[] = {ordinal, client, data_bytes};
    char *at = id;
    if (length < 2 || event[0] != 0x0a || event[1] >= sizeof id || event[1] + 2u > length)
        return false;
    memcpy(id, event + 2, event[1]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = (uint32_t)strtoul(at + (i > 0), &at, 10);
    return *at == '\0';
}
