/* Events that come again are not stored again: what their publishers are told, and what a home knows after a
 * start. */
#include "tests/unit/core/shard/shard_world.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct topic_rule rules[] = {
    {.class = TOPIC_DISK,
     .length = 3,
     .pattern = "d.>",
     .duplicates_window_ns = 3600 * NS_PER_S,
     .duplicates_count = 8},
    {.class = TOPIC_MEMORY, .length = 4, .pattern = "free"},
    {.class = TOPIC_MEMORY,
     .length = 1,
     .pattern = ">",
     .duplicates_window_ns = 3600 * NS_PER_S,
     .duplicates_count = 8},
};

static struct world *world_of(uint32_t shards, uint32_t disks) {
    return world_new(
        &(struct world_config){.shards = shards, .disks = disks, .rules = rules, .rules_count = 3});
}

struct told {
    uint64_t through, ordinal, duplicate_of;
    uint32_t exceptions;
};

/* Adds up what PublishAcks say until all up to `through` are settled. */
static void settle(struct world_client *client, uint64_t through, struct told *told) {
    struct world_frame frame;
    while (told->through < through) {
        client_expect(client, WIRE_PUBLISH_ACK, &frame);
        Roundhouse__V1__Frame *read =
            roundhouse__v1__frame__unpack(NULL, frame.wire.frame_length, frame.wire.frame);
        cr_assert_not_null(read);
        const Roundhouse__V1__PublishAck *ack = read->publish_ack;
        told->through = ack->through;
        for (size_t i = 0; i < ack->n_exceptions; i++) {
            cr_assert_eq(ack->exceptions[i]->outcome_case,
                         ROUNDHOUSE__V1__ACK_EXCEPTION__OUTCOME_DUPLICATE_OF);
            told->ordinal = ack->exceptions[i]->ordinal;
            told->duplicate_of = ack->exceptions[i]->duplicate_of;
            told->exceptions++;
        }
        roundhouse__v1__frame__free_unpacked(read, NULL);
    }
}

static uint64_t appended(const struct world *world) {
    return workers_sum(world->shards, offsetof(struct worker_stats, events_appended));
}

static uint64_t duplicates(const struct world *world) {
    return workers_sum(world->shards, offsetof(struct worker_stats, events_duplicate));
}

/* Both come in one turn: the second is told of a sequence that is in no published log yet, but not before it
 * is. */
Test(known, one_that_comes_again_in_the_same_turn_is_known) {
    struct world *world = world_of(1, 0);
    struct world_client *writer = client_new(world, 0, true);
    struct told told = {0};
    for (uint64_t i = 1; i <= 3; i++)
        client_publish(writer, "t", i == 2 ? 1 : i, 10);
    settle(writer, 3, &told);
    cr_assert(told.exceptions == 1 && told.ordinal == 2);
    cr_assert_eq(told.duplicate_of, sequence_make(EPOCH_FIRST, 1));
    cr_assert(appended(world) == 2 && duplicates(world) == 1);
    world_free(world);
}

Test(known, the_rule_of_a_topic_decides_and_without_one_nothing_is_remembered) {
    struct world *world = world_of(1, 0);
    struct world_client *writer = client_new(world, 0, true);
    struct told told = {0};
    client_publish(writer, "free", 1, 10);
    client_publish(writer, "free", 1, 10);
    client_publish(writer, "t", 1, 10); /* another topic */
    settle(writer, 3, &told);
    cr_assert(told.exceptions == 0 && appended(world) == 3);
    world_free(world);
}

Test(known, the_answer_travels_back_over_a_link) {
    struct world *world = world_of(2, 0);
    char topic[16];
    (void)world_topic(world, 1, topic);
    struct world_client *near = client_new(world, 1, true);
    struct world_client *far = client_new(world, 0, true);
    struct told told = {0}, told_near = {0};
    client_publish(far, topic, 7, 10);
    for (uint32_t i = 0; i < 4; i++)
        world_turns(world, 1);
    settle(far, 1, &told);
    cr_assert_eq(told.exceptions, 0);
    client_publish(near, topic, 7, 10);
    settle(near, 1, &told_near);
    cr_assert(told_near.exceptions == 1 && told_near.duplicate_of == sequence_make(EPOCH_FIRST, 1));
    client_publish(far, topic, 7, 10);
    client_publish(far, topic, 8, 10);
    world_turns(world, 4);
    settle(far, 3, &told);
    cr_assert(told.exceptions == 1 && told.ordinal == 2);
    cr_assert_eq(told.duplicate_of, sequence_make(EPOCH_FIRST, 1));
    cr_assert(appended(world) == 2 && duplicates(world) == 2);
    world_free(world);
}

Test(known, a_subscriber_gets_it_once) {
    struct world *world = world_of(1, 0);
    struct world_client *reader = client_new(world, 0, false);
    struct world_client *writer = client_new(world, 0, false);
    struct world_frame frame;
    client_subscribe(reader, 1, "t", true);
    client_expect(reader, WIRE_SUBSCRIBED, &frame);
    for (uint64_t i = 0; i < 40; i++) /* each twice, frames that lie where records go among them */
        client_publish(writer, "t", 1 + i / 2, 10);
    for (uint64_t i = 1; i <= 20; i++) {
        client_expect(reader, WIRE_EVENT, &frame);
        cr_assert_eq(frame.number, i);
    }
    client_ping(reader);
    client_expect(reader, WIRE_PONG, &frame);
    cr_assert_eq(counter_get(&world_worker(world, 0)->stats.deliveries), 20);
    cr_assert_eq(duplicates(world), 20);
    world_free(world);
}

/* ---- after a start ---- */

struct journalled {
    struct world *before;
    uint32_t asked;
};

/* What a journal would give: the records of the log of another world. */
static void recall(void *user, uint32_t disk, uint64_t since_ns, shards_take *take, void *context) {
    struct journalled *journalled = user;
    const struct log *log = journalled->before->shards->logs[1 + disk];
    journalled->asked++;
    for (uint64_t position = 1; position < log_produced(log); position++) {
        const struct log_entry *entry = log_entry_at(log, position);
        if (entry->time >= since_ns)
            take(context, log_bytes_at(log, entry->offset), entry->length, entry->time);
    }
}

Test(known, what_the_journal_has_is_known_after_a_start) {
    struct journalled journalled = {.before = world_of(1, 1)};
    struct world *world = world_of(1, 1);
    struct world_client *writer = client_new(journalled.before, 0, true);
    struct world_client *again = client_new(world, 0, true);
    struct told told = {0};
    for (uint64_t i = 1; i <= 10; i++)
        client_publish(writer, i == 10 ? "free" : "d.0", i, 10);
    for (uint32_t i = 0; i < 8; i++) {
        world_turns(journalled.before, 1);
        world_journal(journalled.before);
    }
    cr_assert_eq(appended(journalled.before), 10);
    world->shards->config.recall = recall;
    world->shards->config.recall_user = &journalled;
    known_recall(world->shards);
    cr_assert_eq(journalled.asked, 1);
    world->shards->config.recall = NULL;
    client_publish(again, "d.0", 9, 10); /* known */
    client_publish(again, "d.0", 1, 10); /* the last eight are known */
    client_publish(again, "free", 10, 10);
    for (uint32_t i = 0; i < 8; i++) {
        world_turns(world, 1);
        world_journal(world);
    }
    settle(again, 3, &told);
    cr_assert(told.exceptions == 1 && told.ordinal == 1);
    cr_assert_eq(told.duplicate_of, sequence_make(EPOCH_FIRST, 9));
    world_free(world);
    world_free(journalled.before);
}
