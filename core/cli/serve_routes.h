/* serve_routes.h: the rules of a running router: read at the start, and again when somebody asks for it.
 * Owner: the command `serve`; the main thread, and the one for changes of the config. Any thread may look at
 * the rules that run.
 * Blocks while files are read, jq compiles them, and rules that ran before end.
 * Nothing is done, and nothing fails, where the configuration has none. Rules with mistakes are told in the
 * log, and those that ran go on; at the start none do, and their queues keep what comes. */
#pragma once

#include "core/config/config.h"
#include "core/routes/routes.h"

#include <pthread.h>

struct serve_routes {
    struct routes *routes; /* owns; NULL = none run. Changed under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t let_go; /* nobody looks at the rules any more */
    uint32_t lookers;      /* under the mutex */
    const struct config *config;
    char server[CONFIG_ADDRESS_MAX + 8];
};

/* When the workers accept clients. `server` is the native listener as it is reached from here, "HOST:PORT".
 */
void serve_routes_start(struct serve_routes *serve, const struct config *config, const char *server);
void serve_routes_apply(struct serve_routes *serve);
/* The rules that run, which stay until serve_routes_look_away; NULL: none do, and nobody looks. After the
 * start, and before the stop. */
const struct routes *serve_routes_look(struct serve_routes *serve) MUST_USE;
void serve_routes_look_away(struct serve_routes *serve);
/* Before the workers stop. */
void serve_routes_stop(struct serve_routes *serve);
