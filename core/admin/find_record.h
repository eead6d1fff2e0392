/* find_record.h: whether a record of a log is the event that is looked for, and how it is shown.
 * Owner: the caller. Any thread.
 * Pure but for the heap.
 * Nothing blocks.
 * Fails by showing nothing. */
#pragma once

#include "core/base/check.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIND_EVENTS 10u /* that are shown */

struct log_entry;

struct find_wanted {
    char *source, *id; /* own */
    size_t source_length, id_length;
    uint64_t identity; /* of both, as the journal has it */
};

bool find_wanted_init(struct find_wanted *wanted, const char *source, const char *id) MUST_USE;
void find_wanted_deinit(struct find_wanted *wanted); /* zeroed is allowed */

/* {"topic", "sequence", "log", "received_at", "event", "bytes"}; NULL: it is another one, or no event. `log`
 * is the log's number; of the entry the flags, the length and the time are looked at. */
json_t *find_record(const struct find_wanted *wanted, uint32_t log, const struct log_entry *entry,
                    const uint8_t *record);
