/* Topics as a worker tells of them: counted in what the logs have, by their own homes, a bounded share in
 * each turn, also while the old end of a log goes. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include "core/base/topic.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t wall_ns;
static uint64_t wall(void) {
    return wall_ns;
}

struct told {
    bool done, more;
    uint32_t count;
    struct survey_topic rows[100];
};

static void on_answer(void *user, const struct survey_answer *answer) {
    struct told *told = user;
    cr_assert(answer != NULL && answer->count <= 100);
    told->done = true;
    told->more = answer->more;
    told->count = answer->count;
    for (uint32_t i = 0; i < answer->count; i++)
        told->rows[i] = *(const struct survey_topic *)survey_row(answer, i);
}

struct asked {
    struct survey_desk *desk;
    struct told told;
};

static struct asked *ask(const struct world *world, const char *match, uint32_t limit) {
    struct survey_question question = {.kind = SURVEY_TOPICS, .limit = limit};
    struct asked *asked = calloc(1, sizeof *asked);
    cr_assert_not_null(asked);
    question.match_length = (uint32_t)strlen(match);
    memcpy(question.match, match, strlen(match));
    cr_assert_eq(survey_desk_create(&asked->desk, world->shards), 0);
    cr_assert_eq(survey_ask(asked->desk, &question, on_answer, &asked->told), 0);
    return asked;
}

static struct told answered(struct world *world, struct asked *asked) {
    for (uint32_t turns = 0; !asked->told.done; turns++) {
        cr_assert_lt(turns, 10000);
        world_turns(world, 1);
        survey_desk_serve(asked->desk);
    }
    struct told told = asked->told;
    survey_desk_destroy(asked->desk);
    free(asked);
    return told;
}

static struct told told_of(struct world *world, const char *match, uint32_t limit) {
    return answered(world, ask(world, match, limit));
}

static const struct survey_topic *topic_of(const struct told *told, const char *name) {
    for (uint32_t i = 0; i < told->count; i++)
        if (strcmp(told->rows[i].name, name) == 0)
            return &told->rows[i];
    return NULL;
}

static struct world *world_timed(uint32_t shards, uint64_t records) {
    struct world *world = world_new(&(struct world_config){.shards = shards,
                                                           .disks = shards - 1,
                                                           .topics = 1 << 17,
                                                           .log_records = records,
                                                           .log_data = records * 256});
    wall_ns = 1000 * NS_PER_S;
    for (uint32_t i = 0; i < shards; i++)
        world_worker(world, i)->clock_wall = wall;
    return world;
}

static void published(struct world_client *client, const char *topic, uint32_t count) {
    static uint64_t number;
    for (uint32_t i = 0; i < count; i++)
        client_publish(client, topic, number++, 10);
    for (uint32_t i = 0; i < 3 + count / 20; i++)
        world_turns(client->world, 1);
}

Test(survey_topics, are_told_by_their_homes_with_what_the_logs_have_of_them) {
    struct world *world = world_timed(2, 1024);
    struct world_client *publisher = client_new(world, 0, false);
    char topics[3][16];
    for (uint32_t log = 0; log < 3; log++) /* of two memory logs and a disk log */
        published(publisher, world_topic(world, log, topics[log]), 10 * (log + 1));
    struct told told = told_of(world, "", 100);
    cr_assert(told.count == 3 && !told.more);
    for (uint32_t log = 0; log < 3; log++) {
        const struct survey_topic *found = topic_of(&told, topics[log]);
        uint64_t hash = topic_hash((const uint8_t *)topics[log], strlen(topics[log]), 0);
        cr_assert_not_null(found);
        cr_assert_eq(found->kept, 10 * (log + 1));
        cr_assert_eq(found->shard, log % 2);
        cr_assert_eq(found->disk, log == 2);
        cr_assert_eq(found->slot, topic_slot(hash));
        cr_assert_eq(found->last_ns, wall_ns);
        cr_assert_float_eq(found->rate, (double)found->kept / 10.0, 1e-6);
        cr_assert_gt(found->bytes, found->rate * 10);
    }
    cr_assert_str_eq(told.rows[0].name, topics[2]); /* the busiest first */
    world_crash(world);
    world_turns(world, 3);
    world_free(world);
    LEAKS_NONE();
}

static void move_all(struct world *world, uint8_t to) {
    uint8_t slots[SLOT_COUNT];
    memset(slots, to, sizeof slots);
    struct change *change = world_change(world, world->shards->config.count, slots);
    while (!world_changed(world, change))
        world_turns(world, 1);
}

/* It lies in several logs, and is one topic. */
Test(survey_topics, have_one_row_wherever_they_have_been) {
    struct world *world = world_timed(3, 1024);
    struct world_client *publisher = client_new(world, 0, false);
    char topics[3][16];
    for (uint32_t log = 0; log < 3; log++)
        published(publisher, world_topic(world, log, topics[log]), 10 * (log + 1));
    for (uint8_t to = 0; to < 2; to++) {
        move_all(world, to);
        published(publisher, topics[0], 5);
        published(publisher, topics[2], 7);
    }
    struct told told = told_of(world, "", 100);
    cr_assert_eq(told.count, 3);
    const struct survey_topic *first = topic_of(&told, topics[0]), *last = topic_of(&told, topics[2]);
    cr_assert(first != NULL && topic_of(&told, topics[1]) != NULL && last != NULL);
    cr_assert(first->kept == 20 && topic_of(&told, topics[1])->kept == 20 && last->kept == 44);
    cr_assert(first->shard == 1 && last->shard == 1, "where they are now");
    cr_assert_float_eq(last->rate, 4.4, 1e-6);
    cr_assert_str_eq(told.rows[0].name, topics[2]);
    for (uint32_t limit = 1; limit < 3; limit++) { /* rows give their places to others */
        told = told_of(world, "", limit);
        cr_assert(told.count == limit && told.more);
        cr_assert_str_eq(told.rows[0].name, topics[2]);
        cr_assert(told.rows[0].kept >= 30 && told.rows[0].kept <= 44);
    }
    world_free(world);
    LEAKS_NONE();
}

Test(survey_topics, have_rates_of_the_last_ten_seconds) {
    struct world *world = world_timed(1, 1024);
    struct world_client *publisher = client_new(world, 0, false);
    published(publisher, "old", 40);
    wall_ns += SURVEY_RATE_NS + NS_PER_S;
    published(publisher, "new", 20);
    struct told told = told_of(world, "", 100);
    const struct survey_topic *old = topic_of(&told, "old"), *new = topic_of(&told, "new");
    cr_assert(old != NULL && old->kept == 40 && old->rate == 0 && old->bytes == 0);
    cr_assert(new != NULL &&new->kept == 20);
    cr_assert_float_eq(new->rate, 2, 1e-6);
    wall_ns += 5 * NS_PER_S;
    published(publisher, "more", 1500); /* the log has wrapped, and has only what is fresh */
    wall_ns += NS_PER_S;
    world_turns(world, 2);
    told = told_of(world, "", 100);
    cr_assert_null(topic_of(&told, "old"));
    const struct survey_topic *more = topic_of(&told, "more");
    cr_assert(more != NULL && more->kept <= 1024);
    cr_assert_float_eq(more->rate, (double)more->kept, 1e-6); /* in the second that it covers */
    world_free(world);
    LEAKS_NONE();
}

Test(survey_topics, are_those_that_match) {
    struct world *world = world_timed(1, 1024);
    struct world_client *publisher = client_new(world, 0, false);
    published(publisher, "a.b", 1);
    published(publisher, "a.c", 2);
    published(publisher, "b.c", 3);
    struct told told = told_of(world, "a.*", 100);
    cr_assert(told.count == 2 && !told.more);
    cr_assert_str_eq(told.rows[0].name, "a.c");
    told = told_of(world, "a.*", 1);
    cr_assert(told.count == 1 && told.more);
    told = told_of(world, "z.>", 100);
    cr_assert(told.count == 0 && !told.more);
    world_free(world);
    LEAKS_NONE();
}

/* The log goes on while it is walked, and more than once around. */
Test(survey_topics, are_told_of_while_the_log_goes_on) {
    struct world *world = world_timed(1, 16384);
    struct world_client *publisher = client_new(world, 0, false);
    char topic[16];
    for (uint32_t i = 0; i < 500; i++) {
        (void)snprintf(topic, sizeof topic, "t.%u", i);
        published(publisher, topic, 30);
    }
    struct asked *asked = ask(world, "t.*", 100);
    struct worker *worker = world_worker(world, 0);
    uint32_t turns = 0;
    while (!asked->told.done) {
        published(publisher, "flood", 3000);
        survey_desk_serve(asked->desk);
        cr_assert_lt(turns++, 1000);
    }
    struct told told = answered(world, asked);
    for (uint32_t i = 0; i < told.count; i++) {
        cr_assert(strncmp(told.rows[i].name, "t.", 2) == 0);
        cr_assert_leq(told.rows[i].kept, 30);
    }
    cr_assert_geq(log_produced(worker->homes[0].log), 15000 + 3000);
    world_free(world);
    LEAKS_NONE();
}

/* More topics than are counted: those with most events are there all the same. */
Test(survey_topics, leave_out_the_rare_ones_when_there_are_too_many) {
    struct world *world = world_timed(1, 65536);
    struct world_client *publisher = client_new(world, 0, false);
    const struct worker *worker = world_worker(world, 0);
    uint64_t count = 0;
    char topic[16];
    for (uint32_t i = 0; i < SURVEY_TOPICS_MAX + 500; i++) {
        count += i % 10 == 0 ? 2 : 1;
        (void)snprintf(topic, sizeof topic, "r.%u", i);
        client_publish(publisher, topic, i, 1);
        if (i % 10 == 0)
            client_publish(publisher, "often", i, 1);
        if (i % 64 == 0)
            world_turns(world, 3);
    }
    for (uint32_t i = 0; log_produced(worker->homes[0].log) <= count; i++) {
        cr_assert_lt(i, 100000);
        world_turns(world, 1);
    }
    struct told told = told_of(world, "", 5);
    cr_assert(told.count == 5 && told.more);
    cr_assert_str_eq(told.rows[0].name, "often");
    cr_assert_gt(told.rows[0].kept, 3000);
    world_free(world);
    LEAKS_NONE();
}
