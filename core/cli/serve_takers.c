#include "core/cli/serve_takers.h"

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "core/routes/takes.h"
#include "core/spoke/takes.h"

#include <stdlib.h>

struct taker_question {
    struct taker_question *next;
    struct admin_offer offer;
    void (*done)(void *answer, json_t *told);
    void *answer;
};

/* ---- what runs ---- */

/* What is done with each spoke and each file of rules. */
struct looking {
    json_t *spokes, *rules;          /* lists */
    const struct admin_offer *offer; /* NULL: what they take and give is told */
    uint64_t until_ns;               /* to try the offer */
    struct serve_takers *serve;      /* which may be stopping */
};

static bool stopping(struct serve_takers *serve) {
    (void)pthread_mutex_lock(&serve->mutex);
    bool is = serve->stopping;
    (void)pthread_mutex_unlock(&serve->mutex);
    return is;
}

static uint64_t until(const struct looking *looking) {
    return looking->offer->tried && !stopping(looking->serve) ? looking->until_ns : 0;
}

static void on_spec(void *user, const struct spoke_spec *spec) {
    const struct looking *looking = user;
    const struct admin_offer *offer = looking->offer;
    if (offer == NULL) {
        (void)json_array_append_new(looking->spokes, spoke_routing_json(spec));
        return;
    }
    const struct spoke_offer asked = {offer->topic, offer->event, offer->length, until(looking)};
    (void)json_array_append_new(looking->spokes, spoke_takes_json(spec, &asked));
}

static void on_set(const struct looking *looking, const struct ruleset *set) {
    const struct admin_offer *offer = looking->offer;
    if (offer == NULL) {
        (void)json_array_append_new(looking->rules, routes_routing_json(set));
        return;
    }
    const struct routes_offer asked = {offer->topic, offer->event, offer->length, until(looking)};
    (void)json_array_append_new(looking->rules, routes_takes_json(set, &asked));
}

static json_t *look(struct serve_takers *serve, const struct admin_offer *offer) {
    struct looking looking = {.spokes = json_array(),
                              .rules = json_array(),
                              .offer = offer,
                              .until_ns = clock_mono_ns() + TAKERS_NS_MAX,
                              .serve = serve};
    if (serve->spokes->spokes != NULL)
        spokes_specs(serve->spokes->spokes, on_spec, &looking);
    const struct routes *routes = serve_routes_look(serve->routes);
    for (size_t i = 0; routes != NULL && i < routes_count(routes); i++)
        on_set(&looking, routes_set(routes, i));
    if (routes != NULL)
        serve_routes_look_away(serve->routes);
    return json_pack("{s:o, s:o}", "spokes", looking.spokes, "rules", looking.rules);
}

/* ---- the thread ---- */

/* NULL: it is stopping. */
static struct taker_question *question_take(struct serve_takers *serve) {
    (void)pthread_mutex_lock(&serve->mutex);
    while (serve->first == NULL && !serve->stopping)
        (void)pthread_cond_wait(&serve->wake, &serve->mutex);
    struct taker_question *question = serve->stopping ? NULL : serve->first;
    if (question != NULL && (serve->first = question->next) == NULL)
        serve->last = &serve->first;
    (void)pthread_mutex_unlock(&serve->mutex);
    return question;
}

static void *thread_run(void *user) {
    struct serve_takers *serve = user;
    for (struct taker_question *question; (question = question_take(serve)) != NULL;) {
        question->done(question->answer, look(serve, &question->offer));
        free(question);
    }
    return NULL;
}

/* With the mutex. */
static bool thread_there(struct serve_takers *serve) {
    if (!serve->running)
        serve->running = thread_start(&serve->thread, "rh-takers", thread_run, serve) == 0;
    return serve->running;
}

/* ---- for the admin plane ---- */

static json_t *on_routing(void *user) {
    struct serve_takers *serve = user;
    return stopping(serve) ? json_pack("{s:[], s:[]}", "spokes", "rules") : look(serve, NULL);
}

static bool on_ask(void *user, const struct admin_offer *offer, void (*done)(void *answer, json_t *told),
                   void *answer) {
    struct serve_takers *serve = user;
    struct taker_question *question = malloc(sizeof *question);
    if (question == NULL)
        return false;
    *question = (struct taker_question){.offer = *offer, .done = done, .answer = answer};
    (void)pthread_mutex_lock(&serve->mutex);
    bool taken = !serve->stopping && thread_there(serve);
    if (taken) {
        *serve->last = question;
        serve->last = &question->next;
        (void)pthread_cond_signal(&serve->wake);
    }
    (void)pthread_mutex_unlock(&serve->mutex);
    if (!taken)
        free(question);
    return taken;
}

/* ---- start and stop ---- */

const struct admin_takers *serve_takers_start(struct serve_takers *serve, struct serve_spokes *spokes,
                                              struct serve_routes *routes) {
    serve->spokes = spokes;
    serve->routes = routes;
    serve->last = &serve->first;
    serve->admin = (struct admin_takers){.user = serve, .routing = on_routing, .ask = on_ask};
    (void)pthread_mutex_init(&serve->mutex, NULL);
    (void)pthread_cond_init(&serve->wake, NULL);
    serve->started = true;
    return &serve->admin;
}

void serve_takers_stop(struct serve_takers *serve) {
    if (!serve->started)
        return;
    (void)pthread_mutex_lock(&serve->mutex);
    serve->stopping = true;
    (void)pthread_cond_signal(&serve->wake);
    (void)pthread_mutex_unlock(&serve->mutex);
    if (serve->running)
        (void)pthread_join(serve->thread, NULL);
    while (serve->first != NULL) {
        struct taker_question *question = serve->first;
        serve->first = question->next;
        question->done(question->answer, NULL);
        free(question);
    }
}
