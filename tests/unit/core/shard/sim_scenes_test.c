/* Scenes that once went wrong, or might: each is set up by hand, and the judge of the simulation looks on. */
#include "tests/unit/core/shard/sim_scene.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A subscriber to "a" with so many events in its output, the first of them half sent; the worker is awake. */
static struct sim_client *slices_queued(struct sim_world *world, uint32_t count) {
    struct sim_client *client = scene_subscriber(world, PATTERN_A, SKIP);
    struct sim_client *says_it = scene_publisher(world);
    for (uint32_t i = 0; i < count; i++)
        sim_publish(says_it, TOPIC_A, 1000);
    scene_pours(says_it);
    cr_assert_eq(SIM_STAT(world, laggards), 0);
    cr_assert_gt(sim_worker(world, 0)->pool.used, 0);
    return client;
}

/* ---- who does not read ---- */

Test(sim_scenes, the_rest_of_a_begun_record_is_no_reply_that_somebody_does_not_read) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *stuck = scene_subscriber(world, PATTERN_A, SKIP);
    scene_published(scene_publisher(world), TOPIC_A, 1, 7000); /* more than private_bytes */
    sim_ping(stuck);
    scene_says(stuck);
    scene_passes(world, 2 * PRIVATE_STALL_NS);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    cr_assert_eq(SIM_STAT(world, private_stalls), 0);
    cr_assert(!stuck->gone);
    scene_end(world);
}

Test(sim_scenes, replies_that_are_not_read_do_stall) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *stuck = scene_publisher(world);
    stuck->stalls = true;
    for (uint32_t i = 0; i < 400; i++)
        sim_ping(stuck);
    scene_says(stuck);
    scene_passes(world, 2 * PRIVATE_STALL_NS);
    cr_assert_eq(SIM_STAT(world, private_stalls), 1);
    cr_assert_eq(SIM_STAT(world, connections), 0);
    sim_world_end(world);
    LEAKS_NONE();
}

Test(sim_scenes, replies_do_not_use_up_what_deliveries_need) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.slices = 4;
    struct sim_world *world = scene_world(setup);
    struct sim_client *reader = scene_subscriber(world, SIM_MASK_ALL, DISCONNECT);
    struct sim_client *stuck = scene_publisher(world);
    for (uint32_t i = 0; i < 60; i++)
        sim_ping(stuck);
    scene_says(stuck);
    scene_published(scene_publisher(world), TOPIC_A, 20, 100);
    scene_reads(reader);
    cr_assert_eq(world->events, 20);
    cr_assert_eq(SIM_STAT(world, pool_empty), 0);
    scene_end(world);
}

Test(sim_scenes, a_laggard_holds_back_only_the_logs_that_it_reads) {
    struct sim_setup setup = sim_setup_plain(2);
    setup.grace_ns = 200 * NS_PER_MS;
    struct sim_world *world = scene_world(setup);
    (void)scene_subscriber(world, PATTERN_A, SKIP); /* at worker 0, */
    struct sim_client *says_it = scene_publisher(world);
    struct sim_client *other =
        scene_subscriber(world, PATTERN_B, SKIP); /* ... which reads both logs because of this */
    scene_published(says_it, TOPIC_A, 2, 1000);
    scene_passes(world, 200 * NS_PER_MS);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    for (uint32_t i = 0; i < 60; i++) {
        scene_published(says_it, TOPIC_B, 1, 4000);
        scene_reads(other);
    }
    cr_assert_gt(log_oldest(world->logs[1].log), 1);
    cr_assert_eq(counter_get(&log_counters(world->logs[1].log)->refused_grace), 0);
    scene_end(world);
}

/* ---- the last frames ---- */

Test(sim_scenes, goodbye_is_answered_also_to_who_reads_late) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *late = slices_queued(world, 3);
    sim_publish(late, TOPIC_B, 10);
    sim_goodbye(late);
    scene_pours(late);
    scene_passes(world, NS_PER_S); /* the worker has slept meanwhile */
    cr_assert(!late->gone);
    scene_reads(late);
    cr_assert(late->goodbye && late->through == 1);
    scene_end(world);
}

Test(sim_scenes, an_error_is_told_also_to_who_reads_late) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *late = slices_queued(world, 3);
    sim_fatal(late, 2);
    scene_pours(late);
    scene_passes(world, LINGER_NS / 2);
    scene_reads(late);
    cr_assert(late->failed);
    scene_end(world);
}

Test(sim_scenes, nothing_follows_a_fatal_error) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_world *world = scene_world(sim_setup_plain(workers));
        struct sim_client *client = scene_publisher(world);
        sim_publish(client, TOPIC_A, 10);
        sim_publish(client, TOPIC_B, 10);
        sim_fatal(client, 2);
        scene_says(client);
        scene_reads(client);
        cr_assert(client->failed);
        scene_end(world);
    }
}

Test(sim_scenes, who_says_nonsense_and_ends_is_told_so) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = scene_publisher(world);
    for (uint32_t i = 0; i < 30; i++)
        sim_ping(client);
    sim_fatal(client, 1);
    (void)sim_write(client, SIZE_MAX);
    sim_leave(client, SIM_SHUT);
    sim_turns(world, 5);
    scene_reads(client);
    cr_assert(client->failed && client->gone);
    scene_end(world);
}

Test(sim_scenes, a_subscription_of_the_turn_of_a_stop_is_told) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = scene_publisher(world);
    sim_subscribe(client, 1, PATTERN_A, SKIP, NULL);
    (void)sim_write(client, SIZE_MAX);
    sim_order(world, COMMAND_DRAIN); /* read in the same turn, behind the client's frames */
    sim_turns(world, 5);
    cr_assert_eq(client->subs_count, 1);
    sim_stop(world);
    sim_world_end(world);
    LEAKS_NONE();
}

Test(sim_scenes, a_stop_cuts_nothing_from_who_gets_nothing_any_more) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = scene_subscriber(world, PATTERN_A, SKIP);
    struct sim_client *other = scene_subscriber(world, PATTERN_A, SKIP);
    scene_published(scene_publisher(world), TOPIC_A, 10, 2000);
    scene_passes(world, 200 * NS_PER_MS);
    scene_reads(other);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    sim_fatal(client, 2);
    scene_says(client);
    while (!client->failed)
        scene_reads(client);
    cr_assert(!client->gone); /* it still has a moment to leave by itself */
    world->stopping = true;
    sim_order(world, COMMAND_LEAVE);
    sim_turns(world, 5);
    cr_assert_eq(SIM_STAT(world, drain_cut_bytes), 0);
    sim_world_end(world);
    LEAKS_NONE();
}

/* ---- time ---- */

Test(sim_scenes, who_is_parked_is_not_idle) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.grace_ns = 200 * NS_PER_MS;
    setup.idle_ns = 150 * NS_PER_MS;
    struct sim_world *world = scene_world(setup);
    struct sim_client *stuck = scene_subscriber(world, PATTERN_A, SKIP);
    struct sim_client *parked = scene_publisher(world);
    for (uint32_t i = 0; i < 40; i++)
        sim_publish(parked, TOPIC_A, 4000);
    while (SIM_STAT(world, parked) == 0) {
        (void)sim_write(parked, SIZE_MAX);
        sim_turns(world, 1);
        (void)sim_read(parked, SIZE_MAX);
    }
    for (uint32_t i = 0; i < 3; i++) { /* the grace ends in a turn that looks for who is idle, too */
        sim_time(world, 120 * NS_PER_MS);
        sim_ping(stuck);
        (void)sim_write(stuck, SIZE_MAX);
        sim_turns(world, 1);
    }
    cr_assert_gt(counter_get(&log_counters(world->logs[0].log)->refused_grace), 0);
    cr_assert_eq(SIM_STAT(world, idle_timeouts), 0);
    scene_end(world);
}

Test(sim_scenes, who_spoke_while_the_worker_slept_has_spoken_now) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.idle_ns = 50 * NS_PER_MS;
    struct sim_world *world = scene_world(setup);
    struct sim_client *client = scene_publisher(world);
    for (uint32_t i = 0; i < 2000; i++) {
        if (i % 45 == 0)
            sim_ping(client);
        (void)sim_write(client, SIZE_MAX);
        sim_turns(world, 1);
        (void)sim_read(client, SIZE_MAX);
        sim_time(world, NS_PER_MS);
    }
    cr_assert_eq(SIM_STAT(world, idle_timeouts), 0);
    scene_end(world);
}

/* ---- where subscriptions begin and end ---- */

/* Published before it, an event of its topic lies among what the connection goes back to. */
Test(sim_scenes, a_subscription_begins_behind_slices_that_are_not_sent) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = slices_queued(world, 3);
    struct sim_client *says_it = world->clients[1];
    sim_publish(says_it, TOPIC_AB, 10);
    scene_pours(says_it);
    sim_subscribe(client, 2, PATTERN_AB, SKIP, NULL);
    scene_pours(client);
    scene_published(says_it, TOPIC_AB, 2, 10);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    scene_reads(client);
    cr_assert_eq(world->events, 3 + 2);
    scene_end(world);
}

Test(sim_scenes, a_pong_that_overtakes_slices_stands_before_them) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = slices_queued(world, 3);
    sim_ping(client);
    scene_pours(client);
    sim_turns(world, 20); /* it falls back before the worker sleeps */
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    scene_reads(client);
    cr_assert_eq(world->events, 3);
    scene_end(world);
}

/* Three subscriptions; the second resumes before what is queued for the first, the third further back. */
Test(sim_scenes, a_connection_that_lags_goes_back_further_for_another_one) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    struct sim_client *client = scene_subscriber(world, PATTERN_A, SKIP);
    struct position first = world->positions[0];
    scene_published(says_it, TOPIC_A, 3, 100);
    scene_reads(client);
    sim_ping(client);
    scene_says(client);
    scene_reads(client);
    struct position second = world->positions[1];
    scene_published(says_it, TOPIC_A, 3, 2000);
    sim_subscribe(client, 2, PATTERN_A, SKIP, &second);
    scene_says(client);
    sim_subscribe(client, 3, PATTERN_A, SKIP, &first);
    scene_says(client);
    scene_reads(client);
    cr_assert_eq(world->resumes, 2);
    scene_end(world);
}

Test(sim_scenes, what_is_queued_for_others_is_not_lost_when_one_resumes) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    struct sim_client *client = scene_subscriber(world, PATTERN_A, SKIP);
    struct position first = world->positions[0];
    scene_published(says_it, TOPIC_A, 2, 2000);
    sim_subscribe(client, 2, PATTERN_B, SKIP, &first);
    scene_says(client);
    scene_reads(client);
    cr_assert_eq(world->events, 2);
    scene_end(world);
}

/* Somebody's Position of before the first event, and ten events of topic "a" behind it. */
static struct position position_before(struct sim_world *world, struct sim_client *says_it) {
    struct sim_client *early = scene_subscriber(world, PATTERN_A, SKIP);
    struct position position = world->positions[0];
    scene_published(says_it, TOPIC_A, 10, 100);
    scene_reads(early);
    sim_leave(early, SIM_CLOSED);
    return position;
}

/* A connection that stands at the first event again for a subscription that resumes, and does not get on. */
static struct sim_client *resumed(struct sim_world *world, struct sim_client *says_it, uint32_t patterns) {
    struct position first = position_before(world, says_it);
    struct sim_client *client = scene_subscriber(world, patterns, SKIP);
    for (uint32_t i = 0; i < 20; i++)
        sim_ping(client); /* these fill its socket */
    scene_says(client);
    sim_subscribe(client, 2, PATTERN_A, SKIP, &first);
    scene_says(client);
    cr_assert_eq(SIM_STAT(world, laggards), 1);
    return client;
}

Test(sim_scenes, the_end_of_a_resumed_subscription_lets_the_connection_go_on) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = resumed(world, scene_publisher(world), PATTERN_B);
    sim_unsubscribe(client, 2);
    sim_ping(client); /* a Pong that still says so would bring another subscription everything again */
    scene_says(client);
    scene_reads(client);
    scene_end(world);
}

/* It falls off the ring where only the ended subscription had stood. */
Test(sim_scenes, a_gap_begins_where_somebody_misses_something) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *says_it = scene_publisher(world);
    struct sim_client *client = resumed(world, says_it, SIM_MASK_ALL);
    sim_unsubscribe(client, 2);
    scene_says(client);
    scene_published(says_it, TOPIC_A, 30, 6000);
    scene_reads(client);
    cr_assert_gt(world->gaps, 0);
    scene_end(world);
}

Test(sim_scenes, a_pong_in_the_queue_does_not_go_back_with_the_connection) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = resumed(world, scene_publisher(world), SIM_MASK_ALL);
    for (uint32_t i = 0; i < 200; i++) { /* each time a little more fits into the socket */
        (void)sim_read(client, 210);
        sim_turns(world, 1);
    }
    cr_assert_eq(world->events, 20);
    scene_end(world);
}

/* What is queued for a subscription that has ended does not concern who comes after it. */
Test(sim_scenes, a_pong_behind_an_ended_subscription_stands_where_the_others_are) {
    for (uint32_t how = 0; how < 4; how++) {
        struct sim_world *world = scene_world(sim_setup_plain(1));
        struct sim_client *client = slices_queued(world, 3);
        sim_unsubscribe(client, 1);
        sim_subscribe(client, 2, PATTERN_B, SKIP, NULL);
        if (how % 2 == 1)
            sim_unsubscribe(client, 2);
        if (how % 2 == 1)
            sim_subscribe(client, 3, PATTERN_B, SKIP, NULL);
        sim_ping(client);
        if (how >= 2)
            sim_goodbye(client);
        scene_pours(client);
        sim_turns(world, 20); /* it falls back before the worker sleeps */
        scene_reads(client);
        scene_end(world);
    }
}

/* The last subscription on a log ends; what is queued of it still needs the reader's gate. */
Test(sim_scenes, slices_are_whole_also_when_nobody_reads_their_log_any_more) {
    struct sim_world *world = scene_world(sim_setup_plain(1));
    struct sim_client *client = slices_queued(world, 5);
    struct sim_client *says_it = sim_connect(world, false);
    sim_unsubscribe(client, 1);
    (void)sim_write(client, SIZE_MAX);
    for (uint32_t i = 0; i < 250; i++) { /* without a moment of sleep, once around the ring and more */
        sim_publish(says_it, TOPIC_B, 400);
        (void)sim_write(says_it, SIZE_MAX);
        sim_turns(world, 1);
        if (i > 200)
            (void)sim_read(client, 210);
    }
    cr_assert_gt(log_oldest(world->logs[0].log), 5);
    scene_reads(client);
    scene_end(world);
}

/* Positions of logs that a connection does not read are good for reading them later. */
Test(sim_scenes, a_position_is_good_for_logs_that_were_not_read) {
    struct sim_world *world = scene_world(sim_setup_plain(2));
    struct sim_client *client = scene_subscriber(world, PATTERN_A, SKIP);
    struct sim_client *says_it = scene_publisher(world);
    scene_published(says_it, TOPIC_B, 3, 10);
    sim_ping(client);
    scene_says(client);
    scene_reads(client);
    struct position position = world->positions[world->positions_count - 1];
    cr_assert_eq(sequence_position(position.logs[1].next), 4);
    scene_published(says_it, TOPIC_B, 3, 10);
    sim_subscribe(client, 2, PATTERN_B, SKIP, &position);
    scene_says(client);
    scene_published(says_it, TOPIC_B, 1, 10);
    scene_reads(client);
    cr_assert_eq(world->events, 4);
    scene_end(world);
}

/* ---- several logs ---- */

/* What a Position says of an earlier run of the memory logs is not understood; of a disk log it is. */
Test(sim_scenes, a_position_of_before_a_restart_is_good_for_the_disk_logs) {
    struct sim_setup setup = sim_setup_plain(1);
    setup.disks = 1;
    setup.rules = true; /* "a" in memory, "b.b" on disk */
    setup.first = 500;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    struct position before = {.count = 2,
                              .logs = {{.next = sequence_make(1, 7), .number = 0},
                                       {.next = sequence_make(1, 502), .number = LOG_NUMBER_DISK}}};
    memcpy(before.instance, "simulated router", sizeof before.instance);
    before.logs[0].next = sequence_make(2, 7);
    scene_published(says_it, TOPIC_A, 3, 10);
    scene_published(says_it, TOPIC_BB, 4, 10);
    struct sim_client *client = sim_connect(world, true);
    sim_subscribe(client, 1, PATTERN_A | PATTERN_BB, SKIP, &before);
    scene_says(client);
    scene_reads(client);
    cr_assert_eq(client->strange, 0, "the Gap about the memory log has come");
    cr_assert_eq(world->events, 2, "and what the disk log has from there on");
    scene_published(says_it, TOPIC_A, 1, 10);
    scene_reads(client);
    cr_assert_eq(world->events, 3);
    scene_end(world);
}

/* A laggard of a disk log is held up by nothing but itself, and the disk by nobody. */
Test(sim_scenes, who_subscribes_gets_what_becomes_durable_later) {
    struct sim_setup setup = sim_setup_plain(2);
    setup.disks = 3;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    world->disk_stuck = true;
    scene_published(says_it, TOPIC_A, 3, 10);
    struct sim_client *client = scene_subscriber(world, PATTERN_A, SKIP);
    scene_published(says_it, TOPIC_A, 2, 10);
    cr_assert_eq(world->events, 0);
    world->disk_stuck = false;
    sim_turns(world, 5);
    cr_assert_eq(world->events, 5, "it begins at what is durable");
    scene_reads(client);
    scene_end(world);
}

/* ---- what homes say against events ---- */

/* More verdicts than their way back holds, and the publisher's worker does not look: the link waits, and all
 * of them come. */
Test(sim_scenes, verdicts_without_room_wait_and_come) {
    struct sim_setup setup = sim_setup_plain(2);
    setup.judged = true;
    setup.link_bytes = MIB;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    for (uint32_t i = 0; i < 2000; i++)
        sim_publish(says_it, TOPIC_B, 10);
    while (sim_write(says_it, SIZE_MAX) > 0)
        (void)sim_turn(world, 0); /* the home takes no turn */
    for (uint32_t i = 0; i < 20; i++) {
        (void)sim_turn(world, 1); /* the publisher's worker takes none */
        sim_time(world, 2 * NS_PER_MS);
    }
    cr_assert_eq(world->verdicts, 0);
    cr_assert_eq(SIM_STAT(world, events_duplicate), 0);
    scene_reads(says_it);
    scene_end(world);
}

Test(sim_scenes, a_verdict_about_somebody_who_is_gone_concerns_nobody) {
    struct sim_setup setup = sim_setup_plain(2);
    setup.judged = true;
    struct sim_world *world = scene_world(setup);
    struct sim_client *says_it = scene_publisher(world);
    for (uint32_t i = 0; i < 100; i++)
        sim_publish(says_it, TOPIC_B, 10);
    while (sim_write(says_it, SIZE_MAX) > 0)
        (void)sim_turn(world, 0);
    sim_leave(says_it, SIM_RESET);
    for (uint32_t i = 0; i < 5; i++)
        (void)sim_turn(world, 0);
    struct sim_client *next = sim_connect(world, true); /* in its place */
    (void)sim_write(next, SIZE_MAX);
    for (uint32_t i = 0; i < 5; i++)
        (void)sim_turn(world, 0);
    sim_turns(world, 5);
    cr_assert_eq(next->through, 0);
    scene_end(world);
}

/* ---- level DISK ---- */

/* At home and over a link: not before it is durable, and then soon. */
Test(sim_scenes, disk_is_told_when_it_is_on_disk) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_setup setup = sim_setup_plain(workers);
        setup.disks = 2;
        struct sim_world *world = scene_world(setup);
        struct sim_client *client = sim_connect_disk(world);
        scene_says(client);
        scene_reads(client);
        world->disk_stuck = true;
        for (uint32_t topic = 0; topic < SIM_TOPICS; topic++)
            sim_publish(client, topic, 10);
        scene_says(client);
        scene_passes(world, NS_PER_S);
        scene_reads(client);
        cr_assert_eq(client->through, 0);
        world->disk_stuck = false;
        scene_passes(world, 50 * NS_PER_MS);
        scene_reads(client);
        cr_assert_eq(client->through, SIM_TOPICS);
        scene_end(world);
    }
}

Test(sim_scenes, what_is_routed_does_not_wait_for_the_disk) {
    struct sim_setup setup = sim_setup_plain(2);
    setup.disks = 2;
    struct sim_world *world = scene_world(setup);
    world->disk_stuck = true;
    struct sim_client *client = scene_publisher(world);
    for (uint32_t topic = 0; topic < SIM_TOPICS; topic++)
        sim_publish(client, topic, 10);
    scene_says(client);
    scene_reads(client);
    cr_assert_eq(client->through, SIM_TOPICS);
    world->disk_stuck = false;
    scene_end(world);
}

Test(sim_scenes, what_is_kept_in_memory_can_not_be_acknowledged_as_on_disk) {
    struct sim_setup setup = sim_setup_plain(2);
    setup.disks = 1;
    setup.rules = true;
    struct sim_world *world = scene_world(setup);
    struct sim_client *client = sim_connect_disk(world);
    scene_says(client);
    for (uint32_t topic = 0; topic < SIM_TOPICS; topic++)
        sim_publish(client, topic, 10);
    scene_says(client);
    scene_reads(client);
    cr_assert_eq(client->through, SIM_TOPICS);
    cr_assert(!client->events[TOPIC_A].valid && client->events[TOPIC_A].excepted);
    cr_assert(client->events[TOPIC_BB].valid && !client->events[TOPIC_BB].excepted);
    scene_end(world);
}

/* A part is on disk, and is told so; of the rest nobody knows; what comes later is not taken. */
Test(sim_scenes, nobody_is_told_disk_when_the_journal_has_failed) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct sim_setup setup = sim_setup_plain(workers);
        setup.disks = 2;
        setup.judged = workers == 2;
        struct sim_world *world = scene_world(setup);
        struct sim_client *client = sim_connect_disk(world);
        struct sim_client *other = scene_publisher(world);
        scene_says(client);
        scene_published(client, TOPIC_A, 10, 10);
        cr_assert_eq(client->through, 10);
        world->disk_stuck = true;
        for (uint32_t i = 0; i < 100; i++)
            sim_publish(client, i % SIM_TOPICS, 10);
        scene_says(client);
        scene_reads(client);
        cr_assert_lt(client->through, 110);
        world->disk_failed = true;
        shards_journal_failed(world->shards);
        sim_turns(world, 4);
        scene_reads(client);
        cr_assert_eq(client->through, 110);
        uint32_t unknown = 0;
        for (uint32_t i = 10; i < 110; i++)
            unknown += client->events[i].verdict == SIM_UNKNOWN;
        cr_assert_gt(unknown, 60);
        scene_published(client, TOPIC_A, 3, 10);
        scene_published(other, TOPIC_A, 3, 10);
        cr_assert(client->through == 113 && other->through == 3);
        for (uint32_t i = 110; i < 113; i++)
            cr_assert(client->events[i].excepted);
        sim_stop(world); /* it does not wait for what will never be on disk */
        sim_world_end(world);
        LEAKS_NONE();
    }
}
