/* Scenes of the policy `block`: who waits for whom, and who does not. */
#include "tests/unit/core/shard/sim_scene.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

#define SIZE 1000u /* of an event's data; the ring holds some 60 of them */

static struct sim_setup setup_of(uint32_t workers) {
    struct sim_setup setup = sim_setup_plain(workers);
    setup.block_ns = 10 * NS_PER_S;
    return setup;
}

static bool is_parked(struct sim_world *world) {
    return SIM_STAT(world, held_back) > 0 && SIM_STAT(world, parked) > 0;
}

/* Publishes until somebody does not let it; says how many events came in. */
static uint64_t until_held(struct sim_client *says_it, uint32_t topic) {
    struct sim_world *world = says_it->world;
    for (uint32_t i = 0; i < 200 && !is_parked(world); i++) {
        sim_publish(says_it, topic, SIZE);
        scene_pours(says_it);
        sim_turns(world, 3);
        (void)sim_read(says_it, SIZE_MAX);
    }
    cr_assert(is_parked(world), "nobody held the publisher back");
    return SIM_STAT(world, events_in);
}

/* Reads slowly enough for everybody to take turns. */
static void reads_all(struct sim_client *client) {
    for (uint32_t i = 0; i < 400; i++) {
        (void)sim_read(client, SIZE_MAX);
        sim_turns(client->world, 2);
        sim_time(client->world, NS_PER_MS);
    }
}

Test(sim_block, a_publisher_waits_for_who_reads_too_slowly_and_nothing_is_lost) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(setup_of(workers));
        struct sim_client *slow = scene_subscriber(world, PATTERN_A, BLOCK);
        struct sim_client *says_it = scene_publisher(world);
        uint64_t in = until_held(says_it, TOPIC_A);
        cr_assert_eq(SIM_STAT(world, blocking), 1);
        cr_assert_eq(SIM_STAT(world, blocked_slots), 1);
        for (uint32_t i = 0; i < 20; i++)
            sim_publish(says_it, TOPIC_A, SIZE);
        scene_says(says_it);
        scene_passes(world, 5 * NS_PER_S);
        cr_assert_eq(SIM_STAT(world, events_in), in, "it is not read meanwhile");
        reads_all(slow);
        cr_assert_eq(SIM_STAT(world, blocked_slots), 0);
        cr_assert_eq(SIM_STAT(world, slow_disconnects), 0);
        scene_end(world);
    }
}

Test(sim_block, other_slots_go_on) {
    struct sim_world *world = scene_world(setup_of(1));
    (void)scene_subscriber(world, PATTERN_A, BLOCK);
    struct sim_client *other = scene_subscriber(world, PATTERN_B, SKIP);
    struct sim_client *says_it = scene_publisher(world);
    (void)until_held(says_it, TOPIC_A);
    uint64_t before = world->events;
    struct sim_client *free = scene_publisher(world);
    scene_published(free, TOPIC_B, 5, 10);
    reads_all(other);
    cr_assert_eq(world->events - before, 5);
    cr_assert(is_parked(world));
    cr_assert_eq(SIM_STAT(world, held_back), 1);
    scene_end(world);
}

/* Events that come many at a time, where they become records. */
Test(sim_block, a_train_of_events_waits_as_well) {
    struct sim_setup setup = setup_of(1);
    setup.log_bytes = 512 * KIB;
    setup.log_records = 4096;
    setup.landing_bytes = 200;
    struct sim_world *world = scene_world(setup);
    (void)scene_subscriber(world, PATTERN_A, BLOCK);
    setup.faults.socket_bytes = 64 * KIB; /* of who publishes: many events at a time */
    io_sim_seed(sim_worker(world, 0)->io, 1, &setup.faults);
    struct sim_client *says_it = sim_connect(world, true);
    says_it->mood.fast = true;
    scene_says(says_it);
    scene_reads(says_it);
    for (uint32_t i = 0; i < 100 && !is_parked(world); i++) {
        for (uint32_t n = 0; n < 50; n++)
            sim_publish(says_it, TOPIC_A, 100);
        scene_pours(says_it);
        (void)sim_read(says_it, SIZE_MAX);
    }
    cr_assert(is_parked(world));
    cr_assert_gt(SIM_STAT(world, events_landed), 500);
    cr_assert_lt(world->logs[0].count * 150, setup.log_bytes, "all of it is still there for who is slow");
    scene_end(world);
}

/* Who subscribes by a wildcard holds only the slots in which something for it comes. */
Test(sim_block, a_wildcard_holds_what_it_reads) {
    struct sim_world *world = scene_world(setup_of(2));
    (void)scene_subscriber(world, SIM_PATTERN(15), BLOCK); /* "a.>" */
    (void)until_held(scene_publisher(world), TOPIC_AB);
    struct sim_client *free = scene_publisher(world);
    scene_published(free, TOPIC_B, 5, 10);
    cr_assert_eq(free->through, 5);
    cr_assert_eq(SIM_STAT(world, blocked_slots), 1);
    scene_end(world);
}

Test(sim_block, nobody_waits_for_his_own_subscription) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(setup_of(workers));
        struct sim_client *both = scene_subscriber(world, PATTERN_A, BLOCK);
        for (uint32_t i = 0; i < 40; i++)
            sim_publish(both, TOPIC_A, SIZE);
        scene_says(both);
        cr_assert_eq(SIM_STAT(world, blocking), 1);
        cr_assert_eq(SIM_STAT(world, held_back), 0);
        struct sim_client *another = scene_publisher(world);
        (void)until_held(another, TOPIC_A);
        sim_publish(both, TOPIC_A, SIZE);
        scene_says(both);
        cr_assert_eq(SIM_STAT(world, held_back), 1, "only the other one");
        scene_end(world);
    }
}

Test(sim_block, two_that_block_each_other_part_when_the_time_is_over) {
    struct sim_world *world = scene_world(setup_of(2));
    struct sim_client *one = scene_subscriber(world, PATTERN_A, BLOCK);
    struct sim_client *two = scene_subscriber(world, PATTERN_A, BLOCK);
    for (uint32_t i = 0; i < 200 && SIM_STAT(world, held_back) == 0; i++) {
        sim_publish(one, TOPIC_A, SIZE);
        sim_publish(two, TOPIC_A, SIZE);
        scene_pours(one);
        scene_pours(two);
        sim_turns(world, 2);
    }
    cr_assert_gt(SIM_STAT(world, held_back), 0);
    scene_passes(world, 11 * NS_PER_S);
    cr_assert_gt(SIM_STAT(world, block_timeouts), 0);
    scene_end(world);
}

Test(sim_block, it_ends_in_a_disconnect_and_the_publisher_goes_on) {
    struct sim_world *world = scene_world(setup_of(2));
    struct sim_client *slow = scene_subscriber(world, PATTERN_A, BLOCK);
    struct sim_client *says_it = scene_publisher(world);
    (void)until_held(says_it, TOPIC_A);
    scene_passes(world, 11 * NS_PER_S);
    cr_assert_eq(SIM_STAT(world, block_timeouts), 1);
    cr_assert_eq(SIM_STAT(world, blocked_slots), 0);
    cr_assert_eq(SIM_STAT(world, parked), 0);
    reads_all(slow);
    scene_reads(says_it);
    cr_assert_eq(says_it->through, says_it->events_count);
    scene_end(world);
}

Test(sim_block, it_ends_with_the_subscription_and_with_the_connection) {
    for (uint32_t how = 0; how < 2; how++) {
        struct sim_world *world = scene_world(setup_of(1));
        struct sim_client *slow = scene_subscriber(world, PATTERN_A, BLOCK);
        struct sim_client *says_it = scene_publisher(world);
        (void)until_held(says_it, TOPIC_A);
        if (how == 0)
            sim_unsubscribe(slow, 1);
        else
            sim_leave(slow, SIM_RESET);
        scene_says(slow);
        scene_passes(world, NS_PER_S);
        cr_assert_eq(SIM_STAT(world, parked), 0);
        cr_assert_eq(SIM_STAT(world, blocking), 0);
        scene_end(world);
    }
}

/* Other topics of the log go on, so the ring comes round to it all the same. */
Test(sim_block, who_is_overtaken_by_others_is_disconnected) {
    struct sim_world *world = scene_world(setup_of(1));
    (void)scene_subscriber(world, PATTERN_A, BLOCK);
    (void)until_held(scene_publisher(world), TOPIC_A);
    scene_published(scene_publisher(world), TOPIC_B, 80, SIZE);
    cr_assert_eq(SIM_STAT(world, slow_disconnects), 1);
    cr_assert_eq(SIM_STAT(world, block_timeouts), 0);
    cr_assert_eq(SIM_STAT(world, blocked_slots), 0);
    scene_end(world);
}

Test(sim_block, who_begins_in_the_past_holds_nobody_back_before_it_was_live) {
    struct sim_world *world = scene_world(setup_of(1));
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 45, SIZE);
    struct sim_client *late = sim_connect(world, true);
    sim_subscribe_from(late, 1, PATTERN_A, BLOCK, &(struct sim_begin){.kind = START_OLDEST});
    scene_says(late);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    scene_published(says_it, TOPIC_A, 30, SIZE);
    cr_assert_eq(SIM_STAT(world, held_back), 0);
    cr_assert_eq(SIM_STAT(world, blocks), 0);
    reads_all(late);
    cr_assert_gt(world->gaps, 0);
    (void)until_held(says_it, TOPIC_A);
    scene_end(world);
}

Test(sim_block, a_publisher_that_waits_hears_that_the_server_is_there) {
    struct sim_world *world = scene_world(setup_of(1));
    (void)scene_subscriber(world, PATTERN_A, BLOCK);
    struct sim_client *says_it = scene_publisher(world);
    (void)until_held(says_it, TOPIC_A);
    uint64_t before = says_it->decoded;
    scene_passes(world, 5 * NS_PER_S);
    (void)sim_read(says_it, SIZE_MAX);
    uint64_t pings = (says_it->decoded - before) / 3; /* an empty Ping has three bytes */
    cr_assert(pings >= 3 && pings <= 5, "%lu bytes", (unsigned long)(says_it->decoded - before));
    scene_end(world);
}

Test(sim_block, a_stop_waits_for_nobody_who_is_held_back) {
    struct sim_world *world = scene_world(setup_of(2));
    (void)scene_subscriber(world, PATTERN_A, BLOCK);
    (void)until_held(scene_publisher(world), TOPIC_A);
    sim_order(world, COMMAND_DRAIN);
    sim_turns(world, 5);
    cr_assert_eq(SIM_STAT(world, parked), 0);
    sim_stop(world);
    sim_world_end(world);
    LEAKS_NONE();
}
