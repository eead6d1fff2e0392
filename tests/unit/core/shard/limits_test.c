/* Limits that change while workers run: each takes them in its own turn, and who was told something keeps it.
 */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <pthread.h>

struct order {
    struct shards *shards;
    struct shards_limits limits;
    pthread_t thread;
    struct counter done;
};

static void *order_run(void *user) {
    struct order *order = user;
    shards_limit(order->shards, &order->limits);
    counter_set(&order->done, 1);
    return NULL;
}

/* The workers take turns until all have taken the limits over. */
static void take(struct world *world, const struct shards_limits *limits) {
    struct order order = {.shards = world->shards, .limits = *limits};
    cr_assert_eq(pthread_create(&order.thread, NULL, order_run, &order), 0);
    while (counter_get(&order.done) == 0)
        world_turns(world, 1);
    cr_assert_eq(pthread_join(order.thread, NULL), 0);
    for (uint32_t i = 0; i < world->shards->config.count; i++)
        cr_assert(memcmp(&world_worker(world, i)->limits, limits, sizeof *limits) == 0, "worker %u", i);
}

static struct shards_limits limits_of(const struct world *world) {
    return world_worker(world, 0)->limits;
}

Test(limits, hold_for_all_workers_when_the_order_is_over) {
    struct world *world = world_new(&(struct world_config){.shards = 3, .disks = 2});
    struct shards_limits limits = {.connections = 1,
                                   .subscriptions = 2,
                                   .handshake_ns = 3,
                                   .block_ns = 4,
                                   .idle_ns = 5,
                                   .private_bytes = 6,
                                   .grace_ns = 7};
    take(world, &limits);
    for (uint32_t i = 0; i < 3; i++) {
        const struct worker *worker = world_worker(world, i);
        cr_expect(worker->facts.idle_ns == 5 && worker->facts.private_bytes == 6);
    }
    for (uint32_t i = 0; i < shards_log_count(world->shards); i++)
        cr_expect_eq(world->shards->logs[i]->grace_ns, 7, "log %u", i);
    cr_expect(world->shards->config.connections == 1 && world->shards->config.grace_ns == 7,
              "a worker that is made later begins with them");
    world_free(world);
    LEAKS_NONE();
}

Test(limits, of_subscriptions_refuse_what_is_new_and_leave_what_is_there) {
    struct world *world = world_new(&(struct world_config){0});
    struct world_client *client = client_new(world, 0, false);
    struct world_frame frame;
    struct shards_limits limits = limits_of(world);
    client_subscribe(client, 1, "a", true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    client_subscribe(client, 2, "b", true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    limits.subscriptions = 1;
    take(world, &limits);
    client_subscribe(client, 3, "c", true);
    client_expect(client, WIRE_ERROR, &frame);
    client_publish(client, "b", 7, 10);
    client_expect(client, WIRE_EVENT, &frame);
    cr_expect_eq(frame.number, 7);
    limits.subscriptions = 3;
    take(world, &limits);
    client_subscribe(client, 3, "c", true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    world_free(world);
    LEAKS_NONE();
}

Test(limits, of_idle_time_are_those_that_a_connection_was_told) {
    struct world *world = world_new(&(struct world_config){0});
    struct shards_limits limits = limits_of(world);
    const struct worker *worker = world_worker(world, 0);
    uint32_t serial = 0;
    for (uint64_t idle_s = 1; idle_s <= 4; idle_s++, serial++) {
        limits.idle_ns = idle_s * NS_PER_S;
        take(world, &limits);
        take(world, &limits); /* the same again needs no place */
        (void)client_new(world, 0, false);
    }
    cr_assert_eq(worker->idle_times, 5);
    for (struct list *node = worker->all.next; node != &worker->all; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, all);
        cr_expect_eq(limits_idle_ns(worker, peer), (peer->serial + 1) * NS_PER_S);
        serial--;
    }
    cr_expect_eq(serial, 0);
    world_free(world);
    LEAKS_NONE();
}

/* So many changes that the places run out: nobody is cut before its time. */
Test(limits, of_idle_time_are_never_shorter_than_those_that_were_told) {
    struct world *world = world_new(&(struct world_config){0});
    struct shards_limits limits = limits_of(world);
    const struct worker *worker = world_worker(world, 0);
    uint64_t told[3 * IDLE_TIMES_MAX];
    for (uint32_t i = 0; i < 3 * IDLE_TIMES_MAX; i++) {
        told[i] = limits.idle_ns = (1 + i * 7 % 11) * NS_PER_S;
        take(world, &limits);
        cr_assert_eq(worker->facts.idle_ns, told[i], "who connects now is told this");
        (void)client_new(world, 0, false);
    }
    cr_assert_eq(worker->idle_times, IDLE_TIMES_MAX);
    for (struct list *node = worker->all.next; node != &worker->all; node = node->next) {
        const struct peer *peer = LIST_OF(node, struct peer, all);
        cr_expect_geq(limits_idle_ns(worker, peer), told[peer->serial], "connection %u", peer->serial);
    }
    limits.idle_ns = 0;
    take(world, &limits);
    (void)client_new(world, 0, false);
    cr_expect_eq(worker->idle_ns[IDLE_TIMES_MAX - 1], 0, "for ever is the longest");
    world_free(world);
    LEAKS_NONE();
}
