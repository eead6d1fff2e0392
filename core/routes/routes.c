#include "core/routes/routes.h"

#include "core/base/logfmt.h"
#include "core/routes/flow.h"
#include "core/routes/ruleset.h"
#include "core/routes/trial.h"

#include <errno.h>
#include <event2/event.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUTES_PAUSE_S 5 /* until rules that could not begin are tried again */

struct routes {
    struct ruleset **sets; /* owns, and the array */
    size_t count;
    struct flow_counters *counters; /* owns; one for each set */
    char *server;
    bool journal;
    uint64_t frame_bytes;
    bool running;
    pthread_t thread;
    int stop; /* an eventfd */
    /* Of the thread. */
    struct event_base *base;
    struct flow **flows; /* NULL: could not begin */
    struct event *again;
};

/* ---- the files ---- */

/* The golden pairs of a set: one that fails is a mistake of the file. */
static bool set_try(const struct ruleset *set, routes_on_mistake *told, void *user) {
    char why[200] = "";
    struct config_mistake mistake = {0};
    struct jq *jq = set->tests_count > 0 ? ruleset_jq(set, NULL, why, sizeof why) : NULL;
    bool right = true;
    for (uint32_t i = 0; i < set->tests_count; i++) {
        if (jq != NULL && trial_golden(set, jq, i, why, sizeof why))
            continue;
        mistake.line = set->tests[i].line;
        mistake.column = set->tests[i].column;
        (void)snprintf(mistake.text, sizeof mistake.text, "this test fails: %s", why);
        told(user, set->path, &mistake);
        right = false;
    }
    jq_free(jq);
    return right;
}

static bool set_add(struct routes *routes, const char *path, struct config_mistakes *mistakes,
                    routes_on_mistake *told, void *user) {
    struct ruleset **sets = realloc(routes->sets, (routes->count + 1) * sizeof *sets);
    if (sets == NULL)
        return false;
    routes->sets = sets;
    struct ruleset *set = ruleset_read(path, mistakes);
    for (uint32_t i = 0; set == NULL && i < mistakes->count && i < CONFIG_MISTAKES_MAX; i++)
        told(user, path, &mistakes->list[i]);
    if (set == NULL)
        return false;
    sets[routes->count++] = set;
    return set_try(set, told, user);
}

static bool directory_read(struct routes *routes, const char *path, struct config_mistakes *mistakes,
                           routes_on_mistake *told, void *user) {
    char pattern[4096];
    glob_t found = {0};
    bool right = true;
    (void)snprintf(pattern, sizeof pattern, "%s/*.yaml", path);
    int result = glob(pattern, 0, NULL, &found);
    if (result != 0 && result != GLOB_NOMATCH)
        right = false;
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
        right &= set_add(routes, found.gl_pathv[i], mistakes, told, user);
    globfree(&found);
    return right;
}

struct routes *routes_read(const char *path, routes_on_mistake *told, void *user) {
    struct stat about;
    struct config_mistakes *mistakes = calloc(1, sizeof *mistakes);
    struct routes *routes = calloc(1, sizeof *routes);
    bool right = false;
    if (mistakes != NULL && routes != NULL) {
        routes->stop = -1;
        right = stat(path, &about) == 0 && S_ISDIR(about.st_mode)
                    ? directory_read(routes, path, mistakes, told, user)
                    : set_add(routes, path, mistakes, told, user);
    }
    free(mistakes);
    if (right && (routes->counters = calloc(routes->count + 1, sizeof *routes->counters)) != NULL)
        return routes;
    routes_free(routes);
    return NULL;
}

void routes_free(struct routes *routes) {
    if (routes == NULL)
        return;
    CHECK(!routes->running);
    for (size_t i = 0; i < routes->count; i++)
        ruleset_free(routes->sets[i]);
    if (routes->stop >= 0)
        (void)close(routes->stop);
    free(routes->sets);
    free(routes->counters);
    free(routes->server);
    free(routes);
}

size_t routes_count(const struct routes *routes) {
    return routes->count;
}

const char *routes_name(const struct routes *routes, size_t index) {
    return routes->sets[index]->name;
}

const struct ruleset *routes_set(const struct routes *routes, size_t index) {
    return routes->sets[index];
}

const struct flow_counters *routes_counters(const struct routes *routes, size_t index) {
    return &routes->counters[index];
}

/* ---- the thread ---- */

static void flows_begin(struct routes *routes) {
    struct flow_options options = {.base = routes->base,
                                   .server = routes->server,
                                   .journal = routes->journal,
                                   .frame_bytes = routes->frame_bytes};
    struct timeval pause = {.tv_sec = ROUTES_PAUSE_S};
    char why[300], quoted[300];
    bool all = true;
    for (size_t i = 0; i < routes->count; i++) {
        if (routes->flows[i] != NULL)
            continue;
        options.counters = &routes->counters[i];
        routes->flows[i] = flow_new(routes->sets[i], &options, why, sizeof why);
        if (routes->flows[i] != NULL)
            continue;
        all = false;
        logfmt(LOGFMT_ERROR, "rules can not begin, and are tried again", "routes=%s reason=%s",
               routes->sets[i]->name, logfmt_quote(quoted, sizeof quoted, why, strlen(why)));
    }
    if (!all)
        (void)evtimer_add(routes->again, &pause);
}

static void on_again(evutil_socket_t socket, short what, void *user) {
    (void)socket, (void)what;
    flows_begin(user);
}

static void on_stop(evutil_socket_t socket, short what, void *user) {
    struct routes *routes = user;
    (void)socket, (void)what;
    (void)event_base_loopbreak(routes->base);
}

static void *thread_run(void *user) {
    struct routes *routes = user;
    struct event *stop = event_new(routes->base, routes->stop, EV_READ, on_stop, routes);
    routes->again = evtimer_new(routes->base, on_again, routes);
    if (stop != NULL && routes->again != NULL && event_add(stop, NULL) == 0) {
        flows_begin(routes);
        (void)event_base_dispatch(routes->base);
    }
    for (size_t i = 0; i < routes->count; i++) {
        flow_free(routes->flows[i]);
        routes->flows[i] = NULL;
    }
    if (stop != NULL)
        event_free(stop);
    if (routes->again != NULL)
        event_free(routes->again);
    return NULL;
}

int routes_start(struct routes *routes, const char *server, bool journal, uint64_t frame_bytes) {
    routes->journal = journal;
    routes->frame_bytes = frame_bytes;
    routes->server = strdup(server);
    routes->base = event_base_new();
    routes->flows = calloc(routes->count + 1, sizeof *routes->flows);
    routes->stop = eventfd(0, EFD_CLOEXEC);
    int result = routes->server == NULL || routes->base == NULL || routes->flows == NULL || routes->stop < 0
                     ? -ENOMEM
                     : -pthread_create(&routes->thread, NULL, thread_run, routes);
    routes->running = result == 0;
    if (result == 0)
        return 0;
    if (routes->base != NULL)
        event_base_free(routes->base);
    free(routes->flows);
    routes->base = NULL;
    routes->flows = NULL;
    return result;
}

void routes_stop(struct routes *routes) {
    if (!routes->running)
        return;
    CHECK(eventfd_write(routes->stop, 1) == 0);
    CHECK(pthread_join(routes->thread, NULL) == 0);
    routes->running = false;
    event_base_free(routes->base);
    free(routes->flows);
    routes->base = NULL;
    routes->flows = NULL;
}
