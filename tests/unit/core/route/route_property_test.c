/* Random subscriptions and topics, and every answer compared with the plain definition. */
#include "core/base/topic.h"
#include "core/route/route_table.h"
#include "tests/unit/core/route/random.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS   400
#define TOPICS  300
#define MEMBERS 24

struct pair {
    char pattern[64];
    route_member member;
};

struct world {
    struct route_table *table;
    struct random random;
    struct pair pairs[PAIRS]; /* a bag: the same one may be there twice */
    size_t count;
    char topics[TOPICS][64];
};

static const char *const tokens[] = {"a", "b", "cc", "order", "order1", "\xc3\xa9", "$sys", "@box", "a$"};

/* A name of one to five tokens; wildcards only when they are wanted. */
static void make_name(struct random *random, char *name, bool wild) {
    size_t depth = 1 + random_below(random, 5);
    name[0] = 0;
    for (size_t i = 0; i < depth; i++) {
        const char *token = tokens[random_below(random, i ? 6 : 9)];
        if (wild && random_below(random, 4) == 0)
            token = i + 1 == depth && random_below(random, 2) ? ">" : "*";
        strcat(strcat(name, i ? "." : ""), token);
    }
}

static void world_subscribe(struct world *world) {
    if (world->count == PAIRS)
        return;
    struct pair *pair = &world->pairs[world->count++];
    make_name(&world->random, pair->pattern, true);
    pair->member = (route_member)random_below(&world->random, MEMBERS);
    cr_assert_eq(route_subscribe(world->table, (uint8_t *)pair->pattern, (uint32_t)strlen(pair->pattern),
                                 pair->member),
                 0);
}

static void world_unsubscribe(struct world *world) {
    if (!world->count)
        return;
    struct pair *pair = &world->pairs[random_below(&world->random, world->count)];
    route_unsubscribe(world->table, (uint8_t *)pair->pattern, (uint32_t)strlen(pair->pattern), pair->member);
    *pair = world->pairs[--world->count];
}

/* The members by the definition, as a bitmap. */
static uint32_t world_expected(const struct world *world, const char *topic) {
    uint32_t expected = 0;
    for (size_t i = 0; i < world->count; i++) {
        const struct pair *pair = &world->pairs[i];
        if (pattern_matches((const uint8_t *)pair->pattern, strlen(pair->pattern), (const uint8_t *)topic,
                            strlen(topic)))
            expected |= 1u << pair->member;
    }
    return expected;
}

static uint32_t route_bits(const struct route *route) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        cr_assert(i == 0 || route->members[i - 1] < route->members[i], "members ascend");
        bits |= 1u << route->members[i];
    }
    return bits;
}

static const struct route *world_route(struct world *world, size_t topic) {
    const char *name = world->topics[topic];
    return route_of(world->table, 1 + topic, (const uint8_t *)name, (uint32_t)strlen(name));
}

/* Asks for some topics, and at the end looks at all the answers again: they must have stayed as they were. */
static void world_compare(struct world *world, size_t asks) {
    const struct route *answers[64];
    uint32_t expected[64];
    for (size_t i = 0; i < asks; i++) {
        size_t topic = random_below(&world->random, TOPICS);
        answers[i] = world_route(world, topic);
        expected[i] = world_expected(world, world->topics[topic]);
        cr_assert_eq(route_bits(answers[i]), expected[i], "topic %s with %zu pairs: got %x, expected %x",
                     world->topics[topic], world->count, route_bits(answers[i]), expected[i]);
    }
    for (size_t i = 0; i < asks; i++) {
        cr_assert_eq(route_bits(answers[i]), expected[i], "a route has changed within a generation");
        for (size_t j = 0; j < i; j++)
            cr_assert((answers[i] == answers[j]) == (expected[i] == expected[j]), "one set, one pointer");
    }
}

static void world_run(uint64_t seed, uint32_t topics, size_t rounds) {
    struct world *world = calloc(1, sizeof *world);
    world->random.state = seed;
    struct route_config config = {.topics = topics, .subscriptions = PAIRS, .seed = seed};
    cr_assert_eq(route_create(&world->table, &config), 0);
    for (size_t i = 0; i < TOPICS; i++)
        make_name(&world->random, world->topics[i], false);
    for (size_t round = 0; round < rounds; round++) {
        size_t changes = random_below(&world->random, 4), growing = round / 200 % 2;
        for (size_t i = 0; i < changes; i++)
            if (random_below(&world->random, 5) < 2 + growing)
                world_subscribe(world);
            else
                world_unsubscribe(world);
        if (random_below(&world->random, 2))
            route_end_generation(world->table);
        world_compare(world, random_below(&world->random, 48));
        if (round % 50 == 0)
            route_check(world->table);
    }
    while (world->count)
        world_unsubscribe(world);
    world_compare(world, 10);
    route_end_generation(world->table);
    route_check(world->table);
    route_destroy(world->table);
    free(world);
}

Test(route, answers_as_the_plain_definition_while_subscriptions_change) {
    for (uint64_t seed = 1; seed <= 4; seed++)
        world_run(seed, 1024, 1500);
    LEAKS_NONE();
}

Test(route, answers_as_the_plain_definition_while_it_forgets_most_topics) {
    for (uint64_t seed = 1; seed <= 4; seed++)
        world_run(seed + 100, 16, 1000);
    LEAKS_NONE();
}
