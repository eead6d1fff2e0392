#include "core/admin/graph_build.h"

#include "core/base/topic.h"

#include <stdbool.h>
#include <string.h>

enum kind {
    KIND_SOURCE,
    KIND_TOPIC,
    KIND_PATTERN, /* of a subscription or queue, that none of the topics matches */
    KIND_QUEUE,
    KIND_MAILBOX,
    KIND_CLIENT, /* by its name; who has none, by its connection */
    KIND_SPOKE,
    KIND_RULES, /* a file of them */
    KINDS
};

static const char *const kinds[KINDS] = {
    [KIND_SOURCE] = "source",   [KIND_TOPIC] = "topic",   [KIND_PATTERN] = "pattern", [KIND_QUEUE] = "queue",
    [KIND_MAILBOX] = "mailbox", [KIND_CLIENT] = "client", [KIND_SPOKE] = "spoke",     [KIND_RULES] = "rules"};

struct graph {
    uint32_t limit;
    uint32_t count[KINDS];
    json_t *nodes;  /* by id */
    json_t *topics; /* a list of those that are nodes */
    json_t *edges;  /* by the ids of both ends */
    json_t *taken;  /* by queue: the id of the spoke or file of rules that is its member */
    bool truncated;
};

/* ---- nodes ---- */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* The node of this name, which is made if there is room. NULL: there is none. */
static json_t *node_of(struct graph *graph, enum kind kind, const char *name) {
    json_t *id = json_sprintf("%s:%s", kinds[kind], name);
    json_t *node = id != NULL ? json_object_get(graph->nodes, json_string_value(id)) : NULL;
    if (node == NULL && id != NULL && graph->count[kind] < graph->limit) {
        node = json_pack("{s:O, s:s, s:s, s:n, s:n, s:n}", "id", id, "kind", kinds[kind], "name", name,
                         "rate_per_s", "waiting", "connections");
        if (json_object_set_new(graph->nodes, json_string_value(id), node) != 0)
            node = NULL;
        graph->count[kind] += node != NULL;
        if (kind == KIND_TOPIC && node != NULL)
            (void)json_array_append_new(graph->topics, json_string(name));
    }
    graph->truncated |= node == NULL;
    json_decref(id);
    return node;
}

/* What is published on the name of a mailbox is in it at once. */
static json_t *topic_of(struct graph *graph, const char *topic) {
    return node_of(graph, topic[0] == '@' ? KIND_MAILBOX : KIND_TOPIC, topic);
}

/* ---- edges ---- */

/* NULL: an end has no node, or there are too many. One that is there already stays as it is. */
static json_t *edge_of(struct graph *graph, const json_t *from, const json_t *to, const char *kind) {
    json_t *edge = NULL;
    if (from == NULL || to == NULL)
        return NULL;
    json_t *key = json_sprintf("%s %s", text_of(from, "id"), text_of(to, "id"));
    const char *text = json_string_value(key);
    bool there = text != NULL && json_object_get(graph->edges, text) != NULL;
    if (text != NULL && !there && json_object_size(graph->edges) < GRAPH_EDGES_MAX) {
        edge = json_pack("{s:s, s:s, s:s, s:n, s:b, s:n, s:n, s:n}", "from", text_of(from, "id"), "to",
                         text_of(to, "id"), "kind", kind, "pattern", "filtered", 0, "rule", "events",
                         "rate_per_s");
        if (json_object_set_new(graph->edges, text, edge) != 0)
            edge = NULL;
    }
    graph->truncated |= edge == NULL && !there;
    json_decref(key);
    return edge;
}

static void edge_set(json_t *edge, const char *key, json_t *value) {
    if (edge != NULL)
        (void)json_object_set_new(edge, key, value);
    else
        json_decref(value);
}

/* From each topic that matches to whoever asks for the pattern; or from the pattern itself. */
static void pattern_add(struct graph *graph, const char *pattern, const json_t *to, bool filtered) {
    size_t i, length = strlen(pattern);
    json_t *topic, *edge;
    bool any = false;
    json_array_foreach(graph->topics, i, topic) {
        const char *name = json_string_value(topic);
        if (!pattern_matches((const uint8_t *)pattern, length, (const uint8_t *)name, strlen(name)))
            continue;
        any = true;
        edge = edge_of(graph, node_of(graph, KIND_TOPIC, name), to, "subscribes");
        edge_set(edge, "pattern", json_string(pattern));
        edge_set(edge, "filtered", json_boolean(filtered));
    }
    if (any)
        return;
    edge = edge_of(graph, node_of(graph, KIND_PATTERN, pattern), to, "subscribes");
    edge_set(edge, "pattern", json_string(pattern));
    edge_set(edge, "filtered", json_boolean(filtered));
}

static void patterns_add(struct graph *graph, const json_t *patterns, const json_t *to, bool filtered) {
    size_t i;
    json_t *pattern;
    json_array_foreach(patterns, i, pattern) {
        pattern_add(graph, json_string_value(pattern), to, filtered);
    }
}

/* ---- what is known ---- */

static void topics_add(struct graph *graph, const json_t *topics) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(topics, "topics"), i, row) {
        json_t *node = topic_of(graph, text_of(row, "topic"));
        if (node != NULL)
            (void)json_object_set(node, "rate_per_s", json_object_get(row, "rate_per_s"));
    }
}

static void queue_take(struct graph *graph, const json_t *queue, const json_t *taker) {
    if (json_is_string(queue) && taker != NULL)
        (void)json_object_set(graph->taken, json_string_value(queue), json_object_get(taker, "id"));
}

static void targets_add(struct graph *graph, const json_t *file, const json_t *rules) {
    size_t i, k;
    json_t *rule, *topic;
    json_array_foreach(json_object_get(rules, "rules"), i, rule) {
        json_array_foreach(json_object_get(rule, "topics"), k, topic) {
            json_t *to = topic_of(graph, json_string_value(topic));
            edge_set(edge_of(graph, file, to, "publishes"), "rule", json_string(text_of(rule, "rule")));
        }
    }
}

/* Before feeds and queues: what these name as sources and members are the same. */
static void takers_add(struct graph *graph, const json_t *takers) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(takers, "spokes"), i, row) {
        json_t *spoke = node_of(graph, KIND_SPOKE, text_of(row, "spoke"));
        queue_take(graph, json_object_get(row, "queue"), spoke);
        if (json_is_string(json_object_get(row, "topic")))
            (void)edge_of(graph, spoke, topic_of(graph, text_of(row, "topic")), "publishes");
    }
    json_array_foreach(json_object_get(takers, "rules"), i, row) {
        json_t *file = node_of(graph, KIND_RULES, text_of(row, "file"));
        queue_take(graph, json_object_get(row, "queue"), file);
        targets_add(graph, file, row);
    }
}

/* A source is a node of its own, or the spoke whose documents it stands for. */
static json_t *feeder_of(struct graph *graph, const char *source) {
    static const char prefix[] = "/spoke/";
    json_t *spoke = NULL;
    if (strncmp(source, prefix, sizeof prefix - 1) == 0) {
        json_t *id = json_sprintf("%s:%s", kinds[KIND_SPOKE], source + sizeof prefix - 1);
        spoke = id != NULL ? json_object_get(graph->nodes, json_string_value(id)) : NULL;
        json_decref(id);
    }
    return spoke != NULL ? spoke : node_of(graph, KIND_SOURCE, source);
}

/* By topic: how many of its events were looked at. */
static json_t *sums_of(const json_t *list) {
    size_t i;
    json_t *row, *sums = json_object();
    json_array_foreach(list, i, row) {
        const char *topic = text_of(row, "topic");
        json_int_t sum = json_integer_value(json_object_get(sums, topic));
        sum += json_integer_value(json_object_get(row, "events"));
        (void)json_object_set_new(sums, topic, json_integer(sum));
    }
    return sums;
}

static void feeds_add(struct graph *graph, const json_t *feeds) {
    size_t i;
    json_t *row;
    const json_t *list = json_object_get(feeds, "feeds");
    json_t *sums = sums_of(list);
    json_array_foreach(list, i, row) {
        json_t *topic = topic_of(graph, text_of(row, "topic"));
        json_t *from = topic != NULL ? feeder_of(graph, text_of(row, "source")) : NULL;
        json_t *edge = edge_of(graph, from, topic, "publishes");
        json_int_t events = json_integer_value(json_object_get(row, "events"));
        json_int_t all = json_integer_value(json_object_get(sums, text_of(row, "topic")));
        double rate = json_number_value(json_object_get(topic, "rate_per_s"));
        edge_set(edge, "events", json_integer(events));
        if (all > 0 && json_is_number(json_object_get(topic, "rate_per_s")))
            edge_set(edge, "rate_per_s", json_real(rate * (double)events / (double)all));
    }
    json_decref(sums);
}

static bool listed_all(const json_t *row) {
    return json_array_size(json_object_get(row, "patterns")) ==
           (size_t)json_integer_value(json_object_get(row, "patterns_total"));
}

static json_t *queue_of(struct graph *graph, const char *name) {
    return node_of(graph, name[0] == '@' ? KIND_MAILBOX : KIND_QUEUE, name);
}

/* Where what it could not deliver has gone, if anything has. */
static void dead_letters_add(struct graph *graph, const char *name, const json_t *queue) {
    json_t *id = json_sprintf("%s:$dlq.%s", kinds[KIND_TOPIC], name);
    const json_t *topic = id != NULL ? json_object_get(graph->nodes, json_string_value(id)) : NULL;
    (void)edge_of(graph, queue, topic, "dead_letters");
    json_decref(id);
}

static void queue_add(struct graph *graph, const json_t *row) {
    const char *name = text_of(row, "queue");
    json_t *queue = queue_of(graph, name);
    if (queue == NULL)
        return;
    (void)json_object_set(queue, "waiting", json_object_get(row, "outstanding"));
    (void)json_object_set(queue, "connections", json_object_get(row, "members"));
    patterns_add(graph, json_object_get(row, "patterns"), queue, false);
    dead_letters_add(graph, name, queue);
    graph->truncated |= name[0] != '@' && !listed_all(row);
}

static void queues_add(struct graph *graph, const json_t *queues) {
    size_t i;
    json_t *row;
    const char *name;
    json_t *taker;
    json_array_foreach(json_object_get(queues, "queues"), i, row) {
        queue_add(graph, row);
    }
    json_object_foreach(graph->taken, name, taker) {
        const json_t *to = json_object_get(graph->nodes, json_string_value(taker));
        (void)edge_of(graph, queue_of(graph, name), to, "member");
    }
}

static json_t *client_of(struct graph *graph, const json_t *row) {
    const char *name = text_of(row, "client");
    json_t *client = node_of(graph, KIND_CLIENT, *name != '\0' ? name : text_of(row, "connection"));
    if (client == NULL)
        return NULL;
    /* Subscriptions of one connection come one behind the other or not: their connections are counted by a
     * list that goes at the end. */
    json_t *seen = json_object_get(client, "seen");
    if (seen == NULL && json_object_set_new(client, "seen", json_object()) == 0)
        seen = json_object_get(client, "seen");
    (void)json_object_set_new(seen, text_of(row, "connection"), json_true());
    return client;
}

/* A member is its queue's reader; what a spoke or a file of rules is a member of is theirs. */
static void subscription_add(struct graph *graph, const json_t *row) {
    const json_t *queue = json_object_get(row, "queue");
    if (json_is_string(queue)) {
        if (json_object_get(graph->taken, json_string_value(queue)) == NULL)
            (void)edge_of(graph, queue_of(graph, json_string_value(queue)), client_of(graph, row), "member");
        return;
    }
    const json_t *client = client_of(graph, row);
    if (client != NULL)
        patterns_add(graph, json_object_get(row, "patterns"), client,
                     !json_is_null(json_object_get(row, "filter")));
    graph->truncated |= !listed_all(row);
}

static void subscriptions_add(struct graph *graph, const json_t *subscriptions) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(subscriptions, "subscriptions"), i, row) {
        subscription_add(graph, row);
    }
}

/* ---- the answer ---- */

static json_t *values_list(json_t *object) {
    json_t *list = json_array(), *value;
    const char *key;
    json_object_foreach(object, key, value) {
        const json_t *seen = json_object_get(value, "seen");
        if (seen != NULL) {
            (void)json_object_set_new(value, "connections", json_integer((json_int_t)json_object_size(seen)));
            (void)json_object_del(value, "seen");
        }
        (void)json_array_append(list, value);
    }
    return list;
}

static bool more(const json_t *answer) {
    return json_is_true(json_object_get(answer, "more"));
}

static bool complete(const json_t *answer) {
    return answer != NULL && json_is_true(json_object_get(answer, "complete"));
}

json_t *graph_build(const struct graph_facts *facts, uint32_t limit) {
    struct graph graph = {.limit = limit,
                          .nodes = json_object(),
                          .topics = json_array(),
                          .edges = json_object(),
                          .taken = json_object()};
    topics_add(&graph, facts->topics);
    takers_add(&graph, facts->takers);
    feeds_add(&graph, facts->feeds);
    queues_add(&graph, facts->queues);
    subscriptions_add(&graph, facts->subscriptions);
    graph.truncated |=
        more(facts->topics) || more(facts->feeds) || more(facts->queues) || more(facts->subscriptions);
    bool whole = complete(facts->topics) && complete(facts->queues) && complete(facts->subscriptions);
    const json_t *looked_at = json_object_get(facts->feeds, "events");
    json_t *value = json_pack("{s:o, s:o, s:I, s:b, s:b}", "nodes", values_list(graph.nodes), "edges",
                              values_list(graph.edges), "events_looked_at", json_integer_value(looked_at),
                              "truncated", graph.truncated, "complete", whole);
    json_decref(graph.nodes);
    json_decref(graph.topics);
    json_decref(graph.edges);
    json_decref(graph.taken);
    return value;
}
