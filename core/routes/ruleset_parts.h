/* ruleset_parts.h: what the steps of reading a file of rules share: the walk, the checks, the program.
 * Owner: ruleset_read; one thread.
 * Private to core/routes/ruleset*.c.
 * Blocks to read the files that are named, and while jq compiles.
 * Whatever is wrong becomes a mistake at its place. */
#pragma once

#include "core/config/walk.h"
#include "core/routes/ruleset.h"

struct ruleset_reading {
    struct config_walk walk;
    struct ruleset *set;
};

/* What must hold between keys; tables are read, the program is compiled. */
void ruleset_settle(struct ruleset_reading *reading);

/* The program of all rules. False: no memory. */
bool ruleset_program(struct ruleset *set) MUST_USE;
