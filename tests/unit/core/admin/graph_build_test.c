#include "core/admin/graph_build.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(graph_build);

/* JSON with ' for ". */
static json_t *read(const char *text) {
    json_error_t error;
    char *copy = strdup(text);
    for (char *at = copy; (at = strchr(at, '\'')) != NULL;)
        *at = '"';
    json_t *value = json_loads(copy, 0, &error);
    cr_assert(value != NULL, "%s: %s", copy, error.text);
    free(copy);
    return value;
}

struct scene {
    json_t *topics, *subscriptions, *queues, *feeds, *takers, *graph;
};

static struct scene scene_of(const char *topics, const char *subscriptions, const char *queues,
                             const char *feeds, const char *takers, uint32_t limit) {
    struct scene scene = {
        .topics = json_pack("{s:o, s:b, s:b}", "topics", read(topics), "more", 0, "complete", 1),
        .subscriptions =
            json_pack("{s:o, s:b, s:b}", "subscriptions", read(subscriptions), "more", 0, "complete", 1),
        .queues = json_pack("{s:o, s:b, s:b}", "queues", read(queues), "more", 0, "complete", 1),
        .feeds =
            json_pack("{s:o, s:i, s:i, s:b}", "feeds", read(feeds), "events", 12, "unread", 0, "more", 0),
        .takers = read(takers)};
    const struct graph_facts facts = {scene.topics, scene.subscriptions, scene.queues, scene.feeds,
                                      scene.takers};
    scene.graph = graph_build(&facts, limit);
    cr_assert(scene.graph != NULL);
    return scene;
}

static void scene_end(struct scene *scene) {
    json_decref(scene->topics);
    json_decref(scene->subscriptions);
    json_decref(scene->queues);
    json_decref(scene->feeds);
    json_decref(scene->takers);
    json_decref(scene->graph);
    LEAKS_NONE();
}

static const json_t *node(const struct scene *scene, const char *id) {
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(scene->graph, "nodes"), i, one) {
        if (strcmp(json_string_value(json_object_get(one, "id")), id) == 0)
            return one;
    }
    return NULL;
}

static const json_t *edge(const struct scene *scene, const char *from, const char *to) {
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(scene->graph, "edges"), i, one) {
        if (strcmp(json_string_value(json_object_get(one, "from")), from) == 0 &&
            strcmp(json_string_value(json_object_get(one, "to")), to) == 0)
            return one;
    }
    return NULL;
}

static const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool truncated(const struct scene *scene) {
    return json_is_true(json_object_get(scene->graph, "truncated"));
}

static size_t size(const struct scene *scene, const char *key) {
    return json_array_size(json_object_get(scene->graph, key));
}

#define TOPICS                                                                                               \
    "[{'topic':'a.b','rate_per_s':8.0},{'topic':'a.c','rate_per_s':0.0},"                                    \
    "{'topic':'$dlq.q','rate_per_s':0.0},{'topic':'@box','rate_per_s':1.0}]"
#define SUBSCRIPTIONS                                                                                        \
    "[{'connection':'0.1','client':'crm','patterns':['a.>','none.*'],'patterns_total':2,'filter':[]},"       \
    "{'connection':'1.1','client':'crm','patterns':['a.b'],'patterns_total':1,'filter':null},"               \
    "{'connection':'1.2','client':'','patterns':['a.c'],'patterns_total':1,'filter':null},"                  \
    "{'connection':'1.3','client':'worker','queue':'q','patterns':[],'patterns_total':0},"                   \
    "{'connection':'1.4','client':'spoke shop','queue':'spoke.shop','patterns':[]}]"
#define QUEUES                                                                                               \
    "[{'queue':'q','patterns':['a.*'],'patterns_total':1,'outstanding':3,'members':1},"                      \
    "{'queue':'@box','patterns':[],'patterns_total':0,'outstanding':0,'members':0},"                         \
    "{'queue':'spoke.shop','patterns':['a.c'],'patterns_total':1,'outstanding':0,'members':1}]"
#define FEEDS                                                                                                \
    "[{'topic':'a.b','source':'/erp','events':3},{'topic':'a.b','source':'/shop','events':1},"               \
    "{'topic':'a.c','source':'/spoke/shop','events':8}]"
#define TAKERS                                                                                               \
    "{'spokes':[{'spoke':'shop','queue':'spoke.shop','patterns':['a.c'],'topic':'in.shop'}],"                \
    "'rules':[{'file':'orders','queue':'route.orders','patterns':['a.b'],"                                   \
    "'rules':[{'rule':'large','topics':['big.a','@box']}]}]}"

Test(graph_build, joins_who_publishes_with_topics_and_topics_with_who_takes_them) {
    struct scene scene = scene_of(TOPICS, SUBSCRIPTIONS, QUEUES, FEEDS, TAKERS, 100);
    const json_t *feed = edge(&scene, "source:/erp", "topic:a.b");
    cr_assert_str_eq(text(feed, "kind"), "publishes");
    cr_expect_eq(json_integer_value(json_object_get(feed, "events")), 3);
    cr_expect_eq((int)json_number_value(json_object_get(feed, "rate_per_s")), 6, "its share of the rate");
    const json_t *taken = edge(&scene, "topic:a.b", "client:crm");
    cr_assert_str_eq(text(taken, "pattern"), "a.>", "the first that matches");
    cr_expect(json_is_true(json_object_get(taken, "filtered")));
    cr_expect(edge(&scene, "topic:a.c", "client:1.2") != NULL, "who has no name is called by its connection");
    cr_expect_eq(json_integer_value(json_object_get(node(&scene, "client:crm"), "connections")), 2);
    cr_assert_str_eq(text(edge(&scene, "pattern:none.*", "client:crm"), "pattern"), "none.*");
    cr_expect(node(&scene, "pattern:a.>") == NULL, "a pattern that matches a topic is in its edge");
    cr_expect(edge(&scene, "topic:$dlq.q", "client:crm") == NULL);
    cr_expect(!truncated(&scene));
    cr_expect(json_is_true(json_object_get(scene.graph, "complete")));
    scene_end(&scene);
}

Test(graph_build, puts_queues_between_topics_and_their_members) {
    struct scene scene = scene_of(TOPICS, SUBSCRIPTIONS, QUEUES, FEEDS, TAKERS, 100);
    cr_assert_str_eq(text(edge(&scene, "topic:a.b", "queue:q"), "pattern"), "a.*");
    cr_assert_str_eq(text(edge(&scene, "queue:q", "client:worker"), "kind"), "member");
    cr_assert_str_eq(text(edge(&scene, "queue:q", "topic:$dlq.q"), "kind"), "dead_letters");
    cr_expect_eq(json_integer_value(json_object_get(node(&scene, "queue:q"), "waiting")), 3);
    cr_assert_str_eq(text(node(&scene, "mailbox:@box"), "kind"), "mailbox");
    cr_expect(node(&scene, "topic:@box") == NULL, "a mailbox is not its own topic");
    scene_end(&scene);
}

Test(graph_build, names_spokes_and_rules_instead_of_their_connections_and_sources) {
    struct scene scene = scene_of(TOPICS, SUBSCRIPTIONS, QUEUES, FEEDS, TAKERS, 100);
    cr_assert_str_eq(text(edge(&scene, "queue:spoke.shop", "spoke:shop"), "kind"), "member");
    cr_expect(node(&scene, "client:spoke shop") == NULL);
    cr_expect(edge(&scene, "spoke:shop", "topic:a.c") != NULL, "what it brought in");
    cr_expect(node(&scene, "source:/spoke/shop") == NULL);
    cr_expect(json_is_null(json_object_get(edge(&scene, "spoke:shop", "topic:in.shop"), "events")));
    cr_assert_str_eq(text(edge(&scene, "rules:orders", "topic:big.a"), "rule"), "large");
    cr_expect(edge(&scene, "rules:orders", "mailbox:@box") != NULL);
    cr_expect(edge(&scene, "queue:route.orders", "rules:orders") != NULL,
              "also when the queue is not listed");
    scene_end(&scene);
}

Test(graph_build, is_bounded_and_says_so) {
    for (uint32_t limit = 1; limit < 3; limit++) {
        struct scene scene = scene_of(TOPICS, SUBSCRIPTIONS, QUEUES, FEEDS, TAKERS, limit);
        size_t i;
        json_t *one;
        cr_expect(truncated(&scene));
        cr_expect(size(&scene, "nodes") <= 8 * limit);
        json_array_foreach(json_object_get(scene.graph, "edges"), i, one) {
            cr_expect(node(&scene, text(one, "from")) != NULL && node(&scene, text(one, "to")) != NULL);
        }
        scene_end(&scene);
    }
    struct scene scene = scene_of("[]", "[]", "[]", "[]", "{}", 1);
    cr_expect(size(&scene, "nodes") == 0 && size(&scene, "edges") == 0 && !truncated(&scene));
    scene_end(&scene);
}

/* 150 topics by 150 subscribers are more than there may be. */
Test(graph_build, has_no_more_edges_than_there_may_be) {
    json_t *topics = json_array(), *subscriptions = json_array();
    for (int i = 0; i < 150; i++) {
        json_array_append_new(topics,
                              json_pack("{s:o, s:f}", "topic", json_sprintf("t.%d", i), "rate_per_s", 1.0));
        json_array_append_new(subscriptions, json_pack("{s:s, s:o, s:[s], s:i, s:n}", "connection", "0.1",
                                                       "client", json_sprintf("c%d", i), "patterns", "t.*",
                                                       "patterns_total", 1, "filter"));
    }
    char *all = json_dumps(topics, 0), *them = json_dumps(subscriptions, 0);
    struct scene scene = scene_of(all, them, "[]", "[]", "{}", 200);
    cr_expect_eq(size(&scene, "edges"), GRAPH_EDGES_MAX);
    cr_expect(truncated(&scene));
    free(all);
    free(them);
    json_decref(topics);
    json_decref(subscriptions);
    scene_end(&scene);
}

Test(graph_build, says_when_somebody_has_not_answered) {
    const struct graph_facts facts = {0};
    json_t *graph = graph_build(&facts, 10);
    cr_assert(graph != NULL);
    cr_expect(json_is_false(json_object_get(graph, "complete")));
    json_decref(graph);
}
