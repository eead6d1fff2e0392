/* Scenes of disk logs that are read behind their rings: the judge of the simulation looks on. */
#include "tests/unit/core/shard/sim_scene.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>

#define RING 100u /* events of so many bytes go round it more than once */
#define BIG  4000u

/* All topics are kept on disk, in one log, and what has left its ring can be asked for. */
static struct sim_setup kept_setup(uint32_t workers) {
    struct sim_setup setup = sim_setup_plain(workers);
    setup.disks = 1;
    setup.history = true;
    return setup;
}

static struct sim_log *disk_log(struct sim_world *world) {
    return &world->logs[world->setup.workers];
}

static struct sim_client *begins(struct sim_world *world, uint32_t patterns, uint8_t policy,
                                 struct sim_begin begin) {
    struct sim_client *client = sim_connect(world, true);
    sim_subscribe_from(client, 1, patterns, policy, &begin);
    scene_says(client);
    return client;
}

#define FROM_OLDEST ((struct sim_begin){.kind = START_OLDEST})

/* A world whose ring has gone round. */
static struct sim_world *gone_round(struct sim_setup setup, struct sim_client **says_it) {
    struct sim_world *world = scene_world(setup);
    *says_it = scene_publisher(world);
    scene_published(*says_it, TOPIC_B, 3, 10);
    scene_published(*says_it, TOPIC_A, RING, BIG);
    cr_assert_gt(log_oldest(disk_log(world)->log), 10);
    return world;
}

Test(sim_history, who_reads_nothing_for_long_gets_all_of_it_and_is_live_again) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(kept_setup(workers));
        struct sim_client *says_it = scene_publisher(world);
        struct sim_client *slow = scene_subscriber(world, SIM_MASK_ALL, DISCONNECT);
        scene_published(says_it, TOPIC_A, RING, BIG);
        cr_assert_gt(log_oldest(disk_log(world)->log), 10);
        scene_reads(slow);
        cr_assert_eq(world->events, RING);
        cr_assert_eq(SIM_STAT(world, laggards), 0);
        cr_assert_gt(SIM_STAT(world, history_requests), 0);
        cr_assert_eq(SIM_STAT(world, gaps) + SIM_STAT(world, slow_disconnects), 0);
        scene_published(says_it, TOPIC_A, 3, BIG);
        scene_end(world);
    }
}

Test(sim_history, the_writer_does_not_wait_for_who_can_be_served_behind_the_ring) {
    struct sim_setup setup = kept_setup(1);
    setup.grace_ns = 10 * NS_PER_S;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    struct sim_client *slow = scene_subscriber(world, SIM_MASK_ALL, DISCONNECT);
    scene_published(says_it, TOPIC_A, RING, BIG);
    cr_assert_eq(counter_get(&log_counters(disk_log(world)->log)->refused_grace), 0);
    scene_reads(slow);
    cr_assert_eq(world->events, RING);
    scene_end(world);
}

Test(sim_history, it_is_asked_for_while_events_come_and_spliced_without_a_seam) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(1), &says_it);
    struct sim_client *client = begins(world, SIM_MASK_ALL, SKIP, FROM_OLDEST);
    for (uint32_t i = 0; i < RING; i++) {
        world->history_stuck = i % 3 != 0;
        (void)sim_read(client, 3000);
        sim_publish(says_it, i % 2 == 0 ? TOPIC_A : TOPIC_B, 1000);
        scene_says(says_it);
        scene_reads(says_it);
    }
    world->history_stuck = false;
    scene_reads(client);
    cr_assert_eq(world->events, RING + 3 + RING);
    cr_assert_eq(world->gaps, 0);
    scene_end(world);
}

Test(sim_history, subscriptions_that_overlap_and_begin_elsewhere_get_each_event_once) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(1), &says_it);
    struct sim_client *client = begins(world, PATTERN_B, SKIP, FROM_OLDEST);
    sim_subscribe_from(client, 2, PATTERN_A | PATTERN_B, SKIP,
                       &(struct sim_begin){.kind = START_TIME, .value = disk_log(world)->records[20].time});
    sim_subscribe_from(client, 3, SIM_MASK_ALL, SKIP, &(struct sim_begin){.kind = START_LAST});
    scene_says(client);
    scene_reads(client);
    cr_assert_leq(world->events, 3 + RING + 3 - 20 + 2, "once each, and the last events of two topics");
    sim_ping(client);
    scene_published(says_it, TOPIC_AB, 2, 10);
    scene_end(world);
}

Test(sim_history, a_subscription_ends_and_a_connection_goes_while_it_waits) {
    for (uint32_t leaves = 0; leaves < 2; leaves++) {
        struct sim_client *says_it;
        struct sim_world *world = gone_round(kept_setup(1), &says_it);
        world->history_stuck = true;
        struct sim_client *client = begins(world, SIM_MASK_ALL, SKIP, FROM_OLDEST);
        scene_reads(client);
        cr_assert_not_null(world->asked);
        if (leaves == 0)
            sim_unsubscribe(client, 1);
        else
            sim_leave(client, SIM_RESET);
        if (leaves == 0)
            scene_says(client);
        sim_turns(world, 5);
        world->history_stuck = false;
        sim_turns(world, 5);
        cr_assert_eq(SIM_STAT(world, laggards), 0);
        struct sim_client *other = begins(world, PATTERN_B, SKIP, FROM_OLDEST);
        scene_reads(other);
        cr_assert_eq(world->events, 3);
        scene_end(world);
    }
}

Test(sim_history, a_stop_waits_for_what_was_asked_for) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(2), &says_it);
    world->history_stuck = true;
    struct sim_client *client = begins(world, SIM_MASK_ALL, SKIP, FROM_OLDEST);
    struct sim_client *looks = begins(world, PATTERN_A, SKIP, (struct sim_begin){.kind = START_LAST});
    scene_reads(client);
    sim_order(world, COMMAND_DRAIN);
    sim_turns(world, 5);
    cr_assert_eq(looks->subs_count, 0);
    world->history_stuck = false;
    sim_stop(world);
    cr_assert_eq(world->events, RING + 3 + 1);
    cr_assert_eq(looks->subs_count, 1);
    sim_world_end(world);
    LEAKS_NONE();
}

Test(sim_history, a_router_that_starts_again_goes_on_from_its_journal) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(2), &says_it);
    struct sim_client *client = scene_subscriber(world, SIM_MASK_ALL, SKIP);
    struct position position = world->positions[world->positions_count - 1];
    scene_published(says_it, TOPIC_B, 2, 10);
    scene_reads(client);
    sim_settle(world);
    sim_restart(world);
    cr_assert_eq(log_oldest(disk_log(world)->log), 1 + RING + 5);
    uint64_t before = world->events;
    struct sim_client *again =
        begins(world, SIM_MASK_ALL, SKIP, (struct sim_begin){.kind = START_LIVE, .position = &position});
    scene_reads(again);
    cr_assert_eq(world->events - before, 2);
    before = world->events;
    scene_reads(begins(world, PATTERN_B, DISCONNECT, FROM_OLDEST));
    cr_assert_eq(world->events - before, 5, "a literal, whose slot the new ring knows nothing of before");
    says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_B, 1, 10);
    scene_reads(again);
    before = world->events;
    scene_reads(begins(world, PATTERN_A | PATTERN_B, SKIP, (struct sim_begin){.kind = START_LAST}));
    cr_assert_eq(world->events - before, 2);
    cr_assert_eq(world->gaps, 0);
    scene_end(world);
}

Test(sim_history, what_the_journal_has_given_up_is_a_gap_or_the_end) {
    for (uint8_t policy = DISCONNECT; policy <= SKIP; policy++) {
        struct sim_world *world = scene_world(kept_setup(1));
        struct sim_client *says_it = scene_publisher(world);
        struct sim_client *slow = scene_subscriber(world, SIM_MASK_ALL, policy);
        scene_published(says_it, TOPIC_A, RING, BIG);
        disk_log(world)->kept = 40;
        scene_reads(slow);
        cr_assert_eq(world->gaps, policy == SKIP);
        cr_assert_eq(world->slow, policy == DISCONNECT);
        sim_leave(slow, SIM_CLOSED);
        struct sim_client *client = begins(world, SIM_MASK_ALL, DISCONNECT, FROM_OLDEST);
        disk_log(world)->kept = 60; /* behind what it begins with */
        scene_reads(client);
        cr_assert(client->connected && !client->failed);
        scene_end(world);
    }
}

Test(sim_history, what_the_ring_still_has_is_not_lost_with_the_journal) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(1), &says_it);
    uint64_t oldest = log_oldest(disk_log(world)->log);
    world->history_stuck = true;
    struct sim_client *client = begins(world, SIM_MASK_ALL, SKIP, FROM_OLDEST);
    disk_log(world)->kept = oldest + 20;
    world->history_stuck = false;
    scene_reads(client);
    cr_assert_eq(world->gaps, 1);
    cr_assert_geq(world->events, (sim_log_end(disk_log(world)) - oldest) * 15 / 16);
    scene_end(world);
}

Test(sim_history, what_was_lost_of_a_time_is_told_also_when_more_goes_meanwhile) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(1), &says_it);
    disk_log(world)->kept = 5;
    disk_log(world)->trimmed = 8;
    scene_reads(begins(world, SIM_MASK_ALL, SKIP, (struct sim_begin){.kind = START_TIME, .value = 1}));
    cr_assert_eq(world->gaps, 2, "what the journal has not, and what it has not any more");
    cr_assert_eq(world->events, RING + 3 - 7);
    scene_end(world);
}

Test(sim_history, a_hole_that_a_cut_has_left_is_a_gap_for_everybody) {
    for (uint8_t policy = DISCONNECT; policy <= SKIP; policy++) {
        struct sim_client *says_it;
        struct sim_world *world = gone_round(kept_setup(1), &says_it);
        disk_log(world)->hole = 10;
        disk_log(world)->hole_end = 30;
        scene_reads(begins(world, SIM_MASK_ALL, policy, FROM_OLDEST));
        cr_assert_eq(world->gaps, 1);
        cr_assert_eq(world->events, RING + 3 - 20);
        scene_reads(begins(world, PATTERN_B, policy, FROM_OLDEST));
        cr_assert_eq(world->gaps, 1, "its slot has had nothing there");
        scene_end(world);
    }
}

Test(sim_history, who_needs_what_can_not_be_read_is_told_and_others_go_on) {
    struct sim_client *says_it;
    struct sim_world *world = gone_round(kept_setup(1), &says_it);
    struct sim_client *live = scene_subscriber(world, SIM_MASK_ALL, DISCONNECT);
    world->history_error = -EBADMSG;
    struct sim_client *client = begins(world, SIM_MASK_ALL, SKIP, FROM_OLDEST);
    scene_reads(client);
    cr_assert(client->failed);
    cr_assert_eq(SIM_STAT(world, history_failures), 1);
    struct sim_client *last = begins(world, SIM_MASK_ALL, SKIP, (struct sim_begin){.kind = START_LAST});
    scene_reads(last);
    cr_assert_eq(last->subs_count, 0, "refused");
    world->history_error = 0;
    scene_published(says_it, TOPIC_B, 1, 10);
    scene_reads(live);
    cr_assert_eq(world->events, 1);
    sim_leave(client, SIM_CLOSED);
    scene_end(world);
}

/* Each begins at another place, and none of them is forgotten for the others. */
Test(sim_history, more_laggards_than_stretches_are_served_in_turn) {
    enum { LAGGARDS = 3 * HISTORY_STRETCHES };
    struct sim_client *clients[LAGGARDS];
    struct sim_client *says_it;
    struct sim_setup setup = kept_setup(1);
    struct sim_world *world = gone_round(setup, &says_it);
    uint64_t due = 0;
    for (uint32_t i = 0; i < LAGGARDS; i++) {
        clients[i] =
            begins(world, SIM_MASK_ALL, SKIP,
                   (struct sim_begin){.kind = START_TIME, .value = disk_log(world)->records[3 * i].time});
        due += RING + 3 - 3 * i;
    }
    sim_turns(world, 5);
    for (uint32_t rounds = 0; world->events < due; rounds++) {
        cr_assert_lt(rounds, 20000);
        for (uint32_t i = 0; i < LAGGARDS; i++)
            (void)sim_read(clients[i], 500);
        sim_turns(world, 1);
    }
    cr_assert_eq(world->events, due);
    scene_end(world);
}
