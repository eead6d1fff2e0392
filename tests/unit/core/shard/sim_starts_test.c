/* Scenes of subscriptions that begin elsewhere than live: the judge of the simulation looks on. */
#include "tests/unit/core/shard/sim_scene.h"
#include "core/base/topic.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* A client that asks to begin as `begin` says. */
static struct sim_client *begins(struct sim_world *world, uint32_t patterns, struct sim_begin begin) {
    struct sim_client *client = sim_connect(world, true);
    sim_subscribe_from(client, 1, patterns, SKIP, &begin);
    scene_says(client);
    scene_reads(client);
    return client;
}

/* Two of "a", one of "b", two of "a.b", one of "a" again. */
static void publish_some(struct sim_client *says_it) {
    scene_published(says_it, TOPIC_A, 2, 10);
    scene_published(says_it, TOPIC_B, 1, 10);
    scene_published(says_it, TOPIC_AB, 2, 10);
    scene_published(says_it, TOPIC_A, 1, 10);
}

Test(sim_starts, the_oldest_is_the_first_that_is_kept) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(sim_setup_plain(workers));
        struct sim_client *says_it = scene_publisher(world);
        publish_some(says_it);
        (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_OLDEST});
        cr_assert_eq(world->events, 6);
        scene_published(says_it, TOPIC_B, 1, 10);
        scene_end(world);
    }
}

Test(sim_starts, a_ring_that_went_round_has_an_oldest_all_the_same) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 40, 4000);
    cr_assert_gt(log_oldest(world->logs[0].log), 1);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_OLDEST});
    cr_assert_eq(world->gaps, 0);
    cr_assert_gt(world->events, 10);
    scene_end(world);
}

Test(sim_starts, a_sequence_is_where_its_topic_goes_on) {
    struct sim_world *world = scene_world(sim_setup_plain(2));
    struct sim_client *says_it = scene_publisher(world);
    publish_some(says_it);
    uint64_t second = 2; /* of "a" */
    (void)begins(world, PATTERN_A,
                 (struct sim_begin){.kind = START_SEQUENCE, .value = sequence_make(EPOCH_FIRST, second)});
    cr_assert_eq(world->events, 2);
    (void)begins(world, PATTERN_A,
                 (struct sim_begin){
                     .kind = START_SEQUENCE,
                     .value = sequence_make(EPOCH_FIRST, world->logs[world->homes[TOPIC_A]].count + 1)});
    cr_assert_eq(world->events, 2, "behind the last one it is live");
    scene_published(says_it, TOPIC_A, 1, 10);
    scene_end(world);
}

Test(sim_starts, a_sequence_that_is_gone_is_a_gap_if_something_of_its_topic_is) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_B, 1, 10);
    scene_published(says_it, TOPIC_A, 40, 4000);
    (void)begins(world, PATTERN_B,
                 (struct sim_begin){.kind = START_SEQUENCE, .value = sequence_make(EPOCH_FIRST, 2)});
    cr_assert_eq(world->gaps, 0);
    (void)begins(world, PATTERN_A,
                 (struct sim_begin){.kind = START_SEQUENCE, .value = sequence_make(EPOCH_FIRST, 2)});
    cr_assert_eq(world->gaps, 1);
    scene_end(world);
}

Test(sim_starts, a_time_is_the_first_that_was_received_then) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 2, 10);
    sim_time(world, NS_PER_S);
    uint64_t then = sim_now_ns();
    sim_time(world, NS_PER_MS);
    scene_published(says_it, TOPIC_A, 3, 10);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_TIME, .value = then});
    cr_assert_eq(world->events, 3);
    cr_assert_eq(world->gaps, 0);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_TIME, .value = sim_now_ns()});
    cr_assert_eq(world->events, 3, "of now there is nothing yet");
    scene_end(world);
}

Test(sim_starts, a_time_before_all_that_is_kept_is_a_gap_if_something_is_gone) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 2, 10);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_TIME, .value = 1});
    cr_assert(world->events == 2 && world->gaps == 0);
    scene_published(says_it, TOPIC_A, 40, 4000);
    struct sim_client *late = begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_TIME, .value = 1});
    cr_assert_eq(world->gaps, 1);
    cr_assert(!late->subs[0].fresh);
    scene_end(world);
}

/* The wall clock of the next test: it steps back. */
static uint64_t wall_ns;
static uint64_t wall(void) {
    return wall_ns;
}

Test(sim_starts, a_clock_that_steps_back_hides_nothing_behind_the_first_of_its_time) {
    static const uint64_t times[] = {10, 20, 30, 15, 16, 40};
    static const struct {
        uint64_t from;
        uint32_t events;
    } asked[] = {{10, 6}, {15, 5}, {20, 5}, {21, 4}, {30, 4}, {31, 1}, {40, 1}};
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    sim_worker(world, 0)->clock_wall = wall;
    for (uint32_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        wall_ns = times[i] * NS_PER_S;
        scene_published(says_it, TOPIC_A, 1, 10);
    }
    for (uint32_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        uint64_t before = world->events;
        (void)begins(world, PATTERN_A,
                     (struct sim_begin){.kind = START_TIME, .value = asked[i].from * NS_PER_S});
        cr_expect_eq(world->events - before, asked[i].events, "from %lu", (unsigned long)asked[i].from);
    }
    scene_end(world);
}

Test(sim_starts, the_last_of_each_topic_comes_once_and_then_all_that_follows) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(sim_setup_plain(workers));
        struct sim_client *says_it = scene_publisher(world);
        publish_some(says_it);
        (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_LAST});
        cr_assert_eq(world->lasts, 3);
        cr_assert_eq(world->events, 3);
        scene_published(says_it, TOPIC_A, 2, 10);
        cr_assert_eq(world->events, 5);
        (void)begins(world, PATTERN_B, (struct sim_begin){.kind = START_LAST});
        cr_assert_eq(world->lasts, 4);
        scene_end(world);
    }
}

Test(sim_starts, there_may_be_no_last_event) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_LAST});
    scene_published(says_it, TOPIC_A, 1, 10);
    (void)begins(world, PATTERN_B, (struct sim_begin){.kind = START_LAST});
    cr_assert_eq(world->lasts, 0);
    cr_assert_eq(world->events, 1);
    scene_end(world);
}

/* The log's writer hears of so many other names that it forgets those of before. */
static void names_forgotten(struct worker *worker) {
    char name[16];
    uint64_t evicted = intern_evicted(worker->homes[0].intern);
    for (uint32_t i = 0; intern_evicted(worker->homes[0].intern) < evicted + 2 * SIM_TOPICS; i++) {
        int length = snprintf(name, sizeof name, "other.%u", i);
        (void)intern_id(worker->homes[0].intern, (const uint8_t *)name, (uint32_t)length,
                        topic_hash((const uint8_t *)name, (size_t)length, 0));
    }
}

/* Names that the log's writer has forgotten get other ids when they come again. */
Test(sim_starts, a_topic_with_two_ids_has_one_last_event) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.log_bytes = 512 * KIB;
    setup.log_records = 4096;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t topic = 0; topic < SIM_TOPICS; topic++)
            scene_published(says_it, topic, 1, 10);
        names_forgotten(sim_worker(world, 0));
    }
    struct sim_client *client = begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_LAST});
    cr_assert_eq(world->lasts, SIM_TOPICS);
    sim_ping(client);
    scene_end(world);
}

/* The search takes many turns, and events come in each of them. */
Test(sim_starts, what_comes_while_the_last_events_are_looked_for_is_not_lost) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.log_bytes = 8 * MIB;
    setup.log_records = 65536;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_AB, 1, 10);
    while (world->logs[0].count < 3 * SEARCH_WORK_MAX) {
        for (uint32_t i = 0; i < 100; i++)
            sim_publish(says_it, i % 2 == 0 ? TOPIC_A : TOPIC_B, 1);
        scene_pours(says_it);
        scene_reads(says_it);
    }
    struct sim_client *client = sim_connect(world, true);
    scene_says(client);
    scene_reads(client);
    sim_subscribe_from(client, 1, SIM_MASK_ALL, SKIP, &(struct sim_begin){.kind = START_LAST});
    (void)sim_write(client, SIZE_MAX);
    uint32_t turns = 0;
    for (; client->subs_count == 0; turns++) {
        sim_publish(says_it, turns % 2 == 0 ? TOPIC_A : TOPIC_B, 1);
        (void)sim_write(says_it, SIZE_MAX);
        sim_turns(world, 1);
        cr_assert_lt(turns, 100);
    }
    cr_assert_geq(turns, 3, "it was looked for in %u turns", turns);
    scene_reads(client);
    cr_assert_eq(world->lasts, 3);
    scene_end(world);
}

/* It has read some of the last events and none of what follows when its connection ends. */
Test(sim_starts, who_had_not_got_all_last_events_gets_them_when_it_resumes) {
    struct sim_setup setup = sim_setup_plain(1);
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    for (uint32_t topic = 0; topic < 6; topic++)
        scene_published(says_it, topic, 2, 500);
    struct sim_client *client = sim_connect(world, true);
    sim_subscribe_from(client, 1, SIM_MASK_ALL, SKIP, &(struct sim_begin){.kind = START_LAST});
    scene_says(client);
    sim_ping(client);
    scene_says(client);
    cr_assert_lt(world->lasts, 6);
    struct position subscribed = world->positions[0];
    cr_assert_neq(subscribed.undone, 0);
    sim_leave(client, SIM_CLOSED);
    sim_turns(world, 5);
    scene_published(says_it, TOPIC_A, 1, 10);
    uint64_t before = world->lasts;
    struct sim_client *again =
        begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_LAST, .position = &subscribed});
    cr_assert_eq(world->lasts - before, 6);
    sim_ping(again);
    scene_says(again);
    scene_reads(again);
    struct position done = world->positions[world->positions_count - 1];
    cr_assert_eq(done.undone, 0);
    scene_published(says_it, TOPIC_B, 3, 10);
    before = world->events;
    (void)begins(world, PATTERN_B, (struct sim_begin){.kind = START_LAST, .position = &done});
    cr_assert_eq(world->events - before, 3, "exactly what has come since, and not the last one only");
    scene_end(world);
}

Test(sim_starts, a_position_of_another_run_lets_it_begin_as_it_says) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    struct sim_client *first = scene_subscriber(world, PATTERN_A, SKIP);
    struct position position = world->positions[0];
    sim_leave(first, SIM_CLOSED);
    publish_some(says_it);
    position.instance[0] ^= 1;
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_LIVE, .position = &position});
    cr_assert_eq(world->events, 0);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_OLDEST, .position = &position});
    cr_assert_eq(world->events, 6);
    (void)begins(world, SIM_MASK_ALL, (struct sim_begin){.kind = START_LAST, .position = &position});
    cr_assert_eq(world->lasts, 3);
    (void)begins(world, PATTERN_A,
                 (struct sim_begin){
                     .kind = START_SEQUENCE, .value = sequence_make(EPOCH_FIRST, 1), .position = &position});
    cr_assert_eq(world->events, 9);
    scene_end(world);
}

Test(sim_starts, a_stop_lets_a_search_come_to_its_end) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    publish_some(scene_publisher(world));
    struct sim_client *client = sim_connect(world, true);
    scene_says(client);
    scene_reads(client);
    sim_subscribe_from(client, 1, SIM_MASK_ALL, SKIP, &(struct sim_begin){.kind = START_LAST});
    (void)sim_write(client, SIZE_MAX);
    sim_order(world, COMMAND_DRAIN);
    sim_turns(world, 5);
    cr_assert_eq(client->subs_count, 1);
    sim_stop(world);
    sim_world_end(world);
    LEAKS_NONE();
}
