/* Events that match nobody: that each is counted once, by whichever worker, and none that somebody gets. */
#include "core/base/topic.h"
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static uint64_t test_ns;
static uint64_t test_clock(void) {
    return test_ns;
}

static struct world *world_make(uint32_t shards, uint32_t disks) {
    struct world *world =
        world_new(&(struct world_config){.shards = shards, .disks = disks, .socket_bytes = 64 * KIB});
    test_ns = NS_PER_S;
    for (uint32_t i = 0; i < shards; i++)
        world_worker(world, i)->clock_ns = test_clock;
    return world;
}

static uint64_t unmatched(const struct world *world) {
    return workers_sum(world->shards, offsetof(struct worker_stats, events_unmatched));
}

static uint64_t unjudged(const struct world *world) {
    return workers_sum(world->shards, offsetof(struct worker_stats, events_unjudged));
}

/* The topic number `number` of those in a log. */
static const char *topic_in(const struct world *world, uint32_t log, uint32_t number, char topic[16]) {
    const struct shards *shards = world->shards;
    for (uint32_t i = 0;; i++) {
        int n = snprintf(topic, 16, log_is_disk(shards, log) ? "d.%u" : "t%u", i);
        uint32_t slot = topic_slot(topic_hash((const uint8_t *)topic, (size_t)n, 0));
        uint32_t found = (log_is_disk(shards, log) ? shards->disk_slots : shards->slots)[slot];
        if (found == log && number-- == 0)
            return topic;
    }
}

static struct world_client *subscriber(struct world *world, uint32_t shard, const char *pattern) {
    struct world_client *client = client_new(world, shard, false);
    struct world_frame frame;
    client_subscribe(client, 1, pattern, true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    return client;
}

static void publish(struct world_client *client, const char *topic, uint32_t count) {
    static uint64_t number;
    for (uint32_t i = 0; i < count; i++)
        client_publish(client, topic, number++, 10);
    world_turns(client->world, 8);
}

static const struct unmatched_sample *sample_find(const struct world *world, const char *topic) {
    for (uint32_t i = 0; i < world->shards->config.count; i++)
        for (uint32_t k = 0; k < UNMATCHED_SAMPLES; k++) {
            const struct unmatched_sample *sample = &world_worker(world, i)->unmatched.samples[k];
            if (sample->topic_length == strlen(topic) &&
                memcmp(sample->topic, topic, sample->topic_length) == 0)
                return sample;
        }
    return NULL;
}

static void world_over(struct world *world) {
    cr_assert_eq(unjudged(world), 0);
    world_free(world);
    LEAKS_NONE();
}

Test(unmatched, counts_what_nobody_reads_at_all) {
    struct world *world = world_make(2, 0);
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    for (uint32_t log = 0; log < 2; log++)
        publish(publisher, topic_in(world, log, 0, topic), 5);
    cr_assert_eq(unmatched(world), 10);
    world_over(world);
}

Test(unmatched, begins_and_ends_with_the_only_subscription) {
    struct world *world = world_make(1, 0);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *reader = subscriber(world, 0, "t");
    struct world_frame frame;
    publish(publisher, "t", 3);
    cr_assert_eq(unmatched(world), 0);
    client_unsubscribe(reader, 1);
    client_expect(reader, WIRE_UNSUBSCRIBED, &frame);
    publish(publisher, "t", 4);
    cr_assert_eq(unmatched(world), 4);
    client_subscribe(reader, 2, ">", true);
    client_expect(reader, WIRE_SUBSCRIBED, &frame);
    publish(publisher, "t", 5);
    cr_assert_eq(unmatched(world), 4);
    world_over(world);
}

Test(unmatched, counts_among_topics_that_match) {
    struct world *world = world_make(1, 0);
    struct world_client *publisher = client_new(world, 0, false);
    subscriber(world, 0, "wanted.>");
    for (uint32_t i = 0; i < 5; i++) {
        client_publish(publisher, "wanted.1", i, 10);
        client_publish(publisher, "other.1", 100 + i, 10);
        client_publish(publisher, "other.2", 200 + i, 10);
    }
    world_turns(world, 4);
    cr_assert_eq(unmatched(world), 10);
    world_over(world);
}

/* Only the other worker reads the log: it judges. */
Test(unmatched, sees_a_subscriber_at_another_worker) {
    struct world *world = world_make(2, 0);
    struct world_client *publisher = client_new(world, 0, false);
    char wanted[16], other[16];
    subscriber(world, 1, topic_in(world, 0, 0, wanted));
    publish(publisher, wanted, 3);
    cr_assert_eq(unmatched(world), 0);
    publish(publisher, topic_in(world, 0, 1, other), 4);
    cr_assert_eq(unmatched(world), 4);
    cr_assert_eq(counter_get(&world_worker(world, 1)->stats.events_unmatched), 4);
    world_over(world);
}

Test(unmatched, asks_every_worker_that_reads_the_log) {
    struct world *world = world_make(3, 0);
    struct world_client *publisher = client_new(world, 2, false);
    char topics[4][16];
    for (uint32_t i = 0; i < 4; i++)
        (void)topic_in(world, 1, i, topics[i]);
    for (uint32_t shard = 0; shard < 3; shard++)
        subscriber(world, shard, topics[shard]);
    for (uint32_t i = 0; i < 4; i++)
        publish(publisher, topics[i], 5);
    cr_assert_eq(unmatched(world), 5);
    cr_assert_eq(counter_get(&world_worker(world, 0)->stats.events_unmatched), 5, "it has the lowest number");
    publish(publisher, topics[3], 2); /* what is known is not asked again, */
    cr_assert_eq(unmatched(world), 7);
    subscriber(world, 1, topics[3]); /* ... until somebody's patterns change */
    publish(publisher, topics[3], 2);
    cr_assert_eq(unmatched(world), 7);
    world_over(world);
}

Test(unmatched, counts_what_waits_for_an_answer) {
    struct world *world = world_make(2, 0);
    struct world_client *publisher = client_new(world, 0, false);
    char mine[16], theirs[16], nobodys[16];
    subscriber(world, 0, topic_in(world, 0, 0, mine));
    subscriber(world, 1, topic_in(world, 0, 1, theirs));
    (void)topic_in(world, 0, 2, nobodys);
    for (uint32_t i = 0; i < 3; i++) {
        client_publish(publisher, nobodys, i, 10);
        world_turn(world, 0);
        world_turn(world, 0);
        cr_assert_eq(unmatched(world), 0, "the other one has not been asked yet");
    }
    world_turns(world, 4);
    cr_assert_eq(unmatched(world), 3);
    const struct unmatched_sample *sample = sample_find(world, nobodys);
    cr_assert_not_null(sample);
    cr_assert_eq(sample->count, 3);
    world_over(world);
}

/* More topics at once than can be asked about: each event is counted, as one or the other. */
Test(unmatched, says_of_how_many_it_does_not_know) {
    struct world *world = world_make(2, 0);
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    subscriber(world, 0, topic_in(world, 0, 0, topic));
    subscriber(world, 1, topic_in(world, 0, 1, topic));
    for (uint32_t i = 0; i < 4 * UNMATCHED_QUESTIONS; i++)
        client_publish(publisher, topic_in(world, 0, 2 + i, topic), i, 10);
    world_turns(world, 20);
    cr_assert_eq(unmatched(world) + unjudged(world), 4 * UNMATCHED_QUESTIONS);
    cr_assert_geq(unmatched(world), UNMATCHED_QUESTIONS / 2);
    cr_assert_gt(unjudged(world), 0);
    world_free(world);
    LEAKS_NONE();
}

Test(unmatched, knows_queues_that_wait_for_a_member) {
    struct world *world = world_make(2, 0);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_frame frame;
    for (uint32_t i = 0; i < 2; i++) { /* kept by one worker or the other */
        struct world_client *member = client_new(world, i, false);
        char name[8], pattern[8];
        (void)snprintf(name, sizeof name, "queue%u", i);
        (void)snprintf(pattern, sizeof pattern, "q%u.>", i);
        client_join(member, 1, name, pattern, 8);
        world_turns(world, 8);
        client_expect(member, WIRE_SUBSCRIBED, &frame);
        client_leave(member, false);
    }
    world_turns(world, 4);
    publish(publisher, "q0.a", 3);
    publish(publisher, "q1.a", 3);
    cr_assert_eq(unmatched(world), 0);
    publish(publisher, "q2.a", 3);
    cr_assert_eq(unmatched(world), 3);
    struct world_client *remover = client_new(world, 0, false);
    client_remove_queue(remover, 9, "queue0");
    world_turns(world, 8);
    client_expect(remover, WIRE_UNSUBSCRIBED, &frame);
    publish(publisher, "q0.a", 2);
    publish(publisher, "q1.a", 2);
    cr_assert_eq(unmatched(world), 5);
    client_remove_queue(remover, 10, "queue1");
    world_turns(world, 8);
    client_expect(remover, WIRE_UNSUBSCRIBED, &frame);
    world_over(world);
}

Test(unmatched, waits_for_the_disk_as_subscribers_do) {
    struct world *world = world_make(2, 2);
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    publish(publisher, topic_in(world, 3, 0, topic), 4);
    cr_assert_eq(unmatched(world), 0);
    world_journal(world);
    world_turns(world, 2);
    cr_assert_eq(unmatched(world), 4);
    world_over(world);
}

/* The disk goes on between the walk of a turn and its subscriptions. */
Test(unmatched, counts_what_became_durable_as_its_home_begins_to_read) {
    struct world *world = world_make(1, 1);
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    publish(publisher, topic_in(world, 1, 0, topic), 4);
    world_journal(world);
    reader_want(world_worker(world, 0), 1);
    world_turns(world, 2);
    cr_assert_eq(unmatched(world), 4);
    reader_unwant(world_worker(world, 0), 1);
    world_over(world);
}

Test(unmatched, keeps_a_sample_of_topics_and_sources) {
    struct world *world = world_make(1, 0);
    struct world_client *publisher = client_new(world, 0, false);
    publish(publisher, "lost.1", 3);
    publish(publisher, "lost.2", 1); /* too soon after the other */
    cr_assert_null(sample_find(world, "lost.2"));
    test_ns += NS_PER_S;
    publish(publisher, "lost.1", 2);
    publish(publisher, "lost.3", 1);
    const struct unmatched_sample *first = sample_find(world, "lost.1");
    cr_assert(first != NULL && sample_find(world, "lost.3") != NULL);
    cr_assert_eq(first->count, 5);
    cr_assert_gt(first->source_length, 0);
    cr_assert_gt(first->id_length, 0);
    cr_assert_leq(first->first_ns, first->last_ns);
    for (uint32_t i = 0; i < 2 * UNMATCHED_SAMPLES; i++) {
        char topic[16];
        test_ns += NS_PER_S;
        (void)snprintf(topic, sizeof topic, "more.%u", i);
        publish(publisher, topic, 1);
        cr_assert_not_null(sample_find(world, topic), "the oldest makes room");
    }
    cr_assert_eq(unmatched(world), 7 + 2 * UNMATCHED_SAMPLES);
    world_over(world);
}
