/* Bytes that are received straight into the log: whose they are, and what becomes of them when their
 * connection ends, others write, or the log has no room. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>

#define LANDING 256u /* so little room is worth it here */

/* A publisher, and the worker's side of its connection. */
struct publisher {
    struct world_client *client;
    struct peer *peer;
};

static uint64_t landed(const struct world *world) {
    return counter_get(&world_worker(world, 0)->stats.events_landed);
}

/* One whose next bytes land. */
static struct publisher publisher_new(struct world *world, uint64_t *number) {
    struct publisher new = {.client = client_new(world, 0, false)};
    const struct worker *worker = world_worker(world, 0);
    new.peer = LIST_OF(worker->all.prev, struct peer, all);
    for (uint32_t i = 0; i < LANDING_EVENTS_MIN; i++)
        client_publish(new.client, "t", (*number)++, 10);
    world_turn(world, 0);
    cr_assert_eq(new.peer->homely, LANDING_EVENTS_MIN);
    return new;
}

/* Sends the first `bytes` of what it has to say; the rest later. */
static void say(const struct publisher *publisher, size_t bytes) {
    struct world_client *client = publisher->client;
    cr_assert_lt(bytes, client->out_length);
    cr_assert_eq(io_sim_write(client->peer, client->out, bytes), (int64_t)bytes);
    client->out_length -= bytes;
    uint8_t *rest = malloc(client->out_length);
    cr_assert_not_null(rest);
    memcpy(rest, client->out + bytes, client->out_length);
    free(client->out);
    client->out = rest;
    cr_assert_eq(worker_turn(world_worker(client->world, 0)), 0);
}

/* All events below `end` come, in their order. */
static void reads_to(struct world_client *subscriber, uint64_t next, uint64_t end) {
    struct world_frame frame;
    for (; next < end; next++) {
        client_expect(subscriber, WIRE_EVENT, &frame);
        cr_assert_eq(frame.number, next);
    }
}

static struct world_client *subscriber_new(struct world *world) {
    struct world_client *client = client_new(world, 0, false);
    struct world_frame frame;
    client_subscribe(client, 1, ">", true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    return client;
}

/* Many of one shape and topic become records at once, each with a sequence of its own; those of another topic
 * among them, too. */
Test(landing, takes_many_of_one_shape_at_once) {
    struct world *world = world_new(&(struct world_config){.landing_bytes = LANDING});
    struct world_client *subscriber = subscriber_new(world);
    uint64_t number = 0, last = 0;
    const struct publisher one = publisher_new(world, &number);
    reads_to(subscriber, 0, number);
    for (uint32_t round = 0; round < 50; round++) {
        uint64_t before = landed(world), from = number;
        for (uint32_t i = 0; i < 30; i++)
            client_publish(one.client, i % 10 == 5 ? "u" : "t", number++, 40);
        world_turn(world, 0);
        cr_assert_eq(landed(world), before + 30);
        for (; from < number; from++) {
            struct world_frame frame;
            client_expect(subscriber, WIRE_EVENT, &frame);
            cr_assert_eq(frame.number, from);
            cr_assert(last == 0 || frame.sequence == last + 1);
            last = frame.sequence;
        }
    }
    world_free(world);
    LEAKS_NONE();
}

/* What is for another worker's log goes there as a train, and comes as it was sent, also when that log has
 * room for a part of it only. */
Test(landing, sends_many_of_one_shape_to_another_home_at_once) {
    struct world *world =
        world_new(&(struct world_config){.shards = 2, .log_records = 64, .grace_ns = 3600 * NS_PER_S});
    char topic[16];
    (void)world_topic(world, 1, topic);
    struct world_client *subscriber = client_new(world, 0, false);
    struct world_client *publisher = client_new(world, 0, false);
    const struct worker *home = world_worker(world, 1);
    struct world_frame frame;
    client_subscribe(subscriber, 1, ">", true);
    client_expect(subscriber, WIRE_SUBSCRIBED, &frame);
    uint64_t number = 0, last = 0;
    for (uint32_t round = 0; round < 50; round++) {
        uint64_t from = number;
        for (uint32_t i = 0; i < 120; i++) {
            client_publish(publisher, topic, number++, 40);
            if (i % 40 == 39)
                world_turn(world, 0);
        }
        world_turns(world, 2);
        for (; from < number; from++) {
            client_expect(subscriber, WIRE_EVENT, &frame);
            cr_assert_eq(frame.number, from);
            cr_assert(last == 0 || frame.sequence == last + 1);
            last = frame.sequence;
            if (from % 10 == 0)
                world_turns(world, 1); /* the home goes on with what waits */
        }
    }
    cr_assert_eq(counter_get(&home->stats.events_appended), number);
    cr_assert_eq(counter_get(&world_worker(world, 0)->stats.events_forwarded), number);
    world_free(world);
    LEAKS_NONE();
}

/* Two publishers whose frames are not all there write in turn: each byte that lies in the log is moved out of
 * the other's way. */
Test(landing, moves_out_of_the_way_of_another_publisher) {
    struct world *world = world_new(&(struct world_config){.landing_bytes = LANDING});
    struct world_client *subscriber = subscriber_new(world);
    uint64_t number = 0;
    const struct publisher one = publisher_new(world, &number);
    const struct publisher two = publisher_new(world, &number);
    reads_to(subscriber, 0, number);
    for (uint32_t turns = 0; turns < 200; turns++) { /* around the ring, and over its end */
        client_publish(one.client, "t", number, 700);
        say(&one, 300);
        cr_assert(one.peer->conn.in.borrowed);
        client_publish(two.client, "t", number + 1, 500);
        say(&two, 100);
        cr_assert(!one.peer->conn.in.borrowed && two.peer->conn.in.borrowed);
        world_turn(world, 0); /* the first one is complete */
        reads_to(subscriber, number, number + 2);
        number += 2;
    }
    cr_assert_gt(landed(world), 200);
    world_free(world);
    LEAKS_NONE();
}

/* Whether the next record must wait for the laggard: the index is full up to its floor. */
static bool record_waits(const struct worker *worker) {
    const struct log *log = worker->homes[0].log;
    return log->next == log->records_claimed &&
           log->records_claimed + 1 - log_records(log) > worker->readers[0].floor;
}

/* A publisher is parked, and behind the record that waits lie a Ping and the beginning of another one. Once
 * the first is in the log, that beginning does not lie where the next record goes, so it can not stay. */
Test(landing, takes_along_what_can_not_stay_where_it_lies) {
    struct world *world = world_new(
        &(struct world_config){.log_records = 64, .grace_ns = 3600 * NS_PER_S, .landing_bytes = LANDING});
    struct world_client *subscriber = subscriber_new(world);
    uint64_t number = 0;
    const struct publisher one = publisher_new(world, &number);
    while (!record_waits(world_worker(world, 0))) {
        client_publish(one.client, "t", number++, 500);
        world_turn(world, 0);
    }
    cr_assert_not(list_in(&one.peer->parked));
    client_publish(one.client, "t", number++, 500);
    client_ping(one.client);
    size_t most = one.client->out_length + 300;
    client_publish(one.client, "t", number++, 500);
    say(&one, most);
    cr_assert(list_in(&one.peer->parked) && one.peer->conn.in.borrowed);
    reads_to(subscriber, 0, number); /* the last one's rest has come behind the beginning */
    world_free(world);
    LEAKS_NONE();
}

/* A connection that is closed while its bytes are handled: the rest of them lies where the next record goes,
 * and is nobody's any more. */
Test(landing, handles_nothing_of_a_connection_that_was_closed_in_the_middle) {
    struct world *world = world_new(&(struct world_config){.landing_bytes = LANDING});
    uint64_t number = 0;
    const struct publisher one = publisher_new(world, &number);
    client_publish(one.client, "t", number++, 10);
    client_publish(one.client, "not..a.topic", 0, 10);
    client_publish(one.client, "t", number++, 500);
    client_publish(one.client, "t", number++, 500);
    one.peer->conn.broken = true; /* as without memory for the answer */
    const struct worker *worker = world_worker(world, 0);
    world_turn(world, 0);
    cr_assert_eq(landed(world), 1);
    cr_assert_eq(counter_get(&worker->stats.events_refused), 1);
    cr_assert_eq(counter_get(&worker->stats.events_in), number - 2);
    cr_assert_eq(log_produced(worker->homes[0].log), number - 1);
    world_free(world);
    LEAKS_NONE();
}

/* The beginning of a long frame that had to make room is not copied back: with two of them in turn it would
 * be copied with each receive. */
Test(landing, copies_a_long_beginning_no_more_than_once) {
    const size_t most = 300 * KIB; /* twice that is more than is moved back */
    cr_assert_gt(2 * most, RECEIVE_BULK_BYTES / 2);
    struct world *world = world_new(
        &(struct world_config){.log_data = 16 * MIB, .landing_bytes = LANDING, .socket_bytes = 1 << 20});
    struct world_client *subscriber = subscriber_new(world);
    uint64_t number = 0;
    const struct publisher one = publisher_new(world, &number);
    const struct publisher two = publisher_new(world, &number);
    client_publish(one.client, "t", number, 1000000);
    say(&one, most);
    say(&one, most);
    cr_assert(one.peer->conn.in.borrowed && input_length(&one.peer->conn.in) == 2 * most);
    client_publish(two.client, "t", number + 1, 500);
    say(&two, 100);
    cr_assert_not(one.peer->conn.in.borrowed);
    say(&one, 100);
    cr_assert(!one.peer->conn.in.borrowed && two.peer->conn.in.borrowed);
    say(&one, most);
    cr_assert_not(one.peer->conn.in.borrowed);
    uint64_t before = landed(world);
    world_turn(world, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct world_frame frame;
        client_expect(subscriber, WIRE_EVENT, &frame);
        while (frame.number < number)
            client_expect(subscriber, WIRE_EVENT, &frame);
    }
    cr_assert_leq(landed(world), before + 1, "the short one may");
    world_free(world);
    LEAKS_NONE();
}
