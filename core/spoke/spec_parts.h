/* spec_parts.h: what the two steps of reading a spoke's file share: what the walk finds, what must hold.
 * Owner: spoke_spec_read; one thread.
 * Private to core/spoke/spec*.c.
 * Blocks to read the files that the spoke's file names, and while jq compiles.
 * Whatever is wrong becomes a mistake at the key that it is about. */
#pragma once

#include "core/config/walk.h"
#include "core/spoke/spec.h"

#include <xxhash.h>

struct spec_reading {
    struct config_walk walk;
    struct spoke_spec *spec;
    XXH3_state_t *digest; /* owns */
};

/* A mistake at the value of a key, or, where it is not in the file, at the top of it. */
__attribute__((format(printf, 3, 4))) void spec_refuse(struct spec_reading *reading, const char *path,
                                                       const char *format, ...);
/* Whether a key is in the file, and nothing was wrong with it. */
bool spec_has(const struct spec_reading *reading, const char *path);
/* The text of a file that a key names; NULL: that was told, or it names none. The caller frees. */
char *spec_text(struct spec_reading *reading, const char *key, const char *path, size_t *length);

/* What must hold between keys; the files that are named are read. */
void spec_settle(struct spec_reading *reading);
