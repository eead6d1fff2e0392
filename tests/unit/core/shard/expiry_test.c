/* Events whose time is over are stored and acknowledged, and delivered to nobody. */
#include "tests/unit/core/shard/shard_world.h"

#include <criterion/criterion.h>
#include <time.h>

static const struct topic_rule short_lived[] = {
    {.class = TOPIC_MEMORY, .expiry_ns = NS_PER_MS, .length = 1, .pattern = ">"}};
static const struct topic_rule long_lived[] = {
    {.class = TOPIC_MEMORY, .expiry_ns = 3600 * NS_PER_S, .length = 1, .pattern = ">"}};

static void subscribed(struct world_client *client, const char *topic) {
    struct world_frame frame;
    client_subscribe(client, 1, topic, true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
}

static void expect_event(struct world_client *client, uint64_t number) {
    struct world_frame frame;
    client_expect(client, WIRE_EVENT, &frame);
    cr_assert_eq(frame.number, number, "event %lu", (unsigned long)frame.number);
}

static void expect_settled(struct world_client *client, uint64_t through) {
    struct world_frame frame;
    uint64_t settled = 0;
    while (settled < through) {
        client_expect(client, WIRE_PUBLISH_ACK, &frame);
        Roundhouse__V1__Frame *read =
            roundhouse__v1__frame__unpack(NULL, frame.wire.frame_length, frame.wire.frame);
        cr_assert_not_null(read);
        settled = read->publish_ack->through;
        cr_assert_eq(read->publish_ack->n_exceptions, 0);
        roundhouse__v1__frame__free_unpacked(read, NULL);
    }
}

static uint64_t expired(const struct world *world) {
    return workers_sum(world->shards, offsetof(struct worker_stats, events_expired));
}

static void later(void) {
    (void)nanosleep(&(struct timespec){.tv_nsec = 3 * (long)NS_PER_MS}, NULL);
}

/* Mixed with others; each record of another kind ends a run, and nothing is lost or turned round. */
Test(expiry, an_expired_event_is_left_out_and_counted_and_the_others_come) {
    struct world *world = world_new(&(struct world_config){.socket_bytes = 64 * KIB});
    struct world_client *reader = client_new(world, 0, false);
    struct world_client *writer = client_new(world, 0, true);
    subscribed(reader, ">");
    for (uint64_t i = 1; i <= 60; i++)
        client_publish(writer, "t", i | (i % 3 == 0 ? WORLD_PAST : i % 3 == 1 ? WORLD_FUTURE : 0), 10);
    expect_settled(writer, 60);
    for (uint64_t i = 1; i <= 60; i++)
        if (i % 3 != 0)
            expect_event(reader, i | (i % 3 == 1 ? WORLD_FUTURE : 0));
    cr_assert_eq(expired(world), 20);
    cr_assert_eq(workers_sum(world->shards, offsetof(struct worker_stats, events_appended)), 60);
    world_free(world);
}

Test(expiry, it_is_counted_once_for_each_subscriber_and_not_without_one) {
    struct world *world = world_new(&(struct world_config){0});
    struct world_client *writer = client_new(world, 0, true);
    client_publish(writer, "t", 1 | WORLD_PAST, 10);
    expect_settled(writer, 1);
    cr_assert_eq(expired(world), 0);
    for (int i = 0; i < 3; i++)
        subscribed(client_new(world, 0, false), "t");
    client_publish(writer, "t", 2 | WORLD_PAST, 10);
    expect_settled(writer, 2);
    world_turns(world, 2);
    cr_assert_eq(expired(world), 3);
    world_free(world);
}

Test(expiry, it_is_left_out_at_other_workers_and_behind_links) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    char topic[16];
    (void)world_topic(world, 1, topic);
    struct world_client *near = client_new(world, 0, false);
    struct world_client *home = client_new(world, 1, false);
    struct world_client *writer = client_new(world, 0, false); /* its home is the other worker */
    subscribed(near, topic);
    subscribed(home, topic);
    client_publish(writer, topic, 1 | WORLD_PAST, 10);
    client_publish(writer, topic, 2 | WORLD_FUTURE, 10);
    client_publish(writer, topic, 3 | WORLD_PAST, 10);
    client_publish(writer, topic, 4, 10);
    world_turns(world, 8);
    expect_event(near, 2 | WORLD_FUTURE);
    expect_event(near, 4);
    expect_event(home, 2 | WORLD_FUTURE);
    expect_event(home, 4);
    cr_assert_eq(expired(world), 4);
    world_free(world);
}

/* The reader's socket is full: it is behind, and what it comes to later is looked at then. */
Test(expiry, an_event_expires_while_a_laggard_is_away) {
    struct world *world = world_new(&(struct world_config){.rules = short_lived, .rules_count = 1});
    struct world_client *reader = client_new(world, 0, false);
    struct world_client *writer = client_new(world, 0, true);
    subscribed(reader, "t");
    for (uint64_t i = 1; i <= 200; i++) /* 4 KiB go into its socket */
        client_publish(writer, "t", i, 100);
    expect_settled(writer, 200);
    world_sleep(world, 0, 2);
    cr_assert_eq(counter_get(&world_worker(world, 0)->stats.laggards), 1);
    later();
    client_publish(writer, "t", 300 | WORLD_FUTURE, 10); /* its own time goes before the rule's */
    struct world_frame frame;
    uint64_t got = 0, last = 0;
    do {
        client_expect(reader, WIRE_EVENT, &frame);
        cr_assert(frame.number == (300 | WORLD_FUTURE) || frame.number == last + 1, "%lu behind %lu",
                  (unsigned long)frame.number, (unsigned long)last);
        last = frame.number;
        got++;
    } while (last != (300 | WORLD_FUTURE));
    cr_assert(got < 150 && expired(world) >= 201 - got, "%lu came, %lu expired", (unsigned long)got,
              (unsigned long)expired(world));
    world_free(world);
}

Test(expiry, a_rule_gives_a_lifetime_to_events_without_one) {
    struct world *world = world_new(&(struct world_config){.rules = long_lived, .rules_count = 1});
    struct world_client *reader = client_new(world, 0, false);
    struct world_client *writer = client_new(world, 0, false);
    subscribed(reader, "t");
    client_publish(writer, "t", 1, 10);
    client_publish(writer, "t", 2 | WORLD_PAST, 10);
    client_publish(writer, "t", 3, 10);
    expect_event(reader, 1);
    expect_event(reader, 3);
    cr_assert_eq(expired(world), 1);
    world_free(world);
}
