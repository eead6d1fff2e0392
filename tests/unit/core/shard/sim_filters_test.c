/* Scenes of subscriptions with filters: the judge of the simulation looks on. The ordinals of a publisher's
 * events are 1, 2, 3, ...; a filter is which digits they may begin with. */
#include "tests/unit/core/shard/sim_scene.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

#define DIGIT(n) ((uint16_t)(1u << (n)))
#define ODD      (DIGIT(1) | DIGIT(3) | DIGIT(5) | DIGIT(7) | DIGIT(9))

static struct sim_client *filtered(struct sim_world *world, uint16_t digits, uint32_t patterns,
                                   uint8_t policy, struct sim_begin begin) {
    struct sim_client *client = sim_connect(world, true);
    client->digits = digits;
    sim_subscribe_from(client, 1, patterns, policy, &begin);
    scene_says(client);
    scene_reads(client);
    return client;
}

static void subscribes_also(struct sim_client *client, uint64_t id, uint16_t digits, uint32_t patterns) {
    client->digits = digits;
    sim_subscribe(client, id, patterns, client->planned_policy, NULL);
    scene_says(client);
    scene_reads(client);
}

/* All that is owed has come, and that was so many events. */
static void ends(struct sim_world *world, uint64_t events) {
    sim_settle(world);
    cr_assert_eq(world->events, events, "%lu", (unsigned long)world->events);
    scene_end(world);
}

Test(sim_filters, live_subscribers_get_what_passes) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(sim_setup_plain(workers));
        struct sim_client *client = filtered(world, ODD, SIM_MASK_ALL, SKIP, (struct sim_begin){0});
        struct sim_client *says_it = scene_publisher(world);
        scene_published(says_it, TOPIC_A, 9, 10);
        scene_reads(client);
        cr_assert_eq(world->events, 5);
        (void)scene_subscriber(world, SIM_MASK_ALL, SKIP);
        scene_published(says_it, TOPIC_B, 2, 10);
        ends(world, 9);
    }
}

/* All of a turn's events are one run, of which what passes lies in parts. */
Test(sim_filters, a_long_run_is_given_in_parts) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.log_bytes = 8 * MIB;
    setup.log_records = 65536;
    setup.faults.socket_bytes = 4 * MIB;
    struct sim_world *world = sim_world_new(&setup);
    for (uint32_t i = 0; i < 4; i++)
        (void)filtered(world, i < 2 ? ODD : DIGIT(2), PATTERN_A, SKIP, (struct sim_begin){0});
    struct sim_client *says_it = scene_publisher(world);
    for (uint32_t i = 0; i < 5000; i++)
        sim_publish(says_it, TOPIC_A, 10);
    scene_pours(says_it);
    uint64_t evaluated = SIM_STAT(world, filter_evaluations);
    cr_assert_eq(evaluated, 2 * 5000, "%lu: equal filters are asked once for an event", evaluated);
    ends(world, 2 * (1111 + 1111 + 112 + 111 + 111) + 2 * 1111); /* by their first digits */
}

Test(sim_filters, laggards_get_what_passes_too) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.grace_ns = 200 * NS_PER_MS;
    struct sim_world *world = scene_world(setup);
    struct sim_client *slow = filtered(world, DIGIT(1) | DIGIT(2), PATTERN_A, SKIP, (struct sim_begin){0});
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 2, 1000);
    scene_passes(world, 200 * NS_PER_MS);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    scene_published(says_it, TOPIC_A, 18, 1000);
    scene_reads(slow);
    cr_assert_eq(world->events, 2 + 10 + 1);
    scene_end(world);
}

/* Until somebody holds its slot back. */
static void publishes_much(struct sim_client *client, uint32_t topic) {
    struct sim_world *world = client->world;
    for (uint32_t i = 0; i < 80 && SIM_STAT(world, blocked_slots) == 0; i++) {
        sim_publish(client, topic, 1000);
        scene_pours(client);
        sim_turns(world, 3);
        (void)sim_read(client, SIZE_MAX);
    }
}

Test(sim_filters, publishers_are_held_back_only_for_what_passes) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world), *free = scene_publisher(world);
    (void)filtered(world, 0x3ff & ~DIGIT(9), PATTERN_A | PATTERN_B, BLOCK, (struct sim_begin){0});
    scene_published(free, TOPIC_AB, 89, 10);
    publishes_much(says_it, TOPIC_A);
    cr_assert_eq(SIM_STAT(world, blocking), 1);
    cr_assert_eq(SIM_STAT(world, blocked_slots), 1);
    scene_published(free, TOPIC_B, 5, 10); /* 90 to 94: not for it */
    cr_assert_eq(SIM_STAT(world, blocked_slots), 1);
    scene_published(scene_publisher(world), TOPIC_B, 1, 10);
    cr_assert_eq(SIM_STAT(world, blocked_slots), 2);
    scene_end(world);
}

Test(sim_filters, the_past_is_filtered) {
    struct sim_world *world = scene_world(sim_setup_plain(2));
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 6, 10);
    scene_published(says_it, TOPIC_B, 3, 10);
    (void)filtered(world, ODD, SIM_MASK_ALL, SKIP, (struct sim_begin){.kind = START_OLDEST});
    cr_assert_eq(world->events, 5);
    scene_published(says_it, TOPIC_A, 12, 10); /* 10 to 21 */
    ends(world, 5 + 10);
}

static void lasts_filtered(struct sim_setup setup) {
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_A, 4, 10);  /* 1 to 4 */
    scene_published(says_it, TOPIC_B, 1, 10);  /* 5 */
    scene_published(says_it, TOPIC_AB, 1, 10); /* 6 */
    scene_published(says_it, TOPIC_B, 3, 10);  /* 7 to 9 */
    (void)filtered(world, DIGIT(2) | DIGIT(3) | DIGIT(7), SIM_MASK_ALL, SKIP,
                   (struct sim_begin){.kind = START_LAST});
    cr_assert_eq(world->lasts, 2, "of the third topic nothing passes");
    scene_published(says_it, TOPIC_AB, 12, 10); /* 10 to 21 */
    ends(world, 2 + 2);
}

/* From a ring they are looked for backwards, of what a journal keeps forwards. */
Test(sim_filters, the_last_event_of_a_topic_is_the_last_that_passes) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_setup setup = sim_setup_plain(workers);
        lasts_filtered(setup);
        setup.disks = 1;
        setup.history = true;
        lasts_filtered(setup);
    }
}

Test(sim_filters, subscriptions_of_one_connection_each_have_their_own) {
    struct sim_world *world = scene_world(sim_setup_plain(2));
    struct sim_client *client = filtered(world, DIGIT(1), SIM_MASK_ALL, SKIP, (struct sim_begin){0});
    struct sim_client *says_it = scene_publisher(world);
    subscribes_also(client, 2, DIGIT(1) | DIGIT(2), PATTERN_A);
    subscribes_also(client, 3, 0, PATTERN_B);
    scene_published(says_it, TOPIC_A, 3, 10);  /* 1, 2 */
    scene_published(says_it, TOPIC_B, 2, 10);  /* 4, 5 */
    scene_published(says_it, TOPIC_AB, 5, 10); /* of 6 to 10 the last */
    scene_reads(client);
    cr_assert_eq(world->events, 2 + 2 + 1);
    sim_unsubscribe(client, 1);
    sim_unsubscribe(client, 2);
    scene_says(client);
    scene_reads(client);
    scene_published(says_it, TOPIC_A, 2, 10);
    scene_published(says_it, TOPIC_B, 1, 10); /* 13 */
    ends(world, 5 + 1);
}

/* Two logs have events at the same positions: what a filter said of one says nothing of the other. */
Test(sim_filters, what_a_filter_says_is_of_one_log) {
    struct sim_world *world = scene_world(sim_setup_plain(2));
    for (uint32_t i = 0; i < 4; i++) /* two at each worker */
        (void)filtered(world, DIGIT(1), SIM_MASK_ALL, SKIP, (struct sim_begin){0});
    struct sim_client *says_it = scene_publisher(world);
    cr_assert_neq(world->homes[TOPIC_A], world->homes[TOPIC_B]);
    scene_published(says_it, TOPIC_A, 1, 10);
    scene_published(says_it, TOPIC_B, 1, 10);
    scene_published(says_it, TOPIC_B, 7, 10);
    scene_published(says_it, TOPIC_A, 4, 10);
    ends(world, 4 * (1 + 4));
}
