/* patterns.h: every pattern that somebody holds, found by its text and by the topics it matches; and the last
 * changes among those with wildcards. Owner: one route table; one thread. Literals lie in a hash table, the
 * others in the trie. A change of a literal touches one name and is not written down here. Nothing blocks.
 * Matching costs a probe and a walk of the trie. Adding fails with -ENOMEM and leaves nothing behind;
 * dropping can not fail. */
#pragma once

#include "core/base/limits.h"
#include "core/route/members.h"
#include "core/route/pages.h"
#include "core/route/trie.h"

struct pattern {
    struct members members;
    struct route *route; /* counted: the set of its members, or NULL until somebody asks */
    uint64_t key;        /* of its text, for literals and changes alike */
    uint32_t references; /* the table while it has members, and each change that names it */
    uint8_t length;
    bool wild;
    uint8_t text[];
};
static_assert(TOPIC_BYTES_MAX <= UINT8_MAX, "the length of a pattern");
static_assert(offsetof(struct pattern, text) <= 40, "with a topic of 16 bytes 64 bytes of the heap");

/* A change is told from afar by its pattern's first bytes up to the first wildcard. */
struct change {
    uint64_t prefix;
    uint64_t mask;
    struct pattern *pattern; /* counted */
};

struct patterns {
    struct pages literals; /* hash of the text -> pattern */
    struct trie wild;
    uint64_t seed;
    uint64_t count;
    uint32_t stamp; /* number of the last change of a pattern with wildcards; from 1, and 0 is never valid */
    struct change changes[ROUTE_CHANGES_KEPT]; /* change s lies at s % ROUTE_CHANGES_KEPT */
};

int patterns_init(struct patterns *patterns, uint64_t seed) MUST_USE;
void patterns_deinit(
    struct patterns *patterns); /* accepts zeroed memory; leaves the routes to the one who frees all sets */

uint64_t patterns_key(const struct patterns *patterns, const uint8_t *name, uint32_t length);
struct pattern *patterns_get(const struct patterns *patterns, const uint8_t *text, uint32_t length);
/* A pattern without members that is not there yet; NULL without memory. */
struct pattern *patterns_add(struct patterns *patterns, const uint8_t *text, uint32_t length) MUST_USE;
/* A pattern without members and without a route goes. */
void patterns_drop(struct patterns *patterns, struct pattern *pattern);

/* All that match a topic, whose key is given, the literal first: `found` (of struct pattern *) has room for
 * patterns->count. */
uint32_t patterns_match(const struct patterns *patterns, uint64_t key, const uint8_t *topic, uint32_t length,
                        void **found);

/* Writes down that the members of a pattern with wildcards have changed. True when the stamps have begun
 * anew: then every remembered stamp is worthless and must be set to 0. */
bool patterns_changed(struct patterns *patterns, struct pattern *pattern) MUST_USE;
/* Whether no change after `stamp` (not 0) can concern this topic. False as well if too many have passed to
 * know. */
bool patterns_unconcerned(const struct patterns *patterns, uint32_t stamp, const uint8_t *topic,
                          uint32_t length);
/* How many patterns hold a route; for tests, as is patterns_check. */
uint64_t patterns_routes(const struct patterns *patterns);
void patterns_check(const struct patterns *patterns);
