/* change.h: what differs between the config that runs and another one, key by key, and what of that can be
 * changed while the router runs: what the table of keys calls live.
 * Owner: the caller frees texts, and the changes by config_changes_free. Any thread; nothing is shared.
 * Values are written as they would be in a file, with what the file left to the router worked out.
 * Nothing blocks.
 * Fails only for want of memory: -ENOMEM or NULL. */
#pragma once

#include "core/base/check.h"
#include "core/config/config.h"
#include "core/config/schema.h"

#include <stdbool.h>
#include <stdint.h>

/* A row that has a value of its own: no item of a list, and not the second name of `shards`. */
bool config_row_shown(const struct config_row *row);
bool config_row_live(const struct config_row *row);
/* Where a row's value is from; of both names of `shards`. */
struct config_origin config_origin_of(const struct config *config, const struct config_row *row);
/* Whether the text that was parsed last says nothing of a row, by neither of its names. */
bool config_left_out(const struct config *config, const struct config_row *row);
const char *config_from_name(enum config_from from); /* "default", "file", "option", "applied" */

/* The value of a row that is shown; NULL: no memory. */
char *config_text(const struct config *config, const struct config_row *row) MUST_USE;
/* The list of slots, as in a file. */
char *config_slots_text(const uint8_t slots[static SLOT_COUNT]) MUST_USE;

struct config_change {
    const struct config_row *row;
    char *from, *to; /* owns */
    bool live;
};
struct config_changes {
    uint32_t count, live;
    uint32_t slots_moved; /* of SLOT_COUNT: those that change their shard */
    struct config_change list[CONFIG_KEYS_MAX];
};

/* Fills `out`, which need not be zeroed. On failure there is nothing to free. */
int config_changes_find(struct config_changes *out, const struct config *running,
                        const struct config *wanted) MUST_USE;
void config_changes_free(struct config_changes *changes);

/* What became of a config that somebody wanted. */
enum config_fate {
    CONFIG_WRONG,   /* nothing was changed: see the mistakes */
    CONFIG_TRIED,   /* nothing was changed: only what would be was asked for */
    CONFIG_APPLIED, /* the live ones of the changes hold */
};
struct config_outcome {
    enum config_fate fate;
    bool lost; /* APPLIED, and not the file of the next start */
    struct config_mistakes mistakes;
    struct config_changes changes; /* owns */
    uint32_t options_count;        /* keys whose value in the file the command line overrules: */
    const struct config_row *options[CONFIG_KEYS_MAX];
};

/* *out is `running` with the live keys of `wanted`, and where they are from. */
void config_take_live(struct config *out, const struct config *running, const struct config *wanted);
