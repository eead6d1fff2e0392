/* The worker's turn, one by one, over the simulated I/O body: gates, floors, and when it may sleep. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LONG_NS (3600 * NS_PER_S) /* a grace that no test outlives */

/* Publishes so many events of 1 KiB, in pieces that the sockets take, without letting the worker sleep. */
static void publish_busily(struct world_client *client, uint64_t *number, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        client_publish(client, "t", (*number)++, 1000);
        world_turn(client->world, client->shard);
    }
}

/* Everything that was delivered and still fits into the socket; counts the events, which must be neighbours.
 */
static uint64_t read_all(struct world_client *client, uint64_t next) {
    struct world_frame frame;
    for (uint32_t idle = 0; idle < 10;) {
        while (client_next(client, &frame))
            if (frame.kind == WIRE_EVENT)
                cr_assert_eq(frame.number, next++);
        idle = client_pull(client, 64 * KIB) > 0 ? 0 : idle + 1;
        world_turn(client->world, client->shard);
    }
    return next;
}

/* --- Gates ---------------------------------------------------------------------------------------------- */

/* A subscriber whose socket is full gives up the log's only subscription on this worker. What it still has to
 * send lies in the ring, and the ring must not be written over it. */
static void unsent_scene(void (*give_up)(struct world_client *), int64_t end) {
    struct world *world = world_new(&(struct world_config){0});
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *subscriber = client_new(world, 0, false);
    struct world_frame frame;
    uint64_t number = 0;
    client_subscribe(subscriber, 1, "t", true);
    client_expect(subscriber, WIRE_SUBSCRIBED, &frame);
    publish_busily(publisher, &number, 10);
    const struct worker *worker = world_worker(world, 0);
    cr_assert_eq(counter_get(&worker->stats.laggards), 0, "its slices are few enough to stay");
    give_up(subscriber);
    publish_busily(publisher, &number, 5);
    cr_assert_not(worker->readers[0].attached);
    publish_busily(publisher, &number, 200);
    uint64_t read = read_all(subscriber, 0); /* every byte is compared */
    cr_assert_geq(read, 3, "what the socket had taken, at least");
    cr_assert_leq(read, 16);
    cr_assert_eq(subscriber->error, end);
    world_free(world);
    LEAKS_NONE();
}

static void give_up_by_unsubscribe(struct world_client *client) {
    client_unsubscribe(client, 1);
}

Test(worker_turn, protects_unsent_slices_when_nobody_subscribes_any_more) {
    unsent_scene(give_up_by_unsubscribe, -EAGAIN);
}

Test(worker_turn, protects_unsent_slices_of_one_who_says_goodbye) {
    unsent_scene(client_goodbye, 0); /* answered and closed in order, not reset */
}

Test(worker_turn, protects_unsent_slices_when_somebody_subscribes_anew) {
    struct world *world = world_new(&(struct world_config){0});
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *old = client_new(world, 0, false);
    struct world_client *new = client_new(world, 0, false);
    struct world_frame frame;
    uint64_t number = 0;
    client_subscribe(old, 1, "t", true);
    client_expect(old, WIRE_SUBSCRIBED, &frame);
    publish_busily(publisher, &number, 10);
    client_unsubscribe(old, 1);
    client_subscribe(new, 1, "t", true);
    for (uint32_t i = 0; i < 200; i++) {
        publish_busily(publisher, &number, 1);
        (void)client_pull(new, 64 * KIB);
    }
    cr_assert_geq(read_all(old, 0), 3);
    uint64_t first = number;
    while (client_next(new, &frame)) /* compared, too */
        if (frame.kind == WIRE_EVENT && frame.number < first)
            first = frame.number;
    cr_assert(first >= 10 && first < 16, "%lu", (unsigned long)first);
    world_free(world);
    LEAKS_NONE();
}

/* --- Sends ---------------------------------------------------------------------------------------------- */

#define MANY 300u
static_assert(MANY > SENDS_PER_FLUSH_MAX && SENDS_PER_FLUSH_MAX % 2 == 0,
              "the second flush begins with noise");

/* A flush in the middle of a turn's sends may tell that connections have ended, also those that are next. */
Test(worker_turn, goes_on_sending_when_a_flush_ends_connections) {
    struct world *world = world_new(&(struct world_config){.early = true});
    struct world_client *clients[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        clients[i] = client_new(world, 0, false);
    for (uint32_t i = 0; i < MANY; i++) {
        if (i % 2 != 0)
            client_ping(clients[i]);
        else
            client_noise(clients[i]); /* answered by an Error, closed when it ends */
        client_shut(clients[i]);
    }
    world_turn(world, 0);
    world_turn(world, 0);
    for (uint32_t i = 1; i < MANY; i += 2) {
        struct world_frame frame;
        (void)client_pull(clients[i], KIB);
        cr_assert(client_next(clients[i], &frame) && frame.kind == WIRE_PONG);
    }
    world_free(world);
    LEAKS_NONE();
}

/* --- Floors --------------------------------------------------------------------------------------------- */

#define CROWD 20u

/* More than a ring in one turn, from many publishers at once. */
static void publish_at_once(struct world *world, struct world_client *const publishers[CROWD],
                            uint64_t *number) {
    for (uint32_t i = 0; i < CROWD; i++)
        for (uint32_t k = 0; k < 4; k++)
            client_publish(publishers[i], "t", (*number)++, 900);
    world_turn(world, 0);
}

static void crowd_new(struct world *world, struct world_client *publishers[CROWD]) {
    for (uint32_t i = 0; i < CROWD; i++)
        publishers[i] = client_new(world, 0, false);
}

/* A blocked subscriber falls back when its worker goes to sleep. The grace is for it as for everybody. */
Test(worker_turn, asks_for_grace_for_those_who_fall_back_before_a_sleep) {
    struct world *world = world_new(&(struct world_config){.grace_ns = LONG_NS});
    struct world_client *publishers[CROWD];
    struct world_frame frame;
    uint64_t number = 0;
    crowd_new(world, publishers);
    struct world_client *subscriber = client_new(world, 0, false);
    client_subscribe(subscriber, 1, "t", false);
    client_expect(subscriber, WIRE_SUBSCRIBED, &frame);
    publish_busily(publishers[0], &number, 10);
    const struct worker *worker = world_worker(world, 0);
    cr_assert_eq(counter_get(&worker->stats.laggards), 0);
    while (worker->worked)
        world_turn(world, 0);
    cr_assert_gt(worker->pool.used, 0);
    uint64_t sleeps = world_sleeps(world, 0);
    publish_at_once(world, publishers, &number); /* what comes wakes it from its first sleep */
    cr_assert_eq(world_sleeps(world, 0), sleeps + 1);
    cr_assert_eq(counter_get(&worker->stats.laggards), 1);
    cr_assert_gt(counter_get(&log_counters(worker->homes[0].log)->refused_grace), 0, "nobody waited for it");
    cr_assert_eq(read_all(subscriber, 0), number, "it comes back without losing anything");
    cr_assert_eq(counter_get(&worker->stats.slow_disconnects), 0);
    world_free(world);
    LEAKS_NONE();
}

/* When the only laggard of a log wants nothing of it any more, nobody waits for it. */
static void no_grace_scene(void (*give_up)(struct world_client *)) {
    struct world *world = world_new(&(struct world_config){.grace_ns = LONG_NS});
    struct world_client *publishers[CROWD];
    struct world_frame frame;
    uint64_t number = 0;
    crowd_new(world, publishers);
    struct world_client *subscriber = client_new(world, 0, false);
    client_subscribe(subscriber, 1, "t", false);
    client_expect(subscriber, WIRE_SUBSCRIBED, &frame);
    publish_busily(publishers[0], &number, 10);
    world_sleep(world, 0, 2);
    const struct worker *worker = world_worker(world, 0);
    cr_assert_eq(counter_get(&worker->stats.laggards), 1);
    cr_assert_neq(worker->readers[0].floor, LOG_IDLE);
    give_up(subscriber);
    world_sleep(world, 0, 2);
    cr_assert_not(worker->readers[0].attached);
    for (int i = 0; i < 4; i++)
        publish_at_once(world, publishers, &number);
    cr_assert_eq(counter_get(&worker->stats.events_appended), number);
    cr_assert_eq(counter_get(&log_counters(worker->homes[0].log)->refused_grace), 0,
                 "somebody waited for nobody");
    world_free(world);
    LEAKS_NONE();
}

static void give_up_by_reset(struct world_client *client) {
    client_leave(client, true);
}

Test(worker_turn, asks_for_no_grace_for_those_who_are_gone) {
    no_grace_scene(give_up_by_reset);
    no_grace_scene(give_up_by_unsubscribe);
    no_grace_scene(client_goodbye);
}

/* --- Acknowledgement ------------------------------------------------------------------------------------ */

/* A publisher that never stops sending to another home is told how far that is, all the same. */
Test(worker_turn, acknowledges_while_more_comes) {
    struct world *world = world_new(&(struct world_config){.shards = 2, .log_data = MIB});
    char topic[16];
    struct world_client *publisher = client_new(world, 0, true);
    struct world_frame frame;
    uint64_t acks = 0;
    world_topic(world, 1, topic);
    for (uint64_t number = 0; number < 50; number++) {
        client_publish(publisher, topic, number, 100);
        world_turns(world, 1);
        (void)client_pull(publisher, 4 * KIB);
        while (client_next(publisher, &frame))
            acks += frame.kind == WIRE_PUBLISH_ACK;
    }
    cr_assert_geq(acks, 48, "%lu", (unsigned long)acks);
    world_free(world);
    LEAKS_NONE();
}

/* --- Batches -------------------------------------------------------------------------------------------- */

/* Each batch of a long turn wakes its readers, so that they read while it goes on. */
Test(worker_turn, wakes_readers_for_each_batch) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct world_client *publishers[CROWD];
    const struct worker *home = world_worker(world, 0);
    const struct wake *reader = &world_worker(world, 1)->wake;
    char topic[16];
    crowd_new(world, publishers);
    world_topic(world, 0, topic);
    world_turns(world, 3);
    uint64_t batches = counter_get(&log_counters(home->homes[0].log)->batches);
    uint64_t signals = wake_sent(reader) + wake_elided(reader);
    for (uint64_t number = 0; number < CROWD * 3; number++)
        client_publish(publishers[number % CROWD], topic, number, 900);
    world_turn(world, 0);
    cr_assert_eq(counter_get(&home->stats.events_appended), CROWD * 3);
    batches = counter_get(&log_counters(home->homes[0].log)->batches) - batches;
    cr_assert_geq(batches, 4, "half of the ring, and more");
    cr_assert_eq(wake_sent(reader) + wake_elided(reader) - signals, batches);
    world_free(world);
    LEAKS_NONE();
}

/* --- Routes --------------------------------------------------------------------------------------------- */

#define SETS 240u

/* Topic "t.N" is wanted by client 0 and by those whose bit in N is set: as many sets as topics. Few topics
 * are remembered, so few sets may stay, although nobody subscribes or unsubscribes any more. */
Test(worker_turn, frees_the_sets_of_topics_that_are_forgotten) {
    struct world *world = world_new(&(struct world_config){.log_data = MIB});
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *clients[9];
    struct route_counts counts;
    char topic[16];
    for (uint32_t i = 0; i < 9; i++)
        clients[i] = client_new(world, 0, false);
    client_subscribe(clients[0], SETS, "t.*", true);
    for (uint32_t i = 1; i < 9; i++)
        for (uint32_t n = 1; n < SETS; n++) {
            (void)snprintf(topic, sizeof topic, "t.%u", n);
            if (n >> (i - 1) & 1)
                client_subscribe(clients[i], n, topic, true);
        }
    world_turns(world, SETS);
    for (uint32_t n = 1; n < SETS; n++) {
        (void)snprintf(topic, sizeof topic, "t.%u", n);
        client_publish(publisher, topic, n, 10);
        world_turns(world, 1);
        for (uint32_t i = 0; i < 9; i++)
            (void)client_pull(clients[i], 4 * KIB);
    }
    world_turns(world, 1);
    route_counts(world_worker(world, 0)->routes, &counts);
    cr_assert_gt(counts.evicted, SETS / 2);
    cr_assert_lt(counts.routes, SETS / 2, "%lu", (unsigned long)counts.routes);
    world_free(world);
    LEAKS_NONE();
}

/* --- Mailboxes ------------------------------------------------------------------------------------------ */

/* A connection that can not be handed over is closed, and counted. */
Test(worker_turn, counts_connections_that_a_full_mailbox_refuses) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct worker *acceptor = world_worker(world, 0);
    const struct mpsc_command command = {.kind = COMMAND_LINK, .small = SHARDS_MAX - 1};
    while (mpsc_push(world_worker(world, 1)->mailbox, &command) == RING_OK)
        continue;
    acceptor->placed[0] = 1; /* so the other one is the least loaded */
    peer_accepted(acceptor, NULL, dup(0));
    cr_assert_eq(acceptor->placed[1], 0);
    cr_assert_eq(counter_get(&acceptor->stats.connections_refused), 1);
    acceptor->placed[0] = 0;
    world_turn(world, 1);
    cr_assert_not(mpsc_pending(world_worker(world, 1)->mailbox), "all are read in one turn");
    world_free(world);
    LEAKS_NONE();
}

/* --- Sleep ---------------------------------------------------------------------------------------------- */

/* Worker 0 has filled its link to worker 1, has a publisher parked, and sleeps. */
static struct world *link_full(struct world_client **publisher, uint64_t count, uint32_t size) {
    struct world *world =
        world_new(&(struct world_config){.shards = 2, .log_data = MIB, .socket_bytes = MIB});
    char topic[16];
    *publisher = client_new(world, 0, false);
    for (uint64_t number = 0; number < count; number++)
        client_publish(*publisher, world_topic(world, 1, topic), number, size);
    world_sleep(world, 0, 3);
    const struct worker *worker = world_worker(world, 0);
    cr_assert_eq(counter_get(&worker->stats.parked), 1);
    cr_assert_lt(counter_get(&worker->stats.events_forwarded), count);
    return world;
}

/* Frames too large for a link are lent, and what is lent at once is bounded, whatever the link has room for.
 */
Test(worker_turn, lends_no_more_than_its_bound_to_a_home_that_does_not_turn) {
    struct world *world =
        world_new(&(struct world_config){.shards = 2, .log_data = 16 * MIB, .socket_bytes = 4 * MIB});
    char topic[16];
    struct world_client *publisher = client_new(world, 0, false);
    for (uint64_t number = 0; number < 20; number++)
        client_publish(publisher, world_topic(world, 1, topic), number, 1000000);
    world_sleep(world, 0, 3);
    const struct worker_stats *stats = &world_worker(world, 0)->stats;
    cr_assert_eq(counter_get(&stats->events_forwarded), LENT_BYTES_MAX / 1000000);
    cr_assert_eq(counter_get(&stats->parked), 1);
    uint64_t sleeps = world_sleeps(world, 0);
    world_turn(world, 1);
    world_turn(world, 0);
    cr_assert_eq(world_sleeps(world, 0), sleeps, "there is room again");
    world_turns(world, 100);
    cr_assert_eq(counter_get(&world_worker(world, 1)->stats.events_appended), 20);
    cr_assert_eq(world_worker(world, 0)->out[1].lent_bytes, 0);
    world_free(world);
    LEAKS_NONE();
}

/* The wake of the other side came while worker 0 was awake, and was elided: the look again must find the
 * room. */
static void no_sleep_scene(uint64_t count, uint32_t size) {
    struct world_client *publisher;
    struct world *world = link_full(&publisher, count, size);
    uint64_t sleeps = world_sleeps(world, 0);
    world_turn(world, 1);
    world_turn(world, 0);
    cr_assert_eq(world_sleeps(world, 0), sleeps);
    world_free(world);
    LEAKS_NONE();
}

Test(worker_turn, does_not_sleep_on_room_in_a_link) {
    no_sleep_scene(40, 10000);
    no_sleep_scene(60, 100000); /* lent: their bound is another one */
}

/* What a parked publisher forwards at the end of a turn is published by the next one, at once. */
Test(worker_turn, does_not_sleep_on_what_it_has_forwarded_and_not_published) {
    struct world_client *publisher;
    struct world *world = link_full(&publisher, 40, 10000);
    world_turn(world, 1);
    uint64_t forwarded = counter_get(&world_worker(world, 0)->stats.events_forwarded);
    world_turn(world, 0);
    cr_assert_gt(counter_get(&world_worker(world, 0)->stats.events_forwarded), forwarded);
    cr_assert(world_worker(world, 0)->out[1].fresh);
    uint64_t sleeps = world_sleeps(world, 0);
    world_turn(world, 0);
    cr_assert_eq(world_sleeps(world, 0), sleeps);
    world_turns(world, 3);
    cr_assert_eq(counter_get(&world_worker(world, 1)->stats.events_appended), 40);
    world_free(world);
    LEAKS_NONE();
}

static uint64_t hand_ns = NS_PER_S;

static uint64_t hand_clock(void) {
    return hand_ns;
}

/* A whole sleep over news that nobody rang for is counted, also one that housekeeping has cut short. */
Test(worker_turn, counts_a_wake_that_was_lost) {
    struct world *world = world_new(&(struct world_config){0});
    struct worker *worker = world_worker(world, 0);
    (void)client_new(world, 0, false);
    worker->clock_ns = hand_clock;
    worker->now_ns = worker->housekeeping_ns = hand_ns;
    world_sleep(world, 0, 1); /* with housekeeping: the next one is due 100 ms from now */
    hand_ns += 40 * NS_PER_MS;
    world_turn(world, 0);
    uint64_t wait_ns = worker_rest(worker);
    cr_assert_eq(wait_ns, 60 * NS_PER_MS);
    const struct mpsc_command command = {.kind = COMMAND_LINK, .small = SHARDS_MAX - 1};
    cr_assert_eq(mpsc_push(worker->mailbox, &command), RING_OK); /* and no signal */
    hand_ns += wait_ns;
    cr_assert_eq(worker_wake(worker, wait_ns), 0);
    cr_assert_eq(counter_get(&worker->stats.backstop_hits), 1);
    cr_assert_eq(worker_rest(worker), 0, "it was news");
    world_free(world);
    LEAKS_NONE();
}
