/* spokes.h: all spokes of a directory, spokes.d: started, listed, replaced while the router runs.
 * Owner: main starts and stops it. It has a thread of its own, which reads the files, tries them and waits
 * for spokes that end, so that nobody else waits. spokes_list and spokes_numbers may be called by any thread.
 * Applying the directory is all or nothing: when a file is wrong, or one of its golden pairs fails,
 * everything stays as it was. A spoke that changed is ended in order, and the new one goes on with its queue.
 * Blocks: spokes_start until the files are read and tried, spokes_stop until all spokes have ended.
 * Fails by a sentence at the start; later by what is told to whoever has asked. */
#pragma once

#include "core/base/check.h"
#include "core/spoke/spoke.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spokes;
struct ingest;

struct spokes_options {
    const char *dir; /* copied */
    struct spoke_world world;
    struct ingest *ingest; /* NULL: nothing comes in by HTTP; borrowed */
};

/* Starts the spokes whose files are right; about the others there are log lines. NULL: *why has a sentence.
 */
struct spokes *spokes_start(const struct spokes_options *options, char *why, size_t why_bytes) MUST_USE;
/* Ends them in order; their queues stay. It can be asked still, and says that there is none. NULL is allowed.
 */
void spokes_stop(struct spokes *spokes);
void spokes_free(struct spokes *spokes); /* after spokes_stop; NULL is allowed */

/* What became of an apply, as JSON: {"applied", "added", "changed", "removed", "unchanged", "mistakes"}.
 * Called once, on the manager's thread, which waits. */
typedef void spokes_on_applied(void *user, bool applied, const char *json);
/* Holds the directory against what runs, soon. `on_applied` may be NULL: there are log lines, too. False: no
 * memory, or it is stopping. */
bool spokes_apply(struct spokes *spokes, spokes_on_applied *on_applied, void *user);

/* {"spokes": [{"name", "transport", "state", "error", "file", and the counters}]}; the caller frees. NULL: no
 * memory. */
char *spokes_list(struct spokes *spokes);

/* One spoke's numbers, which are valid during the call. */
typedef void spokes_on_numbers(void *user, const char *name, const struct spoke_counters *out,
                               const struct inbound_counters *in);
void spokes_numbers(struct spokes *spokes, spokes_on_numbers *on_numbers, void *user);

/* Calls for the spec of each spoke that was applied, also of one that waits. The specs stay meanwhile: who
 * applies the directory waits for this to return, so it is no place to be slow without a bound. */
typedef void spokes_on_spec(void *user, const struct spoke_spec *spec);
void spokes_specs(struct spokes *spokes, spokes_on_spec *on_spec, void *user);

/* ---- without a router ---- */

/* Reads one file and tries it, with `pairs` also its golden pairs. The spec, or NULL when there are mistakes.
 */
struct spoke_spec *spokes_try(const char *path, bool pairs, struct config_mistakes *mistakes) MUST_USE;
/* The files of a directory that are spokes, in the order of their names; the caller frees each and the list.
 * -1: errno says why. */
int spokes_files(const char *dir, char ***files);
