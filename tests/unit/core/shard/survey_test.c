/* Questions to workers: everybody is told of once, whoever comes and goes meanwhile, and no turn does more
 * than its share. */
#include "tests/unit/core/shard/shard_world.h"
#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- asking ---- */

struct asked {
    bool done;
    bool dropped; /* answered with NULL */
    bool more, cut;
    uint32_t count;
    uint64_t looked_at;
    struct survey_connection connections[WORLD_CLIENTS_MAX];
    struct survey_subscription subscriptions[WORLD_CLIENTS_MAX];
};

static void on_answer(void *user, const struct survey_answer *answer) {
    struct asked *asked = user;
    cr_assert(!asked->done, "answered twice");
    asked->done = true;
    asked->dropped = answer == NULL;
    if (answer == NULL)
        return;
    asked->more = answer->more;
    asked->cut = answer->cut;
    asked->count = answer->count;
    asked->looked_at = answer->looked_at;
    for (uint32_t i = 0; i < answer->count && i < WORLD_CLIENTS_MAX; i++) {
        if (answer->kind == SURVEY_CONNECTIONS)
            asked->connections[i] = *(const struct survey_connection *)survey_row(answer, i);
        else
            asked->subscriptions[i] = *(const struct survey_subscription *)survey_row(answer, i);
    }
}

static struct asked *ask(struct survey_desk *desk, enum survey_kind kind, uint32_t limit) {
    struct asked *asked = calloc(1, sizeof *asked);
    struct survey_question question = {.kind = kind, .limit = limit};
    cr_assert_not_null(asked);
    cr_assert_eq(survey_ask(desk, &question, on_answer, asked), 0);
    cr_assert(!asked->done);
    return asked;
}

static struct survey_desk *desk_new(const struct world *world) {
    struct survey_desk *desk = NULL;
    cr_assert_eq(survey_desk_create(&desk, world->shards), 0);
    return desk;
}

static void answered(struct world *world, struct survey_desk *desk, const struct asked *asked) {
    for (uint32_t turns = 0; !asked->done; turns++) {
        cr_assert_lt(turns, 10000, "never answered");
        world_turns(world, 1);
        survey_desk_serve(desk);
    }
}

/* The answer to a question that nothing disturbs. */
static struct asked *told(struct world *world, struct survey_desk *desk, enum survey_kind kind,
                          uint32_t limit) {
    struct asked *asked = ask(desk, kind, limit);
    answered(world, desk, asked);
    return asked;
}

static struct world_client *subscriber_new(struct world *world, uint32_t shard, uint32_t subscriptions) {
    struct world_client *client = client_new(world, shard, false);
    struct world_frame frame;
    char pattern[16];
    for (uint32_t i = 1; i <= subscriptions; i++) {
        (void)snprintf(pattern, sizeof pattern, "p.%u", i);
        client_subscribe(client, i, pattern, true);
        client_expect(client, WIRE_SUBSCRIBED, &frame);
    }
    return client;
}

static const struct survey_subscription *subscription_of(const struct asked *asked, uint32_t shard,
                                                         uint64_t id) {
    const struct survey_subscription *found = NULL;
    for (uint32_t i = 0; i < asked->count; i++) {
        const struct survey_subscription *sub = &asked->subscriptions[i];
        if (sub->client.shard != shard || sub->id != id)
            continue;
        cr_assert_null(found, "told of twice");
        found = sub;
    }
    return found;
}

/* ---- what is told ---- */

Test(survey, tells_of_every_connection_of_all_workers_once) {
    struct world *world = world_new(&(struct world_config){.shards = 3});
    struct survey_desk *desk = desk_new(world);
    for (uint32_t i = 0; i < 6; i++)
        (void)subscriber_new(world, i % 3, i);
    client_publish(world->clients[0], "t", 1, 10);
    client_publish(world->clients[0], "t", 2, 10);
    world_turns(world, 3);
    struct asked *asked = told(world, desk, SURVEY_CONNECTIONS, 100);
    bool seen[3][2] = {0};
    cr_assert_eq(asked->count, 6);
    cr_assert_eq(asked->looked_at, 6);
    cr_assert(!asked->more && !asked->cut);
    for (uint32_t i = 0; i < 6; i++) {
        const struct survey_connection *found = &asked->connections[i];
        cr_assert(found->client.shard < 3 && found->client.serial < 2);
        cr_assert(!seen[found->client.shard][found->client.serial]);
        seen[found->client.shard][found->client.serial] = true;
        cr_assert_eq(found->subscriptions, found->client.shard + 3 * found->client.serial);
        cr_assert_eq(found->published, found->client.shard == 0 && found->client.serial == 0 ? 2 : 0);
        cr_assert_eq(found->lag.events, 0);
        cr_assert_gt(found->since_ns, 0);
    }
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

Test(survey, tells_of_subscriptions_with_their_patterns_and_of_members_with_their_queue) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct survey_desk *desk = desk_new(world);
    struct world_frame frame;
    struct world_client *client = subscriber_new(world, 1, 2);
    client_join(client, 7, "orders", "o.>", 4);
    client_join(client, 8, "@box", NULL, 4);
    for (uint32_t i = 0; i < 8; i++)
        world_turns(world, 1);
    while (client_pull(client, KIB) > 0)
        while (client_next(client, &frame))
            continue;
    struct asked *asked = told(world, desk, SURVEY_SUBSCRIPTIONS, 100);
    cr_assert_eq(asked->count, 4);
    const struct survey_subscription *sub = subscription_of(asked, 1, 2);
    cr_assert(sub != NULL && sub->kind == SURVEY_LIVE && sub->patterns == 1);
    cr_assert_str_eq(sub->text, "p.2");
    sub = subscription_of(asked, 1, 7);
    cr_assert(sub != NULL && sub->kind == SURVEY_QUEUE);
    cr_assert_str_eq(sub->text, "orders");
    sub = subscription_of(asked, 1, 8);
    cr_assert(sub != NULL && sub->kind == SURVEY_MAILBOX);
    cr_assert_str_eq(sub->text, "@box");
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

/* ---- no more than its share ---- */

Test(survey, looks_at_a_bounded_number_of_things_in_a_turn) {
    struct world *world = world_new(&(struct world_config){.shards = 1});
    struct survey_desk *desk = desk_new(world);
    struct world_client *client = subscriber_new(world, 0, 1000);
    (void)client;
    struct asked *asked = calloc(1, sizeof *asked);
    struct survey_question question = {.kind = SURVEY_SUBSCRIPTIONS, .limit = 1};
    cr_assert_eq(survey_ask(desk, &question, on_answer, asked), 0);
    const struct worker *worker = world_worker(world, 0);
    uint64_t before = 0, most = 0;
    uint32_t turns = 0;
    for (; !asked->done; turns++) {
        world_turn(world, 0);
        uint64_t now = before;
        if (!list_empty(&worker->surveys))
            now = LIST_OF(worker->surveys.next, struct survey, node)->answer.looked_at;
        most = now - before > most ? now - before : most;
        before = now;
        survey_desk_serve(desk);
    }
    cr_assert_eq(asked->looked_at, 1000);
    cr_assert(asked->more && asked->count == 1);
    cr_assert_geq(turns, 1000 / SURVEY_ITEMS_TURN);
    cr_assert(most > 0 && most <= SURVEY_ITEMS_TURN);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

Test(survey, works_on_one_question_at_a_time_and_refuses_too_many) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct survey_desk *desk = desk_new(world);
    struct asked *asked[SURVEYS_MAX];
    struct survey_question question = {.kind = SURVEY_CONNECTIONS, .limit = 1};
    (void)subscriber_new(world, 0, 1);
    for (uint32_t i = 0; i < SURVEYS_MAX; i++)
        asked[i] = ask(desk, SURVEY_CONNECTIONS, 10);
    cr_assert_eq(survey_ask(desk, &question, on_answer, NULL), -EBUSY);
    for (uint32_t i = 0; i < SURVEYS_MAX; i++) {
        answered(world, desk, asked[i]);
        cr_assert_eq(asked[i]->count, 1);
        for (uint32_t k = i + 1; k < SURVEYS_MAX; k++)
            cr_assert(!asked[k]->done || k < i + 2, "they come in their order");
        free(asked[i]);
    }
    question.limit = 0;
    cr_assert_eq(survey_ask(desk, &question, on_answer, NULL), -EINVAL);
    question.limit = SURVEY_ROWS_MAX + 1;
    cr_assert_eq(survey_ask(desk, &question, on_answer, NULL), -EINVAL);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

Test(survey, waits_for_a_worker_whose_mailbox_is_full) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct survey_desk *desk = desk_new(world);
    struct worker *second = world_worker(world, 1);
    struct mpsc_command nothing = {.kind = COMMAND_RELEASE};
    (void)subscriber_new(world, 1, 1);
    struct asked *asked = ask(desk, SURVEY_CONNECTIONS, 10);
    struct mpsc_command hold = {.kind = COMMAND_HOLD};
    (void)mpsc_push(second->mailbox, &hold);
    while (mpsc_push(second->mailbox, &nothing) == RING_OK && mpsc_push(second->mailbox, &hold) == RING_OK)
        continue;
    for (uint32_t i = 0; i < 5; i++)
        world_turn(world, 0);
    cr_assert(!list_empty(&world_worker(world, 0)->surveys));
    answered(world, desk, asked);
    cr_assert_eq(asked->count, 1);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

/* ---- whoever comes and goes meanwhile ---- */

/* The first worker has looked at so many subscriptions, and more is to come. */
static struct asked *ask_partly(struct world *world, struct survey_desk *desk) {
    struct asked *asked = ask(desk, SURVEY_SUBSCRIPTIONS, WORLD_CLIENTS_MAX);
    world_turn(world, 0);
    cr_assert(!list_empty(&world_worker(world, 0)->surveys), "it is answered too soon for this test");
    return asked;
}

Test(survey, survives_the_end_of_the_connection_that_it_looks_at) {
    struct world *world = world_new(&(struct world_config){.shards = 1});
    struct survey_desk *desk = desk_new(world);
    struct world_client *leaves = subscriber_new(world, 0, 200);
    (void)subscriber_new(world, 0, 20);
    struct asked *asked = ask_partly(world, desk);
    client_leave(leaves, true);
    answered(world, desk, asked);
    uint32_t stays = 0;
    for (uint32_t i = 0; i < asked->count; i++)
        stays += asked->subscriptions[i].client.serial == 1;
    cr_assert_eq(stays, 20);
    cr_assert_lt(asked->count, 220);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

/* Also when another one gets its number. */
Test(survey, takes_nobody_for_the_one_who_had_its_number) {
    struct world *world = world_new(&(struct world_config){.shards = 1});
    struct survey_desk *desk = desk_new(world);
    struct world_client *leaves = subscriber_new(world, 0, 200);
    struct asked *asked = ask_partly(world, desk);
    struct worker *worker = world_worker(world, 0);
    struct survey *survey = LIST_OF(worker->surveys.next, struct survey, node);
    struct survey_place place = survey->place;
    list_remove(&survey->node); /* it waits until the other one is there */
    client_leave(leaves, true);
    world_turns(world, 3);
    (void)subscriber_new(world, 0, 3);
    cr_assert_eq(worker->peers[place.index]->serial, place.serial + 1);
    list_add(&worker->surveys, &survey->node);
    answered(world, desk, asked);
    for (uint32_t i = 0; i < asked->count; i++)
        cr_assert_eq(asked->subscriptions[i].client.serial, place.serial);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

Test(survey, survives_the_end_of_the_subscription_that_comes_next) {
    struct world *world = world_new(&(struct world_config){.shards = 1});
    struct survey_desk *desk = desk_new(world);
    struct world_client *client = subscriber_new(world, 0, 100);
    struct asked *asked = ask_partly(world, desk);
    struct worker *worker = world_worker(world, 0);
    struct survey *survey = LIST_OF(worker->surveys.next, struct survey, node);
    uint64_t next = LIST_OF(survey->place.node, struct subscription, node)->id;
    client_unsubscribe(client, next);
    client_unsubscribe(client, next + 1);
    client_unsubscribe(client, next - 1); /* told of already */
    answered(world, desk, asked);
    for (uint64_t id = 1; id <= 100; id++)
        if (id < next || id > next + 60) /* what lies between may have gone in front of the look */
            cr_assert_not_null(subscription_of(asked, 0, id), "subscription %lu is missing",
                               (unsigned long)id);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

/* ---- who is behind ---- */

Test(survey, names_the_one_who_does_not_read_first) {
    struct world *world = world_new(&(struct world_config){.shards = 1, .log_data = 256 * KIB});
    struct survey_desk *desk = desk_new(world);
    struct world_client *publisher = client_new(world, 0, false);
    struct world_client *reads = client_new(world, 0, false);
    struct world_client *slow = client_new(world, 0, false);
    struct world_frame frame;
    client_subscribe(reads, 1, "t", true);
    client_expect(reads, WIRE_SUBSCRIBED, &frame);
    client_subscribe(slow, 1, "t", true);
    client_expect(slow, WIRE_SUBSCRIBED, &frame);
    for (uint64_t i = 0; i < 100; i++) {
        client_publish(publisher, "t", i, 500);
        world_turns(world, 1);
        while (client_pull(reads, KIB) > 0)
            while (client_next(reads, &frame))
                continue;
    }
    for (uint32_t limit = 1; limit <= 10; limit += 9) {
        struct asked *asked = told(world, desk, SURVEY_CONNECTIONS, limit);
        const struct survey_connection *worst = &asked->connections[0];
        cr_assert_eq(asked->more, limit == 1);
        cr_assert_eq(worst->client.serial, 2);
        cr_assert(worst->lag.events > 80 && worst->lag.events <= 100);
        cr_assert_gt(worst->lag.bytes, 80 * 500);
        cr_assert_gt(worst->lag.ns, 0);
        cr_assert_leq(worst->delivered, 100 - worst->lag.events + 1);
        free(asked);
    }
    struct asked *asked = told(world, desk, SURVEY_CONNECTIONS, 10);
    for (uint32_t i = 0; i < asked->count; i++)
        if (asked->connections[i].client.serial == 1)
            cr_assert(asked->connections[i].delivered == 100 && asked->connections[i].lag.events == 0);
    free(asked);
    for (uint32_t i = 0; i < 300; i++) { /* it reads, and is behind no more */
        world_turns(world, 1);
        while (client_pull(slow, KIB) > 0)
            while (client_next(slow, &frame))
                continue;
    }
    asked = told(world, desk, SURVEY_CONNECTIONS, 10);
    for (uint32_t i = 0; i < asked->count; i++)
        cr_assert(asked->connections[i].lag.events == 0 && !asked->connections[i].lag.catches_up);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

/* ---- the end of the router, and of a desk ---- */

Test(survey, of_a_router_that_stops_is_cut_and_no_other_one_is_taken) {
    struct world *world = world_new(&(struct world_config){.shards = 2});
    struct survey_desk *desk = desk_new(world);
    struct survey_question question = {.kind = SURVEY_CONNECTIONS, .limit = 1};
    (void)subscriber_new(world, 0, 300);
    struct asked *partly = ask_partly(world, desk);
    struct asked *waits = ask(desk, SURVEY_CONNECTIONS, 10);
    counter_set(&world->shards->stopping, 1);
    cr_assert_eq(survey_ask(desk, &question, on_answer, NULL), -ESHUTDOWN);
    surveys_end(world->shards);
    survey_desk_serve(desk);
    cr_assert(partly->done && partly->cut && partly->count > 0);
    cr_assert(waits->done && waits->cut && waits->count == 0);
    free(partly);
    free(waits);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}

Test(survey, is_dropped_with_its_desk) {
    struct world *world = world_new(&(struct world_config){.shards = 1});
    struct survey_desk *desk = desk_new(world);
    struct asked *asked = ask(desk, SURVEY_CONNECTIONS, 10);
    struct mpsc_command command;
    cr_assert(mpsc_pop(world_worker(world, 0)->mailbox, &command)); /* nobody has it any more */
    survey_desk_destroy(desk);
    cr_assert(asked->done && asked->dropped);
    free(asked);
    world_free(world);
    LEAKS_NONE();
}

Test(survey, makes_its_desk_readable) {
    struct world *world = world_new(&(struct world_config){.shards = 1});
    struct survey_desk *desk = desk_new(world);
    struct pollfd bell = {.fd = survey_desk_fd(desk), .events = POLLIN};
    struct asked *asked = ask(desk, SURVEY_CONNECTIONS, 10);
    cr_assert_eq(poll(&bell, 1, 0), 0);
    for (uint32_t i = 0; i < 3; i++)
        world_turn(world, 0);
    cr_assert_eq(poll(&bell, 1, 0), 1);
    survey_desk_serve(desk);
    cr_assert(asked->done);
    cr_assert_eq(poll(&bell, 1, 0), 0);
    free(asked);
    survey_desk_destroy(desk);
    world_free(world);
    LEAKS_NONE();
}
