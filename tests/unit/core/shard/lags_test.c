/* Who lags: it is named when it begins, once, and when it ends, and is remembered with why. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Time is what the test says. */
static uint64_t mono_ns, wall_ns;
static uint64_t mono(void) {
    return mono_ns;
}
static uint64_t wall(void) {
    return wall_ns;
}

static void passes(struct world *world, uint64_t ns) {
    for (uint64_t done = 0; done < ns; done += HOUSEKEEPING_NS) {
        mono_ns += HOUSEKEEPING_NS;
        wall_ns += HOUSEKEEPING_NS;
        world_turns(world, 1);
    }
}

static struct world *world_timed(uint64_t log_data) {
    struct world *world = world_new(&(struct world_config){.shards = 1, .log_data = log_data});
    struct worker *worker = world_worker(world, 0);
    mono_ns = 1000 * NS_PER_S;
    wall_ns = 20000 * NS_PER_S;
    worker->clock_ns = mono;
    worker->clock_wall = wall;
    worker->now_ns = mono_ns;
    worker->housekeeping_ns = 0;
    return world;
}

static uint64_t stat(const struct world *world, size_t offset) {
    return workers_sum(world->shards, offset);
}
#define STAT(name) stat(world, offsetof(struct worker_stats, name))

static struct world_client *subscriber_new(struct world *world, bool skip) {
    struct world_client *client = client_new(world, 0, false);
    struct world_frame frame;
    client_subscribe(client, 5, "t", skip);
    client_subscribe(client, 6, "u.*", skip);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    client_expect(client, WIRE_SUBSCRIBED, &frame);
    return client;
}

static void published(struct world_client *client, uint32_t count) {
    static uint64_t number;
    for (uint32_t i = 0; i < count; i++) {
        client_publish(client, "t", number++, 500);
        world_turns(client->world, 1);
    }
}

static void reads_all(struct world_client *client) {
    struct world_frame frame;
    for (uint32_t i = 0; i < 300; i++) {
        world_turns(client->world, 1);
        while (client_pull(client, KIB) > 0)
            while (client_next(client, &frame))
                continue;
    }
}

/* ---- asking ---- */

struct told {
    bool done;
    uint32_t count;
    struct survey_laggard rows[20];
};

static void on_answer(void *user, const struct survey_answer *answer) {
    struct told *told = user;
    cr_assert(answer != NULL && answer->count <= 20);
    told->done = true;
    told->count = answer->count;
    for (uint32_t i = 0; i < answer->count; i++)
        told->rows[i] = *(const struct survey_laggard *)survey_row(answer, i);
}

static struct told told_of(struct world *world) {
    struct survey_question question = {.kind = SURVEY_LAGGARDS, .limit = 20};
    struct survey_desk *desk = NULL;
    struct told told = {0};
    cr_assert_eq(survey_desk_create(&desk, world->shards), 0);
    cr_assert_eq(survey_ask(desk, &question, on_answer, &told), 0);
    for (uint32_t turns = 0; !told.done; turns++) {
        cr_assert_lt(turns, 1000);
        world_turns(world, 1);
        survey_desk_serve(desk);
    }
    survey_desk_destroy(desk);
    return told;
}

/* ---- begin and end ---- */

Test(lags, begin_when_an_event_waits_for_a_second_and_end_when_nothing_does) {
    struct world *world = world_timed(256 * KIB);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *slow = subscriber_new(world, true);
    published(publisher, 50);
    passes(world, LAG_BEGIN_NS - 2 * HOUSEKEEPING_NS);
    cr_assert_eq(STAT(lagging), 0);
    cr_assert_eq(told_of(world).count, 0);
    passes(world, 4 * HOUSEKEEPING_NS);
    cr_assert(STAT(lagging) == 1 && STAT(lags_begun) == 1);
    cr_assert_geq(STAT(lag_ns_max), LAG_BEGIN_NS);
    published(publisher, 50); /* it goes on, and is told of once */
    passes(world, 5 * NS_PER_S);
    cr_assert(STAT(lagging) == 1 && STAT(lags_begun) == 1 && STAT(lags_ended) == 0);
    struct told told = told_of(world);
    cr_assert_eq(told.count, 1);
    const struct survey_laggard *row = &told.rows[0];
    cr_assert(row->gone_ns == 0 && row->times == 1 && row->client.serial == 1);
    cr_assert(row->id == 5 && row->subscriptions == 2 && row->patterns == 1);
    cr_assert_str_eq(row->text, "t");
    cr_assert(row->lag.events > 80 && row->lag.ns >= 6 * NS_PER_S && row->lagged_ns >= 5 * NS_PER_S);
    reads_all(slow);
    passes(world, LAG_CALM_NS - HOUSEKEEPING_NS);
    cr_assert_eq(STAT(lagging), 1);
    passes(world, 3 * HOUSEKEEPING_NS);
    cr_assert(STAT(lagging) == 0 && STAT(lags_ended) == 1 && STAT(lag_ns_max) == 0);
    told = told_of(world);
    row = &told.rows[0];
    cr_assert(told.count == 1 && row->gone_ns != 0 && row->worst.events > 80);
    cr_assert_str_eq(row->reason, "caught_up");
    world_free(world);
    LEAKS_NONE();
}

/* Who lags again has one row, with how often. */
Test(lags, are_one_row_for_a_connection_with_the_worst_of_all_times) {
    struct world *world = world_timed(256 * KIB);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *slow = subscriber_new(world, true);
    for (uint32_t i = 3; i > 0; i--) {
        published(publisher, i * 30);
        passes(world, 2 * NS_PER_S);
        struct told told = told_of(world);
        cr_assert(told.rows[0].gone_ns == 0 && told.rows[0].times == 4 - i);
        reads_all(slow);
        passes(world, 2 * LAG_CALM_NS);
        cr_assert_eq(STAT(lagging), 0);
    }
    struct told told = told_of(world);
    cr_assert(told.count == 1 && told.rows[0].times == 3);
    cr_assert_gt(told.rows[0].worst.events, 60);
    world_free(world);
    LEAKS_NONE();
}

/* A short stop between two events is none. */
Test(lags, do_not_come_and_go_with_every_stop) {
    struct world *world = world_timed(256 * KIB);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *slow = subscriber_new(world, true);
    for (uint32_t i = 0; i < 20; i++) {
        published(publisher, 30);
        passes(world, 500 * NS_PER_MS);
        reads_all(slow);
    }
    cr_assert_eq(STAT(lags_begun), 0);
    cr_assert_gt(STAT(catch_up_entered), 3);
    published(publisher, 50);
    passes(world, 2 * NS_PER_S);
    for (uint32_t i = 0; i < 20; i++) { /* it reads, and stops again before a second of calm is over */
        reads_all(slow);
        passes(world, 300 * NS_PER_MS);
        published(publisher, 30);
        passes(world, 400 * NS_PER_MS);
    }
    cr_assert(STAT(lags_begun) == 1 && STAT(lags_ended) == 0);
    world_free(world);
    LEAKS_NONE();
}

/* ---- who is gone ---- */

Test(lags, are_remembered_for_an_hour_with_why_they_went) {
    struct world *world = world_timed(64 * KIB);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *lost = subscriber_new(world, true);
    struct world_client *cut = subscriber_new(world, false);
    published(publisher, 20);
    passes(world, 2 * NS_PER_S);
    cr_assert_eq(STAT(lagging), 2);
    client_leave(lost, true);
    passes(world, NS_PER_S);
    published(publisher, 300); /* the ring goes on without it */
    passes(world, 2 * NS_PER_S);
    cr_assert(STAT(lagging) == 0 && STAT(lags_ended) == 2);
    struct told told = told_of(world);
    cr_assert_eq(told.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct survey_laggard *row = &told.rows[i];
        cr_assert_str_eq(row->reason, row->client.serial == 1 ? "lost" : "slow_consumer");
        cr_assert(row->gone_ns != 0 && row->since_ns != 0 && row->id == 5);
        cr_assert_str_eq(row->text, "t");
    }
    client_leave(cut, true);
    passes(world, NS_PER_S);
    mono_ns += LAG_KEPT_NS - 10 * NS_PER_S;
    wall_ns += LAG_KEPT_NS - 10 * NS_PER_S;
    cr_assert_eq(told_of(world).count, 2);
    mono_ns += 10 * NS_PER_S;
    wall_ns += 10 * NS_PER_S;
    world_turns(world, 1);
    cr_assert_eq(told_of(world).count, 0);
    world_free(world);
    LEAKS_NONE();
}

/* A member whose socket is full lags, too. */
Test(lags, are_members_of_queues_as_well) {
    struct world *world = world_timed(256 * KIB);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *member = client_new(world, 0, false);
    struct world_frame frame;
    client_join(member, 9, "orders", "t", 100);
    client_expect(member, WIRE_SUBSCRIBED, &frame);
    published(publisher, 50);
    passes(world, 3 * NS_PER_S);
    struct told told = told_of(world);
    cr_assert_eq(told.count, 1);
    cr_assert(told.rows[0].kind == SURVEY_QUEUE && told.rows[0].id == 9);
    cr_assert_str_eq(told.rows[0].text, "orders");
    cr_assert_gt(told.rows[0].lag.bytes, 0);
    world_free(world);
    LEAKS_NONE();
}

/* More of them than are remembered: the oldest make room. */
Test(lags, are_remembered_up_to_a_bound) {
    struct world *world = world_timed(64 * KIB);
    struct worker *worker = world_worker(world, 0);
    struct world_client *publisher = client_new(world, 0, false);
    worker->lagged.rows = heap_take(LAG_RECORDS_MAX * sizeof *worker->lagged.rows);
    cr_assert_not_null(worker->lagged.rows);
    worker->lagged.capacity = worker->lagged.count = LAG_RECORDS_MAX;
    for (uint32_t i = 0; i < LAG_RECORDS_MAX; i++) {
        worker->lagged.rows[i].client.serial = 1000000 + i;
        worker->lagged.rows[i].gone_ns = 1; /* long ago */
    }
    for (uint32_t i = 0; i < 3; i++) {
        struct world_client *slow = subscriber_new(world, true);
        published(publisher, 20);
        passes(world, 2 * NS_PER_S);
        client_leave(slow, true);
        passes(world, NS_PER_S);
        cr_assert_eq(worker->lagged.rows[i].client.serial, i + 1);
    }
    cr_assert_eq(worker->lagged.count, LAG_RECORDS_MAX);
    cr_assert_eq(told_of(world).count, 3);
    world_free(world);
    LEAKS_NONE();
}
