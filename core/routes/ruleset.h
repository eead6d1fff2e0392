/* ruleset.h: a file of rules, routes.d/NAME.yaml, checked against a table of its keys, and the one jq program
 * that all of its rules become. docs/ROUTES.md describes the file; a test holds the two together.
 * Owner: the caller of ruleset_read; any one thread. What a set gives out is borrowed from it.
 * Blocks to read the file and those it names, and while jq compiles.
 * Fails by a list of mistakes with line and column, all of them at once. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/check.h"
#include "core/bridge/jq.h"
#include "core/config/config.h"
#include "core/config/schema.h"
#include "core/config/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `route.NAME` is a queue's name, and `quarantine.NAME` a topic. */
#define RULESET_NAME_BYTES_MAX 50u
#define RULESET_RULES_MAX      256u
#define RULESET_FILE_BYTES_MAX (16u * 1024u * 1024u) /* of a table, a dialect, an example */

enum ruleset_match { RULESET_FIRST, RULESET_ALL };

struct rule {
    char *name;
    char *when, *split, *map; /* NULL: always; not split; as it is */
    char *message;            /* what it makes is canonical, of this kind; NULL: JSON of any shape */
    char *type;               /* NULL: the canonical one, or as it was */
    struct config_texts topics;
    char *mailbox;
    char *quarantine; /* the reason */
    char *merge_key;  /* NULL: nothing is merged */
    char *merge_into;
    uint64_t merge_ns;
    uint32_t merge_count; /* 0: only the time counts */
    uint32_t line, column;
    char **targets; /* owns: all topics that it publishes on */
    uint32_t targets_count;
};

/* A golden pair. */
struct ruleset_test {
    char *input, *topic, *expect;
    uint32_t line, column;
};

/* Texts that are left out are NULL. */
struct ruleset {
    char *name;
    char *path;
    struct config_texts on;
    uint32_t match;
    char *define; /* jq definitions that all rules may use */
    uint64_t memory_bytes, time_ns, lease_ns;
    uint32_t attempts, window;
    struct config_table *tables;
    uint32_t tables_count;
    struct rule *rules;
    uint32_t rules_count;
    struct ruleset_test *tests;
    uint32_t tests_count;
    /* Made of the above. */
    char *variables; /* JSON: {"tables": {...}} */
    char *program;
};

extern const struct config_schema ruleset_schema;

/* NULL: there are mistakes; of a file that can not be read, one without a line. */
struct ruleset *ruleset_read(const char *path, struct config_mistakes *mistakes) MUST_USE;
void ruleset_free(struct ruleset *set); /* NULL is allowed */

/* The process that evaluates the rules; its inputs and outputs are those of apply.h. NULL: *why. */
struct jq *ruleset_jq(const struct ruleset *set, struct event_base *base, char *why,
                      size_t why_bytes) MUST_USE;
