/* core/route: who gets a topic's events; what a look costs when the topic is remembered, when it is new, and
 * while others subscribe and unsubscribe. */
#include "core/route/route.h"

#include "bench/micro/bench.h"
#include "bench/micro/data.h"
#include "core/base/topic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS        1000u /* second tokens */
#define SUBSCRIBERS   10u
#define NEW_SHARE     4u    /* of so many topics in turn one is remembered, so that each is new again */
#define TURN_LOOKUPS  2048u /* between two ends of a generation: a turn of events */
#define CHECKED_MOST  64u
#define PATTERN_BYTES 64u

struct pattern_text {
    uint32_t length;
    char text[PATTERN_BYTES];
};

/* A table, what it was told, and the topics to ask for. */
struct routes {
    struct route_table *table;
    struct pattern_text *patterns;
    route_member *members; /* beside their patterns */
    uint32_t count, capacity;
    struct data_topic *topics;
    uint32_t *order;
    uint32_t topics_count;
    uint32_t at;        /* in order */
    uint64_t looked_up; /* since the last end of a generation */
};

static const uint8_t *text_bytes(const struct pattern_text *pattern) {
    return (const uint8_t *)pattern->text;
}

static struct routes routes_new(uint32_t topics, uint32_t remembered, uint32_t patterns_max) {
    struct routes routes = {.topics = data_topics(topics, GROUPS),
                            .order = bench_shuffled(topics),
                            .topics_count = topics,
                            .capacity = patterns_max};
    struct route_config config = {.topics = remembered, .subscriptions = patterns_max + 16, .seed = 7};
    bench_must(route_create(&routes.table, &config), "a route table");
    routes.patterns = bench_memory(patterns_max * sizeof *routes.patterns);
    routes.members = bench_memory(patterns_max * sizeof *routes.members);
    return routes;
}

static void routes_free(struct routes *routes) {
    route_destroy(routes->table);
    free(routes->patterns);
    free(routes->members);
    free(routes->topics);
    free(routes->order);
}

__attribute__((format(printf, 3, 4))) static void subscribe(struct routes *routes, route_member member,
                                                            const char *format, ...) {
    CHECK(routes->count < routes->capacity);
    struct pattern_text *pattern = &routes->patterns[routes->count];
    va_list arguments;
    va_start(arguments, format);
    pattern->length = (uint32_t)vsnprintf(pattern->text, PATTERN_BYTES, format, arguments);
    va_end(arguments);
    routes->members[routes->count++] = member;
    bench_must(route_subscribe(routes->table, text_bytes(pattern), pattern->length, member),
               "a subscription");
}

/* ---- what is subscribed ---- */

/* Every topic has one subscriber by its name. */
static void subscribe_literal(struct routes *routes) {
    for (uint32_t i = 0; i < routes->topics_count; i++)
        subscribe(routes, i % SUBSCRIBERS, "%.*s", routes->topics[i].length,
                  (const char *)routes->topics[i].bytes);
}

/* A thousand patterns, of which one matches each topic. */
static void subscribe_wildcard(struct routes *routes) {
    for (uint32_t i = 0; i < GROUPS; i++)
        subscribe(routes, i % SUBSCRIBERS, "shop.%u.*.created", i);
}

/* Ten subscribers to everything. */
static void subscribe_everything(struct routes *routes) {
    for (uint32_t i = 0; i < SUBSCRIBERS; i++)
        subscribe(routes, i, ">");
}

/* A literal, and three patterns with wildcards that match each topic. */
static void subscribe_mixed(struct routes *routes) {
    subscribe_literal(routes);
    for (uint32_t i = 0; i < GROUPS; i++) {
        subscribe(routes, SUBSCRIBERS + i % SUBSCRIBERS, "shop.%u.>", i);
        subscribe(routes, 2 * SUBSCRIBERS + i % SUBSCRIBERS, "*.%u.*.created", i);
    }
    subscribe(routes, 3 * SUBSCRIBERS, ">");
}

enum kind { KIND_LITERAL, KIND_WILDCARD, KIND_EVERYTHING, KIND_MIXED };
static const char *const kinds[] = {"literal", "wildcard", "everything", "mixed"};
static void (*const subscribers[])(struct routes *) = {subscribe_literal, subscribe_wildcard,
                                                       subscribe_everything, subscribe_mixed};
static const uint32_t members_each[] = {1, 1, SUBSCRIBERS, 4};
static const char *const known_words[] = {"remembered", "new"};

/* ---- looking up ---- */

static uint32_t next_topic(struct routes *routes) {
    uint32_t topic = routes->order[routes->at];
    routes->at = routes->at + 1 == routes->topics_count ? 0 : routes->at + 1;
    return topic;
}

static const struct route *look_up(struct routes *routes, uint64_t id, uint32_t topic) {
    if (++routes->looked_up == TURN_LOOKUPS) {
        route_end_generation(routes->table);
        routes->looked_up = 0;
    }
    return route_of(routes->table, id, routes->topics[topic].bytes, routes->topics[topic].length);
}

/* The members found by `count` lookups. */
static uint64_t look_up_all(struct routes *routes, uint64_t count) {
    uint64_t members = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t topic = next_topic(routes);
        members += look_up(routes, topic + UINT64_C(1), topic)->count;
    }
    return members;
}

static uint32_t remembered_for(const struct bench_run *run, uint32_t topics) {
    uint32_t remembered = bench_is(run, "topic_is", "new") ? topics / NEW_SHARE : 2 * topics;
    return remembered < 16 ? 16 : remembered;
}

static uint64_t matches(const struct routes *routes) {
    struct route_counts counts;
    route_counts(routes->table, &counts);
    return counts.matches;
}

/* Samples of lookups, each of which finds `each` members. */
static void look_up_measure(struct bench_run *run, struct routes *routes, uint64_t each) {
    look_up_all(routes, routes->topics_count);
    while (bench_more(run)) {
        uint64_t before = matches(routes);
        bench_start(run);
        uint64_t members = look_up_all(routes, run->operations);
        bench_stop(run);
        bench_equal(run, "members found", members, run->operations * each);
        bench_figure(run, "matched_anew", (double)(matches(routes) - before) / (double)run->operations);
    }
}

/* How many of the first topics have another set of members than the plain definition of a match gives. */
static uint64_t routes_wrong(struct routes *routes) {
    uint64_t wrong = 0;
    for (uint32_t t = 0; t < routes->topics_count && t < CHECKED_MOST; t++) {
        const struct data_topic *topic = &routes->topics[t];
        const struct route *route = look_up(routes, t + UINT64_C(1), t);
        uint64_t want[SUBSCRIBERS * 4] = {0};
        uint64_t members = 0;
        for (uint32_t i = 0; i < routes->count; i++)
            if (pattern_matches(text_bytes(&routes->patterns[i]), routes->patterns[i].length, topic->bytes,
                                topic->length))
                want[routes->members[i]] = 1;
        for (uint32_t i = 0; i < route->count; i++)
            members += want[route->members[i]];
        for (uint32_t i = 0; i < SUBSCRIBERS * 4; i++)
            wrong += want[i];
        wrong -= members;
        wrong += route->count - members;
    }
    return wrong;
}

static void route_lookup(struct bench_run *run) {
    uint64_t kind = bench_value(run, "patterns");
    uint32_t topics = (uint32_t)bench_value(run, "topics");
    struct routes routes = routes_new(topics, remembered_for(run, topics), topics + 2 * GROUPS + SUBSCRIBERS);
    subscribers[kind](&routes);
    look_up_measure(run, &routes, members_each[kind]);
    bench_equal(run, "sets that differ from the definition", routes_wrong(&routes), 0);
    routes_free(&routes);
}

/* Where all are remembered anyway, none is ever new. */
static bool route_lookup_fits(const struct bench_run *run) {
    return !bench_is(run, "topic_is", "new") || bench_value(run, "topics") >= 1000;
}

/* ---- many with the same filter ---- */

static void route_identical(struct bench_run *run) {
    uint32_t same = (uint32_t)bench_value(run, "subscribers");
    struct routes routes = routes_new(4000, remembered_for(run, 4000), same);
    for (uint32_t i = 0; i < same; i++)
        subscribe(&routes, i, "shop.*.*.created");
    look_up_measure(run, &routes, same);
    struct route_counts counts;
    route_counts(routes.table, &counts);
    bench_equal(run, "more sets than the empty one and the one that all topics share", counts.routes > 2, 0);
    routes_free(&routes);
}

/* One more subscriber with the filter that all have, and away again. */
static void route_subscribe_identical(struct bench_run *run) {
    static const char text[] = "shop.*.*.created";
    uint32_t same = (uint32_t)bench_value(run, "subscribers");
    struct routes routes = routes_new(1, 16, same);
    struct route_counts counts;
    CHECK(same > 0);
    for (uint32_t i = 0; i < same; i++)
        subscribe(&routes, 2 * i, text);
    while (bench_more(run)) {
        bench_start(run);
        for (uint64_t i = 0; i < run->operations; i++) {
            route_member member = (route_member)(bench_mix(i) % same) * 2 + 1;
            bench_must(route_subscribe(routes.table, (const uint8_t *)text, sizeof text - 1, member),
                       "subscribing");
            route_unsubscribe(routes.table, (const uint8_t *)text, sizeof text - 1, member);
        }
        bench_stop(run);
        route_counts(routes.table, &counts);
        bench_equal(run, "subscriptions afterwards", counts.patterns, same);
        bench_equal(run, "members found", look_up_all(&routes, 1), same);
    }
    routes_free(&routes);
}

/* ---- lookups while others come and go ---- */

/* Subscribes on even calls and takes the same away on odd ones: a literal of a hot topic, or a pattern with a
 * wildcard that matches a tenth of a per cent of them. */
static void churn_step(struct routes *routes, uint64_t step, bool wild) {
    char text[PATTERN_BYTES];
    uint64_t which = bench_mix(step / 2);
    const struct data_topic *topic = &routes->topics[which % routes->topics_count];
    int length =
        wild ? snprintf(text, sizeof text, "shop.%llu.*.created", (unsigned long long)(which % GROUPS))
             : snprintf(text, sizeof text, "%.*s", topic->length, (const char *)topic->bytes);
    if (step % 2 == 0)
        bench_must(route_subscribe(routes->table, (const uint8_t *)text, (uint32_t)length, SUBSCRIBERS + 1),
                   "subscribing");
    else
        route_unsubscribe(routes->table, (const uint8_t *)text, (uint32_t)length, SUBSCRIBERS + 1);
}

static void route_churn(struct bench_run *run) {
    uint64_t lookups = bench_value(run, "lookups_per_change");
    bool wild = bench_is(run, "change", "wildcard");
    uint32_t topics = (uint32_t)bench_value(run, "topics");
    struct routes routes = routes_new(topics, 2 * topics, GROUPS + SUBSCRIBERS);
    uint64_t step = 0;
    subscribe_wildcard(&routes);
    look_up_all(&routes, topics);
    while (bench_more(run)) {
        uint64_t rounds = bench_whole(run, 2 * lookups);
        uint64_t members = 0;
        bench_start(run);
        for (uint64_t i = 0; i < 2 * rounds; i++) {
            churn_step(&routes, step++, wild);
            members += look_up_all(&routes, lookups);
        }
        bench_stop(run);
        bench_equal(run, "fewer members found than stay subscribed", members < run->operations, 0);
    }
    bench_equal(run, "sets that differ from the definition", routes_wrong(&routes), 0);
    routes_free(&routes);
}

/* ---- catching up with changes, or matching again ---- */

/* Changes of patterns that do not concern the topics; `changes` of them, so that an even number leaves the
 * table as it was. */
static void change_others(struct routes *routes, uint64_t changes) {
    char text[PATTERN_BYTES];
    for (uint64_t i = 0; i < changes; i++) {
        int length = snprintf(text, sizeof text, "shop.other%llu.*.created", (unsigned long long)(i / 2));
        if (i % 2 == 0)
            bench_must(
                route_subscribe(routes->table, (const uint8_t *)text, (uint32_t)length, SUBSCRIBERS + 1),
                "subscribing");
        else
            route_unsubscribe(routes->table, (const uint8_t *)text, (uint32_t)length, SUBSCRIBERS + 1);
    }
}

static void route_behind(struct bench_run *run) {
    uint64_t kind = bench_value(run, "patterns");
    uint64_t changes = bench_value(run, "changes");
    struct routes routes = routes_new(1000, 2000, 1000 + 2 * GROUPS + SUBSCRIBERS);
    subscribers[kind](&routes);
    look_up_all(&routes, routes.topics_count);
    while (bench_more(run)) {
        uint64_t laps = bench_whole(run, routes.topics_count);
        uint64_t members = 0;
        uint64_t before = matches(&routes);
        for (uint64_t lap = 0; lap < laps; lap++) {
            change_others(&routes, changes);
            bench_start(run);
            members += look_up_all(&routes, routes.topics_count);
            bench_stop(run);
        }
        bench_equal(run, "members found", members, run->operations * members_each[kind]);
        bench_equal(run, "topics matched again", matches(&routes) - before,
                    changes > ROUTE_CHANGES_KEPT ? run->operations : 0);
    }
    bench_equal(run, "sets that differ from the definition", routes_wrong(&routes), 0);
    routes_free(&routes);
}

const struct bench bench_route[] = {
    {.name = "route/lookup",
     .operation = "find the subscribers of one topic, in an order by chance",
     .operations_least = 2000,
     .once = true,
     .run = route_lookup,
     .fits = route_lookup_fits,
     .plot_over = "topics",
     .axes = {{.name = "patterns", .words = kinds, .values = {{4, {0, 1, 2, 3}}}},
              {.name = "topic_is", .words = known_words, .values = {{2, {0, 1}}}},
              {.name = "topics",
               .values = {{2, {1, 1000}},
                          {4, {1, 1000, 100000, 1000000}},
                          {7, {1, 10, 100, 1000, 10000, 100000, 1000000}}}}}},
    {.name = "route/identical",
     .operation = "find the subscribers of one topic, who all have the same filter",
     .operations_least = 2000,
     .once = true,
     .run = route_identical,
     .plot_over = "subscribers",
     .axes = {{.name = "topic_is", .words = known_words, .values = {{2, {0, 1}}}},
              {.name = "subscribers",
               .values = {{2, {1, 1000}}, {3, {1, 1000, 20000}}, {6, {1, 10, 100, 1000, 10000, 20000}}}}}},
    {.name = "route/subscribe",
     .operation = "subscribe once more with the filter that so many others have, and unsubscribe",
     .operations_least = 50,
     .run = route_subscribe_identical,
     .plot_over = "subscribers",
     .axes = {{.name = "subscribers", .values = {{2, {1, 1000}}, {3, {1, 1000, 20000}}}}}},
    {.name = "route/churn",
     .operation = "find the subscribers of one topic, with a subscribe or an unsubscribe after so many",
     .operations_least = 2000,
     .once = true,
     .run = route_churn,
     .plot_over = "lookups_per_change",
     .axes = {{.name = "change", .words = kinds, .values = {{2, {0, 1}}}},
              {.name = "lookups_per_change",
               .values = {{2, {10, 1000}}, {4, {10, 100, 1000, 10000}}, {5, {1, 10, 100, 1000, 10000}}}},
              {.name = "topics", .values = {{1, {1000}}, {1, {100000}}}}}},
    {.name = "crossover/changes",
     .operation =
         "find the subscribers of one remembered topic, after so many changes that do not concern it",
     .operations_least = 1000,
     .run = route_behind,
     .plot_over = "changes",
     .limit_name = "ROUTE_CHANGES_KEPT",
     .limit = ROUTE_CHANGES_KEPT,
     .axes = {{.name = "patterns", .words = kinds, .values = {{2, {1, 3}}}},
              {.name = "changes",
               .values = {{2, {2, 2048}},
                          {5, {2, 64, 256, 1024, 2048}},
                          {9, {2, 16, 64, 128, 256, 512, 768, 1024, 2048}}}}}},
    {0}};
