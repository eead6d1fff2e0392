/* roster.h: the directory of spokes, held against what runs: which file is new, changed, unchanged or wrong.
 * Owner: the manager (spokes.h), which reads it, takes the specs that it starts, and throws the rest away.
 * Private to core/spoke; the manager's thread.
 * Blocks to read the files, and to try those that are new or have changed: mappings run in processes.
 * Fails by mistakes, each with its file; only a directory that can not be read has nothing but a sentence. */
#pragma once

#include "core/spoke/spec.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A file, and what it says. */
struct roster_file {
    char *path;                       /* owns */
    struct spoke_spec *spec;          /* owns; NULL: there are mistakes */
    struct config_mistakes *mistakes; /* owns */
    bool unchanged;                   /* what runs was made of the same */
};

struct roster {
    struct roster_file *files; /* owns */
    uint32_t count;
    uint32_t wrong; /* files with mistakes */
};

/* The spec that runs by this name, or NULL. */
typedef const struct spoke_spec *roster_running(void *user, const char *name);

/* `ingest`: documents can come in by HTTP. False: the directory can not be read, *why has a sentence. */
bool roster_read(struct roster *roster, const char *dir, bool ingest, roster_running *running, void *user,
                 char *why, size_t why_bytes) MUST_USE;
void roster_deinit(struct roster *roster);
const struct roster_file *roster_find(const struct roster *roster, const char *name);
/* Each as {"file", "line", "column", "text"}; and as log lines. */
json_t *roster_mistakes(const struct roster *roster);
void roster_log(const struct roster *roster);
