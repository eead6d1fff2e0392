/* A worker that writes several logs: which topic goes where, and that one log does not wait for another. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct world_client *subscriber_new(struct world *world, uint32_t shard) {
    struct world_client *client = client_new(world, shard, false);
    struct world_frame frame;
    client_subscribe(client, 1, ">", true);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    return client;
}

/* The numbers of all events that have come, as text. */
static const char *events(struct world_client *client) {
    static char text[4096];
    struct world_frame frame;
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < 4; i++) {
        world_turns(client->world, 2);
        (void)client_pull(client, 64 * KIB);
        while (client_next(client, &frame))
            if (frame.kind == WIRE_EVENT)
                used +=
                    (size_t)snprintf(text + used, sizeof text - used, "%lu ", (unsigned long)frame.number);
        cr_assert_lt(used, sizeof text);
    }
    return text;
}

Test(homes, have_a_log_for_each_class_and_slot) {
    struct world *world = world_new(&(struct world_config){.shards = 2, .disks = 5});
    const struct shards *shards = world->shards;
    cr_assert_eq(shards_log_count(shards), 7);
    for (uint32_t log = 0; log < 7; log++) {
        bool disk = log >= 2;
        const struct worker *home = world_worker(world, disk ? log % 2 : log);
        cr_assert_eq(log_number(shards->logs[log]), disk ? LOG_NUMBER_DISK + log - 2 : log);
        cr_assert_eq(log_is_disk(shards, log), disk);
        cr_assert(home->home_of[log] != NULL && home->home_of[log]->log == shards->logs[log]);
        cr_assert_null(world_worker(world, 1 - home->number)->home_of[log]);
    }
    cr_assert_eq(world_worker(world, 0)->homes_count + world_worker(world, 1)->homes_count, 7);
    cr_assert_eq(shards->disk_slots[0], 2);
    cr_assert_eq(shards->disk_slots[SLOT_COUNT - 1], 6);
    world_free(world);
    LEAKS_NONE();
}

/* Restarting with another number of shards moves no topic to another disk log. */
Test(homes, give_a_slot_the_same_disk_log_whatever_the_number_of_shards) {
    struct shards one = {.config = {.count = 1, .disk_logs = 3, .slots = one.slots}};
    struct shards four = {.config = {.count = 4, .disk_logs = 3, .slots = four.slots}};
    shards_lay_out(&one);
    shards_lay_out(&four);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        cr_assert_eq(one.disk_slots[slot] - 1, four.disk_slots[slot] - 4);
}

Test(homes, put_mailboxes_on_disk_and_everything_where_nothing_is_said) {
    struct world *world = world_new(&(struct world_config){.disks = 1});
    struct worker *worker = world_worker(world, 0);
    cr_assert_eq(topic_place(worker, (const uint8_t *)"t", 1, 0).log, 0);
    cr_assert_eq(topic_place(worker, (const uint8_t *)"d.x", 3, 0).log, 1);
    cr_assert_eq(topic_place(worker, (const uint8_t *)"@t", 2, 0).log, 1);
    cr_assert_eq(topic_place(worker, (const uint8_t *)"$t", 2, 0).log, 1, "no rule matches it");
    world_free(world);
    world = world_new(&(struct world_config){0});
    worker = world_worker(world, 0);
    cr_assert_eq(topic_place(worker, (const uint8_t *)"d.x", 3, 0).log, 0, "there is no disk");
    cr_assert_eq(topic_place(worker, (const uint8_t *)"@t", 2, 0).log, 0);
    world_free(world);
    LEAKS_NONE();
}

Test(homes, deliver_what_is_kept_on_disk_when_it_is_there_and_not_before) {
    for (uint32_t shards = 1; shards <= 2; shards++) { /* the publisher's worker is home, or another one is */
        struct world *world = world_new(&(struct world_config){.shards = shards, .disks = 1});
        struct world_client *subscriber = subscriber_new(world, shards - 1);
        struct world_client *publisher = client_new(world, shards - 1, false);
        client_publish(publisher, "d.1", 1, 10);
        client_publish(publisher, "t", 2, 10);
        client_publish(publisher, "d.1", 3, 10);
        client_publish(publisher, "t", 4, 10);
        cr_assert_str_eq(events(subscriber), "2 4 ");
        world_journal(world);
        cr_assert_str_eq(events(subscriber), "1 3 ");
        world_free(world);
    }
    LEAKS_NONE();
}

/* The disk does nothing; its log and the link to it fill up. What is kept in memory goes its way. */
Test(homes, let_memory_pass_while_the_disk_stands_still) {
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct world *world =
            world_new(&(struct world_config){.shards = shards, .disks = 1, .grace_ns = 3600 * NS_PER_S});
        uint32_t shard = shards - 1;
        struct world_client *subscriber = subscriber_new(world, 0);
        struct world_client *stuck = client_new(world, shard, false);
        struct world_client *other = client_new(world, shard, false);
        const struct worker *worker = world_worker(world, shard);
        char topic[16];
        (void)world_topic(world, 0, topic);
        for (uint64_t i = 0; i < 500; i++) {
            client_publish(stuck, "d.1", i, 1000);
            world_turns(world, 1);
        }
        cr_assert_eq(counter_get(&worker->stats.parked), 1);
        for (uint64_t i = 1000; i < 1003; i++)
            client_publish(other, topic, i, 10);
        cr_assert_str_eq(events(subscriber), "1000 1001 1002 ");
        struct world_frame frame;
        for (uint64_t next = 0; next < 500;) {
            while (client_next(subscriber, &frame))
                if (frame.kind == WIRE_EVENT)
                    cr_assert_eq(frame.number, next++);
            world_journal(world);
            world_turns(world, 1);
            (void)client_pull(subscriber, 64 * KIB);
        }
        cr_assert_eq(counter_get(&worker->stats.parked), 0);
        world_free(world);
    }
    LEAKS_NONE();
}

/* ---- what a home says against events ---- */

/* Refuses odd numbers, and knows those that four divides. */
static bool judge(struct home *home, const struct wire_event *event, uint64_t hash, uint64_t sequence,
                  struct verdict *verdict) {
    static const struct fault odd = {RH_CODE_EXHAUSTED, "no room", "topic"};
    uint64_t number = strtoul((const char *)event->event + 2, NULL, 10);
    (void)home;
    (void)hash;
    (void)sequence;
    *verdict = number % 2 != 0 ? (struct verdict){.fault = &odd} : (struct verdict){.duplicate_of = 77};
    return number % 2 != 0 || number % 4 == 0;
}

/* Who wants no acknowledgement is told of refusals all the same, with the number of his event. */
Test(homes, say_what_they_have_against_events_also_to_who_asks_for_nothing) {
    for (uint32_t shards = 1; shards <= 2; shards++) { /* the publisher's worker is home, or another one is */
        struct world *world =
            world_new(&(struct world_config){.shards = shards, .log_data = MIB, .socket_bytes = 64 * KIB});
        struct home *home = &world_worker(world, 0)->homes[0];
        home->judge = judge;
        for (uint32_t i = 0; i < shards; i++)
            world_worker(world, i)->judged = 1;
        struct world_client *subscriber = subscriber_new(world, 0);
        struct world_client *publisher = client_new(world, shards - 1, false);
        char topic[16];
        (void)world_topic(world, 0, topic);
        for (uint64_t number = 1; number <= 9; number++)
            client_publish(publisher, topic, number, number == 6 ? 20000 : 10);
        for (uint32_t i = 0; i < 40; i++)
            world_turns(world, 1);
        for (uint64_t ordinal = 1; ordinal <= 9; ordinal += 2) {
            struct world_frame frame;
            struct fault fault;
            client_expect(publisher, WIRE_ERROR, &frame);
            Roundhouse__V1__Frame *unpacked = control_unpack(&frame.wire, &fault);
            cr_assert(unpacked != NULL && !unpacked->error->fatal);
            cr_assert_eq(unpacked->error->ordinal, ordinal);
            control_free(unpacked);
        }
        cr_assert_str_eq(events(subscriber), "2 6 ");
        cr_assert_eq(counter_get(&world_worker(world, shards - 1)->stats.events_duplicate), 2);
        cr_assert_eq(counter_get(&world_worker(world, shards - 1)->stats.events_refused), 5);
        world_free(world);
    }
    LEAKS_NONE();
}

/* ---- what lands where it will lie ---- */

static void say_all(struct world_client *client) {
    while (client->out_length > 0)
        world_turn(client->world, client->shard);
    world_turns(client->world, 2);
}

/* A publisher that changes between two logs of its worker: its bytes lie at one of them, and what is for the
 * other is copied from there. */
Test(homes, take_over_what_lies_at_the_right_log_and_copy_the_rest) {
    struct world *world = world_new(
        &(struct world_config){.disks = 2, .landing_bytes = 256, .socket_bytes = 64 * KIB, .log_data = MIB});
    struct world_client *subscriber = subscriber_new(world, 0);
    struct world_client *publisher = client_new(world, 0, false);
    const struct worker *worker = world_worker(world, 0);
    char topics[3][16];
    uint64_t number = 0, next[3] = {0}, random = 5;
    for (uint32_t log = 0; log < 3; log++)
        (void)world_topic(world, log, topics[log]);
    for (uint32_t round = 0; round < 300; round++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t log = (uint32_t)(random >> 33) % 3;
        uint32_t count = (uint32_t)(random >> 40) % 24;
        for (uint32_t i = 0; i < count; i++)
            client_publish(publisher, topics[log], number++ * 3 + log, (uint32_t)(random >> 50) % 500);
        say_all(publisher);
        world_journal(world);
        world_turns(world, 2);
        struct world_frame frame;
        (void)client_pull(subscriber, 64 * KIB);
        while (client_next(subscriber, &frame)) {
            if (frame.kind != WIRE_EVENT)
                continue;
            uint64_t of = frame.number % 3;
            cr_assert_geq(frame.number, next[of], "one log's events come in their order");
            next[of] = frame.number + 1;
        }
    }
    cr_assert_gt(counter_get(&worker->stats.events_landed), 200);
    cr_assert_eq(counter_get(&worker->stats.events_appended), number);
    cr_assert_eq(counter_get(&worker->stats.deliveries), number);
    world_free(world);
    LEAKS_NONE();
}
