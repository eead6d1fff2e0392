#include "core/admin/graph.h"

#include "core/admin/admin_private.h"
#include "core/admin/feeds.h"
#include "core/admin/graph_build.h"
#include "core/admin/surveys.h"

#include <errno.h>
#include <stdlib.h>

#define GRAPHS_MAX    2u /* read the logs at a time; each has a gate of LOG_READERS_MAX */
#define LIMIT_DEFAULT 100u
#define LIMIT_MAX     500u /* topics times subscribers are compared on this thread */
#define TICK_MS       1u   /* between two stretches: memory is shared with the workers */

enum asked { ASKED_TOPICS, ASKED_SUBSCRIPTIONS, ASKED_QUEUES, ASKED_ALL };

static const struct {
    enum survey_kind kind;
    surveys_make *make;
} surveys[ASKED_ALL] = {[ASKED_TOPICS] = {SURVEY_TOPICS, surveys_topics_make},
                        [ASKED_SUBSCRIPTIONS] = {SURVEY_SUBSCRIPTIONS, surveys_subscriptions_make},
                        [ASKED_QUEUES] = {SURVEY_QUEUES, surveys_queues_make}};

/* One that is made: the desk has it while workers are asked, also when the admin plane is gone; then the list
 * of those that read the logs. */
struct graph_asked {
    struct admin *admin;
    struct api_later *later;
    uint32_t limit;
    uint32_t next;              /* enum asked */
    json_t *answers[ASKED_ALL]; /* owns */
    struct feeds *feeds;        /* owns; NULL: workers are still asked */
};

struct graphs {
    struct event *tick;
    struct graph_asked *list[GRAPHS_MAX]; /* owns */
};

static void asked_free(struct graph_asked *asked) {
    for (uint32_t i = 0; i < ASKED_ALL; i++)
        json_decref(asked->answers[i]);
    feeds_free(asked->feeds);
    free(asked);
}

/* ---- the answer ---- */

static void asked_answer(struct graph_asked *asked) {
    const struct admin_takers *takers = asked->admin->config.takers;
    json_t *feeds = feeds_told(asked->feeds);
    json_t *taken = takers != NULL ? takers->routing(takers->user) : NULL;
    const struct graph_facts facts = {.topics = asked->answers[ASKED_TOPICS],
                                      .subscriptions = asked->answers[ASKED_SUBSCRIPTIONS],
                                      .queues = asked->answers[ASKED_QUEUES],
                                      .feeds = feeds,
                                      .takers = taken};
    json_t *value = graph_build(&facts, asked->limit);
    api_later_json(asked->later, HTTP_OK,
                   value != NULL ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL);
    json_decref(value);
    json_decref(feeds);
    json_decref(taken);
    asked_free(asked);
}

static void tick_arm(const struct graphs *graphs) {
    static const struct timeval soon = {.tv_usec = TICK_MS * 1000};
    (void)evtimer_add(graphs->tick, &soon);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    struct graphs *graphs = arg;
    bool any = false;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < GRAPHS_MAX; i++) {
        struct graph_asked *asked = graphs->list[i];
        if (asked != NULL && !feeds_step(asked->feeds)) {
            asked_answer(asked);
            graphs->list[i] = NULL;
        }
        any |= graphs->list[i] != NULL;
    }
    if (any)
        tick_arm(graphs);
}

/* ---- the workers ---- */

static void workers_ask(struct graph_asked *asked);

static void on_survey(void *user, const struct survey_answer *answer) {
    struct graph_asked *asked = user;
    if (answer == NULL || answer->cut) {
        api_later_error(asked->later, HTTP_SERVUNAVAIL, "stopping", "The router stops.");
        asked_free(asked);
        return;
    }
    const struct survey_question question = {.kind = surveys[asked->next].kind};
    asked->answers[asked->next] = surveys[asked->next].make(answer, &question);
    asked->next++;
    workers_ask(asked);
}

static struct graph_asked **place(struct graphs *graphs) {
    for (uint32_t i = 0; i < GRAPHS_MAX; i++)
        if (graphs->list[i] == NULL)
            return &graphs->list[i];
    return NULL;
}

static void logs_read(struct graph_asked *asked) {
    struct graph_asked **free_place = place(asked->admin->graphs);
    if (free_place != NULL)
        asked->feeds = feeds_new(asked->admin->config.shards);
    if (asked->feeds != NULL) {
        *free_place = asked;
        tick_arm(asked->admin->graphs);
        return;
    }
    if (free_place != NULL)
        api_later_json(asked->later, HTTP_SERVUNAVAIL, NULL);
    else
        surveys_refuse(asked->later, -EBUSY);
    asked_free(asked);
}

/* The next question, or the logs. */
static void workers_ask(struct graph_asked *asked) {
    struct survey_desk *desk = asked->admin->config.desk;
    if (asked->next == ASKED_ALL) {
        logs_read(asked);
        return;
    }
    const struct survey_question question = {.kind = surveys[asked->next].kind, .limit = asked->limit};
    int result = desk != NULL ? survey_ask(desk, &question, on_survey, asked) : -ESHUTDOWN;
    if (result == 0)
        return;
    surveys_refuse(asked->later, result);
    asked_free(asked);
}

/* ---- asking ---- */

static struct graphs *graphs_of(struct admin *admin) {
    if (admin->graphs != NULL)
        return admin->graphs;
    struct graphs *graphs = calloc(1, sizeof *graphs);
    if (graphs == NULL)
        return NULL;
    graphs->tick = evtimer_new(admin->base, on_tick, graphs);
    if (graphs->tick != NULL)
        return admin->graphs = graphs;
    free(graphs);
    return NULL;
}

void graphs_free(struct graphs *graphs) {
    if (graphs == NULL)
        return;
    for (uint32_t i = 0; i < GRAPHS_MAX; i++) {
        if (graphs->list[i] == NULL)
            continue;
        api_later_error(graphs->list[i]->later, HTTP_SERVUNAVAIL, "stopping", "The router stops.");
        asked_free(graphs->list[i]);
    }
    event_free(graphs->tick);
    free(graphs);
}

void on_graph(struct admin *admin, struct api_call *call) {
    uint64_t limit;
    if (!api_query_number(call, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit))
        return;
    struct graph_asked *asked = graphs_of(admin) != NULL ? calloc(1, sizeof *asked) : NULL;
    if (asked == NULL) {
        api_reply_json(call, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    *asked = (struct graph_asked){.admin = admin, .limit = (uint32_t)limit};
    asked->later = api_later(call);
    if (asked->later != NULL)
        workers_ask(asked);
    else
        asked_free(asked);
}
