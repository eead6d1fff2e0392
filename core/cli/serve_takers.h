/* serve_takers.h: what spokes and files of rules would make of an event, for the admin plane: their filters,
 * mappings and rules are tried in processes of their own, which takes its time.
 * Owner: the command `serve`; the main thread starts and stops it. The table is for the admin plane's thread.
 * Blocks: the stop, until the event that is tried is done with. The trying is for a thread of its own, which
 * is there from the first question on, and takes one event at a time, for TAKERS_NS_MAX at most.
 * Fails by saying that it is not now. */
#pragma once

#include "core/admin/admin.h"
#include "core/cli/serve_routes.h"
#include "core/cli/serve_spokes.h"

#include <pthread.h>

#define TAKERS_NS_MAX (20u * NS_PER_S) /* what is not tried by then is told so */

struct taker_question;

struct serve_takers {
    struct serve_spokes *spokes; /* borrows */
    struct serve_routes *routes; /* borrows */
    struct admin_takers admin;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;
    pthread_t thread;
    bool started, running, stopping; /* started: the mutex is made; running: there is the thread */
    struct taker_question *first, **last;
};

/* After the spokes and the rules have started. What the admin plane gets. */
const struct admin_takers *serve_takers_start(struct serve_takers *serve, struct serve_spokes *spokes,
                                              struct serve_routes *routes);
/* Before these stop; the admin plane may still ask, and is told that it is not now. */
void serve_takers_stop(struct serve_takers *serve);
