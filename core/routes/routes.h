/* routes.h: all rules of a router: the files of one directory, on a thread of their own with an event loop.
 * Owner: whoever has read them, who starts and stops them.
 * Thread: the owner's; the thread that it starts touches nothing but the router's listener.
 * Blocks: routes_read, to read the files; routes_stop, until the thread has ended.
 * Fails by mistakes that are told one by one, and by a negative errno. */
#pragma once

#include "core/base/check.h"
#include "core/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct routes;
struct ruleset;
struct flow_counters;

typedef void routes_on_mistake(void *user, const char *path, const struct config_mistake *mistake);

/* All NAME.yaml of the directory, or the one file that `path` is; their golden pairs are run. NULL: there are
 * mistakes, and `told` was called for each of them. */
struct routes *routes_read(const char *path, routes_on_mistake *told, void *user) MUST_USE;
void routes_free(struct routes *routes); /* stopped, or never started; NULL is allowed */

/* `server`: "HOST:PORT" of the native listener; `journal`: the router has one; `frame_bytes`: what it takes,
 * 0: the default. What of the rules can not begin is told in the log, and tried again. */
int routes_start(struct routes *routes, const char *server, bool journal, uint64_t frame_bytes) MUST_USE;
/* What is on its way comes again when they are started the next time. */
void routes_stop(struct routes *routes);

size_t routes_count(const struct routes *routes);
const char *routes_name(const struct routes *routes, size_t index);
/* Any thread may look at it, as long as the routes live. */
const struct ruleset *routes_set(const struct routes *routes, size_t index);
/* Any thread may read them, as long as the routes live. */
const struct flow_counters *routes_counters(const struct routes *routes, size_t index);
