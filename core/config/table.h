/* table.h: a table of CSV as a JSON object, by the text of its key column: what jq programs of rules and of
 * spokes look things up in, as $tables.NAME[KEY].
 * Owner: the caller; what the struct holds belongs to whoever has read the file that names the table.
 * Any thread may call; nothing is shared.
 * Blocks to read the table and its dialect, of at most CONFIG_TABLE_BYTES_MAX each.
 * Fails by one sentence, with file and line: a row without a key, a key that is there twice. */
#pragma once

#include "codecs/event/bytes.h"
#include "core/base/check.h"
#include "core/config/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_TABLE_BYTES_MAX (16u * 1024u * 1024u)

struct config_table {
    char *name, *file, *dialect, *key;
    struct config_texts values; /* none: all but the key */
    uint32_t line, column;      /* in the file that names it */
};

/* "NAME":{...} is added to `out`. False: *why has a sentence about the table. */
bool config_table_add(const struct config_table *table, struct bytes *out, char *why,
                      size_t why_bytes) MUST_USE;
